/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks through arena.h only, and at the bytes. */
#include <config.h>

#include "tests/crash/judge.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"

#define LINE      64
#define FEW_SLOTS 64u

struct court {
	struct verdict *verdict;
	struct world *world;
	const struct model *model;
	uint64_t now;
};

void verdict_fail(struct verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	if (verdict->failed)
		return;
	verdict->failed = true;
	va_start(ap, fmt);
	vsnprintf(verdict->text, sizeof(verdict->text), fmt, ap);
	va_end(ap);
}

void verdict_fini(struct verdict *verdict)
{
	free(verdict->seen);
	*verdict = (struct verdict){ 0 };
}

/* ---- what is there ---- */

static bool check_word(struct court *court, const struct object *object, size_t version,
		       uint64_t off, uint64_t value)
{
	if (model_allows_word(court->model, object, version, off, value, court->now))
		return true;
	verdict_fail(court->verdict,
		     "allocation %llu: at offset %llu is %#llx, which nobody stored there since",
		     (unsigned long long)object->id, (unsigned long long)off,
		     (unsigned long long)value);
	return false;
}

/* The bytes of one extent, @at in the allocation; what nobody wrote is zero. */
static void check_extent(struct court *court, const struct object *object, size_t version,
			 struct extent extent, uint64_t at)
{
	const struct image *image = recorder_image(court->world->rec);
	unsigned device = world_data_device(court->world);
	uint64_t words[LINE / 8];

	for (uint64_t off = 0; off < extent.len; off += LINE) {
		off = image_find_nonzero(image, device, extent.off + off, extent.len - off) -
		      extent.off;
		off -= off % LINE;
		if (off >= extent.len)
			return;
		image_read(image, device, extent.off + off, words, LINE);
		for (unsigned i = 0; i < LINE / 8; i++)
			if (!check_word(court, object, version, at + off + i * 8, words[i]))
				return;
	}
}

/* Lines that were stored to may be all zero now: those are not met above. */
static void check_spots(struct court *court, const struct object *object, size_t version,
			const struct alloc *alloc)
{
	const struct arena *arena = court->world->arena;

	for (size_t i = 0; i < object->nr_spots; i++) {
		uint64_t off = object->spots[i].off, value;

		for (uint32_t e = 0; e < alloc->nr_extents; e++) {
			struct extent extent = arena_extent(arena, alloc, e);

			if (off >= extent.len) {
				off -= extent.len;
				continue;
			}
			image_read(recorder_image(court->world->rec),
				   world_data_device(court->world), extent.off + off, &value, 8);
			check_word(court, object, version, object->spots[i].off, value);
			break;
		}
	}
}

static void check_contents(struct court *court, const struct object *object, size_t version,
			   const struct alloc *alloc)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent extent = arena_extent(court->world->arena, alloc, i);

		check_extent(court, object, version, extent, at);
		at += extent.len;
	}
	check_spots(court, object, version, alloc);
}

static const char *name_of(const struct alloc *alloc, char text[32])
{
	snprintf(text, 32, "%.*s%s", alloc->name_len < 24 ? alloc->name_len : 24,
		 alloc->name ? alloc->name : "", alloc->name_len > 24 ? "..." : "");
	return text;
}

/* Which version of it is this? NEVER, with a complaint, when it must not be so. */
static size_t find_version(struct court *court, const struct object *object,
			   const struct alloc *alloc, const size_t *seen)
{
	size_t first, last;
	char text[32];
	bool absent;

	model_possible(object, court->now, &first, &last, &absent);
	if (seen) {
		absent = *seen == NEVER;
		first = absent ? 1 : *seen;
		last = absent ? 0 : *seen;
	}
	for (size_t v = first; alloc && v <= last && v < object->nr_versions; v++)
		if (object->versions[v].state == OBJECT_PUBLISHED &&
		    model_matches(&object->versions[v], alloc))
			return v;
	if (alloc)
		verdict_fail(court->verdict,
			     "allocation %llu (%s, uid %u, %u extents from pfn %llu) is in no "
			     "version that it may be in",
			     (unsigned long long)object->id, name_of(alloc, text), alloc->uid,
			     alloc->nr_extents, (unsigned long long)alloc->extents[0].off);
	else if (!absent)
		verdict_fail(court->verdict, "allocation %llu is lost",
			     (unsigned long long)object->id);
	return NEVER;
}

/* Was it acknowledged by @now, as it was before it was gone? */
static bool was_there(const struct object *old, uint64_t now)
{
	return old->versions[old->nr_versions - 2].acked <= now;
}

/*
 * One allocation took over the name of another: both halves of that happened, or neither. What was
 * acknowledged is judged with each of them.
 */
