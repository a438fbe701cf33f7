/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_holders: the method "holders": a row for each session that has an allocation open or
 * reserved, and a row for each allocation that is reserved or freeing and held by nobody. It
 * changes nothing and knows no connection.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROWS_DEFAULT 1000
#define ROWS_MAX     10000
/*
 * The most allocations and holds that one answer looks at. With a filter that nothing passes it
 * would go through all of them, and all clients would wait meanwhile.
 */
#define LOOKS_MAX    100000

struct rows {
	struct admin_call *call;                /* borrowed, as the next two */
	const struct arena *arena;
	struct alloc *only;                     /* NULL: of all allocations */
	struct json_object *list;               /* owned until it is a part of the answer */
	uint32_t index;
	uint64_t limit, uid, session;
	bool     has_uid, has_session;
	bool     goes_on;               /* an answer before had the first page */
	/* where to go on: at the nth hold of the allocation in the slot */
	uint32_t slot, nth;
	uint32_t looks;
};

static const char *const states[] = {
	[ARENA_HOLDER_CONNECTED] = "connected",
	[ARENA_HOLDER_AWAITED] = "awaited",
	[ARENA_HOLDER_ENDING] = "ending",
	[ARENA_HOLDER_MARK] = "mark",
};

/*
 * Says why an allocation takes space: a client has it open or reserved, leased it, or it was freed
 * while mapped.
 */
static const char *kind_of(const struct alloc *alloc)
{
	if (alloc->state == ALLOC_FREEING)
		return "quarantined";
	if (alloc->state == ALLOC_RESERVED)
		return alloc->is_lease ? "leased" : "reserved";
	return "open";
}

static void put_or_null(struct json_object *to, const char *key, uint64_t value)
{
	shape_put_u64_if(to, key, value != 0, value);
}

/* Adds who holds the allocation; @hold NULL: nobody, and @holder has the owner's uid alone. */
static void put_holder(struct json_object *to, const struct arena_holder *holder,
		       const struct hold *hold)
{
	shape_put_string(to, "holder", hold ? states[holder->state] : "nobody");
	put_or_null(to, "session", holder->session);
	shape_put_u64(to, "uid", holder->uid);
	put_or_null(to, "pid", (uint64_t)holder->pid);
	shape_put_string(to, "command", holder->command[0] ? holder->command : NULL);
	put_or_null(to, "since_ns", holder->since_ns);
	shape_put_bool(to, "read_only", hold && hold->read_only);
	shape_put_bool(to, "closed", hold && hold->closed);
	shape_put_bool(to, "lent", hold && hold->lent);
}

/* Adds one row. @hold NULL: no session holds the allocation, and the row has its owner's uid. */
static void add(struct rows *rows, const struct alloc *alloc, const struct hold *hold)
{
	struct arena_holder holder = { .uid = alloc->uid };
	struct json_object *to;

	if (hold)
		arena_describe_holder(&holder, hold->holder);
	if ((rows->has_uid && holder.uid != rows->uid) ||
	    (rows->has_session && holder.session != rows->session))
		return;
	to = shape_object();
	shape_put_string(to, "kind", kind_of(alloc));
	shape_put_u64(to, "size", alloc_bytes(alloc));
	put_holder(to, &holder, hold);
	shape_put_string(to, "arena", rows->call->service->arenas[rows->index].name);
	shape_put_u64(to, "slot", alloc->slot);
	shape_put_u64(to, "id", alloc->id);
	shape_put_u64(to, "owner", alloc->uid);
	shape_put_u64(to, "created_ns", alloc->created_ns);
	put_or_null(to, "offset", alloc->nr_extents ? arena_extent(rows->arena, alloc, 0).off : 0);
	admin_put_name(to, alloc->name, alloc->name ? alloc->name_len : 0);
	shape_append(rows->list, to);
}

/* Has the answer as many rows as asked for, or was enough looked at? */
static bool is_full(const struct rows *rows)
{
	return shape_length(rows->list) >= rows->limit || rows->looks >= LOOKS_MAX;
}

/*
 * Adds the rows of one allocation. false: the answer is full, and rows->nth is where the next one
 * goes on.
 */
