/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: limits and defaults, charges and what is said when they are used up, every allocation
 * failing in turn.
 *
 * Links with --wrap=calloc.
 */
#include <config.h>

#include "daemon/arena/quota.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define EVERYBODY UINT32_MAX
#define GIB       (UINT64_C(1) << 30)

static int64_t fail_after = -1;         /* so many succeed, then all fail; -1: none fails */
static int64_t nr_users;                /* that the quota remembers, and the quota itself */
static bool is_counted;

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

void *__wrap_calloc(size_t nr, size_t size)
{
	if (is_counted && fail_after == 0)
		return NULL;
	if (is_counted && fail_after > 0)
		fail_after--;
	nr_users += is_counted;
	return __real_calloc(nr, size);
}

/* What @call allocates counts and may fail; Check allocates too. */
#define counted(call)               \
	__extension__({             \
		is_counted = true;  \
		int r_ = (call);    \
		is_counted = false; \
		r_;                 \
	})

static struct quota *quota;
static struct why why;

static void setup(void)
{
	ck_assert_int_eq(quota_new(&quota), 0);
	why.text[0] = '\0';
	fail_after = -1;
}

static void teardown(void)
{
	quota_free(quota);
}

static void limit(uint32_t uid, enum quota_kind kind, uint64_t value)
{
	ck_assert_int_eq(quota_set_limit(quota, uid, kind, value), 0);
}

static int charge(uint32_t uid, enum quota_kind kind, uint64_t amount)
{
	return quota_charge(quota, uid, kind, amount, &why);
}

START_TEST(test_quota_charge_up_to_the_limit_and_not_beyond)
{
	limit(1000, QUOTA_ALLOCATIONS, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(charge(1000, QUOTA_ALLOCATIONS, 1), 0);
	ck_assert_int_eq(charge(1000, QUOTA_ALLOCATIONS, 1), -EDQUOT);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_ALLOCATIONS), 3);
	quota_return(quota, 1000, QUOTA_ALLOCATIONS, 1);
	ck_assert_int_eq(charge(1000, QUOTA_ALLOCATIONS, 1), 0);
	ck_assert_int_eq(charge(1000, QUOTA_ALLOCATIONS, 1), -EDQUOT);
}
END_TEST

START_TEST(test_quota_refusal_says_used_limit_asked_and_what_to_do)
{
	limit(1000, QUOTA_BYTES, 10 * GIB);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 9 * GIB + GIB / 2), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, GIB), -EDQUOT);
	ck_assert_str_eq(why.text, "quota of user 1000 is used up: 9.5G of 10G bytes used, 1G "
				   "asked for; free something or raise the limit");
	limit(1000, QUOTA_ALLOCATIONS, 1);
	ck_assert_int_eq(charge(1000, QUOTA_ALLOCATIONS, 2), -EDQUOT);
	ck_assert_str_eq(why.text, "quota of user 1000 is used up: 0 of 1 allocations used, 2 "
				   "asked for; free something or raise the limit");
	limit(1000, QUOTA_SESSIONS, 1024);
	ck_assert_int_eq(charge(1000, QUOTA_SESSIONS, 1024), 0);
	ck_assert_int_eq(charge(1000, QUOTA_SESSIONS, 1), -EDQUOT);
	ck_assert_str_eq(why.text, "quota of user 1000 is used up: 1024 of 1024 sessions used, 1 "
				   "asked for; close one or raise the limit");
	limit(1000, QUOTA_LEASED_BYTES, 4096);
	ck_assert_int_eq(charge(1000, QUOTA_LEASED_BYTES, 4097), -EDQUOT);
	ck_assert_str_eq(why.text, "quota of user 1000 is used up: 0 of 4K leased bytes used, 4.1K "
				   "asked for; give a lease back or raise the limit");
}
END_TEST

/* Rounded so that what does not fit never looks as if it did. */
START_TEST(test_quota_refusal_rounds_the_limit_down_and_the_rest_up)
{
	limit(7, QUOTA_BYTES, 10 * GIB - 1);
	ck_assert_int_eq(charge(7, QUOTA_BYTES, 9 * GIB + 1), 0);
	ck_assert_int_eq(charge(7, QUOTA_BYTES, GIB - 1), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(why.text, "9.1G of 9.9G bytes used, 1024M asked for"));
	limit(7, QUOTA_BYTES, UINT64_MAX);
	ck_assert_int_eq(charge(7, QUOTA_BYTES, UINT64_MAX), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(why.text, "9.1G of 15.9E bytes used, 16E asked for"));
}
END_TEST