static void check_replaced(struct court *court, const struct object *old, size_t seen)
{
	for (size_t i = 0; old->replaced_by && i < court->model->nr_objects; i++) {
		const struct object *by = &court->model->objects[i];
		size_t version = court->verdict->seen[i];
		bool took = version != NEVER && version >= old->by_version;

		if (by->id != old->replaced_by || by->versions[old->by_version].begun > court->now)
			continue;
		if (took && seen != NEVER)
			verdict_fail(court->verdict,
				     "allocation %llu and what replaced it are there",
				     (unsigned long long)old->id);
		/* What was never there, since a cut came before it was, has not been replaced. */
		if (!took && seen == NEVER && was_there(old, court->now) &&
		    by->nr_versions == old->by_version + 1)
			verdict_fail(court->verdict,
				     "neither allocation %llu nor what replaced it is there",
				     (unsigned long long)old->id);
	}
}

/* Did its last version come to be? */
static bool has_come(const struct object *object, size_t seen)
{
	size_t last = object->nr_versions - 1;

	return object->versions[last].state == OBJECT_GONE ? seen == NEVER : seen == last;
}

/*
 * All changes of a bundle came to be, or none. What is gone says nothing unless it was there
 * before.
 */
static void check_bundles(struct court *court, const size_t *seen)
{
	const struct object *first = NULL;
	bool came = false;

	for (size_t i = 0; i < court->model->nr_objects; i++) {
		const struct object *object = &court->model->objects[i];
		const struct version *last = &object->versions[object->nr_versions - 1];

		if (!object->bundle || last->begun > court->now ||
		    (last->state == OBJECT_GONE && !was_there(object, court->now)))
			continue;
		if (first && first->bundle == object->bundle && came != has_come(object, seen[i]))
			verdict_fail(court->verdict,
				     "allocations %llu and %llu were changed together, and by half",
				     (unsigned long long)first->id, (unsigned long long)object->id);
		if (first && first->bundle == object->bundle)
			continue;
		first = object;
		came = has_come(object, seen[i]);
	}
}

static void check_objects(struct court *court, const size_t *seen)
{
	const struct model *model = court->model;
	struct verdict *verdict = court->verdict;
	uint64_t nr_found = 0, nr_there = 0;

	free(verdict->seen);
	verdict->seen = calloc(model->nr_objects + 1, sizeof(*verdict->seen));
	if (!verdict->seen)
		errx(2, "out of memory");
	for (size_t i = 0; i < model->nr_objects; i++) {
		const struct object *object = &model->objects[i];
		const struct alloc *alloc =
			arena_find(court->world->arena, object->slot, object->id);
		size_t version = find_version(court, object, alloc, seen ? &seen[i] : NULL);

		verdict->seen[i] = version;
		nr_found += alloc != NULL;
		if (alloc && version != NEVER)
			check_contents(court, object, version, alloc);
	}
	for (size_t i = 0; i < model->nr_objects; i++)
		check_replaced(court, &model->objects[i], verdict->seen[i]);
	check_bundles(court, verdict->seen);
	for (const struct alloc *a = arena_next_slot(court->world->arena, 0); a;
	     a = arena_next_slot(court->world->arena, a->slot + 1))
		nr_there++;
	if (nr_there != nr_found)
		verdict_fail(verdict, "%llu allocations are there, %llu of them are known",
			     (unsigned long long)nr_there, (unsigned long long)nr_found);
}

/* ---- what can be had ---- */

static void check_fresh_id(struct court *court, uint64_t id)
{
	for (size_t i = 0; court->model && i < court->model->nr_objects; i++)
		if (court->model->objects[i].given <= court->now &&
		    court->model->objects[i].id >= id)
			verdict_fail(court->verdict,
				     "a new allocation has id %llu, and there was a %llu already",
				     (unsigned long long)id,
				     (unsigned long long)court->model->objects[i].id);
}

static void check_not_shared(struct court *court, const struct alloc *mine, struct extent extent)
{
	const struct arena *arena = court->world->arena;

	for (const struct alloc *a = arena_next_slot(arena, 0); a;
	     a = arena_next_slot(arena, a->slot + 1)) {
		for (uint32_t i = 0; i < a->nr_extents; i++) {
			struct extent other = arena_extent(arena, a, i);

			if (other.off < extent.off + extent.len &&
			    extent.off < other.off + other.len)
				verdict_fail(court->verdict,
					     "allocation %llu was given space that %llu has, at "
					     "offset %llu",
					     (unsigned long long)mine->id,
					     (unsigned long long)a->id,
					     (unsigned long long)other.off);
		}
	}
}

static void check_not_bad(struct court *court, const struct alloc *mine)
{
	for (size_t b = 0; court->model && b < court->model->nr_bad; b++) {
		const struct bad_pfn *bad = &court->model->bad[b];

		for (uint32_t i = 0; bad->acked <= court->now && i < mine->nr_extents; i++)
			if (bad->pfn - mine->extents[i].off < mine->extents[i].len)
				verdict_fail(court->verdict, "pfn %llu is bad, and was handed out",
					     (unsigned long long)bad->pfn);
	}
}

/*
 * What a session was just given: its alone, good, and zero. Then it stores something, which nobody
 * else must ever see.
 */
