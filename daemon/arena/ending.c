/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ending: how a session, and what it held, ends. All ways lead through this file:
 *
 *	the client hangs up, dies, or is ended     session_end() -> client_leave() -> arena_leave()
 *	the daemon was killed, and a session       its holder is an orphan; at the end of the
 *	does not come back                         grace time: tick -> arena_drop_orphans()
 *	an allocation is freed, a reservation      arena_free_alloc() and arena_abort() in release.c
 *	is aborted
 *
 * A reservation of a session that is over becomes FREEING (ending_begin()). A FREEING allocation
 * keeps its space while anybody holds it: a session that has it open, or a session that is over and
 * whose mark is still there. The mark is a lock that each mapping keeps alive. ending_look() asks
 * the kernel about those marks, some at each tick. What nobody holds any more goes to the scrubber
 * (ending_release()), and only from there to others. What a window has pinned waits too (pins.c).
 *
 * Nothing here is done in one go that a client can make long: a session with a hundred thousand
 * reservations ends in steps (arena_step()), between which all others have their turn.
 */
#include <config.h>

#include "daemon/arena/ending.h"

#include <stdlib.h>

#include "daemon/arena/abroad.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/object.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/window.h"
#include "daemon/clock.h"

/* holds that one call of arena_step() looks at: some microseconds */
#define STEP_HOLDS    16
/*
 * Limits for one round of ending_look(): questions about marks of sessions that are over; about
 * marks of sessions that go on and closed something; allocations that are looked through.
 */
#define LOOKS_OVER    64
#define LOOKS_CLOSED  64
#define LOOKS_FREEING 4096
/*
 * The time in one round after which the kernel is asked no more: each question costs time in
 * proportion to the marks on the device, and with many sessions the counts above would be too many.
 */
#define LOOKS_NS      UINT64_C(300000)

void ending_release(struct arena *arena, struct alloc *alloc)
{
	int r;

	/* Somebody has the allocation pinned: the next tick asks again. */
	if (!pins_let_go(arena, alloc))
		return;
	pins_forget(arena, alloc);
	arena_trace_release(arena, alloc);
	while (alloc->nr_extents > 0) {
		r = abroad_release(arena, alloc, alloc->extents[alloc->nr_extents - 1]);
		if (r < 0)
			/* no memory: a later round goes on with the extents that are left */
			return;
		alloc->nr_pfns -= alloc->extents[alloc->nr_extents - 1].len;
		alloc->nr_extents--;
	}
	ledger_remove(arena->ledger, alloc->entry);
	TAILQ_REMOVE(&arena->freeing, alloc, link);
	object_drop(arena, alloc);
}

/*
 * Can nobody have the allocation of @hold mapped through it? True when its session closed it and no
 * process has the session's mark any more.
 */
static bool hold_can_go(const struct hold *hold)
{
	return hold->holder->is_connected && hold->closed && !holder_is_marked(hold->holder);
}

/* ---- the end of a session, in steps ---- */

/* Puts @holder on the list that belongs to @end, and out of the one where it is. */
static void move_to(struct holder *holder, enum holder_end end)
{
	struct arena *arena = holder->arena;

	if (holder->end != END_NOT_YET)
		TAILQ_REMOVE(holder->end == END_MARKED ? &arena->over : &arena->ending, holder,
			     by_end);
	holder->end = end;
	TAILQ_INSERT_TAIL(end == END_MARKED ? &arena->over : &arena->ending, holder, by_end);
}

/*
 * First step: gives up what the session reserved, some holds a call. At the end it asks whether
 * anybody has something of the session mapped: if so its holds stay until the marks are gone.
 */
static void end_reservations(struct holder *holder, uint32_t *budget)
{
	struct hold *hold;

	for (; (hold = holder->ending) && *budget > 0; --*budget) {
		holder->ending = TAILQ_NEXT(hold, by_holder);
		if (hold->alloc->state != ALLOC_RESERVED || hold->alloc->session != holder->session)
			continue;
		arena_trace_reclaim(holder, hold->alloc);
		ending_begin(holder->arena, hold->alloc);
	}
	if (hold)
		return;
	if (holder_look(holder)) {
		arena_trace_kept(holder);
		charge_over(holder);
		move_to(holder, END_MARKED);
	} else {
		move_to(holder, END_HOLDS);
	}
}

/*
 * Is @alloc free to be released? Not while its retirement is only staged: its record could still
 * come back after a crash, with space that others have by then. The settle releases it then.
 */
static bool can_be_released(const struct arena *arena, const struct alloc *alloc)
{
	return alloc->state == ALLOC_FREEING && alloc->staged != arena->txn &&
	       TAILQ_EMPTY(&alloc->holds);
}

/* Last step: drops what the session has open, some holds a call, then the holder itself. */
static void drop_holds(struct holder *holder, uint32_t *budget)
{
	struct arena *arena = holder->arena;
	struct hold *hold;

	for (; (hold = TAILQ_FIRST(&holder->holds)) && *budget > 0; --*budget) {
		struct alloc *alloc = hold->alloc;

		arena_trace_let_go(arena, hold);
		hold_drop(arena, hold);
		if (can_be_released(arena, alloc))
			ending_release(arena, alloc);
	}
	if (hold)
		return;
	TAILQ_REMOVE(&arena->ending, holder, by_end);
	holder_free(holder);
}

