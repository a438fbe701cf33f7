/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: when space is short, the daemon frees evictable allocations (evictable.c) that nobody has
 * open or pinned. An eviction is a free like any other: the same stores, the same order, the same
 * crash argument. A process may store a pin after evict.c has looked at the pins. Every free looks
 * at them once more before it gives space away (pins.c) and finds that pin: then the allocation is
 * freed, but its space waits for the pin, and another allocation is evicted too.
 *
 * A request evicts for its own user only, unless the arena says `evict = any`. A lease, which is
 * space taken ahead, evicts nobody, and neither does what is moved here from another arena.
 */
#include <config.h>

#include "daemon/arena/evict.h"

#include <errno.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/drain.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/object.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/retire.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "lib/wire/size.h"

/*
 * Limits for one call, some hundred microseconds of work: all other clients wait meanwhile. Whoever
 * needs more asks again.
 */
#define MAX_VICTIMS 256u
#define MAX_LOOKS   4096u

/* ---- the next to go ---- */

/*
 * Is @alloc in use, so that freeing it would give no space now? In use is what has a hold or a pin,
 * what gives way already, what is staged, and @except.
 */
static bool is_busy(const struct arena *arena, const struct alloc *alloc,
		    const struct alloc *except)
{
	return alloc == except || alloc == arena->giving_way || alloc->staged == arena->txn ||
	       alloc->is_moving || !TAILQ_EMPTY(&alloc->holds) || pins_has(arena, alloc);
}

/*
 * Turns the clock until an allocation is at the front that was not used since its last turn, and
 * returns that one. If all looks are used up, returns the first that was used and is not busy,
 * without a second chance: else nothing could be evicted while all are in use. NULL: all that were
 * looked at are busy.
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
 * Frees evictable allocations for user ask->uid until @nr_pfns base pages are freed, or *left
 * allocations. Counts *left down by one for each. Returns how many base pages were freed.
 */
