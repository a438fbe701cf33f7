/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "daemon/arena/claim.h"

#include <errno.h>
#include <string.h>

#include "daemon/arena/evict.h"
#include "daemon/arena/room.h"

/*
 * What lies behind ask->len in space that is handed out as it is was nobody's wish, and whoever
 * opens the allocation reads it: it is zeroed here. Where that would take the loop thread long, the
 * request is given space that was scrubbed.
 */
#define MAX_REST (UINT64_C(64) << 10)

static bool may_have_contents(const struct arena *arena, const struct arena_ask *ask,
			      uint64_t nr_pfns)
{
	/* If the changes are undone, a published one no longer tells what it was given. */
	return ask->any_contents && !arena->bundle &&
	       (nr_pfns << DESC_SHIFT) - ask->len <= MAX_REST;
}

/* Puts back what was claimed, which nobody has seen. */
static void unclaim(struct arena *arena, uint32_t uid, const struct extent *extents,
		    const struct evict_claimed *claimed)
{
	for (uint32_t i = 0; i < claimed->nr; i++) {
		if (claimed->has_contents)
			space_unclaim_remains(arena->space, extents[i], uid);
		else
			space_unclaim(arena->space, extents[i], claimed->is_run);
	}
}

static int zero_rest(struct arena *arena, const struct evict_claimed *claimed, uint64_t bytes)
{
	if (!claimed->has_contents || !bytes)
		return 0;
	return space_zero_end(arena->space, arena->scratch[claimed->nr - 1], bytes);
}

/* Claims space for the allocation: pages, marked as used in memory. */
int claim_space(struct alloc **out, struct arena *arena, const struct caller *caller,
		       uint64_t nr_pfns, const struct arena_ask *ask, struct why *why)
{
	const struct evict_ask claim = {
		.uid = caller->uid,
		.nr_pfns = nr_pfns,
		.max_extents = ask->contiguous ? 1 : ALLOC_MAX_EXTENTS,
		.evicts_nobody = ask->lease || ask->is_transfer,
		.any_contents = may_have_contents(arena, ask, nr_pfns),
	};
	struct evict_claimed claimed;
	struct alloc *alloc;
	int r;

	r = evict_claim(&claimed, arena, &claim, why);
	if (r == -EINPROGRESS)
		return r;
	if (r < 0)
		return room_explain(arena, r, nr_pfns, ask->contiguous, why);
	r = zero_rest(arena, &claimed, (nr_pfns << DESC_SHIFT) - ask->len);
	if (r == 0)
		r = alloc_new(&alloc, claimed.nr);
	if (r < 0) {
		unclaim(arena, caller->uid, arena->scratch, &claimed);
		return room_explain(arena, r, nr_pfns, ask->contiguous, why);
	}
	memcpy(alloc->extents, arena->scratch, claimed.nr * sizeof(*alloc->extents));
	alloc->nr_pfns = nr_pfns;
	alloc->is_run = claimed.is_run;
	alloc->has_contents = claimed.has_contents;
	*out = alloc;
	return 0;
}

void claim_undo(struct arena *arena, const struct alloc *alloc, uint32_t uid)
{
	unclaim(arena, uid, alloc->extents,
		&(struct evict_claimed){ .nr = alloc->nr_extents,
					 .is_run = alloc->is_run,
					 .has_contents = alloc->has_contents });
}
