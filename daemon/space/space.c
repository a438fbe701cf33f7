/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * space: takes compound pages from clean to used. How they come back is in dirt.c; base pages of
 * split pages are run.c's. It writes descriptors and zero bits, and does not know what the space is
 * for.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/space/space_internal.h"

int space_new(struct space **out, const struct space_params *params)
{
	struct space *space = calloc(1, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	space->p = *params;
	space->pfns_per_page = UINT64_C(1) << params->order;
	RB_INIT(&space->owners);
	TAILQ_INIT(&space->jobs);
	r = extent_map_new(&space->clean, 0);
	if (r == 0)
		r = extent_map_new(&space->dirty, 0);
	if (r == 0)
		r = remains_new(&space->remains, params->max_remains);
	if (r == 0 && params->keep_pages)
		r = backed_new(&space->backed, params->nr_pages, params->keep_pages);
	if (r < 0) {
		space_free(space);
		return r;
	}
	*out = space;
	return 0;
}

void space_free(struct space *space)
{
	struct space_job *job;

	if (!space)
		return;
	if (space->p.scrubber)
		scrubber_cancel(space->p.scrubber, space);
	while ((job = TAILQ_FIRST(&space->jobs))) {
		TAILQ_REMOVE(&space->jobs, job, link);
		free(job);
	}
	run_free_owners(space);
	extent_map_free(space->clean);
	extent_map_free(space->dirty);
	remains_free(space->remains);
	backed_free(space->backed);
	free(space);
}

void *space_owner(const struct space *space) { return space->p.owner; }

bool space_take_fence(struct space *space)
{
	bool wants = space->wants_fence;

	space->wants_fence = false;
	return wants;
}

/* ---- a start: what is used, and then what is free ---- */

static bool is_free(const struct space *space, uint64_t page)
{
	const struct desc *head = memmap_head(space->p.mm, page);

	return head->object == 0 && !(head->flags & DESC_SPLIT);
}

/*
 * Marks compound pages as used by @object. -EEXIST: a page belongs to somebody already, and none
 * was marked; -ENOMEM.
 */
static int mark_pages(struct space *space, struct extent pages, uint32_t object)
{
	int r = memmap_activate(space->p.mm, pages.off, pages.len);

	if (r < 0)
		return r;
	for (uint64_t i = 0; i < pages.len; i++)
		if (!is_free(space, pages.off + i))
			return -EEXIST;
	for (uint64_t i = 0; i < pages.len; i++)
		memmap_head(space->p.mm, pages.off + i)->object = object;
	return 0;
}

int space_mark_used(struct space *space, struct extent range, bool is_run, uint32_t uid,
		    uint32_t object)
{
	uint64_t nr_pfns = pfn_of(space, space->p.nr_pages);

	if (range.len == 0 || range.off > nr_pfns || range.len > nr_pfns - range.off)
		return -ERANGE;
	if (is_run) {
		if (page_of(space, range.off) != page_of(space, range.off + range.len - 1))
			return -ERANGE;
		return run_mark_used(space, range, uid, object);
	}
	if ((range.off | range.len) & (space->pfns_per_page - 1))
		return -ERANGE;
	return mark_pages(space, pages_of(space, range), object);
}

/*
 * Returns how many pages from @page on are free. One look tells the rest of an inactive section,
 * where nothing was marked, or one page.
 */
static uint64_t free_from(const struct space *space, uint64_t page)
{
	uint64_t per_section = space->p.order < 15 ? UINT64_C(1) << (15 - space->p.order) : 1;
	uint64_t end = (page / per_section + 1) * per_section;

	if (memmap_is_active(space->p.mm, page))
		return is_free(space, page) && memmap_head(space->p.mm, page)->nr_poisoned == 0;
	return (end < space->p.nr_pages ? end : space->p.nr_pages) - page;
}

/*
 * Adds @pages to the clean space where the zero map says that they are zero, else to the dirty
 * space. What is not zero and may be mapped elsewhere is in neither: it is withheld.
 */
static int release_free(struct space *space, struct extent pages)
{
	bool zero;
	int r = 0;

	while (pages.len > 0 && r == 0) {
		uint64_t nr = zeromap_run(&zero, space->p.zero, pages.off, pages.len);

		if (!zero && space->is_withholding)
			space->withheld_pfns += pfn_of(space, nr);
		else
			r = extent_release(zero ? space->clean : space->dirty,
					   (struct extent){ pages.off, nr }, NULL);
		pages.off += nr;
		pages.len -= nr;
	}
	return r;
}

/*
 * A free page has a bad base page: sends it to the scrubber, after which dirt.c sets it aside. If
 * another host may have it mapped, it is withheld instead.
 */
static int build_bad(struct space *space, uint64_t page)
{
	struct extent range = { pfn_of(space, page), space->pfns_per_page };

	if (!space->is_withholding)
		return pages_submit(space, range, false);
	space->withheld_pfns += range.len;
	return 0;
}

int space_build(struct space *space)
{
	struct extent gap = { 0, 0 };
	int r = 0;

	for (uint64_t page = 0, nr; page < space->p.nr_pages && r == 0; page += nr ? nr : 1) {
		nr = free_from(space, page);
		if (nr > 0) {
			gap = gap.len ? gap : (struct extent){ page, 0 };
			gap.len += nr;
			continue;
		}
		r = release_free(space, gap);
		gap.len = 0;
		if (r == 0 && memmap_head(space->p.mm, page)->flags & DESC_SPLIT)
			r = run_build(space, page);
		else if (r == 0 && is_free(space, page))
			r = build_bad(space, page);
	}
	if (r == 0)
		r = release_free(space, gap);
	if (r == 0)
		pages_kick(space);
	return r;
}

/* ---- what other hosts may have mapped ---- */

void space_set_withholding(struct space *space, bool withholds)
{
	space->is_withholding = withholds;
}

void space_withhold(struct space *space, struct extent range, bool is_run)
{
	space_set_object(space, range, is_run, 0);
	space->withheld_pfns += range.len;
}

/* ---- claiming ---- */

/*
 * Activates the descriptors of claimed pages, clears their zero bits, and asks the file system for
 * blocks. On failure the caller puts the pages back.
 */
static int prepare_extents(struct space *space, const struct extent *extents, uint32_t nr)
{
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++) {
		struct extent pages = pages_of(space, extents[i]);

		r = memmap_activate(space->p.mm, pages.off, pages.len);
		if (r == 0)
			r = zeromap_clear(space->p.zero, pages.off, pages.len);
		if (r == 0)
			r = pages_allocate(space, pages);
	}
	space->wants_fence = true;
	return r;
}

