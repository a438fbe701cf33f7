/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: a tree of users, with what each has and may have. It does not know what a charge is for,
 * nor where limits come from.
 *
 * A user is in the tree while something is charged to it or a limit is set for it; else it is
 * removed, so that the tree does not grow with every uid that ever connected.
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
#include "daemon/arena/sentence.h"

#define EVERYBODY UINT32_MAX

struct limits {
	uint64_t limit[QUOTA_KINDS];            /* 0: no limit */
	bool     is_set[QUOTA_KINDS];           /* false: the default for all users holds */
};

struct user {
	RB_ENTRY(user) link;                    /* in quota.users */
	uint32_t uid;
	struct limits own;
	uint64_t used[QUOTA_KINDS];
	/* the part of used that was given up and is still held */
	uint64_t withheld[QUOTA_KINDS];
};
RB_HEAD(user_tree, user);

struct quota {
	struct user_tree users;                 /* owned */
	struct limits defaults;
	struct quota *whole;                    /* borrowed; NULL: this is the whole */
	const char *name;                       /* borrowed; the arena's, if this is a share */
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

int quota_new_share(struct quota **out, struct quota *whole, const char *name)
{
	int r = quota_new(out);

	if (r < 0)
		return r;
	(*out)->whole = whole;
	(*out)->name = name;
	return 0;
}

/* Returns to @whole what is charged to @user in a share that is being freed. */
static void give_all_back(struct quota *whole, const struct user *user)
{
	for (int kind = 0; kind < QUOTA_KINDS; kind++) {
		quota_regain(whole, user->uid, kind, user->withheld[kind]);
		quota_return(whole, user->uid, kind, user->used[kind] - user->withheld[kind]);
	}
}

void quota_free(struct quota *quota)
{
	struct user *user;

	if (!quota)
		return;
	while ((user = RB_ROOT(&quota->users))) {
		if (quota->whole)
			give_all_back(quota->whole, user);
		RB_REMOVE(user_tree, &quota->users, user);
		free(user);
	}
	free(quota);
}

/* ---- users ---- */

static struct user *find_user(const struct quota *quota, uint32_t uid)
{
	struct user key = { .uid = uid };

	/* RB_FIND() does not take a const tree, though it only reads. */
	return RB_FIND(user_tree, (struct user_tree *)&quota->users, &key);
}

/* Finds @uid, or adds it; NULL: no memory. put_user() removes it again if nothing was set. */
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

uint64_t quota_withheld(const struct quota *quota, uint32_t uid, enum quota_kind kind)
{
	const struct user *user = find_user(quota, uid);

	return user ? user->withheld[kind] : 0;
}

bool quota_next_user(const struct quota *quota, uint32_t *uid)
{
	struct user key = { .uid = *uid };
	const struct user *user = RB_NFIND(user_tree, (struct user_tree *)&quota->users, &key);

	if (user)
		*uid = user->uid;
	return user;
}

/* ---- charges ---- */

#define AMOUNT_MAX 32

/*
 * Writes bytes for people, as "9.5G", in tenths. What is used and asked for is rounded up, a limit
 * is rounded down: otherwise a refusal could show numbers that seem to fit.
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
	tenths = (uint64_t)(((unsigned __int128)bytes * 10 + (up ? (1ULL << shift) - 1 : 0)) >>
			    shift);
	if (tenths % 10)
		snprintf(buf, AMOUNT_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
			 units[shift / 10 - 1]);
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

static void say_amount(struct sentence *s, enum quota_kind kind, uint64_t amount, const char *what)
{
	char text[AMOUNT_MAX];

	if (amount)
		sentence_say(s, ", %s %s", amount_text(text, kind, amount, true), what);
}

static int refuse(struct why *why, const struct quota *quota, uint32_t uid, enum quota_kind kind,
		  uint64_t amount)
{
	char used[AMOUNT_MAX], limit[AMOUNT_MAX];
	uint64_t withheld = quota_withheld(quota, uid, kind);
	bool is_session = kind == QUOTA_SESSIONS;
	struct sentence s = { .len = 0 };

	sentence_say(&s, "%s of %s %s used",
		     amount_text(used, kind, quota_used(quota, uid, kind), true),
		     amount_text(limit, kind, quota_limit(quota, uid, kind), false),
		     kind_text[kind]);
	say_amount(&s, kind, withheld,
		   is_session ? "of them over and still mapped"
			      : "of it freed and still held by sessions of this user");
	say_amount(&s, kind, amount, "asked for");
	sentence_say(&s, "; %s", withheld && !is_session ? "unmap and close what was freed, " : "");
	if (quota->name)
		return why_set(why, -EDQUOT,
			       "share of user %" PRIu32
			       " of arena %s is used up: %s%s or set a limit in [quota %" PRIu32
			       "]",
			       uid, quota->name, s.text, remedy[kind], uid);
	return why_set(why, -EDQUOT,
		       "quota of user %" PRIu32 " is used up: %s%s or raise the limit", uid, s.text,
		       remedy[kind]);
}

int quota_check(const struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount,
		struct why *why)
{
	uint64_t limit = quota_limit(quota, uid, kind), used = quota_used(quota, uid, kind);

	if (!limit)
		limit = UINT64_MAX;     /* no limit but what the counter can hold */
	/*
	 * Use may be above the limit: the limit was lowered, recovery charged what it found, or
	 * somebody freed an allocation that this user holds.
	 */
	if (used > limit || amount > limit - used)
		return refuse(why, quota, uid, kind, amount);
	return quota->whole ? quota_check(quota->whole, uid, kind, amount, why) : 0;
}

