/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_bundle: changes that become durable together, or not at all. A record lists all slots that
 * get another word. It is whole or absent after a cut, as every record; so it is what decides, and
 * a start that finds it gives the slots their words, once more or for the first time:
 *
 *	bodies of new records and of the bundle's | fence | the bundle's words | fence |
 *	words of new records | fence | words of old ones | fence | the bundle's words | fence
 *
 * Nothing else changes in between, so it does no harm to do it twice.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/table_slot.h"

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Writes the runs of @slots, which it sorts, to @runs if that is not NULL. Returns how many. */
static uint32_t gather_runs(struct extent *runs, uint32_t *slots, uint32_t nr)
{
	uint32_t nr_runs = 0, from = 0;

	if (nr > 0)
		qsort(slots, nr, sizeof(*slots), by_number);
	for (uint32_t i = 1; i <= nr; i++) {
		if (i < nr && slots[i] == slots[i - 1] + 1)
			continue;
		if (runs)
			runs[nr_runs] = (struct extent){ slots[from], i - from };
		nr_runs++;
		from = i;
	}
	return nr_runs;
}

int table_bundle(struct table *table, uint64_t id)
{
	uint32_t nr_live = gather_runs(NULL, table->fresh, table->nr_fresh);
	uint32_t nr = nr_live + gather_runs(NULL, table->retired, table->nr_retired);
	uint32_t nr_slots = table_slots_for(0, nr, 0);
	struct record record = {
		.kind = RECORD_BUNDLE, .id = id, .version = 1, .object = nr_live, .nr_extents = nr
	};
	struct extent *runs;
	int r;

	if (nr == 0)
		return 0;
	if (nr_slots == 0)
		return -EMSGSIZE;
	runs = calloc(nr, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	gather_runs(runs, table->fresh, table->nr_fresh);
	gather_runs(runs + nr_live, table->retired, table->nr_retired);
	record.extents = runs;
	r = table_stage(table, &record, table->bundle, nr_slots);
	free(runs);
	if (r < 0)
		return r;
	/* table_stage() put its slots behind those of the new records. */
	table->nr_fresh -= nr_slots;
	table->nr_bundle = nr_slots;
	return 0;
}

void table_unstage(struct table *table)
{
	slot_unclaim(table, table->bundle, table->nr_bundle);
	slot_unclaim(table, table->fresh, table->nr_fresh);
	table->nr_fresh = table->nr_retired = table->nr_bundle = 0;
}

/* ---- a start ---- */

static int store_word(struct table *table, int copy, uint32_t number, bool live)
{
	uint64_t word = slot_live_word(table, number), off = slot_off(table, copy, number);
	int r = media_store64(table->media, off, htole64(live ? word : ~word));

	if (r == 0)
		r = media_flush(table->media, off, sizeof(word));
	return r == -EIO ? 0 : r;
}

/* Gives the slots of one run their word in both copies. */
static int redo_run(struct table *table, struct extent run, bool live)
{
	int r = 0;

	for (uint64_t n = run.off; n < run.off + run.len && r == 0; n++) {
		r = store_word(table, 0, (uint32_t)n, live);
		if (r == 0)
			r = store_word(table, 1, (uint32_t)n, live);
	}
	return r;
}

/* As the settle that was cut: first what is new becomes live, durably, then what is old goes. */
static int store_redo(struct table *table, const struct record *bundle)
{
	int r = 0;

	for (uint32_t i = 0; i < bundle->nr_extents && r == 0; i++) {
		if (i == bundle->object)
			r = media_fence(table->media);
		if (r == 0)
			r = redo_run(table, bundle->extents[i], i < bundle->object);
	}
	return r < 0 ? r : media_fence(table->media);
}

int table_redo(struct table *table, const struct record *bundle, bool store)
{
	if (store)
		return store_redo(table, bundle);
	table->redo = calloc(table->nr_slots, sizeof(*table->redo));
	if (!table->redo)
		return -ENOMEM;
	for (uint32_t i = 0; i < bundle->nr_extents; i++)
		memset(table->redo + bundle->extents[i].off,
		       i < bundle->object ? REDO_LIVE : REDO_FREE, bundle->extents[i].len);
	return 0;
}

void table_forget(struct table *table)
{
	memset(table->used, 0, (table->nr_slots / 64 + 1) * sizeof(*table->used));
	table->nr_used = 0;
}
