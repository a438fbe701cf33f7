/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: one client of the daemon per run, for lanes to put together. Prints what it found, exits
 * 0 when it could do what it was asked for, 1 with the reason when not.
 *
 *	client put ARENA NAME LEN       create, fill with a pattern, persist
 *	client get ARENA NAME           open read-only and check the pattern
 *	client free ARENA NAME
 *	client where ARENA NAME         the offset of its first extent on the device
 *	client hold ARENA NAME          open and map; "held", then for each line of input: check,
 *	                                open anew, "still" or "lost"
 *	client cache ARENA NAME         pieces of a cache, filled and published as NAME-small and,
 *	                                below 1 GiB, NAME-page; one goes back unpublished
 *	client watch ARENA              one line an event, until the input ends
 *	client facts ARENA NAME         what the kernel refuses to a read-only opener
 *	client overreach ARENA          what is behind the end of an arena's device
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pmemarena.h>

#include "pattern.h"

#define GENERATION 7

struct target {
	struct pma *pma;
	struct pma_arena arena;
	const char *name;
	const char *len;
};

static void need(const char *what, int r)
{
	if (r >= 0)
		return;
	printf("%s: %s: %s\n", what, strerror(-r), pma_message());
	exit(1);
}

static void insist(bool holds, const char *what)
{
	if (holds)
		return;
	printf("not so: %s (%s)\n", what, strerror(errno));
	exit(1);
}

static struct pma_handle find(const struct target *t, uint32_t flags)
{
	struct pma_info stat;

	need("stat", pma_stat_name(&stat, t->pma, t->arena.index, t->name));
	need("open", pma_open(&stat.handle, t->pma, NULL, flags));
	return stat.handle;
}

static bool is_filled(const struct pma_mapping *map)
{
	const uint64_t *words = pma_map_address(map);

	for (uint64_t page = 0; page < pma_map_length(map) / PATTERN_PAGE; page++)
		if (!pattern_is_page(words + page * PATTERN_WORDS, pattern_word(GENERATION, page)))
			return false;
	return true;
}

static void put(const struct target *t)
{
	struct pma_op op = { .opcode = PMA_OP_RESERVE,
			     .handle.arena = t->arena.index,
			     .name = t->name,
			     .len = strtoull(t->len, NULL, 0),
			     .mode = 0644 };
	struct pma_mapping *map;
	uint64_t *words;

	need("run", pma_run(t->pma, &op, 1));
	need("reserve", op.result);
	need("map", pma_map(&map, t->pma, op.handle, PMA_MAP_WRITE));
	words = pma_map_address(map);
	for (uint64_t page = 0; page < pma_map_length(map) / PATTERN_PAGE; page++) {
		insist(pattern_is_page(words + page * PATTERN_WORDS, 0),
		       "new space reads as zeroes");
		pattern_fill_page(words + page * PATTERN_WORDS, GENERATION, page);
	}
	need("persist", pma_persist(map, words, pma_map_length(map)));
	need("publish", pma_publish(t->pma, op.handle));
	pma_unmap(map);
	printf("put %s\n", t->name);
}

static void get(const struct target *t)
{
	struct pma_mapping *map;

	need("map", pma_map(&map, t->pma, find(t, PMA_READ_ONLY), PMA_MAP_READ));
	insist(is_filled(map), "the contents are what was put there");
	pma_unmap(map);
	printf("got %s\n", t->name);
}

static void free_it(const struct target *t)
{
	struct pma_info stat;

	need("stat", pma_stat_name(&stat, t->pma, t->arena.index, t->name));
	need("free", pma_free(t->pma, stat.handle));
	printf("freed %s\n", t->name);
}

static void where(const struct target *t)
{
	struct pma_extent extent;
	size_t nr = 1;

	need("extents", pma_extents(&extent, &nr, t->pma, find(t, PMA_READ_ONLY), 0));
	printf("%llu\n", (unsigned long long)extent.off);
}

static void hold(const struct target *t)
{
	struct pma_handle handle = find(t, 0);
	struct pma_mapping *map;
	char line[16];

	need("map", pma_map(&map, t->pma, handle, PMA_MAP_WRITE));
	puts("held");
	while (fgets(line, sizeof(line), stdin)) {
		struct pma_info stat;
		int r = pma_stat(&stat, t->pma, handle);

		if (r == 0 && is_filled(map) && pma_is_valid(t->pma, handle))
			puts("still");
		else
			printf("lost: %s: %s\n", strerror(-r), pma_message());
	}
}

static void publish_piece(const struct target *t, struct pma_cache *cache, uint64_t len,
			  const char *suffix)
{
	char name[64];
	struct pma_piece piece;
	struct pma_publication what = { .piece = &piece, .name = name, .mode = 0644 };

	snprintf(name, sizeof(name), "%s-%s", t->name, suffix);
	need("reserve from the cache", pma_cache_reserve(&piece, cache, len, 0));
	for (uint64_t page = 0; page < piece.len / PATTERN_PAGE; page++) {
		uint64_t *words = (uint64_t *)piece.address + page * PATTERN_WORDS;

		insist(pattern_is_page(words, 0), "a new piece reads as zeroes");
		pattern_fill_page(words, GENERATION, page);
	}
	need("persist", pma_persist(piece.map, piece.address, piece.len));
	need("publish from the cache", pma_cache_publish(cache, &what, 1));
	need("its result", what.result);
	need("release", pma_cache_release(cache, &piece));
	printf("cached %s\n", name);
}

