/* SPDX-License-Identifier: BSD-3-Clause */
/* counters: what falls into which bucket, and what percentiles say of it. */
#include <config.h>

#include "daemon/service/counters.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

START_TEST(test_histogram_counts_each_value_in_one_bucket)
{
	struct histogram h = { 0 };
	uint64_t sum = 0, nr = 0;

	for (uint64_t ns = 1; ns < UINT64_C(1) << 45; ns *= 3) {
		histogram_add(&h, ns);
		sum += ns;
		nr++;
	}
	ck_assert_uint_eq(h.count, nr);
	ck_assert_uint_eq(h.sum_ns, sum);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		nr -= h.buckets[i];
	ck_assert_uint_eq(nr, 0);
}
END_TEST

START_TEST(test_histogram_bound_holds_what_is_below_it)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t bound = histogram_bound(i);
		struct histogram below = { 0 }, at = { 0 };

		histogram_add(&below, bound == UINT64_MAX ? bound : bound - 1);
		ck_assert_uint_eq(below.buckets[i], 1);
		histogram_add(&at, bound);
		ck_assert_uint_eq(at.buckets[i < HISTOGRAM_BUCKETS - 1 ? i + 1 : i], 1);
	}
}
END_TEST

START_TEST(test_histogram_empty_has_no_percentile)
{
	struct histogram h = { 0 };

	ck_assert_uint_eq(histogram_percentile(&h, 50), 0);
}
END_TEST

START_TEST(test_histogram_percentiles_are_bounds)
{
	struct histogram h = { 0 };

	for (int i = 0; i < 98; i++)
		histogram_add(&h, 3000);
	histogram_add(&h, 100000);
	histogram_add(&h, 100000000);
	ck_assert_uint_eq(histogram_percentile(&h, 50), 4000);
	ck_assert_uint_eq(histogram_percentile(&h, 98), 4000);
	ck_assert_uint_eq(histogram_percentile(&h, 99), 128000);
	ck_assert_uint_eq(histogram_percentile(&h, 100), 131072000);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_histogram_counts_each_value_in_one_bucket);
	tcase_add_test(t, test_histogram_bound_holds_what_is_below_it);
	tcase_add_test(t, test_histogram_empty_has_no_percentile);
	tcase_add_test(t, test_histogram_percentiles_are_bounds);
}

UNIT("counters", { .add = add_tests });
