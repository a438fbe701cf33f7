/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each operation is begun with a mark, done to the arena, and written into the model when the arena
 * took it. What the arena may refuse (full, taken, busy) changes nothing; any other refusal is a
 * failure.
 */
#include <config.h>

#include "tests/crash/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BAD  3
/* A kill strikes within that many operations of the media. */
#define KILL_OPS   40
#define SETTLE_OPS 12

static const struct {
	const char *name;
	unsigned weight;
} ops[NR_OPS] = {
	[OP_RESERVE] = { "reserve", 8 }, [OP_CREATE] = { "create", 12 },
	[OP_PUBLISH] = { "publish", 8 }, [OP_ABORT] = { "abort", 4 },
	[OP_FREE] = { "free", 10 },	 [OP_RENAME] = { "rename", 6 },
	[OP_GROW] = { "grow", 6 },	 [OP_SHRINK] = { "shrink", 5 },
	[OP_SETATTR] = { "setattr", 5 }, [OP_CARVE] = { "carve", 8 },
	[OP_POISON] = { "poison", 1 },	 [OP_WRITE] = { "write", 12 },
	[OP_CLOSE] = { "close", 4 },	 [OP_SCRUB] = { "scrub", 12 },
	[OP_SETTLE] = { "settle", 24 },	 [OP_TICK] = { "tick", 3 },
	[OP_RESTART] = { "restart", 1 }, [OP_KILL] = { "kill", 2 },
	[OP_REPLACE] = { "replace", 0 }, [OP_ATTRIBUTES] = { "attributes", 0 },
	[OP_EVICT] = { "evict", 0 },
};

const char *history_op_name(enum history_op op)
{
	return ops[op].name;
}

uint64_t history_random(uint64_t *seed, uint64_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*seed >> 33) % n;
}

static uint64_t rnd(struct history *h, uint64_t n)
{
	return history_random(&h->seed, n);
}

static void fail(struct history *h, const char *what, int err)
{
	h->nr_failures++;
	fprintf(stderr, "FAILED in the history at time %llu: %s: %s (%s)\n",
		(unsigned long long)h->world->now, what, strerror(-err), h->world->why.text);
}

/* ---- what to do it to ---- */

/* One of those in @state that @fits; NULL: none. */
static struct object *pick(struct history *h, enum object_state state, bool told)
{
	struct object *found = NULL;
	uint64_t nr = 0;

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		const struct version *last = model_last(object);

		if (last->undone != NEVER || last->state != state || (told && last->acked == NEVER))
			continue;
		if (rnd(h, ++nr) == 0)
			found = object;
	}
	return found;
}

static struct alloc *alloc_of(const struct history *h, const struct object *object)
{
	return arena_find(h->world->arena, object->slot, object->id);
}

/* Also what was freed since. */
static struct alloc *held_of(const struct history *h, const struct object *object)
{
	return arena_find_held(h->world->arena, h->world->holder, object->slot, object->id);
}

static struct caller caller_of(const struct history *h, uint32_t uid)
{
	return (struct caller){ .uid = uid, .gid = uid, .holder = h->world->holder };
}

/* Few names, so that they are freed and taken again; some of them need several slots. */
static uint8_t random_name(struct history *h, char name[ALLOC_MAX_NAME])
{
	char letter = (char)('a' + rnd(h, 6));
	static const uint8_t lens[] = { 1, 1, 1, 1, 40, 200, 255, 0 };
	uint8_t len = lens[rnd(h, 8)];

	memset(name, letter, ALLOC_MAX_NAME);
	return len;
}

static uint64_t random_len(struct history *h)
{
	uint64_t page = h->world->flavour->page_size;

	if (page == 4096)
		return page * (1 + rnd(h, 12));
	return rnd(h, 3) ? 4096 * (1 + rnd(h, 40)) : page * (1 + rnd(h, 3));
}

/*
 * What is handed out reads as zeroes, from byte @from on, and is not what somebody who is alive has
 * mapped.
 */
