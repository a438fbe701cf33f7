/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_replace: one allocation takes the name and the place of another.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"

/* A published one with a name; NULL: the one that was drawn has none. */
static struct object *pick_named(struct history *h)
{
	struct object *object = history_pick(h, OBJECT_PUBLISHED, false);

	return object && model_last(object)->name_len ? object : NULL;
}

/* What replaces @old: a new one, a reservation that is published, or one that is renamed. */
static int replace(uint64_t *id, struct history *h, const struct object *old, uint64_t begun)
{
	enum object_state state = history_rnd(h, 2) ? OBJECT_RESERVED : OBJECT_PUBLISHED;
	const struct version *last = model_last(old);
	struct object *by = history_rnd(h, 3) ? history_pick(h, state, false) : NULL;
	struct caller root = history_caller(h, 0), owner;
	struct arena_ask ask = { .name = last->name,
				 .name_len = last->name_len,
				 .len = history_random_len(h),
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
			history_check_hand_out(h, alloc, 0);
		}
		return r;
	}
	owner = history_caller(h, state == OBJECT_RESERVED ? last->uid : 0);
	r = state == OBJECT_RESERVED
		    ? arena_publish_over(h->world->arena, &owner, history_alloc(h, by), last->name,
					 last->name_len, 0, &h->world->why)
		    : arena_rename_over(h->world->arena, &owner, history_alloc(h, by), last->name,
					last->name_len, &h->world->why);
	*id = by->id;
	if (r == 0)
		model_change(by, history_alloc(h, by), begun);
	return r;
}

bool history_replace(struct history *h, enum history_op op)
{
	struct object *old = pick_named(h);
	uint64_t begun = world_mark(h->world), old_id, id = 0;

	if (!old)
		return false;
	old_id = old->id;
	history_remember(h, old, alloc_bytes(history_alloc(h, old)));
	history_note_going(h, history_alloc(h, old), 0);
	if (history_is_refused(h, op, replace(&id, h, old, begun)))
		return false;
	/* model_add() may have moved it. */
	old = model_find(h->model, old_id);
	model_replace(old, model_find(h->model, id), begun);
	old->lingers = history_held(h, old);
	history_note_gone(h, old);
	return history_rnd(h, 3) ? true : history_kill_in_settle(h, op);
}
