/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: a tree of users with their limits and charges. Pure; it does not know what a charge is for, nor the
 * configuration that the limits come from.
 *
 * A user is remembered once he was charged or given a limit, and forgotten when neither is left, so that the tree does not
 * grow with every uid that ever came by.
 */
#include <config.h>

#include "daemon/arena/quota.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <bsd/sys/tree.h>

#define EVERYBODY UINT32_MAX

struct limits {
	uint64_t limit[QUOTA_KINDS];            /* 0: none */
	bool     is_set[QUOTA_KINDS];           /* false: the default applies */
};

struct user {
	RB_ENTRY(user) link;                    /* quota.users */
	uint32_t uid;
	struct limits own;
	uint64_t used[QUOTA_KINDS];
};
RB_HEAD(user_tree, user);

struct quota {
	struct user_tree users;                 /* owned */
	struct limits defaults;
};

static int compare_uid(const struct user *a, const struct user *b)
{
	return (a->uid > b->uid) - (a->uid < b->uid);
}

RB_GENERATE_INTERNAL(user_tree, user, link, compare_uid, __attribute__((unused)) static)

int quota_new(struct quota **out)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	if (!quota)
		return -ENOMEM;
	RB_INIT(&quota->users);
	*out = quota;
	return 0;
}

void quota_free(struct quota *quota)
{
	struct user *user;

	if (!quota)
		return;
	while ((user = RB_ROOT(&quota->users))) {
		RB_REMOVE(user_tree, &quota->users, user);
		free(user);
	}
	free(quota);
}

/* ---- users ---- */

static struct user *find_user(const struct quota *quota, uint32_t uid)
{
	struct user key = { .uid = uid };

	/* RB_FIND() reads only, but does not say so. */
	return RB_FIND(user_tree, (struct user_tree *)&quota->users, &key);
}

static struct user *get_user(struct quota *quota, uint32_t uid)
{
	struct user *user = find_user(quota, uid);

	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	RB_INSERT(user_tree, &quota->users, user);
	return user;
}

static bool is_blank(const struct user *user)
{
	for (int i = 0; i < QUOTA_KINDS; i++)
		if (user->used[i] || user->own.is_set[i])
			return false;
	return true;
}

static void put_user(struct quota *quota, struct user *user)
{
	if (!is_blank(user))
		return;
	RB_REMOVE(user_tree, &quota->users, user);
	free(user);
}

/* ---- limits ---- */

int quota_set_limit(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t limit)
{
	struct limits *limits = &quota->defaults;

	if (uid != EVERYBODY) {
		struct user *user = get_user(quota, uid);

		if (!user)
			return -ENOMEM;
		limits = &user->own;
	}
	limits->limit[kind] = limit;
	limits->is_set[kind] = true;
	return 0;
}

void quota_clear_limits(struct quota *quota)
{
	struct user *user, *next;

	quota->defaults = (struct limits){ 0 };
	for (user = RB_MIN(user_tree, &quota->users); user; user = next) {
		next = RB_NEXT(user_tree, &quota->users, user);
		user->own = (struct limits){ 0 };
		put_user(quota, user);
	}
}

uint64_t quota_limit(const struct quota *quota, uint32_t uid, enum quota_kind kind)
{
	const struct user *user = find_user(quota, uid);

	if (user && user->own.is_set[kind])
		return user->own.limit[kind];
	return uid == 0 ? 0 : quota->defaults.limit[kind];
}

uint64_t quota_used(const struct quota *quota, uint32_t uid, enum quota_kind kind)
{
	const struct user *user = find_user(quota, uid);

	return user ? user->used[kind] : 0;
}

/* ---- charges ---- */

#define AMOUNT_MAX 32

/*
 * 9.5G: rounded to a tenth for people, @up for what is asked for and used, never for a limit, so that the
 * numbers never seem to fit when they do not.
 */
static const char *bytes_text(char buf[AMOUNT_MAX], uint64_t bytes, bool up)
{
	static const char units[] = "KMGTPE";
	uint64_t tenths;
	int shift = 0;

	while (shift < 60 && bytes >> shift >= 1024)
		shift += 10;
	if (!shift) {
		snprintf(buf, AMOUNT_MAX, "%" PRIu64, bytes);
		return buf;
	}
	tenths = (uint64_t)(((unsigned __int128)bytes * 10 + (up ? (1ULL << shift) - 1 : 0)) >> shift);
	if (tenths % 10)
		snprintf(buf, AMOUNT_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[shift / 10 - 1]);
	else
		snprintf(buf, AMOUNT_MAX, "%" PRIu64 "%c", tenths / 10, units[shift / 10 - 1]);
	return buf;
}

static bool is_bytes(enum quota_kind kind)
{
	return kind == QUOTA_BYTES || kind == QUOTA_LEASED_BYTES;
}

static const char *amount_text(char buf[AMOUNT_MAX], enum quota_kind kind, uint64_t amount, bool up)
{
	if (is_bytes(kind))
		return bytes_text(buf, amount, up);
	snprintf(buf, AMOUNT_MAX, "%" PRIu64, amount);
	return buf;
}

static const char *const kind_text[QUOTA_KINDS] = {
	[QUOTA_BYTES]        = "bytes",
	[QUOTA_ALLOCATIONS]  = "allocations",
	[QUOTA_SESSIONS]     = "sessions",
	[QUOTA_LEASED_BYTES] = "leased bytes",
};

static const char *const remedy[QUOTA_KINDS] = {
	[QUOTA_BYTES]        = "free something",
	[QUOTA_ALLOCATIONS]  = "free something",
	[QUOTA_SESSIONS]     = "close one",
	[QUOTA_LEASED_BYTES] = "give a lease back",
};

static int refuse(struct why *why, uint32_t uid, enum quota_kind kind, uint64_t used, uint64_t limit, uint64_t amount)
{
	char used_text[AMOUNT_MAX], limit_text[AMOUNT_MAX], asked_text[AMOUNT_MAX];

	return why_set(why, -EDQUOT, "quota of user %" PRIu32 " is used up: %s of %s %s used, %s asked for; %s or raise the limit",
		       uid, amount_text(used_text, kind, used, true), amount_text(limit_text, kind, limit, false), kind_text[kind],
		       amount_text(asked_text, kind, amount, true), remedy[kind]);
}

int quota_charge(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount, struct why *why)
{
	uint64_t limit = quota_limit(quota, uid, kind), used = quota_used(quota, uid, kind);
	int r;

	if (!limit)
		limit = UINT64_MAX;     /* as much as can be counted */
	/* Used may be above the limit: it was lowered, or recovery charged what was there. */
	if (used > limit || amount > limit - used)
		return refuse(why, uid, kind, used, limit, amount);
	r = quota_charge_anyway(quota, uid, kind, amount);
	return r < 0 ? why_set(why, r, "out of memory for the quota of user %" PRIu32, uid) : 0;
}

int quota_charge_anyway(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	struct user *user;

	if (amount == 0)
		return 0;
	if (amount > UINT64_MAX - quota_used(quota, uid, kind))
		return -EOVERFLOW;
	user = get_user(quota, uid);
	if (!user)
		return -ENOMEM;
	user->used[kind] += amount;
	return 0;
}

void quota_return(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	struct user *user = find_user(quota, uid);

	if (amount == 0)
		return;
	assert(user && user->used[kind] >= amount);
	user->used[kind] -= amount;
	put_user(quota, user);
}
