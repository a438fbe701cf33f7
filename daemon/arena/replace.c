/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replace: an allocation takes over the name of another one, and that one is freed, in one settle.
 * Both records are valid between two stores of that settle. So the new one says on media that it is
 * a successor, and has a version above that of the one which gives way: a start that finds both
 * takes the successor, and frees the other one (recover.c). Who has the old one open, pinned or
 * mapped keeps it, as after any free.
 */
#include <config.h>

#include "daemon/arena/replace.h"

#include <errno.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/bundle.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/events.h"
#include "daemon/arena/index.h"
#include "daemon/arena/object.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "daemon/arena/state.h"

/* May @caller free @old, and is there a version above its own? */
static int check(const struct arena *arena, const struct caller *caller, const struct alloc *old,
		 struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r == 0 && bundle_has(arena, old))
		r = why_set(why, -EINVAL,
			    "an item before it made or changed the allocation that has this name: "
			    "a batch that is done whole or not at all changes each one once");
	if (r == 0)
		r = rules_owner(caller, old, "replace", why);
	if (r == 0 && old->version >= UINT32_MAX - 1)
		r = why_set(why, -ENOSPC,
			    "this name was replaced too often: free it, then create it anew");
	return r;
}

/*
 * The ledger learns who may have the space of @old mapped or pinned before the table forgets it. On
 * failure nothing is noted.
 */
static int note(struct arena *arena, struct alloc *old)
{
	struct ledger_range range = alloc_ledger_range(old, LEDGER_FREEING);

	if (TAILQ_EMPTY(&old->holds) && TAILQ_EMPTY(&arena->windows))
		return 0;
	return ledger_add_range(&old->entry, arena->ledger, &range, old->extents, old->nr_extents,
				NULL, 0);
}

int replace_begin(struct arena *arena, const struct caller *caller, const char *name,
		  uint8_t name_len, const struct alloc *by, struct why *why)
{
	struct alloc *old;
	int r = settle_if_staged(arena, by, true);

	if (r < 0)
		return r;
	old = name_len ? arena_find_name(arena, name, name_len) : NULL;
	/* The name of a reservation is being written by somebody: rules_name() refuses it. */
	if (!old || old == by || old->state == ALLOC_RESERVED)
		return 0;
	r = check(arena, caller, old, why);
	if (r == 0)
		r = settle_if_staged(arena, old, false);
	/*
	 * Older versions of this program cannot tell a successor from a mistake: they must refuse
	 * the arena from the first one on.
	 */
	if (r == 0)
		r = state_announce(arena, SUPERBLOCK_INCOMPAT_SUCCESSORS);
	/* After the new record is staged nothing may fail any more. */
	if (r == 0)
		r = table_make_room(arena->table, old->nr_records + (by ? by->nr_records : 0u));
	if (r == 0)
		r = note(arena, old);
	if (r < 0)
		return room_explain_books(arena, r, why);
	RB_REMOVE(name_tree, &arena->names, old);
	arena->giving_way = old;
	return 0;
}

void replace_cancel(struct arena *arena)
{
	struct alloc *old = arena->giving_way;

	if (!old)
		return;
	arena->giving_way = NULL;
	ledger_remove(arena->ledger, old->entry);
	old->entry = 0;
	RB_INSERT(name_tree, &arena->names, old);
}

void replace_end(struct arena *arena, const struct caller *caller)
{
	struct alloc *old = arena->giving_way;

	if (!old)
		return;
	arena->giving_way = NULL;
	/* replace_begin() made the room, so it cannot fail. */
	(void)table_retire(arena->table, old->records, old->nr_records);
	events_add(arena, ARENA_FREED, old);
	if (arena->bundle)
		bundle_replace(arena, old);
	else
		replace_leave(arena, caller, old);
}

void replace_leave(struct arena *arena, const struct caller *caller, struct alloc *old)
{
	arena_trace_free(arena, caller, old, false);
	object_withdraw(arena, old);
	old->state = ALLOC_FREEING;
	old->staged = arena->txn;
	charge_pass_on(arena, old);
	TAILQ_INSERT_TAIL(&arena->retiring, old, link);
}

/* ---- at a start ---- */

static bool did_replace(const struct alloc *alloc, const struct alloc *other)
{
	return alloc->is_successor && alloc->version > other->version;
}

/* Enters @alloc in the tree. If it is one of two with a name, calls @drop for the one replaced. */
static int finish(struct arena *arena, struct alloc *alloc, replace_drop_fn *drop, void *arg)
{
	struct alloc *other = RB_INSERT(name_tree, &arena->names, alloc);

	if (!other)
		return 0;
	if (did_replace(other, alloc))
		return drop(arg, alloc);
	if (!did_replace(alloc, other))
		return 0;
	RB_REMOVE(name_tree, &arena->names, other);
	RB_INSERT(name_tree, &arena->names, alloc);
	return drop(arg, other);
}

int replace_finish(struct arena *arena, replace_drop_fn *drop, void *arg)
{
	int r = 0;

	for (uint32_t slot = 0; slot < arena->nr_objects && r == 0; slot++)
		if (arena->objects[slot] && arena->objects[slot]->name)
			r = finish(arena, arena->objects[slot], drop, arg);
	RB_INIT(&arena->names);
	return r;
}
