/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent_fixture: what both tests of the extents need: maps, and allocations that fail and are
 * counted.
 *
 * Links with --wrap=malloc,--wrap=calloc.
 */
#ifndef PMEMARENA_TESTS_EXTENT_FIXTURE_H
#define PMEMARENA_TESTS_EXTENT_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/space/extent.h"
#include "tests/unit/unit.h"

/* ---- allocations that fail and are counted ---- */

static int64_t fail_after = -1;         /* so many succeed, then all fail; -1: none fails */
static uint64_t allocated_bytes;
static bool is_counted;                 /* Check allocates too */

/* What @call allocates counts and may fail. */
#define counted(call)               \
	__extension__({             \
		is_counted = true;  \
		int r_ = (call);    \
		is_counted = false; \
		r_;                 \
	})

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);

static inline bool may_allocate(size_t size)
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

static inline void setup(void)
{
	fail_after = -1;
}

static inline struct extent_map *new_map(uint64_t boundary)
{
	struct extent_map *map;

	ck_assert_int_eq(counted(extent_map_new(&map, boundary)), 0);
	return map;
}

static inline void release(struct extent_map *map, uint64_t off, uint64_t len)
{
	struct extent range = { off, len };

	ck_assert_int_eq(counted(extent_release(map, range, NULL)), 0);
}

static inline void expect_range(const struct extent_map *map, uint64_t at, uint64_t off,
				uint64_t len)
{
	struct extent found;

	ck_assert(extent_find(&found, map, at));
	ck_assert_uint_eq(found.off, off);
	ck_assert_uint_eq(found.len, len);
}

#endif