static void check_hand_out(struct history *h, const struct alloc *alloc, uint64_t from)
{
	const struct image *image = recorder_image(h->world->rec);
	uint64_t at = 0, whose;

	for (uint32_t i = 0; i < alloc->nr_extents && !h->nr_failures; i++) {
		struct extent e = arena_extent(h->world->arena, alloc, i);
		uint64_t skip = from > at ? from - at : 0;

		at += e.len;
		if (skip >= e.len)
			continue;
		e = (struct extent){ e.off + skip, e.len - skip };
		if (image_find_nonzero(image, world_data_device(h->world), e.off, e.len) !=
		    e.off + e.len) {
			fprintf(stderr, "allocation %llu does not read as zeroes\n",
				(unsigned long long)alloc->id);
			fail(h, "a hand-out", -ENODATA);
		}
		whose = mapped_find(&h->mapped, e);
		if (whose) {
			fprintf(stderr,
				"allocation %llu has space of %llu, which a client has mapped\n",
				(unsigned long long)alloc->id, (unsigned long long)whose);
			fail(h, "a hand-out", -ENODATA);
		}
	}
}

/*
 * What goes is quarantined for as long as its client has it open; to be told before, and again when
 * it is done.
 */
static void note_going(struct history *h, const struct alloc *alloc, uint64_t from)
{
	mapped_add(&h->mapped, h->world->arena, alloc, from);
}

static void note_gone(struct history *h, const struct object *object)
{
	if (!held_of(h, object))
		mapped_drop(&h->mapped, object->id);
}

/* Refusals that a client must expect. */
static bool is_refused(struct history *h, enum history_op op, int r)
{
	if (r == -EAGAIN) {
		world_scrub(h->world, rnd(h, 8));
		arena_collect(h->world->scrubber);
		return true;
	}
	if (r < 0 && r != -ENOSPC && r != -EINPROGRESS && r != -EEXIST && r != -ENFILE &&
	    r != -EBUSY)
		fail(h, ops[op].name, r);
	return r < 0;
}

/* What is given up is what others wait for. */
static void remember(struct history *h, const struct object *object, uint64_t bytes)
{
	const struct version *last = model_last(object);

	h->released_bytes = bytes;
	h->released_len = last->name_len;
	memcpy(h->released, last->name, last->name_len);
}

/* As users give them: most of them none, or a number of their own. */
static uint64_t random_token(struct history *h)
{
	return rnd(h, 2) ? 0 : (rnd(h, 1 << 24) << 24 | rnd(h, 1 << 24));
}

/* ---- operations ---- */

