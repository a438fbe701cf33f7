/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * many: several entries in one message, and the list of them all.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/storm/stormer.h"

#define BATCH 6u
#define LISTED 16u

static void take(struct entry *entry, const struct pma_op *op)
{
	if (went(op->result, "in a batch, %s", entry->name)) {
		entry->handle = op->handle;
		entry->len = op->len;
		entry->state = ENTRY_LIVE;
	} else if (was_refused(op->result)) {
		entry->state = ENTRY_EMPTY;
	}
}

/* All that are empty, up to BATCH. */
static void make(void)
{
	struct entry *entries[BATCH];
	struct pma_op ops[BATCH];
	unsigned nr = 0;

	for (unsigned i = 0; i < BOOKS_ENTRIES && nr < BATCH; i++) {
		struct entry *entry = &me.books->entries[i];

		if (entry->state != ENTRY_EMPTY)
			continue;
		own_begin(entry, true);
		entries[nr] = entry;
		ops[nr++] = (struct pma_op){ .opcode = PMA_OP_CREATE,
					     .handle.arena = entry->handle.arena,
					     .name = entry->name,
					     .len = entry->len,
					     .mode = entry->is_shared ? 0644 : 0600,
					     .token = entry->token };
	}
	pma_run(me.pma, ops, nr);
	for (unsigned i = 0; i < nr; i++)
		take(entries[i], &ops[i]);
}

static void drop(void)
{
	struct entry *entries[BATCH];
	struct pma_op ops[BATCH];
	unsigned nr = 0;

	for (unsigned i = 0; i < BOOKS_ENTRIES && nr < BATCH; i++) {
		struct entry *entry = &me.books->entries[i];

		if (entry->state != ENTRY_LIVE || rnd(2))
			continue;
		entry->state = ENTRY_DROPPING;
		books_note(me.books, entry->origin, "free in a batch");
		entries[nr] = entry;
		ops[nr++] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = entry->handle };
	}
	pma_run(me.pma, ops, nr);
	for (unsigned i = 0; i < nr; i++)
		if (went(ops[i].result, "free in a batch, %s", entries[i]->name))
			entries[i]->state = ENTRY_EMPTY;
		else
			entries[i]->is_doubtful = me.is_tolerant;
}

void many_batch(void)
{
	count(KIND_BATCH);
	if (rnd(2))
		make();
	else
		drop();
}

/* ---- the list ---- */

static bool is_listed_here(const struct entry *entry, uint32_t arena)
{
	return entry->state == ENTRY_LIVE && !entry->is_unnamed && !entry->is_doubtful &&
	       entry->handle.arena == arena;
}

static void note(bool *seen, const struct pma_info *stat, uint32_t arena)
{
	for (unsigned i = 0; i < BOOKS_ENTRIES; i++) {
		struct entry *entry = &me.books->entries[i];

		if (!is_listed_here(entry, arena) || strcmp(entry->name, stat->name) != 0)
			continue;
		if (seen[i])
			fail(NULL, "%s is listed twice", entry->name);
		if (stat->handle.id != entry->handle.id || stat->len != entry->len)
			fail(NULL,
			     "%s is listed with id %" PRIu64 " and %#" PRIx64
			     " bytes, it has %" PRIu64 " and %#" PRIx64,
			     entry->name, stat->handle.id, stat->len, entry->handle.id, entry->len);
		seen[i] = true;
	}
}

/* Of its own names nobody else makes or frees one: each is listed once. */
void many_list(void)
{
	uint32_t arena = (uint32_t)rnd(me.nr_arenas);
	bool seen[BOOKS_ENTRIES] = { false };
	struct pma_info stats[LISTED];
	uint64_t cursor = 0;
	char prefix[64];

	count(KIND_LIST);
	snprintf(prefix, sizeof(prefix), "s/%u/%u/", me.uid, me.maker);
	do {
		size_t nr = 1 + rnd(LISTED);

		if (!went(pma_list(stats, &nr, &cursor, me.pma, arena, prefix), "list"))
			return;
		for (size_t i = 0; i < nr; i++)
			note(seen, &stats[i], arena);
	} while (cursor);
	for (unsigned i = 0; i < BOOKS_ENTRIES; i++)
		if (is_listed_here(&me.books->entries[i], arena) && !seen[i])
			fail(NULL, "%s (id %" PRIu64 ") was acknowledged and is not listed",
			     me.books->entries[i].name, me.books->entries[i].handle.id);
}
