/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Huge mappings of the tail plane: they come off the path, go where a page is split, and come back;
 * and the huge page of the pool.
 */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/memmap/memmap.h"
#include "tests/unit/unit.h"

#define SECTION 64u                     /* pages of 2 MiB */

static struct memmap *mm;
static volatile uint32_t sink;

/* KiB that are mapped huge at the tails of this page. */
static unsigned long huge_at(uint64_t page)
{
	const char *at = (const char *)memmap_desc(mm, page * 512 + 1);
	unsigned long start, end, kib = 0, found = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	ck_assert_ptr_nonnull(f);
	start = end = 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
			start = from;
			end = to;
		} else if ((unsigned long)at >= start && (unsigned long)at < end &&
			   (sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1 ||
			    sscanf(line, "FilePmdMapped: %lu kB", &kib) == 1)) {
			found += kib;
		}
	}
	fclose(f);
	return found;
}

static unsigned count_vmas(void)
{
	char line[512];
	unsigned nr = 0;
	FILE *f = fopen("/proc/self/maps", "re");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		nr++;
	fclose(f);
	return nr;
}

static void settle(void)
{
	while (memmap_maintain(mm))
		;
}

static void look_at_section(uint64_t first)
{
	for (uint64_t pfn = first * 512 + 1; pfn < (first + SECTION) * 512; pfn += 64)
		sink += memmap_desc(mm, pfn)->object;
}

/*
 * A kernel that cannot make shared memory huge has nothing to show here; every other test runs on
 * it too.
 */
static bool can_be_huge(void)
{
	struct memmap_stats stats;

	settle();
	memmap_stats(mm, &stats);
	if (!stats.backing_is_huge)
		printf("no huge pages for memory files on this kernel\n");
	return stats.backing_is_huge;
}

static void setup(void)
{
	struct memmap_params params = { .nr_pfns = UINT64_C(1) << 18, .order = 9, .numa_node = -1 };

	ck_assert_int_eq(memmap_new(&mm, &params, NULL), 0);
}

static void teardown(void)
{
	memmap_free(mm);
}

START_TEST(test_huge_comes_to_what_was_looked_at_before)
{
	ck_assert_int_eq(memmap_activate(mm, 0, 2 * SECTION), 0);
	look_at_section(0);
	ck_assert_uint_eq(huge_at(0), 0);
	if (!can_be_huge())
		return;
	look_at_section(0);
	look_at_section(SECTION);
	ck_assert_uint_eq(huge_at(0), 2048);
	ck_assert_uint_eq(huge_at(SECTION), 2048);
}
END_TEST

START_TEST(test_huge_goes_with_a_split_and_comes_back)
{
	ck_assert_int_eq(memmap_activate(mm, 0, SECTION), 0);
	if (!can_be_huge())
		return;
	look_at_section(0);
	ck_assert_uint_eq(huge_at(3), 2048);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(memmap_restore(mm, 7), 0);
		memmap_tail(mm, 7 * 512 + 3)->object = 1;
		look_at_section(0);
		ck_assert_uint_eq(huge_at(3), 0);
		memmap_tail(mm, 7 * 512 + 3)->object = 0;
		memmap_dedup(mm, 7, 1);
		settle();
		look_at_section(0);
		ck_assert_uint_eq(huge_at(3), 2048);
	}
}
END_TEST

/* The pool is made huge while slots of it are in use: what is in them stays. */
START_TEST(test_huge_pool_keeps_what_is_in_it)
{
	ck_assert_int_eq(memmap_activate(mm, 0, SECTION), 0);
	for (uint64_t page = 0; page < 3; page++) {
		ck_assert_int_eq(memmap_restore(mm, page * 5), 0);
		for (uint64_t i = 1; i < 512; i++)
			memmap_tail(mm, page * 5 * 512 + i)->object = (uint32_t)(page * 1000 + i);
	}
	settle();
	for (uint64_t page = 0; page < 3; page++)
		for (uint64_t i = 1; i < 512; i++)
			ck_assert_uint_eq(memmap_desc(mm, page * 5 * 512 + i)->object,
					  page * 1000 + i);
}
END_TEST

START_TEST(test_huge_pool_gives_neighbours_one_mapping)
{
	unsigned before;

	ck_assert_int_eq(memmap_activate(mm, 0, 3 * SECTION), 0);
	/* from now on slots are kept */
	ck_assert_int_eq(memmap_restore(mm, 2 * SECTION + 9), 0);
	memmap_dedup(mm, 2 * SECTION + 9, 1);
	settle();
	before = count_vmas();
	for (uint64_t page = SECTION + 2; page < SECTION + 50; page++)
		ck_assert_int_eq(memmap_restore(mm, page), 0);
	ck_assert_uint_le(count_vmas(), before + 2);
	memmap_dedup(mm, SECTION + 2, 48);
	ck_assert_uint_eq(count_vmas(), before);
	for (uint64_t pfn = SECTION * 512; pfn < 2 * SECTION * 512; pfn++)
		ck_assert_uint_eq(memmap_desc(mm, pfn)->object, 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_huge_comes_to_what_was_looked_at_before);
	tcase_add_test(t, test_huge_goes_with_a_split_and_comes_back);
	tcase_add_test(t, test_huge_pool_keeps_what_is_in_it);
	tcase_add_test(t, test_huge_pool_gives_neighbours_one_mapping);
}

UNIT("huge", { .add = add_tests, .setup = setup, .teardown = teardown });
