/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split: which compound pages have tails of their own. They get them when they are split, keep them
 * for a while after they were emptied, and lose them off the path of requests. It knows states and
 * times; what is mapped is tails.c's.
 *
 *	shared --restore--> split --dedup--> idle --a while, or too many--> shared
 *	                      ^----restore-----+  +--cannot be done now--> late --> shared
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/memmap/memmap_internal.h"
#include "daemon/memmap/memmap_trace.h"

/* rounds of memmap_maintain() for which an emptied page stays restored */
#define IDLE_ROUNDS 8u
#define LATE_UNITS  64u                 /* units that are looked at in one round */

/* ---- what is known of the pages of a unit, while one of them is restored ---- */

static int get_pages(struct memmap *mm, struct unit *unit)
{
	uint64_t nr = pages_per_unit(mm);

	if (unit->pages)
		return 0;
	unit->pages = malloc(nr * sizeof(struct split));
	if (!unit->pages)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++)
		unit->pages[i] = (struct split){ .slot = NO_SLOT, .state = PAGE_SHARED };
	return 0;
}

/*
 * Called when a page of @unit was shared: if no restored page is left, frees what was known of
 * them.
 */
static void put_pages(struct memmap *mm, struct unit *unit)
{
	if (unit->nr_split > 0 || !unit->pages)
		return;
	free(unit->pages);
	unit->pages = NULL;
	unit->flags &= (uint8_t)~UNIT_LATE;
	if (unit->flags & UNIT_FLAT && tails_unflatten(mm, (uint64_t)(unit - mm->units)) < 0)
		return;                         /* memmap_maintain() tries again */
	mm->nr_broken += !(unit->flags & UNIT_BROKEN);
	unit->flags |= UNIT_BROKEN;
}

/* ---- restore ---- */

static void forget_idle(struct memmap *mm, uint32_t i)
{
	mm->nr_idle--;
	memmove(mm->idle + i, mm->idle + i + 1, (mm->nr_idle - i) * sizeof(*mm->idle));
}

/* An emptied page is split again before it was shared: it only changes its state. */
static void revive(struct memmap *mm, uint64_t page, struct split *split)
{
	mm->nr_late -= split->state == PAGE_LATE;
	for (uint32_t i = 0; i < mm->nr_idle; i++)
		if (mm->idle[i].page == page) {
			forget_idle(mm, i);
			break;
		}
	split->state = PAGE_SPLIT;
}

static int restore_shared(struct memmap *mm, uint64_t page, bool urgent)
{
	struct unit *unit = &mm->units[unit_of(mm, page)];
	int r = get_pages(mm, unit);

	if (r == 0)
		r = tails_restore(mm, page, urgent);
	if (r < 0) {
		mm->counts.restore_failures++;
		if (unit->nr_split == 0) {
			free(unit->pages);
			unit->pages = NULL;
		}
		return r;
	}
	unit->nr_split++;
	mm->counts.restores++;
	return 0;
}

static int restore(struct memmap *mm, uint64_t page, bool urgent)
{
	struct split *split = split_of(mm, page);
	int r = 0;

	if (!has_tails(mm) || (split && split->state == PAGE_SPLIT))
		return 0;
	if (split && split->state != PAGE_SHARED)
		revive(mm, page, split);
	else
		r = restore_shared(mm, page, urgent);
	memmap_trace_split(mm, page, r);
	mm->nr_split += r == 0;
	return r;
}

int memmap_restore(struct memmap *mm, uint64_t page)
{
	return restore(mm, page, false);
}

/* ---- sharing again: all of a range, or none of it ---- */

static int share_piece(void *arg, uint64_t page, uint64_t nr)
{
	return tails_share(arg, page, nr);
}

/*
 * The whole range is shared: gives the slots back. They were kept until now so that
 * put_back_piece() could undo the sharing.
 */
static int finish_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct memmap *mm = arg;
	struct unit *unit = &mm->units[unit_of(mm, page)];
	struct split *split = split_of(mm, page);

	for (uint64_t i = 0; i < nr; i++) {
		if (split[i].slot != NO_SLOT)
			pool_give(&mm->pool, split[i].slot);
		split[i].slot = NO_SLOT;
	}
	unit->nr_split -= (uint32_t)nr;
	mm->counts.dedups += nr;
	put_pages(mm, unit);
	return 0;
}

/*
 * Undoes the sharing of a piece. A page for which that fails stays shared, which is right too: its
 * tails are plain.
 */
static int put_back_piece(void *arg, uint64_t page, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		if (tails_unshare(arg, page + i) < 0)
			finish_piece(arg, page + i, 1);
	return 0;
}

/* Sharing has failed: the pages of the piece are noted, to be tried again later. */
static int delay_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct memmap *mm = arg;
	struct split *split = split_of(mm, page);

	for (uint64_t i = 0; split && i < nr; i++) {
		if (split[i].state != PAGE_IDLE)
			continue;
		split[i].state = PAGE_LATE;
		mm->nr_late++;
		mm->units[unit_of(mm, page)].flags |= UNIT_LATE;
	}
	return 0;
}

