/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: fetches allocations, page after page, in the form that the daemon gives to
 * administrators. It asks the administrators' socket. If the caller may not use that socket, it
 * asks the clients' socket as any program would, and what the daemon does not tell a client is null
 * in the result.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* Entries of a page on the clients' socket, which carries at most 64 KiB in a message. */
#define PAGE 200

/* ---- as a client sees it ---- */

static void put_u64(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

struct json_object *ctl_shape_of(const struct pma_info *stat, const char *arena)
{
	struct json_object *to = json_object_new_object();

	ctl_put(to, "arena", arena);
	put_u64(to, "slot", stat->handle.slot);
	put_u64(to, "id", stat->handle.id);
	ctl_put_shape_name(to, stat->name, strlen(stat->name));
	ctl_put(to, "state", stat->is_reserved ? "reserved" : "published");
	put_u64(to, "size", stat->len);
	put_u64(to, "uid", stat->uid);
	put_u64(to, "gid", stat->gid);
	put_u64(to, "mode", stat->mode);
	put_u64(to, "extents", stat->nr_extents);
	put_u64(to, "version", stat->version);
	put_u64(to, "created_ns", stat->created_ns);
	json_object_object_add(to, "open_by", NULL);
	json_object_object_add(to, "poisoned", json_object_new_boolean(stat->is_poisoned));
	json_object_object_add(to, "evictable", json_object_new_boolean(stat->is_evictable));
	json_object_object_add(to, "leased", NULL);
	json_object_object_add(to, "attributes_hex", NULL);
	if (stat->attributes_len)
		ctl_put_hex(to, "attributes_hex", (const char *)stat->attributes,
			    stat->attributes_len);
	return to;
}

int ctl_client_arena(struct pma_arena *arena, struct pma *pma, const char *name)
{
	uint32_t index = 0;
	int r = name ? pma_arena_find(&index, pma, name) : 0;

	return r < 0 ? r : pma_arena_get(arena, pma, index);
}

/*
 * Connects when the administrators' socket has turned out to be closed; all later pages come the
 * same way. What only administrators are told is refused, instead of a list in which it is missing.
 */
static int begin_as_client(struct ctl_listing *listing)
{
	int status, r;

	if (listing->state) {
		ctl_say("what is reserved or freeing only administrators are told");
		return CTL_FAILED;
	}
	status = ctl_connect(&listing->pma, listing->ctl);
	if (status != CTL_DONE)
		return status;
	r = ctl_client_arena(&listing->client_arena, listing->pma, listing->arena);
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

/*
 * Fetches the next page as a client. The library keeps the place between pages in a number, which
 * is 0 after the last page.
 */
static int next_as_client(struct json_object **page, struct ctl_listing *listing)
{
	struct pma_info *stats = calloc(PAGE, sizeof(*stats));
	size_t nr = listing->most && listing->most < PAGE ? listing->most : PAGE;
	int r = -ENOMEM;

	if (stats) {
		ctl_await(listing->ctl);
		r = pma_list(stats, &nr, &listing->client_cursor, listing->pma,
			     listing->client_arena.index,
			     listing->prefix.len ? listing->prefix.bytes : NULL);
		ctl_await_no_more();
	}
	if (r == 0) {
		*page = json_object_new_array();
		for (size_t i = 0; i < nr; i++)
			json_object_array_add(*page,
					      ctl_shape_of(&stats[i], listing->client_arena.name));
		listing->has_ended = listing->client_cursor == 0;
	}
	free(stats);
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

/* ---- as an administrator sees it ---- */

/*
 * Makes the parameters of the request. The cursor is the daemon's own text, and goes back as it
 * came.
 */
static struct json_object *params_for(const struct ctl_listing *listing)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", listing->arena);
	if (listing->prefix.len)
		ctl_put_bytes(params, "prefix", &listing->prefix);
	ctl_put(params, "state", listing->state);
	if (listing->most)
		put_u64(params, "limit", listing->most);
	ctl_put(params, "cursor", listing->cursor);
	return params;
}

/*
 * Takes over @answer. Without memory for the cursor the next page could not be asked for, and the
 * list would end too early: that is a failure.
 */
static int next_as_admin(struct json_object **page, struct ctl_listing *listing,
			 struct json_object *answer)
{
	const char *cursor = ctl_get(answer, "cursor") ? ctl_get_string(answer, "cursor") : NULL;

	*page = json_object_get(ctl_get(answer, "allocations"));
	free(listing->cursor);
	listing->cursor = cursor ? strdup(cursor) : NULL;
	listing->has_ended = cursor == NULL;
	json_object_put(answer);
	return *page && (listing->cursor || listing->has_ended) ? CTL_DONE : ctl_explain(-ENOMEM);
}

/*
 * The first page decides which socket is used. A list whose first half came from an administrator's
 * view and the second from a client's would not fit together.
 */
int ctl_listing_next(struct json_object **page, struct ctl_listing *listing)
{
	struct json_object *answer;
	int code, status, r;

	*page = NULL;
	if (listing->has_ended)
		return CTL_DONE;
	if (!listing->pma) {
		r = ctl_call_quiet(&answer, &code, listing->ctl, "list", params_for(listing));
		if (r == 0)
			return next_as_admin(page, listing, answer);
		if (!ctl_is_not_admin(r, code))
			return ctl_explain(r);
		status = begin_as_client(listing);
		if (status != CTL_DONE)
			return status;
	}
	return next_as_client(page, listing);
}

void ctl_listing_end(struct ctl_listing *listing)
{
	free(listing->cursor);
	pma_disconnect(listing->pma);
}
