/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder: a holder is a session as the arena sees it; a hold is one allocation that it has open.
 * Holders and holds are in memory and in the ledger.
 *
 * Neither a process id nor a hang-up tells who still has a mapping: there are fork() and passed
 * descriptors. So the descriptor that a session gets carries a mark, a lock on its description (an
 * OFD lock) that every mapping made through it keeps alive, in whatever process. A hold ends when
 * its session says that it unmapped the allocation, or when the session is over or has closed the
 * allocation, and its mark is gone.
 */
#include <config.h>

#include "daemon/arena/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/arena/charge.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/window.h"
#include "daemon/clock.h"

/*
 * How many descriptors of one mode a session may have: one that it uses, and some that were on the
 * way to it when a connection was lost.
 */
#define ATTACHED_MAX 4

/* The number of the mark that the session's descriptors of this mode carry. */
static uint64_t mark_of(const struct holder *holder, bool read_only)
{
	return holder->session * 2 + read_only;
}

static bool has_mark(const struct holder *holder, bool read_only)
{
	/* An error is no proof that nobody has the mark, so it counts as a yes. */
	return device_is_marked(holder->arena->device, mark_of(holder, read_only)) != 0;
}

uint64_t holder_mark_byte(const struct holder *holder)
{
	return device_mark_byte(mark_of(holder, false));
}

/*
 * The marks of both modes are asked for, whatever the mode of a hold is: a session that opened an
 * allocation read-only may still have mapped it through a writable descriptor.
 */
bool holder_has_own_mark(const struct holder *holder)
{
	return holder->may_be_marked && (has_mark(holder, true) || has_mark(holder, false));
}

bool holder_look(struct holder *holder)
{
	holder->was_marked = (holder->window && window_is_marked(holder->window)) ||
			     holder_has_own_mark(holder);
	holder->looked = holder->arena->rounds;
	return holder->was_marked;
}

bool holder_is_marked(struct holder *holder)
{
	struct arena *arena = holder->arena;

	/*
	 * A session may have closed thousands of allocations. The kernel is asked once in a round.
	 */
	if (holder->looked == arena->rounds)
		return holder->was_marked;
	if (arena->looks_left > 0 && clock_ns(CLOCK_MONOTONIC) > arena->look_until_ns)
		arena->looks_left = 0;
	if (arena->looks_left == 0)
		return true;
	arena->looks_left--;
	return holder_look(holder);
}

static int compare_session(const struct holder *a, const struct holder *b)
{
	return (a->session > b->session) - (a->session < b->session);
}

RB_GENERATE_INTERNAL(holder_tree, holder, by_session, compare_session,
		     __attribute__((unused)) static)

struct holder *holder_find(const struct arena *arena, uint64_t session)
{
	struct holder key = { .session = session };

	/* RB_FIND() does not take a const tree, though it only reads. */
	return RB_FIND(holder_tree, (struct holder_tree *)(uintptr_t)&arena->by_session, &key);
}

int holder_new(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid,
	       uint32_t entry)
{
	struct holder *holder = calloc(1, sizeof(*holder));
	int r = 0;

	if (!holder)
		return -ENOMEM;
	*holder = (struct holder){ .arena = arena, .session = session, .uid = uid, .entry = entry };
	TAILQ_INIT(&holder->holds);
	if (!entry)
		r = ledger_add_holder(&holder->entry, arena->ledger,
				      &(struct ledger_holder){ .session = session, .uid = uid });
	if (r < 0) {
		free(holder);
		return r;
	}
	TAILQ_INSERT_TAIL(&arena->holders, holder, link);
	RB_INSERT(holder_tree, &arena->by_session, holder);
	*out = holder;
	return 0;
}

void holder_free(struct holder *holder)
{
	struct arena *arena = holder->arena;

	charge_return_over(holder);
	window_leave(holder);
	TAILQ_REMOVE(&arena->holders, holder, link);
	RB_REMOVE(holder_tree, &arena->by_session, holder);
	ledger_remove(arena->ledger, holder->entry);
	free(holder->deeds);
	free(holder);
}

int arena_join(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid)
{
	struct holder *holder = holder_find(arena, session);
	int r = 0;

	if (!holder)
		r = holder_new(&holder, arena, session, uid, 0);
	if (r < 0)
		return r;
	/*
	 * The session left before, and takes part again. Holds that have not been dropped yet stay
	 * with it.
	 */
	if (holder->end != END_NOT_YET)
		TAILQ_REMOVE(holder->end == END_MARKED ? &arena->over : &arena->ending, holder,
			     by_end);
	holder->end = END_NOT_YET;
	holder->ending = NULL;
	/*
	 * While the session was over it was charged apart, by charge_over(). From here on it is
	 * charged as a connected session again.
	 */
	charge_return_over(holder);
	holder->is_connected = true;
	holder->is_orphan = false;
	*out = holder;
	return 0;
}

void holder_free_all(struct arena *arena)
{
	struct holder *holder;
	struct hold *hold;

	while ((holder = TAILQ_FIRST(&arena->holders))) {
		while ((hold = TAILQ_FIRST(&holder->holds))) {
			TAILQ_REMOVE(&holder->holds, hold, by_holder);
			TAILQ_REMOVE(&hold->alloc->holds, hold, by_alloc);
			free(hold);
		}
		TAILQ_REMOVE(&arena->holders, holder, link);
		free(holder->deeds);
		free(holder);
	}
}

