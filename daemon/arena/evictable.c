/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evictable: keeps the clocks as lists. An allocation is on its clock by alloc.link, the same link
 * by which FREEING allocations are on arena.freeing: an allocation is never on both.
 */
#include <config.h>

#include "daemon/arena/evictable.h"

#include <stdlib.h>

static int compare_key(const struct clock *a, const struct clock *b)
{
	return (a->key > b->key) - (a->key < b->key);
}

RB_GENERATE_INTERNAL(clock_tree, clock, link, compare_key, __attribute__((unused)) static)

/* ---- clocks ---- */

/* Casts const away: RB_FIND() does not take a const tree, though it only reads. */
static struct clock_tree *clocks_of(const struct arena *arena)
{
	return (struct clock_tree *)(uintptr_t)&arena->clocks;
}

struct clock *evictable_clock(const struct arena *arena, uint32_t uid)
{
	struct clock key = { .key = arena->evict_any ? 0 : uid };

	return RB_FIND(clock_tree, clocks_of(arena), &key);
}

struct clock *evictable_fullest(const struct arena *arena)
{
	struct clock *clock, *fullest = NULL;

	RB_FOREACH(clock, clock_tree, clocks_of(arena))
		if (!fullest || clock->nr_pfns > fullest->nr_pfns)
			fullest = clock;
	return fullest;
}

static struct clock *get_clock(struct arena *arena, uint32_t uid)
{
	struct clock *clock = evictable_clock(arena, uid);

	if (clock)
		return clock;
	clock = calloc(1, sizeof(*clock));
	if (!clock)
		return NULL;
	clock->key = arena->evict_any ? 0 : uid;
	TAILQ_INIT(&clock->hand);
	RB_INSERT(clock_tree, &arena->clocks, clock);
	return clock;
}

void evictable_free(struct arena *arena)
{
	struct clock *clock;
	struct alloc *alloc;

	while ((clock = RB_ROOT(&arena->clocks))) {
		while ((alloc = TAILQ_FIRST(&clock->hand))) {
			TAILQ_REMOVE(&clock->hand, alloc, link);
			alloc->clock = NULL;
		}
		RB_REMOVE(clock_tree, &arena->clocks, clock);
		free(clock);
	}
}

/* ---- what is on them ---- */

void evictable_enter(struct arena *arena, struct alloc *alloc)
{
	if (!alloc->is_evictable || alloc->clock || alloc->state != ALLOC_PUBLISHED)
		return;
	alloc->clock = get_clock(arena, alloc->uid);
	if (!alloc->clock)
		return;
	/*
	 * Clears the byte of the slot: a touch of the allocation that was there before would count
	 * as one of @alloc.
	 */
	(void)evictable_was_used(arena, alloc);
	TAILQ_INSERT_TAIL(&alloc->clock->hand, alloc, link);
	alloc->clock->nr++;
	alloc->clock->nr_pfns += alloc->nr_pfns;
}

static void leave(struct arena *arena, struct alloc *alloc, uint64_t nr_pfns)
{
	struct clock *clock = alloc->clock;

	if (!clock)
		return;
	TAILQ_REMOVE(&clock->hand, alloc, link);
	alloc->clock = NULL;
	clock->nr--;
	clock->nr_pfns -= nr_pfns;
	/*
	 * Frees a clock with its last allocation: else users that come and go would leave their
	 * clocks behind for ever.
	 */
	if (clock->nr > 0)
		return;
	RB_REMOVE(clock_tree, &arena->clocks, clock);
	free(clock);
}

void evictable_leave(struct arena *arena, struct alloc *alloc)
{
	leave(arena, alloc, alloc->nr_pfns);
}

void evictable_change(struct arena *arena, struct alloc *alloc, uint64_t old_pfns)
{
	if (alloc->clock && alloc->clock == evictable_clock(arena, alloc->uid)) {
		alloc->clock->nr_pfns += alloc->nr_pfns - old_pfns;
		return;
	}
	leave(arena, alloc, old_pfns);
	evictable_enter(arena, alloc);
}

void evictable_turn(struct alloc *alloc)
{
	TAILQ_REMOVE(&alloc->clock->hand, alloc, link);
	TAILQ_INSERT_TAIL(&alloc->clock->hand, alloc, link);
}

/* ---- which are used ---- */

void evictable_touch(struct alloc *alloc)
{
	alloc->is_used = alloc->is_evictable;
}

bool evictable_was_used(struct arena *arena, struct alloc *alloc)
{
	bool was_used = alloc->is_used;

	alloc->is_used = false;
	return touches_take(arena->touches, alloc->slot) || was_used;
}

/* ---- a start ---- */

static int by_id(const void *a, const void *b)
{
	const struct alloc *x = *(struct alloc *const *)a, *y = *(struct alloc *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

void evictable_enter_all(struct arena *arena)
{
	struct alloc **all = calloc(arena->nr_objects + 1u, sizeof(struct alloc *));
	size_t nr = 0;

	/*
	 * Orders the allocations by id, which is the order of their creation: a start does not know
	 * when each was used last.
	 */
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		struct alloc *alloc = arena->objects[slot];

		if (alloc && all)
			all[nr++] = alloc;
		else if (alloc)
			evictable_enter(arena, alloc);
	}
	if (nr > 0)
		qsort(all, nr, sizeof(struct alloc *), by_id);
	for (size_t i = 0; i < nr; i++)
		evictable_enter(arena, all[i]);
	free(all);
}
