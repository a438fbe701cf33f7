/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_maps: what the array costs in mappings, after any number of changes and when there are
 * few; and accesses that nobody may make, each in a child.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

/* ---- mappings ---- */

START_TEST(test_memmap_maps_after_churn_are_what_they_were)
{
	struct memmap *mm = new_memmap(64 * GiB, 9, 0);
	uint64_t nr_pfns = 64 * GiB >> DESC_SHIFT, nr = steps(100000);
	struct memmap_stats stats;
	char *before, *after;

	rnd_seed(5);
	ck_assert_int_eq(memmap_activate(mm, 0, 32768), 0);
	before = plane_text(mm, nr_pfns);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t page = rnd(32768);

		ck_assert_int_eq(memmap_restore(mm, page), 0);
		if (rnd(64) == 0)       /* some stay for longer, so that others find neighbours */
			memmap_dedup(mm, rnd(32768 - 64), 64);
		if (rnd(4))
			memmap_dedup(mm, page, 1);
	}
	memmap_dedup(mm, 0, 32768);
	settle(mm);
	after = plane_text(mm, nr_pfns);
	ck_assert_uint_eq(count_lines(after), count_lines(before));
	ck_assert_str_eq(after, before);
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.pages_split + stats.pages_idle, 0);
	ck_assert_uint_le(stats.bytes_now, stats.bytes_flat / 128);
	free(before);
	free(after);
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_maps_account_is_true)
{
	struct memmap *mm = new_memmap(16 * GiB, 9, 0);

	rnd_seed(6);
	for (int i = 0; i < 2000; i++) {
		uint64_t page = rnd(8192);

		ck_assert_int_eq(memmap_activate(mm, page, 1), 0);
		ck_assert_int_eq(memmap_restore(mm, page), 0);
		if (rnd(2))
			memmap_dedup(mm, page, 1);
	}
	/*
	 * Slots that happen to follow each other in the pool merge: the account may be too high,
	 * never much too low.
	 */
	ck_assert_uint_le(count_vmas(), vmas_of(mm) + 8);
	ck_assert_uint_ge(count_vmas() + 400, vmas_of(mm));
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_maps_that_are_few_serve_everything)
{
	uint32_t limit = (uint32_t)count_vmas() + 200;
	struct memmap *mm = new_memmap(256 * GiB, 9, limit);

	/*
	 * A split page in each of 512 sections: three mappings each, if there were no end to them.
	 */
	for (uint64_t section = 0; section < 512; section++) {
		ck_assert_int_eq(memmap_activate(mm, section * 64, 64), 0);
		ck_assert_int_eq(memmap_restore(mm, section * 64 + 7), 0);
		memmap_tail(mm, (section * 64 + 7) * 512 + 3)->object = (uint32_t)section;
		ck_assert_uint_le(count_vmas(), limit);
	}
	for (uint64_t section = 0; section < 512; section++) {
		ck_assert_uint_eq(memmap_desc(mm, (section * 64 + 7) * 512 + 3)->object, section);
		assert_plain_page(mm, section * 64 + 8, 9);
		memmap_tail(mm, (section * 64 + 7) * 512 + 3)->object = 0;
		memmap_dedup(mm, section * 64 + 7, 1);
	}
	settle(mm);
	for (uint64_t section = 0; section < 512; section++)
		assert_plain_page(mm, section * 64 + 7, 9);
	memmap_free(mm);
}
END_TEST

/* ---- stray accesses ---- */

enum access { LOAD, STORE, UNPROTECT_AND_STORE, TAKE_ANEW_AND_STORE };

