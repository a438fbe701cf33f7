/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: claims and releases, every allocation failing in turn; the reserve; what a range costs.
 * Random steps are in test_extent_model.c.
 *
 * Links with --wrap=malloc,--wrap=calloc.
 */
#include <config.h>

#include "daemon/space/extent.h"

#include <check.h>
#include <errno.h>

#include "tests/unit/extent_fixture.h"
#include "tests/unit/unit.h"

/* ---- claiming ---- */

START_TEST(test_extent_claim_takes_the_shortest_then_the_lowest)
{
	struct extent_map *map = new_map(0);
	struct extent got;

	release(map, 0, 10);
	release(map, 40, 4);
	release(map, 20, 4);
	release(map, 60, 3);
	ck_assert_int_eq(extent_claim(&got, map, 4), 0);
	ck_assert_uint_eq(got.off, 20);
	ck_assert_int_eq(extent_claim(&got, map, 4), 0);
	ck_assert_uint_eq(got.off, 40);
	ck_assert_int_eq(extent_claim(&got, map, 4), 0);
	ck_assert_uint_eq(got.off, 0);
	ck_assert_int_eq(extent_claim(&got, map, 7), -ENOSPC);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_claim_at_twice_is_refused_the_second_time)
{
	struct extent_map *map = new_map(0);

	release(map, 0, 10);
	ck_assert_int_eq(extent_claim_at(map, 4, 2), 0);
	ck_assert_int_eq(extent_claim_at(map, 4, 2), -ENOENT);
	ck_assert_int_eq(extent_claim_at(map, 5, 2), -ENOENT);
	ck_assert_int_eq(extent_claim_at(map, 3, 2), -ENOENT);
	expect_range(map, 0, 0, 4);
	expect_range(map, 4, 6, 4);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_claim_at_takes_from_ranges_that_touch_on_a_boundary)
{
	struct extent_map *map = new_map(8);

	release(map, 0, 8);
	release(map, 8, 8);
	release(map, 16, 8);
	ck_assert_uint_eq(extent_count(map), 3);
	ck_assert_int_eq(extent_claim_at(map, 6, 12), 0);
	expect_range(map, 0, 0, 6);
	expect_range(map, 6, 18, 6);
	ck_assert_uint_eq(extent_count(map), 2);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_empty_map_has_nothing_to_give)
{
	struct extent_map *map = new_map(0);
	struct extent got;

	ck_assert_int_eq(extent_claim(&got, map, 1), -ENOSPC);
	ck_assert_int_eq(extent_claim_largest(&got, map, 1), -ENOSPC);
	ck_assert_int_eq(extent_claim_at(map, 0, 1), -ENOENT);
	ck_assert(!extent_find(&got, map, 0));
	ck_assert_uint_eq(extent_largest(map), 0);
	extent_map_free(map);
	extent_map_free(NULL);
}
END_TEST

START_TEST(test_extent_no_length_and_no_end_are_refused)
{
	struct extent_map *map = new_map(0);
	struct extent got;

	release(map, UINT64_MAX - 4, 4);
	ck_assert_int_eq(extent_claim(&got, map, 0), -EINVAL);
	ck_assert_int_eq(extent_claim_largest(&got, map, 0), -EINVAL);
	ck_assert_int_eq(extent_claim_at(map, UINT64_MAX - 2, 0), -EINVAL);
	ck_assert_int_eq(extent_claim_at(map, UINT64_MAX - 2, 4), -EINVAL);
	ck_assert_int_eq(extent_release(map, (struct extent){ 1, 0 }, NULL), -EINVAL);
	ck_assert_int_eq(extent_release(map, (struct extent){ 1, UINT64_MAX }, NULL), -EINVAL);
	ck_assert_int_eq(extent_claim_at(map, UINT64_MAX - 2, 2), 0);
	expect_range(map, 0, UINT64_MAX - 4, 2);
	extent_map_free(map);
}
END_TEST

/* ---- releasing ---- */

START_TEST(test_extent_release_twice_is_refused_the_second_time)
{
	struct extent_map *map = new_map(0);
	struct extent merged = { 1, 1 };

	release(map, 4, 4);
	ck_assert_int_eq(extent_release(map, (struct extent){ 4, 4 }, &merged), -EEXIST);
	ck_assert_int_eq(extent_release(map, (struct extent){ 0, 5 }, &merged), -EEXIST);
	ck_assert_int_eq(extent_release(map, (struct extent){ 7, 5 }, &merged), -EEXIST);
	ck_assert_int_eq(extent_release(map, (struct extent){ 0, 100 }, &merged), -EEXIST);
	ck_assert_uint_eq(merged.off, 1);
	expect_range(map, 0, 4, 4);
	ck_assert_uint_eq(extent_count(map), 1);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_release_between_neighbours_merges_three)
{
	struct extent_map *map = new_map(0);
	struct extent merged;

	release(map, 0, 4);
	release(map, 6, 4);
	ck_assert_int_eq(extent_release(map, (struct extent){ 4, 2 }, &merged), 0);
	ck_assert_uint_eq(merged.off, 0);
	ck_assert_uint_eq(merged.len, 10);
	ck_assert_uint_eq(extent_count(map), 1);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_release_across_a_boundary_is_refused)
{
	struct extent_map *map = new_map(8);

	ck_assert_int_eq(extent_release(map, (struct extent){ 6, 4 }, NULL), -EINVAL);
	ck_assert_uint_eq(extent_count(map), 0);
	release(map, 6, 2);
	release(map, 8, 2);
	ck_assert_uint_eq(extent_count(map), 2);
	ck_assert_uint_eq(extent_largest(map), 2);
	extent_map_free(map);
}
END_TEST

/* ---- memory ---- */

