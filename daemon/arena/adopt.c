/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * adopt: rebuilds, from the ledger that a dead daemon left, the sessions (as holders), the
 * reservations, the freed allocations that may still be mapped, and who has what open. The table of
 * records has been read before. Where the ledger and the table disagree about an allocation, the
 * table is right: it is what a power cut would leave, too.
 */
#include <config.h>

#include "daemon/arena/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/index.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/window.h"

/* Undoes adopt_mark() for the first @nr extents of @alloc. */
static void unmark(struct arena *arena, const struct alloc *alloc, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		space_set_object(arena->space, alloc->extents[i], alloc->is_run, 0);
}

int adopt_mark(struct arena *arena, const struct alloc *alloc)
{
	int r = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		r = space_mark_used(arena->space, alloc->extents[i], alloc->is_run, alloc->uid,
				    alloc->slot + 1);
		if (r < 0) {
			unmark(arena, alloc, i);
			return r;
		}
	}
	return 0;
}

bool adopt_is_verdict(int r)
{
	return r == -EEXIST || r == -ERANGE;
}

/*
 * The loop over the ledger may meet an item that it has handled already: subtract() writes an item
 * anew, behind the cursor or ahead of it. Returns true if the allocation that was built from @item
 * is there. To adopt it twice would mark its own space as a conflict.
 */
static bool is_adopted(const struct arena *arena, const struct ledger_item *item)
{
	return item->range.slot < arena->sb.nr_slots && arena->objects[item->range.slot] &&
	       arena->objects[item->range.slot]->entry == item->entry;
}

/*
 * The table has an allocation in the slot of the ledger's @item. Then the item says nothing new:
 * either the daemon died after the settle that made the record durable and before it removed the
 * item, or it died before the settle that would have retired the record.
 */
static bool is_obsolete(const struct arena *arena, const struct ledger_item *item)
{
	const struct ledger_range *range = &item->range;

	return range->slot >= arena->sb.nr_slots || arena->objects[range->slot];
}

/*
 * Marks the part of @e that no other allocation has as used by @alloc, one unit (a compound page,
 * or a base page of a run) at a time, and appends it to @out, which has *nr extents so far. At most
 * ALLOC_MAX_EXTENTS are kept. A unit that another allocation has is passed over. -ENOMEM, -EIO.
 */
static int mark_rest(struct extent *out, uint32_t *nr, struct arena *arena,
		     const struct alloc *alloc, struct extent e)
{
	uint64_t unit = alloc->is_run ? 1 : arena_page_pfns(arena);

	for (uint64_t off = e.off; off < e.off + e.len && *nr < ALLOC_MAX_EXTENTS; off += unit) {
		int r = space_mark_used(arena->space, (struct extent){ off, unit }, alloc->is_run,
					alloc->uid, alloc->slot + 1);

		if (r < 0 && !adopt_is_verdict(r))
			return r;
		if (r < 0)
			continue;
		if (*nr > 0 && out[*nr - 1].off + out[*nr - 1].len == off)
			out[*nr - 1].len += unit;
		else
			out[(*nr)++] = (struct extent){ off, unit };
	}
	return 0;
}

/*
 * Some of the space of @alloc, as the ledger has it, belongs to an allocation of the table: a part
 * was carved off, or the daemon died between the record and the ledger. Leaves to @alloc what
 * nobody else has, and writes that into the ledger. -ENOENT: nothing is left; -ENOMEM.
 */
static int subtract(struct arena *arena, struct alloc *alloc, const struct ledger_item *item)
{
	struct ledger_range range;
	struct extent *left;
	uint32_t nr = 0;
	int r = 0;

	for (uint32_t i = 0; i < alloc->nr_extents && r == 0; i++)
		r = mark_rest(arena->scratch, &nr, arena, alloc, alloc->extents[i]);
	left = r == 0 && nr > 0 ? malloc(nr * sizeof(*left)) : NULL;
	if (!left)
		return r == 0 && nr == 0 ? -ENOENT : -ENOMEM;
	memcpy(left, arena->scratch, nr * sizeof(*left));
	alloc_drop_extents(alloc, alloc->extents);
	alloc->extents = left;
	alloc->nr_extents = nr;
	alloc->nr_pfns = 0;
	for (uint32_t i = 0; i < nr; i++)
		alloc->nr_pfns += left[i].len;
	range = alloc_ledger_range(alloc, item->range.state);
	/*
	 * The ledger cannot grow: the runtime directory is full. The item still names the whole, so
	 * it is set to FREEING: the next start then gives its space to nobody, instead of to a
	 * session that does not own all of it any more.
	 */
	if (ledger_replace_range(&alloc->entry, arena->ledger, &range, left, nr, alloc->name,
				 alloc->name_len) < 0)
		ledger_set_state(arena->ledger, alloc->entry, LEDGER_FREEING);
	return 0;
}

