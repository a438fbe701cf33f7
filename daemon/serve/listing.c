/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: pages of allocations. Without a prefix, a cursor is the slot where the next page begins.
 * With a prefix the order is that of names, and the cursor names the last entry by slot and id; the
 * session remembers the name of that entry, so that nothing is skipped when it is renamed or freed
 * before the next page.
 */
#include <config.h>

#include "daemon/serve/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/serve/operation.h"

void listing_begin(struct listing *listing, const struct arena *arena, const char *prefix,
		   uint8_t prefix_len)
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

/* Returns the next published allocation, by slot or by name, and moves on behind it. */
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
		alloc = arena_next_name(listing->arena, listing->at->name, listing->at->name_len,
					true);
	else
		alloc = arena_next_name(listing->arena, listing->name, listing->name_len,
					listing->after);
	if (alloc &&
	    (alloc->name_len < listing->prefix_len ||
	     memcmp(alloc->name, listing->prefix, listing->prefix_len) != 0))
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
	/* A cursor is never 0, which means the end of the listing. */
	if (listing->prefix_len)
		return (uint64_t)alloc->slot + 1 + ((alloc->id & 0x7fffffff) << 32);
	return (uint64_t)alloc->slot + 1;
}

static int resume(struct listing *listing, const struct client *client,
		  const struct wire_request *item, struct why *why)
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
	/*
	 * The session has no position for this cursor: a daemon before this one gave the cursor
	 * out, or the session has too many listings under way. The entry that the cursor names will
	 * do if it is there.
	 */
	alloc = arena_next_slot(listing->arena, slot);
	if (!alloc || !alloc->name || cursor_of(listing, alloc) != item->arg)
		return why_set(why, -ESTALE,
			       "cursor %" PRIu64 " leads nowhere any more; begin the listing anew",
			       item->arg);
	listing_resume_name(listing, alloc->name, alloc->name_len);
	return 0;
}

static uint16_t attributes_len(const struct wire_request *item, const struct alloc *alloc)
{
	return item->flags & WIRE_WITH_ATTRIBUTES ? alloc->attributes_len : 0;
}

static int add(struct wire_writer *reply, const struct wire_request *item,
	       const struct alloc *alloc, uint64_t cursor)
{
	struct wire_result result = { .cursor = cursor };

	operation_describe(&result, item->arena, alloc);
	result.attributes_len = attributes_len(item, alloc);
	return wire_add_result_with(reply, &result, NULL, alloc->name,
				    alloc->name ? alloc->name_len : 0, alloc->attributes);
}

/* Has the reply room for @alloc, and for one more entry that is as large as can be? */
static bool has_room(const struct wire_writer *reply, const struct wire_request *item,
		     const struct alloc *alloc)
{
	size_t most = sizeof(struct wire_result) + WIRE_MAX_NAME + 1 +
		      (item->flags & WIRE_WITH_ATTRIBUTES ? WIRE_MAX_ATTRIBUTES : 0);

	return reply->count + 2 <= WIRE_MAX_ITEMS &&
	       reply->length + most + sizeof(struct wire_result) + alloc->name_len +
			       attributes_len(item, alloc) + 8u <=
		       WIRE_MAX;
}

int listing_run(struct wire_writer *reply, struct client *client, const struct arena *arena,
		const struct wire_request *item, const char *prefix, struct why *why)
{
	uint64_t max = item->len ? item->len : UINT64_MAX;
	struct listing listing;
	struct alloc *alloc, *next;
	uint64_t cursor;
	int r;

	listing_begin(&listing, arena, prefix, (uint8_t)item->name_len);
	/* A list says of all that it lacks that it is not there. */
	r = arena_check_known(arena, NULL, why);
	if (r == 0)
		r = resume(&listing, client, item, why);
	if (r < 0)
		return r;
	for (alloc = listing_next(&listing); alloc; alloc = next) {
		cursor = 0;
		next = listing_next(&listing);
		if (next && (!has_room(reply, item, alloc) || reply->count + 1 >= max))
			cursor = cursor_of(&listing, alloc);
		/*
		 * Without memory the session does not remember the position: then the cursor's
		 * entry leads on, as long as it is there.
		 */
		if (cursor != 0 && listing.prefix_len)
			(void)client_remember(client, item->arg, cursor, item->arena, alloc->name,
					      alloc->name_len);
		r = add(reply, item, alloc, cursor);
		if (r < 0 || cursor != 0)
			return r;
	}
	return 0;
}
