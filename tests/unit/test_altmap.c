/* SPDX-License-Identifier: BSD-3-Clause */
/* altmap: carving against the rules of its header, from the first page to the last. */
#include <config.h>

#include "daemon/memmap/altmap.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

START_TEST(test_altmap_claim_is_aligned_to_its_own_size)
{
	struct altmap map = { .base = 512, .reserve = 3, .free = 1000 };
	uint64_t off;

	ck_assert_uint_eq(altmap_next(&map), 515);
	ck_assert_int_eq(altmap_claim(&off, &map, 4096), 0);
	ck_assert_uint_eq(off, 515 * 4096);
	ck_assert_int_eq(altmap_claim(&off, &map, 16 * 4096), 0);
	ck_assert_uint_eq(off, 528 * 4096);
	/* 6 = 2 * 3: aligned to 2 */
	ck_assert_int_eq(altmap_claim(&off, &map, 6 * 4096), 0);
	ck_assert_uint_eq(off, 544 * 4096);
	ck_assert_uint_eq(map.align, 12);
	ck_assert_uint_eq(altmap_left(&map), 1000 - 23 - 12);
}
END_TEST

START_TEST(test_altmap_odd_or_too_large_is_refused_and_changes_nothing)
{
	struct altmap map = { .base = 0, .free = 10 };
	uint64_t off = 77;

	ck_assert_int_eq(altmap_claim(&off, &map, 0), -EINVAL);
	ck_assert_int_eq(altmap_claim(&off, &map, 4097), -EINVAL);
	ck_assert_int_eq(altmap_claim(&off, &map, 11 * 4096), -ENOSPC);
	ck_assert_int_eq(altmap_claim(&off, &map, UINT64_MAX & ~UINT64_C(4095)), -ENOSPC);
	ck_assert_uint_eq(off, 77);
	ck_assert_uint_eq(altmap_left(&map), 10);
	ck_assert(!altmap_fits(&map, 0) && !altmap_fits(&map, 4097) &&
		  !altmap_fits(&map, 11 * 4096) && altmap_fits(&map, 10 * 4096));
	ck_assert_int_eq(altmap_claim(&off, &map, 4096), 0);
	/* would fit, but not aligned */
	ck_assert_int_eq(altmap_claim(&off, &map, 8 * 4096), -ENOSPC);
	ck_assert_int_eq(altmap_claim(&off, &map, 9 * 4096), 0);
	ck_assert_uint_eq(altmap_left(&map), 0);
	ck_assert_int_eq(altmap_claim(&off, &map, 4096), -ENOSPC);
}
END_TEST

START_TEST(test_altmap_random_claims_never_overlap)
{
	struct altmap map = { .base = 1234, .reserve = 7, .free = 1 << 20 };
	uint64_t end = 1241 * 4096, off, seed = 1;

	for (;;) {
		uint64_t nr = 1 + (seed = seed * 6364136223846793005u + 1442695040888963407u) % 700;
		uint64_t unit = nr & -nr;

		if (altmap_claim(&off, &map, nr * 4096) < 0)
			break;
		ck_assert_uint_ge(off, end);
		ck_assert_uint_eq(off / 4096 % unit, 0);
		ck_assert_uint_lt(off - end, unit * 4096);
		end = off + nr * 4096;
		ck_assert_uint_eq(map.alloc + map.align + altmap_left(&map), 1 << 20);
	}
	ck_assert_uint_le(end, (UINT64_C(1241) + (1 << 20)) * 4096);
}
END_TEST

START_TEST(test_altmap_skip_reaches_the_next_unit)
{
	struct altmap map = { .base = 1, .free = 2000 };

	ck_assert_int_eq(altmap_skip(&map, UINT64_C(2) << 20), 0);
	ck_assert_uint_eq(altmap_next(&map), 512);
	ck_assert_int_eq(altmap_skip(&map, UINT64_C(2) << 20), 0);
	ck_assert_uint_eq(altmap_next(&map), 512);
	ck_assert_int_eq(altmap_skip(&map, UINT64_C(1) << 30), -ENOSPC);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_altmap_claim_is_aligned_to_its_own_size);
	tcase_add_test(t, test_altmap_odd_or_too_large_is_refused_and_changes_nothing);
	tcase_add_test(t, test_altmap_random_claims_never_overlap);
	tcase_add_test(t, test_altmap_skip_reaches_the_next_unit);
}

UNIT("altmap", { .add = add_tests });
