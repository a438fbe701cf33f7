/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: each state of a page and what may be done in it, stray accesses, poison, and memory that
 * comes back.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

/* ---- helpers ---- */

static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static int store_to(volatile uint8_t *at)
{
	int sig = sigsetjmp(fault, 1);

	if (sig == 0)
		*at = 1;
	return sig;
}

static int load_from(const volatile uint8_t *at)
{
	int sig = sigsetjmp(fault, 1);

	return sig ? sig : (*at, 0);
}

/* ---- refuse ---- */

START_TEST(test_memmap_odd_sizes_are_refused)
{
	static const struct memmap_params bad[] = {
		{ .nr_pfns = 0, .order = 9 },
		{ .nr_pfns = 511, .order = 9 },
		{ .nr_pfns = 513, .order = 0 },
		{ .nr_pfns = 512, .order = 18 },
		{ .nr_pfns = 512, .order = 5 },
		{ .nr_pfns = UINT64_C(1) << 50, .order = 9 },
		{ .nr_pfns = 512, .order = 9, .home = MEMMAP_DEVICE },
	};
	struct memmap *mm;
	struct why why = { "" };

	ck_assert_int_eq(memmap_new(&mm, &bad[_i], &why), -EINVAL);
	ck_assert_str_ne(why.text, "");
}
END_TEST

START_TEST(test_memmap_end_inside_a_section_works)
{
	struct memmap *mm = new_memmap((UINT64_C(128) << 20) + (UINT64_C(6) << 20), 9, 0);

	ck_assert_int_eq(memmap_activate(mm, 64, 3), 0);
	ck_assert(!memmap_is_active(mm, 0));
	assert_plain_page(mm, 66, 9);
	memmap_free(mm);
}
END_TEST

/* ---- protection ---- */

