/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover: rebuilds the arena in memory at a start, from the table on media and from the ledger,
 * which outlived the daemon but not a power cut. What comes out depends on these two alone: a
 * recovery that is cut, or done twice, gives the same. The steps:
 *
 *	1 read the table, mend copies that are bad alone, keep the newest version of each record
 *	  (recover_table.c); of two with one name, that which replaced the other (replace.c)
 *	2 mark their space; two records that claim the same page are damage, never a choice
 *	3 the ledger: sessions, reservations and freed space that may still be mapped (adopt.c)
 *	4 all other space is free; stale records are retired, and that is fenced, before
 *	  anything new is staged
 */
#include <config.h>

#include "daemon/arena/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/arena/adopt.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/index.h"
#include "daemon/arena/object.h"
#include "daemon/arena/recover_table.h"
#include "daemon/arena/replace.h"
#include "daemon/arena/settle.h"
#include "daemon/clock.h"

/*
 * Drops @alloc, which gave way to another allocation when power was cut before its record was
 * retired: it counts as freed, and its space is free, or the ledger has it. This is no more damage
 * than an older version of a record is.
 */
static int drop_replaced(void *arg, struct alloc *alloc)
{
	struct recovery *rec = arg;
	int r = recover_make_stale(rec, alloc->records, alloc->nr_records);

	if (r < 0)
		return r;
	arena_trace_dropped(rec->arena, "record", alloc->id, "another one replaced it");
	rec->arena->objects[alloc->slot] = NULL;
	alloc_free(alloc);
	return 0;
}

/* ---- step 2: space and names ---- */

/*
 * Marks the space of a published allocation, gives it its name and charges its owner. If somebody
 * else has the space it is damage: which of the two is right, nobody can tell.
 */
static int take_in(struct recovery *rec, struct alloc *alloc)
{
	struct arena *arena = rec->arena;
	struct record record;
	int r = adopt_mark(arena, alloc);

	/* A shortage of memory says nothing about the record: a later start may succeed. */
	if (r < 0 && !adopt_is_verdict(r))
		return r;
	alloc_record(&record, alloc);
	if (r < 0) {
		recover_damage(rec, &record,
			       r == -ERANGE ? "its space is not in the data area"
					    : "its space is another allocation's too");
		arena->objects[alloc->slot] = NULL;
		alloc_free(alloc);
		return 0;
	}
	if (alloc->name && RB_INSERT(name_tree, &arena->names, alloc)) {
		recover_damage(rec, &record,
			       "its name is another allocation's too; it is unnamed now");
		alloc_drop_name(alloc);
		alloc->wants_record = true;
	}
	for (uint32_t i = 0; i < alloc->nr_records; i++)
		arena->owner_of_record[alloc->records[i]] = alloc;
	r = quota_charge_anyway(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	if (r == 0)
		r = quota_charge_anyway(arena->quota, alloc->uid, charge_kind(alloc),
					alloc->nr_pfns << DESC_SHIFT);
	return r;
}

static int take_in_all(struct recovery *rec)
{
	struct arena *arena = rec->arena;
	int r = 0;

	for (uint32_t slot = 0; slot < arena->nr_objects && r == 0; slot++)
		if (arena->objects[slot])
			r = take_in(rec, arena->objects[slot]);
	return r;
}

/* Marks the base pages of each bad range in the memmap, and the allocations that have them. */
static int mark_bad_ranges(struct arena *arena)
{
	uint64_t nr_pfns = arena->sb.nr_pages << arena->sb.order;
	struct bad_range *bad;
	uint32_t object;
	int r = 0;

	TAILQ_FOREACH(bad, &arena->bad_ranges, link) {
		for (uint64_t i = 0; i < bad->range.len && r >= 0 && bad->range.off + i < nr_pfns;
		     i++) {
			r = space_poison(arena->space, bad->range.off + i, &object);
			if (r > 0 && object)
				arena->objects[object - 1]->is_poisoned = true;
		}
	}
	return r < 0 ? r : 0;
}

/*
 * Makes the validity plane agree with what was found: from here on clients see which of the handles
 * that they still have are valid.
 */
static int set_plane(struct arena *arena, struct why *why)
{
	int r = 0;

	for (uint32_t slot = 0; slot < arena->sb.nr_slots && r == 0; slot++) {
		const struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;
		uint64_t id = alloc && alloc->state != ALLOC_FREEING ? alloc->id : 0;

		if (id)
			r = plane_prepare(arena->plane, slot);
		if (r == 0 && plane_get(arena->plane, slot) != id)
			plane_set(arena->plane, slot, id);
	}
	return r < 0 ? why_set(why, r,
			       "the validity plane cannot be written: is the runtime directory "
			       "full?")
		     : 0;
}

/* ---- step 4: free space, and the table ---- */

/* Makes stale slots free, and fences that before anything new is staged. */
static int retire_stale(struct recovery *rec)
{
	struct arena *arena = rec->arena;
	int r = table_ready(arena->table);

	if (r == 0 && rec->nr_stale)
		r = table_retire(arena->table, rec->stale, (uint32_t)rec->nr_stale);
	return r < 0 ? r : table_settle(arena->table, false);
}

/*
 * A bit that only one copy of the zero map has (a cut between the two, or damage) is cleared in
 * that copy: a page counts as zero only if both copies say so.
 */
static int mend_zero_map(struct arena *arena)
{
	int64_t nr = zeromap_verify(arena->zero, !arena->read_only);

	if (nr > 0)
		recover_complain(arena,
				 "%lld words of the zero map: the copies differ, or cannot be read",
				 (long long)nr);
	if (nr > 0 && !arena->read_only)
		arena->counts.records_mended += (uint64_t)nr;
	return nr < 0 ? (int)nr : 0;
}

/*
 * Enters all published allocations in the catalog. One whose record is still to be written is left
 * out: clients ask by message for it.
 */
static void fill_catalog(struct arena *arena)
{
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		const struct alloc *alloc = arena->objects[slot];

		if (alloc && alloc->state == ALLOC_PUBLISHED && !alloc->wants_record)
			settle_catalog(arena, alloc);
	}
	catalog_ready(arena->catalog);
	evictable_enter_all(arena);
}

