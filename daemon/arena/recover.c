/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover: from what is on media (the only truth at a start) and in the ledger (what outlived a daemon) to the arena in memory. It
 * is a pure function of both: doing it twice, or being cut in the middle and starting again, gives the same.
 *
 *	1 scan the table: mend single bad copies, gather records, newest version of each id
 *	2 mark their space; two that claim the same are damage, never a choice
 *	3 the ledger: sessions, reservations and quarantine that a dead daemon left
 *	4 what is left is free; stale versions and halves of records are retired, fenced, before anything new is staged
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"

/* One slot of a record that has several, or of an older version. */
struct found {
	struct piece piece;
	uint32_t number;
	uint8_t  body[TABLE_SLOT_SIZE];
};

struct recovery {
	struct arena *arena;
	struct found *found;                    /* owned */
	size_t nr_found, room_found;
	uint32_t *stale;                        /* owned; table slots to retire */
	size_t nr_stale, room_stale;
	uint8_t *payload;                       /* owned; TABLE_PAYLOAD_MAX, 8-aligned */
	uint64_t nr_damaged;
};

__attribute__((format(printf, 2, 3)))
void arena_complain(struct arena *arena, const char *fmt, ...)
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

static void *grown(void *array, size_t nr, size_t *room, size_t size)
{
	size_t want = *room ? *room * 2 : 64;
	void *p;

	if (nr < *room)
		return array;
	p = reallocarray(array, want, size);
	if (p)
		*room = want;
	return p;
}

static int add_stale(struct recovery *rec, uint32_t number)
{
	uint32_t *stale = grown(rec->stale, rec->nr_stale, &rec->room_stale, sizeof(*stale));

	if (!stale)
		return -ENOMEM;
	rec->stale = stale;
	stale[rec->nr_stale++] = number;
	return 0;
}

static int make_stale(struct recovery *rec, const uint32_t *numbers, uint32_t nr)
{
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_stale(rec, numbers[i]);
	return r;
}

/* ---- 1: records ---- */

static int fill(struct alloc *alloc, const struct record *record, const uint32_t *numbers, uint32_t nr)
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
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		alloc->nr_pfns += alloc->extents[i].len;
	return copy_name(alloc, record->name, record->name_len);
}

/* A record that says what no record of ours can say: its checksum is right, so it is a bug or a forgery. Its space stays unknown. */
static int record_damage(struct recovery *rec, const struct record *record, const char *what)
{
	rec->nr_damaged++;
	arena_complain(rec->arena, "record of allocation %llu, version %u: %s", (unsigned long long)record->id, record->version, what);
	return 0;
}

static bool is_in_data(const struct arena *arena, struct extent e)
{
	uint64_t nr_pfns = arena->sb.nr_pages << arena->sb.order;

	return e.len > 0 && e.len <= nr_pfns && e.off <= nr_pfns - e.len;
}

/* Whole compound pages, or one run inside a compound page. Whether somebody else has them is seen later. */
static const char *flaw_of_space(const struct arena *arena, const struct record *record)
{
	uint64_t per_page = arena_page_pfns(arena), nr = 0;
	const struct extent *first = &record->extents[0];

	for (uint32_t i = 0; i < record->nr_extents; i++) {
		if (!is_in_data(arena, record->extents[i]))
			return "its space is not in the data area";
		nr += record->extents[i].len;
	}
	if (nr < per_page && (record->nr_extents > 1 || first->off / per_page != (first->off + first->len - 1) / per_page))
		return "it is less than a page, and not in one";
	for (uint32_t i = 0; nr >= per_page && i < record->nr_extents; i++)
		if ((record->extents[i].off | record->extents[i].len) & (per_page - 1))
			return "its space is not whole pages";
	return NULL;
}

/* What none of ours says. NULL: it may be. */
static const char *flaw_of(const struct arena *arena, const struct record *record, uint32_t nr_slots)
{
	uint64_t id_limit = arena->read_only ? arena->sb.id_limit : arena->next_id;

	if (record->id == 0 || record->id >= id_limit)
		return "its id was never given out";
	if (record->kind == RECORD_POISON)
		return nr_slots == 1 && record->nr_extents == 1 && is_in_data(arena, record->extents[0]) ? NULL : "it is no bad range";
	if (record->object >= arena->sb.nr_slots)
		return "its slot does not exist";
	if (record->nr_extents > ALLOC_MAX_EXTENTS)
		return "it has more extents than there can be";
	if (record->mode & ~ALLOC_MODE_MASK)
		return "its mode has bits that mean nothing";
	if (record->name_len && memchr(record->name, '\0', record->name_len))
		return "its name has a byte 0";
	return flaw_of_space(arena, record);
}

