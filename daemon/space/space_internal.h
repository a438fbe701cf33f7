/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * space_internal: what pages.c, run.c, space.c and dirt.c share, for nobody else. The prototypes
 * stand in the order of the calls, from the bottom up.
 */
#ifndef PMEMARENA_SPACE_INTERNAL_H
#define PMEMARENA_SPACE_INTERNAL_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/space/backed.h"
#include "daemon/space/remains.h"
#include "daemon/space/space.h"

#define NO_PAGE UINT64_MAX
/* the owner of split pages that no user has: they have a bad base page */
#define NOBODY UINT32_MAX

/* What one user has left in the compound pages that are split for it. */
struct owner {
	RB_ENTRY(owner) link;           /* in space.owners */
	uint32_t uid;
	/* owned; clean base pages, never merged across compound pages */
	struct extent_map *runs;
	/* a page of which nothing is used and which stays split; NO_PAGE: none */
	uint64_t spare;
	bool     spare_is_old;          /* it was there already when upkeep came by last */
};
RB_HEAD(owner_tree, owner);

/* One range on its way through the scrubber. */
struct space_job {
	struct scrub_job job;
	TAILQ_ENTRY(space_job) link;    /* on space.jobs */
	struct extent range;            /* in base pages */
	bool is_run;
	bool is_held;                   /* the scrubber does not have it yet (space_hold()) */
};

struct space {
	struct space_params p;
	uint64_t pfns_per_page;
	struct extent_map *clean, *dirty;       /* owned; in compound pages */
	struct remains *remains;                /* owned; in compound pages */
	struct owner_tree owners;               /* owned */
	struct backed *backed;                  /* owned; NULL: free pages keep no blocks */
	/*
	 * owned: what is to be zeroed before it is free; the scrubber works on those of which
	 * is_held is false
	 */
	TAILQ_HEAD(, space_job) jobs;
	uint32_t nr_page_jobs;                  /* how many of the jobs are of compound pages */
	uint64_t scrubbing_pfns;                /* base pages in jobs */
	uint64_t free_run_pfns;                 /* free base pages in the runs of all owners */
	uint64_t poisoned_pfns;
	uint64_t withheld_pfns;
	bool     is_withholding;
	uint64_t scrubbed_pfns;
	bool     wants_fence;
	/* the loop thread wrote zeroes that are not fenced yet */
	bool     wants_data_fence;
	bool     held;
};

static inline uint64_t page_of(const struct space *space, uint64_t pfn)
{
	return pfn >> space->p.order;
}

static inline uint64_t pfn_of(const struct space *space, uint64_t page)
{
	return page << space->p.order;
}

static inline struct extent pages_of(const struct space *space, struct extent range)
{
	return (struct extent){ page_of(space, range.off), range.len >> space->p.order };
}

static inline uint64_t byte_of(uint64_t pfn)
{
	return pfn << DESC_SHIFT;
}

/* ---- pages.c ---- */

/* Makes a job of @range for the scrubber. -ENOMEM. */
int pages_submit(struct space *space, struct extent range, bool is_run);
/* Sends as many dirty pages to the scrubber as it may have at once. */
void pages_kick(struct space *space);
/*
 * A claim of @nr_pages clean pages failed: makes dirty what it takes of the pages that are kept for
 * their last users, so that there will be enough.
 */
void pages_want(struct space *space, uint64_t nr_pages);
/* Makes those dirty that are kept for users who do not ask for them any more. */
void pages_drop_idle(struct space *space);
/*
 * Keeps @pages, which nobody has any more, for @uid as they are. Returns false if they are to be
 * scrubbed instead.
 */
bool pages_keep(struct space *space, struct extent pages, uint32_t uid);
/* Sets or clears the flag that `pmemarenactl map` shows. */
void pages_set_scrubbing(struct space *space, struct extent pages, bool scrubbing);
/*
 * Takes @nr_pages clean pages: one range if there is one, else the largest ones, at most @max.
 * -ENOSPC; -EAGAIN: there will be enough when more is scrubbed.
 */
int pages_claim(struct extent *extents, uint32_t *nr, struct space *space, uint64_t nr_pages,
		uint32_t max);
/*
 * As pages_claim(), of pages that @uid had last, which are not zero: one range, or as many as it
 * takes if there is no one clean range either. -ENOSPC.
 */
int pages_claim_remains(struct extent *extents, uint32_t *nr, struct space *space,
			uint64_t nr_pages, uint32_t max, uint32_t uid);
/* Puts back pages that nobody used, as clean ones. */
void pages_unclaim(struct space *space, const struct extent *extents, uint32_t nr);
/* Asks the file system for the blocks of @pages, if they have none. */
int pages_allocate(struct space *space, struct extent pages);
/* Asks the file system for the blocks of the base pages of @run, if they have none. */
int pages_allocate_run(struct space *space, struct extent run);
/* Takes one clean page and clears its zero bit. -ENOSPC, -EAGAIN. */
int pages_take(struct space *space, uint64_t *page);
/* Puts @page, which pages_take() returned, back as a clean page. */
void pages_give(struct space *space, uint64_t page);

/* ---- run.c ---- */

int run_compare(const struct owner *a, const struct owner *b);
RB_PROTOTYPE(owner_tree, owner, link, run_compare)
/* Takes a run for @uid, if need be from a page that is split for it. -ENOSPC, -EAGAIN, -ENOMEM. */
int run_claim(struct extent *out, struct space *space, uint64_t nr_pfns, uint32_t uid);
/*
 * Makes @run free for its owner at once. The caller knows that it reads as zeroes: it was scrubbed,
 * or nobody used it. -ENOMEM.
 */
int run_release_clean(struct space *space, struct extent run);
/* Marks the descriptors of @page as split; all base pages count as used at first. */
int run_split(struct space *space, uint64_t page, uint32_t uid);
/* At a start: sends what nobody has of a split page to the scrubber. */
int run_build(struct space *space, uint64_t page);
/* At a start: marks @run of a split page as used. -EEXIST: somebody has a part of it; -ENOMEM. */
int run_mark_used(struct space *space, struct extent run, uint32_t uid, uint32_t object);
/* Makes runs for anybody of what is good of a page with bad base pages, claimed and scrubbed. */
int run_adopt_poisoned(struct space *space, uint64_t page);
/* Notes that a base page of a split page went bad: no claim gets it from now on. */
void run_take_bad(struct space *space, uint64_t pfn);
/*
 * Makes the spare pages of all users whole; with @old_ones only those that were spare already when
 * upkeep came by last. Returns true if some page is whole again.
 */
bool run_drop_spares(struct space *space, bool old_ones);
void run_free_owners(struct space *space);

#endif