int quota_charge(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount,
		 struct why *why)
{
	int r = quota_check(quota, uid, kind, amount, why);

	if (r < 0)
		return r;
	r = quota_charge_anyway(quota, uid, kind, amount);
	return r < 0 ? why_set(why, r, "out of memory for the quota of user %" PRIu32, uid) : 0;
}

int quota_charge_anyway(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	struct user *user;
	int r;

	if (amount == 0)
		return 0;
	if (amount > UINT64_MAX - quota_used(quota, uid, kind))
		return -EOVERFLOW;
	user = get_user(quota, uid);
	if (!user)
		return -ENOMEM;
	r = quota->whole ? quota_charge_anyway(quota->whole, uid, kind, amount) : 0;
	if (r == 0)
		user->used[kind] += amount;
	put_user(quota, user);
	return r;
}

/*
 * The asserts here and below are for a charge that is returned twice, which is a fault of the
 * daemon.
 */
void quota_return(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	struct user *user = find_user(quota, uid);

	if (amount == 0)
		return;
	assert(user && user->used[kind] - user->withheld[kind] >= amount);
	user->used[kind] -= amount;
	put_user(quota, user);
	if (quota->whole)
		quota_return(quota->whole, uid, kind, amount);
}

/* ---- given up, and still held ---- */

static void withhold(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	/* The user is in the tree: quota_charge_anyway() was called just before. */
	find_user(quota, uid)->withheld[kind] += amount;
	if (quota->whole)
		withhold(quota->whole, uid, kind, amount);
}

int quota_withhold(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	int r = quota_charge_anyway(quota, uid, kind, amount);

	if (r == 0 && amount)
		withhold(quota, uid, kind, amount);
	return r;
}

void quota_regain(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	if (amount == 0)
		return;
	for (struct quota *at = quota; at; at = at->whole) {
		struct user *user = find_user(at, uid);

		assert(user && user->withheld[kind] >= amount);
		user->withheld[kind] -= amount;
	}
	quota_return(quota, uid, kind, amount);
}

uint64_t quota_may_reach(const struct quota *quota, uint32_t uid, enum quota_kind kind)
{
	uint64_t here = quota_limit(quota, uid, kind), used = quota_used(quota, uid, kind);
	uint64_t all = quota->whole ? quota_limit(quota->whole, uid, kind) : 0, elsewhere;

	if (!all)
		return here;
	elsewhere = quota_used(quota->whole, uid, kind) - used;
	/* At least 1: 0 would say that there is no limit. */
	all = all > elsewhere ? all - elsewhere : 1;
	return here && here < all ? here : all;
}
