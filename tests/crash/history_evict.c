/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_evict: allocations that may go when space is wanted, and new ones that want it.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"

/* Of what was published, what is not there any more was evicted since @begun. */
static void note_evicted(struct history *h, uint64_t begun)
{
	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		const struct version *last = model_last(object);

		if (last->undone != NEVER || last->state != OBJECT_PUBLISHED ||
		    history_alloc(h, object))
			continue;
		if (!last->is_evictable || history_held(h, object)) {
			fprintf(stderr, "allocation %llu, which is %s, was evicted\n",
				(unsigned long long)object->id,
				last->is_evictable ? "open" : "not evictable");
			history_fail(h, "evict", -ENODATA);
		}
		model_change(object, NULL, begun);
	}
}

/* A new one that may go; if the arena is full, some that may go make room for it. */
static bool create_evictable(struct history *h, enum history_op op, uint64_t len)
{
	struct caller caller = history_caller(h, 1000 + (uint32_t)(history_rnd(h, 4) == 0));
	char name[ALLOC_MAX_NAME];
	struct arena_ask ask = { .name = name,
				 .name_len = history_random_name(h, name),
				 .len = len,
				 .publish = true,
				 .evictable = history_rnd(h, 8) != 0,
				 .keep_open = history_rnd(h, 6) == 0 };
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;
	int r;

	while ((r = arena_reserve(&alloc, h->world->arena, &caller, &ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	note_evicted(h, begun);
	if (history_is_refused(h, op, r))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	history_check_hand_out(h, alloc, 0);
	return true;
}

/* Some, of which not all have room. */
bool history_evict(struct history *h, enum history_op op)
{
	uint64_t page = h->world->flavour->page_size, len;
	struct arena_stats stats;
	bool done = false;

	arena_stats(h->world->arena, &stats);
	len = stats.free / page / 4 * page;
	if (len < page)
		len = page;
	for (unsigned i = 0; i < 8 && !h->nr_failures; i++) {
		done |= create_evictable(h, op, history_rnd(h, 4) ? len : history_random_len(h));
		if (history_rnd(h, 2))
			history_settle(h);
	}
	return done && history_rnd(h, 3) == 0 ? history_kill_in_settle(h, op) : done;
}