static int add_bad_range(struct recovery *rec, const struct record *record, uint32_t number)
{
	struct bad_range *bad = calloc(1, sizeof(*bad));

	if (!bad)
		return -ENOMEM;
	*bad = (struct bad_range){ .range = record->extents[0], .id = record->id, .slot = number };
	TAILQ_INSERT_TAIL(&rec->arena->bad_ranges, bad, link);
	return 0;
}

/* A run is the only thing that is not whole compound pages. */
static bool is_run(const struct arena *arena, const struct alloc *alloc)
{
	return alloc->nr_pfns < arena_page_pfns(arena);
}

static int add_alloc(struct recovery *rec, const struct record *record, const uint32_t *numbers, uint32_t nr)
{
	struct arena *arena = rec->arena;
	struct alloc *alloc, *there;
	int r;

	there = arena->objects[record->object];
	if (there && there->id != record->id)
		return record_damage(rec, record, "another allocation has its slot");
	if (there && there->version >= record->version)
		return make_stale(rec, numbers, nr);
	r = alloc_new(&alloc, record->nr_extents);
	if (r == 0)
		r = fill(alloc, record, numbers, nr);
	if (r == 0 && there)
		r = make_stale(rec, there->records, there->nr_records);
	if (r < 0) {
		alloc_free(alloc);
		return r;
	}
	alloc_free(there);
	alloc->is_run = is_run(arena, alloc);
	arena->objects[record->object] = alloc;
	if (record->object >= arena->nr_objects)
		arena->nr_objects = record->object + 1;
	return 0;
}

static int add_record(struct recovery *rec, const uint8_t *const *bodies, const uint32_t *numbers, uint32_t nr)
{
	struct record record = { 0 };
	int r = table_decode(&record, rec->payload, bodies, nr);
	const char *flaw;

	table_claim(rec->arena->table, numbers, nr);
	if (r < 0)
		return record_damage(rec, &record, "its parts do not fit together");
	flaw = flaw_of(rec->arena, &record, nr);
	if (flaw)
		return record_damage(rec, &record, flaw);
	return record.kind == RECORD_POISON ? add_bad_range(rec, &record, numbers[0]) : add_alloc(rec, &record, numbers, nr);
}

static int see_slot(void *arg, const struct slot *slot, const struct piece *piece)
{
	struct recovery *rec = arg;
	struct found *found;
	const uint8_t *body = slot->body;

	if (slot->copy_bad[0] || slot->copy_bad[1])
		arena_complain(rec->arena, "table slot %u: copy %d is bad, the other is good", slot->number, slot->copy_bad[0] ? 0 : 1);
	if (slot->state == SLOT_DAMAGED) {
		arena_complain(rec->arena, "table slot %u: both copies are damaged", slot->number);
		table_claim(rec->arena->table, &slot->number, 1);
		rec->nr_damaged++;
	}
	if (slot->state != SLOT_LIVE)
		return 0;
	if (piece->count == 1)
		return add_record(rec, &body, &slot->number, 1);
	found = grown(rec->found, rec->nr_found, &rec->room_found, sizeof(*found));
	if (!found)
		return -ENOMEM;
	rec->found = found;
	found += rec->nr_found++;
	found->piece = *piece;
	found->number = slot->number;
	memcpy(found->body, slot->body, TABLE_SLOT_SIZE);
	return 0;
}

static int by_record(const void *a, const void *b)
{
	const struct piece *x = &((const struct found *)a)->piece, *y = &((const struct found *)b)->piece;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return (int)x->index - (int)y->index;
}

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
 * A record with pieces missing was being committed or retired when power was cut, and was never acknowledged either way: it goes. But
 * when slots are damaged, one of them may be what is missing.
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
	for (size_t i = 0; i < nr && r == 0; i++) {
		table_claim(rec->arena->table, &first[i].number, 1);
		if (rec->nr_damaged == 0)
			r = add_stale(rec, first[i].number);
	}
	/* Those that stay must not be mixed up with what changes from here on. */
	if (rec->nr_damaged > 0 && first->piece.version > rec->arena->least_version)
		rec->arena->least_version = first->piece.version;
	return r;
}

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

