/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages: moves compound pages between clean and dirty: takes them from the clean ones, puts them
 * back, sends them to the scrubber. What becomes of them is for others: whole allocations are
 * space.c's, base pages run.c's, what the scrubber found dirt.c's.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/space/space_internal.h"
#include "daemon/space/space_trace.h"

/*
 * The size of one job of the scrubber: so large that most of its time is the zeroing, so small that
 * the first pages are soon clean.
 */
#define JOB_BYTES    (UINT64_C(64) << 20)
#define MAX_JOBS     8u

void space_set_object(struct space *space, struct extent range, bool is_run, uint32_t object)
{
	struct extent pages = pages_of(space, range);

	for (uint64_t i = 0; is_run && i < range.len; i++)
		memmap_tail(space->p.mm, range.off + i)->object = object;
	for (uint64_t i = 0; !is_run && i < pages.len; i++)
		memmap_head(space->p.mm, pages.off + i)->object = object;
}

int space_fence_data(struct space *space)
{
	bool wants = space->wants_data_fence;

	space->wants_data_fence = false;
	return wants ? media_fence(space->p.data) : 0;
}

/* ---- to the scrubber ---- */

void pages_set_scrubbing(struct space *space, struct extent pages, bool scrubbing)
{
	for (uint64_t i = 0; i < pages.len; i++) {
		struct desc *head;

		if (!memmap_is_active(space->p.mm, pages.off + i))
			/*
			 * Skips the page: to set the flag would activate the section, and 2 MiB of
			 * descriptors are too much for a flag that only `pmemarenactl map` shows.
			 */
			continue;
		head = memmap_head(space->p.mm, pages.off + i);
		if (scrubbing)
			head->flags |= DESC_SCRUBBING;
		else
			head->flags &= (uint16_t)~DESC_SCRUBBING;
	}
}

int pages_submit(struct space *space, struct extent range, bool is_run)
{
	struct space_job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->range = range;
	job->is_run = is_run;
	job->job.media = space->p.data;
	job->job.off = byte_of(range.off);
	job->job.len = byte_of(range.len);
	job->job.keeps_blocks = is_run ? backed_has(space->backed, page_of(space, range.off), 1)
				       : backed_keep(space->backed, page_of(space, range.off),
						     range.len >> space->p.order);
	job->job.owner = space;
	TAILQ_INSERT_TAIL(&space->jobs, job, link);
	space_trace_scrub(space, range, is_run);
	space->scrubbing_pfns += range.len;
	space->nr_page_jobs += !is_run;
	if (!is_run)
		pages_set_scrubbing(space, pages_of(space, range), true);
	job->is_held = space->held;
	if (!job->is_held)
		scrubber_submit(space->p.scrubber, &job->job);
	return 0;
}

void pages_kick(struct space *space)
{
	uint64_t max = JOB_BYTES >> DESC_SHIFT >> space->p.order;
	struct extent pages;

	if (space->held)
		return;
	while (space->nr_page_jobs < MAX_JOBS && extent_total(space->dirty) > 0) {
		if (extent_claim_largest(&pages, space->dirty, max ? max : 1) < 0)
			return;
		if (pages_submit(
			    space,
			    (struct extent){ pfn_of(space, pages.off), pfn_of(space, pages.len) },
			    false) < 0) {
			extent_release(space->dirty, pages, NULL);
			return;
		}
	}
}

/* ---- pages that are kept for their last users ---- */

bool pages_keep(struct space *space, struct extent pages, uint32_t uid)
{
	/*
	 * In a file, they keep their blocks too, and of free pages with blocks there may be so many
	 * and no more.
	 */
	if (!remains_would_keep(space->remains, uid, pages.len) ||
	    (space->backed && !backed_keep(space->backed, pages.off, pages.len)))
		return false;
	if (remains_keep(space->remains, uid, pages))
		return true;
	backed_use(space->backed, pages.off, pages.len);
	return false;
}

/*
 * Makes @pages dirty that were kept. They do not count as free pages with blocks until the scrubber
 * has them. The caller has made sure that there is memory.
 */
static void make_dirty(struct space *space, struct extent pages)
{
	backed_use(space->backed, pages.off, pages.len);
	extent_release(space->dirty, pages, NULL);
}

/* How many pages must be made dirty, so that @nr_pages will be clean? */
static uint64_t nr_wanted(const struct space *space, uint64_t nr_pages)
{
	uint64_t clean = extent_total(space->clean);
	uint64_t pending = extent_total(space->dirty) + (space->scrubbing_pfns >> space->p.order);
	uint64_t batch = JOB_BYTES >> DESC_SHIFT >> space->p.order;

	if (pending > 0 && clean + pending >= nr_pages)
		return 0;
	/* There are enough clean pages, and they are too scattered. */
	if (clean >= nr_pages)
		return UINT64_MAX;
	/* Some more than that: who comes next finds them. */
	return nr_pages - clean - pending > batch ? nr_pages - clean - pending : batch;
}

void pages_want(struct space *space, uint64_t nr_pages)
{
	uint64_t left = nr_wanted(space, nr_pages);
	struct extent pages;

	while (left > 0 && extent_map_reserve(space->dirty, 1) == 0 &&
	       remains_claim_any(&pages, space->remains, left) == 0) {
		make_dirty(space, pages);
		left -= pages.len;
	}
	pages_kick(space);
}

void pages_drop_idle(struct space *space)
{
	struct extent pages;

	while (extent_map_reserve(space->dirty, 1) == 0 &&
	       remains_claim_idle(&pages, space->remains, UINT64_MAX) == 0)
		make_dirty(space, pages);
}