/*
 * Notes who owns @alloc, and in which session. A part that was cut off an allocation has no session
 * of its own: in the place of a session its item names the allocation that it was cut off, and in
 * the place of a time of creation the pins that may still show it (see alloc.h).
 */
static void fill_owner(struct alloc *alloc, const struct ledger_range *range)
{
	alloc->uid = range->uid;
	alloc->gid = range->gid;
	alloc->mode = range->mode;
	if (!(range->flags & RANGE_CUT)) {
		alloc->session = range->session;
		alloc->created_ns = range->created_ns;
		return;
	}
	alloc->cut_from = range->session;
	alloc->pin_slot = (uint32_t)(range->created_ns >> 32);
	alloc->pin_limit = (uint32_t)range->created_ns;
}

/* Builds an allocation from the ledger's @item, in memory alone. -ENOMEM. */
static int build_range(struct alloc **out, const struct ledger_item *item)
{
	const struct ledger_range *range = &item->range;
	struct alloc *alloc;
	int r = alloc_new(&alloc, item->nr_extents);

	if (r < 0)
		return r;
	memcpy(alloc->extents, item->extents, item->nr_extents * sizeof(*alloc->extents));
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		alloc->nr_pfns += alloc->extents[i].len;
	alloc->id = range->id;
	alloc->slot = range->slot;
	fill_owner(alloc, range);
	alloc->entry = item->entry;
	alloc->is_run = range->is_run;
	alloc->is_lease = range->is_lease;
	alloc->has_contents = range->flags & RANGE_CONTENTS;
	alloc->state = range->state == LEDGER_RESERVED ? ALLOC_RESERVED : ALLOC_FREEING;
	if (alloc->state == ALLOC_RESERVED)
		r = alloc_copy_name(alloc, item->name, item->name_len);
	if (r < 0) {
		alloc_free(alloc);
		return r;
	}
	*out = alloc;
	return 0;
}

/*
 * Removes from the ledger an item which certainly is wrong; @r is how adopting it ended. Returns 0,
 * or @r when the start must fail: on a shortage of memory the item stays, since without it its
 * space would be given to others, while a client may have it mapped.
 */
static int drop_wrong(struct arena *arena, const struct ledger_item *item, int r)
{
	bool outdated = r == -ENOENT;

	if (!outdated && !adopt_is_verdict(r))
		return r;
	if (outdated)
		arena->counts.start.ledger_outdated++;
	else
		arena->counts.start.ledger_broken++;
	arena_trace_dropped(arena, "range", item->range.id,
			    outdated ? "the table has all of its space" : "its space cannot be");
	ledger_remove(arena->ledger, item->entry);
	return 0;
}

/*
 * Puts @alloc among what the arena has, and charges its owner for a reservation. What is freed is
 * nobody's charge: it waits until nobody has it mapped. -ENOMEM.
 */
