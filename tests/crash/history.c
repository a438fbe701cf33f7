/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each operation is begun with a mark, done to the arena, and written into the model when the arena
 * took it. What the arena may refuse (full, taken, busy) changes nothing; any other refusal is a
 * failure.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"

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
	[OP_EVICT] = { "evict", 0 },	 [OP_BUNDLE] = { "bundle", 0 },
	[OP_CONTENTS] = { "contents", 0 },
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

uint64_t history_rnd(struct history *h, uint64_t n)
{
	return history_random(&h->seed, n);
}

void history_fail(struct history *h, const char *what, int err)
{
	h->nr_failures++;
	fprintf(stderr, "FAILED in the history at time %llu: %s: %s (%s)\n",
		(unsigned long long)h->world->now, what, strerror(-err), h->world->why.text);
}

static bool do_scrub(struct history *h, enum history_op op)
{
	bool ran = world_scrub(h->world, history_rnd(h, 8));

	(void)op;
	if (history_rnd(h, 4))
		arena_collect(h->world->scrubber);
	return ran;
}

void history_settle(struct history *h)
{
	int r = arena_settle(h->world->arena);

	if (r < 0)
		history_fail(h, "settle", r);
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

enum history_op history_random_op(struct history *h, enum history_op end)
{
	unsigned total = 0, at;

	for (unsigned op = 0; op < end; op++)
		total += ops[op].weight;
	at = (unsigned)history_rnd(h, total);
	for (unsigned op = 0; op < end; op++) {
		if (at < ops[op].weight)
			return (enum history_op)op;
		at -= ops[op].weight;
	}
	return OP_SETTLE;
}

bool history_step(struct history *h, enum history_op op)
{
	static bool (*const functions[NR_OPS])(struct history *, enum history_op) = {
		[OP_RESERVE] = history_reserve, [OP_CREATE] = history_reserve,
		[OP_PUBLISH] = history_publish, [OP_ABORT] = history_release,
		[OP_FREE] = history_release, [OP_RENAME] = history_rename,
		[OP_GROW] = history_resize, [OP_SHRINK] = history_resize,
		[OP_SETATTR] = history_setattr, [OP_CARVE] = history_carve,
		[OP_POISON] = history_poison, [OP_WRITE] = history_write,
		[OP_CLOSE] = history_close, [OP_SCRUB] = do_scrub,
		[OP_SETTLE] = do_settle, [OP_TICK] = do_tick,
		[OP_RESTART] = history_restart, [OP_KILL] = history_kill,
		[OP_REPLACE] = history_replace, [OP_ATTRIBUTES] = history_attributes,
		[OP_EVICT] = history_evict, [OP_BUNDLE] = history_bundle,
	[OP_CONTENTS] = history_contents,
	};
	bool done;

	if (!h->world->arena)
		return false;
	done = functions[op](h, op);
	if (h->print)
		printf("  time %llu: %s%s\n", (unsigned long long)h->world->now,
		       ops[op].name, done ? "" : " (nothing)");
	return done;
}

void history_close_all(struct history *h)
{
	struct caller caller = history_caller(h, 1000);

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		struct alloc *alloc = history_held(h, object);

		object->lingers = false;
		mapped_drop(&h->mapped, object->id);
		if (alloc)
			arena_close_alloc(h->world->arena, &caller, alloc, true);
	}
}

static bool create(struct history *h, const struct arena_ask *ask)
{
	struct caller caller = history_caller(h, 1000);
	uint64_t begun = world_mark(h->world);
	struct alloc *alloc;
	int r;

	while ((r = arena_reserve(&alloc, h->world->arena, &caller, ask, &h->world->why)) ==
	       -EAGAIN)
		world_scrub_all(h->world);
	if (history_is_refused(h, OP_CREATE, r))
		return false;
	model_add(h->model, alloc, begun)->given = world_mark(h->world);
	history_check_hand_out(h, alloc, 0);
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
		history_step(h, history_random_op(h, NR_OPS));
	if (h->world->arena && !h->nr_failures)
		history_settle(h);
}

void history_fini(struct history *h)
{
	mapped_fini(&h->mapped);
}
