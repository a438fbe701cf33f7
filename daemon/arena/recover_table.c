/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover_table: the first step of a start. It reads the table, puts the records together that take
 * several slots, and keeps the newest version of each. Slots that no such record has become stale;
 * recover.c retires them when all else is known.
 */
#include <config.h>

#include "daemon/arena/recover_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/array.h"
#include "daemon/arena/flaw.h"

/*
 * One table slot of a record that takes several slots. They are collected first, since the slots of
 * a record may lie anywhere in the table.
 */
struct found {
	struct piece piece;
	uint32_t number;
	uint8_t  body[TABLE_SLOT_SIZE];
};

__attribute__((format(printf, 2, 3)))
void recover_complain(struct arena *arena, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!arena->complain)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	arena->complain(arena->complain_arg, text);
}

/* Notes that table slot @number will be retired at the end of recovery. */
static int add_stale(struct recovery *rec, uint32_t number)
{
	uint32_t *stale = array_grown(rec->stale, rec->nr_stale, &rec->room_stale, sizeof(*stale));

	if (!stale)
		return -ENOMEM;
	rec->stale = stale;
	stale[rec->nr_stale++] = number;
	return 0;
}

int recover_make_stale(struct recovery *rec, const uint32_t *numbers, uint32_t nr)
{
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_stale(rec, numbers[i]);
	return r;
}

/* Fills @alloc from a record, in the @nr table slots @numbers. */
static int fill(struct alloc *alloc, const struct record *record, const uint32_t *numbers,
		uint32_t nr)
{
	if (alloc_make_room(alloc, nr) < 0)
		return -ENOMEM;
	alloc_set_records(alloc, numbers, nr);
	memcpy(alloc->extents, record->extents, record->nr_extents * sizeof(*alloc->extents));
	alloc->id = record->id;
	alloc->version = record->version;
	alloc->state = ALLOC_PUBLISHED;
	alloc->uid = record->uid;
	alloc->gid = record->gid;
	alloc->mode = record->mode;
	alloc->created_ns = record->created_ns;
	alloc->token = record->token;
	alloc->slot = record->object;
	alloc->is_successor = record->is_successor;
	alloc->is_evictable = record->is_evictable;
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		alloc->nr_pfns += alloc->extents[i].len;
	if (alloc_copy_attributes(alloc, record->attributes, record->attributes_len) < 0)
		return -ENOMEM;
	return alloc_copy_name(alloc, record->name, record->name_len);
}

int recover_damage(struct recovery *rec, const struct record *record, const char *what)
{
	rec->nr_damaged++;
	arena_trace_dropped(rec->arena, "record", record->id, what);
	recover_complain(rec->arena, "record of allocation %llu, version %u: %s",
			 (unsigned long long)record->id, record->version, what);
	return 0;
}

/* Takes in a record that says which base pages went bad. */
static int add_bad_range(struct recovery *rec, const struct record *record, uint32_t number)
{
	struct bad_range *bad = calloc(1, sizeof(*bad));

	if (!bad)
		return -ENOMEM;
	*bad = (struct bad_range){ .range = record->extents[0], .id = record->id, .slot = number };
	TAILQ_INSERT_TAIL(&rec->arena->bad_ranges, bad, link);
	return 0;
}

static bool is_run(const struct arena *arena, const struct alloc *alloc)
{
	return alloc->nr_pfns < arena_page_pfns(arena);
}

/*
 * Takes in a record of an allocation. Of two versions of one allocation the newer one counts, and
 * the slots of the older one become stale: power was cut between a settle and the retirement.
 */
static int add_alloc(struct recovery *rec, const struct record *record, const uint32_t *numbers,
		     uint32_t nr)
{
	struct arena *arena = rec->arena;
	struct alloc *alloc = NULL, *there;
	int r;

	there = arena->objects[record->object];
	if (there && there->id != record->id)
		return recover_damage(rec, record, "another allocation has its slot");
	if (there && there->version >= record->version)
		return recover_make_stale(rec, numbers, nr);
	r = alloc_new(&alloc, record->nr_extents);
	if (r == 0)
		r = fill(alloc, record, numbers, nr);
	if (r == 0 && there)
		r = recover_make_stale(rec, there->records, there->nr_records);
	if (r < 0) {
		alloc_free(alloc);
		return r;
	}
	alloc_free(there);
	alloc->is_run = is_run(arena, alloc);
	rec->has_successors |= alloc->is_successor;
	arena->objects[record->object] = alloc;
	if (record->object >= arena->nr_objects)
		arena->nr_objects = record->object + 1;
	return 0;
}

/*
 * Takes in a bundle: changes that power or a kill cut after they were decided. It stays as it is
 * until recover_table() has done what it says; then its slots become stale.
 */
