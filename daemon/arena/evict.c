/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: when space is short, the daemon frees evictable allocations (evictable.c) that nobody has
 * open or pinned. It is a free like any other: same stores, same order, same crash argument. A pin
 * that is stored after the look at the pins is found by the look that every free makes before it
 * gives space away (pins.c): then that allocation is freed, its space waits, and the next one goes.
 *
 * A request evicts for its own user only, unless the arena says `evict = any`. A lease, which is
 * space taken ahead, evicts nobody.
 */
#include <config.h>

#include "daemon/arena/evict.h"

#include <errno.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/object.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/retire.h"
#include "daemon/arena/room.h"
#include "daemon/arena/settle.h"
#include "lib/wire/size.h"

/*
 * What one call does at most, some hundred microseconds: others wait for it. Who needs more asks
 * again.
 */
#define MAX_VICTIMS 256u
#define MAX_LOOKS   4096u

/* ---- the next to go ---- */

/* Is @alloc somebody's now, so that freeing it would give nobody space? */
static bool is_busy(const struct arena *arena, const struct alloc *alloc,
		    const struct alloc *except)
{
	return alloc == except || alloc == arena->giving_way || alloc->staged == arena->txn ||
	       !TAILQ_EMPTY(&alloc->holds) || pins_has(arena, alloc);
}

/*
 * Turns the clock until the hand stands at one to free. After MAX_LOOKS the first one that is only
 * used goes, though it would have had a second chance: where all are used, one goes all the same.
 * NULL: all that were looked at are busy.
 */
static struct alloc *next_victim(struct arena *arena, struct clock *clock,
				 const struct alloc *except, uint32_t *looks)
{
	uint64_t left = clock->nr * UINT64_C(2);
	struct alloc *alloc, *used = NULL;

	for (; left > 0 && *looks > 0 && (alloc = TAILQ_FIRST(&clock->hand)); left--, --*looks) {
		evictable_turn(alloc);
		if (is_busy(arena, alloc, except))
			continue;
		if (!evictable_was_used(arena, alloc))
			return alloc;
		if (!used)
			used = alloc;
	}
	return used;
}

/* ---- freeing ---- */

static int free_it(struct arena *arena, struct alloc *alloc)
{
	int r = retire_record(arena, alloc, false);

	if (r < 0)
		return r;
	arena_trace_evict(arena, alloc);
	events_add(arena, ARENA_EVICTED, alloc);
	arena->counts.evictions++;
	arena->counts.evicted_bytes += alloc_bytes(alloc);
	retire_alloc(arena, alloc);
	retire_end(arena, alloc);
	return 0;
}

/*
 * Frees for user @uid until @nr_pfns base pages are, or *left allocations, of which it counts down
 * those it freed. Returns how many base pages were freed.
 */
static uint64_t free_some(struct arena *arena, const struct evict_ask *ask, uint64_t nr_pfns,
			  uint32_t *left)
{
	uint32_t looks = MAX_LOOKS;
	uint64_t freed = 0;

	while (freed < nr_pfns && *left > 0) {
		/* The last one that is freed takes its clock with it. */
		struct clock *clock = evictable_clock(arena, ask->uid);
		struct alloc *alloc = clock ? next_victim(arena, clock, ask->except, &looks) : NULL;
		uint64_t here = alloc ? alloc->nr_pfns : 0;

		if (!alloc || free_it(arena, alloc) < 0)
			break;
		freed += here;
		--*left;
	}
	return freed;
}

/*
 * The same, and makes it durable. Returns how many *left became less: 0, nothing could be freed.
 */
static int free_durably(struct arena *arena, const struct evict_ask *ask, uint64_t nr_pfns,
			uint32_t *left)
{
	uint32_t before = *left;
	int r;

	if (!evictable_clock(arena, ask->uid))
		return 0;
	/* What was only staged could come back after a crash: it is not freed before. */
	r = arena_settle(arena);
	if (r < 0)
		return r;
	pins_look(arena);
	if (arena->pins_missing || free_some(arena, ask, nr_pfns, left) == 0)
		return 0;
	r = arena_settle(arena);
	return r < 0 ? r : (int)(before - *left);
}

/* Base pages that nobody has, also those that are being scrubbed. */
static uint64_t nr_free_pfns(const struct arena *arena)
{
	struct space_stats stats;

	space_stats(arena->space, &stats);
	return stats.free >> DESC_SHIFT;
}

static int say_later(const struct arena *arena, const struct evict_ask *ask, struct why *why)
{
	char asked[SIZE_TEXT_MAX];

	return why_set(why, -EINPROGRESS,
		       "arena %s has no room for %s, and what is evictable there is in use, or "
		       "comes in small pieces: ask again",
		       arena->identity.name, size_text(asked, ask->nr_pfns << DESC_SHIFT));
}

/*
 * Frees some allocations, durably, for a request that found no space. 0: claim again. -ENOSPC:
 * there is nothing to free, or all of it would not be enough. -EINPROGRESS: not now.
 */
