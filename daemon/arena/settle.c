/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settle: what requests change is staged, and then made durable all at once. Until then nobody is
 * told of a change, and nothing that was given up (space, a name, a table slot) goes to anybody
 * else.
 */
#include <config.h>

#include "daemon/arena/settle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/array.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/events.h"
#include "daemon/arena/owner.h"
#include "daemon/arena/stamp.h"
#include "daemon/arena/state.h"

/*
 * Ids are set aside in the superblocks many at a time. A restart begins behind those, so that no id
 * is given out twice, and no store is needed for each id.
 */
int settle_take_id(struct arena *arena, uint64_t *id)
{
	int r;

	if (arena->next_id == arena->sb.id_limit) {
		arena->sb.id_limit += IDS_AHEAD;
		r = superblock_write(&arena->sb, arena->meta);
		if (r < 0) {
			arena->sb.id_limit -= IDS_AHEAD;
			state_go_offline(arena, r, "its superblocks cannot be written");
			return -EIO;
		}
	}
	*id = arena->next_id++;
	return 0;
}

/* Notes which allocation has the record in the @nr table slots @records; NULL: none. */
static void own_records(struct arena *arena, const uint32_t *records, uint32_t nr,
			struct alloc *alloc)
{
	for (uint32_t i = 0; i < nr; i++)
		arena->owner_of_record[records[i]] = alloc;
}

/*
 * Takes @alloc out of the catalog between a change and its settle: the old entry might lead to what
 * the caller may no longer see, and the new one to what may be taken back. A process that looks for
 * it asks the daemon.
 */
static void uncatalog(struct arena *arena, struct alloc *alloc)
{
	struct alloc **grown;

	catalog_withdraw(arena->catalog, alloc->slot);
	if (alloc->is_uncataloged)
		return;
	grown = array_grown(arena->uncataloged, arena->nr_uncataloged, &arena->room_uncataloged,
			    sizeof(struct alloc *));
	/*
	 * Without memory the allocation stays out of the catalog: whoever looks for it asks the
	 * daemon.
	 */
	if (!grown)
		return;
	arena->uncataloged = grown;
	alloc->is_uncataloged = true;
	arena->uncataloged[arena->nr_uncataloged++] = alloc;
}

int settle_stage_record(struct arena *arena, struct alloc *alloc)
{
	uint32_t nr = table_slots_for(alloc->name_len, alloc->nr_extents, alloc->attributes_len);
	uint32_t records[TABLE_MAX_PIECES];
	struct record record;
	int r;

	if (nr == 0)
		return -ENOSPC;
	if (!owner_is_here(arena))
		return -EIO;
	/*
	 * A version of this program that knows no attributes, or no evictable allocations, would
	 * take the record for damaged. The feature bit makes such a version refuse the arena.
	 */
	r = alloc->attributes_len ? state_announce(arena, SUPERBLOCK_INCOMPAT_ATTRIBUTES) : 0;
	if (r == 0 && alloc->is_evictable)
		r = state_announce(arena, SUPERBLOCK_INCOMPAT_EVICTABLE);
	if (r < 0)
		return r;
	alloc_record(&record, alloc);
	record.version = arena_next_version(arena, alloc);
	record.is_successor = arena->giving_way != NULL;
	/* All that can fail is done before table_stage(): a staged record cannot be taken back. */
	r = table_make_room(arena->table, alloc->nr_records);
	if (r == 0)
		r = alloc_make_room(alloc, nr);
	if (r == 0)
		r = table_stage(arena->table, &record, records, nr);
	if (r < 0) {
		if (r == -EIO)
			state_go_offline(arena, r, "its table cannot be written");
		return r;
	}
	table_retire(arena->table, alloc->records, alloc->nr_records);
	own_records(arena, alloc->records, alloc->nr_records, NULL);
	own_records(arena, records, nr, alloc);
	alloc_set_records(alloc, records, nr);
	uncatalog(arena, alloc);
	alloc->version = record.version;
	alloc->is_successor = record.is_successor;
	alloc->staged = arena->txn;
	arena->counts.records_written++;
	return 0;
}

int settle_new_version(struct arena *arena, struct alloc *alloc)
{
	struct ledger_range range = alloc_ledger_range(alloc, LEDGER_RESERVED);

	if (alloc->state == ALLOC_PUBLISHED)
		return settle_stage_record(arena, alloc);
	return ledger_replace_range(&alloc->entry, arena->ledger, &range, alloc->extents,
				    alloc->nr_extents, alloc->name, alloc->name_len);
}

void settle_catalog_changed(struct arena *arena)
{
	while (arena->nr_uncataloged > 0) {
		struct alloc *alloc = arena->uncataloged[--arena->nr_uncataloged];

		alloc->is_uncataloged = false;
		if (alloc->state == ALLOC_PUBLISHED)
			settle_catalog(arena, alloc);
	}
}

