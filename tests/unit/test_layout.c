/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout: what is mapped where, and what is not.
 */
#include <config.h>

#include "lib/memory/layout.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

static struct wire_arena arena_of(uint64_t align, uint64_t device_size)
{
	return (struct wire_arena){ .align = align,
				    .data_off = MiB(2),
				    .device_size = device_size,
				    .page_size = MiB(2),
				    .name = "main" };
}

START_TEST(test_layout_neighbours_become_one_piece)
{
	const struct pma_extent extents[] = { { MiB(8), MiB(2) },
					      { MiB(10), MiB(4) },
					      { MiB(4), MiB(2) } };
	struct wire_arena arena = arena_of(MiB(2), MiB(64));
	struct layout layout;

	ck_assert_int_eq(layout_init(&layout, extents, 3, &arena, NULL), 0);
	ck_assert_uint_eq(layout.nr, 2);
	ck_assert_uint_eq(layout.pieces[0].off, MiB(8));
	ck_assert_uint_eq(layout.pieces[0].len, MiB(6));
	ck_assert_uint_eq(layout.pieces[1].off, MiB(4));
	ck_assert_uint_eq(layout.size, MiB(8));
	ck_assert_uint_eq(layout.len, MiB(8));
	ck_assert_uint_eq(layout.skip, 0);
	ck_assert_uint_eq(layout.address_align, MiB(2));
	layout_fini(&layout);
}
END_TEST

static const struct {
	uint64_t align, off, len;       /* asked */
	uint64_t begin, size, skip, address_align;      /* expected */
} runs[] = {
	{ KiB(4), MiB(4) + KiB(12), KiB(8), MiB(4) + KiB(12), KiB(8), 0, KiB(4) },
	{ MiB(2), MiB(4) + KiB(12), KiB(8), MiB(4), MiB(2), KiB(12), MiB(2) },
	{ MiB(2), MiB(4), KiB(4), MiB(4), MiB(2), 0, MiB(2) },
	{ MiB(2), MiB(6) - KiB(4), KiB(4), MiB(4), MiB(2), MiB(2) - KiB(4), MiB(2) },
	{ MiB(2), MiB(4), MiB(4), MiB(4), MiB(4), 0, MiB(2) },
	{ KiB(4), MiB(4), MiB(4), MiB(4), MiB(4), 0, MiB(2) },
	{ GiB(1), GiB(2) + KiB(4), KiB(4), GiB(2), GiB(1), KiB(4), GiB(1) },
};

START_TEST(test_layout_of_a_run_covers_whole_units)
{
	const struct pma_extent extent = { runs[_i].off, runs[_i].len };
	struct wire_arena arena = arena_of(runs[_i].align, GiB(4));
	struct layout layout;

	ck_assert_int_eq(layout_init(&layout, &extent, 1, &arena, NULL), 0);
	ck_assert_uint_eq(layout.nr, 1);
	ck_assert_uint_eq(layout.pieces[0].off, runs[_i].begin);
	ck_assert_uint_eq(layout.pieces[0].len, runs[_i].size);
	ck_assert_uint_eq(layout.size, runs[_i].size);
	ck_assert_uint_eq(layout.skip, runs[_i].skip);
	ck_assert_uint_eq(layout.len, runs[_i].len);
	ck_assert_uint_eq(layout.address_align, runs[_i].address_align);
	layout_fini(&layout);
}
END_TEST

static const struct { struct pma_extent extents[2]; size_t nr; const char *what; } lies[] = {
	{ { { MiB(4), 0 } }, 1, "of no length" },
	{ { { MiB(4) + 1, KiB(4) } }, 1, "off the base pages" },
	{ { { MiB(4), KiB(4) + 1 } }, 1, "half a page" },
	{ { { 0, MiB(2) } }, 1, "in the metadata" },
	{ { { MiB(62), MiB(4) } }, 1, "past the end" },
	{ { { MiB(64), MiB(2) } }, 1, "behind the end" },
	{ { { UINT64_MAX - MiB(2) + 1, MiB(2) } }, 1, "at the end of all numbers" },
	{ { { MiB(4), UINT64_MAX - MiB(2) + 1 } }, 1, "as long as all numbers" },
	{ { { MiB(4), UINT64_MAX & ~(MiB(2) - 1) } }, 1, "wrapping" },
	{ { { MiB(4), MiB(2) }, { MiB(8), KiB(4) } }, 2, "a run among others" },
	{ { { MiB(4) + KiB(4), MiB(2) }, { MiB(8), MiB(2) } }, 2, "unaligned among others" },
};

START_TEST(test_layout_believes_nothing_that_cannot_be)
{
	struct wire_arena arena = arena_of(MiB(2), MiB(64));
	struct layout layout;
	struct why why;

	ck_assert_msg(layout_init(&layout, lies[_i].extents, lies[_i].nr, &arena, &why) == -EPROTO,
		      "%s", lies[_i].what);
}
END_TEST

START_TEST(test_layout_does_not_leave_the_last_whole_unit)
{
	const struct pma_extent extent = { MiB(62), KiB(4) };
	struct wire_arena arena = arena_of(MiB(2), MiB(63));
	struct layout layout;

	ck_assert_int_eq(layout_init(&layout, &extent, 1, &arena, NULL), -EPROTO);
}
END_TEST

START_TEST(test_layout_of_an_offline_arena_is_refused)
{
	const struct pma_extent extent = { MiB(4), MiB(2) };
	struct wire_arena arena = { .name = "main", .state = 2 };
	struct layout layout;

	ck_assert_int_eq(layout_init(&layout, &extent, 1, &arena, NULL), -EIO);
}
END_TEST

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_layout_neighbours_become_one_piece);
	tcase_add_loop_test(t, test_layout_of_a_run_covers_whole_units, 0, NR(runs));
	tcase_add_loop_test(t, test_layout_believes_nothing_that_cannot_be, 0, NR(lies));
	tcase_add_test(t, test_layout_does_not_leave_the_last_whole_unit);
	tcase_add_test(t, test_layout_of_an_offline_arena_is_refused);
}

UNIT("layout", { .add = add_tests });