static bool do_reserve(struct history *h, enum history_op op)
{
	struct caller caller = caller_of(h, 1000 + (uint32_t)rnd(h, 2));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = {
		.name = name,
		.name_len = random_name(h, name),
		.len = random_len(h),
		.publish = op == OP_CREATE,
		.token = random_token(h),
		.contiguous = rnd(h, 4) == 0,
		.lease = op == OP_RESERVE && rnd(h, 3) == 0,
		.keep_open = rnd(h, 2),
	};
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;

	if (is_refused(h, op,
		       arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	check_hand_out(h, alloc, 0);
	return true;
}

static bool change(struct history *h, enum history_op op, struct object *object, int r,
		   uint64_t begun)
{
	if (is_refused(h, op, r))
		return false;
	model_change(object, alloc_of(h, object), begun);
	return true;
}

/* What is left of it after parts were carved off is not one run: it only goes back. */
static bool is_in_pieces(const struct alloc *alloc)
{
	return alloc->is_run && alloc->nr_extents > 1;
}

/* Some of one extent, and not the last of it all; NULL: nothing. */
static struct alloc *part_to_carve(struct extent *part, struct history *h, struct object *object)
{
	struct alloc *alloc = object && object->nr_spots == 0 ? alloc_of(h, object) : NULL;
	uint64_t unit, nr;
	struct extent e;

	if (!alloc)
		return NULL;
	unit = alloc->is_run ? 4096 : h->world->flavour->page_size;
	e = arena_extent(h->world->arena, alloc, (uint32_t)rnd(h, alloc->nr_extents));
	nr = e.len / unit;
	if (e.len == alloc_bytes(alloc) && nr == 1)
		return NULL;
	part->off = rnd(h, nr);
	part->len = 1 + rnd(h, nr - part->off);
	if (part->len * unit == alloc_bytes(alloc))
		part->len--;
	*part = (struct extent){ e.off + part->off * unit, part->len * unit };
	return alloc;
}

/* What was carved off is freed, and somebody else's, while the rest is still the session's. */
static void pass_on(struct history *h, struct object *object)
{
	struct caller root = caller_of(h, 0);
	struct alloc *alloc = alloc_of(h, object);
	uint64_t begun;
	int r;

	history_settle(h);
	remember(h, object, alloc_bytes(alloc));
	note_going(h, alloc, 0);
	begun = world_mark(h->world);
	r = arena_free_alloc(h->world->arena, &root, alloc, true, &h->world->why);
	if (!change(h, OP_FREE, object, r, begun))
		return;
	object->lingers = held_of(h, object);
	note_gone(h, object);
	history_settle(h);
	world_scrub_all(h->world);
	arena_collect(h->world->scrubber);
	history_reuse(h);
}

static bool do_carve(struct history *h, enum history_op op)
{
	struct object *object = pick(h, OBJECT_RESERVED, false);
	struct extent part;
	struct alloc *lease = part_to_carve(&part, h, object), *alloc;
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = random_name(h, name),
				 .publish = true,
				 .keep_open = rnd(h, 2) };
	struct caller caller;
	uint64_t begun, id, part_id;

	if (!lease)
		return false;
	id = object->id;
	ask.len = part.len;
	caller = caller_of(h, model_last(object)->uid);
	begun = world_mark(h->world);
	if (is_refused(h, op,
		       arena_carve(&alloc, h->world->arena, &caller, lease, &ask, part.off,
				   &h->world->why)))
		return false;
	part_id = alloc->id;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	object = model_find(h->model, id);
	model_change(object, lease, begun);
	object->is_carved = true;
	check_hand_out(h, alloc, 0);
	if (rnd(h, 3) == 0)
		pass_on(h, model_find(h->model, part_id));
	return true;
}

static bool do_publish(struct history *h, enum history_op op)
{
	struct object *object = pick(h, OBJECT_RESERVED, false);
	struct caller caller;
	uint64_t begun;

	if (!object || is_in_pieces(alloc_of(h, object)))
		return false;
	caller = caller_of(h, model_last(object)->uid);
	begun = world_mark(h->world);
	return change(h, op, object,
		      arena_publish(h->world->arena, &caller, alloc_of(h, object), random_token(h),
				    &h->world->why),
		      begun);
}

static bool do_release(struct history *h, enum history_op op)
{
	struct object *object = pick(h, op == OP_ABORT ? OBJECT_RESERVED : OBJECT_PUBLISHED, false);
	bool unmapped = rnd(h, 4) != 0;
	struct caller caller;
	uint64_t begun;
	int r;

	if (!object)
		return false;
	caller = caller_of(h, model_last(object)->uid);
	begun = world_mark(h->world);
	/* Begun in the model first: an abort needs no settle, so that a kill may find it done. */
	if (op == OP_ABORT) {
		model_change(object, NULL, begun);
		note_going(h, alloc_of(h, object), 0);
		r = arena_abort(h->world->arena, &caller, alloc_of(h, object), unmapped,
				&h->world->why);
		if (r < 0)
			fail(h, ops[op].name, r);
		note_gone(h, object);
		return true;
	}
	remember(h, object, alloc_bytes(alloc_of(h, object)));
	note_going(h, alloc_of(h, object), 0);
	r = arena_free_alloc(h->world->arena, &caller, alloc_of(h, object), unmapped,
			     &h->world->why);
	if (!change(h, op, object, r, begun))
		return false;
	object->lingers = held_of(h, object);
	note_gone(h, object);
	return true;
}

static bool do_rename(struct history *h, enum history_op op)
{
	struct object *object = pick(h, rnd(h, 5) ? OBJECT_PUBLISHED : OBJECT_RESERVED, false);
	char name[ALLOC_MAX_NAME];
	uint8_t len = random_name(h, name);
	struct caller caller;
	uint64_t begun;

	if (!object || is_in_pieces(alloc_of(h, object)))
		return false;
	caller = caller_of(h, model_last(object)->uid);
	remember(h, object, 4096);
	begun = world_mark(h->world);
	return change(h, op, object,
		      arena_rename(h->world->arena, &caller, alloc_of(h, object), name, len,
				   &h->world->why),
		      begun);
}

static bool do_resize(struct history *h, enum history_op op)
{
	struct object *object = pick(h, rnd(h, 5) ? OBJECT_PUBLISHED : OBJECT_RESERVED, false);
	uint64_t page = h->world->flavour->page_size, len, by;
	struct caller caller;
	uint64_t begun;

	if (!object || is_in_pieces(alloc_of(h, object)))
		return false;
	len = alloc_bytes(alloc_of(h, object));
	by = len < page ? 4096 * (1 + rnd(h, 6)) : page * (1 + rnd(h, 3));
	if (op == OP_GROW &&
	    ((len < page && len + by > page) || len + by > arena_identity(h->world->arena)->size))
		return false;
	if (op == OP_SHRINK && by >= len)
		return false;
	remember(h, object, by);
	caller = caller_of(h, model_last(object)->uid);
	begun = world_mark(h->world);
	if (op == OP_SHRINK)
		note_going(h, alloc_of(h, object), len - by);
	if (!change(h, op, object,
		    arena_resize(h->world->arena, &caller, alloc_of(h, object),
				 op == OP_GROW ? len + by : len - by, &h->world->why),
		    begun))
		return false;
	note_gone(h, object);
	check_hand_out(h, alloc_of(h, object), len);
	return true;
}

static bool do_setattr(struct history *h, enum history_op op)
{
	struct object *object = pick(h, OBJECT_PUBLISHED, false);
	struct caller caller = caller_of(h, 0);
	struct arena_attrs to = { .which = 1 + (unsigned)rnd(h, 7) };
	uint64_t begun;

	if (!object)
		return false;
	begun = world_mark(h->world);
	/* This order is that in which the arguments were evaluated when the seeds were chosen. */
	to.mode = rnd(h, 2) ? 0600 : 0644;
	to.gid = (uint32_t)rnd(h, 3);
	to.uid = 1000 + (uint32_t)rnd(h, 2);
	return change(
		h, op, object,
		arena_setattr(h->world->arena, &caller, alloc_of(h, object), &to, &h->world->why),
		begun);
}

static bool do_poison(struct history *h, enum history_op op)
{
	const struct arena_identity *id = arena_identity(h->world->arena);
	uint64_t pfn = rnd(h, id->size >> DESC_SHIFT);
	int r;

	if (h->model->nr_bad == MAX_BAD)
		return false;
	model_add_bad(h->model, pfn);
	world_mark(h->world);
	r = arena_poison(h->world->arena, id->data_off + (pfn << DESC_SHIFT),
			 UINT64_C(1) << DESC_SHIFT, &h->world->why);
	if (r < 0)
		fail(h, ops[op].name, r);
	model_ack_bad(h->model, world_mark(h->world));
	return true;
}

/* Where byte @off of an allocation is in the data area. */
static uint64_t place_of(const struct alloc *alloc, uint64_t off)
{
	uint32_t i = 0;

	while (off >= alloc->extents[i].len << DESC_SHIFT)
		off -= alloc->extents[i++].len << DESC_SHIFT;
	return (alloc->extents[i].off << DESC_SHIFT) + off;
}

/* NULL: the client has nothing that it may write to. */
static struct alloc *alloc_to_write(struct history *h, struct object **object)
{
	struct caller root = caller_of(h, 0);
	struct alloc *alloc;

	*object = pick(h, (enum object_state)rnd(h, 3), true);
	if (!*object || (*object)->is_carved)
		return NULL;
	/* What was freed and not closed may still be mapped, and written to. */
	if (model_last(*object)->state == OBJECT_GONE)
		return held_of(h, *object);
	alloc = alloc_of(h, *object);
	return arena_open_alloc(h->world->arena, &root, alloc, false, &h->world->why) < 0 ? NULL
											  : alloc;
}

static bool do_write(struct history *h, enum history_op op)
{
	struct object *object;
	struct alloc *alloc = alloc_to_write(h, &object);
	uint64_t words[8], value = 0x5ec7e70000000000u + rnd(h, 1u << 31), off, begun;
	bool persist = rnd(h, 3) != 0, counts;
	int r;

	if (!alloc)
		return false;
	counts = model_last(object)->state != OBJECT_GONE;
	off = rnd(h, alloc_bytes(alloc) / 64) * 64;
	for (unsigned i = 0; i < 8; i++)
		words[i] = value;
	begun = world_mark(h->world);
	if (counts)
		model_write(object, off, value, begun, NEVER);
	recorder_be_thread(WORLD_CLIENT);
	r = media_store(h->world->client, place_of(alloc, off), words, sizeof(words));
	if (r == 0 && persist)
		r = media_persist(h->world->client, place_of(alloc, off), sizeof(words));
	recorder_be_thread(-1);
	if (r < 0)
		fail(h, ops[op].name, r);
	begun = world_mark(h->world);
	if (counts && persist)
		object->spots[object->nr_spots - 1].durable = begun;
	return true;
}

/* Whatever it has open: also what was freed, whose space is then free. */
static bool do_close(struct history *h, enum history_op op)
{
	struct object *object = pick(h, rnd(h, 3) ? OBJECT_GONE : OBJECT_PUBLISHED, true);
	struct caller caller = caller_of(h, 1000);
	struct alloc *alloc;

	(void)op;
	if (!object)
		return false;
	alloc = held_of(h, object);
	if (!alloc)
		return false;
	object->lingers = false;
	mapped_drop(&h->mapped, object->id);
	arena_close_alloc(h->world->arena, &caller, alloc, rnd(h, 4) != 0);
	arena_tick(h->world->arena);
	return true;
}

static bool do_scrub(struct history *h, enum history_op op)
{
	bool ran = world_scrub(h->world, rnd(h, 8));

	(void)op;
	if (rnd(h, 4))
		arena_collect(h->world->scrubber);
	return ran;
}

void history_settle(struct history *h)
{
	int r = arena_settle(h->world->arena);

	if (r < 0)
		fail(h, "settle", r);
	else
		model_ack(h->model, world_mark(h->world));
}

static bool do_settle(struct history *h, enum history_op op)
{
	(void)op;
	history_settle(h);
	return true;
}

static bool do_tick(struct history *h, enum history_op op)
{
	(void)op;
	arena_tick(h->world->arena);
	return true;
}

/* ---- the daemon goes and comes again; the machine stays up ---- */

/* Which version is it now? NEVER: none that it may be. @absent: it is not there, and may be not. */
static size_t version_now(const struct object *object, const struct alloc *alloc, bool *absent)
{
	for (size_t i = object->nr_versions; i > 0; i--) {
		const struct version *v = &object->versions[i - 1];

		if (v->undone != NEVER)
			continue;
		if (!alloc && v->state == OBJECT_GONE)
			return i - 1;
		if (alloc &&
		    v->state ==
			    (alloc->state == ALLOC_RESERVED ? OBJECT_RESERVED : OBJECT_PUBLISHED) &&
		    model_matches(v, alloc))
			return i - 1;
		if (v->acked != NEVER)
			return NEVER;
	}
	*absent = !alloc;
	return NEVER;
}

/* One took the name of another: both halves came to be, or neither. */
static void look_at_replaced(struct history *h)
{
	for (size_t i = 0; i < h->model->nr_objects; i++) {
		const struct object *old = &h->model->objects[i];
		const struct object *by =
			old->replaced_by ? model_find(h->model, old->replaced_by) : NULL;

		if (!by || (old->versions[old->nr_versions - 1].undone == NEVER) ==
				   (by->versions[old->by_version].undone == NEVER))
			continue;
		fprintf(stderr, "allocation %llu was replaced by half\n",
			(unsigned long long)old->id);
		fail(h, "restart", -ENODATA);
	}
}

/* Clients look, and what they see is so from now on. */
static void look(struct history *h)
{
	uint64_t now = world_mark(h->world);

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		bool absent = false;
		size_t v;

		if (model_last(object)->undone != NEVER)
			continue;
		v = version_now(object, alloc_of(h, object), &absent);
		if (v == NEVER && !absent) {
			fprintf(stderr, "allocation %llu is %s after a restart of the daemon\n",
				(unsigned long long)object->id,
				alloc_of(h, object) ? "in no version that it may be in" : "lost");
			fail(h, "restart", -ENODATA);
		}
		model_see(object, v, now);
		note_gone(h, object);
		/* Somebody may still write to it: it must not be anybody else's. */
		if (object->lingers && v != NEVER && object->versions[v].state == OBJECT_GONE &&
		    !held_of(h, object)) {
			fprintf(stderr, "allocation %llu is not quarantined any more\n",
				(unsigned long long)object->id);
			fail(h, "restart", -ENODATA);
		}
	}
	look_at_replaced(h);
	model_forget_bad(h->model);
}