void settle_catalog(struct arena *arena, const struct alloc *alloc)
{
	struct extent extents[1 + CATALOG_EXTRA_EXTENTS];
	struct catalog_item item = {
		.slot = alloc->slot,
		.id = alloc->id,
		.version = alloc->version,
		.uid = alloc->uid,
		.gid = alloc->gid,
		.mode = alloc->mode,
		.is_poisoned = alloc->is_poisoned,
		.is_evictable = alloc->is_evictable,
		.name = alloc->name,
		.name_len = alloc->name_len,
		.extents = extents,
		.nr_extents = alloc->nr_extents,
		.attributes = alloc->attributes,
		.attributes_len = alloc->attributes_len,
	};

	if (alloc->is_moving)
		return;
	for (uint32_t i = 0; i < alloc->nr_extents && i < 1 + CATALOG_EXTRA_EXTENTS; i++)
		extents[i] = arena_extent(arena, alloc, i);
	/*
	 * If the file system is full, the allocation stays out of the catalog: whoever looks for it
	 * asks the daemon.
	 */
	catalog_put(arena->catalog, &item);
}

int settle_unledger_later(struct arena *arena, uint32_t entry)
{
	uint32_t *grown = array_grown(arena->unledger, arena->nr_unledger, &arena->room_unledger,
				      sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	arena->unledger = grown;
	arena->unledger[arena->nr_unledger++] = entry;
	return 0;
}

/* Takes out of the ledger's item of @lease the parts that are allocations now. */
static void narrow_lease(struct arena *arena, struct alloc *lease)
{
	struct ledger_range range = alloc_ledger_range(lease, LEDGER_RESERVED);
	int r = 0;

	TAILQ_REMOVE(&arena->carved, lease, link);
	lease->is_carved = false;
	if (lease->nr_extents > 0 && lease->entry) {
		r = ledger_replace_range(&lease->entry, arena->ledger, &range, lease->extents,
					 lease->nr_extents, lease->name, lease->name_len);
	} else {
		ledger_remove(arena->ledger, lease->entry);
		lease->entry = 0;
	}
	/*
	 * lease.c had asked for the room that the ledger needs here, and others have used it. The
	 * ledger still gives this session the whole, with parts that it published and that somebody
	 * may have freed and others got since. After a restart the session must not have those
	 * again: as FREEING, the space is nobody's.
	 */
	if (r < 0)
		ledger_set_state(arena->ledger, lease->entry, LEDGER_FREEING);
}

/*
 * The records of these allocations are durably gone. Those that nobody holds are released at once.
 */
static void finish_retiring(struct arena *arena)
{
	struct alloc *alloc;

	while ((alloc = TAILQ_FIRST(&arena->retiring))) {
		TAILQ_REMOVE(&arena->retiring, alloc, link);
		own_records(arena, alloc->records, alloc->nr_records, NULL);
		TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
		if (TAILQ_EMPTY(&alloc->holds))
			ending_release(arena, alloc);
	}
}

/*
 * The order matters: data (zeroes that the scrubber wrote) before the records that hand it out;
 * words of the table before the ledger forgets; all of it before events are shown.
 */
int arena_settle(struct arena *arena)
{
	bool fence = space_take_fence(arena->space), settles, stamps;
	int r = 0;

	assert(!arena->bundle);
	if (arena->state == ARENA_OFFLINE || !owner_is_here(arena))
		return -EIO;
	settles = fence || table_is_staged(arena->table);
	stamps = settles || stamp_is_due(arena);
	if (stamps)
		r = stamp_begin(arena, settles);
	if (r == 0)
		r = space_fence_data(arena->space);
	if (r == 0 && settles) {
		r = table_settle(arena->table, fence);
		arena->counts.settles++;
	}
	if (r < 0) {
		state_go_offline(arena, r, "its table cannot be written");
		return -EIO;
	}
	if (settles)
		arena_trace_settle(arena);
	while (arena->nr_unledger > 0)
		ledger_remove(arena->ledger, arena->unledger[--arena->nr_unledger]);
	while (!TAILQ_EMPTY(&arena->carved))
		narrow_lease(arena, TAILQ_FIRST(&arena->carved));
	arena->nr_names_retiring = 0;
	arena->txn++;
	settle_catalog_changed(arena);
	finish_retiring(arena);
	events_settle(arena);
	if (stamps)
		r = stamp_end(arena);
	if (r < 0)
		state_go_offline(arena, r, "the superblocks of its data device cannot be written");
	return r;
}

int settle_if_staged(struct arena *arena, const struct alloc *alloc, bool claims_name)
{
	/*
	 * A bundle changes no allocation twice; names may pass from one to another, as all records
	 * of it count from one moment on.
	 */
	if (arena->bundle)
		return 0;
	if ((alloc && alloc->staged == arena->txn) || (claims_name && arena->nr_names_retiring))
		return arena_settle(arena);
	return 0;
}
