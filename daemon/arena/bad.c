/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bad: base pages (4 KiB) whose memory failed. The platform lists them at a start, the kernel tells
 * of them while the daemon runs. Here they are marked in their descriptors, written into the table,
 * and the owner of an allocation is told.
 */
#include <config.h>

#include "daemon/arena/bad.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/events.h"
#include "daemon/arena/settle.h"
#include "daemon/log.h"
#include "daemon/media/poison.h"

/*
 * Marks the pages of @range from its start on, until one was marked before, and tells who watches
 * the allocations there. Returns how many pages were marked; 0: the first one was marked already.
 */
static int64_t poison_some(struct arena *arena, struct extent range)
{
	uint64_t nr = 0;
	uint32_t object;
	int r;

	for (; nr < range.len; nr++) {
		struct alloc *alloc;

		r = space_poison(arena->space, range.off + nr, &object);
		if (r < 0)
			return nr ? (int64_t)nr : r;
		if (r == 0)
			break;
		if (!object || arena->objects[object - 1]->is_poisoned)
			continue;
		alloc = arena->objects[object - 1];
		alloc->is_poisoned = true;
		/* The catalog tells processes to ask. What is not settled enters it later. */
		if (alloc->state == ALLOC_PUBLISHED && alloc->staged != arena->txn)
			settle_catalog(arena, alloc);
		events_add(arena, ARENA_POISONED, alloc);
	}
	return (int64_t)nr;
}

/*
 * Writes one record for @bad, so that a restart knows the range. Without a record it stays marked
 * until the daemon ends.
 */
static int record_bad(struct arena *arena, struct bad_range *bad)
{
	struct record record = {
		.kind = RECORD_POISON, .version = 1, .extents = &bad->range, .nr_extents = 1
	};
	int r = settle_take_id(arena, &bad->id);

	record.id = bad->id;
	bad->slot = NOT_RECORDED;
	TAILQ_INSERT_TAIL(&arena->bad_ranges, bad, link);
	if (r == 0)
		r = table_stage(arena->table, &record, &bad->slot, 1);
	if (r < 0)
		bad->slot = NOT_RECORDED;
	return r;
}

int arena_poison(struct arena *arena, uint64_t offset, uint64_t len, struct why *why)
{
	uint64_t end = arena->sb.data_off + arena->identity.size;
	struct extent range;
	int r = 0;

	if (offset < arena->sb.data_off || offset >= end || len == 0 || len > end - offset)
		return why_set(
			why, -EINVAL, "%llu bytes at %llu are not in the data area of arena %s",
			(unsigned long long)len, (unsigned long long)offset, arena->identity.name);
	range.off = (offset - arena->sb.data_off) >> DESC_SHIFT;
	range.len = ((offset + len - arena->sb.data_off - 1) >> DESC_SHIFT) - range.off + 1;
	while (range.len > 0 && r == 0) {
		struct bad_range *bad = calloc(1, sizeof(*bad));
		int64_t nr = bad ? poison_some(arena, range) : -ENOMEM;

		if (nr > 0) {
			bad->range = (struct extent){ range.off, (uint64_t)nr };
			r = record_bad(arena, bad);
		} else {
			free(bad);
			r = (int)nr;
			nr = 1;                 /* this page is known already */
		}
		range.off += (uint64_t)nr;
		range.len -= (uint64_t)nr;
	}
	/*
	 * When the table is full there is no record. The pages stay marked, and are not handed out,
	 * for as long as the daemon runs.
	 */
	return r < 0 ? why_set(why, r, "the bad pages are marked, but cannot be recorded")
		     : arena_settle(arena);
}

/* One bad page must not keep the arena from opening: only a failing device or no memory does. */
static int see_bad_page(void *arg, uint64_t pfn)
{
	struct arena *arena = arg;
	int r = arena_poison(arena, arena->sb.data_off + (pfn << DESC_SHIFT),
			     UINT64_C(1) << DESC_SHIFT, NULL);

	return r == -EIO || r == -ENOMEM ? r : 0;
}

int bad_read(struct arena *arena)
{
	if (arena->read_only)
		return 0;
	return poison_each(arena->device, arena->sb.data_off, arena->identity.size, see_bad_page,
			   arena);
}

/* units read in a tick; it takes about half a millisecond */
#define ATTEND_UNITS 512
#define ATTEND_ALIGN (UINT64_C(2) << 20)

/*
 * The kernel reports failed memory only to processes whose page tables have it, and after a start
 * this process's tables are empty. So each unit of a device-dax (what one page table entry maps) is
 * read once, some at each tick. With units of 4 KiB the page tables would take 2 GiB for each TiB:
 * there this is not done, and a bad page is found when it is scrubbed or read.
 */
static bool is_attended(const struct arena *arena)
{
	const struct device_info *info = device_info(arena->device);

	return info->kind != DEVICE_DAX || info->align < ATTEND_ALIGN ||
	       arena->attended >= arena->identity.size;
}

/* Reads one byte of each of the next units. */
static void attend(struct arena *arena)
{
	uint64_t unit = device_info(arena->device)->align;
	uint8_t byte;

	/* A unit that cannot be read is reported by the SIGBUS handler that media_read() has. */
	for (unsigned n = 0; n < ATTEND_UNITS && !is_attended(arena); n++, arena->attended += unit)
		media_read(arena->data, &byte, arena->attended, 1);
}

bool bad_is_busy(const struct arena *arena)
{
	return !is_attended(arena);
}

/*
 * Handles what the SIGBUS handler and the kernel reported since the last tick. A bad place in the
 * metadata is only logged: the other copy of it is used.
 */
void bad_take(struct arena *arena)
{
	uint64_t off, len;

	attend(arena);
	while (media_take_poison(arena->data, &off, &len)) {
		log_error("arena %s: memory failed at offset %llu of its device, %llu bytes",
			  arena->identity.name, (unsigned long long)(arena->sb.data_off + off),
			  (unsigned long long)len);
		if (arena_poison(arena, arena->sb.data_off + off, len, NULL) < 0)
			log_error("arena %s: the bad pages could not be recorded",
				  arena->identity.name);
	}
	while (media_take_poison(arena->meta, &off, &len))
		log_error("arena %s: memory failed in its metadata at %llu, %llu bytes; the other "
			  "copy is used",
			  arena->identity.name, (unsigned long long)off, (unsigned long long)len);
}
