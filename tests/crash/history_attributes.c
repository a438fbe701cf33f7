/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_attributes: allocations with bytes of the owner's own.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"

/* Some need further slots, and some none; zero bytes are among them. Returns how many. */
static uint16_t random_attributes(struct history *h, uint8_t bytes[ALLOC_MAX_ATTRIBUTES])
{
	static const uint16_t lens[] = { 1, 40, 49, 200, ALLOC_MAX_ATTRIBUTES };
	uint8_t first = (uint8_t)history_rnd(h, 256);

	for (unsigned i = 0; i < ALLOC_MAX_ATTRIBUTES; i++)
		bytes[i] = (uint8_t)(first + i * 3);
	return lens[history_rnd(h, 5)];
}

static bool create_with(struct history *h, enum history_op op, const uint8_t *bytes, uint16_t len)
{
	struct caller caller = history_caller(h, 1000 + (uint32_t)history_rnd(h, 2));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = history_random_name(h, name),
				 .len = history_random_len(h),
				 .publish = true,
				 .attributes = bytes,
				 .attributes_len = len };
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;

	if (history_is_refused(h, op,
		       arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	history_check_hand_out(h, alloc, 0);
	return true;
}

static bool publish_with(struct history *h, enum history_op op, const uint8_t *bytes, uint16_t len)
{
	struct object *object = history_pick(h, OBJECT_RESERVED, false);
	struct alloc *alloc = object ? history_alloc(h, object) : NULL;
	struct arena *arena = h->world->arena;
	struct caller caller;
	uint64_t begun;
	int r;

	if (!object || history_is_in_pieces(alloc))
		return false;
	caller = history_caller(h, model_last(object)->uid);
	begun = world_mark(h->world);
	r = arena_give_attributes(arena, &caller, alloc, bytes, len, &h->world->why);
	if (r == 0)
		r = arena_publish(arena, &caller, alloc, 0, &h->world->why);
	return history_changed(h, op, object, r, begun);
}

/* Other ones, or none any more, and half of the time another mode in the same step. */
static bool set_attributes(struct history *h, enum history_op op, const uint8_t *bytes,
			   uint16_t len)
{
	struct object *object = history_pick(h, OBJECT_PUBLISHED, false);
	struct caller root = history_caller(h, 0);
	struct arena_attrs to = { .which = ARENA_SET_ATTRIBUTES |
					   (history_rnd(h, 2) ? ARENA_SET_MODE : 0u),
				  .mode = history_rnd(h, 2) ? 0600 : 0644,
				  .attributes = bytes,
				  .attributes_len = history_rnd(h, 4) ? len : 0 };
	uint64_t begun;

	if (!object)
		return false;
	begun = world_mark(h->world);
	return history_changed(h, op, object,
		      arena_setattr(h->world->arena, &root, history_alloc(h, object), &to,
				    &h->world->why),
		      begun);
}

bool history_attributes(struct history *h, enum history_op op)
{
	uint8_t bytes[ALLOC_MAX_ATTRIBUTES];
	uint16_t len = random_attributes(h, bytes);
	uint64_t which = history_rnd(h, 4);
	bool done = which == 0	 ? create_with(h, op, bytes, len)
		    : which == 1 ? publish_with(h, op, bytes, len)
				 : set_attributes(h, op, bytes, len);

	return done && history_rnd(h, 3) == 0 ? history_kill_in_settle(h, op) : done;
}