static bool come_up(struct history *h, enum history_op op)
{
	int r = world_open(h->world);

	if (r < 0) {
		fail(h, ops[op].name, r);
		return false;
	}
	look(h);
	return true;
}

/* Closing settles. */
static bool do_restart(struct history *h, enum history_op op)
{
	world_close(h->world);
	model_ack(h->model, world_mark(h->world));
	return come_up(h, op);
}

static enum history_op random_op(struct history *h, enum history_op end)
{
	unsigned total = 0, at;

	for (unsigned op = 0; op < end; op++)
		total += ops[op].weight;
	at = (unsigned)rnd(h, total);
	for (unsigned op = 0; op < end; op++) {
		if (at < ops[op].weight)
			return (enum history_op)op;
		at -= ops[op].weight;
	}
	return OP_SETTLE;
}

static void some_steps(struct history *h, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		history_step(h, random_op(h, OP_RESTART));
}

/*
 * In the middle of something, wherever the media is touched; or of a settle, where it matters most.
 */
static bool do_kill(struct history *h, enum history_op op)
{
	static const enum history_op staged[] = { OP_PUBLISH, OP_FREE,	 OP_RENAME,
						  OP_SHRINK,  OP_CREATE, OP_CARVE };
	bool settling = rnd(h, 3);
	static sigjmp_buf env;

	for (unsigned i = 0; settling && i < 2; i++)
		history_step(h, staged[rnd(h, 6)]);
	recorder_jump_at(h->world->rec, rnd(h, settling ? SETTLE_OPS : KILL_OPS), &env);
	if (sigsetjmp(env, 0) == 0) {
		if (settling)
			history_settle(h);
		else
			some_steps(h, 8);
		world_kill(h->world, false);
	} else {
		world_kill(h->world, true);
	}
	return come_up(h, op);
}

