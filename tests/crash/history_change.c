/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_change: steps that change what the table or the ledger has.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"

#define MAX_BAD 3

bool history_reserve(struct history *h, enum history_op op)
{
	struct caller caller = history_caller(h, 1000 + (uint32_t)history_rnd(h, 2));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = {
		.name = name,
		.name_len = history_random_name(h, name),
		.len = history_random_len(h),
		.publish = op == OP_CREATE,
		.token = history_random_token(h),
		.contiguous = history_rnd(h, 4) == 0,
		.lease = op == OP_RESERVE && history_rnd(h, 3) == 0,
		.keep_open = history_rnd(h, 2),
	};
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;

	if (history_is_refused(h, op,
		       arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	history_check_hand_out(h, alloc, 0);
	return true;
}

/* Some of one extent, and not the last of it all; NULL: nothing. */
static struct alloc *part_to_carve(struct extent *part, struct history *h, struct object *object)
{
	struct alloc *alloc = object && object->nr_spots == 0 ? history_alloc(h, object) : NULL;
	uint64_t unit, nr;
	struct extent e;

	if (!alloc)
		return NULL;
	unit = alloc->is_run ? 4096 : h->world->flavour->page_size;
	e = arena_extent(h->world->arena, alloc, (uint32_t)history_rnd(h, alloc->nr_extents));
	nr = e.len / unit;
	if (e.len == alloc_bytes(alloc) && nr == 1)
		return NULL;
	part->off = history_rnd(h, nr);
	part->len = 1 + history_rnd(h, nr - part->off);
	if (part->len * unit == alloc_bytes(alloc))
		part->len--;
	*part = (struct extent){ e.off + part->off * unit, part->len * unit };
	return alloc;
}

/* What was carved off is freed, and somebody else's, while the rest is still the session's. */
static void pass_on(struct history *h, struct object *object)
{
	struct caller root = history_caller(h, 0);
	struct alloc *alloc = history_alloc(h, object);
	uint64_t begun;
	int r;

	history_settle(h);
	history_remember(h, object, alloc_bytes(alloc));
	history_note_going(h, alloc, 0);
	begun = world_mark(h->world);
	r = arena_free_alloc(h->world->arena, &root, alloc, true, &h->world->why);
	if (!history_changed(h, OP_FREE, object, r, begun))
		return;
	object->lingers = history_held(h, object);
	history_note_gone(h, object);
	history_settle(h);
	world_scrub_all(h->world);
	arena_collect(h->world->scrubber);
	history_reuse(h);
}

bool history_carve(struct history *h, enum history_op op)
{
	struct object *object = history_pick(h, OBJECT_RESERVED, false);
	struct extent part;
	struct alloc *lease = part_to_carve(&part, h, object), *alloc;
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = history_random_name(h, name),
				 .publish = true,
				 .keep_open = history_rnd(h, 2) };
	struct caller caller;
	uint64_t begun, id, part_id;

	if (!lease)
		return false;
	id = object->id;
	ask.len = part.len;
	caller = history_caller(h, model_last(object)->uid);
	begun = world_mark(h->world);
	if (history_is_refused(h, op,
		       arena_carve(&alloc, h->world->arena, &caller, lease, &ask, part.off,
				   &h->world->why)))
		return false;
	part_id = alloc->id;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	object = model_find(h->model, id);
	model_change(object, lease, begun);
	object->is_carved = true;
	history_check_hand_out(h, alloc, 0);
	if (history_rnd(h, 3) == 0)
		pass_on(h, model_find(h->model, part_id));
	return true;
}

bool history_publish(struct history *h, enum history_op op)
{
	struct object *object = history_pick(h, OBJECT_RESERVED, false);
	struct caller caller;
	uint64_t begun;

	if (!object || history_is_in_pieces(history_alloc(h, object)))
		return false;
	caller = history_caller(h, model_last(object)->uid);
	begun = world_mark(h->world);
	return history_changed(h, op, object,
		      arena_publish(h->world->arena, &caller, history_alloc(h, object),
				    history_random_token(h), &h->world->why),
		      begun);
}

bool history_release(struct history *h, enum history_op op)
{
	struct object *object =
		history_pick(h, op == OP_ABORT ? OBJECT_RESERVED : OBJECT_PUBLISHED, false);
	bool unmapped = history_rnd(h, 4) != 0;
	struct caller caller;
	uint64_t begun;
	int r;

	if (!object)
		return false;
	caller = history_caller(h, model_last(object)->uid);
	begun = world_mark(h->world);
	/* Begun in the model first: an abort needs no settle, so that a kill may find it done. */
	if (op == OP_ABORT) {
		model_change(object, NULL, begun);
		history_note_going(h, history_alloc(h, object), 0);
		r = arena_abort(h->world->arena, &caller, history_alloc(h, object), unmapped,
				&h->world->why);
		if (r < 0)
			history_fail(h, history_op_name(op), r);
		history_note_gone(h, object);
		return true;
	}
	history_remember(h, object, alloc_bytes(history_alloc(h, object)));
	history_note_going(h, history_alloc(h, object), 0);
	r = arena_free_alloc(h->world->arena, &caller, history_alloc(h, object), unmapped,
			     &h->world->why);
	if (!history_changed(h, op, object, r, begun))
		return false;
	object->lingers = history_held(h, object);
	history_note_gone(h, object);
	return true;
}

bool history_rename(struct history *h, enum history_op op)
{
	struct object *object =
		history_pick(h, history_rnd(h, 5) ? OBJECT_PUBLISHED : OBJECT_RESERVED, false);
	char name[ALLOC_MAX_NAME];
	uint8_t len = history_random_name(h, name);
	struct caller caller;
	uint64_t begun;

	if (!object || history_is_in_pieces(history_alloc(h, object)))
		return false;
	caller = history_caller(h, model_last(object)->uid);
	history_remember(h, object, 4096);
	begun = world_mark(h->world);
	return history_changed(h, op, object,
		      arena_rename(h->world->arena, &caller, history_alloc(h, object), name, len,
				   &h->world->why),
		      begun);
}

bool history_resize(struct history *h, enum history_op op)
{
	struct object *object =
		history_pick(h, history_rnd(h, 5) ? OBJECT_PUBLISHED : OBJECT_RESERVED, false);
	uint64_t page = h->world->flavour->page_size, len, by;
	struct caller caller;
	uint64_t begun;

	if (!object || history_is_in_pieces(history_alloc(h, object)))
		return false;
	len = alloc_bytes(history_alloc(h, object));
	by = len < page ? 4096 * (1 + history_rnd(h, 6)) : page * (1 + history_rnd(h, 3));
	if (op == OP_GROW &&
	    ((len < page && len + by > page) || len + by > arena_identity(h->world->arena)->size))
		return false;
	if (op == OP_SHRINK && by >= len)
		return false;
	history_remember(h, object, by);
	caller = history_caller(h, model_last(object)->uid);
	begun = world_mark(h->world);
	if (op == OP_SHRINK)
		history_note_going(h, history_alloc(h, object), len - by);
	if (!history_changed(h, op, object,
		    arena_resize(h->world->arena, &caller, history_alloc(h, object),
				 op == OP_GROW ? len + by : len - by, &h->world->why),
		    begun))
		return false;
	history_note_gone(h, object);
	history_check_hand_out(h, history_alloc(h, object), len);
	return true;
}

bool history_setattr(struct history *h, enum history_op op)
{
	struct object *object = history_pick(h, OBJECT_PUBLISHED, false);
	struct caller caller = history_caller(h, 0);
	struct arena_attrs to = { .which = 1 + (unsigned)history_rnd(h, 7) };
	uint64_t begun;

	if (!object)
		return false;
	begun = world_mark(h->world);
	/* This order is that in which the arguments were evaluated when the seeds were chosen. */
	to.mode = history_rnd(h, 2) ? 0600 : 0644;
	to.gid = (uint32_t)history_rnd(h, 3);
	to.uid = 1000 + (uint32_t)history_rnd(h, 2);
	return history_changed(
		h, op, object,
		arena_setattr(h->world->arena, &caller, history_alloc(h, object), &to,
			      &h->world->why),
		begun);
}

bool history_poison(struct history *h, enum history_op op)
{
	const struct arena_identity *id = arena_identity(h->world->arena);
	uint64_t pfn = history_rnd(h, id->size >> DESC_SHIFT);
	int r;

	if (h->model->nr_bad == MAX_BAD)
		return false;
	model_add_bad(h->model, pfn);
	world_mark(h->world);
	r = arena_poison(h->world->arena, id->data_off + (pfn << DESC_SHIFT),
			 UINT64_C(1) << DESC_SHIFT, &h->world->why);
	if (r < 0)
		history_fail(h, history_op_name(op), r);
	model_ack_bad(h->model, world_mark(h->world));
	return true;
}
