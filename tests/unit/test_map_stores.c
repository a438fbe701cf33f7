/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: whether what is mapped is still valid; stores, and when they are durable.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/map_fixture.h"
#include "tests/unit/unit.h"

/* ---- validity ---- */

START_TEST(test_map_validity_follows_the_plane)
{
	struct pma_handle other = handle;

	begin();
	ck_assert(pma_is_valid(pma, handle));
	other = handle;
	other.id++;
	ck_assert(!pma_is_valid(pma, other));
	other = handle;
	other.arena = 1;
	ck_assert(pma_is_valid(pma, other));    /* the fake has one plane for all */
	other.arena = 2;
	ck_assert(!pma_is_valid(pma, other));
	other.arena = UINT32_MAX;
	ck_assert(!pma_is_valid(pma, other));
	other = handle;
	other.slot = FAKE_SLOTS;
	ck_assert(!pma_is_valid(pma, other));
	other.slot = UINT32_MAX;
	ck_assert(!pma_is_valid(pma, other));
	ck_assert(!pma_is_valid(pma, PMA_HANDLE_NONE));
	ck_assert(!pma_is_valid(NULL, handle));
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert(!pma_is_valid(pma, handle));
	end();
}
END_TEST

/* More slots are promised than the file has. */
START_TEST(test_map_short_plane_is_not_read_past_its_end)
{
	struct pma_handle far = { 0, FAKE_SLOTS, 5 };

	fake = fake_new(serve, NULL);
	fake->arenas[0].nr_slots = UINT64_C(1) << 40;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	ck_assert(pma_is_valid(pma, handle));
	for (uint32_t slot = FAKE_SLOTS; slot < 1u << 20; slot += 511) {
		far.slot = slot;
		ck_assert(!pma_is_valid(pma, far));
	}
	end();
}
END_TEST

/* ---- durability ---- */

START_TEST(test_map_stores_in_every_granularity)
{
	struct pma_mapping *map;
	char *memory;

	begin_with(4096, (uint32_t)_i);
	map = map_it(PMA_MAP_WRITE);
	memory = pma_map_address(map);
	ck_assert_int_eq(pma_memcpy(map, memory + 5, "hello", 6), 0);
	ck_assert_str_eq(memory + 5, "hello");
	ck_assert_int_eq(pma_memset(map, memory + 4096, 'x', 10000), 0);
	ck_assert_int_eq(memory[4095], 0);
	ck_assert_int_eq(memory[14095], 'x');
	ck_assert_int_eq(memory[14096], 0);
	memory[1] = 1;
	ck_assert_int_eq(pma_persist(map, memory + 1, 1), 0);
	ck_assert_int_eq(pma_flush(map, memory, FAKE_PAGE), 0);
	ck_assert_int_eq(pma_drain(map), 0);
	ck_assert_int_eq(pma_persist(map, memory + FAKE_PAGE, 0), 0);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_forced_granularity_is_honoured)
{
	struct pma_mapping *map;

	setenv("PMEM2_FORCE_GRANULARITY", _i ? "page" : "CACHE_LINE", 1);
	begin_with(4096, _i ? PMA_CACHE_LINE : PMA_PAGE);
	map = map_it(PMA_MAP_WRITE);
	ck_assert_int_eq(pma_memset(map, pma_map_address(map), 1, 100), 0);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_ranges_outside_are_refused)
{
	struct pma_mapping *map;
	char *memory;

	begin_with(4096, (uint32_t)_i);
	map = map_it(PMA_MAP_WRITE);
	memory = pma_map_address(map);
	ck_assert_int_eq(pma_persist(map, memory - 1, 1), -EINVAL);
	ck_assert_int_eq(pma_flush(map, memory + FAKE_PAGE, 1), -EINVAL);
	ck_assert_int_eq(pma_persist(map, memory + 1, FAKE_PAGE), -EINVAL);
	ck_assert_int_eq(pma_persist(map, memory + 1, SIZE_MAX), -EINVAL);
	ck_assert_int_eq(pma_memcpy(map, memory + FAKE_PAGE - 2, "xyz", 3), -EINVAL);
	ck_assert_int_eq(pma_memset(map, NULL, 0, 1), -EINVAL);
	ck_assert_int_eq(memory[FAKE_PAGE - 2], 0);
	pma_unmap(map);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_map_validity_follows_the_plane);
	tcase_add_test(t, test_map_short_plane_is_not_read_past_its_end);
	tcase_add_loop_test(t, test_map_stores_in_every_granularity, 0, 3);
	tcase_add_loop_test(t, test_map_forced_granularity_is_honoured, 0, 2);
	tcase_add_loop_test(t, test_map_ranges_outside_are_refused, 0, 3);
}

UNIT("map_stores", { .add = add_tests, .timeout_s = 30 });