/*
 * Shares the pages [page, page + nr), which are idle and on no list. -errno: they are in the state
 * PAGE_LATE.
 */
static int share(struct memmap *mm, uint64_t page, uint64_t nr)
{
	struct walk walk = { .page = page, .nr = nr }, all = walk;
	int r = walk_pieces(&walk, mm, share_piece, mm);

	if (r == 0) {
		memmap_trace_dedup(mm, page, nr);
		return walk_pieces(&all, mm, finish_piece, mm);
	}
	memmap_trace_put_off(mm, page, nr, r);
	if (r == -EAGAIN)
		mm->counts.dedups_put_off += nr;
	else
		mm->counts.dedup_failures++;
	walk = (struct walk){ .page = page, .nr = walk.done };
	walk_pieces(&walk, mm, put_back_piece, mm);
	walk_pieces(&all, mm, delay_piece, mm);
	return r;
}

/* ---- pages that were just emptied ---- */

/*
 * Shares the page that was emptied first, and with it all idle pages next to it: a whole range
 * takes one system call.
 */
static void share_oldest(struct memmap *mm)
{
	uint64_t first = mm->idle[0].page, end = first + 1;

	forget_idle(mm, 0);
	for (uint32_t i = 0; i < mm->nr_idle;) {
		uint64_t page = mm->idle[i].page;

		if (page != end && page + 1 != first) {
			i++;
			continue;
		}
		first -= page + 1 == first;
		end += page == end;
		forget_idle(mm, i);
		i = 0;
	}
	share(mm, first, end - first);
}

/*
 * A client that allocates and frees 4 KiB in a loop empties and splits the same page again and
 * again. The pages that were emptied last stay restored, so that it pays for neither. MAX_IDLE
 * pages are 512 KiB; of pages of 1 GiB, with 16 MiB each, one stays.
 */
static void make_idle(struct memmap *mm, uint64_t page)
{
	if (mm->nr_idle == (mm->p.order == DESC_MAX_ORDER ? 1 : MAX_IDLE))
		share_oldest(mm);
	mm->idle[mm->nr_idle++] = (struct idle){ .page = page, .since = mm->rounds };
}

/*
 * A page with a bad base page stays split: which of them is bad is written in its tails. Returns
 * false if the page does not become idle.
 */
static bool begin_idle(struct memmap *mm, uint64_t page)
{
	struct split *split = split_of(mm, page);

	if (!split || split->state != PAGE_SPLIT || split->has_bad)
		return false;
	split->state = PAGE_IDLE;
	mm->nr_split--;
	return true;
}

/* Shares the pages at once if many were emptied together; fewer become idle first. */
static void settle_run(struct memmap *mm, uint64_t page, uint64_t nr)
{
	if (nr >= MAX_IDLE)
		share(mm, page, nr);
	for (uint64_t i = 0; nr < MAX_IDLE && i < nr; i++)
		make_idle(mm, page + i);
}

void memmap_dedup(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t end = page + nr, run = 0;

	for (; has_tails(mm) && page < end; page++) {
		bool idle = begin_idle(mm, page);

		if (!idle && run > 0)
			settle_run(mm, page - run, run);
		run = idle ? run + 1 : 0;
	}
	if (run > 0)
		settle_run(mm, end - run, run);
}

/* ---- bad base pages ---- */

int memmap_poison(struct memmap *mm, uint64_t pfn)
{
	uint64_t page = pfn >> mm->p.order;
	int r;

	if (memmap_desc(mm, pfn)->flags & DESC_POISON)
		return 0;
	/*
	 * Gives the page tails of its own, also if its head is the bad one: the good base pages of
	 * this page are to be handed out, and need descriptors.
	 */
	r = restore(mm, page, true);
	if (r < 0)
		return r;
	if (has_tails(mm))
		split_of(mm, page)->has_bad = true;
	memmap_tail(mm, pfn)->flags |= DESC_POISON;
	memmap_head(mm, page)->nr_poisoned++;
	return 1;
}

/* ---- regular work ---- */

/* Tries again to share the pages of a unit for which it failed before. */
static int share_late(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit), nr = unit_pages(mm, unit);
	int r = 0;

	for (uint64_t page = first; page < first + nr && mm->units[unit].pages && r == 0; page++) {
		struct split *split = split_of(mm, page);

		if (split->state != PAGE_LATE)
			continue;
		split->state = PAGE_IDLE;
		mm->nr_late--;
		r = share(mm, page, 1);
	}
	return r;
}

void split_upkeep(struct memmap *mm)
{
	while (mm->nr_idle > 0 && mm->idle[0].since + IDLE_ROUNDS <= mm->rounds)
		share_oldest(mm);
	for (unsigned i = 0; i < LATE_UNITS && mm->nr_late > 0; i++) {
		uint64_t unit = memmap_next_unit(mm, UNIT_LATE);

		if (unit == mm->nr_units || share_late(mm, unit) < 0)
			return;
		mm->units[unit].flags &= (uint8_t)~UNIT_LATE;
	}
}
