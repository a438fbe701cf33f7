/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * space: which pages of the data area are free, and what the descriptors say about the others. The only writer of
 * descriptors above the memmap. It knows ranges, owners and whether they read as zeroes; not names, sessions or records.
 *
 *	compound pages:  clean (known to read as zeroes) --claim--> used --release--> dirty --scrubber--> clean
 *	base pages:      a clean compound page is split for one owner, its base pages are that owner's runs:
 *	                 clean run --claim--> used --release--> scrubbed --> clean run; the last one free: page is whole again
 *
 * All ranges here are in pfns of the data area. Loop thread only.
 */
#ifndef PMEMARENA_SPACE_H
#define PMEMARENA_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/extent.h"
#include "daemon/arena/scrub.h"
#include "daemon/arena/zeromap.h"
#include "daemon/media/media.h"
#include "daemon/memmap/memmap.h"

struct space;

struct space_params {
	uint8_t  order;
	uint64_t nr_pages;                      /* compound pages */
	struct memmap   *mm;                    /* these are borrowed and outlive the space */
	struct zeromap  *zero;
	struct media    *data;
	struct scrubber *scrubber;
	uint64_t keep_pages;                    /* a file's: so many free pages keep their blocks; 0: none */
};

int space_new(struct space **out, const struct space_params *params);
void space_free(struct space *space);           /* cancels its scrubbing */

/* ---- recovery: first all that is used, then space_build() once ---- */

/* Found in a record or the ledger. -EEXIST: (part of) it is somebody's already, and nothing was marked; -ERANGE not in the data area; -ENOMEM. */
int space_mark_used(struct space *space, struct extent range, bool is_run, uint32_t uid, uint32_t object);
/* Everything else is free: clean where the zero map says so, dirty elsewhere. -ENOMEM. */
int space_build(struct space *space);

/* ---- claim and release ---- */

/*
 * Room for @nr_pfns under the owner @uid: a run of base pages when it is less than a compound page, else whole pages, in up to @max extents
 * (1: contiguous). The zero bits are cleared, unfenced: space_wants_fence(). The blocks behind a file are allocated. On success
 * *nr extents, and *is_run. -ENOSPC; -EAGAIN there is enough once it is scrubbed; -ENOMEM; -EIO. Nothing changes on failure.
 */
int space_claim(struct extent *extents, uint32_t *nr, bool *is_run, struct space *space, uint64_t nr_pfns, uint32_t max, uint32_t uid);
/* The base pages right behind a run, inside its compound page: for growing in place. -ENOSPC they are not free. */
int space_claim_behind(struct space *space, struct extent run, uint64_t nr_pfns);
/* Write who it belongs to into the descriptors. object 0: nobody (quarantined space keeps its object until it is released). */
void space_set_object(struct space *space, struct extent range, bool is_run, uint32_t object);
/* Undo a claim that was never handed out: it still reads as zeroes. */
void space_unclaim(struct space *space, struct extent range, bool is_run);
/* Nobody has it any more: it is scrubbed and then free. -ENOMEM: nothing changed, try later. */
int space_release(struct space *space, struct extent range, bool is_run);

bool space_is_shared(const struct space *space, struct extent run);     /* its compound page has other runs */
void space_set_owner(struct space *space, struct extent run, uint32_t uid);     /* of a page that is not shared */

/* Zeroes that were written on the spot are durable afterwards; before the space that has them can be told to anybody. -EIO. */
int space_fence_data(struct space *space);
/* True since the last time it was asked: zero bits were cleared and want a fence before anything is handed out. */
bool space_take_fence(struct space *space);

/* A job of ours is done. True when there is more clean space than before. */
bool space_collect(struct space *space, struct scrub_job *job);
/* Held: nothing is scrubbed but what is released from here on. Letting go starts what has gathered. */
void space_hold(struct space *space, bool held);
void space_kick(struct space *space);           /* put dirty space to work; cheap when there is none */
bool space_is_busy(const struct space *space);  /* something is being scrubbed, or waits for it */
void space_upkeep(struct space *space);         /* memmap_maintain(), what could not be done for want of memory */

/* A base page went bad. 1: newly; its page's free rest stays usable for runs. *object: whose it is, 0 nobody's. */
int space_poison(struct space *space, uint64_t pfn, uint32_t *object);

/* Whose is it? 0: nobody's. */
uint32_t space_object_at(const struct space *space, uint64_t pfn);

struct space_stats {
	uint64_t free;                          /* bytes, as all but free_extents: free_pages + free_runs */
	uint64_t free_pages, free_runs;         /* whole compound pages; runs in split ones, for allocations of their owners below a page */
	uint64_t known_zero, known_zero_pages;  /* can be handed out at once */
	uint64_t scrubbing;                     /* of free: dirty, or being zeroed */
	uint64_t largest_free;                  /* of whole pages, dirty ones too; what is just being zeroed is in none */
	uint64_t poisoned;
	uint64_t free_extents, scrubbed_total;
};
void space_stats(const struct space *space, struct space_stats *stats);

#endif
