/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Units that are flat because mappings ran out: the one state in which a stray write to a shared
 * tail does not fault, and what becomes of it.
 */
#include <config.h>

#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include "daemon/memmap/memmap.h"
#include "daemon/memmap/vma_budget.h"
#include "tests/unit/unit.h"

static struct memmap *mm;
static struct vma_budget budget;
static sigjmp_buf back;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static bool write_faults(uint64_t pfn)
{
	struct desc *desc = (struct desc *)(uintptr_t)memmap_desc(mm, pfn);
	struct sigaction act = { .sa_handler = on_fault }, old;
	volatile bool faulted = false;

	sigaction(SIGSEGV, &act, &old);
	if (sigsetjmp(back, 1) == 0)
		*(volatile uint32_t *)&desc->object = 4711;
	else
		faulted = true;
	sigaction(SIGSEGV, &old, NULL);
	return faulted;
}

static bool is_plain(uint64_t page)
{
	for (uint64_t pfn = page * 512 + 1; pfn < (page + 1) * 512; pfn++)
		if (memmap_desc(mm, pfn)->kind != DESC_TAIL || memmap_desc(mm, pfn)->object ||
		    memmap_desc(mm, pfn)->flags)
			return false;
	return true;
}

static void setup(void)
{
	struct memmap_params params = {
		.nr_pfns = UINT64_C(1) << 18, .order = 9, .numa_node = -1, .budget = &budget
	};

	vma_budget_init(&budget, 0);
	ck_assert_int_eq(memmap_new(&mm, &params, NULL), 0);
	ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
}

static void teardown(void)
{
	memmap_free(mm);
	ck_assert_uint_eq(budget.planned, 0);
	ck_assert_uint_eq(budget.own, 0);
}

/* What is kept back for others is all that there is. */
static void flatten(uint64_t page)
{
	uint64_t limit = budget.limit;

	budget.limit = vma_budget_used(&budget);
	ck_assert_int_eq(memmap_restore(mm, page), 0);
	budget.limit = limit;
}

START_TEST(test_flat_stray_write_is_found_and_does_not_last)
{
	uint64_t wrong;

	ck_assert(write_faults(9 * 512 + 70));
	flatten(7);
	ck_assert(!write_faults(9 * 512 + 70));         /* the hole */
	ck_assert_int_lt(memmap_verify(&wrong, mm, 0, 512, NULL), 0);
	ck_assert_uint_eq(wrong, 9);
	ck_assert_int_eq(memmap_restore(mm, 9), 0);
	ck_assert(is_plain(9));
	ck_assert_int_eq(memmap_verify(&wrong, mm, 0, 512, NULL), 0);
}
END_TEST

START_TEST(test_flat_ends_with_the_last_split_page_and_faults_again)
{
	flatten(7);
	memmap_tail(mm, 7 * 512 + 3)->object = 5;
	ck_assert(!write_faults(9 * 512 + 70));
	memmap_tail(mm, 7 * 512 + 3)->object = 0;
	memmap_dedup(mm, 7, 1);
	while (memmap_maintain(mm))
		;
	ck_assert(write_faults(9 * 512 + 70) && write_faults(7 * 512 + 3));
	ck_assert(is_plain(7) && is_plain(9));
}
END_TEST

START_TEST(test_flat_next_unit_is_as_protected_as_ever)
{
	ck_assert_int_eq(memmap_activate(mm, 64, 64), 0);
	flatten(7);
	ck_assert(write_faults(64 * 512 + 3) && write_faults(127 * 512 + 3));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_flat_stray_write_is_found_and_does_not_last);
	tcase_add_test(t, test_flat_ends_with_the_last_split_page_and_faults_again);
	tcase_add_test(t, test_flat_next_unit_is_as_protected_as_ever);
}

UNIT("flat", { .add = add_tests, .setup = setup, .teardown = teardown });
