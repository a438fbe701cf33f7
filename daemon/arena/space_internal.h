/* SPDX-License-Identifier: BSD-3-Clause */
/* space_internal: what space.c (compound pages), dirt.c (their way back) and run.c (base pages of split ones) share; for nobody else. */
#ifndef PMEMARENA_SPACE_INTERNAL_H
#define PMEMARENA_SPACE_INTERNAL_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/arena/backed.h"
#include "daemon/arena/space.h"

#define NO_PAGE UINT64_MAX
#define NOBODY UINT32_MAX               /* owner of split pages that no user has: free pages with a bad base page */

/* What one user has left in the compound pages that are split for him. */
struct owner {
	RB_ENTRY(owner) link;           /* space.owners */
	uint32_t uid;
	struct extent_map *runs;        /* owned; clean base pages, never merged across compound pages */
	uint64_t spare;                 /* a page that stays split though nothing of it is used; NO_PAGE: none */
	bool     spare_is_old;          /* it was there when upkeep came by last */
};
RB_HEAD(owner_tree, owner);

/* One range on its way through the scrubber. */
struct space_job {
	struct scrub_job job;
	TAILQ_ENTRY(space_job) link;    /* space.jobs */
	struct extent range;            /* pfns */
	bool is_run;
	bool is_held;                   /* not with the scrubber yet */
};

struct space {
	struct space_params p;
	uint64_t pfns_per_page;
	struct extent_map *clean, *dirty;       /* owned; compound pages */
	struct owner_tree owners;               /* owned */
	struct backed *backed;                  /* owned; NULL: free pages keep no blocks */
	TAILQ_HEAD(, space_job) jobs;           /* owned; handed to the scrubber */
	uint32_t nr_page_jobs;                  /* of those, how many are for compound pages */
	uint64_t scrubbing_pfns;                /* in jobs */
	uint64_t free_run_pfns;                 /* in owners' runs */
	uint64_t poisoned_pfns;
	uint64_t scrubbed_pfns;
	bool     wants_fence;
	bool     wants_data_fence;              /* zeroes that are on their way */
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

/* space.c, for run.c */
int space_take_page(struct space *space, uint64_t *page);               /* one clean page, its zero bit cleared. -ENOSPC, -EAGAIN */
void space_give_page(struct space *space, uint64_t page);               /* back, clean */
int space_allocate_run(struct space *space, struct extent run);         /* its blocks, if they are not there. -errno */

/* dirt.c */
int space_submit(struct space *space, struct extent range, bool is_run);        /* to the scrubber. -ENOMEM */

/* run.c, for space.c */
int run_compare(const struct owner *a, const struct owner *b);
RB_PROTOTYPE(owner_tree, owner, link, run_compare)
int run_claim(struct extent *out, struct space *space, uint64_t nr_pfns, uint32_t uid);
int run_release_clean(struct space *space, struct extent run);          /* after the scrub, or never handed out. -ENOMEM */
int run_split(struct space *space, uint64_t page, uint32_t uid);        /* descriptors: all base pages used by nobody yet */
int run_build(struct space *space, uint64_t page);                      /* recovery: gaps of a split page go to the scrubber */
int run_mark_used(struct space *space, struct extent run, uint32_t uid, uint32_t object);
int run_adopt_poisoned(struct space *space, uint64_t page);             /* a claimed, scrubbed page with bad base pages */
void run_take_bad(struct space *space, uint64_t pfn);                  /* a base page of a split page went bad: nobody gets it */
bool run_drop_spares(struct space *space, bool old_ones);                /* true: some page is whole again */
uint64_t run_largest(const struct space *space, uint32_t uid);
void run_free_owners(struct space *space);

#endif
