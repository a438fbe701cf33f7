/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bundle: keeps what a bundle has changed, and how it was before. bundle_end.c puts it back, or
 * carries out what was left for the end.
 */
#include <config.h>

#include "daemon/arena/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/array.h"
#include "daemon/arena/holder.h"

static void drop_change(struct bundle_change *change)
{
	free(change->name);
	free(change->records);
	*change = (struct bundle_change){ 0 };
}

void bundle_drop(struct arena *arena)
{
	struct bundle *bundle = arena->bundle;

	if (!bundle)
		return;
	while (bundle->nr > 0)
		drop_change(&bundle->changes[--bundle->nr]);
	drop_change(&bundle->now);
	free(bundle->changes);
	free(bundle);
	arena->bundle = NULL;
}

bool bundle_has(const struct arena *arena, const struct alloc *alloc)
{
	return arena->bundle && alloc->staged == arena->txn;
}

void bundle_replace(struct arena *arena, struct alloc *old)
{
	arena->bundle->now.gone = old;
	old->staged = arena->txn;
}

void bundle_free_later(struct arena *arena, struct alloc *alloc, bool unmapped)
{
	arena->bundle->now.is_free = true;
	arena->bundle->now.is_unmapped = unmapped;
	alloc->staged = arena->txn;
}

/* Copies what a change of @alloc may change. -ENOMEM. */
static int keep(struct bundle_change *change, struct alloc *alloc)
{
	change->alloc = alloc;
	change->state = alloc->state;
	change->version = alloc->version;
	change->entry = alloc->entry;
	change->session = alloc->session;
	change->is_successor = alloc->is_successor;
	change->is_lease = alloc->is_lease;
	change->has_contents = alloc->has_contents;
	change->name_len = alloc->name_len;
	change->nr_records = alloc->nr_records;
	if (alloc->name_len) {
		change->name = malloc(alloc->name_len);
		if (!change->name)
			return -ENOMEM;
		memcpy(change->name, alloc->name, alloc->name_len);
	}
	change->records = calloc(alloc->nr_records + 1u, sizeof(*change->records));
	if (!change->records)
		return -ENOMEM;
	memcpy(change->records, alloc->records, alloc->nr_records * sizeof(*change->records));
	return 0;
}

int arena_bundle_item(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      struct why *why)
{
	struct bundle *bundle = arena->bundle;
	struct bundle_change *grown;
	const struct hold *hold;

	if (alloc && bundle_has(arena, alloc))
		return why_set(why, -EINVAL,
			       "an item before it changes the same allocation: a batch that is "
			       "done whole or not at all changes each one once");
	drop_change(&bundle->now);
	grown = array_grown(bundle->changes, bundle->nr, &bundle->room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	bundle->changes = grown;
	if (!alloc)
		return 0;
	hold = caller->holder ? hold_find(caller->holder, alloc) : NULL;
	bundle->now.is_open = hold;
	bundle->now.was_closed = hold && hold->closed;
	bundle->now.was_read_only = hold && hold->read_only;
	return keep(&bundle->now, alloc);
}

void arena_bundle_item_done(struct arena *arena, struct alloc *made)
{
	struct bundle *bundle = arena->bundle;

	if (!bundle->now.alloc)
		bundle->now.alloc = made;
	bundle->changes[bundle->nr++] = bundle->now;
	bundle->now = (struct bundle_change){ 0 };
}