static void make_access(uint8_t *at, enum access access)
{
	void *page = (void *)((uintptr_t)at & ~(uintptr_t)4095);

	if (access == UNPROTECT_AND_STORE)
		mprotect(page, 4096, PROT_READ | PROT_WRITE);
	/* what is mapped there, once more, to be writable */
	if (access == TAKE_ANEW_AND_STORE)
		mremap(page, 0, 4096, MREMAP_MAYMOVE) == MAP_FAILED
			? (void)0
			: (void)mprotect(page, 4096, PROT_WRITE);
	if (access == LOAD)
		(void)*(volatile uint8_t *)at;
	else
		*(volatile uint8_t *)at = 1;
}

/* What kills a child that does it; 0: nothing does. */
static int signal_of(const struct memmap *mm, uint64_t pfn, enum access access)
{
	uint8_t *at = (uint8_t *)(uintptr_t)memmap_desc(mm, pfn);
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		make_access(at, access);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void none(struct memmap *mm) { (void)mm; }
static void active(struct memmap *mm) { ck_assert_int_eq(memmap_activate(mm, 0, 64), 0); }

static void filled(struct memmap *mm)
{
	active(mm);
	settle(mm);
}

/* Of page 1, written to and empty again. */
static void split(struct memmap *mm)
{
	filled(mm);
	ck_assert_int_eq(memmap_restore(mm, 1), 0);
	memset(memmap_tail(mm, 512 + 1), 0xff, 511 * sizeof(struct desc));
}

static void neighbour_split(struct memmap *mm)
{
	active(mm);
	ck_assert_int_eq(memmap_restore(mm, 0), 0);
	ck_assert_int_eq(memmap_restore(mm, 2), 0);
}

static void shared_again(struct memmap *mm)
{
	split(mm);
	memset(memmap_tail(mm, 512 + 1), 0, 511 * sizeof(struct desc));
	memmap_dedup(mm, 1, 1);
	settle(mm);
}

static void shared_by_batch(struct memmap *mm)
{
	active(mm);
	for (uint64_t page = 0; page < 32; page++)
		ck_assert_int_eq(memmap_restore(mm, page), 0);
	memmap_dedup(mm, 0, 32);
}

static const struct {
	void (*prepare)(struct memmap *mm);
	int load, store;                /* the signals */
} states[] = {
	{ none, SIGSEGV, SIGSEGV },	 { active, 0, SIGSEGV }, { filled, 0, SIGSEGV },
	{ neighbour_split, 0, SIGSEGV }, { split, 0, 0 },	 { shared_again, 0, SIGSEGV },
	{ shared_by_batch, 0, SIGSEGV },
};
enum { NR_STATES = sizeof(states) / sizeof(*states) };

START_TEST(test_memmap_maps_of_shared_tails_fault_when_written_to)
{
	static const uint64_t tails[] = { 513, 575, 700, 1023 };
	struct memmap *mm = new_memmap(GiB, 9, 0);

	states[_i].prepare(mm);
	for (unsigned i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		ck_assert_int_eq(signal_of(mm, tails[i], LOAD), states[_i].load);
		ck_assert_int_eq(signal_of(mm, tails[i], STORE), states[_i].store);
		/* what is PROT_NONE is nobody's, and shows nothing to anybody else */
		if (_i > 0) {
			ck_assert_int_eq(signal_of(mm, tails[i], UNPROTECT_AND_STORE),
					 states[_i].store);
			ck_assert_int_eq(signal_of(mm, tails[i], TAKE_ANEW_AND_STORE),
					 states[_i].store);
		}
	}
	/* the section behind it is inactive */
	ck_assert_int_eq(signal_of(mm, 64 * 512 + 1, LOAD), SIGSEGV);
	memmap_free(mm);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_memmap_maps_after_churn_are_what_they_were);
	tcase_add_test(t, test_memmap_maps_account_is_true);
	tcase_add_test(t, test_memmap_maps_that_are_few_serve_everything);
	tcase_add_loop_test(t, test_memmap_maps_of_shared_tails_fault_when_written_to,
			    0, NR_STATES);
}

UNIT("memmap_maps", { .add = add_tests, .timeout_s = 120 });
