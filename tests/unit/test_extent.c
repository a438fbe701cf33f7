/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: each operation against a plain array of units that knows the answer by looking at all of them; every allocation
 * failing in turn; the reserve; what a range costs.
 *
 * Links with --wrap=malloc,--wrap=calloc.
 */
#include <config.h>

#include "daemon/arena/extent.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- allocations that fail and are counted ---- */

static int64_t fail_after = -1;         /* so many succeed, then all fail; -1: none fails */
static uint64_t allocated_bytes;
static bool is_counted;                 /* Check allocates too */

/* What @call allocates counts and may fail. */
#define counted(call) __extension__ ({ is_counted = true; int r_ = (call); is_counted = false; r_; })

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);

static bool may_allocate(size_t size)
{
	if (!is_counted)
		return true;
	if (fail_after == 0)
		return false;
	if (fail_after > 0)
		fail_after--;
	allocated_bytes += size;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return may_allocate(size) ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return may_allocate(nr * size) ? __real_calloc(nr, size) : NULL;
}

static void setup(void)
{
	fail_after = -1;
}

static struct extent_map *new_map(uint64_t boundary)
{
	struct extent_map *map;

	ck_assert_int_eq(counted(extent_map_new(&map, boundary)), 0);
	return map;
}

static void release(struct extent_map *map, uint64_t off, uint64_t len)
{
	struct extent range = { off, len };

	ck_assert_int_eq(counted(extent_release(map, range, NULL)), 0);
}

static void expect_range(const struct extent_map *map, uint64_t at, uint64_t off, uint64_t len)
{
	struct extent found;

	ck_assert(extent_find(&found, map, at));
	ck_assert_uint_eq(found.off, off);
	ck_assert_uint_eq(found.len, len);
}

/* ---- the model ---- */

#define UNITS 256

struct model {
	bool free[UNITS];
	uint64_t boundary;
};

static bool begins(const struct model *m, uint64_t i)
{
	return m->free[i] && (i == 0 || !m->free[i - 1] || (m->boundary && i % m->boundary == 0));
}

/* The range that begins at or after @i. */
static bool model_next(struct extent *out, const struct model *m, uint64_t i)
{
	uint64_t end;

	while (i < UNITS && !begins(m, i))
		i++;
	if (i == UNITS)
		return false;
	for (end = i + 1; end < UNITS && m->free[end] && !begins(m, end); end++)
		;
	*out = (struct extent){ i, end - i };
	return true;
}

/* Shortest that is at least @len, lowest of those; @len 0: the longest. */
static bool model_best(struct extent *out, const struct model *m, uint64_t len)
{
	struct extent range = { 0, 0 }, best = { 0, 0 };

	for (uint64_t i = 0; model_next(&range, m, i); i = range.off + range.len) {
		bool better = len ? range.len >= len && (!best.len || range.len < best.len) : range.len > best.len;

		if (better)
			best = range;
	}
	*out = best;
	return best.len > 0;
}

static bool model_is(const struct model *m, uint64_t off, uint64_t len, bool free)
{
	for (uint64_t i = off; i < off + len; i++)
		if (m->free[i] != free)
			return false;
	return true;
}

static void model_set(struct model *m, uint64_t off, uint64_t len, bool free)
{
	memset(m->free + off, free, len);
}

static bool is_same(const struct extent_map *map, const struct model *m)
{
	struct extent want, got, longest = { 0, 0 };
	uint64_t i = 0, total = 0, count = 0;

	for (; model_next(&want, m, i); i = want.off + want.len) {
		if (!extent_find(&got, map, i) || got.off != want.off || got.len != want.len)
			return false;
		total += want.len;
		count++;
	}
	model_best(&longest, m, 0);
	return !extent_find(&got, map, i) && extent_total(map) == total && extent_count(map) == count &&
	       extent_largest(map) == longest.len;
}

static void random_claim(struct extent_map *map, struct model *m)
{
	uint64_t len = 1 + (uint64_t)random() % 12;
	struct extent want, got;

	if (!model_best(&want, m, len)) {
		ck_assert_int_eq(extent_claim(&got, map, len), -ENOSPC);
		return;
	}
	ck_assert_int_eq(extent_claim(&got, map, len), 0);
	ck_assert_uint_eq(got.off, want.off);
	ck_assert_uint_eq(got.len, len);
	model_set(m, got.off, got.len, false);
}