/*
 * Has the session so many descriptors of this mode that it gets no more? Each is a lock on the
 * device, and each question about a mark has to pass all locks. The count is forgotten when nobody
 * has the mark.
 */
static bool has_too_many(struct holder *holder, bool read_only)
{
	if (holder->nr_attached[read_only] < ATTACHED_MAX)
		return false;
	if (has_mark(holder, read_only))
		return true;
	holder->nr_attached[read_only] = 0;
	return false;
}

int arena_attach(int *fd, struct holder *holder, bool read_only)
{
	int opened = -1;
	int r;

	if (has_too_many(holder, read_only))
		return -EMFILE;
	r = device_reopen(&opened, holder->arena->device, read_only ? O_RDONLY : O_RDWR);
	if (r == 0)
		/*
		 * A session that comes back may still have its first descriptor: the new one gets
		 * the same mark. Read locks do not exclude each other.
		 */
		r = device_mark(opened, mark_of(holder, read_only));
	if (r == -EBUSY)
		device_blame(holder->arena->device, mark_of(holder, read_only));
	if (r < 0) {
		if (opened >= 0)
			close(opened);
		return r;
	}
	holder->may_be_marked = true;
	holder->nr_attached[read_only]++;
	*fd = opened;
	return 0;
}

/* ---- holds ---- */

struct hold *hold_find(const struct holder *holder, const struct alloc *alloc)
{
	struct hold *hold;

	/*
	 * The list of the allocation is the shorter one: it has few holders, a holder may have many
	 * holds.
	 */
	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (hold->holder == holder)
			return hold;
	return NULL;
}

static void enter(struct hold *hold)
{
	struct holder *holder = hold->holder;

	TAILQ_INSERT_TAIL(&hold->alloc->holds, hold, by_alloc);
	/*
	 * Holds on parts that a shrink cut off stand first in the list: end_cut_holds() looks for
	 * them each time something is closed, and stops at the first hold of another kind.
	 */
	if (hold->alloc->cut_from)
		TAILQ_INSERT_HEAD(&holder->holds, hold, by_holder);
	else
		TAILQ_INSERT_TAIL(&holder->holds, hold, by_holder);
	if (hold->alloc->state == ALLOC_FREEING)
		charge_hold(holder->arena, hold);
}

int hold_new(struct holder *holder, struct alloc *alloc, const struct hold *as)
{
	struct hold *hold = malloc(sizeof(*hold));

	if (!hold)
		return -ENOMEM;
	*hold = (struct hold){ .alloc = alloc,
			       .holder = holder,
			       .read_only = as->read_only,
			       .closed = as->closed,
			       .lent = as->lent,
			       .entry = as->entry };
	enter(hold);
	return 0;
}

int hold_add(struct arena *arena, struct holder *holder, struct alloc *alloc, const struct hold *as)
{
	struct ledger_hold written = { .session = holder->session,
				       .id = alloc->id,
				       .slot = alloc->slot,
				       .read_only = as->read_only,
				       .closed = as->closed,
				       .lent = as->lent };
	struct hold hold = *as;
	int r = ledger_add_hold(&hold.entry, arena->ledger, &written);

	if (r < 0)
		return r;
	r = hold_new(holder, alloc, &hold);
	if (r < 0)
		ledger_remove(arena->ledger, hold.entry);
	return r;
}

void hold_close(struct arena *arena, struct hold *hold)
{
	hold->closed = true;
	ledger_set_closed(arena->ledger, hold->entry, true);
}

void hold_lend(struct arena *arena, struct hold *hold)
{
	if (hold->lent)
		return;
	/*
	 * The ledger first. Killed after that, the next daemon takes the allocation for lent
	 * although it was not yet, which only makes its space wait longer. The other way round it
	 * would be given out too early.
	 */
	ledger_set_lent(arena->ledger, hold->entry, true);
	hold->lent = true;
}

void hold_take_back(struct arena *arena, struct hold *hold)
{
	if (!hold->lent)
		return;
	hold->lent = false;
	ledger_set_lent(arena->ledger, hold->entry, false);
}

void hold_drop(struct arena *arena, struct hold *hold)
{
	charge_drop_hold(arena, hold);
	/*
	 * A pin that was stored while the allocation was held counts, and can be seen from here on.
	 */
	if (hold->alloc->state == ALLOC_FREEING)
		pins_hide(arena, hold->alloc);
	if (hold->holder->ending == hold)
		hold->holder->ending = TAILQ_NEXT(hold, by_holder);
	TAILQ_REMOVE(&hold->alloc->holds, hold, by_alloc);
	TAILQ_REMOVE(&hold->holder->holds, hold, by_holder);
	ledger_remove(arena->ledger, hold->entry);
	free(hold);
}

struct alloc *arena_find_held(const struct arena *arena, const struct holder *holder, uint32_t slot,
			      uint64_t id)
{
	struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;

	return alloc && alloc->id == id && hold_find(holder, alloc) ? alloc : NULL;
}

struct holder *arena_find_holder(const struct arena *arena, uint64_t session)
{
	return holder_find(arena, session);
}

bool arena_holder_is_leaving(const struct holder *holder)
{
	return holder->end == END_RESERVATIONS;
}

bool arena_holder_writes(const struct holder *holder)
{
	const struct hold *hold;

	TAILQ_FOREACH(hold, &holder->holds, by_holder) {
		if (!hold->read_only && !hold->closed)
			return true;
	}
	return false;
}