static int make_room(struct arena *arena, const struct evict_ask *ask, uint32_t *left,
		     struct why *why)
{
	const struct clock *clock = evictable_clock(arena, ask->uid);
	uint64_t nr_free = nr_free_pfns(arena);
	int r;

	if (!clock || clock->nr_pfns + nr_free < ask->nr_pfns)
		return -ENOSPC;
	/* Free space that did not do is scattered: then one after the other goes until it does. */
	r = free_durably(arena, ask, ask->nr_pfns > nr_free ? ask->nr_pfns - nr_free : 1, left);
	if (r == 0 && (*left == 0 || arena->pins_missing || clock->nr > MAX_LOOKS))
		return say_later(arena, ask, why);
	return r > 0 ? 0 : r == 0 ? -ENOSPC : r;
}

int evict_for_slots(struct arena *arena, uint32_t uid, uint32_t nr_records)
{
	const struct evict_ask ask = { .uid = uid };
	uint32_t left = MAX_VICTIMS;
	int r = 1;

	while (r > 0 && (!object_is_room(arena) ||
			 table_nr_used(arena->table) + nr_records > table_nr_slots(arena->table)))
		r = free_durably(arena, &ask, 1, &left);
	return r < 0 ? r : 0;
}

int evict_for_quota(struct arena *arena, uint32_t uid, uint64_t nr_pfns)
{
	const struct evict_ask ask = { .uid = uid };
	uint32_t left = MAX_VICTIMS;

	/* What is on the clock of all may be other users', whose end is no use to this one. */
	return arena->evict_any ? 0 : free_durably(arena, &ask, nr_pfns, &left);
}

/* ---- ahead of need ---- */

bool evict_is_due(const struct arena *arena)
{
	uint64_t size = arena->identity.size >> DESC_SHIFT, used;

	if (!arena->evict_above || RB_EMPTY(&arena->clocks) || arena->state != ARENA_ONLINE)
		return false;
	used = size - nr_free_pfns(arena) - (arena->room.quarantined >> DESC_SHIFT);
	return used > size / 100 * arena->evict_above;
}

/* Frees about @nr_pfns base pages of the user who has most that may go, if it is due. */
static void free_ahead(struct arena *arena, uint64_t nr_pfns, const struct alloc *except)
{
	const struct clock *clock = evictable_fullest(arena);
	struct evict_ask ask = { .uid = clock ? clock->key : 0, .except = except };
	uint32_t left = MAX_VICTIMS;

	if (evict_is_due(arena))
		(void)free_durably(arena, &ask, nr_pfns, &left);
}

void evict_ahead(struct arena *arena)
{
	if (!arena->evict_above || RB_EMPTY(&arena->clocks))
		return;
	/* What waits to be let go of is used by nobody, and nothing more is freed for it. */
	room_look(arena);
	/* A hundredth at a time: the next tick goes on if that was not enough. */
	free_ahead(arena, (arena->identity.size >> DESC_SHIFT) / 100 + 1, NULL);
}

/* ---- for a request ---- */

/*
 * space_claim(), and once more where space was only kept for pins that are put by now: the regular
 * look at the pins comes too seldom for a cache that turns over its whole arena.
 */
static int claim(uint32_t *nr, bool *is_run, struct arena *arena, const struct evict_ask *ask)
{
	int r = space_claim(arena->scratch, nr, is_run, arena->space, ask->nr_pfns,
			    ask->max_extents, ask->uid);

	if (r == -ENOSPC && ending_release_unpinned(arena))
		r = space_claim(arena->scratch, nr, is_run, arena->space, ask->nr_pfns,
				ask->max_extents, ask->uid);
	return r;
}

int evict_claim(uint32_t *nr, bool *is_run, struct arena *arena, const struct evict_ask *ask,
		struct why *why)
{
	uint32_t left = MAX_VICTIMS;
	int r = 0;

	/*
	 * Above the mark each request has somewhat more freed than it takes, for those that come
	 * after it: what it takes itself is clean already.
	 */
	if (!ask->is_lease)
		free_ahead(arena, ask->nr_pfns + ask->nr_pfns / 4, ask->except);
	while (r == 0) {
		r = claim(nr, is_run, arena, ask);
		/*
		 * A lease is space that a client takes ahead without a need: it must not make other
		 * clients give up theirs.
		 */
		if (r != -ENOSPC || ask->is_lease)
			return r;
		r = make_room(arena, ask, &left, why);
	}
	return r == -ENOSPC ? room_recall_leases(arena, ask->nr_pfns, why) : r;
}

void arena_set_eviction(struct arena *arena, bool from_any, uint32_t above)
{
	arena->evict_above = above;
	if (arena->evict_any == from_any)
		return;
	evictable_free(arena);
	arena->evict_any = from_any;
	evictable_enter_all(arena);
}
