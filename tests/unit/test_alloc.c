/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc: the object, half-built and whole, and permissions: every mode against every kind of
 * caller.
 *
 * Links with --wrap=calloc,--wrap=malloc.
 */
#include <config.h>

#include "daemon/arena/alloc.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static int64_t fail_after = -1;         /* so many succeed, then all fail; -1: none fails */

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static int fails(void)
{
	if (fail_after == 0)
		return 1;
	if (fail_after > 0)
		fail_after--;
	return 0;
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __real_calloc(nr, size);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

static const uint32_t none[1], friends[] = { 7, 50, 9 }, strangers[] = { 7, 9 };

static bool allows(uint32_t mode, uint32_t uid, const uint32_t *groups, int nr_groups,
		   uint32_t want)
{
	struct alloc alloc = { .uid = 1000, .gid = 50, .mode = mode };

	return alloc_allows(&alloc, uid, groups, nr_groups, want);
}

START_TEST(test_alloc_new_has_room_for_its_extents)
{
	struct alloc *alloc;

	ck_assert_int_eq(alloc_new(&alloc, 3), 0);
	ck_assert_uint_eq(alloc->nr_extents, 3);
	alloc->extents[2] = (struct extent){ 1, 2 };
	ck_assert(TAILQ_EMPTY(&alloc->holds));
	ck_assert_int_eq(alloc->state, ALLOC_RESERVED);
	alloc->name = strdup("a name");
	alloc->records = malloc(4);
	alloc_free(alloc);
	ck_assert_int_eq(alloc_new(&alloc, 0), 0);
	alloc_free(alloc);
	alloc_free(NULL);
}
END_TEST

START_TEST(test_alloc_new_fails_without_memory)
{
	struct alloc *alloc = NULL;
	int r[3];

	for (int n = 0; n < 3; n++) {
		fail_after = n;
		r[n] = alloc_new(&alloc, 3);
		fail_after = -1;
	}
	ck_assert_int_eq(r[0], -ENOMEM);
	ck_assert_int_eq(r[1], -ENOMEM);
	ck_assert_int_eq(r[2], 0);
	alloc_free(alloc);
}
END_TEST

/* Every mode, every want: the bits of the one class that matches decide. */
START_TEST(test_alloc_allows_what_the_first_class_that_matches_says)
{
	for (uint32_t mode = 0; mode < 01000; mode++) {
		for (uint32_t want = 2; want <= 6; want += 2) {
			ck_assert(allows(mode, 1000, none, 0, want) ==
				  ((mode >> 6 & want) == want));
			ck_assert(allows(mode, 1000, friends, 3, want) ==
				  ((mode >> 6 & want) == want));
			ck_assert(allows(mode, 1001, friends, 3, want) ==
				  ((mode >> 3 & want) == want));
			ck_assert(allows(mode, 1001, strangers, 2, want) ==
				  ((mode & want) == want));
			ck_assert(allows(mode, 1001, none, 0, want) == ((mode & want) == want));
			ck_assert(allows(mode, 0, none, 0, want));
		}
	}
}
END_TEST

START_TEST(test_alloc_owner_and_group_can_be_worse_off_than_others)
{
	ck_assert(!allows(0066, 1000, friends, 3, 4));
	ck_assert(!allows(0606, 1001, friends, 3, 4));
	ck_assert(allows(0606, 1001, strangers, 2, 6));
	ck_assert(allows(0640, 1001, friends, 3, 4));
	ck_assert(!allows(0640, 1001, friends, 3, 6));
}
END_TEST

START_TEST(test_alloc_wanting_nothing_is_allowed)
{
	ck_assert(allows(0, 1001, none, 0, 0));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_alloc_new_has_room_for_its_extents);
	tcase_add_test(t, test_alloc_new_fails_without_memory);
	tcase_add_test(t, test_alloc_allows_what_the_first_class_that_matches_says);
	tcase_add_test(t, test_alloc_owner_and_group_can_be_worse_off_than_others);
	tcase_add_test(t, test_alloc_wanting_nothing_is_allowed);
}

UNIT("alloc", { .add = add_tests });
