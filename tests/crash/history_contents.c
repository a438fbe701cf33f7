/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_contents: users who go round with space that comes as they left it: they reserve it with
 * any contents, store something, publish it or give it up. In between others want space too.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"

#define LINE 64

/* The last @bytes of @alloc read as zeroes, durably so from now on. */
static void note_rest(struct object *object, const struct alloc *alloc, uint64_t bytes,
		      uint64_t now)
{
	for (uint64_t off = alloc_bytes(alloc) - bytes; off < alloc_bytes(alloc); off += LINE)
		model_write(object, off, 0, now, now);
}

/* Now, and in each state that a cut leaves. */
static void check_rest(struct history *h, struct object *object, const struct alloc *alloc,
		       uint64_t bytes)
{
	struct extent e = arena_extent(h->world->arena, alloc, alloc->nr_extents - 1);
	uint64_t end = e.off + e.len;

	if (image_find_nonzero(recorder_image(h->world->rec), world_data_device(h->world),
			       end - bytes, bytes) != end) {
		fprintf(stderr, "allocation %llu has something behind its length\n",
			(unsigned long long)alloc->id);
		history_fail(h, "a hand-out", -ENODATA);
	}
	note_rest(object, alloc, bytes, world_mark(h->world));
}

/* Some pages, and some lines of the last one that are not asked for. */
static struct object *reserve(struct history *h, enum history_op op, uint32_t uid)
{
	struct caller caller = history_caller(h, uid);
	uint64_t page = h->world->flavour->page_size, rest = LINE * history_rnd(h, 8);
	struct arena_ask ask = { .len = page * (1 + history_rnd(h, 3)) - rest,
				 .any_contents = true,
				 .publish = history_rnd(h, 4) == 0,
				 .keep_open = true,
				 .contiguous = history_rnd(h, 4) == 0 };
	uint64_t begun = world_mark(h->world);
	struct object *object;
	struct alloc *alloc;
	int r;

	while ((r = arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	if (history_is_refused(h, op, r))
		return NULL;
	object = model_add(h->model, alloc, begun);
	object->given = world_mark(h->world);
	object->has_contents = ask.publish || alloc->has_contents;
	if (object->has_contents)
		history_check_own(h, alloc);
	else
		history_check_hand_out(h, alloc, 0);
	history_settle(h);
	check_rest(h, object, alloc, rest);
	return object;
}

/* A client stores a line, and makes it durable or not. */
static void store(struct history *h, struct object *object, struct alloc *alloc)
{
	uint64_t words[LINE / 8], value = 0xc0de000000000000u + history_rnd(h, 1u << 31);
	struct extent e = alloc->extents[history_rnd(h, alloc->nr_extents)];
	uint64_t nr_lines = (e.len << DESC_SHIFT) / LINE, off;
	/* Most of them at the end, where the next one who gets it may not have asked for it. */
	uint64_t at = (nr_lines - 1 - history_rnd(h, history_rnd(h, 3) ? 8 : nr_lines)) * LINE;
	bool persist = history_rnd(h, 2);

	off = at;
	for (const struct extent *before = alloc->extents; before->off != e.off; before++)
		off += before->len << DESC_SHIFT;
	for (unsigned i = 0; i < LINE / 8; i++)
		words[i] = value;
	model_note_stored(h->model, alloc->uid, value);
	model_write(object, off, value, world_mark(h->world), NEVER);
	recorder_be_thread(WORLD_CLIENT);
	media_store(h->world->client, (e.off << DESC_SHIFT) + at, words, sizeof(words));
	if (persist)
		media_persist(h->world->client, (e.off << DESC_SHIFT) + at, sizeof(words));
	recorder_be_thread(-1);
	if (persist)
		object->spots[object->nr_spots - 1].durable = world_mark(h->world);
}

/* It is published, and freed at once or later; or given up. */
static void end(struct history *h, enum history_op op, struct object *object)
{
	struct alloc *alloc = history_alloc(h, object);
	struct caller caller = history_caller(h, alloc->uid);
	uint64_t begun = world_mark(h->world);

	if (alloc->state == ALLOC_RESERVED && history_rnd(h, 3) == 0) {
		history_changed(h, op, object,
				arena_abort(h->world->arena, &caller, alloc, true, &h->world->why),
				begun);
		return;
	}
	if (alloc->state == ALLOC_RESERVED)
		history_changed(h, op, object,
				arena_publish(h->world->arena, &caller, alloc, 0, &h->world->why),
				begun);
	if (history_rnd(h, 2))
		history_settle(h);
	if (history_rnd(h, 4) == 0)
		return;
	begun = world_mark(h->world);
	history_changed(h, op, object,
			arena_free_alloc(h->world->arena, &caller, alloc, true, &h->world->why),
			begun);
}

/* Somebody wants all that is free, also what is kept for others, and gives it back. */
static void want_all(struct history *h, enum history_op op)
{
	struct caller caller = history_caller(h, 1002);
	uint64_t page = h->world->flavour->page_size, begun = world_mark(h->world);
	struct arena_ask ask = { .len = 0 };
	struct arena_stats stats;
	struct object *object;
	struct alloc *alloc;
	int r;

	arena_stats(h->world->arena, &stats);
	ask.len = (stats.free - stats.free_split) / page * page;
	if (!ask.len)
		return;
	while ((r = arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	if (history_is_refused(h, op, r))
		return;
	object = model_add(h->model, alloc, begun);
	object->given = world_mark(h->world);
	history_check_hand_out(h, alloc, 0);
	history_settle(h);
	begun = world_mark(h->world);
	r = arena_abort(h->world->arena, &caller, alloc, true, &h->world->why);
	history_changed(h, op, object, r, begun);
}

/* What others do meanwhile: they take space that must be zero, and the daemon has its ticks. */
static void disturb(struct history *h, enum history_op op)
{
	switch (history_rnd(h, 6)) {
	case 0:
		history_reserve(h, OP_CREATE);
		break;
	case 1:
		arena_tick(h->world->arena);
		break;
	case 2:
		world_scrub(h->world, history_rnd(h, 8));
		arena_collect(h->world->scrubber);
		break;
	case 3:
		want_all(h, op);
		break;
	default:
		history_settle(h);
	}
}

bool history_contents(struct history *h, enum history_op op)
{
	bool done = false;

	for (unsigned i = 0; i < 6 && !h->nr_failures; i++) {
		struct object *object =
			reserve(h, op, 1000 + (uint32_t)(history_rnd(h, 4) == 0));

		if (!object)
			break;
		done = true;
		for (uint64_t nr = history_rnd(h, 4); nr > 0; nr--)
			store(h, object, history_alloc(h, object));
		if (history_rnd(h, 8))
			end(h, op, object);
		disturb(h, op);
	}
	return done && !h->nr_failures && history_rnd(h, 4) == 0 ? history_kill_in_settle(h, op)
								 : done;
}