static int add_bundle(struct recovery *rec, const struct record *record, const uint32_t *numbers,
		      uint32_t nr)
{
	struct extent *runs;

	if (rec->is_redone)
		return recover_make_stale(rec, numbers, nr);
	if (rec->bundle.extents)
		return recover_damage(rec, record, "there is another bundle");
	runs = calloc(record->nr_extents, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	memcpy(runs, record->extents, record->nr_extents * sizeof(*runs));
	rec->bundle = *record;
	rec->bundle.extents = runs;
	return 0;
}

/* Puts the payload of a record together from its slots, checks it and takes it in. */
static int add_record(struct recovery *rec, const uint8_t *const *bodies, const uint32_t *numbers,
		      uint32_t nr)
{
	struct record record = { 0 };
	int r = table_decode(&record, rec->payload, bodies, nr);
	const char *flaw;

	table_claim(rec->arena->table, numbers, nr);
	if (r < 0)
		return recover_damage(rec, &record, "its parts do not fit together");
	flaw = flaw_of_record(rec->arena, &record, nr);
	if (flaw)
		return recover_damage(rec, &record, flaw);
	if (record.kind == RECORD_BUNDLE)
		return add_bundle(rec, &record, numbers, nr);
	return record.kind == RECORD_POISON ? add_bad_range(rec, &record, numbers[0])
					    : add_alloc(rec, &record, numbers, nr);
}

/* Is called for each table slot: takes in a record of one slot, collects the others. */
static int see_slot(void *arg, const struct slot *slot, const struct piece *piece)
{
	struct recovery *rec = arg;
	struct found *found;
	const uint8_t *body = slot->body;

	if (slot->copy_bad[0] || slot->copy_bad[1])
		recover_complain(rec->arena, "table slot %u: copy %d is bad, the other is good",
				 slot->number, slot->copy_bad[0] ? 0 : 1);
	if (slot->state == SLOT_DAMAGED) {
		recover_complain(rec->arena, "table slot %u: both copies are damaged",
				 slot->number);
		table_claim(rec->arena->table, &slot->number, 1);
		rec->nr_damaged++;
	}
	if (slot->state != SLOT_LIVE)
		return 0;
	if (piece->count == 1)
		return add_record(rec, &body, &slot->number, 1);
	found = array_grown(rec->found, rec->nr_found, &rec->room_found, sizeof(*found));
	if (!found)
		return -ENOMEM;
	rec->found = found;
	found += rec->nr_found++;
	found->piece = *piece;
	found->number = slot->number;
	memcpy(found->body, slot->body, TABLE_SLOT_SIZE);
	return 0;
}

/* Sorts collected slots so that those of one version of a record stand together, in order. */
static int by_record(const void *a, const void *b)
{
	const struct piece *x = &((const struct found *)a)->piece,
			   *y = &((const struct found *)b)->piece;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return (int)x->index - (int)y->index;
}

/* Are all slots of the record there, each once? */
static bool is_whole(const struct found *first, size_t nr)
{
	if (nr != first->piece.count)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (first[i].piece.index != i || first[i].piece.count != first->piece.count)
			return false;
	return true;
}

/*
 * Takes in a record from its @nr collected slots. If slots are missing, power was cut while the
 * record was settled or retired, and nobody was told of the change: the slots become stale. If the
 * table also has damaged slots, one of those may be the missing one: then all stay, for a repair to
 * decide.
 */
static int add_group(struct recovery *rec, struct found *first, size_t nr)
{
	const uint8_t *bodies[TABLE_MAX_PIECES];
	uint32_t numbers[TABLE_MAX_PIECES];
	int r = 0;

	if (is_whole(first, nr)) {
		for (size_t i = 0; i < nr; i++) {
			bodies[i] = first[i].body;
			numbers[i] = first[i].number;
		}
		return add_record(rec, bodies, numbers, (uint32_t)nr);
	}
	arena_trace_dropped(rec->arena, "record", first->piece.id,
			    "parts of it are missing: it was never acknowledged");
	if (rec->nr_damaged == 0)
		rec->arena->counts.start.unfinished++;
	for (size_t i = 0; i < nr && r == 0; i++) {
		table_claim(rec->arena->table, &first[i].number, 1);
		if (rec->nr_damaged == 0)
			r = add_stale(rec, first[i].number);
	}
	/*
	 * In a damaged arena the slots stay as they are, for a repair. The next start must not
	 * take them for parts of a record that is written from now on: so every new version will
	 * be above theirs.
	 */
	if (rec->nr_damaged > 0 && first->piece.version > rec->arena->least_version)
		rec->arena->least_version = first->piece.version;
	return r;
}

/* Calls add_group() for each version of each record that was collected. */
static int gather_groups(struct recovery *rec)
{
	size_t from = 0;
	int r = 0;

	if (rec->nr_found)
		qsort(rec->found, rec->nr_found, sizeof(*rec->found), by_record);
	while (from < rec->nr_found && r == 0) {
		size_t to = from + 1;

		while (to < rec->nr_found && rec->found[to].piece.id == rec->found[from].piece.id &&
		       rec->found[to].piece.version == rec->found[from].piece.version)
			to++;
		r = add_group(rec, rec->found + from, to - from);
		from = to;
	}
	return r;
}

static int read_table(struct recovery *rec)
{
	struct table_scan_result result;
	int r = table_scan(rec->arena->table, !rec->arena->read_only, see_slot, rec, &result);

	rec->arena->counts.records_mended += result.nr_mended;
	return r < 0 ? r : gather_groups(rec);
}

/* Forgets what was read, so that the table can be read once more. */
static void forget(struct recovery *rec)
{
	struct arena *arena = rec->arena;
	struct bad_range *bad;

	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		alloc_free(arena->objects[slot]);
		arena->objects[slot] = NULL;
	}
	arena->nr_objects = 0;
	while ((bad = TAILQ_FIRST(&arena->bad_ranges))) {
		TAILQ_REMOVE(&arena->bad_ranges, bad, link);
		free(bad);
	}
	table_forget(arena->table);
	arena->least_version = 0;
	arena->counts.start.unfinished = 0;
	rec->nr_found = rec->nr_stale = 0;
	rec->nr_damaged = 0;
	rec->has_successors = false;
}

int recover_table(struct recovery *rec)
{
	int r = read_table(rec);

	if (r < 0 || !rec->bundle.extents)
		return r;
	arena_trace_dropped(rec->arena, "bundle", rec->bundle.id, "it was cut, and is finished");
	recover_complain(rec->arena, "a batch of changes was cut: the next start finishes it");
	r = table_redo(rec->arena->table, &rec->bundle, !rec->arena->read_only);
	if (r < 0)
		return r;
	rec->is_redone = true;
	forget(rec);
	return read_table(rec);
}
