/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * users: how many bytes of an arena each user has: reserved, open, in quarantine. It is counted
 * when somebody asks. There may be any number of users, so only those who have the most are told
 * one by one.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_internal.h"

struct user {
	RB_ENTRY(user) link;            /* users.tree */
	struct arena_user bytes;
	/* borrowed; the allocation that was counted last among those that the user has open */
	const struct alloc *counted;
};
RB_HEAD(user_tree, user);

struct users {
	struct user_tree tree;          /* owned */
	/* borrowed; the user who was looked for last: the next one is often the same */
	struct user *found;
};

static int compare_uid(const struct user *a, const struct user *b)
{
	return (a->bytes.uid > b->bytes.uid) - (a->bytes.uid < b->bytes.uid);
}

RB_GENERATE_INTERNAL(user_tree, user, link, compare_uid, __attribute__((unused)) static)

/* Finds the user with @uid, or makes one; NULL: there is no memory. */
static struct user *find_user(struct users *users, uint32_t uid)
{
	struct user key = { .bytes.uid = uid }, *user = users->found;

	if (user && user->bytes.uid == uid)
		return user;
	user = RB_FIND(user_tree, &users->tree, &key);
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->bytes.uid = uid;
		RB_INSERT(user_tree, &users->tree, user);
	}
	users->found = user;
	return user;
}

static int count_owner(struct users *users, const struct alloc *alloc)
{
	struct user *user = find_user(users, alloc->uid);

	if (!user)
		return -ENOMEM;
	if (alloc->state == ALLOC_FREEING)
		user->bytes.quarantined += alloc_bytes(alloc);
	else if (alloc->is_lease)
		user->bytes.leased += alloc_bytes(alloc);
	else
		user->bytes.reserved += alloc_bytes(alloc);
	return 0;
}

/*
 * Counts @alloc for each user who has it open; one who has it open in several sessions counts once.
 */
static int count_holders(struct users *users, const struct alloc *alloc)
{
	const struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc) {
		struct user *user = find_user(users, hold->holder->uid);

		if (!user)
			return -ENOMEM;
		if (user->counted == alloc)
			continue;
		user->counted = alloc;
		if (alloc->state == ALLOC_FREEING)
			user->bytes.quarantined += alloc_bytes(alloc);
		else
			user->bytes.open += alloc_bytes(alloc);
	}
	return 0;
}

static int count_all(struct users *users, const struct arena *arena)
{
	int r = 0;

	for (uint32_t slot = 0; slot < arena->nr_objects && r == 0; slot++) {
		const struct alloc *alloc = arena->objects[slot];

		if (!alloc)
			continue;
		/*
		 * Freed space counts for the users who keep it from being free, if there are any.
		 */
		if (alloc->state == ALLOC_RESERVED ||
		    (alloc->state == ALLOC_FREEING && TAILQ_EMPTY(&alloc->holds)))
			r = count_owner(users, alloc);
		else
			r = count_holders(users, alloc);
	}
	return r;
}

static uint64_t sum_of(const struct arena_user *user)
{
	return user->reserved + user->leased + user->open + user->quarantined;
}

static void add_to(struct arena_user *to, const struct arena_user *from)
{
	to->reserved += from->reserved;
	to->leased += from->leased;
	to->open += from->open;
	to->quarantined += from->quarantined;
}

/*
 * Puts @user in its place among the @nr users in @top, who are ordered, most bytes first. A user
 * without a place there is added to @rest.
 */
static void rank(struct arena_user *top, uint32_t *nr, uint32_t most, struct arena_user *rest,
		 const struct arena_user *user)
{
	uint32_t at = *nr;

	while (at > 0 && sum_of(&top[at - 1]) < sum_of(user))
		at--;
	if (at == most) {
		add_to(rest, user);
		return;
	}
	if (*nr == most)
		add_to(rest, &top[--*nr]);
	for (uint32_t i = (*nr)++; i > at; i--)
		top[i] = top[i - 1];
	top[at] = *user;
}

int arena_users(struct arena_user *top, uint32_t *nr, struct arena_user *rest,
		const struct arena *arena)
{
	struct users users = { .found = NULL };
	struct user *user, *next;
	uint32_t most = *nr;
	int r;

	RB_INIT(&users.tree);
	*nr = 0;
	*rest = (struct arena_user){ .uid = UINT32_MAX };
	r = count_all(&users, arena);
	RB_FOREACH_SAFE(user, user_tree, &users.tree, next) {
		rank(top, nr, most, rest, &user->bytes);
		RB_REMOVE(user_tree, &users.tree, user);
		free(user);
	}
	return r;
}
