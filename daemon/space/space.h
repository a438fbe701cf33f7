/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * space: which pages of the data area are free, and what the descriptors say of the others. Nobody
 * else writes descriptors above the memmap. It knows ranges, owners, and what reads as zeroes; no
 * names, sessions or records.
 *
 *	compound pages  clean (known to be zero) --claim--> used --release--> dirty
 *	                dirty --scrubber--> clean
 *	                used --release--> remains --claim of the same user--> used
 *	                remains --wanted by others, or not asked for--> dirty
 *	base pages      a clean compound page is split for one user, whose runs lie in it:
 *	                clean run --claim--> used --release--> scrubbed --> clean run
 *	                when the last of them is free, the page is whole again
 *
 * All ranges are in base pages of the data area. The loop thread alone calls this.
 */
#ifndef PMEMARENA_SPACE_H
#define PMEMARENA_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/space/extent.h"
#include "daemon/space/scrub.h"
#include "daemon/books/zeromap.h"
#include "daemon/media/media.h"
#include "daemon/memmap/memmap.h"

struct space;

struct space_params {
	uint8_t  order;
	uint64_t nr_pages;                      /* compound pages */
	/* borrowed, as the three that follow; they outlive the space */
	struct memmap   *mm;
	struct zeromap  *zero;
	struct media    *data;
	struct scrubber *scrubber;
	const char *name;                       /* the arena's, for the trace; NULL: none */
	/* of a file: so many free pages keep their blocks */
	uint64_t keep_pages;
	/* so many free pages may be kept as their last users left them, see remains.h */
	uint64_t max_remains;
	void *owner;                            /* what space_owner() returns */
};

int space_new(struct space **out, const struct space_params *params);
void *space_owner(const struct space *space);
void space_free(struct space *space);           /* cancels its jobs in the scrubber */

/* ---- a start: first mark all that is used, then space_build() once ---- */

/*
 * Marks what a record or the ledger says is used by @object (a slot + 1). -EEXIST: somebody has a
 * part of it already, and nothing was marked; -ERANGE: it is not in the data area; -ENOMEM.
 */
int space_mark_used(struct space *space, struct extent range, bool is_run, uint32_t uid,
		    uint32_t object);
/* Makes everything else free: clean where the zero map says so, dirty elsewhere. -ENOMEM. */
int space_build(struct space *space);

/*
 * While it withholds, space_build() makes free only what the zero map knows to be zero: all else
 * may be mapped where this kernel cannot see it. Call it before space_build().
 */
void space_set_withholding(struct space *space, bool withholds);
/*
 * Nobody has the space any more on this host, and another one may: until the next start it is
 * neither scrubbed nor given to anybody. Of a split page the range counts as used.
 */
void space_withhold(struct space *space, struct extent range, bool is_run);

/* ---- claiming and releasing ---- */

/*
 * Claims @nr_pfns base pages for the user @uid: a run if that is less than a compound page, else
 * whole compound pages in at most @max extents. *nr is the number of extents. The zero bits are
 * cleared, and space_take_fence() says that a fence is due; the blocks behind a file are allocated.
 * -ENOSPC; -EAGAIN: there is enough once it is scrubbed; -ENOMEM; -EIO. On failure nothing changes.
 */
int space_claim(struct extent *extents, uint32_t *nr, bool *is_run, struct space *space,
		uint64_t nr_pfns, uint32_t max, uint32_t uid);
/*
 * Claims whole compound pages that @uid had last, as it left them: they do not read as zeroes. It
 * takes none where the same space can be had in fewer extents as zeroes. *nr and @max as above.
 * -ENOSPC: there are none, or too few; the caller claims other pages. On failure nothing changes.
 */
int space_claim_remains(struct extent *extents, uint32_t *nr, struct space *space, uint64_t nr_pfns,
			uint32_t max, uint32_t uid);
/*
 * Makes the last @bytes bytes of @range zero. space_fence_data() makes that durable. -EIO.
 */
int space_zero_end(struct space *space, struct extent range, uint64_t bytes);
/*
 * Claims the @nr_pfns base pages behind @run in its compound page, for growing in place. -ENOSPC:
 * they are not free.
 */
int space_claim_behind(struct space *space, struct extent run, uint64_t nr_pfns);
/*
 * Writes @object (a slot + 1) into the descriptors of @range: it belongs to that allocation. 0: to
 * nobody. Quarantined space keeps its object until it is released.
 */
void space_set_object(struct space *space, struct extent range, bool is_run, uint32_t object);
/* Undoes a space_claim() that nobody used: the space still reads as zeroes. */
void space_unclaim(struct space *space, struct extent range, bool is_run);
/* Undoes a space_claim_remains() by @uid. */
void space_unclaim_remains(struct space *space, struct extent range, uint32_t uid);
/*
 * Nobody has the space any more, and @uid, who had it last, may know all that is in it: it is
 * scrubbed, and then free; or it is kept for @uid as it is. -ENOMEM: nothing changes, try again
 * later.
 */
int space_release(struct space *space, struct extent range, bool is_run, uint32_t uid);

/* Do other runs lie in the compound page of @run? */
bool space_is_shared(const struct space *space, struct extent run);
/* The user of @run, whose compound page is not shared, is @uid from now on. */
void space_set_owner(struct space *space, struct extent run, uint32_t uid);

/*
 * Makes zeroes durable that the loop thread wrote itself. Call it before anybody is told of the
 * space that has them. -EIO.
 */
int space_fence_data(struct space *space);
/*
 * Were zero bits cleared since the last call? Then a fence is due before the space is handed out,
 * or a power cut could leave a used page that counts as zero.
 */
bool space_take_fence(struct space *space);

/* Takes back a job of the scrubber. Returns true if there is more clean space than before. */
bool space_collect(struct space *space, struct scrub_job *job);
/*
 * While it is held, nothing is scrubbed, since it may be somebody's data (a damaged arena). Letting
 * go starts what has gathered.
 */
void space_hold(struct space *space, bool held);
/* Sends dirty space to the scrubber; cheap when there is none. */
void pages_kick(struct space *space);
bool space_is_busy(const struct space *space);  /* Is anything being scrubbed, or waiting for it? */
/* Regular work: the memmap's upkeep, spare pages, and what was not possible for lack of memory. */
void space_upkeep(struct space *space);

/*
 * Notes that the base page @pfn is bad. 1: it was good before; 0: it was known; -ENOMEM. The good
 * rest of a free page can still serve runs. *object is whose it is, a slot + 1; 0: nobody's.
 */
int space_poison(struct space *space, uint64_t pfn, uint32_t *object);

/* Returns whose the base page is, a slot + 1; 0: nobody's. */
uint32_t space_object_at(const struct space *space, uint64_t pfn);

struct space_stats {
	/* bytes, as all but free_extents; the sum of the next two */
	uint64_t free;
	/* in whole compound pages; in split ones, for small allocations of their owners */
	uint64_t free_pages, free_runs;
	/* what can be handed out at once; of it, in whole pages */
	uint64_t known_zero, known_zero_pages;
	/* the part of `free` that is dirty or being zeroed */
	uint64_t scrubbing;
	/* the part of `free` that is kept as it is for the users who had it last */
	uint64_t remains;
	/* of whole pages, clean or not, that are not being zeroed */
	uint64_t largest_free;
	/* withheld; no part of `free` */
	uint64_t withheld;
	uint64_t poisoned;
	uint64_t free_extents, scrubbed_total;
};
void space_stats(const struct space *space, struct space_stats *stats);

#endif
