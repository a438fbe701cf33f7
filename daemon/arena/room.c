/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room: why there is none. A request that seems to fit may be in the way of what was freed and is still mapped, of what others took ahead, of how
 * scattered free space is, or of the file system below. It decides nothing.
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/arena/arena_internal.h"
#include "lib/size.h"

#define GOOD_FOR_NS UINT64_C(100000000)

/* ---- what is in the way ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count(struct room *room, const struct alloc *alloc)
{
	uint64_t bytes = arena_alloc_bytes(alloc);

	if (alloc->state == ALLOC_FREEING)
		room->quarantined += bytes;
	else if (alloc->state == ALLOC_RESERVED && alloc->is_lease)
		room->leased += bytes;
	else if (alloc->state == ALLOC_RESERVED)
		room->reserved += bytes;
}

/* A million objects are some milliseconds to look at, and whoever finds no room asks again. */
const struct room *room_look(struct arena *arena)
{
	uint64_t now = now_ns();

	if (arena->room.when_ns && now - arena->room.when_ns < GOOD_FOR_NS)
		return &arena->room;
	arena->room = (struct room){ .when_ns = now };
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++)
		if (arena->objects[slot])
			count(&arena->room, arena->objects[slot]);
	return &arena->room;
}

/* ---- in words ---- */

struct sentence {
	char text[400];
	size_t len;
};

__attribute__((format(printf, 2, 3)))
static void say(struct sentence *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->text + s->len, sizeof(s->text) - s->len, fmt, ap);
	va_end(ap);
	s->len += n > 0 ? (size_t)n : 0;
	if (s->len >= sizeof(s->text))
		s->len = sizeof(s->text) - 1;
}

static void say_bytes(struct sentence *s, uint64_t bytes, const char *what)
{
	char text[SIZE_TEXT_MAX];

	if (bytes)
		say(s, ", %s %s", size_text(text, bytes), what);
}

static void say_what_is_in_the_way(struct sentence *s, struct arena *arena, const struct space_stats *stats)
{
	const struct room *room = room_look(arena);

	say_bytes(s, room->quarantined, "quarantined (freed, and sessions may still have it mapped)");
	say_bytes(s, room->leased, "leased to clients");
	say_bytes(s, room->reserved, "reserved and not published");
	say_bytes(s, stats->poisoned, "bad");
}

/* What could be done about it, where the sizes tell. */
static void say_advice(struct sentence *s, const struct space_stats *stats, uint64_t bytes, uint64_t page_size, bool contiguous)
{
	if (bytes < page_size)
		say(s, "; small allocations need a whole free page or room in a page of the same owner");
	else if (stats->free_pages < bytes && stats->free >= bytes)
		say(s, "; what is free in split pages serves allocations below a page only");
	else if (stats->free_pages >= bytes && contiguous)
		say(s, "; it would fit in several extents");
	else if (stats->free_pages >= bytes && stats->free_extents > ALLOC_MAX_EXTENTS)
		say(s, "; an allocation has at most %d extents: ask for several smaller ones", ALLOC_MAX_EXTENTS);
}

/* There is room in the arena: then it was the file system below that had none. */
static bool is_file_system_full(const struct arena *arena, const struct space_stats *stats, uint64_t bytes, bool contiguous)
{
	if (device_info(arena->device)->kind != DEVICE_FILE)
		return false;
	if (stats->largest_free >= bytes)
		return true;
	return !contiguous && bytes >= arena->identity.page_size && stats->free_extents <= ALLOC_MAX_EXTENTS && stats->known_zero_pages >= bytes;
}

static int explain(struct arena *arena, uint64_t bytes, bool contiguous, struct why *why)
{
	char asked[SIZE_TEXT_MAX], text[SIZE_TEXT_MAX], largest[SIZE_TEXT_MAX];
	struct sentence s = { .len = 0 };
	struct space_stats stats;

	space_stats(arena->space, &stats);
	if (is_file_system_full(arena, &stats, bytes, contiguous))
		return why_set(why, -ENOSPC, "the file system that holds %s is full: no blocks for %s; free some there",
			       device_info(arena->device)->path, size_text(asked, bytes));
	say(&s, "%s free, the largest free extent is %s, in %llu extents", size_text(text, stats.free), size_text(largest, stats.largest_free),
	    (unsigned long long)stats.free_extents);
	say_bytes(&s, stats.free_runs, "of it in split pages");
	say_what_is_in_the_way(&s, arena, &stats);
	say_advice(&s, &stats, bytes, arena->identity.page_size, contiguous);
	return why_set(why, -ENOSPC, "arena %s has no room for %s%s: %s", arena->identity.name, size_text(asked, bytes), contiguous ? " in one piece" : "",
		       s.text);
}

int explain_no_space(struct arena *arena, int r, uint64_t nr_pfns, bool contiguous, struct why *why)
{
	if (r == -ENOSPC)
		return explain(arena, nr_pfns << DESC_SHIFT, contiguous, why);
	if (r == -EIO)
		return why_set(why, r, "arena %s: its device failed while space was prepared", arena->identity.name);
	return r;
}
