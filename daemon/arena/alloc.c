/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc: one allocation as an object in memory: its fields, its arrays and its name, and who may do
 * what with it. What its state means for space, records and names is decided by other files of this
 * folder.
 */
#include <config.h>

#include "daemon/arena/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int alloc_new(struct alloc **out, uint32_t nr_extents)
{
	/*
	 * malloc() and not calloc(): glibc's malloc() reuses what this thread freed last, calloc()
	 * does not. The structure is filled by an assignment below, since gcc would turn malloc()
	 * and memset() into a calloc().
	 */
	struct alloc *alloc = malloc(sizeof(*alloc));

	if (!alloc)
		return -ENOMEM;
	*alloc = (struct alloc){ .records = &alloc->one_record, .room_records = 1 };
	TAILQ_INIT(&alloc->holds);
	alloc->extents =
		nr_extents <= 1 ? &alloc->one_extent : calloc(nr_extents, sizeof(*alloc->extents));
	if (!alloc->extents) {
		alloc_free(alloc);
		return -ENOMEM;
	}
	alloc->nr_extents = nr_extents;
	*out = alloc;
	return 0;
}

void alloc_free(struct alloc *alloc)
{
	if (!alloc)
		return;
	if (alloc->records != &alloc->one_record)
		free(alloc->records);
	free(alloc->name);
	free(alloc->attributes);
	alloc_drop_extents(alloc, alloc->extents);
	free(alloc);
}

int alloc_make_room(struct alloc *alloc, uint32_t nr)
{
	uint32_t *records;

	if (nr <= alloc->room_records)
		return 0;
	records = malloc(nr * sizeof(*records));
	if (!records)
		return -ENOMEM;
	memcpy(records, alloc->records, alloc->nr_records * sizeof(*records));
	if (alloc->records != &alloc->one_record)
		free(alloc->records);
	alloc->records = records;
	alloc->room_records = (uint16_t)nr;
	return 0;
}

void alloc_set_records(struct alloc *alloc, const uint32_t *numbers, uint32_t nr)
{
	memcpy(alloc->records, numbers, nr * sizeof(*numbers));
	alloc->nr_records = (uint16_t)nr;
}

void alloc_drop_extents(struct alloc *alloc, struct extent *old)
{
	if (old != &alloc->one_extent)
		free(old);
}

static bool is_in(uint32_t gid, const uint32_t *groups, int nr_groups)
{
	for (int i = 0; i < nr_groups; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/*
 * Returns the permission bits (4 read, 2 write) of the first class that @uid and @groups fit:
 * owner, group, others. As with files, later classes are not looked at even if they would allow
 * more: an owner can lock itself out.
 */
static uint32_t bits_of(const struct alloc *alloc, uint32_t uid, const uint32_t *groups,
			int nr_groups)
{
	if (uid == alloc->uid)
		return alloc->mode >> 6 & 7;
	if (is_in(alloc->gid, groups, nr_groups))
		return alloc->mode >> 3 & 7;
	return alloc->mode & 7;
}

bool alloc_allows(const struct alloc *alloc, uint32_t uid, const uint32_t *groups, int nr_groups,
		  uint32_t want)
{
	return uid == 0 || (bits_of(alloc, uid, groups, nr_groups) & want) == want;
}

/* ---- as an allocation is written down ---- */

int alloc_copy_name(struct alloc *alloc, const char *name, uint8_t name_len)
{
	alloc->name = NULL;
	alloc->name_len = 0;
	if (!name_len)
		return 0;
	alloc->name = malloc(name_len);
	if (!alloc->name)
		return -ENOMEM;
	memcpy(alloc->name, name, name_len);
	alloc->name_len = name_len;
	return 0;
}

void alloc_drop_name(struct alloc *alloc)
{
	free(alloc->name);
	alloc->name = NULL;
	alloc->name_len = 0;
}

int alloc_copy_attributes(struct alloc *alloc, const void *attributes, uint16_t len)
{
	alloc->attributes = NULL;
	alloc->attributes_len = 0;
	if (!len)
		return 0;
	alloc->attributes = malloc(len);
	if (!alloc->attributes)
		return -ENOMEM;
	memcpy(alloc->attributes, attributes, len);
	alloc->attributes_len = len;
	return 0;
}

void alloc_record(struct record *record, const struct alloc *alloc)
{
	*record = (struct record){
		.kind = RECORD_ALLOC,
		.id = alloc->id,
		.version = alloc->version,
		.uid = alloc->uid,
		.gid = alloc->gid,
		.mode = alloc->mode,
		.object = alloc->slot,
		.created_ns = alloc->created_ns,
		.token = alloc->token,
		.name = alloc->name,
		.name_len = alloc->name_len,
		.is_successor = alloc->is_successor,
		.extents = alloc->extents,
		.nr_extents = alloc->nr_extents,
		.attributes = alloc->attributes,
		.attributes_len = alloc->attributes_len,
		.is_evictable = alloc->is_evictable,
	};
}

struct ledger_range alloc_ledger_range(const struct alloc *alloc, enum ledger_state state)
{
	return (struct ledger_range){
		.id = alloc->id,
		.session = alloc->cut_from ? alloc->cut_from : alloc->session,
		.flags = (alloc->cut_from ? RANGE_CUT : 0) |
			 (alloc->has_contents ? RANGE_CONTENTS : 0),
		.created_ns = alloc->cut_from ? (uint64_t)alloc->pin_slot << 32 | alloc->pin_limit
					      : alloc->created_ns,
		.slot = alloc->slot,
		.uid = alloc->uid,
		.gid = alloc->gid,
		.mode = alloc->mode,
		.state = state,
		.is_run = alloc->is_run,
		.is_lease = alloc->is_lease,
	};
}