/* ---- 2: space and names ---- */

static int take_in(struct recovery *rec, struct alloc *alloc)
{
	struct arena *arena = rec->arena;
	struct record record;
	int r = mark_alloc(arena, alloc);

	if (r == -ENOMEM)
		return r;
	record_of(&record, alloc);
	if (r < 0) {
		record_damage(rec, &record, r == -ERANGE ? "its space is not in the data area" : "its space is another allocation's too");
		arena->objects[alloc->slot] = NULL;
		alloc_free(alloc);
		return 0;
	}
	if (alloc->name && RB_INSERT(name_tree, &arena->names, alloc)) {
		record_damage(rec, &record, "its name is another allocation's too; it is unnamed now");
		drop_name(alloc);
		alloc->wants_record = true;
	}
	for (uint32_t i = 0; i < alloc->nr_records; i++)
		arena->owner_of_record[alloc->records[i]] = alloc;
	r = quota_charge_anyway(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	if (r == 0)
		r = quota_charge_anyway(arena->quota, alloc->uid, bytes_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
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

static int mark_bad_ranges(struct arena *arena)
{
	uint64_t nr_pfns = arena->sb.nr_pages << arena->sb.order;
	struct bad_range *bad;
	uint32_t object;
	int r = 0;

	TAILQ_FOREACH(bad, &arena->bad_ranges, link) {
		for (uint64_t i = 0; i < bad->range.len && r >= 0 && bad->range.off + i < nr_pfns; i++) {
			r = space_poison(arena->space, bad->range.off + i, &object);
			if (r > 0 && object)
				arena->objects[object - 1]->is_poisoned = true;
		}
	}
	return r < 0 ? r : 0;
}

/* Handles that clients hold are valid, or not, by what was found here. */
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
	return r < 0 ? why_set(why, r, "the validity plane cannot be written: is the runtime directory full?") : 0;
}

/* ---- 4: free space, and order in the table ---- */

static int retire_stale(struct recovery *rec)
{
	struct arena *arena = rec->arena;
	int r = table_ready(arena->table);

	if (r == 0 && rec->nr_stale)
		r = table_retire(arena->table, rec->stale, (uint32_t)rec->nr_stale);
	return r < 0 ? r : table_settle(arena->table, false);
}

/* Bits that only one copy has (a cut between the two, damage) are taken back from it. */
static int mend_zero_map(struct arena *arena)
{
	int64_t nr = zeromap_verify(arena->zero, !arena->read_only);

	if (nr > 0)
		arena_complain(arena, "%lld words of the zero map: the copies differ, or cannot be read", (long long)nr);
	if (nr > 0 && !arena->read_only)
		arena->counts.records_mended += (uint64_t)nr;
	return nr < 0 ? (int)nr : 0;
}

static int run_steps(struct recovery *rec, struct why *why)
{
	struct arena *arena = rec->arena;
	int r = read_table(rec);

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
		if (r == 0) {
			/* What damaged records cover is somebody's data, not dirt: nothing is scrubbed before a repair gives it up. */
			space_hold(arena->space, rec->nr_damaged > 0);
			r = space_build(arena->space);
		}
	}
	return r < 0 ? r : object_collect_free(arena);
}

int recover(struct arena *arena, struct why *why)
{
	struct recovery rec = { .arena = arena };
	int r;

	rec.payload = malloc(TABLE_PAYLOAD_MAX);
	if (!rec.payload)
		return -ENOMEM;
	r = run_steps(&rec, why);
	if (r == 0 && rec.nr_damaged) {
		arena->state = ARENA_DAMAGED;
		arena->counts.damaged = rec.nr_damaged;
		snprintf(arena->reason, sizeof(arena->reason), "%llu records are damaged, what space they cover is not known",
			 (unsigned long long)rec.nr_damaged);
	}
	free(rec.payload);
	free(rec.found);
	free(rec.stale);
	return r;
}
