/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heaper: heaps on an arena.
 *
 *	heaper rules                    what each call promises, one by one
 *	heaper churn NR                 threads allocate, check and free, each also what others
 *	                                allocated, until standard input ends; prints rounds and
 *	                                extents
 *	heaper fill MAX SIZE            objects of SIZE until there is no room: prints why and how
 *	                                many bytes; frees all and does it again; then waits for the
 *	                                end of standard input
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pmemarena-heap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)
#define SHARED 512

static struct pma *pma;
static struct pma_heap *heap;

__attribute__((noreturn))
static void fail(int line, const char *what)
{
	char why[512] = "";

	if (heap)
		pma_heap_why(heap, why, sizeof(why));
	fprintf(stderr, "heaper.c:%d: %s (errno %d, %s; %s)\n", line, what, errno, pma_message(),
		why);
	exit(EXIT_FAILURE);
}

#define CHECK(what) do { if (!(what)) fail(__LINE__, #what); } while (0)

static void fill_object(unsigned char *object, size_t size, unsigned char mark)
{
	memset(object, mark, size);
}

static bool has_mark(const unsigned char *object, size_t size, unsigned char mark)
{
	for (size_t i = 0; i < size; i++)
		if (object[i] != mark)
			return false;
	return true;
}

/* ---- rules ---- */

static void rule_of_sizes(void)
{
	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB - 1, 0) == -EINVAL);
	CHECK(pma_heap_open(&heap, pma, 0, UINT64_MAX, 0) == -EINVAL);
	CHECK(pma_heap_open(&heap, pma, 0, 32 * MIB, 16 * MIB) == -EINVAL);
	CHECK(pma_heap_open(&heap, pma, 7, 0, 0) == -ENOENT && strstr(pma_message(), "arena"));
	pma_heap_close(NULL);
}

static void rule_of_calls(void)
{
	unsigned char *a, *b;
	int local;

	CHECK(pma_heap_open(&heap, pma, 0, 32 * MIB, 0) == 0);
	a = pma_heap_malloc(heap, 0);
	CHECK(a && pma_heap_usable_size(heap, a) >= 1);
	CHECK(pma_heap_free(heap, a) == 0 && pma_heap_free(heap, NULL) == 0);
	a = pma_heap_malloc(heap, 5000);
	fill_object(a, 5000, 0xaa);
	CHECK(pma_heap_free(heap, a) == 0);
	b = pma_heap_calloc(heap, 50, 100);
	CHECK(b && has_mark(b, 5000, 0));
	errno = 0;
	CHECK(!pma_heap_calloc(heap, SIZE_MAX, 2) && errno == ENOMEM);
	fill_object(b, 5000, 7);
	b = pma_heap_realloc(heap, b, 100000);
	CHECK(b && has_mark(b, 5000, 7));
	b = pma_heap_realloc(heap, b, 100);
	CHECK(b && has_mark(b, 100, 7));
	b = pma_heap_realloc(heap, b, 0);
	CHECK(b && pma_heap_free(heap, b) == 0);
	a = pma_heap_realloc(heap, NULL, 64);
	CHECK(a && pma_heap_free(heap, a) == 0);
	for (size_t align = 1; align <= 2 * MIB; align *= 2) {
		a = pma_heap_aligned_alloc(heap, align, 100);
		CHECK(a && (uintptr_t)a % align == 0);
		CHECK(pma_heap_free(heap, a) == 0);
	}
	errno = 0;
	CHECK(!pma_heap_aligned_alloc(heap, 48, 100) && errno == EINVAL);
	CHECK(!pma_heap_aligned_alloc(heap, 0, 100) && errno == EINVAL);
	CHECK(pma_heap_free(heap, &local) == -EINVAL && pma_heap_usable_size(heap, &local) == 0);
	errno = 0;
	CHECK(!pma_heap_realloc(heap, &local, 10) && errno == EINVAL);
	errno = 0;
	CHECK(!pma_heap_malloc(heap, SIZE_MAX) && errno == ENOMEM);
	pma_heap_close(heap);
	heap = NULL;
}

/*
 * One object larger than the first extent, and back to small ones; an object that has to move to
 * another extent when it grows.
 */
static void rule_of_growing(void)
{
	struct pma_heap_info stat;
	unsigned char *large, *small, *moved;

	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	small = pma_heap_malloc(heap, 100);
	CHECK(small);
	fill_object(small, 100, 3);
	large = pma_heap_malloc(heap, 40 * MIB);
	CHECK(large);
	fill_object(large, 40 * MIB, 9);
	pma_heap_stat(&stat, heap);
	CHECK(stat.nr_extents == 2 && stat.reserved >= 56 * MIB && stat.allocated >= 40 * MIB &&
	      stat.max_bytes == UINT64_MAX);
	moved = pma_heap_realloc(heap, small, 30 * MIB);
	CHECK(moved && has_mark(moved, 100, 3) && has_mark(large, 40 * MIB, 9));
	CHECK(pma_heap_free(heap, large) == 0 && pma_heap_free(heap, moved) == 0);
	large = pma_heap_malloc(heap, 40 * MIB);
	CHECK(large);
	pma_heap_close(heap);
	heap = NULL;
}

/*
 * One that is too large for any arena is nobody else's trouble; one that just fits takes one
 * extent.
 */