/* Begins the end of a session. arena_step() does the rest. */
static void begin_leaving(struct holder *holder)
{
	holder->is_connected = holder->is_orphan = false;
	deed_drop_all(holder);
	holder->ending = TAILQ_FIRST(&holder->holds);
	move_to(holder, END_RESERVATIONS);
}

bool arena_step(struct arena *arena)
{
	uint32_t budget = STEP_HOLDS;
	struct holder *holder;

	while ((holder = TAILQ_FIRST(&arena->ending)) && budget > 0) {
		budget--;               /* a holder costs a step too, even one without holds */
		if (holder->end == END_RESERVATIONS)
			end_reservations(holder, &budget);
		else
			drop_holds(holder, &budget);
	}
	return !TAILQ_EMPTY(&arena->ending);
}

bool arena_is_ending(const struct arena *arena)
{
	return !TAILQ_EMPTY(&arena->ending);
}

/* ---- rounds: who can still have something mapped? ---- */

/*
 * Is the holder without holds, and marked by its window alone, which another session uses by now? A
 * process that connected again and again would otherwise be charged for all the sessions that it
 * had.
 */
static bool is_needless(const struct holder *holder)
{
	return holder->window && holder->window->nr_users > 1 && TAILQ_EMPTY(&holder->holds) &&
	       !holder_has_own_mark(holder);
}

/*
 * Asks for the next holders on arena.over whether their marks are still there. Those that are still
 * marked go to the end of the list, so that each comes to its turn.
 */
static void look_over(struct arena *arena)
{
	struct holder *holder, *last = TAILQ_LAST(&arena->over, holder_list);

	for (uint32_t nr = LOOKS_OVER; (holder = TAILQ_FIRST(&arena->over)) && nr > 0; nr--) {
		bool is_last = holder == last;

		if (holder_is_marked(holder) && !is_needless(holder)) {
			move_to(holder, END_MARKED);
		} else {
			arena_trace_unmarked(holder);
			charge_return_over(holder);
			move_to(holder, END_HOLDS);
		}
		if (is_last)
			break;
	}
}

/*
 * Looks at the next allocations on arena.freeing: drops the holds of sessions that closed them and
 * have no mark any more, and releases the allocations that nobody holds.
 */
static void look_at_freeing(struct arena *arena)
{
	struct alloc *alloc, *last = TAILQ_LAST(&arena->freeing, alloc_list);
	struct hold *hold, *next;

	for (uint32_t nr = LOOKS_FREEING; (alloc = TAILQ_FIRST(&arena->freeing)) && nr > 0; nr--) {
		bool is_last = alloc == last;

		TAILQ_REMOVE(&arena->freeing, alloc, link);
		TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
		TAILQ_FOREACH_SAFE(hold, &alloc->holds, by_alloc, next)
			if (hold_can_go(hold)) {
				arena_trace_let_go(arena, hold);
				hold_drop(arena, hold);
			}
		if (TAILQ_EMPTY(&alloc->holds))
			ending_release(arena, alloc);
		if (is_last)
			break;
	}
}

bool ending_release_unpinned(struct arena *arena)
{
	struct alloc *alloc, *next;
	uint32_t left = LOOKS_FREEING;
	bool any = false;

	if (TAILQ_EMPTY(&arena->windows))
		return false;
	pins_expire(arena);
	for (alloc = TAILQ_FIRST(&arena->freeing); alloc && left > 0; alloc = next, left--) {
		next = TAILQ_NEXT(alloc, link);
		if (!TAILQ_EMPTY(&alloc->holds) || !pins_let_go(arena, alloc))
			continue;
		ending_release(arena, alloc);
		any = true;
	}
	return any;
}

void ending_look(struct arena *arena)
{
	arena->rounds++;
	arena->looks_left = LOOKS_OVER + LOOKS_CLOSED;
	device_watch(arena->device);
	device_look(arena->device);
	window_look(arena);
	arena->look_until_ns = clock_ns(CLOCK_MONOTONIC) + LOOKS_NS;
	look_over(arena);
	look_at_freeing(arena);
	device_look_end(arena->device);
	arena_step(arena);
}

void ending_begin(struct arena *arena, struct alloc *alloc)
{
	/*
	 * A reservation from which parts were carved, and which was never settled since (the arena
	 * is offline): the ledger has the whole, and the next start takes out what the table has.
	 */
	if (alloc->is_carved)
		TAILQ_REMOVE(&arena->carved, alloc, link);
	alloc->is_carved = false;
	/* the ledger has no item if all of the reservation was carved off */
	if (alloc->entry)
		ledger_set_state(arena->ledger, alloc->entry, LEDGER_FREEING);
	object_hide(arena, alloc);
	alloc->state = ALLOC_FREEING;
	charge_pass_on(arena, alloc);
	TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
}

void arena_leave(struct holder *holder)
{
	arena_trace_leave(holder);
	begin_leaving(holder);
	arena_step(holder->arena);
}

void arena_expel(struct holder *holder)
{
	struct arena *arena = holder->arena;
	struct hold *hold;

	window_distrust(holder);
	TAILQ_FOREACH(hold, &holder->holds, by_holder) {
		hold->closed = true;
		ledger_set_closed(arena->ledger, hold->entry, true);
	}
	arena_leave(holder);
	/* @holder may be freed from here on */
}

void arena_drop_orphans(struct arena *arena)
{
	struct holder *holder;

	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->is_orphan) {
			arena_trace_grace_over(holder);
			begin_leaving(holder);
		}
	arena_step(arena);
}
