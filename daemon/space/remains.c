/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remains: for each user who asks for its own pages as it left them, a set of ranges. Pages go to
 * the set of their last user only, and from there to that user or to the scrubber: so a user never
 * sees what another one stored.
 */
#include <config.h>

#include "daemon/space/remains.h"

#include <errno.h>
#include <stdlib.h>
#include <bsd/sys/tree.h>

/*
 * For so many calls of remains_age() pages are kept for a user who does not ask: two seconds while
 * the daemon is busy, else more. A program that goes round and round asks again within that; what
 * one that has ended left is zeroed then.
 */
#define ROUNDS 20u

struct user {
	RB_ENTRY(user) link;            /* in remains.users */
	uint32_t uid;
	unsigned left;                  /* rounds until the user counts as one who does not ask */
	struct extent_map *pages;       /* owned */
};
RB_HEAD(user_tree, user);

struct remains {
	struct user_tree users;         /* owned */
	uint64_t total, max;
};

static int compare(const struct user *a, const struct user *b)
{
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/*
 * RB_GENERATE_STATIC() needs a macro __unused, which <bsd/sys/cdefs.h> defines only in the overlay
 * of libbsd.
 */
RB_GENERATE_INTERNAL(user_tree, user, link, compare, __attribute__((unused)) static)

int remains_new(struct remains **out, uint64_t max)
{
	struct remains *remains = calloc(1, sizeof(*remains));

	if (!remains)
		return -ENOMEM;
	RB_INIT(&remains->users);
	remains->max = max;
	*out = remains;
	return 0;
}

static void drop_user(struct remains *remains, struct user *user)
{
	RB_REMOVE(user_tree, &remains->users, user);
	extent_map_free(user->pages);
	free(user);
}

void remains_free(struct remains *remains)
{
	struct user *user;

	if (!remains)
		return;
	while ((user = RB_MIN(user_tree, &remains->users)))
		drop_user(remains, user);
	free(remains);
}

static struct user *find_user(const struct remains *remains, uint32_t uid)
{
	struct user key = { .uid = uid };

	return RB_FIND(user_tree, (struct user_tree *)(uintptr_t)&remains->users, &key);
}

void remains_ask(struct remains *remains, uint32_t uid)
{
	struct user *user = find_user(remains, uid);

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return;
		user->uid = uid;
		if (extent_map_new(&user->pages, 0) < 0) {
			free(user);
			return;
		}
		RB_INSERT(user_tree, &remains->users, user);
	}
	user->left = ROUNDS;
}

/* ---- pages come ---- */

bool remains_would_keep(const struct remains *remains, uint32_t uid, uint64_t nr)
{
	const struct user *user = find_user(remains, uid);

	return user && user->left > 0 && nr <= remains->max - remains->total;
}

bool remains_keep(struct remains *remains, uint32_t uid, struct extent pages)
{
	if (!remains_would_keep(remains, uid, pages.len) ||
	    extent_release(find_user(remains, uid)->pages, pages, NULL) < 0)
		return false;
	remains->total += pages.len;
	return true;
}

/* ---- pages go ---- */

/* Counts @taken, which a claim wrote if it returned @r. Returns @r. */
static int count(struct remains *remains, int r, const struct extent *taken)
{
	if (r == 0)
		remains->total -= taken->len;
	return r;
}

int remains_claim(struct extent *out, struct remains *remains, uint32_t uid, uint64_t len)
{
	struct user *user = find_user(remains, uid);

	return user ? count(remains, extent_claim(out, user->pages, len), out) : -ENOSPC;
}

int remains_claim_largest(struct extent *out, struct remains *remains, uint32_t uid, uint64_t max)
{
	struct user *user = find_user(remains, uid);

	return user ? count(remains, extent_claim_largest(out, user->pages, max), out) : -ENOSPC;
}

int remains_claim_page(struct remains *remains, uint64_t page)
{
	const struct extent one = { page, 1 };
	struct user *user;
	int r;

	RB_FOREACH(user, user_tree, &remains->users) {
		r = extent_claim_at(user->pages, page, 1);
		if (r != -ENOENT)
			return count(remains, r, &one);
	}
	return -ENOENT;
}

int remains_claim_any(struct extent *out, struct remains *remains, uint64_t max)
{
	struct user *user;

	RB_FOREACH(user, user_tree, &remains->users)
		if (extent_claim_largest(out, user->pages, max) == 0)
			return count(remains, 0, out);
	return -ENOSPC;
}

int remains_claim_idle(struct extent *out, struct remains *remains, uint64_t max)
{
	struct user *user, *next;

	for (user = RB_MIN(user_tree, &remains->users); user; user = next) {
		next = RB_NEXT(user_tree, &remains->users, user);
		if (user->left > 0)
			continue;
		if (extent_claim_largest(out, user->pages, max) == 0)
			return count(remains, 0, out);
		drop_user(remains, user);
	}
	return -ENOSPC;
}

void remains_age(struct remains *remains)
{
	struct user *user;

	RB_FOREACH(user, user_tree, &remains->users)
		user->left -= user->left > 0;
}

/* ---- numbers ---- */

uint64_t remains_total(const struct remains *remains)
{
	return remains->total;
}

uint64_t remains_total_of(const struct remains *remains, uint32_t uid)
{
	const struct user *user = find_user(remains, uid);

	return user ? extent_total(user->pages) : 0;
}

uint64_t remains_largest(const struct remains *remains)
{
	struct user_tree *users = (struct user_tree *)(uintptr_t)&remains->users;
	struct user *user;
	uint64_t largest = 0;

	RB_FOREACH(user, user_tree, users)
		if (extent_largest(user->pages) > largest)
			largest = extent_largest(user->pages);
	return largest;
}

uint64_t remains_count(const struct remains *remains)
{
	struct user_tree *users = (struct user_tree *)(uintptr_t)&remains->users;
	struct user *user;
	uint64_t nr = 0;

	RB_FOREACH(user, user_tree, users)
		nr += extent_count(user->pages);
	return nr;
}
