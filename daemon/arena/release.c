/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * release: how an allocation ends by request, and how sessions open and close one. A free is
 * durable with the settle; the space is free for others when nobody holds it any more (ending.c).
 */
#include <config.h>

#include "daemon/arena/release.h"

#include <errno.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/bundle.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/retire.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "daemon/arena/window.h"

/* ---- the end of an allocation ---- */

/*
 * A client whose allocation was shrunk knows one handle, and does not know that the part that was
 * cut off is an allocation of its own. When it closes or frees the one with @id, the holds on parts
 * cut off that one end in the same way.
 */
static void end_cut_holds(struct arena *arena, struct holder *holder, uint64_t id, bool unmapped)
{
	struct hold *hold, *next;

	/* hold_new() puts the holds on cut-off parts at the front of the list. */
	for (hold = TAILQ_FIRST(&holder->holds); hold && hold->alloc->cut_from; hold = next) {
		next = TAILQ_NEXT(hold, by_holder);
		if (hold->alloc->cut_from != id)
			continue;
		if (unmapped && !hold->lent)
			hold_drop(arena, hold);
		else
			hold_close(arena, hold);
	}
}

/*
 * The caller closes an allocation and may still have it mapped, or others may: the hold stays until
 * the session's mark is gone.
 */
static void close_own_hold(struct arena *arena, struct hold *hold)
{
	hold_close(arena, hold);
	end_cut_holds(arena, hold->holder, hold->alloc->id, false);
}

/* Returns the hold of the caller's session on @alloc; NULL: none, or no session. */
static struct hold *own_hold(const struct caller *caller, const struct alloc *alloc)
{
	return caller->holder ? hold_find(caller->holder, alloc) : NULL;
}

/*
 * The caller is done with @alloc. If it says that it has no mapping left (@unmapped) and cannot
 * have lent any, the hold ends at once.
 */
static void end_own_hold(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			 bool unmapped)
{
	struct hold *hold = own_hold(caller, alloc);

	if (!hold)
		return;
	if (!unmapped || hold->lent) {
		close_own_hold(arena, hold);
		return;
	}
	hold_drop(arena, hold);
	end_cut_holds(arena, caller->holder, alloc->id, true);
}

int arena_abort(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		bool unmapped, struct why *why)
{
	int r;

	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is published: free it instead");
	r = rules_owner(caller, alloc, "abort", why);
	if (r == 0 && alloc->is_carved)
		r = arena_settle(arena);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_GONE);
	if (r < 0)
		return room_explain_books(arena, r, why);
	arena_trace_abort(arena, caller, alloc, unmapped);
	ending_begin(arena, alloc);
	end_own_hold(arena, caller, alloc, unmapped);
	if (TAILQ_EMPTY(&alloc->holds))
		ending_release(arena, alloc);
	return 0;
}

/*
 * May somebody still use @alloc after what the caller says? The caller's own hold counts, unless
 * the caller says that it unmapped @alloc and has not lent it; every other hold counts.
 */
static bool is_held_by_others(const struct caller *caller, const struct alloc *alloc, bool unmapped)
{
	const struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (!unmapped || hold->lent || hold->holder != caller->holder)
			return true;
	return false;
}

int arena_free_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		     bool unmapped, struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state == ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is not published: abort it instead");
	r = rules_owner(caller, alloc, "free", why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_GONE);
	if (r < 0)
		return room_explain_books(arena, r, why);
	r = retire_record(arena, alloc, is_held_by_others(caller, alloc, unmapped));
	if (r < 0)
		return deed_end(arena, caller, room_explain_books(arena, r, why));
	events_add(arena, ARENA_FREED, alloc);
	if (arena->bundle)
		bundle_free_later(arena, alloc, unmapped);
	else
		release_leave(arena, caller, alloc, unmapped);
	return 0;
}

void release_leave(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		   bool unmapped)
{
	arena_trace_free(arena, caller, alloc, unmapped);
	retire_alloc(arena, alloc);
	end_own_hold(arena, caller, alloc, unmapped);
	retire_end(arena, alloc);
}

