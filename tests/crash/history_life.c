/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_life: the daemon goes and comes again; the machine stays up.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>

/* A kill strikes within that many operations of the media. */
#define KILL_OPS   40
#define SETTLE_OPS 12
#define BUNDLE_OPS 80

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
		history_fail(h, "restart", -ENODATA);
	}
}

/* What was done together came to be whole, or not at all. */
static void look_at_bundles(struct history *h)
{
	const struct object *first = NULL;

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		const struct object *object = &h->model->objects[i];

		if (!object->bundle)
			continue;
		if (!first || first->bundle != object->bundle) {
			first = object;
			continue;
		}
		if ((object->versions[object->nr_versions - 1].undone == NEVER) ==
		    (first->versions[first->nr_versions - 1].undone == NEVER))
			continue;
		fprintf(stderr, "allocations %llu and %llu were changed together, and by half\n",
			(unsigned long long)first->id, (unsigned long long)object->id);
		history_fail(h, "restart", -ENODATA);
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
		v = version_now(object, history_alloc(h, object), &absent);
		if (v == NEVER && !absent) {
			fprintf(stderr, "allocation %llu is %s after a restart of the daemon\n",
				(unsigned long long)object->id,
				history_alloc(h, object) ? "in no version that it may be in"
							 : "lost");
			history_fail(h, "restart", -ENODATA);
		}
		model_see(object, v, now);
		history_note_gone(h, object);
		/* Somebody may still write to it: it must not be anybody else's. */
		if (object->lingers && v != NEVER && object->versions[v].state == OBJECT_GONE &&
		    !history_held(h, object)) {
			fprintf(stderr, "allocation %llu is not quarantined any more\n",
				(unsigned long long)object->id);
			history_fail(h, "restart", -ENODATA);
		}
	}
	look_at_replaced(h);
	look_at_bundles(h);
	model_forget_bad(h->model);
}

static bool come_up(struct history *h, enum history_op op)
{
	int r = world_open(h->world);

	if (r < 0) {
		history_fail(h, history_op_name(op), r);
		return false;
	}
	look(h);
	return true;
}

/* Closing settles. */
bool history_restart(struct history *h, enum history_op op)
{
	world_close(h->world);
	model_ack(h->model, world_mark(h->world));
	return come_up(h, op);
}

static void some_steps(struct history *h, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		history_step(h, history_random_op(h, OP_RESTART));
}

/*
 * In the middle of something, wherever the media is touched; or of a settle, where it matters most.
 */
bool history_kill(struct history *h, enum history_op op)
{
	static const enum history_op staged[] = { OP_PUBLISH, OP_FREE,	 OP_RENAME,
						  OP_SHRINK,  OP_CREATE, OP_CARVE };
	bool settling = history_rnd(h, 3);
	static sigjmp_buf env;

	for (unsigned i = 0; settling && i < 2; i++)
		history_step(h, staged[history_rnd(h, 6)]);
	recorder_jump_at(h->world->rec, history_rnd(h, settling ? SETTLE_OPS : KILL_OPS), &env);
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

/* The daemon is killed in the settle that makes it durable. */
bool history_kill_in_settle(struct history *h, enum history_op op)
{
	static sigjmp_buf env;

	recorder_jump_at(h->world->rec, history_rnd(h, op == OP_BUNDLE ? BUNDLE_OPS : SETTLE_OPS),
			 &env);
	if (sigsetjmp(env, 0) == 0) {
		history_settle(h);
		world_kill(h->world, false);
	} else {
		world_kill(h->world, true);
	}
	return come_up(h, op);
}
