/* SPDX-License-Identifier: BSD-3-Clause */
/* stats: the arena in numbers, counted when asked; what happens often is not slowed down by counters that can be derived. */
#include <config.h>

#include <errno.h>

#include "daemon/arena/arena_internal.h"

#define SECTION_SHIFT 15                /* 128 MiB in base pages */

static void count_allocs(struct arena_stats *stats, const struct arena *arena)
{
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		const struct alloc *alloc = arena->objects[slot];
		uint64_t bytes = alloc ? arena_alloc_bytes(alloc) : 0;

		if (!alloc)
			continue;
		switch (alloc->state) {
		case ALLOC_PUBLISHED:
			stats->nr_published++;
			stats->used += bytes;
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
	stats->known_zero = space.known_zero;
	stats->largest_free = space.largest_free;
	stats->poisoned = space.poisoned;
	stats->free_extents = space.free_extents;
	stats->scrubbed_bytes = space.scrubbed_total;
	stats->slots_total = table_nr_slots(arena->table);
	stats->slots_used = table_nr_used(arena->table);
	stats->fragmentation = space.free ? 1.0 - (double)space.largest_free / (double)space.free : 0;
	TAILQ_FOREACH(holder, &arena->holders, link) {
		stats->holders++;
		TAILQ_FOREACH(hold, &holder->holds, by_holder)
			stats->holds++;
	}
	memmap_stats(arena->mm, &stats->memmap);
}

int arena_section(const struct arena *arena, uint64_t section, struct arena_section *out)
{
	uint64_t first = (section << SECTION_SHIFT) >> arena->sb.order, end = ((section + 1) << SECTION_SHIFT) >> arena->sb.order;

	if (arena->sb.order > SECTION_SHIFT)
		end = first + 1;                /* a page of 1 GiB shows in each of its sections */
	if (first >= arena->sb.nr_pages)
		return -ENOENT;
	if (end > arena->sb.nr_pages)
		end = arena->sb.nr_pages;
	*out = (struct arena_section){ .nr_pages = (uint32_t)(end - first), .active = memmap_is_active(arena->mm, first) };
	for (uint64_t page = first; out->active && page < end; page++) {
		const struct desc *head = memmap_desc(arena->mm, page << arena->sb.order);

		out->nr_used += head->object != 0 || head->flags & DESC_SPLIT;
		out->nr_split += (head->flags & DESC_SPLIT) != 0;
		out->nr_poisoned += head->nr_poisoned != 0;
		out->nr_scrubbing += (head->flags & DESC_SCRUBBING) != 0;
	}
	return 0;
}