/* ---- one takes the place of another ---- */

/* A published one with a name; NULL: the one that was drawn has none. */
static struct object *pick_named(struct history *h)
{
	struct object *object = pick(h, OBJECT_PUBLISHED, false);

	return object && model_last(object)->name_len ? object : NULL;
}

/* What replaces @old: a new one, a reservation that is published, or one that is renamed. */
static int replace(uint64_t *id, struct history *h, const struct object *old, uint64_t begun)
{
	enum object_state state = rnd(h, 2) ? OBJECT_RESERVED : OBJECT_PUBLISHED;
	const struct version *last = model_last(old);
	struct object *by = rnd(h, 3) ? pick(h, state, false) : NULL;
	struct caller root = caller_of(h, 0), owner;
	struct arena_ask ask = { .name = last->name,
				 .name_len = last->name_len,
				 .len = random_len(h),
				 .publish = true,
				 .replace = true };
	struct alloc *alloc;
	int r;

	if (by == old || (by && by->is_carved))
		by = NULL;
	if (!by) {
		r = arena_reserve(&alloc, h->world->arena, &root, &ask, &h->world->why);
		if (r == 0) {
			*id = alloc->id;
			model_add(h->model, alloc, begun)->given = world_mark(h->world);
			check_hand_out(h, alloc, 0);
		}
		return r;
	}
	owner = caller_of(h, state == OBJECT_RESERVED ? last->uid : 0);
	r = state == OBJECT_RESERVED
		    ? arena_publish_over(h->world->arena, &owner, alloc_of(h, by), last->name,
					 last->name_len, 0, &h->world->why)
		    : arena_rename_over(h->world->arena, &owner, alloc_of(h, by), last->name,
					last->name_len, &h->world->why);
	*id = by->id;
	if (r == 0)
		model_change(by, alloc_of(h, by), begun);
	return r;
}

