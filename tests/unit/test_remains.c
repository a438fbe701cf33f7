/* SPDX-License-Identifier: BSD-3-Clause */
/* test_remains: whose pages are kept, for whom, how many, and for how long. */
#include <config.h>

#include "daemon/space/remains.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define MAX    100
#define ANNA   1001
#define BERTA  1002

static int fail_at;

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_calloc(size_t nr, size_t size)
{
	return fail_at > 0 && --fail_at == 0 ? NULL : __real_calloc(nr, size);
}

void *__wrap_malloc(size_t size)
{
	return fail_at > 0 && --fail_at == 0 ? NULL : __real_malloc(size);
}

static struct remains *remains;

static void setup(void)
{
	fail_at = 0;
	ck_assert_int_eq(remains_new(&remains, MAX), 0);
}

static void teardown(void)
{
	fail_at = 0;
	remains_free(remains);
}

static bool keep(uint32_t uid, uint64_t off, uint64_t len)
{
	return remains_keep(remains, uid, (struct extent){ off, len });
}

START_TEST(test_remains_are_kept_for_who_asks_alone)
{
	struct extent e;

	ck_assert(!keep(ANNA, 0, 4));
	remains_ask(remains, ANNA);
	ck_assert(keep(ANNA, 0, 4));
	ck_assert(!keep(BERTA, 8, 4));
	remains_ask(remains, BERTA);
	ck_assert_int_eq(remains_claim(&e, remains, BERTA, 1), -ENOSPC);
	ck_assert_int_eq(remains_claim_largest(&e, remains, BERTA, 1), -ENOSPC);
	ck_assert_uint_eq(remains_total_of(remains, BERTA), 0);
	ck_assert_int_eq(remains_claim(&e, remains, ANNA, 3), 0);
	ck_assert_uint_eq(e.off, 0);
	ck_assert_uint_eq(e.len, 3);
	ck_assert_int_eq(remains_claim(&e, remains, ANNA, 2), -ENOSPC);
	ck_assert_int_eq(remains_claim_largest(&e, remains, ANNA, 2), 0);
	ck_assert_uint_eq(e.off, 3);
	ck_assert_uint_eq(e.len, 1);
	ck_assert_uint_eq(remains_total(remains), 0);
}
END_TEST

START_TEST(test_remains_are_so_many_and_no_more)
{
	struct extent e;

	remains_ask(remains, ANNA);
	remains_ask(remains, BERTA);
	ck_assert(keep(ANNA, 0, 60));
	ck_assert(!keep(BERTA, 60, 41));
	ck_assert(keep(BERTA, 60, 40));
	ck_assert(!keep(ANNA, 200, 1));
	ck_assert_uint_eq(remains_total(remains), MAX);
	ck_assert_uint_eq(remains_largest(remains), 60);
	ck_assert_uint_eq(remains_count(remains), 2);
	/* whoever had it: it goes to the scrubber */
	ck_assert_int_eq(remains_claim_any(&e, remains, 50), 0);
	ck_assert_uint_eq(e.len, 50);
	ck_assert_int_eq(remains_claim_any(&e, remains, 50), 0);
	ck_assert_int_eq(remains_claim_any(&e, remains, 50), 0);
	ck_assert_int_eq(remains_claim_any(&e, remains, 50), -ENOSPC);
	ck_assert_uint_eq(remains_total(remains), 0);
}
END_TEST

START_TEST(test_remains_lose_a_page_that_went_bad)
{
	struct extent e;

	remains_ask(remains, ANNA);
	remains_ask(remains, BERTA);
	ck_assert(keep(BERTA, 10, 5));
	ck_assert_int_eq(remains_claim_page(remains, 9), -ENOENT);
	ck_assert_int_eq(remains_claim_page(remains, 12), 0);
	ck_assert_int_eq(remains_claim_page(remains, 12), -ENOENT);
	ck_assert_uint_eq(remains_total(remains), 4);
	ck_assert_int_eq(remains_claim(&e, remains, BERTA, 3), -ENOSPC);
}
END_TEST

START_TEST(test_remains_of_who_does_not_ask_any_more_are_idle)
{
	unsigned rounds = 0;
	struct extent e;

	remains_ask(remains, ANNA);
	remains_ask(remains, BERTA);
	ck_assert(keep(ANNA, 0, 4));
	ck_assert(keep(BERTA, 8, 4));
	while (remains_claim_idle(&e, remains, 100) == -ENOSPC && rounds < 100) {
		remains_ask(remains, BERTA);
		remains_age(remains);
		rounds++;
	}
	ck_assert_uint_gt(rounds, 2);
	ck_assert_uint_eq(e.off, 0);
	ck_assert_uint_eq(e.len, 4);
	ck_assert_int_eq(remains_claim_idle(&e, remains, 100), -ENOSPC);
	ck_assert(!keep(ANNA, 0, 4));
	ck_assert_uint_eq(remains_total(remains), 4);
}
END_TEST

START_TEST(test_remains_without_memory_are_not_kept)
{
	struct remains *other;

	fail_at = 1;
	ck_assert_int_eq(remains_new(&other, MAX), -ENOMEM);
	for (int i = 1; i <= 2; i++) {
		fail_at = i;
		remains_ask(remains, ANNA);
		fail_at = 0;
		ck_assert(!keep(ANNA, 0, 4));
	}
	remains_ask(remains, ANNA);
	fail_at = 1;
	ck_assert(!keep(ANNA, 0, 4));
	fail_at = 0;
	ck_assert_uint_eq(remains_total(remains), 0);
	ck_assert(keep(ANNA, 0, 4));
	remains_free(NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_remains_are_kept_for_who_asks_alone);
	tcase_add_test(t, test_remains_are_so_many_and_no_more);
	tcase_add_test(t, test_remains_lose_a_page_that_went_bad);
	tcase_add_test(t, test_remains_of_who_does_not_ask_any_more_are_idle);
	tcase_add_test(t, test_remains_without_memory_are_not_kept);
}

UNIT("remains", { .add = add_tests, .setup = setup, .teardown = teardown });
