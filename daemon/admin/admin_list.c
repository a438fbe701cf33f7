/* SPDX-License-Identifier: BSD-3-Clause */
/* admin_list: the method "list": a page of allocations. It changes nothing. */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/serve/listing.h"

#define LIST_DEFAULT 1000
#define LIST_MAX     10000
/*
 * The most allocations that one answer looks at. Of a million perhaps a few are freeing, and to
 * look for them in one go would keep all clients waiting.
 */
#define LOOKS_MAX    100000

#define CURSOR_SIZE (2 * ALLOC_MAX_NAME + 2)

struct page {
	struct admin_call *call;                /* borrowed */
	uint32_t index;                         /* of the arena */
	uint64_t limit;
	struct listing listing;
	/* a bit for each enum alloc_state that is asked for */
	unsigned states;
	struct json_object *list;               /* owned until it is a part of the answer */
	char cursor[CURSOR_SIZE];               /* "": this is the last page */
};

/*
 * Makes the cursor of the next page: "s" and the slot where it begins, or "n" and the last name in
 * hexadecimal digits.
 */
static void write_cursor(char text[CURSOR_SIZE], const struct listing *listing,
			 const struct alloc *last)
{
	if (listing->prefix_len == 0) {
		snprintf(text, CURSOR_SIZE, "s%" PRIu32, last->slot + 1);
		return;
	}
	snprintf(text, CURSOR_SIZE, "n");
	for (size_t i = 0; i < last->name_len; i++)
		snprintf(text + 1 + 2 * i, 3, "%02x", (unsigned char)last->name[i]);
}

/*
 * Sets the listing to where the cursor of the request says. @name then holds the name that the
 * listing refers to, and must stay as long as the listing.
 */
static int resume(struct listing *listing, char name[ALLOC_MAX_NAME], struct admin_call *call)
{
	const char *cursor = NULL;
	size_t len;
	int r = admin_get_string(&cursor, call, "cursor");

	if (r <= 0)
		return r;
	len = strlen(cursor + (cursor[0] != 0));
	if (cursor[0] == 's' && listing->prefix_len == 0 && len > 0 &&
	    strspn(cursor + 1, "0123456789") == len && len <= 10) {
		listing_resume_slot(listing, (uint32_t)strtoul(cursor + 1, NULL, 10));
		return 0;
	}
	if (cursor[0] != 'n' || listing->prefix_len == 0 || len % 2 || len > 2 * ALLOC_MAX_NAME ||
	    strspn(cursor + 1, "0123456789abcdef") != len)
		return why_set(
			&call->why, -EBADMSG,
			"\"cursor\" must be what the answer before had, with the same prefix");
	admin_unhex(name, cursor + 1, len / 2);
	listing_resume_name(listing, name, (uint8_t)(len / 2));
	return 0;
}

/* Reads the states that are asked for; without the parameter those that clients see. */
static int read_states(unsigned *states, struct admin_call *call)
{
	static const struct {
		const char *name;
		unsigned states;
	} choices[] = {
		{ "published", 1 << ALLOC_PUBLISHED },
		{ "reserved", 1 << ALLOC_RESERVED },
		{ "freeing", 1 << ALLOC_FREEING },
		{ "all", 1 << ALLOC_PUBLISHED | 1 << ALLOC_RESERVED | 1 << ALLOC_FREEING },
	};
	const char *name = "published";
	int r = admin_get_string(&name, call, "state");

	for (size_t i = 0; r >= 0 && i < sizeof(choices) / sizeof(*choices); i++) {
		if (strcmp(name, choices[i].name) == 0) {
			*states = choices[i].states;
			return 0;
		}
	}
	return r < 0 ? r
		     : why_set(&call->why, -EBADMSG,
			       "\"state\" is published, reserved, freeing or all");
}

static void add(struct page *page, const struct alloc *alloc)
{
	shape_append(page->list, admin_shape_alloc(page->call->service, page->index, alloc));
}

static bool is_full(const struct page *page)
{
	return shape_length(page->list) == page->limit;
}

/* Looks one allocation ahead: there is a cursor only if another allocation follows. */
static void add_published(struct page *page)
{
	struct alloc *alloc, *next;

	for (alloc = listing_next(&page->listing); alloc; alloc = next) {
		add(page, alloc);
		next = listing_next(&page->listing);
		if (next && is_full(page)) {
			write_cursor(page->cursor, &page->listing, alloc);
			break;
		}
	}
}

/* Goes through the slots: an allocation that is reserved or freeing is not found by its name. */
static void add_of_any_state(struct page *page)
{
	struct listing *listing = &page->listing;
	struct alloc *alloc;

	for (uint32_t looks = 0; (alloc = arena_next_object(listing->arena, listing->slot));
	     looks++) {
		if (is_full(page) || looks == LOOKS_MAX) {
			snprintf(page->cursor, CURSOR_SIZE, "s%" PRIu32, alloc->slot);
			break;
		}
		if (page->states & 1u << alloc->state)
			add(page, alloc);
		listing->slot = alloc->slot + 1;
	}
}

int admin_list_run(struct json_object **result, struct admin_call *call)
{
	struct page page = { .call = call, .limit = LIST_DEFAULT };
	struct admin_bytes prefix = { .len = 0 };
	char name[ALLOC_MAX_NAME];
	struct arena *arena;
	int r;

	r = admin_arena(&page.index, &arena, call);
	if (r == 0)
		r = arena_check_known(arena, NULL, &call->why);
	if (r == 0)
		r = admin_get_bytes(&prefix, call, "prefix");
	if (r >= 0)
		r = admin_get_size(&page.limit, call, "limit");
	if (r >= 0)
		r = read_states(&page.states, call);
	if (r < 0)
		return r;
	if (page.limit == 0 || page.limit > LIST_MAX)
		return why_set(&call->why, -EBADMSG, "\"limit\" is from 1 to %d", LIST_MAX);
	if (prefix.len > 0 && page.states != 1 << ALLOC_PUBLISHED)
		return why_set(&call->why, -EBADMSG,
			       "\"prefix\" is for what is published: what is freeing is not found "
			       "by its name");
	listing_begin(&page.listing, arena, prefix.bytes, prefix.len);
	r = resume(&page.listing, name, call);
	if (r < 0)
		return r;
	page.list = shape_array();
	if (!page.list)
		return -ENOMEM;
	if (page.states == 1 << ALLOC_PUBLISHED)
		add_published(&page);
	else
		add_of_any_state(&page);
	*result = admin_shape();
	shape_put(*result, "allocations", page.list);
	shape_put_string(*result, "cursor", page.cursor[0] ? page.cursor : NULL);
	return 0;
}
