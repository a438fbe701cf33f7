/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * adopt: sessions, reservations and quarantine that a dead daemon left in the ledger. The table has been read: where both have something,
 * the table is right.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"

void drop_name(struct alloc *alloc)
{
	free(alloc->name);
	alloc->name = NULL;
	alloc->name_len = 0;
}

static void unmark(struct arena *arena, const struct alloc *alloc, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		space_set_object(arena->space, alloc->extents[i], alloc->is_run, 0);
}

/* All extents or none. */
int mark_alloc(struct arena *arena, const struct alloc *alloc)
{
	int r = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		r = space_mark_used(arena->space, alloc->extents[i], alloc->is_run, alloc->uid, alloc->slot + 1);
		if (r < 0) {
			unmark(arena, alloc, i);
			return r;
		}
	}
	return 0;
}

/* Written anew while it was adopted, and met once more. */
static bool is_adopted(const struct arena *arena, const struct ledger_item *item)
{
	return item->range.slot < arena->sb.nr_slots && arena->objects[item->range.slot] &&
	       arena->objects[item->range.slot]->entry == item->entry;
}

/* What the table has is the truth: the settle had come before the ledger was tidied up, or had not come at all. */
static bool is_obsolete(const struct arena *arena, const struct ledger_item *item)
{
	const struct ledger_range *range = &item->range;

	return range->slot >= arena->sb.nr_slots || arena->objects[range->slot];
}

/* What nobody else has of @e, unit by unit, joins the @nr extents that are marked already. */
static int mark_rest(struct extent *out, uint32_t *nr, struct arena *arena, const struct alloc *alloc, struct extent e)
{
	uint64_t unit = alloc->is_run ? 1 : arena_page_pfns(arena);

	for (uint64_t off = e.off; off < e.off + e.len && *nr < ALLOC_MAX_EXTENTS; off += unit) {
		int r = space_mark_used(arena->space, (struct extent){ off, unit }, alloc->is_run, alloc->uid, alloc->slot + 1);

		if (r == -ENOMEM)
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
 * The table has a part of it: that was carved off, or the whole was published, or never cut off. What is left, in memory and in the
 * ledger; -ENOENT: nothing.
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
	range = range_of(alloc, item->range.state);
	/* No room in the runtime directory: then it is nobody's after the next start. */
	if (ledger_replace_range(&alloc->entry, arena->ledger, &range, left, nr, alloc->name, alloc->name_len) < 0)
		ledger_set_state(arena->ledger, alloc->entry, LEDGER_FREEING);
	return 0;
}

static int adopt_range(struct arena *arena, const struct ledger_item *item)
{
	const struct ledger_range *range = &item->range;
	struct alloc *alloc;
	int r = alloc_new(&alloc, item->nr_extents);

	if (r < 0)
		return r;
	memcpy(alloc->extents, item->extents, item->nr_extents * sizeof(*alloc->extents));
	alloc->id = range->id;
	alloc->slot = range->slot;
	alloc->uid = range->uid;
	alloc->gid = range->gid;
	alloc->mode = range->mode;
	alloc->created_ns = range->created_ns;
	if (range->flags & RANGE_CUT)
		alloc->cut_from = range->session;
	else
		alloc->session = range->session;
	alloc->entry = item->entry;
	alloc->is_run = range->is_run;
	alloc->is_lease = range->is_lease;
	alloc->state = range->state == LEDGER_RESERVED ? ALLOC_RESERVED : ALLOC_FREEING;
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		alloc->nr_pfns += alloc->extents[i].len;
	if (alloc->state == ALLOC_RESERVED)
		r = copy_name(alloc, item->name, item->name_len);
	if (r == 0)
		r = mark_alloc(arena, alloc);
	if (r == -EEXIST)
		r = subtract(arena, alloc, item);
	if (r < 0) {
		alloc_free(alloc);
		if (r != -ENOMEM)
			ledger_remove(arena->ledger, item->entry);
		return r == -ENOMEM ? r : 0;
	}
	arena->objects[alloc->slot] = alloc;
	if (alloc->slot >= arena->nr_objects)
		arena->nr_objects = alloc->slot + 1;
	if (alloc->state == ALLOC_FREEING) {
		TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
		return 0;
	}
	if (alloc->name && RB_INSERT(name_tree, &arena->names, alloc))
		drop_name(alloc);
	r = quota_charge_anyway(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	return r < 0 ? r : quota_charge_anyway(arena->quota, alloc->uid, bytes_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
}

static int adopt_holder(struct arena *arena, const struct ledger_item *item)
{
	struct holder *holder;
	int r = holder_new(&holder, arena, item->holder.session, item->holder.uid, item->entry);

	if (r == 0)
		holder->is_orphan = true;
	return r;
}

static int adopt_hold(struct arena *arena, const struct ledger_item *item)
{
	struct holder *holder = holder_find(arena, item->hold.session);
	struct alloc *alloc = item->hold.slot < arena->nr_objects ? arena->objects[item->hold.slot] : NULL;
	struct hold *hold;

	if (!holder || !alloc || alloc->id != item->hold.id) {
		ledger_remove(arena->ledger, item->entry);
		return 0;
	}
	hold = calloc(1, sizeof(*hold));
	if (!hold)
		return -ENOMEM;
	*hold = (struct hold){ .alloc = alloc, .holder = holder, .read_only = item->hold.read_only, .closed = item->hold.closed,
			       .entry = item->entry };
	TAILQ_INSERT_TAIL(&alloc->holds, hold, by_alloc);
	TAILQ_INSERT_TAIL(&holder->holds, hold, by_holder);
	return 0;
}

static int adopt_ranges(struct arena *arena, enum ledger_state state)
{
	struct ledger_item item;
	int r = 0;

	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);) {
		if (item.kind != LEDGER_RANGE || item.range.state != state || is_adopted(arena, &item))
			continue;
		if (is_obsolete(arena, &item))
			ledger_remove(arena->ledger, item.entry);
		else
			r = adopt_range(arena, &item);
	}
	return r;
}

int adopt_ledger(struct arena *arena)
{
	struct ledger_item item;
	int r = 0;

	/* Holders and ranges first: a hold names one of each. */
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_HOLDER)
			r = adopt_holder(arena, &item);
	/* A daemon that was killed while it shrank a reservation left the whole and what was to be cut off: the whole is right. */
	if (r == 0)
		r = adopt_ranges(arena, LEDGER_RESERVED);
	if (r == 0)
		r = adopt_ranges(arena, LEDGER_FREEING);
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_HOLD)
			r = adopt_hold(arena, &item);
	for (uint32_t cursor = 0; r == 0 && ledger_next(&item, arena->ledger, &cursor);)
		if (item.kind == LEDGER_DEED)
			r = deed_adopt(arena, &item);
	return r;
}