static bool add_all_of(struct rows *rows, const struct alloc *alloc)
{
	const struct hold *hold;
	uint32_t nth = 0;

	if (TAILQ_EMPTY(&alloc->holds) && alloc->state != ALLOC_PUBLISHED && rows->nth == 0)
		add(rows, alloc, NULL);
	TAILQ_FOREACH(hold, &alloc->holds, by_alloc) {
		if (nth++ < rows->nth)
			continue;
		if (is_full(rows))
			return false;
		add(rows, alloc, hold);
		rows->nth = nth;
		rows->looks++;
	}
	return true;
}

/* Fills the answer; true: there are more rows. */
static bool collect(struct rows *rows)
{
	struct alloc *alloc;

	if (rows->only)
		rows->slot = rows->only->slot;
	while ((alloc = arena_next_object(rows->arena, rows->slot)) &&
	       (!rows->only || alloc == rows->only)) {
		if (alloc->slot != rows->slot)
			rows->nth = 0;
		rows->slot = alloc->slot;
		if (is_full(rows) || !add_all_of(rows, alloc))
			return true;
		rows->slot = alloc->slot + 1;
		rows->nth = 0;
		rows->looks++;
	}
	return false;
}

/* Reads which rows are asked for, and where the answer before ended. */
static int read_filter(struct rows *rows)
{
	struct admin_call *call = rows->call;
	const char *cursor = NULL;
	int r = admin_get_size(&rows->limit, call, "limit");

	if (r >= 0 && (rows->limit == 0 || rows->limit > ROWS_MAX))
		return why_set(&call->why, -EBADMSG, "\"limit\" is from 1 to %d", ROWS_MAX);
	if (r >= 0)
		r = admin_get_size(&rows->uid, call, "uid");
	rows->has_uid = r > 0;
	if (r >= 0)
		r = admin_get_size(&rows->session, call, "session");
	rows->has_session = r > 0;
	if (r >= 0)
		r = admin_get_string(&cursor, call, "cursor");
	rows->goes_on = r > 0;
	if (r > 0 && sscanf(cursor, "%" SCNu32 ".%" SCNu32, &rows->slot, &rows->nth) != 2)
		return why_set(&call->why, -EBADMSG,
			       "\"cursor\" must be what the answer before had");
	return r;
}

/* Does the request name one allocation? */
static bool names_one(const struct admin_call *call)
{
	return json_object_object_get_ex(call->params, "name", NULL) ||
	       json_object_object_get_ex(call->params, "name_hex", NULL) ||
	       json_object_object_get_ex(call->params, "offset", NULL);
}

/* Adds the windows to the first page: they are no rows, and the next pages have none. */
static int put_windows(struct json_object *to, const struct rows *rows)
{
	const struct admin_windows wanted = { .only = rows->only,
					      .uid = rows->uid,
					      .session = rows->session,
					      .has_uid = rows->has_uid,
					      .has_session = rows->has_session };
	struct json_object *list = shape_array();
	int r = 0;

	if (!rows->goes_on)
		r = admin_put_windows(list, &rows->call->service->arenas[rows->index], &wanted);
	shape_put(to, "windows", list);
	return r;
}

int admin_holders_run(struct json_object **result, struct admin_call *call)
{
	struct rows rows = { .call = call, .limit = ROWS_DEFAULT };
	struct arena *arena;
	char cursor[32];
	bool goes_on;
	int r;

	r = admin_arena(&rows.index, &arena, call);
	if (r == 0 && names_one(call))
		r = admin_alloc(&rows.only, &rows.index, call);
	if (r == 0)
		r = read_filter(&rows);
	if (r < 0)
		return r;
	rows.arena = arena;
	rows.list = shape_array();
	if (!rows.list)
		return -ENOMEM;
	goes_on = collect(&rows);
	snprintf(cursor, sizeof(cursor), "%" PRIu32 ".%" PRIu32, rows.slot, rows.nth);
	*result = admin_shape();
	admin_put_withheld(*result, arena);
	put_or_null(*result, "grace_left_ns", service_grace_left_ns(call->service));
	shape_put(*result, "holders", rows.list);
	shape_put_string(*result, "cursor", goes_on ? cursor : NULL);
	r = put_windows(*result, &rows);
	if (r < 0) {
		json_object_put(*result);
		*result = NULL;
	}
	return r;
}