static void cache_some(const struct target *t)
{
	struct pma_cache *cache;
	struct pma_piece piece;

	need("open a cache", pma_cache_open(&cache, t->pma, t->arena.index, t->arena.size / 2));
	need("reserve from the cache", pma_cache_reserve(&piece, cache, 8 * PATTERN_PAGE, 0));
	pattern_fill_page(piece.address, GENERATION, 0);
	publish_piece(t, cache, 3 * PATTERN_PAGE, "small");
	if (t->arena.page_size < (uint64_t)1 << 30)
		publish_piece(t, cache, 2 * t->arena.page_size, "page");
	need("release", pma_cache_release(cache, &piece));
	pma_cache_close(cache);
}

static void print_event(const struct pma_event *event, void *arg)
{
	static const char *const names[] = { "?",	 "published", "freed",
					     "renamed",	 "resized",   "changed",
					     "poisoned", "recall",    "arena-offline",
					     "lost",	 "evicted",   "arena-added",
					     "arena-removed", "moved" };

	printf("%s %s\n", names[event->kind], event->name ? event->name : "");
}

static void watch(const struct target *t)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
				 { .fd = pma_get_fd(t->pma), .events = POLLIN } };

	need("subscribe", pma_subscribe(t->pma, t->arena.index, NULL, print_event, NULL));
	puts("watching");
	while (poll(fds, 2, -1) >= 0 && !fds[0].revents)
		need("dispatch", pma_dispatch(t->pma));
}

static void facts(const struct target *t)
{
	struct pma_handle handle = find(t, PMA_READ_ONLY);
	int fd = pma_device_fd(t->pma, t->arena.index, true);
	size_t len = t->arena.align;
	struct pma_mapping *map;
	char path[64];
	void *at;

	need("device fd", fd);
	insist(pma_map(&map, t->pma, handle, PMA_MAP_WRITE) == -EACCES,
	       "the library refuses a writable map");
	insist((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY, "the descriptor is O_RDONLY");
	insist(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
		       errno == EACCES,
	       "the kernel refuses a writable map");
	at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	insist(at != MAP_FAILED, "a map for reading is allowed");
	insist(mprotect(at, len, PROT_READ | PROT_WRITE) < 0 && errno == EACCES,
	       "it cannot be made writable");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	insist(open(path, O_RDWR) < 0 && errno == EACCES,
	       "the descriptor cannot be opened again for writing");
	insist(open(t->arena.device, O_RDONLY) < 0 && (errno == EACCES || errno == ENOENT),
	       "the device cannot be opened");
	puts("facts hold");
}

static sigjmp_buf escape;

static void jump(int sig)
{
	siglongjmp(escape, sig);
}

/* The kernel maps past the end of a device without a word; touching it is what it refuses. */
static void overreach(const struct target *t)
{
	int fd = pma_device_fd(t->pma, t->arena.index, false);
	volatile uint64_t *words;

	need("device fd", fd);
	for (uint64_t off = (uint64_t)8 << 30; off; off >>= 1) {
		words = mmap(NULL, t->arena.align, PROT_READ, MAP_SHARED, fd, (off_t)off);
		if (words == MAP_FAILED)
			continue;
		if (sigsetjmp(escape, 1) == 0) {
			printf("reached %llu %llx\n", (unsigned long long)off,
			       (unsigned long long)words[0]);
			munmap((void *)words, t->arena.align);
			return;
		}
		munmap((void *)words, t->arena.align);
	}
}

static const struct command {
	const char *name;
	int nr_args;
	void (*run)(const struct target *t);
} commands[] = {
	{ "put", 5, put },     { "get", 4, get },     { "free", 4, free_it },
	{ "where", 4, where }, { "hold", 4, hold },   { "cache", 4, cache_some },
	{ "watch", 3, watch }, { "facts", 4, facts }, { "overreach", 3, overreach },
};

int main(int argc, char **argv)
{
	struct target t = { 0 };
	uint32_t index;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGBUS, jump);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc < 3 || strcmp(argv[1], commands[i].name) != 0 ||
		    argc != commands[i].nr_args)
			continue;
		t.name = argc > 3 ? argv[3] : NULL;
		t.len = argc > 4 ? argv[4] : NULL;
		need("connect", pma_connect(&t.pma, NULL));
		need("find the arena", pma_arena_find(&index, t.pma, argv[2]));
		need("arena", pma_arena_get(&t.arena, t.pma, index));
		commands[i].run(&t);
		pma_disconnect(t.pma);
		return 0;
	}
	fprintf(stderr, "usage: client put|get|free|where|hold|cache|watch|facts|overreach ARENA "
			"[NAME [LEN]]\n");
	return 2;
}
