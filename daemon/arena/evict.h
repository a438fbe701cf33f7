/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: frees the evictable allocations that were not used for longest, to make room for others.
 */
#ifndef PMEMARENA_EVICT_H
#define PMEMARENA_EVICT_H

#include "daemon/arena/arena_internal.h"

/* What somebody wants space for. */
struct evict_ask {
	uint32_t uid;                   /* the user who wants it, and whose allocations may go */
	uint64_t nr_pfns;               /* how many base pages it wants */
	uint32_t max_extents;           /* the most extents that it can take */
	bool     evicts_nobody;         /* nothing is evicted for it, and no lease asked back */
	bool     any_contents;          /* space that the user had last may come as it is */
	const struct alloc *except;     /* an allocation that must not be freed for it; or NULL */
};

/* What somebody got: extents in arena.scratch. */
struct evict_claimed {
	uint32_t nr;                    /* how many extents */
	bool     is_run;                /* it is one run of base pages */
	bool     has_contents;          /* it is as its last user, the one who asked, left it */
};

/*
 * Claims space into arena.scratch, as space_claim() does. Where there is none it frees evictable
 * allocations, as many as are needed, and then asks clients for their leases back. -EAGAIN and
 * -ENOSPC: as of space_claim(). -EINPROGRESS: clients were asked to give space back, or not all
 * could be freed at once: the request may come again; *why has a sentence for those that cannot
 * wait.
 */
int evict_claim(struct evict_claimed *out, struct arena *arena, const struct evict_ask *ask,
		struct why *why);
/*
 * Frees evictable allocations of @uid until there is an object slot for one more allocation, and
 * @nr_records table slots for its record. Returns 0 also if nothing could be freed: the caller
 * finds out when it takes the slots. -EIO: the arena went offline.
 */
int evict_for_slots(struct arena *arena, uint32_t uid, uint32_t nr_records);
/*
 * Frees @nr_pfns base pages of user @uid, who is at a limit of its quota. Returns how many
 * allocations were freed; -EIO: the arena went offline.
 */
int evict_for_quota(struct arena *arena, uint32_t uid, uint64_t nr_pfns);
/*
 * Makes room, ahead, for all allocations of a bundle: what they need in slots, in quota and in
 * space. 0 also if there is not enough; -EINPROGRESS: the request may come again; -EIO.
 */
int evict_for_many(struct arena *arena, uint32_t uid, const struct arena_need *need,
		   struct why *why);
/* Is more than arena.evict_above percent of the arena used, and is anything evictable? */
bool evict_is_due(const struct arena *arena);
/* Regular work of each tick: frees some evictable allocations if evict_is_due(). */
void evict_ahead(struct arena *arena);

#endif
