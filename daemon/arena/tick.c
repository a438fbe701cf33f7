/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tick: what an arena does besides requests: takes back what the scrubber has zeroed, looks at
 * marks, bad pages and the device at each tick, and compares table slots with memory.
 */
#include <config.h>

#include <errno.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/arena/bad.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/evict.h"
#include "daemon/arena/owner.h"
#include "daemon/arena/stamp.h"
#include "daemon/arena/state.h"
#include "daemon/clock.h"

/*
 * Takes one page that the scrubber has zeroed. The zero map will say so, and that must not be
 * believed of an older copy of the data device: stamp_scrub() comes before, so that the next start
 * can tell such a copy.
 */
static bool collect(struct arena *arena, struct scrub_job *job)
{
	bool was_online = owner_is_here(arena) && arena->state != ARENA_OFFLINE, cleaner;
	int r = was_online ? stamp_scrub(arena) : 0;

	cleaner = space_collect(job->owner, job);
	if (r == 0 && was_online)
		r = stamp_end(arena);
	if (r < 0)
		state_go_offline(arena, r, "its superblocks cannot be written");
	/* The device has failed, so the page is not known to read as zeroes: nobody may get it. */
	r = media_broken(arena->data);
	if (r < 0)
		state_go_offline(arena, r, "what was written to its device is lost");
	return cleaner;
}

bool arena_collect(struct scrubber *scrubber)
{
	struct scrub_job *job;
	bool cleaner = false;

	while ((job = scrubber_collect(scrubber)))
		cleaner |= collect(space_owner(job->owner), job);
	return cleaner;
}

void arena_tick(struct arena *arena)
{
	if (arena->state == ARENA_OFFLINE)
		return;
	if (!device_is_present(arena->device) ||
	    (arena->meta_device && !device_is_present(arena->meta_device))) {
		state_go_offline(arena, -ENODEV, "its device was disabled, removed or truncated");
		return;
	}
	if (!owner_is_here(arena))
		return;
	owner_tick(arena);
	bad_take(arena);
	ending_look(arena);
	evict_ahead(arena);
	space_upkeep(arena->space);
	stamp_upkeep(arena);
}

uint64_t arena_cut(struct arena *arena)
{
	return arena->state == ARENA_OFFLINE ? 0 : device_cut(arena->device);
}

bool arena_is_busy(const struct arena *arena)
{
	return !TAILQ_EMPTY(&arena->freeing) || !TAILQ_EMPTY(&arena->ending) ||
	       !TAILQ_EMPTY(&arena->over) || owner_is_shared(arena) ||
	       space_is_busy(arena->space) || bad_is_busy(arena) || evict_is_due(arena);
}

/*
 * table_verify() writes a bad copy of a slot anew. It is not called while changes are staged: a
 * staged record is on media and not yet valid, and would look like a difference.
 */
uint64_t arena_verify_step(struct arena *arena, uint32_t nr_slots)
{
	uint32_t end = table_nr_slots(arena->table);
	uint64_t nr_mended = 0;

	if (arena->state != ARENA_ONLINE || table_is_staged(arena->table) ||
	    !owner_is_here(arena))
		return 0;
	for (; nr_slots > 0 && arena->verify_at < end; nr_slots--, arena->verify_at++) {
		const struct alloc *alloc = arena->owner_of_record[arena->verify_at];
		struct record record;
		int r;

		if (!alloc || alloc->records[0] != arena->verify_at)
			continue;
		alloc_record(&record, alloc);
		r = table_verify(arena->table, &record, alloc->records, alloc->nr_records, true);
		nr_mended += r > 0 ? (uint64_t)r : 0;
	}
	if (arena->verify_at >= end)
		arena->verify_at = 0;
	arena->counts.records_mended += nr_mended;
	if (nr_mended > 0)
		arena->counts.mended_ns = clock_ns(CLOCK_REALTIME);
	return nr_mended;
}