static int claim_run(struct extent *out, struct space *space, uint64_t nr_pfns, uint32_t uid)
{
	int r = run_claim(out, space, nr_pfns, uid);

	if (r < 0)
		return r;
	r = pages_allocate_run(space, *out);
	if (r < 0)
		space_unclaim(space, *out, true);
	return r;
}

/* Claims a run if less than a compound page is asked for, else whole pages. */
static int claim(struct extent *extents, uint32_t *nr, bool *is_run, struct space *space,
		 uint64_t nr_pfns, uint32_t max, uint32_t uid)
{
	uint64_t nr_pages = (nr_pfns + space->pfns_per_page - 1) >> space->p.order;
	int r;

	if (nr_pfns < space->pfns_per_page) {
		r = claim_run(&extents[0], space, nr_pfns, uid);
		*nr = 1;
		*is_run = true;
	} else {
		*is_run = false;
		r = pages_claim(extents, nr, space, nr_pages, max);
		if (r == 0) {
			r = prepare_extents(space, extents, *nr);
			if (r < 0)
				pages_unclaim(space, extents, *nr);
		}
	}
	return r;
}

int space_claim(struct extent *extents, uint32_t *nr, bool *is_run, struct space *space,
		uint64_t nr_pfns, uint32_t max, uint32_t uid)
{
	int r = claim(extents, nr, is_run, space, nr_pfns, max, uid);

	if ((r == -ENOSPC || r == -EAGAIN) && run_drop_spares(space, false))
		r = claim(extents, nr, is_run, space, nr_pfns, max, uid);
	if (r == -EAGAIN)
		pages_want(space, (nr_pfns + space->pfns_per_page - 1) >> space->p.order);
	return r;
}

/*
 * The zero bits of these pages are clear, and durably so, since they were before the pages were
 * handed out last: nothing is stored here, and no fence is due.
 */