START_TEST(test_memmap_stray_accesses_fault_in_every_state)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	uint8_t *tail;

	catch_faults();
	/* inactive */
	ck_assert_int_eq(load_from((const uint8_t *)memmap_desc(mm, 513)), SIGSEGV);
	ck_assert_int_eq(store_to((uint8_t *)(uintptr_t)memmap_desc(mm, 513)), SIGSEGV);
	/* shared */
	ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
	tail = (uint8_t *)(uintptr_t)memmap_desc(mm, 513);
	ck_assert_ptr_null(memmap_tail(mm, 513));
	ck_assert_int_eq(store_to(tail), SIGSEGV);
	/* shared, and somebody tries to make it writable */
	ck_assert_int_lt(
		mprotect((void *)((uintptr_t)tail & ~4095ul), 4096, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(store_to(tail), SIGSEGV);
	/* next to a restored page */
	ck_assert_int_eq(memmap_restore(mm, 1), 0);
	ck_assert_int_eq(store_to((uint8_t *)memmap_tail(mm, 513)), 0);
	ck_assert_int_eq(store_to((uint8_t *)(uintptr_t)memmap_desc(mm, 1025)), SIGSEGV);
	ck_assert_int_eq(store_to((uint8_t *)(uintptr_t)memmap_desc(mm, 1)), SIGSEGV);
	/* shared again */
	memmap_tail(mm, 513)->kind = DESC_TAIL;
	memmap_dedup(mm, 1, 1);
	settle(mm);
	ck_assert_ptr_null(memmap_tail(mm, 513));
	ck_assert_int_eq(store_to(tail), SIGSEGV);
	assert_plain_page(mm, 1, 9);
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_activate_twice_changes_nothing)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);

	ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
	memmap_head(mm, 3)->object = 17;
	ck_assert_int_eq(memmap_restore(mm, 3), 0);
	memmap_tail(mm, 3 * 512 + 5)->object = 18;
	ck_assert_int_eq(memmap_activate(mm, 0, 128), 0);
	ck_assert_uint_eq(memmap_head(mm, 3)->object, 17);
	ck_assert_uint_eq(memmap_desc(mm, 3 * 512 + 5)->object, 18);
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_restored_tails_are_plain_also_the_second_time)
{
	static const uint8_t order[] = { 9, 18 };
	uint8_t o = order[_i];
	struct memmap *mm = new_memmap(4 * GiB, o, 0);

	ck_assert_int_eq(memmap_activate(mm, 0, 2), 0);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(memmap_restore(mm, 1), 0);
		assert_plain_page(mm, 1, o);
		memset(memmap_tail(mm, (UINT64_C(1) << o) + 77), 0xff, sizeof(struct desc));
		*memmap_tail(mm, (UINT64_C(1) << o) + 77) = (struct desc){ .kind = DESC_TAIL };
		memmap_dedup(mm, 1, 1);
		settle(mm);
		assert_plain_page(mm, 1, o);
	}
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_order_0_has_only_heads)
{
	struct memmap *mm = new_memmap(GiB, 0, 0);

	ck_assert_int_eq(memmap_activate(mm, 1000, 5), 0);
	memmap_head(mm, 1001)->object = 9;
	ck_assert_int_eq(memmap_desc(mm, 1001)->kind, DESC_HEAD);
	ck_assert_uint_eq(memmap_desc(mm, 1001)->object, 9);
	ck_assert_int_eq(memmap_restore(mm, 1001), 0);
	memmap_dedup(mm, 1001, 1);
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_on_the_device_is_flat_and_writable)
{
	struct memmap_params params = {
		.nr_pfns = GiB >> DESC_SHIFT, .order = 9, .numa_node = -1, .home = MEMMAP_DEVICE
	};
	struct memmap *mm;

	params.device_len = memmap_device_bytes(params.nr_pfns, 9);
	params.device_base = mmap(NULL, params.device_len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(params.device_base, 0xa5, 4 << 20);      /* somebody used it before */
	ck_assert_int_eq(memmap_new(&mm, &params, NULL), 0);
	ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
	assert_plain_page(mm, 0, 9);
	assert_plain_page(mm, 63, 9);
	memmap_tail(mm, 513)->object = 5;
	ck_assert_uint_eq(memmap_desc(mm, 513)->object, 5);
	memmap_free(mm);
	munmap(params.device_base, params.device_len);
}
END_TEST

/* ---- poison ---- */

START_TEST(test_memmap_poison_marks_once_and_restores)
{
	static const uint64_t pfn[] = { 512, 513, 1023 };
	struct memmap *mm = new_memmap(GiB, 9, 0);

	ck_assert_int_eq(memmap_activate(mm, 0, 2), 0);
	ck_assert_int_eq(memmap_poison(mm, pfn[_i]), 1);
	ck_assert_int_eq(memmap_poison(mm, pfn[_i]), 0);
	ck_assert(memmap_desc(mm, pfn[_i])->flags & DESC_POISON);
	ck_assert_uint_eq(memmap_head(mm, 1)->nr_poisoned, 1);
	ck_assert_ptr_nonnull(memmap_tail(mm, 700));
	memmap_free(mm);
}
END_TEST

/* ---- memory ---- */

static uint64_t pss_kib(void)
{
	char line[256];
	uint64_t kib = 0, one;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %llu", (unsigned long long *)&one) == 1)
			kib = one;
	if (f)
		fclose(f);
	return kib;
}

START_TEST(test_memmap_memory_comes_back)
{
	struct memmap *mm = new_memmap(16 * GiB, 9, 0);
	uint64_t before, full;

	ck_assert_int_eq(memmap_activate(mm, 0, 8192), 0);
	before = pss_kib();
	for (uint64_t page = 0; page < 2048; page++) {
		ck_assert_int_eq(memmap_restore(mm, page), 0);
		memmap_tail(mm, page * 512 + 1)->object = 0;
	}
	for (uint64_t pfn = 0; pfn < 2048 * 512; pfn++)
		(void)*(const volatile uint8_t *)memmap_desc(mm, pfn);
	full = pss_kib();
	ck_assert_uint_gt(full, before + 48 * 1024);
	memmap_dedup(mm, 0, 2048);
	settle(mm);
	while (memmap_maintain(mm))
		;
	ck_assert_uint_lt(pss_kib(), before + 8 * 1024);
	memmap_free(mm);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_memmap_odd_sizes_are_refused, 0, 7);
	tcase_add_test(t, test_memmap_end_inside_a_section_works);
	tcase_add_test(t, test_memmap_stray_accesses_fault_in_every_state);
	tcase_add_test(t, test_memmap_activate_twice_changes_nothing);
	tcase_add_loop_test(t, test_memmap_restored_tails_are_plain_also_the_second_time, 0, 2);
	tcase_add_test(t, test_memmap_order_0_has_only_heads);
	tcase_add_test(t, test_memmap_on_the_device_is_flat_and_writable);
	tcase_add_loop_test(t, test_memmap_poison_marks_once_and_restores, 0, 3);
	tcase_add_test(t, test_memmap_memory_comes_back);
}

UNIT("memmap", { .add = add_tests, .timeout_s = 120 });
