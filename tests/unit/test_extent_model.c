/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: each operation against a plain array of units that knows the answer by looking at all of
 * them.
 *
 * Links with --wrap=malloc,--wrap=calloc.
 */
#include <config.h>

#include "daemon/space/extent.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/extent_fixture.h"
#include "tests/unit/unit.h"

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
		bool better = len ? range.len >= len && (!best.len || range.len < best.len)
				  : range.len > best.len;

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
	return !extent_find(&got, map, i) && extent_total(map) == total &&
	       extent_count(map) == count && extent_largest(map) == longest.len;
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
	random_claim,	random_claim_at, random_claim_at, random_claim_largest,
	random_release, random_release,	 random_release,  random_release,
};

static const uint64_t boundaries[] = { 0, 1, 7, 16, 64 };

START_TEST(test_extent_random_steps_match_the_model)
{
	struct model m = { .boundary = boundaries[_i] };
	struct extent_map *map = new_map(m.boundary);

	srandom(4711 + (unsigned)_i);
	for (int i = 0; i < 10000; i++) {
		random_step[(size_t)random() % (sizeof(random_step) / sizeof(random_step[0]))](map,
											       &m);
		ck_assert(is_same(map, &m));
	}
	extent_map_free(map);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_extent_random_steps_match_the_model,
			    0, sizeof(boundaries) / sizeof(boundaries[0]));
}

UNIT("extent_model", { .add = add_tests, .setup = setup, .timeout_s = 60 });