START_TEST(test_quota_default_is_for_users_without_their_own)
{
	limit(EVERYBODY, QUOTA_BYTES, 100);
	limit(1000, QUOTA_BYTES, 200);
	limit(1001, QUOTA_BYTES, 0);
	limit(1002, QUOTA_SESSIONS, 1);
	ck_assert_uint_eq(quota_limit(quota, 1000, QUOTA_BYTES), 200);
	ck_assert_uint_eq(quota_limit(quota, 1001, QUOTA_BYTES), 0);
	ck_assert_uint_eq(quota_limit(quota, 1002, QUOTA_BYTES), 100);
	ck_assert_uint_eq(quota_limit(quota, 1003, QUOTA_BYTES), 100);
	ck_assert_uint_eq(quota_limit(quota, 1003, QUOTA_SESSIONS), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 150), 0);
	ck_assert_int_eq(charge(1001, QUOTA_BYTES, 1 << 30), 0);
	ck_assert_int_eq(charge(1002, QUOTA_BYTES, 150), -EDQUOT);
	ck_assert_int_eq(charge(1003, QUOTA_BYTES, 150), -EDQUOT);
}
END_TEST

START_TEST(test_quota_root_has_a_limit_only_by_name)
{
	limit(EVERYBODY, QUOTA_BYTES, 100);
	ck_assert_int_eq(charge(0, QUOTA_BYTES, 1000), 0);
	limit(0, QUOTA_BYTES, 1000);
	ck_assert_int_eq(charge(0, QUOTA_BYTES, 1), -EDQUOT);
}
END_TEST

START_TEST(test_quota_users_and_kinds_do_not_mix)
{
	ck_assert_int_eq(charge(1, QUOTA_BYTES, 10), 0);
	ck_assert_int_eq(charge(2, QUOTA_BYTES, 20), 0);
	ck_assert_int_eq(charge(2, QUOTA_SESSIONS, 3), 0);
	quota_return(quota, 2, QUOTA_BYTES, 5);
	ck_assert_uint_eq(quota_used(quota, 1, QUOTA_BYTES), 10);
	ck_assert_uint_eq(quota_used(quota, 2, QUOTA_BYTES), 15);
	ck_assert_uint_eq(quota_used(quota, 2, QUOTA_SESSIONS), 3);
	ck_assert_uint_eq(quota_used(quota, 3, QUOTA_BYTES), 0);
}
END_TEST

START_TEST(test_quota_charge_anyway_passes_the_limit_and_blocks_further_ones)
{
	limit(1000, QUOTA_BYTES, 100);
	ck_assert_int_eq(quota_charge_anyway(quota, 1000, QUOTA_BYTES, 150), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 1), -EDQUOT);
	quota_return(quota, 1000, QUOTA_BYTES, 50);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 1), -EDQUOT);
	quota_return(quota, 1000, QUOTA_BYTES, 1);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 1), 0);
}
END_TEST

START_TEST(test_quota_more_than_can_be_counted_is_refused)
{
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, UINT64_MAX), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 1), -EDQUOT);
	ck_assert_int_eq(quota_charge_anyway(quota, 1000, QUOTA_BYTES, 1), -EOVERFLOW);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_BYTES), UINT64_MAX);
}
END_TEST

START_TEST(test_quota_clear_limits_twice_keeps_the_charges)
{
	limit(EVERYBODY, QUOTA_BYTES, 10);
	limit(1000, QUOTA_BYTES, 100);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 60), 0);
	quota_clear_limits(quota);
	quota_clear_limits(quota);
	ck_assert_uint_eq(quota_limit(quota, 1000, QUOTA_BYTES), 0);
	ck_assert_uint_eq(quota_limit(quota, 1001, QUOTA_BYTES), 0);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_BYTES), 60);
	limit(1000, QUOTA_BYTES, 70);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 11), -EDQUOT);
}
END_TEST

