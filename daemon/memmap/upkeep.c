/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * upkeep: what the memmap does off the path of requests, a bounded part in each round: it fills the
 * pool, counts mappings again, brings huge mappings back, and ends flat units when there is room
 * for their mappings.
 */
#include <config.h>

#include "daemon/memmap/memmap_internal.h"

#define SLOTS_A_ROUND    32u            /* filling one takes 5 us */
#define MENDS_A_ROUND    32u            /* mending one takes 8 us */
#define FLATS_A_ROUND    8u
#define RECOUNT_ROUNDS   256u
#define RECOUNT_IF_SHORT 16u

/* Counts the mappings of the process again: more often when they run short. */
static void recount(struct memmap *mm)
{
	uint64_t every = vma_budget_used(mm->budget) > mm->budget->limit / 2 ? RECOUNT_IF_SHORT
									     : RECOUNT_ROUNDS;

	if (vma_budget_is_stale(mm->budget) || mm->rounds % every == 0)
		vma_budget_recount(mm->budget);
}

/* Ends flat units with no restored page, while the budget has much more room than they need. */
static void unflatten_some(struct memmap *mm)
{
	for (unsigned i = 0; i < FLATS_A_ROUND && mm->nr_flat > 0 &&
			     vma_budget_has(mm->budget, mm->budget->limit / 16);
	     i++) {
		uint64_t unit = memmap_next_unit(mm, UNIT_FLAT);

		if (mm->units[unit].nr_split == 0 && tails_unflatten(mm, unit) < 0)
			return;
	}
}

static void mend_some(struct memmap *mm)
{
	for (unsigned i = 0; i < MENDS_A_ROUND && mm->nr_broken > 0; i++) {
		struct unit *unit = &mm->units[memmap_next_unit(mm, UNIT_BROKEN)];

		unit->flags &= (uint8_t)~UNIT_BROKEN;
		mm->nr_broken--;
		if (unit->nr_split == 0 && !(unit->flags & UNIT_FLAT) && mm->backing.is_huge)
			tails_mend(mm, (uint64_t)(unit - mm->units));
	}
}

/*
 * Fills the backing. Units that were mapped before it was huge still show small pages: they are
 * noted to be mapped anew.
 */
static void fill_backing(struct memmap *mm)
{
	if (backing_fill(&mm->backing, &mm->node) != 1)
		return;
	for (uint64_t i = 0; i < mm->nr_units && mm->nr_active > 0; i++)
		if (unit_is(mm, i, UNIT_ACTIVE) && !unit_is(mm, i, UNIT_FLAT) &&
		    !unit_is(mm, i, UNIT_BROKEN)) {
			mm->units[i].flags |= UNIT_BROKEN;
			mm->nr_broken++;
		}
}

bool memmap_maintain(struct memmap *mm)
{
	bool more = true;

	if (!has_tails(mm) || tails_prepare(mm) < 0)
		return false;
	mm->rounds++;
	fill_backing(mm);
	recount(mm);
	split_upkeep(mm);
	unflatten_some(mm);
	for (unsigned i = 0; i < SLOTS_A_ROUND && more; i++)
		more = pool_refill(&mm->pool);
	mend_some(mm);
	return more || mm->nr_broken > 0 || mm->nr_idle > 0;
}