static int enter_range(struct arena *arena, struct alloc *alloc)
{
	int r;

	arena->objects[alloc->slot] = alloc;
	if (alloc->slot >= arena->nr_objects)
		arena->nr_objects = alloc->slot + 1;
	if (alloc->state == ALLOC_FREEING) {
		pins_hide(arena, alloc);
		TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
		return 0;
	}
	/*
	 * Another allocation has the name already. This one loses it, so that a name leads to one
	 * allocation.
	 */
	if (alloc->name && RB_INSERT(name_tree, &arena->names, alloc))
		alloc_drop_name(alloc);
	r = quota_charge_anyway(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	return r < 0 ? r
		     : quota_charge_anyway(arena->quota, alloc->uid, charge_kind(alloc),
					   alloc->nr_pfns << DESC_SHIFT);
}

/*
 * Takes over a reserved or freed allocation from the ledger's @item: marks its space and charges
 * its owner. An item whose space is impossible, or all in the table, is removed from the ledger and
 * returns 0. -errno: the start fails.
 */
static int adopt_range(struct arena *arena, const struct ledger_item *item)
{
	struct alloc *alloc;
	int r = build_range(&alloc, item);

	if (r < 0)
		return r;
	r = adopt_mark(arena, alloc);
	if (r == -EEXIST)
		r = subtract(arena, alloc, item);
	if (r < 0) {
		alloc_free(alloc);
		return drop_wrong(arena, item, r);
	}
	return enter_range(arena, alloc);
}

static int adopt_holder(struct arena *arena, const struct ledger_item *item)
{
	struct holder *holder;
	int r = holder_new(&holder, arena, item->holder.session, item->holder.uid, item->entry);

	if (r < 0)
		return r;
	holder->is_orphan = holder->may_be_marked = true;
	holder->window = window_find(arena, item->holder.window);
	if (holder->window)
		holder->window->nr_users++;
	holder->who = item->who;
	/*
	 * The session counts against its user's limit of sessions, whether it comes back or not: a
	 * process has something mapped through its descriptor, so it costs what a session costs.
	 */
	if (holder_look(holder))
		charge_over(holder);
	return 0;
}

/*
 * Gives a session its open allocation back. An item whose session or allocation is not there any
 * more is removed from the ledger.
 */
static int adopt_hold(struct arena *arena, const struct ledger_item *item)
{
	struct holder *holder = holder_find(arena, item->hold.session);
	struct alloc *alloc =
		item->hold.slot < arena->nr_objects ? arena->objects[item->hold.slot] : NULL;

	if (!holder || !alloc || alloc->id != item->hold.id) {
		arena_trace_dropped(arena, "hold", item->hold.id,
				    holder ? "its allocation is gone" : "its session is gone");
		arena->counts.start.ledger_outdated++;
		ledger_remove(arena->ledger, item->entry);
		return 0;
	}
	return hold_new(holder, alloc,
			&(struct hold){ .read_only = item->hold.read_only,
					.closed = item->hold.closed,
					.lent = item->hold.lent,
					.entry = item->entry });
}

/* Adopts the ranges of the ledger that are in @state. */
static int adopt_ranges(struct arena *arena, enum ledger_state state)
{
	struct ledger_item item;
	int r = 0;

	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);) {
		if (item.kind != LEDGER_RANGE || item.range.state != state ||
		    is_adopted(arena, &item))
			continue;
		if (!is_obsolete(arena, &item)) {
			r = adopt_range(arena, &item);
			continue;
		}
		arena_trace_dropped(arena, "range", item.range.id, "the table has it");
		arena->counts.start.ledger_outdated++;
		ledger_remove(arena->ledger, item.entry);
	}
	return r;
}

/*
 * A reservation is open in the session that made it, and ends with what that session has open. One
 * that lacks this would never end: its session was over before (the arena was offline, so that its
 * record never became durable), or the daemon was killed before it wrote the hold.
 */
static int adopt_reservations(struct arena *arena)
{
	int r = 0;

	for (uint32_t slot = 0; r == 0 && slot < arena->nr_objects; slot++) {
		struct alloc *alloc = arena->objects[slot];
		struct holder *holder;

		if (!alloc || alloc->state != ALLOC_RESERVED)
			continue;
		holder = holder_find(arena, alloc->session);
		if (holder && !hold_find(holder, alloc))
			r = hold_add(arena, holder, alloc, &(struct hold){ .closed = false });
		if (holder)
			continue;
		arena_trace_dropped(arena, "range", alloc->id, "its session is gone");
		ending_begin(arena, alloc);
	}
	return r;
}

int adopt_ledger(struct arena *arena)
{
	struct ledger_item item;
	int r = 0;

	arena->counts.start.ledger_broken = ledger_dropped(arena->ledger);
	/* Windows come first: the item of a holder names its window. */
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_WINDOW)
			r = window_adopt(arena, &item);

	/*
	 * A hold names a session and an allocation: both must be there before the holds are read.
	 */
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_HOLDER)
			r = adopt_holder(arena, &item);
	/*
	 * Reserved ranges come before freed ones. A daemon that was killed while it shrank a
	 * reservation left both the whole and the part that it was cutting off; the whole comes
	 * first and takes all of its space, so that the part is dropped and the reservation stays
	 * what its client knows.
	 */
	if (r == 0)
		r = adopt_ranges(arena, LEDGER_RESERVED);
	if (r == 0)
		r = adopt_ranges(arena, LEDGER_FREEING);
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_HOLD)
			r = adopt_hold(arena, &item);
	if (r == 0)
		r = adopt_reservations(arena);
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_DEED)
			r = deed_adopt(arena, &item);
	return r;
}