START_TEST(test_quota_withheld_is_charged_beyond_the_limit_and_named)
{
	limit(1000, QUOTA_BYTES, 10 * GIB);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 4 * GIB), 0);
	ck_assert_int_eq(quota_withhold(quota, 1000, QUOTA_BYTES, 8 * GIB), 0);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_BYTES), 12 * GIB);
	ck_assert_uint_eq(quota_withheld(quota, 1000, QUOTA_BYTES), 8 * GIB);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, GIB), -EDQUOT);
	ck_assert_str_eq(
		why.text,
		"quota of user 1000 is used up: 12G of 10G bytes used, 8G of it freed and still "
		"held by sessions of this user, "
		"1G asked for; unmap and close what was freed, free something or raise the limit");
	ck_assert_int_eq(quota_check(quota, 1000, QUOTA_BYTES, 0, &why), -EDQUOT);
	ck_assert_ptr_null(strstr(why.text, "asked for"));
	quota_regain(quota, 1000, QUOTA_BYTES, 8 * GIB);
	ck_assert_uint_eq(quota_withheld(quota, 1000, QUOTA_BYTES), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 6 * GIB), 0);
	ck_assert_int_eq(quota_check(quota, 1000, QUOTA_BYTES, 0, &why), 0);
	ck_assert_int_eq(quota_check(quota, 1000, QUOTA_BYTES, 1, &why), -EDQUOT);
}
END_TEST

START_TEST(test_quota_share_and_whole_must_both_have_room)
{
	struct quota *share, *other;

	ck_assert_int_eq(quota_new_share(&share, quota, "main"), 0);
	ck_assert_int_eq(quota_new_share(&other, quota, "other"), 0);
	ck_assert_int_eq(quota_set_limit(share, EVERYBODY, QUOTA_ALLOCATIONS, 3), 0);
	limit(1000, QUOTA_ALLOCATIONS, 4);
	ck_assert_int_eq(quota_charge(share, 1000, QUOTA_ALLOCATIONS, 3, &why), 0);
	ck_assert_int_eq(quota_charge(share, 1000, QUOTA_ALLOCATIONS, 1, &why), -EDQUOT);
	ck_assert_str_eq(why.text, "share of user 1000 of arena main is used up: 3 of 3 "
				   "allocations used, 1 asked for; free something or set a limit "
				   "in [quota 1000]");
	ck_assert_int_eq(quota_charge(other, 1000, QUOTA_ALLOCATIONS, 1, &why), 0);
	ck_assert_int_eq(quota_charge(other, 1000, QUOTA_ALLOCATIONS, 1, &why), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(why.text, "quota of user 1000 is used up: 4 of 4"));
	ck_assert_int_eq(quota_withhold(other, 1000, QUOTA_ALLOCATIONS, 2), 0);
	ck_assert_uint_eq(quota_withheld(quota, 1000, QUOTA_ALLOCATIONS), 2);
	quota_free(other);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_ALLOCATIONS), 3);
	quota_return(share, 1000, QUOTA_ALLOCATIONS, 1);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_ALLOCATIONS), 2);
	quota_free(share);
	ck_assert_uint_eq(quota_used(quota, 1000, QUOTA_ALLOCATIONS), 0);
}
END_TEST

START_TEST(test_quota_nothing_costs_nothing)
{
	int64_t before = nr_users;

	ck_assert_int_eq(counted(quota_charge(quota, 1000, QUOTA_BYTES, 0, NULL)), 0);
	quota_return(quota, 1000, QUOTA_BYTES, 0);
	ck_assert_int_eq(nr_users, before);
	limit(1000, QUOTA_BYTES, 1);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 1), 0);
	ck_assert_int_eq(charge(1000, QUOTA_BYTES, 0), 0);
	ck_assert_int_eq(quota_charge(quota, 1000, QUOTA_BYTES, 1, NULL), -EDQUOT);
	quota_free(NULL);
}
END_TEST