/* The daemon is killed in the settle that makes it durable. */
static bool kill_in_settle(struct history *h, enum history_op op)
{
	static sigjmp_buf env;

	recorder_jump_at(h->world->rec, rnd(h, SETTLE_OPS), &env);
	if (sigsetjmp(env, 0) == 0) {
		history_settle(h);
		world_kill(h->world, false);
	} else {
		world_kill(h->world, true);
	}
	return come_up(h, op);
}

static bool do_replace(struct history *h, enum history_op op)
{
	struct object *old = pick_named(h);
	uint64_t begun = world_mark(h->world), old_id, id = 0;

	if (!old)
		return false;
	old_id = old->id;
	remember(h, old, alloc_bytes(alloc_of(h, old)));
	note_going(h, alloc_of(h, old), 0);
	if (is_refused(h, op, replace(&id, h, old, begun)))
		return false;
	/* model_add() may have moved it. */
	old = model_find(h->model, old_id);
	model_replace(old, model_find(h->model, id), begun);
	old->lingers = held_of(h, old);
	note_gone(h, old);
	return rnd(h, 3) ? true : kill_in_settle(h, op);
}

/* ---- bytes of the owner's own ---- */

/* Some need further slots, and some none; zero bytes are among them. Returns how many. */
static uint16_t random_attributes(struct history *h, uint8_t bytes[ALLOC_MAX_ATTRIBUTES])
{
	static const uint16_t lens[] = { 1, 40, 49, 200, ALLOC_MAX_ATTRIBUTES };
	uint8_t first = (uint8_t)rnd(h, 256);

	for (unsigned i = 0; i < ALLOC_MAX_ATTRIBUTES; i++)
		bytes[i] = (uint8_t)(first + i * 3);
	return lens[rnd(h, 5)];
}

