/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bundle_end: the beginning and the two ends of a bundle: all of it is undone, or what is staged is
 * made one (books/table_bundle.c) and what was left for the end is carried out. Nothing else
 * happens in this arena in between: no settle, no eviction, no other message.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/bundle.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/evict.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/events.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/index.h"
#include "daemon/arena/object.h"
#include "daemon/arena/release.h"
#include "daemon/arena/replace.h"
#include "daemon/arena/reserve.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "daemon/arena/state.h"

/* ---- the beginning ---- */

int arena_bundle_begin(struct arena *arena, const struct caller *caller,
		       const struct arena_need *need, struct why *why)
{
	struct bundle *bundle;
	int r = rules_serving(arena, false, why);

	/* What is staged by others is no part of the bundle. */
	if (r == 0)
		r = arena_settle(arena);
	/*
	 * Room is made for all of it before: an eviction is durable at once, and could not be one
	 * of the changes.
	 */
	if (r == 0 && need->nr > 0)
		r = evict_for_many(arena, caller->uid, need, why);
	if (r < 0)
		return r;
	bundle = calloc(1, sizeof(*bundle));
	if (!bundle)
		return -ENOMEM;
	bundle->nr_events = arena->nr_events;
	arena->bundle = bundle;
	return 0;
}

void arena_add_need(struct arena_need *need, const struct arena *arena, uint64_t len)
{
	uint64_t nr_pfns;

	/* A length that is refused has no need: the item says why. */
	if (rules_round_len(&nr_pfns, arena, len, &(struct why){ "" }) < 0)
		return;
	need->nr++;
	need->nr_pfns += nr_pfns;
}

/* ---- undone ---- */

/* The name of @gone was taken over, and is its own again. */
static void put_back(struct arena *arena, struct alloc *gone)
{
	ledger_remove(arena->ledger, gone->entry);
	gone->entry = 0;
	RB_INSERT(name_tree, &arena->names, gone);
}

/* @alloc has the name of @change again. */
static void put_name_back(struct arena *arena, struct alloc *alloc, struct bundle_change *change)
{
	if (alloc->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	alloc_drop_name(alloc);
	alloc->name = change->name;
	alloc->name_len = change->name_len;
	change->name = NULL;
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
}

/* @alloc has the record of @change again; that which was staged goes by table_unstage(). */
static void put_record_back(struct arena *arena, struct alloc *alloc,
			    const struct bundle_change *change)
{
	for (uint32_t i = 0; i < alloc->nr_records; i++)
		arena->owner_of_record[alloc->records[i]] = NULL;
	/* There is room: an array of records never gets smaller. */
	alloc_set_records(alloc, change->records, change->nr_records);
	for (uint32_t i = 0; i < alloc->nr_records; i++)
		arena->owner_of_record[alloc->records[i]] = alloc;
	alloc->version = change->version;
	alloc->is_successor = change->is_successor;
}

/* What was published is the reservation that it was. */
static void unpublish(struct arena *arena, struct alloc *alloc, const struct bundle_change *change)
{
	evictable_leave(arena, alloc);
	alloc->is_evictable = false;
	free(alloc->attributes);
	alloc->attributes = NULL;
	alloc->attributes_len = 0;
	alloc->token = 0;
	alloc->state = ALLOC_RESERVED;
	alloc->session = change->session;
	alloc->entry = change->entry;
	alloc->has_contents = change->has_contents;
	if (!change->is_lease)
		return;
	quota_return(arena->quota, alloc->uid, QUOTA_BYTES, alloc->nr_pfns << DESC_SHIFT);
	quota_charge_anyway(arena->quota, alloc->uid, QUOTA_LEASED_BYTES,
			    alloc->nr_pfns << DESC_SHIFT);
	alloc->is_lease = true;
}

/* An allocation that was found by its token, and opened, is open as it was before. */
static void close_again(struct arena *arena, const struct caller *caller,
			const struct bundle_change *change)
{
	struct hold *hold = caller->holder ? hold_find(caller->holder, change->alloc) : NULL;

	if (!hold)
		return;
	if (!change->is_open) {
		hold_drop(arena, hold);
		return;
	}
	hold->read_only = change->was_read_only;
	if (change->was_closed)
		hold_close(arena, hold);
}

static void undo(struct arena *arena, const struct caller *caller, struct bundle_change *change)
{
	struct alloc *alloc = change->alloc;

	if (!alloc)
		return;
	if (change->is_free) {
		ledger_remove(arena->ledger, alloc->entry);
		alloc->entry = 0;
	} else if (alloc->staged != arena->txn && change->records) {
		close_again(arena, caller, change);
	} else if (!change->records) {
		reserve_undo(arena, alloc);
	} else {
		put_name_back(arena, alloc, change);
		put_record_back(arena, alloc, change);
		if (change->state == ALLOC_RESERVED)
			unpublish(arena, alloc, change);
	}
	if (change->gone)
		put_back(arena, change->gone);
}

/* The events of the bundle are dropped, but for those that ask for leases: these were due. */
static void drop_events(struct arena *arena)
{
	uint32_t kept = arena->bundle->nr_events;

	for (uint32_t i = kept; i < arena->nr_events; i++) {
		const struct arena_event *event =
			&arena->events[(arena->first_event + i) % arena->room_events];

		if (event->kind == ARENA_RECALL)
			arena->events[(arena->first_event + kept++) % arena->room_events] = *event;
	}
	arena->nr_events = kept;
}

void arena_bundle_cancel(struct arena *arena, const struct caller *caller)
{
	struct bundle *bundle = arena->bundle;

	if (!bundle)
		return;
	drop_events(arena);
	for (uint32_t i = bundle->nr; i > 0; i--)
		undo(arena, caller, &bundle->changes[i - 1]);
	bundle_drop(arena);
	table_unstage(arena->table);
	arena->nr_unledger = 0;
	arena->nr_names_retiring = 0;
	/* Whatever was changed under the old number is as it was. */
	arena->txn++;
	settle_catalog_changed(arena);
}

/* ---- done ---- */

/* How many changes must reach the table together? */
static uint32_t nr_durable(const struct arena *arena)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < arena->bundle->nr; i++) {
		const struct bundle_change *change = &arena->bundle->changes[i];

		if (change->alloc && change->alloc->staged == arena->txn)
			nr++;
	}
	return nr;
}

/* Stages the record that decides whether all of it is there after a cut. */
static int stage(struct arena *arena, struct why *why)
{
	uint64_t id;
	int r;

	/* One change is whole or absent by itself. */
	if (nr_durable(arena) < 2)
		return 0;
	r = state_announce(arena, SUPERBLOCK_INCOMPAT_BUNDLES);
	if (r == 0)
		r = settle_take_id(arena, &id);
	if (r == 0)
		r = table_bundle(arena->table, id);
	if (r == -EIO)
		state_go_offline(arena, r, "its table cannot be written");
	if (r == -EMSGSIZE)
		return why_set(why, r,
			       "the records of this batch are in too many pieces to be written "
			       "whole or not at all: make it smaller");
	return r < 0 ? room_explain_books(arena, r, why) : 0;
}

int arena_bundle_commit(struct arena *arena, const struct caller *caller, struct why *why)
{
	struct bundle *bundle = arena->bundle;
	int r = stage(arena, why);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < bundle->nr; i++) {
		struct bundle_change *change = &bundle->changes[i];

		if (change->gone)
			replace_leave(arena, caller, change->gone);
		if (change->is_free)
			release_leave(arena, caller, change->alloc, change->is_unmapped);
	}
	bundle_drop(arena);
	return 0;
}