static void rule_of_refusals(void)
{
	struct pma_heap_info stat;
	char why[512];

	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	CHECK(!pma_heap_malloc(heap, UINT64_C(1) << 40) &&
	      pma_heap_why(heap, why, sizeof(why)) == -EINVAL && strstr(why, "more than arena"));
	for (unsigned i = 0; i < 50; i++)
		CHECK(pma_heap_malloc(heap, MIB));
	pma_heap_close(heap);
	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	CHECK(pma_heap_malloc(heap, 129 * MIB));
	pma_heap_stat(&stat, heap);
	CHECK(stat.nr_extents == 2);
	pma_heap_close(heap);
	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	CHECK(pma_heap_aligned_alloc(heap, 64 * MIB, 64 * MIB));
	pma_heap_stat(&stat, heap);
	CHECK(stat.nr_extents == 2);
	pma_heap_close(heap);
	heap = NULL;
}

static void rule_of_forks(void)
{
	void *object;
	int status;

	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	object = pma_heap_malloc(heap, 100);
	CHECK(object);
	if (fork() == 0) {
		errno = 0;
		CHECK(!pma_heap_malloc(heap, 1) && errno == EPERM);
		errno = 0;
		CHECK(!pma_heap_realloc(heap, object, 200) && errno == EPERM);
		CHECK(pma_heap_free(heap, object) == 0);
		pma_heap_close(heap);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(pma_heap_free(heap, object) == 0);
	CHECK(pma_heap_malloc(heap, 1));
	pma_heap_close(heap);
	heap = NULL;
}

/* ---- churn ---- */

struct object {
	unsigned char *memory;
	size_t size;
	unsigned char mark;
};

static struct object shared[SHARED];
static pthread_mutex_t locks[SHARED];
static atomic_bool stop;
static atomic_ulong nr_rounds;

static size_t random_size(unsigned *seed)
{
	unsigned what = (unsigned)rand_r(seed) % 100;

	return 1 + (unsigned)rand_r(seed) % (what < 80 ? 512u : what < 99 ? 32768u : 2000000u);
}

/* What one thread put there another one checks and frees. */
static void *work(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		unsigned i = (unsigned)rand_r(&seed) % SHARED;
		struct object *object = &shared[i];

		pthread_mutex_lock(&locks[i]);
		if (object->memory) {
			CHECK(has_mark(object->memory, object->size, object->mark));
			CHECK(pma_heap_free(heap, object->memory) == 0);
		}
		object->size = random_size(&seed);
		object->mark = (unsigned char)rand_r(&seed);
		object->memory = pma_heap_malloc(heap, object->size);
		CHECK(object->memory);
		fill_object(object->memory, object->size, object->mark);
		pthread_mutex_unlock(&locks[i]);
		atomic_fetch_add(&nr_rounds, 1);
	}
	return NULL;
}

static void churn(unsigned nr)
{
	struct pma_heap_info stat;
	pthread_t threads[64];

	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, 0) == 0);
	for (unsigned i = 0; i < SHARED; i++)
		pthread_mutex_init(&locks[i], NULL);
	for (unsigned i = 0; i < nr; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
	while (getchar() != EOF)
		;
	atomic_store(&stop, true);
	for (unsigned i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < SHARED; i++)
		CHECK(!shared[i].memory ||
		      (has_mark(shared[i].memory, shared[i].size, shared[i].mark) &&
		       pma_heap_free(heap, shared[i].memory) == 0));
	pma_heap_stat(&stat, heap);
	printf("%lu %u\n", atomic_load(&nr_rounds), stat.nr_extents);
	pma_heap_close(heap);
}

/* ---- full ---- */

static uint64_t fill_up(size_t size, void ***first)
{
	void **object;
	uint64_t bytes = 0;

	while ((object = pma_heap_malloc(heap, size))) {
		memset(object, 0x5a, size);
		*object = *first;
		*first = object;
		bytes += size;
	}
	CHECK(errno == ENOMEM);
	return bytes;
}

static void fill(uint64_t max, size_t size)
{
	struct pma_heap_info stat;
	void **first = NULL, **next;
	uint64_t bytes, again;
	char why[512];
	int r;

	CHECK(pma_heap_open(&heap, pma, 0, 16 * MIB, max) == 0);
	CHECK(pma_heap_why(heap, why, sizeof(why)) == 0 && !why[0]);
	bytes = fill_up(size, &first);
	r = pma_heap_why(heap, why, sizeof(why));
	pma_heap_stat(&stat, heap);
	printf("%" PRIu64 " %" PRIu64 " %d %s\n", bytes, stat.reserved, r, why);
	for (; first; first = next) {
		next = (void **)*first;
		CHECK(pma_heap_free(heap, first) == 0);
	}
	again = fill_up(size, &first);
	/*
	 * memkind may keep small objects from what was just freed in one piece, for some seconds.
	 */
	CHECK(again >= (size % 4096 == 0 ? bytes / 10 * 9 : 1));
	fflush(stdout);
	while (getchar() != EOF)
		;
	pma_heap_close(heap);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	CHECK(pma_connect(&pma, NULL) == 0);
	if (strcmp(mode, "rules") == 0) {
		rule_of_sizes();
		rule_of_calls();
		rule_of_growing();
		rule_of_refusals();
		rule_of_forks();
	} else if (strcmp(mode, "churn") == 0 && argc == 3) {
		churn((unsigned)atoi(argv[2]));
	} else if (strcmp(mode, "fill") == 0 && argc == 4) {
		fill(strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	} else {
		return EXIT_FAILURE;
	}
	pma_disconnect(pma);
	return EXIT_SUCCESS;
}
