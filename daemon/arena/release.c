/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * release: how an allocation ends, and how sessions open and close it. Freeing is durable at the settle; the space is free when
 * nobody holds it any more.
 */
#include <config.h>

#include <errno.h>

#include "daemon/arena/arena_internal.h"

/* ---- the end of an allocation ---- */

/* A shrunk allocation's client knows one handle: done with that, done with what was cut off. */
static void drop_cut_holds(struct arena *arena, struct holder *holder, uint64_t id)
{
	struct hold *hold, *next;

	TAILQ_FOREACH_SAFE(hold, &holder->holds, by_holder, next)
		if (hold->alloc->cut_from == id)
			hold_drop(arena, hold);
}

static void drop_own_hold(struct arena *arena, const struct caller *caller, struct alloc *alloc)
{
	struct hold *hold = caller->holder ? hold_find(caller->holder, alloc) : NULL;

	if (!hold)
		return;
	hold_drop(arena, hold);
	drop_cut_holds(arena, caller->holder, alloc->id);
}

void reservation_end(struct arena *arena, struct alloc *alloc)
{
	/* Never settled (the arena is offline): what was carved off is in the ledger, and stays the next daemon's to sort out. */
	if (alloc->is_carved)
		TAILQ_REMOVE(&arena->carved, alloc, link);
	alloc->is_carved = false;
	if (alloc->entry)                       /* nothing is left of it without one */
		ledger_set_state(arena->ledger, alloc->entry, LEDGER_FREEING);
	object_hide(arena, alloc);
	alloc->state = ALLOC_FREEING;
	uncharge(arena, alloc);
	TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
}

int arena_abort(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped, struct why *why)
{
	int r;

	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is published: free it instead");
	r = check_owner(caller, alloc, "abort", why);
	if (r == 0 && alloc->is_carved)
		r = arena_settle(arena);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_GONE);
	if (r < 0)
		return r;
	reservation_end(arena, alloc);
	if (unmapped)
		drop_own_hold(arena, caller, alloc);
	if (TAILQ_EMPTY(&alloc->holds))
		freeing_release(arena, alloc);
	return 0;
}

/* By anyone but a caller who said that it has no mapping of it left. */
static bool is_held_by_others(const struct caller *caller, const struct alloc *alloc, bool unmapped)
{
	const struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (!unmapped || hold->holder != caller->holder)
			return true;
	return false;
}

int arena_free_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped, struct why *why)
{
	struct ledger_range range = range_of(alloc, LEDGER_FREEING);
	int r = check_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state == ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is not published: abort it instead");
	r = check_owner(caller, alloc, "free", why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_GONE);
	if (r < 0)
		return r;
	/* Whoever may still have it mapped must be known before the table forgets it. */
	if (is_held_by_others(caller, alloc, unmapped))
		r = ledger_add_range(&alloc->entry, arena->ledger, &range, alloc->extents, alloc->nr_extents, NULL, 0);
	if (r == 0)
		r = table_retire(arena->table, alloc->records, alloc->nr_records);
	if (r < 0) {
		ledger_remove(arena->ledger, alloc->entry);
		alloc->entry = 0;
		return deed_end(arena, caller, r);
	}
	events_add(arena, ARENA_FREED, alloc);
	object_hide(arena, alloc);
	arena->nr_names_retiring += alloc->name != NULL;
	alloc->state = ALLOC_FREEING;
	alloc->staged = arena->txn;
	uncharge(arena, alloc);
	if (unmapped)
		drop_own_hold(arena, caller, alloc);
	TAILQ_INSERT_TAIL(&arena->retiring, alloc, link);
	return 0;
}

/* ---- open and close ---- */

static bool may(const struct caller *caller, const struct alloc *alloc, uint32_t want)
{
	uint32_t groups[65] = { caller->gid };
	int nr = caller->nr_groups < 64 ? caller->nr_groups : 64;

	for (int i = 0; i < nr; i++)
		groups[i + 1] = caller->groups[i];
	return alloc_allows(alloc, caller->uid, groups, nr + 1, want);
}

int arena_open_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool read_only, struct why *why)
{
	struct hold *hold = hold_find(caller->holder, alloc);
	int r = check_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state == ALLOC_RESERVED && !is_owner(caller, alloc))
		return why_set(why, -ENOENT, "it is reserved and not published yet");
	if (alloc->state != ALLOC_RESERVED && !may(caller, alloc, read_only ? 4 : 6))
		return why_set(why, -EACCES, "it belongs to uid %u, gid %u with mode %04o; uid %u may not open it for %s", alloc->uid,
			       alloc->gid, alloc->mode, caller->uid, read_only ? "reading" : "writing");
	if (!hold)
		return hold_add(arena, caller->holder, alloc, read_only);
	if (hold->closed)
		ledger_set_closed(arena->ledger, hold->entry, false);
	hold->closed = false;
	hold->read_only &= read_only;
	return 0;
}

int arena_close_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped)
{
	struct hold *hold = caller->holder ? hold_find(caller->holder, alloc) : NULL;

	/* A reservation that nobody has open would be nobody's to end. */
	if (alloc->state == ALLOC_RESERVED)
		return -EINVAL;
	if (!hold)
		return 0;
	if (unmapped) {
		drop_own_hold(arena, caller, alloc);
		/* What is being retired goes with the settle. */
		if (alloc->state == ALLOC_FREEING && alloc->staged != arena->txn && TAILQ_EMPTY(&alloc->holds))
			freeing_release(arena, alloc);
		return 0;
	}
	hold->closed = true;
	ledger_set_closed(arena->ledger, hold->entry, true);
	return 0;
}