static bool create_with(struct history *h, enum history_op op, const uint8_t *bytes, uint16_t len)
{
	struct caller caller = caller_of(h, 1000 + (uint32_t)rnd(h, 2));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = random_name(h, name),
				 .len = random_len(h),
				 .publish = true,
				 .attributes = bytes,
				 .attributes_len = len };
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;

	if (is_refused(h, op,
		       arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	check_hand_out(h, alloc, 0);
	return true;
}

static bool publish_with(struct history *h, enum history_op op, const uint8_t *bytes, uint16_t len)
{
	struct object *object = pick(h, OBJECT_RESERVED, false);
	struct alloc *alloc = object ? alloc_of(h, object) : NULL;
	struct arena *arena = h->world->arena;
	struct caller caller;
	uint64_t begun;
	int r;

	if (!object || is_in_pieces(alloc))
		return false;
	caller = caller_of(h, model_last(object)->uid);
	begun = world_mark(h->world);
	r = arena_give_attributes(arena, &caller, alloc, bytes, len, &h->world->why);
	if (r == 0)
		r = arena_publish(arena, &caller, alloc, 0, &h->world->why);
	return change(h, op, object, r, begun);
}

/* Other ones, or none any more, and half of the time another mode in the same step. */
static bool set_attributes(struct history *h, enum history_op op, const uint8_t *bytes,
			   uint16_t len)
{
	struct object *object = pick(h, OBJECT_PUBLISHED, false);
	struct caller root = caller_of(h, 0);
	struct arena_attrs to = { .which = ARENA_SET_ATTRIBUTES | (rnd(h, 2) ? ARENA_SET_MODE : 0u),
				  .mode = rnd(h, 2) ? 0600 : 0644,
				  .attributes = bytes,
				  .attributes_len = rnd(h, 4) ? len : 0 };
	uint64_t begun;

	if (!object)
		return false;
	begun = world_mark(h->world);
	return change(h, op, object,
		      arena_setattr(h->world->arena, &root, alloc_of(h, object), &to,
				    &h->world->why),
		      begun);
}

static bool do_attributes(struct history *h, enum history_op op)
{
	uint8_t bytes[ALLOC_MAX_ATTRIBUTES];
	uint16_t len = random_attributes(h, bytes);
	uint64_t which = rnd(h, 4);
	bool done = which == 0	 ? create_with(h, op, bytes, len)
		    : which == 1 ? publish_with(h, op, bytes, len)
				 : set_attributes(h, op, bytes, len);

	return done && rnd(h, 3) == 0 ? kill_in_settle(h, op) : done;
}

/* ---- what may go makes room ---- */

/* Of what was published, what is not there any more was evicted since @begun. */
static void note_evicted(struct history *h, uint64_t begun)
{
	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		const struct version *last = model_last(object);

		if (last->undone != NEVER || last->state != OBJECT_PUBLISHED || alloc_of(h, object))
			continue;
		if (!last->is_evictable || held_of(h, object)) {
			fprintf(stderr, "allocation %llu, which is %s, was evicted\n",
				(unsigned long long)object->id,
				last->is_evictable ? "open" : "not evictable");
			fail(h, "evict", -ENODATA);
		}
		model_change(object, NULL, begun);
	}
}

