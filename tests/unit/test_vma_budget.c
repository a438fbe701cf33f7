/* SPDX-License-Identifier: BSD-3-Clause */
/* vma_budget: what it counts is what /proc says. */
#include <config.h>

#include "daemon/memmap/vma_budget.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"

START_TEST(test_vma_budget_sees_other_mappings_come_and_go)
{
	struct vma_budget budget;
	char *map = mmap(NULL, 201 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before;

	vma_budget_init(&budget, 0);
	ck_assert_uint_gt(budget.limit, 1000);
	vma_budget_recount(&budget);
	before = vma_budget_used(&budget);
	for (int i = 1; i < 200; i += 2)
		mprotect(map + i * 4096, 4096, PROT_NONE);
	vma_budget_recount(&budget);
	ck_assert_uint_eq(vma_budget_used(&budget), before + 200);
	munmap(map, 201 * 4096);
	vma_budget_recount(&budget);
	ck_assert_uint_lt(vma_budget_used(&budget), before);
}
END_TEST

START_TEST(test_vma_budget_own_are_not_counted_twice)
{
	struct vma_budget budget;
	uint64_t before;

	vma_budget_init(&budget, 0);
	vma_budget_recount(&budget);
	before = vma_budget_used(&budget);
	budget.own = 5;
	vma_budget_recount(&budget);
	ck_assert_uint_eq(vma_budget_used(&budget), before);
}
END_TEST

START_TEST(test_vma_budget_keeps_an_eighth_back)
{
	struct vma_budget budget = { .limit = 800, .others = 100, .own = 500 };

	ck_assert(vma_budget_has(&budget, 100));
	ck_assert(!vma_budget_has(&budget, 101));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_vma_budget_sees_other_mappings_come_and_go);
	tcase_add_test(t, test_vma_budget_own_are_not_counted_twice);
	tcase_add_test(t, test_vma_budget_keeps_an_eighth_back);
}

UNIT("vma_budget", { .add = add_tests });
