/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc: one allocation as an object. What its states mean for space, records and names is the arena's; here is
 * only what belongs to the object alone: its memory, and who may do what with it.
 */
#include <config.h>

#include "daemon/arena/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int alloc_new(struct alloc **out, uint32_t nr_extents)
{
	/* Unlike calloc(), malloc() takes it from what this thread freed last; where memset() follows, gcc makes a calloc() of the two. */
	struct alloc *alloc = malloc(sizeof(*alloc));

	if (!alloc)
		return -ENOMEM;
	*alloc = (struct alloc){ .records = &alloc->one_record, .room_records = 1 };
	TAILQ_INIT(&alloc->holds);
	alloc->extents = nr_extents <= 1 ? &alloc->one_extent : calloc(nr_extents, sizeof(*alloc->extents));
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

/* The first class that matches counts, even when a later one would allow more: an owner can shut himself out. */
static uint32_t bits_of(const struct alloc *alloc, uint32_t uid, const uint32_t *groups, int nr_groups)
{
	if (uid == alloc->uid)
		return alloc->mode >> 6 & 7;
	if (is_in(alloc->gid, groups, nr_groups))
		return alloc->mode >> 3 & 7;
	return alloc->mode & 7;
}

bool alloc_allows(const struct alloc *alloc, uint32_t uid, const uint32_t *groups, int nr_groups, uint32_t want)
{
	return uid == 0 || (bits_of(alloc, uid, groups, nr_groups) & want) == want;
}