/* Puts the @nr ranges back that were taken out of what is kept for @uid. */
static void put_back(struct space *space, const struct extent *extents, uint32_t nr, uint32_t uid)
{
	for (uint32_t i = 0; i < nr; i++)
		remains_keep(space->remains, uid, pages_of(space, extents[i]));
}

int pages_claim_remains(struct extent *extents, uint32_t *nr, struct space *space,
			uint64_t nr_pages, uint32_t max, uint32_t uid)
{
	struct extent pages;
	uint64_t left = nr_pages;

	*nr = 0;
	if (remains_claim(&pages, space->remains, uid, nr_pages) == 0) {
		extents[(*nr)++] =
			(struct extent){ pfn_of(space, pages.off), pfn_of(space, pages.len) };
		return 0;
	}
	if (max == 1 || remains_total_of(space->remains, uid) < nr_pages ||
	    extent_largest(space->clean) >= nr_pages)
		return -ENOSPC;
	for (; left > 0 && *nr < max; left -= pages.len) {
		if (remains_claim_largest(&pages, space->remains, uid, left) < 0)
			break;
		extents[(*nr)++] =
			(struct extent){ pfn_of(space, pages.off), pfn_of(space, pages.len) };
	}
	if (left == 0)
		return 0;
	put_back(space, extents, *nr, uid);
	return -ENOSPC;
}

/* ---- claiming clean pages, and putting them back ---- */

/*
 * There are too few clean pages for a request. -EAGAIN: there will be enough once the dirty ones
 * are scrubbed; -ENOSPC: there will not.
 */
static int out_of_space(const struct space *space, uint64_t nr_pages)
{
	uint64_t pending = extent_total(space->dirty) + remains_total(space->remains) +
			   (space->scrubbing_pfns >> space->p.order);

	return pending > 0 && extent_total(space->clean) + pending >= nr_pages ? -EAGAIN : -ENOSPC;
}

void pages_unclaim(struct space *space, const struct extent *extents, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct extent pages = pages_of(space, extents[i]);

		/* This cannot fail: the claim left the node that the release needs. */
		if (extent_release(space->clean, pages, NULL) == 0)
			zeromap_set(space->p.zero, pages.off, pages.len);
		backed_keep(space->backed, pages.off, pages.len);
	}
}

/*
 * Claims clean pages: one range if there is one, else the largest ones. An allocation of few
 * extents is few mappings in every client.
 */
int pages_claim(struct extent *extents, uint32_t *nr, struct space *space, uint64_t nr_pages,
		uint32_t max)
{
	struct extent pages;
	uint64_t left = nr_pages;
	int r = 0;

	if (extent_total(space->clean) < nr_pages)
		return out_of_space(space, nr_pages);
	for (*nr = 0; left > 0 && r == 0; left -= pages.len) {
		if (*nr == max) {
			r = -ENOSPC;
			break;
		}
		r = extent_claim(&pages, space->clean, left);
		if (r == -ENOSPC && max > 1)
			r = extent_claim_largest(&pages, space->clean, left);
		if (r < 0)
			break;
		extents[(*nr)++] =
			(struct extent){ pfn_of(space, pages.off), pfn_of(space, pages.len) };
	}
	if (r == 0)
		return 0;
	pages_unclaim(space, extents, *nr);
	/*
	 * The free pages are too scattered for @max extents. That may be better when more of them
	 * are clean.
	 */
	if (r == -ENOSPC)
		return extent_total(space->dirty) + remains_total(space->remains) +
				       space->nr_page_jobs
			       ? -EAGAIN
			       : -ENOSPC;
	return r;
}

int pages_allocate(struct space *space, struct extent pages)
{
	int r = 0;

	if (!backed_has(space->backed, pages.off, pages.len))
		r = media_allocate(space->p.data, byte_of(pfn_of(space, pages.off)),
				   byte_of(pfn_of(space, pages.len)));
	if (r == 0)
		backed_use(space->backed, pages.off, pages.len);
	return r;
}

int pages_allocate_run(struct space *space, struct extent run)
{
	if (backed_has(space->backed, page_of(space, run.off), 1))
		return 0;
	return media_allocate(space->p.data, byte_of(run.off), byte_of(run.len));
}

int pages_take(struct space *space, uint64_t *page)
{
	struct extent extent;
	uint32_t nr;
	int r = pages_claim(&extent, &nr, space, 1, 1);

	if (r < 0)
		return r;
	r = memmap_activate(space->p.mm, page_of(space, extent.off), 1);
	if (r == 0)
		r = zeromap_clear(space->p.zero, page_of(space, extent.off), 1);
	/*
	 * Asks the file system for all blocks of the page, for all runs that will be made in it.
	 * Not for a page of 1 GiB: that would be a lot for one small allocation.
	 */
	if (r == 0 && space->backed && space->p.order <= 9)
		r = pages_allocate(space, pages_of(space, extent));
	if (r < 0) {
		pages_unclaim(space, &extent, 1);
		return r;
	}
	space->wants_fence = true;
	*page = page_of(space, extent.off);
	return 0;
}

void pages_give(struct space *space, uint64_t page)
{
	struct extent extent = { pfn_of(space, page), space->pfns_per_page };

	/*
	 * The page has blocks, and more free pages keep theirs than may. So it goes through the
	 * scrubber once more, which punches a hole.
	 */
	if (backed_has(space->backed, page, 1) && !backed_keep(space->backed, page, 1) &&
	    pages_submit(space, extent, false) == 0)
		return;
	pages_unclaim(space, &extent, 1);
}