static void check_given(struct court *court, const struct alloc *alloc)
{
	static const uint64_t secret[LINE / 8] = { 0xdead, 0xdead, 0xdead, 0xdead,
						   0xdead, 0xdead, 0xdead, 0xdead };
	const struct image *image = recorder_image(court->world->rec);

	check_fresh_id(court, alloc->id);
	check_not_bad(court, alloc);
	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent extent = arena_extent(court->world->arena, alloc, i);
		uint64_t end = extent.off + extent.len,
			 found = image_find_nonzero(image, world_data_device(court->world),
						    extent.off, extent.len);

		if (found < end)
			verdict_fail(court->verdict,
				     "what was handed out does not read as zeroes: offset %llu",
				     (unsigned long long)found);
		check_not_shared(court, alloc, extent);
		recorder_be_thread(WORLD_CLIENT);
		media_store(court->world->client, alloc->extents[i].off << DESC_SHIFT, secret,
			    LINE);
		media_persist(court->world->client, alloc->extents[i].off << DESC_SHIFT, LINE);
		recorder_be_thread(-1);
	}
}

/* false: refused. */
static bool take(struct court *court, uint32_t uid, uint64_t len)
{
	struct caller caller = { .uid = uid, .gid = uid, .holder = court->world->holder };
	/* As a lease it takes what is free, and makes nothing that is evictable give way. */
	struct arena_ask ask = { .len = len, .lease = true };
	struct alloc *alloc;
	int r = arena_reserve(&alloc, court->world->arena, &caller, &ask, &court->world->why);

	if (r == 0 && arena_settle(court->world->arena) < 0)
		verdict_fail(court->verdict, "a settle failed");
	/* A forged superblock may leave next to no slots. */
	if (r < 0 && r != -ENOSPC &&
	    !(r == -ENFILE && arena_identity(court->world->arena)->nr_slots < FEW_SLOTS))
		verdict_fail(court->verdict, "a reservation of %llu bytes is refused: %s",
			     (unsigned long long)len, court->world->why.text);
	if (r == 0)
		check_given(court, alloc);
	return r == 0;
}

static void take_all(struct court *court)
{
	uint64_t page = arena_identity(court->world->arena)->page_size, nr;
	struct arena_stats stats;

	arena_stats(court->world->arena, &stats);
	for (nr = stats.free / page; nr > 0 && !take(court, 1000, nr * page); nr--)
		;
	for (uint32_t uid = 1000; uid < 1002; uid++)
		for (uint64_t len = page / 2; len >= 4096 && page > 4096; len /= 2)
			while (!court->verdict->failed && take(court, uid, len))
				;
}

static void check_sum(struct court *court)
{
	struct arena_stats stats;

	arena_stats(court->world->arena, &stats);
	if (stats.poisoned == 0 && stats.free + stats.used != stats.size)
		verdict_fail(court->verdict, "of %llu bytes %llu are used and %llu free",
			     (unsigned long long)stats.size, (unsigned long long)stats.used,
			     (unsigned long long)stats.free);
}

/* ---- the whole ---- */

static void hear(void *arg, const char *what)
{
	verdict_fail(arg, "check: %s", what);
}

static void check_arena(struct court *court)
{
	int64_t r = arena_check(court->world->arena, hear, court->verdict);

	if (r < 0)
		verdict_fail(court->verdict, "check: %s", strerror((int)-r));
}

static void check_free(struct court *court)
{
	world_scrub_all(court->world);
	check_sum(court);
	take_all(court);
	check_arena(court);
}

void judge(struct verdict *verdict, struct world *world, const struct model *model, uint64_t now,
	   const size_t *seen, const struct image *image)
{
	struct court court = { verdict, world, model, now };
	const char *reason;
	int r;

	*verdict = (struct verdict){ 0 };
	world_boot(world, image);
	r = world_open(world);
	if (r < 0) {
		verdict_fail(verdict, "it does not open: %s: %s", strerror(-r), world->why.text);
		return;
	}
	verdict->opened = world_mark(world);
	if (arena_state(world->arena, &reason) != ARENA_ONLINE)
		verdict_fail(verdict, "it is not online: %s", reason);
	check_arena(&court);
	check_objects(&court, seen);
	if (!verdict->failed)
		check_free(&court);
}

void judge_check(struct verdict *verdict, struct world *world)
{
	struct court court = { .verdict = verdict, .world = world };

	check_arena(&court);
}

void judge_objects(struct verdict *verdict, struct world *world, const struct model *model,
		   uint64_t now, const size_t *seen)
{
	struct court court = { verdict, world, model, now };

	check_objects(&court, seen);
}

void judge_free(struct verdict *verdict, struct world *world, const struct model *model,
		uint64_t now)
{
	struct court court = { verdict, world, model, now };

	check_free(&court);
}

void judge_empty(struct verdict *verdict, struct world *world)
{
	struct court court = { .verdict = verdict, .world = world };
	struct arena_stats stats;

	check_arena(&court);
	arena_stats(world->arena, &stats);
	if (stats.nr_published || stats.slots_used)
		verdict_fail(verdict, "a new arena has %llu allocations",
			     (unsigned long long)stats.nr_published);
	check_free(&court);
}
