/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirt: space that was given back, on its way through the scrubber to clean space. Base pages that
 * cannot be made zero are found here and kept out of use.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/space/space_internal.h"
#include "daemon/space/space_trace.h"

/*
 * A run up to this size is zeroed at once by the loop thread: that takes less time than waking a
 * worker.
 */
#define INLINE_BYTES (UINT64_C(64) << 10)

/*
 * Sets compound pages with a bad base page aside: they cannot be handed out whole any more, though
 * their good base pages can serve runs. Returns how many of @pages were set aside.
 */
static uint64_t set_poisoned_aside(struct space *space, struct extent pages)
{
	uint64_t nr_aside = 0;

	for (uint64_t i = 0; i < pages.len; i++) {
		if (memmap_head(space->p.mm, pages.off + i)->nr_poisoned == 0)
			continue;
		if (run_adopt_poisoned(space, pages.off + i) == 0)
			nr_aside++;
	}
	return nr_aside;
}

/* Has any page of @pages a bad base page? It may have become bad while it was being scrubbed. */
static bool has_poison(const struct space *space, struct extent pages)
{
	for (uint64_t i = 0; i < pages.len; i++)
		if (memmap_is_active(space->p.mm, pages.off + i) &&
		    memmap_head(space->p.mm, pages.off + i)->nr_poisoned > 0)
			return true;
	return false;
}

int space_release(struct space *space, struct extent range, bool is_run, uint32_t uid)
{
	struct extent pages = pages_of(space, range);
	int r;

	if (is_run && byte_of(range.len) <= INLINE_BYTES &&
	    media_zero(space->p.data, byte_of(range.off), byte_of(range.len)) == 0) {
		space->wants_data_fence = true;
		space->scrubbed_pfns += range.len;
		space_trace_scrubbed(space, range, true, 0);
		space_set_object(space, range, true, 0);
		return run_release_clean(space, range);
	}
	/*
	 * A page with a bad base page goes to the scrubber, which sets it aside. In a damaged arena
	 * nobody can tell whose what is, so nothing is kept there.
	 */
	if (!is_run && !space->held && !has_poison(space, pages) && pages_keep(space, pages, uid)) {
		space_set_object(space, range, false, 0);
		space_trace_left(space, range);
		return 0;
	}
	if (is_run)
		r = pages_submit(space, range, true);
	else
		r = extent_release(space->dirty, pages, NULL);
	if (r < 0)
		return r;
	space_set_object(space, range, is_run, 0);
	pages_kick(space);
	return 0;
}

void space_hold(struct space *space, bool held)
{
	struct space_job *job;

	space->held = held;
	if (held)
		return;
	TAILQ_FOREACH(job, &space->jobs, link) {
		if (!job->is_held)
			continue;
		job->is_held = false;
		scrubber_submit(space->p.scrubber, &job->job);
	}
	pages_kick(space);
}

/*
 * Called when a scrub failed: zeroes the range base page by base page, and marks those as bad for
 * which that fails. The caller makes the rest clean.
 */
static void find_bad(struct space *space, struct extent range)
{
	uint32_t object;

	/*
	 * On a device that has failed, zeroing fails everywhere, which says nothing about single
	 * pages.
	 */
	if (media_broken(space->p.data) < 0)
		return;
	for (uint64_t i = 0; i < range.len; i++) {
		if (media_zero(space->p.data, byte_of(range.off + i), byte_of(1)) == -EIO)
			space_poison(space, range.off + i, &object);
	}
	media_fence(space->p.data);
}

/* Adds the good pages of a scrub that met bad ones to the clean space, one by one. */
static void finish_pages(struct space *space, struct extent pages)
{
	for (uint64_t i = 0; i < pages.len; i++) {
		struct extent one = { pages.off + i, 1 };

		if (memmap_is_active(space->p.mm, one.off) &&
		    memmap_head(space->p.mm, one.off)->nr_poisoned > 0)
			continue;
		if (extent_release(space->clean, one, NULL) == 0)
			zeromap_set(space->p.zero, one.off, 1);
	}
	set_poisoned_aside(space, pages);
}

/* Takes back a range that the scrubber is done with. */
static void finish(struct space *space, const struct space_job *job)
{
	struct extent pages = pages_of(space, job->range);

	space_trace_scrubbed(space, job->range, job->is_run, job->job.result);
	if (job->job.result < 0)
		find_bad(space, job->range);
	/*
	 * The device has failed: what was there may still be there. The range stays in no list, and
	 * its zero bits stay clear; its arena goes offline, and the next start scrubs it. Taken for
	 * clean here, it would be handed out after that start with the contents of its last owner.
	 */
	if (job->job.result < 0 && media_broken(space->p.data) < 0) {
		if (!job->is_run)
			pages_set_scrubbing(space, pages, false);
		return;
	}
	space->scrubbed_pfns += job->range.len;
	if (job->is_run) {
		run_release_clean(space, job->range);
		return;
	}
	pages_set_scrubbing(space, pages, false);
	if (job->job.result < 0 || has_poison(space, pages)) {
		backed_forget(space->backed, pages.off, pages.len);
		finish_pages(space, pages);
		return;
	}
	/*
	 * The zeroes are fenced, so it does no harm if the zero bits become durable before the next
	 * settle.
	 */
	if (extent_release(space->clean, pages, NULL) == 0)
		zeromap_set(space->p.zero, pages.off, pages.len);
}

bool space_collect(struct space *space, struct scrub_job *done)
{
	struct space_job *job = (struct space_job *)(void *)done;

	TAILQ_REMOVE(&space->jobs, job, link);
	space->scrubbing_pfns -= job->range.len;
	space->nr_page_jobs -= !job->is_run;
	finish(space, job);
	free(job);
	pages_kick(space);
	return true;
}

bool space_is_busy(const struct space *space)
{
	return !TAILQ_EMPTY(&space->jobs) || extent_total(space->dirty) > 0;
}

void space_upkeep(struct space *space)
{
	run_drop_spares(space, true);
	memmap_maintain(space->p.mm);
	remains_age(space->remains);
	pages_drop_idle(space);
	pages_kick(space);
}
