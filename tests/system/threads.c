/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads: one connection and many threads that create, map, write, rename, look up and free
 * allocations of their own, until standard input ends. The daemon may be killed and started again
 * meanwhile: what that does to a request is in the manual, and nothing else may happen.
 *
 *	threads NR        prints how many rounds went through and how often a request's fate was
 *	                  unknown
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pmemarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 64

static struct pma *pma;
static atomic_bool stop;
static atomic_ulong nr_rounds, nr_unknown;

static void fail(const char *what, const char *name, int r)
{
	fprintf(stderr, "threads: %s %s: %s (%s)\n", what, name, strerror(-r), pma_message());
	exit(EXIT_FAILURE);
}

static void check(int r, const char *what, const char *name)
{
	if (r < 0)
		fail(what, name, r);
}

static bool is_unknown(int r)
{
	if (r == -ESTALE)
		atomic_fetch_add(&nr_unknown, 1);
	return r == -ESTALE;
}

/* Until it is there. One that was made without our being told is found by its name. */
static struct pma_handle create(const char *name, uint64_t len)
{
	struct pma_handle handle;
	int r = pma_create(&handle, pma, name, len, 0);

	while (is_unknown(r)) {
		r = pma_open(&handle, pma, name, 0);
		if (r == -ENOENT)
			r = pma_create(&handle, pma, name, len, 0);
	}
	check(r, "create", name);
	return handle;
}

/*
 * The other way to the same: reserved first. A reservation whose fate is unknown has a name that is
 * taken, or not.
 */
static struct pma_handle reserve_and_publish(const char *name, uint64_t len)
{
	struct pma_handle handle;
	struct pma_info stat;
	int r = pma_reserve(&handle, pma, name, len, 0);

	while (is_unknown(r)) {
		r = pma_stat_name(&stat, pma, 0, name);
		handle = stat.handle;
		if (r == -ENOENT)
			r = pma_reserve(&handle, pma, name, len, 0);
		else if (r == 0)
			r = pma_open(&handle, pma, NULL, 0);
	}
	check(r, "reserve", name);
	r = pma_publish(pma, handle);
	/* "It is published" is what a second attempt hears of a first that got through. */
	while (is_unknown(r)) {
		r = pma_publish(pma, handle);
		if (r == -EINVAL)
			r = 0;
	}
	check(r, "publish", name);
	return handle;
}

static void use(struct pma_handle handle, const char *name, uint64_t len)
{
	struct pma_mapping *map;
	char *memory;

	check(pma_map(&map, pma, handle, PMA_MAP_WRITE), "map", name);
	memory = pma_map_address(map);
	for (uint64_t i = 0; i < len; i += 512) {
		if (memory[i])
			fail("not zero", name, -EILSEQ);
	}
	check(pma_memset(map, memory, 1 + memory[0], len), "memset", name);
	pma_unmap(map);
	check(pma_map(&map, pma, handle, PMA_MAP_READ), "map again", name);
	memory = pma_map_address(map);
	if (memory[0] != 1 || memory[len - 1] != 1)
		fail("contents", name, -EILSEQ);
	pma_unmap(map);
}

static void look(struct pma_handle handle, const char *name)
{
	struct pma_info stat;

	check(pma_stat_name(&stat, pma, 0, name), "stat", name);
	if (stat.handle.id != handle.id || !pma_is_valid(pma, handle))
		fail("another id", name, -EILSEQ);
}

static void rename_it(struct pma_handle handle, const char *name)
{
	int r = pma_rename(pma, handle, name);

	while (is_unknown(r))
		r = pma_rename(pma, handle, name);
	check(r, "rename", name);
}

static void free_it(struct pma_handle handle, const char *name)
{
	int r = pma_free(pma, handle);

	while (is_unknown(r)) {
		r = pma_free(pma, handle);
		if (r == -ENOENT)
			r = pma_close(pma, handle);
	}
	check(r, "free", name);
	if (pma_is_valid(pma, handle))
		fail("still valid", name, -EILSEQ);
}

static void *work(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, round = 0;
	char name[32], other[32];

	while (!atomic_load(&stop)) {
		uint64_t len = round % 7 ? 4096 * (1 + round % 20) : UINT64_C(2) << 20;
		struct pma_handle handle;

		snprintf(name, sizeof(name), "t%u-%u", me, round);
		snprintf(other, sizeof(other), "t%u-%u-renamed", me, round);
		handle = round++ % 3 ? create(name, len) : reserve_and_publish(name, len);
		use(handle, name, len);
		look(handle, name);
		rename_it(handle, other);
		look(handle, other);
		free_it(handle, other);
		atomic_fetch_add(&nr_rounds, 1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int nr = argc == 2 ? atoi(argv[1]) : 0;
	pthread_t threads[MAX_THREADS];
	char byte;

	if (nr < 1 || nr > MAX_THREADS) {
		fprintf(stderr, "usage: threads NR\n");
		return 2;
	}
	check(pma_connect(&pma, NULL), "connect", "");
	for (int i = 0; i < nr; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	atomic_store(&stop, true);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	printf("%lu rounds, %lu unknown\n", atomic_load(&nr_rounds), atomic_load(&nr_unknown));
	pma_disconnect(pma);
	return EXIT_SUCCESS;
}