static uint64_t free_some(struct arena *arena, const struct evict_ask *ask, uint64_t nr_pfns,
			  uint32_t *left)
{
	uint32_t looks = MAX_LOOKS;
	uint64_t freed = 0;

	while (freed < nr_pfns && *left > 0) {
		/*
		 * Looks the clock up in each round: freeing the last allocation on a clock frees
		 * the clock too.
		 */
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
 * Frees as free_some() does, and makes that durable. Returns by how much *left was counted down; 0:
 * nothing could be freed.
 */
static int free_durably(struct arena *arena, const struct evict_ask *ask, uint64_t nr_pfns,
			uint32_t *left)
{
	uint32_t before = *left;
	int r;

	/* An eviction is durable at once; a bundle is not before its end. */
	if (arena->bundle || !evictable_clock(arena, ask->uid))
		return 0;
	/*
	 * Settles what is staged first. An allocation whose change is only staged would come back
	 * after a crash, so it cannot be freed before.
	 */
	r = arena_settle(arena);
	if (r < 0)
		return r;
	pins_look(arena);
	if (arena->pins_missing || free_some(arena, ask, nr_pfns, left) == 0)
		return 0;
	r = arena_settle(arena);
	return r < 0 ? r : (int)(before - *left);
}

/* Returns how many base pages belong to nobody; those that are being scrubbed count too. */
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
 * Frees some allocations, durably, for a request that found no space. 0: the caller claims again.
 * -ENOSPC: nothing is evictable, or not enough even if all of it went. -EINPROGRESS: what is
 * evictable is in use now; the request may come again.
 */
static int make_room(struct arena *arena, const struct evict_ask *ask, uint32_t *left,
		     struct why *why)
{
	const struct clock *clock = evictable_clock(arena, ask->uid);
	uint64_t nr_free = nr_free_pfns(arena);
	bool is_long;
	int r;

	if (!clock || clock->nr_pfns + nr_free < ask->nr_pfns)
		return -ENOSPC;
	/* Asked now: the settles below may end the clock with its last allocation. */
	is_long = clock->nr > MAX_LOOKS;
	/*
	 * If there is enough free space and the claim failed all the same, that space is too
	 * scattered: then allocations are freed one at a time until the claim succeeds.
	 */
	r = free_durably(arena, ask, ask->nr_pfns > nr_free ? ask->nr_pfns - nr_free : 1, left);
	if (r == 0 && (*left == 0 || arena->pins_missing || is_long))
		return say_later(arena, ask, why);
	return r > 0 ? 0 : r == 0 ? -ENOSPC : r;
}

/* Is there no place for @nr more allocations, whose records take @nr_records slots? */
static bool is_full(const struct arena *arena, uint32_t nr, uint32_t nr_records)
{
	return !object_is_room(arena, nr) ||
	       table_nr_used(arena->table) + nr_records > table_nr_slots(arena->table);
}

/* evict_for_slots() for @nr allocations. */
static int make_slots(struct arena *arena, uint32_t uid, uint32_t nr, uint32_t nr_records)
{
	const struct evict_ask ask = { .uid = uid };
	uint32_t left = MAX_VICTIMS;
	int r = 1;

	/* What was freed keeps its place while somebody may have it pinned. */
	if (is_full(arena, nr, nr_records))
		ending_release_unpinned(arena);
	while (r > 0 && is_full(arena, nr, nr_records))
		r = free_durably(arena, &ask, 1, &left);
	return r < 0 ? r : 0;
}

int evict_for_slots(struct arena *arena, uint32_t uid, uint32_t nr_records)
{
	return make_slots(arena, uid, 1, nr_records);
}

int evict_for_quota(struct arena *arena, uint32_t uid, uint64_t nr_pfns)
{
	const struct evict_ask ask = { .uid = uid };
	uint32_t left = MAX_VICTIMS;

	/*
	 * With one clock for all users the victims could be other users' allocations, and freeing
	 * those would not lower this user's charge.
	 */
	return arena->evict_any ? 0 : free_durably(arena, &ask, nr_pfns, &left);
}

/* Is @uid above a limit when it gets what @need says? -EDQUOT with a sentence. */
static int check_quota(const struct arena *arena, uint32_t uid, const struct arena_need *need,
		       struct why *why)
{
	int r = quota_check(arena->quota, uid, QUOTA_ALLOCATIONS, need->nr, why);

	return r < 0 ? r
		     : quota_check(arena->quota, uid, QUOTA_BYTES, need->nr_pfns << DESC_SHIFT,
				   why);
}

static bool is_above(const struct arena *arena, uint32_t uid, const struct arena_need *need)
{
	struct why why;

	return check_quota(arena, uid, need, &why) < 0;
}

/* May @uid have what @need says, once as much as it takes was evicted? */
static int check_need(const struct arena *arena, uint32_t uid, const struct arena_need *need,
		      struct why *why)
{
	uint64_t nr = quota_may_reach(arena->quota, uid, QUOTA_ALLOCATIONS),
		 bytes = quota_may_reach(arena->quota, uid, QUOTA_BYTES);
	int r = rules_serving(arena, true, why);

	if (r == 0)
		r = drain_check(arena, why);
	if (r == 0)
		r = rules_not_above(arena, uid, why);
	if (r < 0)
		return r;
	/* What others lose does not lower this user's charge. */
	if (arena->evict_any || (nr && need->nr > nr) ||
	    (bytes && need->nr_pfns > bytes >> DESC_SHIFT))
		r = check_quota(arena, uid, need, why);
	return r;
}

/* The most calls of free_durably() for one batch: it may ask again. */
#define MAX_ROUNDS 8u

int evict_for_many(struct arena *arena, uint32_t uid, const struct arena_need *need,
		   struct why *why)
{
	const struct evict_ask ask = { .uid = uid, .nr_pfns = need->nr_pfns };
	uint32_t left = MAX_VICTIMS;
	int r = check_need(arena, uid, need, why);

	/* Nobody loses anything for what is refused whatever is freed. */
	if (r < 0)
		return r;
	r = make_slots(arena, uid, need->nr, need->nr);
	if (r == 0 && is_above(arena, uid, need))
		ending_release_unpinned(arena);
	for (uint32_t i = 0; r == 0 && is_above(arena, uid, need); i++) {
		if (i == MAX_ROUNDS)
			return say_later(arena, &ask, why);
		if (evict_for_quota(arena, uid, need->nr_pfns) <= 0)
			break;
	}
	while (r == 0 && nr_free_pfns(arena) < need->nr_pfns)
		r = make_room(arena, &ask, &left, why);
	/* What makes the allocations finds the same, and has a sentence for it. */
	return r == -ENOSPC ? 0 : r;
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

/* Frees about @nr_pfns base pages of the user with the most evictable space, if evict_is_due(). */
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
	/*
	 * Counts what is quarantined anew: that space is used by nobody and comes back by itself,
	 * so nothing is evicted for it.
	 */
	room_look(arena);
	/*
	 * Frees a hundredth of the arena at a time; the next tick goes on if evict_is_due() still
	 * holds.
	 */
	free_ahead(arena, (arena->identity.size >> DESC_SHIFT) / 100 + 1, NULL);
}

/* ---- for a request ---- */

/* Claims space that the user had last, if it does not mind what is there; else any other. */
static int claim_once(struct evict_claimed *out, struct arena *arena, const struct evict_ask *ask)
{
	*out = (struct evict_claimed){ .nr = 0 };
	if (ask->any_contents &&
	    space_claim_remains(arena->scratch, &out->nr, arena->space, ask->nr_pfns,
				ask->max_extents, ask->uid) == 0) {
		out->has_contents = true;
		return 0;
	}
	return space_claim(arena->scratch, &out->nr, &out->is_run, arena->space, ask->nr_pfns,
			   ask->max_extents, ask->uid);
}

/*
 * Claims space. On failure it releases what was only kept for pins that were put meanwhile, and
 * claims once more. The regular look at the pins is too seldom for a cache that turns over its
 * whole arena.
 */
static int claim(struct evict_claimed *out, struct arena *arena, const struct evict_ask *ask)
{
	int r = claim_once(out, arena, ask);

	if (r == -ENOSPC && ending_release_unpinned(arena))
		r = claim_once(out, arena, ask);
	return r;
}

int evict_claim(struct evict_claimed *out, struct arena *arena, const struct evict_ask *ask,
		struct why *why)
{
	uint32_t left = MAX_VICTIMS;
	int r = 0;

	/*
	 * While evict_is_due(), each request frees somewhat more than it takes, for the requests
	 * after it. It has no use of that itself: what it takes must have been scrubbed already.
	 */
	if (!ask->evicts_nobody)
		free_ahead(arena, ask->nr_pfns + ask->nr_pfns / 4, ask->except);
	while (r == 0) {
		r = claim(out, arena, ask);
		/*
		 * A lease is space that a client takes ahead without a need, and the copy of what
		 * is moved is nothing that the owner asked for: neither must make clients give up
		 * what they have.
		 */
		if (r != -ENOSPC || ask->evicts_nobody)
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