#define SCATTERED 300

static void expect_unchanged_by(struct extent_map *map, int r, uint64_t total, uint64_t count)
{
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_uint_eq(extent_total(map), total);
	ck_assert_uint_eq(extent_count(map), count);
}

static int scatter(struct extent_map *map)
{
	for (uint64_t i = 0; i < SCATTERED; i++) {
		uint64_t total = extent_total(map), count = extent_count(map);
		struct extent range = { i * 10, 8 };
		int r = counted(extent_release(map, range, NULL));

		if (r < 0) {
			expect_unchanged_by(map, r, total, count);
			return r;
		}
	}
	return 0;
}

static int split(struct extent_map *map)
{
	for (uint64_t i = 0; i < SCATTERED; i++) {
		uint64_t total = extent_total(map), count = extent_count(map);
		int r = counted(extent_claim_at(map, i * 10 + 3, 2));

		if (r < 0) {
			expect_unchanged_by(map, r, total, count);
			return r;
		}
	}
	return 0;
}

static int fill_and_split(struct extent_map **out)
{
	struct extent_map *map;
	int r = counted(extent_map_new(&map, 0));

	if (r < 0)
		return r;
	r = scatter(map);
	if (r == 0)
		r = split(map);
	*out = map;
	return r;
}

START_TEST(test_extent_any_allocation_fails_nothing_changes)
{
	struct extent_map *map = NULL;
	int64_t n = 0;
	int r;

	do {
		extent_map_free(map);
		map = NULL;
		fail_after = n++;
		r = fill_and_split(&map);
		fail_after = -1;
		ck_assert(r == 0 || r == -ENOMEM);
	} while (r < 0);
	ck_assert_int_gt(n, 10);
	ck_assert_uint_eq(extent_count(map), 2 * SCATTERED);
	extent_map_free(map);
}
END_TEST

/* Takes all that the map has set aside. */
static void use_spares_up(struct extent_map *map)
{
	struct extent range = { 100000, 1 };

	fail_after = 0;
	while (counted(extent_release(map, range, NULL)) == 0)
		range.off += 2;
	fail_after = -1;
}

START_TEST(test_extent_claims_without_a_new_range_need_no_memory)
{
	struct extent_map *map = new_map(0);
	struct extent got;

	ck_assert_int_eq(scatter(map), 0);
	use_spares_up(map);
	fail_after = 0;
	ck_assert_int_eq(counted(extent_claim_at(map, 13, 2)), -ENOMEM);
	ck_assert_int_eq(counted(extent_claim_at(map, 5, 3)), 0);
	ck_assert_int_eq(counted(extent_claim_at(map, 0, 1)), 0);
	ck_assert_int_eq(counted(extent_claim(&got, map, 7)), 0);
	ck_assert_int_eq(counted(extent_release(map, got, NULL)), 0);
	ck_assert_int_eq(counted(extent_claim_at(map, 1, 4)), 0);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_reserve_makes_so_many_operations_infallible)
{
	struct extent_map *map = new_map(0);

	ck_assert_int_eq(scatter(map), 0);
	use_spares_up(map);
	ck_assert_int_eq(extent_map_reserve(map, 2 * SCATTERED), 0);
	ck_assert_int_eq(extent_map_reserve(map, 2 * SCATTERED), 0);
	fail_after = 0;
	ck_assert_int_eq(split(map), 0);
	for (uint64_t i = 0; i < SCATTERED; i++)
		release(map, 200000 + i * 2, 1);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_reserve_fails_without_memory)
{
	struct extent_map *map = new_map(0);

	fail_after = 3;
	ck_assert_int_eq(counted(extent_map_reserve(map, 100000)), -ENOMEM);
	fail_after = -1;
	release(map, 0, 1);
	extent_map_free(map);
}
END_TEST

START_TEST(test_extent_range_costs_at_most_81_bytes)
{
	const uint64_t nr = 20000;
	struct extent_map *map;
	uint64_t before = allocated_bytes;

	map = new_map(0);
	for (uint64_t i = 0; i < nr; i++)
		release(map, i * 2, 1);
	ck_assert_uint_le(allocated_bytes - before, nr * 81);
	/* And the memory is used again. */
	before = allocated_bytes;
	for (uint64_t i = 0; i < nr; i++)
		ck_assert_int_eq(extent_claim_at(map, i * 2, 1), 0);
	for (uint64_t i = 0; i < nr; i++)
		release(map, i * 2, 1);
	ck_assert_uint_le(allocated_bytes - before, 4096);
	extent_map_free(map);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_extent_claim_takes_the_shortest_then_the_lowest);
	tcase_add_test(t, test_extent_claim_at_twice_is_refused_the_second_time);
	tcase_add_test(t, test_extent_claim_at_takes_from_ranges_that_touch_on_a_boundary);
	tcase_add_test(t, test_extent_empty_map_has_nothing_to_give);
	tcase_add_test(t, test_extent_no_length_and_no_end_are_refused);
	tcase_add_test(t, test_extent_release_twice_is_refused_the_second_time);
	tcase_add_test(t, test_extent_release_between_neighbours_merges_three);
	tcase_add_test(t, test_extent_release_across_a_boundary_is_refused);
	tcase_add_test(t, test_extent_any_allocation_fails_nothing_changes);
	tcase_add_test(t, test_extent_claims_without_a_new_range_need_no_memory);
	tcase_add_test(t, test_extent_reserve_makes_so_many_operations_infallible);
	tcase_add_test(t, test_extent_reserve_fails_without_memory);
	tcase_add_test(t, test_extent_range_costs_at_most_81_bytes);
}

UNIT("extent", { .add = add_tests, .setup = setup, .timeout_s = 60 });
