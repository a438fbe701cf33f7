/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines that a client can cause: a few an interval, kind and user, then a count; nobody's are lost
 * for another's.
 */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "daemon/log_limit.h"
#include "tests/unit/unit.h"

static struct log_limit limit;
static enum log_kind kind;
static uint32_t uid;

static void setup(void)
{
	limit = (struct log_limit){ 0 };
}

/* How many of @nr lines may be written. */
static int ask(enum log_kind what, uint32_t who, int nr, uint64_t now_ns)
{
	int nr_written = 0;

	for (int i = 0; i < nr; i++)
		nr_written += log_limit_allows(&limit, what, who, now_ns);
	return nr_written;
}

START_TEST(test_limit_flood_is_a_few_lines_and_a_count)
{
	ck_assert_int_eq(ask(LOG_KIND_PROTOCOL, 1000, 2000, 5), LOG_LIMIT_LINES);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 5, false), 0);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 5 + LOG_LIMIT_INTERVAL_NS, false),
			  2000 - LOG_LIMIT_LINES);
	ck_assert(kind == LOG_KIND_PROTOCOL && uid == 1000);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 5 + LOG_LIMIT_INTERVAL_NS, false), 0);
	ck_assert_int_eq(ask(LOG_KIND_PROTOCOL, 1000, 2000, 6 + LOG_LIMIT_INTERVAL_NS),
			 LOG_LIMIT_LINES);
}
END_TEST

START_TEST(test_limit_of_one_user_and_kind_leaves_others_alone)
{
	ask(LOG_KIND_PROTOCOL, 1000, 2000, 5);
	ck_assert_int_eq(ask(LOG_KIND_PROTOCOL, 1001, 1, 5), 1);
	ck_assert_int_eq(ask(LOG_KIND_PROTOCOL, 0, 1, 5), 1);
	ck_assert_int_eq(ask(LOG_KIND_REFUSED, 1000, 1, 5), 1);
}
END_TEST

START_TEST(test_limit_few_lines_now_and_then_are_all_written)
{
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(
			ask(LOG_KIND_SILENT, 7, LOG_LIMIT_LINES, i * LOG_LIMIT_INTERVAL_NS),
			LOG_LIMIT_LINES);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 100 * LOG_LIMIT_INTERVAL_NS, false),
			  0);
}
END_TEST

START_TEST(test_limit_of_an_interval_that_nobody_told_of_keeps_its_count)
{
	ask(LOG_KIND_SILENT, 7, 10, 0);
	ck_assert_int_eq(ask(LOG_KIND_SILENT, 7, 10, 3 * LOG_LIMIT_INTERVAL_NS), 0);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 3 * LOG_LIMIT_INTERVAL_NS, false),
			  20 - LOG_LIMIT_LINES);
}
END_TEST

START_TEST(test_limit_more_users_than_entries_are_bounded_together)
{
	int nr = 0;
	uint32_t nr_told = 0, left;

	for (uint32_t who = 0; who < 10000; who++)
		nr += ask(LOG_KIND_PROTOCOL, who, 3, 5);
	ck_assert_int_eq(nr, 3 * LOG_LIMIT_ENTRIES + LOG_LIMIT_LINES);
	while ((left = log_limit_next(&kind, &uid, &limit, 6, true)) > 0) {
		ck_assert_uint_eq(uid, LOG_LIMIT_ANYBODY);
		nr_told += left;
	}
	ck_assert_uint_eq((uint32_t)nr + nr_told, 30000);
}
END_TEST

START_TEST(test_limit_all_is_told_at_the_end)
{
	ask(LOG_KIND_REFUSED, 3, 9, 5);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 6, true), 9 - LOG_LIMIT_LINES);
	ck_assert_uint_eq(log_limit_next(&kind, &uid, &limit, 6, true), 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_limit_flood_is_a_few_lines_and_a_count);
	tcase_add_test(t, test_limit_of_one_user_and_kind_leaves_others_alone);
	tcase_add_test(t, test_limit_few_lines_now_and_then_are_all_written);
	tcase_add_test(t, test_limit_of_an_interval_that_nobody_told_of_keeps_its_count);
	tcase_add_test(t, test_limit_more_users_than_entries_are_bounded_together);
	tcase_add_test(t, test_limit_all_is_told_at_the_end);
}

UNIT("log_limit", { .add = add_tests, .setup = setup });
