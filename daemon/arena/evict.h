/* SPDX-License-Identifier: BSD-3-Clause */
/* evict: frees what was used longest ago, and may be freed, to make room for others. */
#ifndef PMEMARENA_EVICT_H
#define PMEMARENA_EVICT_H

#include "daemon/arena/arena_internal.h"

/* A claim of space. */
struct evict_ask {
	uint32_t uid;                   /* for whom */
	uint64_t nr_pfns;               /* how many base pages */
	uint32_t max_extents;           /* in how many pieces at most */
	bool     is_lease;              /* it makes nobody give up anything */
	const struct alloc *except;     /* this one is not freed for it; or NULL */
};

/*
 * As space_claim() into arena.scratch; where there is no space it frees evictable allocations, as
 * many as are needed, and then asks for leases back. -EAGAIN, -ENOSPC as that; -EINPROGRESS: others
 * were asked to give space back, or not all could be freed at once: ask again later, *why has the
 * sentence for who cannot wait.
 */
int evict_claim(uint32_t *nr, bool *is_run, struct arena *arena, const struct evict_ask *ask,
		struct why *why);
/*
 * Frees evictable allocations of @uid until there is a place for one more allocation, whose record
 * takes @nr_records slots of the table. 0 also where there is nothing to free: whoever needs the
 * place finds that out. -EIO: the arena went offline.
 */
int evict_for_slots(struct arena *arena, uint32_t uid, uint32_t nr_records);
/*
 * The user @uid is at a limit of its quota: frees @nr_pfns base pages of its own. Returns how many
 * allocations were freed; -EIO.
 */
int evict_for_quota(struct arena *arena, uint32_t uid, uint64_t nr_pfns);
/* Are more than arena.evict_above percent used, and is anything evictable? */
bool evict_is_due(const struct arena *arena);
/* Regular work: frees some of what is evictable while evict_is_due(). */
void evict_ahead(struct arena *arena);

#endif
