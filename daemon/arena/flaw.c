/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flaw: can a record of the table be one of ours? Its checksum is right, but a faulty program or an
 * attacker may have written it. It answers from the record alone, and the sizes of the arena:
 * whether two records contradict each other is seen by recover_table.c and recover.c.
 */
#include <config.h>

#include "daemon/arena/flaw.h"

#include <string.h>

static bool is_in_data(const struct arena *arena, struct extent e)
{
	uint64_t nr_pfns = arena->sb.nr_pages << arena->sb.order;

	return e.len > 0 && e.len <= nr_pfns && e.off <= nr_pfns - e.len;
}

/*
 * Says what is wrong with the space of @record, or NULL: it must be whole compound pages, or one
 * run of base pages inside one compound page. Whether another record claims it is seen in step 2.
 */
static const char *flaw_of_space(const struct arena *arena, const struct record *record)
{
	uint64_t per_page = arena_page_pfns(arena), nr = 0;
	const struct extent *first = &record->extents[0];

	for (uint32_t i = 0; i < record->nr_extents; i++) {
		if (!is_in_data(arena, record->extents[i]))
			return "its space is not in the data area";
		nr += record->extents[i].len;
	}
	if (nr < per_page && (record->nr_extents > 1 ||
			      first->off / per_page != (first->off + first->len - 1) / per_page))
		return "it is less than a page, and not in one";
	for (uint32_t i = 0; nr >= per_page && i < record->nr_extents; i++)
		if ((record->extents[i].off | record->extents[i].len) & (per_page - 1))
			return "its space is not whole pages";
	return NULL;
}

/* A bundle lists runs of slots; that each of them exists is all that can be said of it. */
static const char *flaw_of_bundle(const struct arena *arena, const struct record *record)
{
	uint64_t nr_slots = (uint64_t)arena->sb.nr_chunks * TABLE_SLOTS_PER_CHUNK;

	if (nr_slots > arena->sb.nr_slots)
		nr_slots = arena->sb.nr_slots;
	if (record->object > record->nr_extents || record->name_len || record->attributes_len ||
	    record->is_evictable)
		return "it is no bundle";
	for (uint32_t i = 0; i < record->nr_extents; i++) {
		const struct extent *run = &record->extents[i];

		if (run->len == 0 || run->len > nr_slots || run->off > nr_slots - run->len)
			return "it is a bundle of slots that do not exist";
	}
	return NULL;
}

const char *flaw_of_record(const struct arena *arena, const struct record *record,
			   uint32_t nr_slots)
{
	uint64_t id_limit = arena->read_only ? arena->sb.id_limit : arena->next_id;

	if (record->id == 0 || record->id >= id_limit)
		return "its id was never given out";
	if (record->kind == RECORD_POISON)
		return nr_slots == 1 && record->nr_extents == 1 && !record->attributes_len &&
				       !record->is_evictable &&
				       is_in_data(arena, record->extents[0])
			       ? NULL
			       : "it is no bad range";
	if (record->kind == RECORD_BUNDLE)
		return flaw_of_bundle(arena, record);
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
