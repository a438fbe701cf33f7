/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_data: what clients do with what they have open: they write to it, and close it.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"

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
	struct caller root = history_caller(h, 0);
	struct alloc *alloc;

	*object = history_pick(h, (enum object_state)history_rnd(h, 3), true);
	if (!*object || (*object)->is_carved)
		return NULL;
	/* What was freed and not closed may still be mapped, and written to. */
	if (model_last(*object)->state == OBJECT_GONE)
		return history_held(h, *object);
	alloc = history_alloc(h, *object);
	return arena_open_alloc(h->world->arena, &root, alloc, false, &h->world->why) < 0 ? NULL
											  : alloc;
}

bool history_write(struct history *h, enum history_op op)
{
	struct object *object;
	struct alloc *alloc = alloc_to_write(h, &object);
	uint64_t words[8], value = 0x5ec7e70000000000u + history_rnd(h, 1u << 31), off, begun;
	bool persist = history_rnd(h, 3) != 0, counts;
	int r;

	if (!alloc)
		return false;
	counts = model_last(object)->state != OBJECT_GONE;
	model_note_stored(h->model, alloc->uid, value);
	off = history_rnd(h, alloc_bytes(alloc) / 64) * 64;
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
		history_fail(h, history_op_name(op), r);
	begun = world_mark(h->world);
	if (counts && persist)
		object->spots[object->nr_spots - 1].durable = begun;
	return true;
}

/* Whatever it has open: also what was freed, whose space is then free. */
bool history_close(struct history *h, enum history_op op)
{
	struct object *object =
		history_pick(h, history_rnd(h, 3) ? OBJECT_GONE : OBJECT_PUBLISHED, true);
	struct caller caller = history_caller(h, 1000);
	struct alloc *alloc;

	(void)op;
	if (!object)
		return false;
	alloc = history_held(h, object);
	if (!alloc)
		return false;
	object->lingers = false;
	mapped_drop(&h->mapped, object->id);
	arena_close_alloc(h->world->arena, &caller, alloc, history_rnd(h, 4) != 0);
	arena_tick(h->world->arena);
	return true;
}