static void random_claim_largest(struct extent_map *map, struct model *m)
{
	uint64_t max = 1 + (uint64_t)random() % 40;
	struct extent want, got;

	if (!model_best(&want, m, 0)) {
		ck_assert_int_eq(extent_claim_largest(&got, map, max), -ENOSPC);
		return;
	}
	ck_assert_int_eq(extent_claim_largest(&got, map, max), 0);
	ck_assert_uint_eq(got.off, want.off);
	ck_assert_uint_eq(got.len, want.len < max ? want.len : max);
	model_set(m, got.off, got.len, false);
}

static struct extent random_range(void)
{
	uint64_t off = (uint64_t)random() % UNITS, len = 1 + (uint64_t)random() % 10;

	return (struct extent){ off, len < UNITS - off ? len : UNITS - off };
}

static void random_claim_at(struct extent_map *map, struct model *m)
{
	struct extent range = random_range();
	bool there = model_is(m, range.off, range.len, true);

	ck_assert_int_eq(extent_claim_at(map, range.off, range.len), there ? 0 : -ENOENT);
	if (there)
		model_set(m, range.off, range.len, false);
}

static void random_release(struct extent_map *map, struct model *m)
{
	struct extent range = random_range(), merged = { 0, 0 }, now;
	int expected = 0;

	if (m->boundary && range.off / m->boundary != (range.off + range.len - 1) / m->boundary)
		expected = -EINVAL;
	else if (!model_is(m, range.off, range.len, false))
		expected = -EEXIST;
	ck_assert_int_eq(extent_release(map, range, &merged), expected);
	if (expected < 0)
		return;
	model_set(m, range.off, range.len, true);
	ck_assert(extent_find(&now, map, range.off));
	ck_assert_uint_eq(merged.off, now.off);
	ck_assert_uint_eq(merged.len, now.len);
}

static void (*const random_step[])(struct extent_map *map, struct model *m) = {
	random_claim, random_claim_at, random_claim_at, random_claim_largest, random_release, random_release, random_release,
	random_release,
};

static const uint64_t boundaries[] = { 0, 1, 7, 16, 64 };

START_TEST(test_extent_random_steps_match_the_model)
{
	struct model m = { .boundary = boundaries[_i] };
	struct extent_map *map = new_map(m.boundary);

	srandom(4711 + (unsigned)_i);
	for (int i = 0; i < 10000; i++) {
		random_step[(size_t)random() % (sizeof(random_step) / sizeof(random_step[0]))](map, &m);
		ck_assert(is_same(map, &m));
	}
	extent_map_free(map);
}
END_TEST

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

int main(void)
{
	Suite *suite = suite_create("extent");
	TCase *tc = tcase_create("extent");
	SRunner *runner;
	int nr_failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, test_extent_random_steps_match_the_model, 0, sizeof(boundaries) / sizeof(boundaries[0]));
	tcase_add_test(tc, test_extent_claim_takes_the_shortest_then_the_lowest);
	tcase_add_test(tc, test_extent_claim_at_twice_is_refused_the_second_time);
	tcase_add_test(tc, test_extent_claim_at_takes_from_ranges_that_touch_on_a_boundary);
	tcase_add_test(tc, test_extent_empty_map_has_nothing_to_give);
	tcase_add_test(tc, test_extent_no_length_and_no_end_are_refused);
	tcase_add_test(tc, test_extent_release_twice_is_refused_the_second_time);
	tcase_add_test(tc, test_extent_release_between_neighbours_merges_three);
	tcase_add_test(tc, test_extent_release_across_a_boundary_is_refused);
	tcase_add_test(tc, test_extent_any_allocation_fails_nothing_changes);
	tcase_add_test(tc, test_extent_claims_without_a_new_range_need_no_memory);
	tcase_add_test(tc, test_extent_reserve_makes_so_many_operations_infallible);
	tcase_add_test(tc, test_extent_reserve_fails_without_memory);
	tcase_add_test(tc, test_extent_range_costs_at_most_81_bytes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
