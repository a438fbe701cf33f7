/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_users: the method "users": what each user is charged with and how much it may have, of the
 * whole daemon and of each arena, and how many marks and descriptors it has. It reads the books of
 * the quota and knows none of the allocations that were charged for; admin_holders.c has those.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define USERS_DEFAULT 1000
#define USERS_MAX     10000

static const char *const keys[QUOTA_KINDS] = {
	[QUOTA_BYTES] = "bytes",
	[QUOTA_ALLOCATIONS] = "allocations",
	[QUOTA_SESSIONS] = "sessions",
	[QUOTA_LEASED_BYTES] = "leased_bytes",
};

struct marks_of {
	uint64_t marks, descriptors;
};

struct page {
	struct admin_call *call;                /* borrowed */
	uint32_t *uids;                         /* owned; the users of this page, ascending */
	/* owned; of each user, in the arena that is counted now */
	struct marks_of *marks;
	/* owned; of each user, a list that shape_users() makes and hands over to the answer */
	struct json_object **arenas;
	size_t nr;
};

static int compare_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Counts one mark of an arena for the user who has it. */
static void count(void *arg, uint32_t uid, unsigned descriptors)
{
	struct page *page = arg;
	uint32_t *at = bsearch(&uid, page->uids, page->nr, sizeof(uid), compare_uid);

	if (!at)
		return;
	page->marks[at - page->uids].marks++;
	page->marks[at - page->uids].descriptors += descriptors;
}

static void put_charges(struct json_object *to, const struct quota *quota, uint32_t uid)
{
	for (int kind = 0; kind < QUOTA_KINDS; kind++) {
		struct json_object *charge = shape_object();
		uint64_t limit = quota_limit(quota, uid, kind);

		shape_put_u64(charge, "used", quota_used(quota, uid, kind));
		shape_put_u64(charge, "given_up", quota_withheld(quota, uid, kind));
		shape_put_u64_if(charge, "limit", limit != 0, limit);
		shape_put(to, keys[kind], charge);
	}
}

/* Is the user charged for anything in the arena, or has it a mark there? */
static bool has_part(const struct quota *quota, uint32_t uid, const struct marks_of *marks)
{
	bool has = marks->marks > 0;

	for (int kind = 0; kind < QUOTA_KINDS; kind++)
		has = has || quota_used(quota, uid, kind) > 0;
	return has;
}

/* Adds what each user of @page has of the arena to the user's list. */
static void add_arena(struct page *page, uint32_t index)
{
	const struct served *served = &page->call->service->arenas[index];
	const struct quota *share = arena_quota(served->arena);

	for (size_t i = 0; i < page->nr; i++)
		page->marks[i] = (struct marks_of){ 0 };
	arena_each_marked(served->arena, count, page);
	for (size_t i = 0; i < page->nr; i++) {
		struct json_object *to;

		if (!has_part(share, page->uids[i], &page->marks[i]))
			continue;
		to = shape_object();
		shape_put_string(to, "arena", served->name);
		put_charges(to, share, page->uids[i]);
		shape_put_u64(to, "marks", page->marks[i].marks);
		shape_put_u64(to, "descriptors", page->marks[i].descriptors);
		shape_append(page->arenas[i], to);
	}
}

static struct json_object *shape_users(struct page *page)
{
	struct json_object *users = shape_array();
	const struct service *service = page->call->service;

	for (size_t i = 0; i < page->nr; i++)
		page->arenas[i] = shape_array();
	for (uint32_t i = 0; i < service->nr_arenas; i++)
		if (service->arenas[i].arena)
			add_arena(page, i);
	for (size_t i = 0; i < page->nr; i++) {
		struct json_object *user = shape_object();

		shape_put_u64(user, "uid", page->uids[i]);
		put_charges(user, service->quota, page->uids[i]);
		shape_put(user, "arenas", page->arenas[i]);
		shape_append(users, user);
	}
	return users;
}

/*
 * Fills the page with the users from @first on, @limit of them at most. true: there are more, and
 * the next page begins at *next.
 */
static bool collect(uint32_t *next, struct page *page, uint32_t first, uint64_t limit)
{
	const struct quota *quota = page->call->service->quota;
	uint32_t uid = first;

	while (quota_next_user(quota, &uid)) {
		*next = uid;
		if (page->nr == limit)
			return true;
		page->uids[page->nr++] = uid;
		if (uid++ == UINT32_MAX)
			return false;
	}
	return false;
}

/* Reads which users are asked for: one, or those from the cursor on. Returns > 0 for one user. */
static int read_range(uint64_t *first, uint64_t *limit, struct admin_call *call)
{
	const char *cursor = NULL;
	int r = admin_get_size(limit, call, "limit");

	if (r >= 0 && (*limit == 0 || *limit > USERS_MAX))
		return why_set(&call->why, -EBADMSG, "\"limit\" is from 1 to %d", USERS_MAX);
	if (r >= 0)
		r = admin_get_string(&cursor, call, "cursor");
	if (r > 0 && sscanf(cursor, "%" SCNu64, first) != 1)
		return why_set(&call->why, -EBADMSG,
			       "\"cursor\" must be what the answer before had");
	if (r >= 0)
		r = admin_get_size(first, call, "uid");
	if (r > 0)
		*limit = 1;
	if (r >= 0 && *first > UINT32_MAX)
		return why_set(&call->why, -EBADMSG, "a uid is at most %" PRIu32, UINT32_MAX);
	return r;
}

static void page_fini(struct page *page)
{
	free(page->uids);
	free(page->marks);
	free(page->arenas);
}

int admin_users_run(struct json_object **result, struct admin_call *call)
{
	struct page page = { .call = call };
	uint64_t first = 0, limit = USERS_DEFAULT;
	char cursor[16];
	uint32_t next = 0;
	bool goes_on;
	int one = read_range(&first, &limit, call);

	if (one < 0)
		return one;
	page.uids = calloc(limit, sizeof(*page.uids));
	page.marks = calloc(limit, sizeof(*page.marks));
	page.arenas = calloc(limit, sizeof(*page.arenas));
	if (!page.uids || !page.marks || !page.arenas) {
		page_fini(&page);
		return why_set(&call->why, -ENOMEM, "out of memory for %" PRIu64 " users", limit);
	}
	goes_on = collect(&next, &page, (uint32_t)first, limit);
	/* A caller that asks for one user is not shown the next one in its place. */
	if (one > 0 && page.nr && page.uids[0] != first)
		page.nr = 0;
	snprintf(cursor, sizeof(cursor), "%" PRIu32, next);
	*result = admin_shape();
	shape_put(*result, "users", shape_users(&page));
	shape_put_string(*result, "cursor", goes_on && one == 0 ? cursor : NULL);
	page_fini(&page);
	return 0;
}
