/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: pages of allocations. A cursor without a prefix is the slot to go on in. With a prefix it names the last entry
 * by slot and id; the session remembers that entry's name, so that nothing is skipped when it is renamed or freed meanwhile.
 */
#include <config.h>

#include "daemon/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/operation.h"

void listing_begin(struct listing *listing, const struct arena *arena, const char *prefix, uint8_t prefix_len)
{
	*listing = (struct listing){
		.arena = arena,
		.prefix = prefix,
		.prefix_len = prefix_len,
		.name = prefix,
		.name_len = prefix_len,
	};
}

void listing_resume_slot(struct listing *listing, uint32_t slot)
{
	listing->slot = slot;
}

void listing_resume_name(struct listing *listing, const char *name, uint8_t name_len)
{
	listing->name = name;
	listing->name_len = name_len;
	listing->after = true;
}

static struct alloc *next_by_slot(struct listing *listing)
{
	struct alloc *alloc = arena_next_slot(listing->arena, listing->slot);

	if (alloc)
		listing->slot = alloc->slot + 1;
	return alloc;
}

static struct alloc *next_by_name(struct listing *listing)
{
	struct alloc *alloc;

	if (listing->at)
		alloc = arena_next_name(listing->arena, listing->at->name, listing->at->name_len, true);
	else
		alloc = arena_next_name(listing->arena, listing->name, listing->name_len, listing->after);
	if (alloc && (alloc->name_len < listing->prefix_len || memcmp(alloc->name, listing->prefix, listing->prefix_len) != 0))
		return NULL;
	if (alloc)
		listing->at = alloc;
	return alloc;
}

struct alloc *listing_next(struct listing *listing)
{
	return listing->prefix_len ? next_by_name(listing) : next_by_slot(listing);
}

/* ---- for clients ---- */

static uint64_t cursor_of(const struct listing *listing, const struct alloc *alloc)
{
	/* Never 0: that is the end. */
	if (listing->prefix_len)
		return (uint64_t)alloc->slot + 1 + ((alloc->id & 0x7fffffff) << 32);
	return (uint64_t)alloc->slot + 1;
}

static int resume(struct listing *listing, const struct client *client, const struct wire_request *item, struct why *why)
{
	const struct position *position;
	const struct alloc *alloc;
	uint32_t slot = (uint32_t)(item->arg - 1);

	if (item->arg == 0)
		return 0;
	if (!listing->prefix_len) {
		listing_resume_slot(listing, (uint32_t)item->arg);
		return 0;
	}
	position = client_find_position(client, item->arg, item->arena);
	if (position) {
		listing_resume_name(listing, position->name, position->name_len);
		return 0;
	}
	/* A daemon before this one may have given it, or the session has many listings under way. */
	alloc = arena_next_slot(listing->arena, slot);
	if (!alloc || !alloc->name || cursor_of(listing, alloc) != item->arg)
		return why_set(why, -ESTALE, "cursor %" PRIu64 " leads nowhere any more; begin the listing anew", item->arg);
	listing_resume_name(listing, alloc->name, alloc->name_len);
	return 0;
}

static int add(struct wire_writer *reply, uint32_t arena, const struct alloc *alloc, uint64_t cursor)
{
	struct wire_result result = { .cursor = cursor };

	operation_describe(&result, arena, alloc);
	return wire_add_result(reply, &result, NULL, alloc->name, alloc->name ? alloc->name_len : 0);
}

/* Is there room for @alloc and, whatever it is, the one after it? */
static bool has_room(const struct wire_writer *reply, const struct alloc *alloc)
{
	size_t most = sizeof(struct wire_result) + WIRE_MAX_NAME + 1;

	return reply->count + 2 <= WIRE_MAX_ITEMS && reply->length + most + sizeof(struct wire_result) + alloc->name_len + 8u <= WIRE_MAX;
}

int listing_run(struct wire_writer *reply, struct client *client, const struct arena *arena, const struct wire_request *item,
		const char *prefix, struct why *why)
{
	uint64_t max = item->len ? item->len : UINT64_MAX;
	struct listing listing;
	struct alloc *alloc, *next;
	uint64_t cursor;
	int r;

	listing_begin(&listing, arena, prefix, (uint8_t)item->name_len);
	r = resume(&listing, client, item, why);
	if (r < 0)
		return r;
	for (alloc = listing_next(&listing); alloc; alloc = next) {
		cursor = 0;
		next = listing_next(&listing);
		if (next && (!has_room(reply, alloc) || reply->count + 1 >= max))
			cursor = cursor_of(&listing, alloc);
		if (cursor != 0 && listing.prefix_len) {
			r = client_remember(client, item->arg, cursor, item->arena, alloc->name, alloc->name_len);
			if (r < 0)
				return why_set(why, r, "the daemon is out of memory");
		}
		r = add(reply, item->arena, alloc, cursor);
		if (r < 0 || cursor != 0)
			return r;
	}
	return 0;
}
