/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room: says why an arena has no room for a request: space was freed and is still mapped, others
 * took it ahead, free space is scattered, or the file system below is full. It also asks clients to
 * give leases back.
 */
#include <config.h>

#include "daemon/arena/room.h"

#include <errno.h>
#include <string.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/events.h"
#include "daemon/arena/sentence.h"
#include "daemon/clock.h"
#include "lib/wire/size.h"

/* A count of what is in the way is used again for this long. */
#define GOOD_FOR_NS UINT64_C(100000000)

/* ---- what is in the way ---- */

static void count(struct room *room, const struct alloc *alloc)
{
	uint64_t bytes = alloc_bytes(alloc);

	if (alloc->state == ALLOC_FREEING)
		room->quarantined += bytes;
	else if (alloc->state == ALLOC_RESERVED && alloc->is_lease)
		room->leased += bytes;
	else if (alloc->state == ALLOC_RESERVED)
		room->reserved += bytes;
}

/*
 * Returns the last count, or counts anew. To look at a million allocations takes some milliseconds,
 * and a client that finds no room asks again and again.
 */
const struct room *room_look(struct arena *arena)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (arena->room.when_ns && now - arena->room.when_ns < GOOD_FOR_NS)
		return &arena->room;
	arena->room = (struct room){ .when_ns = now };
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++)
		if (arena->objects[slot])
			count(&arena->room, arena->objects[slot]);
	return &arena->room;
}

/* ---- in words ---- */

static void say_bytes(struct sentence *s, uint64_t bytes, const char *what)
{
	char text[SIZE_TEXT_MAX];

	if (bytes)
		sentence_say(s, ", %s %s", size_text(text, bytes), what);
}

static void say_what_is_in_the_way(struct sentence *s, struct arena *arena,
				   const struct space_stats *stats)
{
	const struct room *room = room_look(arena);

	say_bytes(s, room->quarantined,
		  "quarantined (freed, and sessions may still have it mapped)");
	say_bytes(s, room->leased, "leased to clients");
	say_bytes(s, room->reserved, "reserved and not published");
	say_bytes(s, stats->withheld,
		  "waiting for another host that may have it mapped (`pmemarenactl status`)");
	say_bytes(s, stats->poisoned, "bad");
}

/* Says what the user could do, where the sizes tell. */
static void say_advice(struct sentence *s, const struct space_stats *stats, uint64_t bytes,
		       uint64_t page_size, bool contiguous)
{
	if (bytes < page_size)
		sentence_say(s, "; small allocations need a whole free page or room in a page of "
				"the same owner");
	else if (stats->free_pages < bytes && stats->free >= bytes)
		sentence_say(s, "; what is free in split pages serves allocations below a page "
				"only");
	else if (stats->free_pages >= bytes && contiguous)
		sentence_say(s, "; it would fit in several extents");
	else if (stats->free_pages >= bytes && stats->free_extents > ALLOC_MAX_EXTENTS)
		sentence_say(s, "; an allocation has at most %d extents: ask for several smaller "
				"ones",
			     ALLOC_MAX_EXTENTS);
}

/*
 * Is it the file system, and not the arena, that has no room? Then claiming space failed although
 * the arena has enough free pages.
 */
static bool is_file_system_full(const struct arena *arena, const struct space_stats *stats,
				uint64_t bytes, bool contiguous)
{
	if (device_info(arena->device)->kind != DEVICE_FILE)
		return false;
	if (stats->largest_free >= bytes)
		return true;
	return !contiguous && bytes >= arena->identity.page_size &&
	       stats->free_extents <= ALLOC_MAX_EXTENTS && stats->known_zero_pages >= bytes;
}

/* Puts the sentence of a refusal together; returns -ENOSPC. */
static int explain(struct arena *arena, uint64_t bytes, bool contiguous, struct why *why)
{
	char asked[SIZE_TEXT_MAX], text[SIZE_TEXT_MAX], largest[SIZE_TEXT_MAX];
	struct sentence s = { .len = 0 };
	struct space_stats stats;

	space_stats(arena->space, &stats);
	if (is_file_system_full(arena, &stats, bytes, contiguous))
		return why_set(
			why, -ENOSPC,
			"the file system that holds %s is full: no blocks for %s; free some there",
			device_info(arena->device)->path, size_text(asked, bytes));
	sentence_say(&s, "%s free, the largest free extent is %s, in %llu extents",
		     size_text(text, stats.free), size_text(largest, stats.largest_free),
		     (unsigned long long)stats.free_extents);
	say_bytes(&s, stats.free_runs, "of it in split pages");
	say_what_is_in_the_way(&s, arena, &stats);
	say_advice(&s, &stats, bytes, arena->identity.page_size, contiguous);
	return why_set(why, -ENOSPC, "arena %s has no room for %s%s: %s", arena->identity.name,
		       size_text(asked, bytes), contiguous ? " in one piece" : "", s.text);
}

int room_explain(struct arena *arena, int r, uint64_t nr_pfns, bool contiguous, struct why *why)
{
	if (r == -ENOSPC)
		return explain(arena, nr_pfns << DESC_SHIFT, contiguous, why);
	if (r == -EIO)
		return why_set(why, r, "arena %s: its device failed while space was prepared",
			       arena->identity.name);
	return r;
}

int room_explain_books(const struct arena *arena, int r, struct why *why)
{
	const struct device *meta = arena->meta_device ? arena->meta_device : arena->device;

	if (r == -ENFILE)
		return why_set(why, r,
			       "the table of arena %s is full (%u slots): free something, or "
			       "format it with more slots",
			       arena->identity.name, table_nr_slots(arena->table));
	if ((r == -ENOSPC || r == -EDQUOT) && why && !why->text[0])
		return why_set(
			why, r,
			"there are no blocks for what arena %s writes down of it: the file system "
			"that holds %s, or that of the runtime directory, is full; free some there",
			arena->identity.name, device_info(meta)->path);
	return r;
}

/* ---- asking leases back ---- */

int room_recall_leases(struct arena *arena, uint64_t nr_pfns, struct why *why)
{
	struct alloc wanted = { .nr_pfns = nr_pfns };
	char asked[SIZE_TEXT_MAX], leased[SIZE_TEXT_MAX];

	/*
	 * A recall is sent once for each count of what is in the way, at most each tenth of a
	 * second: many requests may be waiting, and each asks again and again.
	 */
	if (room_look(arena)->leased == 0)
		return -ENOSPC;
	if (arena->room.when_ns != arena->recalled_ns) {
		arena->recalled_ns = arena->room.when_ns;
		arena_trace_recall(arena, alloc_bytes(&wanted), arena->room.leased);
		events_add(arena, ARENA_RECALL, &wanted);
	}
	arena->counts.recalls++;
	return why_set(why, -EINPROGRESS,
		       "arena %s has no room for %s; %s are leased to clients, who were asked for "
		       "them and did not give back enough",
		       arena->identity.name, size_text(asked, nr_pfns << DESC_SHIFT),
		       size_text(leased, arena->room.leased));
}
