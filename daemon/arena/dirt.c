/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirt: space that was given back, on its way through the scrubber to clean again. What cannot be zeroed is found here, and set aside.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/space_internal.h"

/* Large enough that a job's cost is the zeroing, small enough that the first ones are soon clean. */
#define JOB_BYTES    (UINT64_C(64) << 20)
#define MAX_JOBS     8u
/* Scrubbed on the spot: cheaper than waking a worker. */
#define INLINE_BYTES (UINT64_C(64) << 10)

/* A page that has a bad base page is no clean page again; what is good of it can serve runs. */
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

static void set_scrubbing(struct space *space, struct extent pages, bool scrubbing)
{
	for (uint64_t i = 0; i < pages.len; i++) {
		struct desc *head;

		if (!memmap_is_active(space->p.mm, pages.off + i))
			continue;       /* a picture is not worth a section's memory */
		head = memmap_head(space->p.mm, pages.off + i);
		if (scrubbing)
			head->flags |= DESC_SCRUBBING;
		else
			head->flags &= (uint16_t)~DESC_SCRUBBING;
	}
}

int space_release(struct space *space, struct extent range, bool is_run)
{
	struct extent pages = pages_of(space, range);
	int r;

	if (is_run && byte_of(range.len) <= INLINE_BYTES &&
	    media_zero(space->p.data, byte_of(range.off), byte_of(range.len)) == 0) {
		space->wants_data_fence = true;
		space->scrubbed_pfns += range.len;
		space_set_object(space, range, true, 0);
		return run_release_clean(space, range);
	}
	if (is_run)
		r = space_submit(space, range, true);
	else
		r = extent_release(space->dirty, pages, NULL);
	if (r < 0)
		return r;
	space_set_object(space, range, is_run, 0);
	space_kick(space);
	return 0;
}

int space_submit(struct space *space, struct extent range, bool is_run)
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
				       : backed_keep(space->backed, page_of(space, range.off), range.len >> space->p.order);
	job->job.owner = space;
	TAILQ_INSERT_TAIL(&space->jobs, job, link);
	space->scrubbing_pfns += range.len;
	space->nr_page_jobs += !is_run;
	if (!is_run)
		set_scrubbing(space, pages_of(space, range), true);
	job->is_held = space->held;
	if (!job->is_held)
		scrubber_submit(space->p.scrubber, &job->job);
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
	space_kick(space);
}

void space_kick(struct space *space)
{
	uint64_t max = JOB_BYTES >> DESC_SHIFT >> space->p.order;
	struct extent pages;

	if (space->held)
		return;
	while (space->nr_page_jobs < MAX_JOBS && extent_total(space->dirty) > 0) {
		if (extent_claim_largest(&pages, space->dirty, max ? max : 1) < 0)
			return;
		if (space_submit(space, (struct extent){ pfn_of(space, pages.off), pfn_of(space, pages.len) }, false) < 0) {
			extent_release(space->dirty, pages, NULL);
			return;
		}
	}
}

/* The scrub failed: find which base pages are bad. What remains is scrubbed again without them. */
static void find_bad(struct space *space, struct extent range)
{
	uint32_t object;

	for (uint64_t i = 0; i < range.len; i++) {
		if (media_zero(space->p.data, byte_of(range.off + i), byte_of(1)) == -EIO)
			space_poison(space, range.off + i, &object);
	}
	media_fence(space->p.data);
}

static void finish_pages(struct space *space, struct extent pages)
{
	for (uint64_t i = 0; i < pages.len; i++) {
		struct extent one = { pages.off + i, 1 };

		if (memmap_is_active(space->p.mm, one.off) && memmap_head(space->p.mm, one.off)->nr_poisoned > 0)
			continue;
		if (extent_release(space->clean, one, NULL) == 0)
			zeromap_set(space->p.zero, one.off, 1);
	}
	set_poisoned_aside(space, pages);
}

static bool has_poison(const struct space *space, struct extent pages)
{
	for (uint64_t i = 0; i < pages.len; i++)
		if (memmap_is_active(space->p.mm, pages.off + i) && memmap_head(space->p.mm, pages.off + i)->nr_poisoned > 0)
			return true;
	return false;
}

static void finish(struct space *space, const struct space_job *job)
{
	struct extent pages = pages_of(space, job->range);

	if (job->job.result < 0)
		find_bad(space, job->range);
	space->scrubbed_pfns += job->range.len;
	if (job->is_run) {
		run_release_clean(space, job->range);
		return;
	}
	set_scrubbing(space, pages, false);
	if (job->job.result < 0 || has_poison(space, pages)) {
		backed_forget(space->backed, pages.off, pages.len);
		finish_pages(space, pages);
		return;
	}
	/* The scrub is fenced; the bits may become durable whenever they like. */
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
	space_kick(space);
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
	space_kick(space);
}