/* A new one that may go; if the arena is full, some that may go make room for it. */
static bool create_evictable(struct history *h, enum history_op op, uint64_t len)
{
	struct caller caller = caller_of(h, 1000 + (uint32_t)(rnd(h, 4) == 0));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = random_name(h, name),
				 .len = len,
				 .publish = true,
				 .evictable = rnd(h, 8) != 0,
				 .keep_open = rnd(h, 6) == 0 };
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;
	int r;

	while ((r = arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	note_evicted(h, begun);
	if (is_refused(h, op, r))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	check_hand_out(h, alloc, 0);
	return true;
}

/* Some, of which not all have room. */
static bool do_evict(struct history *h, enum history_op op)
{
	uint64_t page = h->world->flavour->page_size, len;
	struct arena_stats stats;
	bool done = false;

	arena_stats(h->world->arena, &stats);
	len = stats.free / page / 4 * page;
	if (len < page)
		len = page;
	for (unsigned i = 0; i < 8 && !h->nr_failures; i++) {
		done |= create_evictable(h, op, rnd(h, 4) ? len : random_len(h));
		if (rnd(h, 2))
			history_settle(h);
	}
	return done && rnd(h, 3) == 0 ? kill_in_settle(h, op) : done;
}

bool history_step(struct history *h, enum history_op op)
{
	static bool (*const functions[NR_OPS])(struct history *, enum history_op) = {
		[OP_RESERVE] = do_reserve, [OP_CREATE] = do_reserve,  [OP_PUBLISH] = do_publish,
		[OP_ABORT] = do_release,   [OP_FREE] = do_release,    [OP_RENAME] = do_rename,
		[OP_GROW] = do_resize,	   [OP_SHRINK] = do_resize,   [OP_SETATTR] = do_setattr,
		[OP_CARVE] = do_carve,	   [OP_POISON] = do_poison,   [OP_WRITE] = do_write,
		[OP_CLOSE] = do_close,	   [OP_SCRUB] = do_scrub,     [OP_SETTLE] = do_settle,
		[OP_TICK] = do_tick,	   [OP_RESTART] = do_restart, [OP_KILL] = do_kill,
		[OP_REPLACE] = do_replace, [OP_ATTRIBUTES] = do_attributes,
		[OP_EVICT] = do_evict,
	};
	bool done;

	if (!h->world->arena)
		return false;
	done = functions[op](h, op);
	if (h->print)
		printf("  time %llu: %s%s\n", (unsigned long long)h->world->now, ops[op].name,
		       done ? "" : " (nothing)");
	return done;
}

void history_close_all(struct history *h)
{
	struct caller caller = caller_of(h, 1000);

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		struct alloc *alloc = held_of(h, object);

		object->lingers = false;
		mapped_drop(&h->mapped, object->id);
		if (alloc)
			arena_close_alloc(h->world->arena, &caller, alloc, true);
	}
}

static bool create(struct history *h, const struct arena_ask *ask)
{
	struct caller caller = caller_of(h, 1000);
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;
	int r;

	while ((r = arena_reserve(&alloc, h->world->arena, &caller, ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	if (is_refused(h, OP_CREATE, r))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	check_hand_out(h, alloc, 0);
	return true;
}

/* All but some pages go to one allocation, so that the others are in each other's way. */
void history_crowd(struct history *h)
{
	uint64_t page = h->world->flavour->page_size;
	struct arena_stats stats;

	arena_stats(h->world->arena, &stats);
	create(h, &(struct arena_ask){ .publish = true, .len = stats.free / page * page / 8 * 7 });
	history_settle(h);
}

bool history_reuse(struct history *h)
{
	struct arena_ask ask = { .publish = true,
				 .name = h->released,
				 .name_len = h->released_len,
				 .len = h->released_bytes };

	if (!ask.len)
		return false;
	if (create(h, &ask))
		return true;
	ask.len = 4096;
	return create(h, &ask);
}

void history_run(struct history *h, unsigned nr)
{
	for (unsigned i = 0; i < nr && h->world->arena && !h->nr_failures; i++)
		history_step(h, random_op(h, NR_OPS));
	if (h->world->arena && !h->nr_failures)
		history_settle(h);
}

void history_fini(struct history *h)
{
	mapped_fini(&h->mapped);
}