int space_claim_remains(struct extent *extents, uint32_t *nr, struct space *space, uint64_t nr_pfns,
			uint32_t max, uint32_t uid)
{
	uint64_t nr_pages = (nr_pfns + space->pfns_per_page - 1) >> space->p.order;
	int r = 0;

	remains_ask(space->remains, uid);
	if (nr_pfns < space->pfns_per_page)
		return -ENOSPC;
	r = pages_claim_remains(extents, nr, space, nr_pages, max, uid);
	for (uint32_t i = 0; r == 0 && i < *nr; i++)
		backed_use(space->backed, page_of(space, extents[i].off),
			   extents[i].len >> space->p.order);
	return r;
}

int space_zero_end(struct space *space, struct extent range, uint64_t bytes)
{
	space->wants_data_fence = true;
	return media_zero(space->p.data, byte_of(range.off + range.len) - bytes, bytes);
}

void space_unclaim_remains(struct space *space, struct extent range, uint32_t uid)
{
	struct extent pages = pages_of(space, range);

	space_set_object(space, range, false, 0);
	/* This cannot fail for lack of memory: the claim left the node that is needed. */
	if (!pages_keep(space, pages, uid))
		extent_release(space->dirty, pages, NULL);
}

void space_unclaim(struct space *space, struct extent range, bool is_run)
{
	space_set_object(space, range, is_run, 0);
	if (!is_run)
		pages_unclaim(space, &range, 1);
	else if (run_release_clean(space, range) < 0)
		pages_submit(space, range, true);
}

uint32_t space_object_at(const struct space *space, uint64_t pfn)
{
	uint64_t page = page_of(space, pfn);
	const struct desc *head;

	if (page >= space->p.nr_pages || !memmap_is_active(space->p.mm, page))
		return 0;
	head = memmap_head(space->p.mm, page);
	return head->flags & DESC_SPLIT ? memmap_desc(space->p.mm, pfn)->object : head->object;
}

/* ---- bad base pages ---- */

int space_poison(struct space *space, uint64_t pfn, uint32_t *object)
{
	uint64_t page = page_of(space, pfn);
	struct extent one = { page, 1 };
	int r = memmap_activate(space->p.mm, page, 1);

	*object = 0;
	if (r == 0)
		r = memmap_poison(space->p.mm, pfn);
	if (r <= 0)
		return r;
	space->poisoned_pfns++;
	*object = space_object_at(space, pfn);
	if (*object)
		return 1;
	if (memmap_head(space->p.mm, page)->flags & DESC_SPLIT) {
		run_take_bad(space, pfn);
		return 1;
	}
	/*
	 * A free compound page leaves the free space and goes to the scrubber, after which dirt.c
	 * sets its good part aside. One that is being scrubbed already needs nothing: dirt.c looks
	 * for bad base pages at the end of each job.
	 */
	if (extent_claim_at(space->clean, page, 1) == 0) {
		zeromap_clear(space->p.zero, page, 1);
		space->wants_fence = true;
	} else if (remains_claim_page(space->remains, page) < 0 &&
		   extent_claim_at(space->dirty, page, 1) < 0) {
		return 1;
	}
	if (pages_submit(space, (struct extent){ pfn_of(space, one.off), space->pfns_per_page },
			 false) < 0)
		extent_release(space->dirty, one, NULL);
	return 1;
}

void space_stats(const struct space *space, struct space_stats *stats)
{
	uint64_t clean = pfn_of(space, extent_total(space->clean)),
		 dirty = pfn_of(space, extent_total(space->dirty)) + space->scrubbing_pfns,
		 remains = pfn_of(space, remains_total(space->remains));
	uint64_t largest = extent_largest(space->clean);

	if (extent_largest(space->dirty) > largest)
		largest = extent_largest(space->dirty);
	if (remains_largest(space->remains) > largest)
		largest = remains_largest(space->remains);

	*stats = (struct space_stats){
		.free = byte_of(clean + dirty + remains + space->free_run_pfns),
		.free_pages = byte_of(clean + dirty + remains),
		.free_runs = byte_of(space->free_run_pfns),
		.known_zero = byte_of(clean + space->free_run_pfns),
		.known_zero_pages = byte_of(clean),
		.scrubbing = byte_of(dirty),
		.remains = byte_of(remains),
		.largest_free = byte_of(pfn_of(space, largest)),
		.withheld = byte_of(space->withheld_pfns),
		.poisoned = byte_of(space->poisoned_pfns),
		.free_extents = extent_count(space->clean) + extent_count(space->dirty) +
				remains_count(space->remains),
		.scrubbed_total = byte_of(space->scrubbed_pfns),
	};
}
