/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * powercheck: says what an arena holds, for the host to compare with what was acknowledged before
 * the power went. It has no opinion of its own but one: free space reads as zeroes.
 *
 *	size BYTES PAGE
 *	have ID LEN MODE GID GENERATION PAGES NAME     contents: PAGES pages of GENERATION, zeroes
 *	                                               behind them
 *	torn ID PAGE NAME                              contents: neither
 *	free BYTES                                     all of it was reserved and read as zeroes
 *	dirty BYTES OFFSET                             a word of free space that is not zero
 *	checked
 *
 * NAME is last and empty for an allocation without one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

#include "pattern.h"

static void die(const char *what, int r)
{
	printf("broken %s: %s: %s\n", what, strerror(-r), pma_message());
	exit(1);
}

static void judge(const struct pma_info *stat, const uint64_t *words, uint64_t nr_pages)
{
	uint32_t generation = (uint32_t)(words[0] >> 32);
	uint64_t page = 0, good;

	while (generation && page < nr_pages &&
	       pattern_is_page(words + page * PATTERN_WORDS, pattern_word(generation, page)))
		page++;
	good = page;
	while (page < nr_pages && pattern_is_page(words + page * PATTERN_WORDS, 0))
		page++;
	if (page < nr_pages)
		printf("torn %llu %llu %s\n", (unsigned long long)stat->handle.id,
		       (unsigned long long)page, stat->name);
	else
		printf("have %llu %llu %o %u %u %llu %s\n", (unsigned long long)stat->handle.id,
		       (unsigned long long)stat->len, stat->mode, stat->gid, generation,
		       (unsigned long long)good, stat->name);
}

static void look_at(struct pma *pma, const struct pma_info *stat)
{
	struct pma_handle handle = stat->handle;
	struct pma_mapping *map;
	int r;

	r = pma_open(&handle, pma, NULL, PMA_READ_ONLY);
	if (r < 0)
		die("open", r);
	r = pma_map(&map, pma, handle, PMA_MAP_READ);
	if (r < 0)
		die("map", r);
	if (pma_map_length(map) < stat->len)
		die("a map shorter than its allocation", -ERANGE);
	judge(stat, pma_map_address(map), stat->len / PATTERN_PAGE);
	pma_unmap(map);
	r = pma_close(pma, handle);
	if (r < 0)
		die("close", r);
}

static void look_at_all(struct pma *pma)
{
	static struct pma_info stats[64];
	uint64_t cursor = 0;
	size_t nr;
	int r;

	do {
		nr = sizeof(stats) / sizeof(stats[0]);
		r = pma_list(stats, &nr, &cursor, pma, 0, NULL);
		if (r < 0)
			die("list", r);
		for (size_t i = 0; i < nr; i++)
			look_at(pma, &stats[i]);
	} while (cursor);
}

/* What was reserved is left to the end of the session. */
static void read_reserved(struct pma *pma, struct pma_handle handle, uint64_t len)
{
	struct pma_mapping *map;
	const uint64_t *words;
	int r;

	r = pma_map(&map, pma, handle, PMA_MAP_READ);
	if (r < 0)
		die("map of free space", r);
	words = pma_map_address(map);
	for (uint64_t page = 0; page < len / PATTERN_PAGE; page++)
		if (!pattern_is_page(words + page * PATTERN_WORDS, 0))
			printf("dirty %llu %llu\n", (unsigned long long)len,
			       (unsigned long long)page * PATTERN_PAGE);
	pma_unmap(map);
}

static uint64_t reserve_all(struct pma *pma, uint64_t len)
{
	struct pma_handle handle;
	uint64_t total = 0;
	int r;

	while ((r = pma_reserve(&handle, pma, NULL, len, 0)) == 0) {
		read_reserved(pma, handle, len);
		total += len;
	}
	if (r != -ENOSPC && r != -EINVAL)
		die("reserve of free space", r);
	return total;
}

int main(void)
{
	struct pma_arena arena;
	struct pma *pma;
	uint64_t total = 0;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = pma_connect(&pma, NULL);
	if (r < 0)
		die("connect", r);
	r = pma_arena_get(&arena, pma, 0);
	if (r < 0)
		die("arena", r);
	printf("size %llu %llu\n", (unsigned long long)arena.size,
	       (unsigned long long)arena.page_size);
	look_at_all(pma);
	for (uint64_t len = 8 * arena.page_size; len >= arena.page_size; len /= 2)
		total += reserve_all(pma, len);
	for (uint64_t len = arena.page_size / 2; len >= PATTERN_PAGE; len /= 2)
		total += reserve_all(pma, len);
	printf("free %llu\n", (unsigned long long)total);
	pma_disconnect(pma);
	printf("checked\n");
	return 0;
}
