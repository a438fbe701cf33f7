/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_backed: which pages have their blocks, and the bound on those that nobody uses.
 */
#include <config.h>

#include "daemon/space/backed.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define NR_PAGES 200
#define MAX_FREE 10

static int fail_at;

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

void *__wrap_calloc(size_t nr, size_t size)
{
	return fail_at > 0 && --fail_at == 0 ? NULL : __real_calloc(nr, size);
}

static struct backed *backed;

static void setup(void)
{
	ck_assert_int_eq(backed_new(&backed, NR_PAGES, MAX_FREE), 0);
}

static void teardown(void)
{
	backed_free(backed);
}

START_TEST(test_backed_use_is_remembered_until_forgotten)
{
	ck_assert(!backed_has(backed, 60, 10));
	backed_use(backed, 60, 10);
	ck_assert(backed_has(backed, 60, 10));
	ck_assert(!backed_has(backed, 59, 10));
	ck_assert(!backed_has(backed, 61, 10));
	backed_forget(backed, 65, 1);
	ck_assert(!backed_has(backed, 60, 10));
	ck_assert(backed_has(backed, 60, 5));
	ck_assert(backed_has(backed, 66, 4));
}
END_TEST

START_TEST(test_backed_keep_counts_what_is_free)
{
	backed_use(backed, 0, 6);
	ck_assert(backed_keep(backed, 0, 6));
	ck_assert_uint_eq(backed_nr_free(backed), 6);
	backed_use(backed, 2, 2);
	ck_assert_uint_eq(backed_nr_free(backed), 4);
	backed_forget(backed, 0, 2);
	ck_assert_uint_eq(backed_nr_free(backed), 2);
	ck_assert(backed_has(backed, 2, 4));
}
END_TEST

START_TEST(test_backed_keep_twice_counts_once)
{
	backed_use(backed, 7, 3);
	ck_assert(backed_keep(backed, 7, 3));
	ck_assert(backed_keep(backed, 7, 3));
	ck_assert_uint_eq(backed_nr_free(backed), 3);
}
END_TEST

START_TEST(test_backed_keep_of_what_was_never_used_is_refused)
{
	backed_use(backed, 0, 3);
	ck_assert(!backed_keep(backed, 0, 4));
	/* Nothing of it is known to have its blocks any more: it will be punched. */
	ck_assert(!backed_has(backed, 0, 1));
	ck_assert_uint_eq(backed_nr_free(backed), 0);
}
END_TEST

START_TEST(test_backed_keep_beyond_the_bound_is_refused_and_forgotten)
{
	backed_use(backed, 0, NR_PAGES);
	ck_assert(backed_keep(backed, 0, MAX_FREE));
	ck_assert(!backed_keep(backed, MAX_FREE, 1));
	ck_assert(!backed_has(backed, MAX_FREE, 1));
	ck_assert_uint_eq(backed_nr_free(backed), MAX_FREE);
	backed_use(backed, 0, 1);
	ck_assert(backed_keep(backed, 20, 1));
}
END_TEST

START_TEST(test_backed_none_has_none)
{
	ck_assert(!backed_has(NULL, 0, 1));
	ck_assert(!backed_keep(NULL, 0, 1));
	backed_use(NULL, 0, 1);
	backed_forget(NULL, 0, 1);
	ck_assert_uint_eq(backed_nr_free(NULL), 0);
	backed_free(NULL);
}
END_TEST

START_TEST(test_backed_new_fails_for_any_missing_memory)
{
	struct backed *other = NULL;
	int n = 1;

	for (;; n++) {
		fail_at = n;
		if (backed_new(&other, NR_PAGES, 1) == 0)
			break;
		ck_assert_ptr_null(other);
	}
	ck_assert_int_gt(n, 3);
	fail_at = 0;
	backed_free(other);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_backed_use_is_remembered_until_forgotten);
	tcase_add_test(t, test_backed_keep_counts_what_is_free);
	tcase_add_test(t, test_backed_keep_twice_counts_once);
	tcase_add_test(t, test_backed_keep_of_what_was_never_used_is_refused);
	tcase_add_test(t, test_backed_keep_beyond_the_bound_is_refused_and_forgotten);
	tcase_add_test(t, test_backed_none_has_none);
	tcase_add_test(t, test_backed_new_fails_for_any_missing_memory);
}

UNIT("backed", { .add = add_tests, .setup = setup, .teardown = teardown });