/* The steps in the order of the drawing at the top of this file. */
static int run_steps(struct recovery *rec, struct why *why)
{
	struct arena *arena = rec->arena;
	int r = recover_table(rec);

	if (r == 0 && rec->has_successors)
		r = replace_finish(arena, drop_replaced, rec);
	if (r == 0)
		r = take_in_all(rec);
	if (r == 0 && !arena->read_only)
		r = adopt_ledger(arena);
	if (r == 0)
		r = mark_bad_ranges(arena);
	if (r == 0)
		r = mend_zero_map(arena);
	if (r == 0 && !arena->read_only) {
		r = set_plane(arena, why);
		if (r == 0)
			r = retire_stale(rec);
		if (r == 0)
			fill_catalog(arena);
		if (r == 0) {
			/*
			 * Space that a damaged record covers looks free and holds somebody's data.
			 * Nothing is scrubbed or handed out until a repair gives those records up.
			 */
			space_hold(arena->space, rec->nr_damaged > 0);
			r = space_build(arena->space);
		}
	}
	return r < 0 ? r : object_collect_free(arena);
}

/*
 * Keeps the counts of what this start found, for `pmemarenactl stats` and `check`: people ask long
 * after the start.
 */
static void note_start(struct arena *arena, uint64_t nr_damaged)
{
	struct arena_start *start = &arena->counts.start;

	start->when_ns = clock_ns(CLOCK_REALTIME);
	start->mended = arena->counts.records_mended;
	start->damaged = nr_damaged;
	if (start->mended > 0)
		arena->counts.mended_ns = start->when_ns;
}

int recover_arena(struct arena *arena, struct why *why)
{
	struct recovery rec = { .arena = arena };
	int r;

	rec.payload = malloc(TABLE_PAYLOAD_MAX);
	if (!rec.payload)
		return -ENOMEM;
	r = run_steps(&rec, why);
	if (r == 0 && rec.nr_damaged) {
		arena->state = ARENA_DAMAGED;
		snprintf(arena->reason, sizeof(arena->reason),
			 "%llu records are damaged, what space they cover is not known",
			 (unsigned long long)rec.nr_damaged);
	}
	note_start(arena, rec.nr_damaged);
	if (r == 0)
		arena_trace_recovered(arena, rec.nr_damaged, rec.nr_stale);
	free(rec.payload);
	free(rec.found);
	free((void *)(uintptr_t)rec.bundle.extents);
	free(rec.stale);
	return r;
}
