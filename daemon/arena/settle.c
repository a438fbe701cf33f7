/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settle: what requests changed is staged, and made durable all at once. Until then nobody is told, and nothing that was given up is
 * anybody else's.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_internal.h"

int arena_take_id(struct arena *arena, uint64_t *id)
{
	int r;

	if (arena->next_id == arena->sb.id_limit) {
		arena->sb.id_limit += IDS_AHEAD;
		r = superblock_write(&arena->sb, arena->meta);
		if (r < 0) {
			arena->sb.id_limit -= IDS_AHEAD;
			arena_go_offline(arena, r, "its superblocks cannot be written");
			return -EIO;
		}
	}
	*id = arena->next_id++;
	return 0;
}

void record_of(struct record *record, const struct alloc *alloc)
{
	*record = (struct record){
		.kind = RECORD_ALLOC, .id = alloc->id, .version = alloc->version, .uid = alloc->uid, .gid = alloc->gid,
		.mode = alloc->mode, .object = alloc->slot, .created_ns = alloc->created_ns, .token = alloc->token, .name = alloc->name,
		.name_len = alloc->name_len, .extents = alloc->extents, .nr_extents = alloc->nr_extents,
	};
}

static void own_records(struct arena *arena, const uint32_t *records, uint32_t nr, struct alloc *alloc)
{
	for (uint32_t i = 0; i < nr; i++)
		arena->owner_of_record[records[i]] = alloc;
}

uint32_t arena_next_version(const struct arena *arena, const struct alloc *alloc)
{
	return (alloc->version > arena->least_version ? alloc->version : arena->least_version) + 1;
}

int arena_stage_record(struct arena *arena, struct alloc *alloc)
{
	uint32_t nr = table_slots_for(alloc->name_len, alloc->nr_extents);
	uint32_t records[TABLE_MAX_PIECES];
	struct record record;
	int r;

	if (nr == 0)
		return -ENOSPC;
	record_of(&record, alloc);
	record.version = arena_next_version(arena, alloc);
	/* Everything that can fail comes before the record is staged. */
	r = table_make_room(arena->table, alloc->nr_records);
	if (r == 0)
		r = alloc_make_room(alloc, nr);
	if (r == 0)
		r = table_stage(arena->table, &record, records, nr);
	if (r < 0) {
		if (r == -EIO)
			arena_go_offline(arena, r, "its table cannot be written");
		return r;
	}
	table_retire(arena->table, alloc->records, alloc->nr_records);
	own_records(arena, alloc->records, alloc->nr_records, NULL);
	own_records(arena, records, nr, alloc);
	alloc_set_records(alloc, records, nr);
	alloc->version = record.version;
	alloc->staged = arena->txn;
	arena->counts.records_written++;
	return 0;
}

int arena_unledger_later(struct arena *arena, uint32_t entry)
{
	if (arena->nr_unledger == arena->room_unledger) {
		uint32_t room = arena->room_unledger ? arena->room_unledger * 2 : 256;
		uint32_t *grown = reallocarray(arena->unledger, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		arena->unledger = grown;
		arena->room_unledger = room;
	}
	arena->unledger[arena->nr_unledger++] = entry;
	return 0;
}

/* Their records are durably gone: what nobody holds is free at once. */
static void finish_retiring(struct arena *arena)
{
	struct alloc *alloc;

	while ((alloc = TAILQ_FIRST(&arena->retiring))) {
		TAILQ_REMOVE(&arena->retiring, alloc, link);
		own_records(arena, alloc->records, alloc->nr_records, NULL);
		TAILQ_INSERT_TAIL(&arena->freeing, alloc, link);
		if (TAILQ_EMPTY(&alloc->holds))
			freeing_release(arena, alloc);
	}
}

int arena_settle(struct arena *arena)
{
	bool fence = space_take_fence(arena->space);
	int r = 0;

	if (arena->state == ARENA_OFFLINE)
		return -EIO;
	r = space_fence_data(arena->space);
	if (r == 0 && (fence || table_is_staged(arena->table))) {
		r = table_settle(arena->table, fence);
		arena->counts.settles++;
	}
	if (r < 0) {
		arena_go_offline(arena, r, "its table cannot be written");
		return -EIO;
	}
	while (arena->nr_unledger > 0)
		ledger_remove(arena->ledger, arena->unledger[--arena->nr_unledger]);
	while (!TAILQ_EMPTY(&arena->carved))
		lease_narrow(arena, TAILQ_FIRST(&arena->carved));
	arena->nr_names_retiring = 0;
	arena->txn++;
	finish_retiring(arena);
	events_settle(arena);
	return 0;
}