START_TEST(test_quota_user_with_nothing_is_forgotten)
{
	/* A user who is remembered is found without memory; one who was forgotten is not. */
	for (uint32_t uid = 1; uid < 1000; uid++) {
		ck_assert_int_eq(charge(uid, QUOTA_SESSIONS, 1), 0);
		if (uid % 2)
			quota_return(quota, uid, QUOTA_SESSIONS, 1);
	}
	fail_after = 0;
	for (uint32_t uid = 1; uid < 1000; uid++)
		ck_assert_int_eq(counted(quota_charge(quota, uid, QUOTA_SESSIONS, 1, NULL)),
				 uid % 2 ? -ENOMEM : 0);
}
END_TEST

static int set_and_charge(struct quota **out)
{
	int r = counted(quota_new(out));

	if (r < 0)
		return r;
	r = counted(quota_set_limit(*out, 1, QUOTA_BYTES, 10));
	if (r == 0)
		r = counted(quota_charge(*out, 2, QUOTA_BYTES, 10, &why));
	if (r < 0)
		ck_assert_uint_eq(quota_used(*out, 2, QUOTA_BYTES), 0);
	if (r == 0)
		r = counted(quota_charge_anyway(*out, 3, QUOTA_BYTES, 10));
	if (r < 0)
		ck_assert_uint_eq(quota_used(*out, 3, QUOTA_BYTES), 0);
	return r;
}

START_TEST(test_quota_users_are_walked_in_order_with_a_charge_or_a_limit)
{
	uint32_t uid = 0, seen[3] = { 0 };
	size_t nr = 0;

	ck_assert(!quota_next_user(quota, &uid));
	ck_assert_int_eq(quota_charge_anyway(quota, UINT32_MAX - 1, QUOTA_BYTES, 1), 0);
	ck_assert_int_eq(quota_charge_anyway(quota, 7, QUOTA_SESSIONS, 1), 0);
	ck_assert_int_eq(quota_set_limit(quota, 9, QUOTA_BYTES, 1), 0);
	ck_assert_int_eq(quota_set_limit(quota, EVERYBODY, QUOTA_BYTES, 1), 0);
	for (; quota_next_user(quota, &uid) && nr < 3; uid++)
		seen[nr++] = uid;
	ck_assert_uint_eq(nr, 3);
	ck_assert(seen[0] == 7 && seen[1] == 9 && seen[2] == UINT32_MAX - 1);
	quota_return(quota, 7, QUOTA_SESSIONS, 1);
	uid = 0;
	ck_assert(quota_next_user(quota, &uid) && uid == 9);
}
END_TEST

START_TEST(test_quota_any_allocation_fails_nothing_is_charged)
{
	struct quota *q = NULL;
	int64_t n = 0;
	int r;

	do {
		quota_free(q);
		q = NULL;
		fail_after = n++;
		r = set_and_charge(&q);
		ck_assert(r == 0 || r == -ENOMEM);
	} while (r < 0);
	ck_assert_int_eq(n, 5);
	ck_assert_str_eq(why.text, "out of memory for the quota of user 2");
	quota_free(q);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_quota_charge_up_to_the_limit_and_not_beyond);
	tcase_add_test(t, test_quota_refusal_says_used_limit_asked_and_what_to_do);
	tcase_add_test(t, test_quota_refusal_rounds_the_limit_down_and_the_rest_up);
	tcase_add_test(t, test_quota_default_is_for_users_without_their_own);
	tcase_add_test(t, test_quota_root_has_a_limit_only_by_name);
	tcase_add_test(t, test_quota_users_and_kinds_do_not_mix);
	tcase_add_test(t, test_quota_charge_anyway_passes_the_limit_and_blocks_further_ones);
	tcase_add_test(t, test_quota_more_than_can_be_counted_is_refused);
	tcase_add_test(t, test_quota_clear_limits_twice_keeps_the_charges);
	tcase_add_test(t, test_quota_withheld_is_charged_beyond_the_limit_and_named);
	tcase_add_test(t, test_quota_share_and_whole_must_both_have_room);
	tcase_add_test(t, test_quota_nothing_costs_nothing);
	tcase_add_test(t, test_quota_user_with_nothing_is_forgotten);
	tcase_add_test(t, test_quota_users_are_walked_in_order_with_a_charge_or_a_limit);
	tcase_add_test(t, test_quota_any_allocation_fails_nothing_is_charged);
}

UNIT("quota", { .add = add_tests, .setup = setup, .teardown = teardown });
