/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats: the arena in numbers. Most are counted when somebody asks, so that what happens often need
 * not keep counters.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/room.h"
#include "daemon/arena/window.h"

#define SECTION_SHIFT 15                /* base pages of a section, 128 MiB */

static void count_allocs(struct arena_stats *stats, const struct arena *arena)
{
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		const struct alloc *alloc = arena->objects[slot];
		uint64_t bytes = alloc ? alloc_bytes(alloc) : 0;

		if (!alloc)
			continue;
		switch (alloc->state) {
		case ALLOC_PUBLISHED:
			stats->nr_published++;
			stats->used += bytes;
			stats->nr_evictable += alloc->is_evictable;
			stats->evictable += alloc->is_evictable ? bytes : 0;
			break;
		case ALLOC_RESERVED:
			stats->nr_reserved++;
			if (alloc->is_lease)
				stats->leased += bytes;
			else
				stats->reserved += bytes;
			break;
		case ALLOC_FREEING:
			stats->nr_freeing++;
			stats->quarantined += bytes;
			break;
		}
	}
}

static enum arena_holder_state state_of(const struct holder *holder)
{
	if (holder->is_orphan)
		return ARENA_HOLDER_AWAITED;
	if (holder->end == END_NOT_YET)
		return ARENA_HOLDER_CONNECTED;
	return holder->end == END_MARKED ? ARENA_HOLDER_MARK : ARENA_HOLDER_ENDING;
}

void arena_describe_holder(struct arena_holder *out, const struct holder *holder)
{
	*out = (struct arena_holder){
		.state = state_of(holder),
		.session = holder->session,
		.uid = holder->uid,
		.pid = holder->who.pid,
		.since_ns = holder->who.since_ns,
	};
	memcpy(out->command, holder->who.command, sizeof(out->command));
}

void arena_introduce(struct holder *holder, int pid, const char *command)
{
	/* A session that comes back keeps the time at which it took part here first. */
	if (!holder->who.since_ns)
		holder->who.since_ns = (uint64_t)time(NULL) * 1000000000;
	holder->who.pid = pid;
	snprintf(holder->who.command, sizeof(holder->who.command), "%s", command);
	ledger_introduce(holder->arena->ledger, holder->entry, &holder->who);
}

struct alloc *arena_next_object(const struct arena *arena, uint32_t slot)
{
	while (slot < arena->nr_objects && !arena->objects[slot])
		slot++;
	return slot < arena->nr_objects ? arena->objects[slot] : NULL;
}

/* Is the session over, while something of it may still be mapped? */
static bool is_ended(const struct holder *holder)
{
	return !holder->is_connected && !holder->is_orphan;
}

void arena_each_ended(const struct arena *arena,
		      void (*each)(void *arg, const struct arena_ended *ended), void *arg)
{
	const struct holder *holder;
	const struct hold *hold;

	TAILQ_FOREACH(holder, &arena->holders, link) {
		struct arena_ended ended = {
			.session = holder->session,
			.mark = holder_mark_byte(holder),
			.uid = holder->uid,
		};

		if (!is_ended(holder))
			continue;
		TAILQ_FOREACH(hold, &holder->holds, by_holder)
			ended.holds++;
		each(arg, &ended);
	}
}

void arena_each_marked(const struct arena *arena,
		       void (*each)(void *arg, uint32_t uid, unsigned descriptors), void *arg)
{
	const struct holder *holder;

	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->may_be_marked)
			each(arg, holder->uid, holder->nr_attached[0] + holder->nr_attached[1]);
}

void arena_stats(const struct arena *arena, struct arena_stats *stats)
{
	const struct holder *holder;
	const struct hold *hold;
	struct space_stats space;

	*stats = arena->counts;
	space_stats(arena->space, &space);
	count_allocs(stats, arena);
	stats->size = arena->identity.size;
	stats->free = space.free;
	stats->free_split = space.free_runs;
	stats->withheld = space.withheld;
	stats->known_zero = space.known_zero;
	stats->remains = space.remains;
	stats->largest_free = space.largest_free;
	stats->poisoned = space.poisoned;
	stats->free_extents = space.free_extents;
	stats->scrubbed_bytes = space.scrubbed_total;
	stats->slots_total = table_nr_slots(arena->table);
	stats->slots_used = table_nr_used(arena->table);
	stats->fragmentation =
		space.free ? 1.0 - (double)space.largest_free / (double)space.free : 0;
	TAILQ_FOREACH(holder, &arena->holders, link) {
		stats->holders++;
		stats->ended += is_ended(holder);
		TAILQ_FOREACH(hold, &holder->holds, by_holder)
			stats->holds++;
	}
	stats->windows = window_count(arena);
	stats->pins = arena->nr_pins;
	stats->cataloged = catalog_nr_entries(arena->catalog);
	memmap_stats(arena->mm, &stats->memmap);
}

static void count_page(struct arena_section *out, const struct arena *arena, uint64_t page)
{
	const struct desc *head = memmap_desc(arena->mm, page << arena->sb.order);

	out->nr_used += head->object != 0 || head->flags & DESC_SPLIT;
	out->nr_split += (head->flags & DESC_SPLIT) != 0;
	out->nr_poisoned += head->nr_poisoned != 0;
	out->nr_scrubbing += (head->flags & DESC_SCRUBBING) != 0;
}

int arena_section(const struct arena *arena, uint64_t section, struct arena_section *out)
{
	uint64_t first = (section << SECTION_SHIFT) >> arena->sb.order,
		 end = ((section + 1) << SECTION_SHIFT) >> arena->sb.order;

	if (arena->sb.order > SECTION_SHIFT)
		/* a page of 1 GiB covers eight sections, and shows in each */
		end = first + 1;
	if (first >= arena->sb.nr_pages)
		return -ENOENT;
	if (end > arena->sb.nr_pages)
		end = arena->sb.nr_pages;
	*out = (struct arena_section){ .nr_pages = (uint32_t)(end - first),
				       .active = memmap_is_active(arena->mm, first) };
	for (uint64_t page = first; out->active && page < end; page++)
		count_page(out, arena, page);
	return 0;
}

int arena_sample(const struct arena *arena, uint64_t first, uint64_t nr_pages, uint32_t nr_looks,
		 struct arena_section *out)
{
	uint64_t end = first + nr_pages, stride = (nr_pages + nr_looks - 1) / nr_looks;

	if (first >= arena->sb.nr_pages)
		return -ENOENT;
	if (end > arena->sb.nr_pages)
		end = arena->sb.nr_pages;
	*out = (struct arena_section){ 0 };
	for (uint64_t page = first; page < end; page += stride) {
		out->nr_pages++;
		/* A section that was never used has no descriptors to look at. */
		if (!memmap_is_active(arena->mm, page))
			continue;
		out->active = true;
		count_page(out, arena, page);
	}
	return 0;
}

void arena_usage(struct arena_usage *usage, struct arena *arena, uint32_t uid)
{
	const struct room *room = room_look(arena);
	struct space_stats space;

	space_stats(arena->space, &space);
	*usage = (struct arena_usage){
		.size = arena->identity.size,
		.free = space.free,
		.largest_free = space.largest_free,
		.leased = room->leased,
		.reserved = room->reserved,
		.quarantined = room->quarantined,
	};
	for (int kind = 0; kind < QUOTA_KINDS; kind++) {
		usage->used[kind] = quota_used(arena->quota, uid, kind);
		usage->limit[kind] = quota_may_reach(arena->quota, uid, kind);
	}
}