/* ---- open and close ---- */

bool arena_is_closed(const struct caller *caller, const struct alloc *alloc)
{
	const struct hold *hold = own_hold(caller, alloc);

	return hold && hold->closed;
}

int arena_open_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		     bool read_only, struct why *why)
{
	struct hold *hold = own_hold(caller, alloc);
	int r = rules_serving(arena, false, why);

	if (r < 0)
		return r;
	r = rules_may_open(caller, alloc, read_only, why);
	if (r == 0)
		r = rules_still(alloc, why);
	if (r < 0)
		return r;
	evictable_touch(alloc);
	if (!hold) {
		r = rules_not_above(arena, caller->uid, why);
		if (r == 0)
			r = hold_add(arena, caller->holder, alloc,
				     &(struct hold){ .read_only = read_only });
		if (r == 0)
			arena_trace_open(arena, caller, alloc, read_only);
		return room_explain_books(arena, r, why);
	}
	/*
	 * The session closed @alloc before without saying that it had unmapped it, and is of a
	 * library that does not tell when it lends. Somebody else may have it mapped, so it counts
	 * as lent from now on.
	 */
	if (hold->closed && !caller->lends)
		hold_lend(arena, hold);
	if (hold->closed)
		ledger_set_closed(arena->ledger, hold->entry, false);
	hold->closed = false;
	hold->read_only &= read_only;
	arena_trace_open(arena, caller, alloc, read_only);
	return 0;
}

int arena_pin(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool read_only,
	      uint64_t index, struct why *why)
{
	const struct window *window = caller->holder ? caller->holder->window : NULL;
	int r = rules_serving(arena, false, why);

	if (r < 0)
		return r;
	if (!window || !window->pins)
		return why_set(why, -EBADF, "this session has no window in arena %s",
			       arena->identity.name);
	r = rules_may_open(caller, alloc, read_only, why);
	if (r == 0)
		r = rules_still(alloc, why);
	if (r == 0)
		r = rules_not_above(arena, caller->uid, why);
	/*
	 * Settles first: a change that is not durable yet may be taken back, and nobody is told of
	 * it as if it were there.
	 */
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r < 0)
		return r;
	evictable_touch(alloc);
	r = pins_store(window, index, pins_word(alloc->slot, alloc->version));
	return r < 0 ? why_set(why, r, "pin word %llu is not one that the window has taken",
			       (unsigned long long)index)
		     : 0;
}

int arena_touch(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r == 0)
		r = rules_may_open(caller, alloc, true, why);
	if (r == 0)
		evictable_touch(alloc);
	return r;
}

int arena_lend(struct arena *arena, const struct caller *caller, struct alloc *alloc)
{
	struct hold *hold = own_hold(caller, alloc);

	if (!hold)
		return -EBADF;
	hold_lend(arena, hold);
	return 0;
}

void arena_take_back(struct arena *arena, const struct caller *caller, struct alloc *alloc)
{
	struct hold *hold = own_hold(caller, alloc), *cut;

	if (hold)
		hold_take_back(arena, hold);
	if (!caller->holder)
		return;
	TAILQ_FOREACH(cut, &caller->holder->holds, by_holder) {
		if (!cut->alloc->cut_from)
			break;
		if (cut->alloc->cut_from == alloc->id)
			hold_take_back(arena, cut);
	}
}

int arena_close_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      bool unmapped)
{
	/* A reservation that its session had closed could be ended by nobody. */
	if (alloc->state == ALLOC_RESERVED)
		return -EINVAL;
	if (!own_hold(caller, alloc))
		return 0;
	arena_trace_close(arena, caller, alloc, unmapped);
	end_own_hold(arena, caller, alloc, unmapped);
	/* An allocation whose retirement is staged is released by the settle. */
	if (alloc->state == ALLOC_FREEING && alloc->staged != arena->txn &&
	    TAILQ_EMPTY(&alloc->holds))
		ending_release(arena, alloc);
	return 0;
}
