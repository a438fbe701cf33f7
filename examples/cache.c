/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache WORKERS BLOCKS ROUNDS
 *
 * A cache of blocks that all processes of a host share: each block is an allocation, its name is
 * the hash of what it is made from. Each worker asks for ROUNDS blocks out of BLOCKS, and makes
 * those that are not there. A lookup is a pma_get(): no message, and no copy. When the arena is
 * full the daemon frees the blocks that were used longest ago, since they are evictable; whoever is
 * reading one has it pinned, and it stays.
 *
 * The workers have windows for reading: no stray store of theirs can damage a block.
 */
#include <errno.h>
#include <inttypes.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (UINT64_C(64) << 10)

struct cache {
	struct pma *pma;
	struct pma_window *window;
	uint64_t nr_hits, nr_misses, nr_evicted;
};

static int fail(const char *what)
{
	fprintf(stderr, "cache: %s: %s\n", what, pma_message());
	return -1;
}

/* ---- the cache ---- */

/* Pins the block. False: it is not there. A PMA_GET_LOCAL get asks nobody. */
static bool cache_get(struct pma_pin *pin, struct cache *cache, const char *name)
{
	struct pma_key key = { .name = name };

	return pma_get(cache->window, pin, &key, 1, PMA_GET_LOCAL) == 1;
}

/* Nobody sees the block before it is complete: that is what a reservation is for. */
static int cache_fill(struct cache *cache, struct pma_handle handle, const void *data)
{
	struct pma_mapping *map;
	int r = pma_map(&map, cache->pma, handle, PMA_MAP_WRITE);

	if (r < 0)
		return r;
	r = pma_memcpy(map, pma_map_address(map), data, BLOCK);
	pma_unmap(map);
	if (r == 0)
		r = pma_publish_flags(cache->pma, handle, PMA_EVICTABLE);
	return r;
}

/*
 * Puts a block into the cache. 0 also when another worker was faster, or when there is no room:
 * the arena is full of what is not a cache's, or is in use.
 */
static int cache_put(struct cache *cache, const char *name, const void *data)
{
	struct pma_handle handle;
	int r = pma_reserve(&handle, cache->pma, name, BLOCK, PMA_ANY_CONTENTS);

	if (r == -EEXIST || r == -EBUSY || r == -ENOSPC)
		return 0;
	if (r == 0) {
		r = cache_fill(cache, handle, data);
		if (r < 0)
			(void)pma_abort(cache->pma, handle);
	}
	/* What a session has open is not evicted. */
	return r < 0 ? r : pma_close(cache->pma, handle);
}

/* Who wants to know what went subscribes to it. */
static void on_event(const struct pma_event *event, void *arg)
{
	struct cache *cache = arg;

	cache->nr_evicted += event->kind == PMA_EVENT_EVICTED;
}

/* ---- what is cached: here a block is a number, over and over ---- */

static uint64_t hash(uint64_t number)
{
	number = (number ^ number >> 31) * UINT64_C(0x7fb5d329728ea185);
	number = (number ^ number >> 27) * UINT64_C(0x81dadef4bc2dd44d);
	return number ^ number >> 33;
}

static void make(uint64_t *block, uint64_t number)
{
	for (uint64_t i = 0; i < BLOCK / sizeof(*block); i++)
		block[i] = number;
}

static bool is_right(const uint64_t *block, uint64_t number)
{
	for (uint64_t i = 0; i < BLOCK / sizeof(*block); i++) {
		if (block[i] != number)
			return false;
	}
	return true;
}

static int use(struct cache *cache, uint64_t number)
{
	static uint64_t block[BLOCK / sizeof(uint64_t)];
	struct pma_pin pin;
	char name[32];
	bool is_good;

	snprintf(name, sizeof(name), "block/%016" PRIx64, hash(number));
	if (!cache_get(&pin, cache, name)) {
		cache->nr_misses++;
		make(block, number);
		return cache_put(cache, name, block);
	}
	cache->nr_hits++;
	is_good = is_right(pin.address, number);
	pma_put(cache->window, &pin, 1);
	if (!is_good)
		fprintf(stderr, "cache: %s has another block's bytes\n", name);
	return is_good ? 0 : -EIO;
}

/* Some blocks are asked for more often than others: the smaller of two numbers by chance. */
static uint64_t choose(uint64_t worker, uint64_t i, uint64_t nr_blocks)
{
	uint64_t one = hash(worker << 40 | i) % nr_blocks;
	uint64_t two = hash(worker << 40 | i | UINT64_C(1) << 39) % nr_blocks;

	return one < two ? one : two;
}

static int work(uint64_t worker, uint64_t nr_blocks, uint64_t rounds)
{
	static struct cache cache;
	int r = 0;

	if (pma_connect(&cache.pma, NULL) < 0)
		return fail("connecting");
	if (pma_window_open(&cache.window, cache.pma, 0, 0, 0) < 0)
		return fail("opening a window");
	/* All that is evicted, whoever made it: one worker counts. */
	if (worker == 0 && pma_subscribe(cache.pma, 0, "block/", on_event, &cache) < 0)
		return fail("subscribing");
	for (uint64_t i = 0; r == 0 && i < rounds; i++) {
		r = use(&cache, choose(worker, i, nr_blocks));
		if (r == 0 && i % 64 == 0)
			r = pma_dispatch(cache.pma);
	}
	if (r < 0 && r != -EIO)
		fail("putting a block");
	printf("worker %" PRIu64 ": %" PRIu64 " hits, %" PRIu64 " misses\n", worker, cache.nr_hits,
	       cache.nr_misses);
	if (worker == 0)
		printf("evicted while it worked: %" PRIu64 "\n", cache.nr_evicted);
	pma_window_close(cache.window);
	pma_disconnect(cache.pma);
	return r;
}

int main(int argc, char **argv)
{
	uint64_t nr_workers, nr_blocks, rounds, failed = 0;
	int status;

	if (argc != 4 || strtoull(argv[2], NULL, 10) == 0) {
		fprintf(stderr, "usage: cache WORKERS BLOCKS ROUNDS\n");
		return 64;
	}
	nr_workers = strtoull(argv[1], NULL, 10);
	nr_blocks = strtoull(argv[2], NULL, 10);
	rounds = strtoull(argv[3], NULL, 10);
	for (uint64_t i = 0; i < nr_workers; i++) {
		if (fork() == 0)
			return work(i, nr_blocks, rounds) < 0;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
