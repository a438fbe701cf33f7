/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: the array against a plain model in random histories, each system call and allocation failing in turn, stray accesses in
 * every state, readers on another thread, and what it costs in mappings.
 *
 * Links with --wrap of what the memmap calls: see WRAPPED.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GiB (UINT64_C(1) << 30)

/* ---- calls that fail ---- */

static int64_t fail_at = -1;            /* the n-th counted call from now on fails; -1: none */
static bool keeps_failing;
static bool is_counted;
static const char *only;                /* the call that fails; NULL: any */

static bool strikes(const char *name)
{
	if (!is_counted || (only && strcmp(only, name) != 0))
		return false;
	if (fail_at < 0)
		return false;
	if (fail_at > 0) {
		fail_at--;
		return false;
	}
	if (!keeps_failing)
		fail_at = -1;
	return true;
}

#define WRAPPED(type, name, params, args, failure)		\
	type __real_##name params;				\
	type __wrap_##name params;				\
	type __wrap_##name params				\
	{							\
		if (strikes(#name)) {				\
			errno = ENOMEM;				\
			return failure;				\
		}						\
		return __real_##name args;			\
	}

WRAPPED(void *, mmap, (void *a, size_t l, int p, int f, int fd, off_t o), (a, l, p, f, fd, o), MAP_FAILED)
WRAPPED(int, madvise, (void *a, size_t l, int v), (a, l, v), -1)
WRAPPED(int, ftruncate, (int fd, off_t l), (fd, l), -1)
WRAPPED(int, fallocate, (int fd, int m, off_t o, off_t l), (fd, m, o, l), -1)
WRAPPED(int, memfd_create, (const char *n, unsigned f), (n, f), -1)
WRAPPED(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), -1)
WRAPPED(int, fchmod, (int fd, mode_t m), (fd, m), -1)
WRAPPED(void *, malloc, (size_t n), (n), NULL)
WRAPPED(void *, calloc, (size_t n, size_t s), (n, s), NULL)
WRAPPED(void *, reallocarray, (void *p, size_t n, size_t s), (p, n, s), NULL)

/* What @call asks of the system counts and may fail. */
#define counted(call) __extension__ ({ is_counted = true; int r_ = (call); is_counted = false; r_; })

/* ---- helpers ---- */

static struct memmap *new_memmap(uint64_t bytes, uint8_t order, uint32_t max_vmas)
{
	struct memmap_params params = { .nr_pfns = bytes >> DESC_SHIFT, .order = order, .numa_node = -1, .max_vmas = max_vmas };
	struct memmap *mm;

	ck_assert_int_eq(memmap_new(&mm, &params, NULL), 0);
	return mm;
}

static uint64_t count_vmas(void)
{
	char line[512];
	uint64_t nr = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), f))
		nr++;
	fclose(f);
	return nr;
}

static uint64_t vmas_of(const struct memmap *mm)
{
	struct memmap_stats stats;

	memmap_stats(mm, &stats);
	return stats.vmas_used;
}

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

static bool is_plain(const struct desc *desc)
{
	static const struct desc plain = { .kind = DESC_TAIL };

	return memcmp(desc, &plain, sizeof(plain)) == 0;
}

static void assert_plain_page(const struct memmap *mm, uint64_t page, uint8_t order)
{
	const struct desc *head = memmap_desc(mm, page << order);

	ck_assert_int_eq(head->kind, DESC_HEAD);
	ck_assert_int_eq(head->order, order);
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		ck_assert_msg(is_plain(memmap_desc(mm, (page << order) + i)), "page %llu tail %llu", (unsigned long long)page,
			      (unsigned long long)i);
}

static void reset_tails(struct memmap *mm, uint64_t page, uint8_t order)
{
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		memmap_tail(mm, (page << order) + i)->object = 0;
}

static void settle(struct memmap *mm)
{
	while (memmap_maintain(mm))
		;
	memmap_maintain(mm);
	memmap_maintain(mm);
}

/* ---- refuse ---- */

START_TEST(test_memmap_odd_sizes_are_refused)
{
	static const struct memmap_params bad[] = {
		{ .nr_pfns = 0, .order = 9 }, { .nr_pfns = 511, .order = 9 }, { .nr_pfns = 513, .order = 0 },
		{ .nr_pfns = 512, .order = 18 }, { .nr_pfns = 512, .order = 5 }, { .nr_pfns = UINT64_C(1) << 50, .order = 9 },
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
	ck_assert_int_lt(mprotect((void *)((uintptr_t)tail & ~4095ul), 4096, PROT_READ | PROT_WRITE), 0);
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
	struct memmap_params params = { .nr_pfns = GiB >> DESC_SHIFT, .order = 9, .numa_node = -1, .home = MEMMAP_DEVICE };
	struct memmap *mm;

	params.device_len = memmap_device_bytes(params.nr_pfns, 9);
	params.device_base = mmap(NULL, params.device_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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

START_TEST(test_memmap_poison_works_from_the_reserve_when_memory_is_out)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	uint64_t page = 0;
	int r = 0;

	ck_assert_int_eq(memmap_activate(mm, 0, 512), 0);
	ck_assert_int_eq(memmap_restore(mm, page++), 0);
	settle(mm);
	only = "pwrite";                /* no slot can be filled any more */
	fail_at = 0;
	keeps_failing = true;
	while (r == 0 && page < 500)
		r = counted(memmap_restore(mm, page++));
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_int_eq(counted(memmap_poison(mm, 511 * 512 + 3)), 1);
	ck_assert_int_eq(counted(memmap_poison(mm, 510 * 512)), 1);
	ck_assert_int_eq(counted(memmap_restore(mm, 509)), -ENOMEM);
	keeps_failing = false;
	only = NULL;
	fail_at = -1;
	ck_assert_int_eq(memmap_restore(mm, 509), 0);
	memmap_free(mm);
}
END_TEST

/* ---- each call fails in turn ---- */

struct snapshot {
	struct desc *desc;
	char maps[65536];
};

static void read_maps(char *text, size_t size)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, text + at, size - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(fd);
}

static void take(struct snapshot *snap, const struct memmap *mm, uint64_t nr_pfns)
{
	for (uint64_t pfn = 0; pfn < nr_pfns; pfn++)
		if (memmap_is_active(mm, pfn >> 9))
			snap->desc[pfn] = *memmap_desc(mm, pfn);
	read_maps(snap->maps, sizeof(snap->maps));
}

static uint64_t sum_of_lines(const char *maps, const char *what)
{
	uint64_t nr = 0;

	for (const char *at = maps; (at = strstr(at, what)); at++)
		nr++;
	return nr;
}

static void assert_same(struct snapshot *before, const struct memmap *mm, uint64_t nr_pfns)
{
	static struct snapshot now;

	for (uint64_t pfn = 0; pfn < nr_pfns; pfn++)
		if (memmap_is_active(mm, pfn >> 9))
			ck_assert_int_eq(memcmp(&before->desc[pfn], memmap_desc(mm, pfn), sizeof(struct desc)), 0);
	read_maps(now.maps, sizeof(now.maps));
	/* The heap may have grown; what the planes show may not have changed. */
	ck_assert_uint_eq(sum_of_lines(now.maps, "pmemarena-tails"), sum_of_lines(before->maps, "pmemarena-tails"));
	ck_assert_uint_eq(sum_of_lines(now.maps, "pmemarena-pool"), sum_of_lines(before->maps, "pmemarena-pool"));
	ck_assert_uint_eq(sum_of_lines(now.maps, "pmemarena-flat"), sum_of_lines(before->maps, "pmemarena-flat"));
}

typedef int operation(struct memmap *mm);

static int op_activate(struct memmap *mm) { return memmap_activate(mm, 64, 256); }
static int op_restore(struct memmap *mm) { return memmap_restore(mm, 5); }
static int op_poison(struct memmap *mm) { return memmap_poison(mm, 7 * 512 + 1) < 0 ? -ENOMEM : 0; }

START_TEST(test_memmap_each_call_failing_changes_nothing)
{
	static operation *const ops[] = { op_activate, op_restore, op_poison };
	static struct snapshot before;
	uint64_t nr_pfns = GiB >> DESC_SHIFT;
	bool done = false;

	before.desc = mmap(NULL, nr_pfns * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int n = 0; !done; n++) {
		struct memmap *mm = new_memmap(GiB, 9, 0);
		int r;

		if (_i % 3 != 0)
			ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
		if (_i >= 3)            /* with slots ready, and a neighbour restored */
			ck_assert_int_eq(memmap_activate(mm, 0, 64) | memmap_restore(mm, 4), 0);
		take(&before, mm, nr_pfns);
		fail_at = n;
		r = counted(ops[_i % 3](mm));
		done = fail_at >= 0;
		fail_at = -1;
		if (r < 0)
			assert_same(&before, mm, nr_pfns);
		ck_assert_int_eq(ops[_i % 3](mm), 0);   /* and then it works */
		if (_i % 3 == 0)
			assert_plain_page(mm, 300, 9);
		else
			ck_assert_ptr_nonnull(memmap_tail(mm, _i % 3 == 1 ? 5 * 512 + 1 : 7 * 512 + 2));
		ck_assert_uint_lt(n, 200);
		memmap_free(mm);
	}
	munmap(before.desc, nr_pfns * 64);
}
END_TEST

START_TEST(test_memmap_dedup_that_fails_is_put_off)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	struct memmap_stats stats;

	ck_assert_int_eq(memmap_activate(mm, 0, 512), 0);
	for (uint64_t page = 60; page < 100; page++)
		ck_assert_int_eq(memmap_restore(mm, page), 0);
	fail_at = 1;                    /* the second of two sections */
	is_counted = true;
	memmap_dedup(mm, 60, 40);
	is_counted = false;
	fail_at = -1;
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.dedups_put_off, 40);
	ck_assert_uint_eq(stats.pages_idle, 40);
	for (uint64_t page = 60; page < 100; page++)
		assert_plain_page(mm, page, 9);
	settle(mm);
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.pages_idle, 0);
	memmap_free(mm);
}
END_TEST

/* ---- histories ---- */

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static uint64_t steps(uint64_t most)
{
	const char *text = getenv("MEMMAP_STEPS");

	return text ? strtoull(text, NULL, 0) : most;
}

/* 64 pages of a few sections, every descriptor compared with a plain array where something changed. */
START_TEST(test_memmap_random_history_equals_plain_array)
{
	enum { PAGES = 192 };
	static struct desc model[PAGES * 512];
	static bool split[PAGES];
	struct memmap *mm = new_memmap((uint64_t)PAGES << 21, 9, _i ? (uint32_t)count_vmas() + 24 : 0);

	seed = (uint64_t)_i + 1;
	memset(split, 0, sizeof(split));
	for (uint64_t i = 0; i < PAGES * 512; i++)
		model[i] = (struct desc){ .kind = i % 512 ? DESC_TAIL : DESC_HEAD, .order = i % 512 ? 0 : 9 };
	ck_assert_int_eq(memmap_activate(mm, 0, PAGES), 0);
	for (uint64_t step = 0, n = steps(400000); step < n; step++) {
		uint64_t page = rnd(PAGES), pfn = page * 512 + rnd(512);

		switch (rnd(8)) {
		case 0:
			ck_assert_int_eq(memmap_restore(mm, page), 0);
			split[page] = true;
			break;
		case 1:
			if (!split[page])
				break;
			reset_tails(mm, page, 9);
			for (int i = 1; i < 512; i++)
				model[page * 512 + (uint64_t)i] = (struct desc){ .kind = DESC_TAIL };
			memmap_dedup(mm, page, 1);
			split[page] = false;
			break;
		case 2:
			memmap_maintain(mm);
			break;
		default:
			if (!split[page] && pfn % 512)
				break;
			memmap_tail(mm, pfn)->object = model[pfn].object = (uint32_t)step;
		}
		ck_assert_int_eq(memcmp(memmap_desc(mm, pfn), &model[pfn], 64), 0);
		if (step % 4096 == 0)
			for (uint64_t i = 0; i < PAGES * 512; i++)
				ck_assert_int_eq(memcmp(memmap_desc(mm, i), &model[i], 64), 0);
	}
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_vmas_after_churn_are_what_they_were)
{
	struct memmap *mm = new_memmap(64 * GiB, 9, 0);
	uint64_t before, nr = steps(100000);
	struct memmap_stats stats;

	seed = 5;
	ck_assert_int_eq(memmap_activate(mm, 0, 32768), 0);
	before = count_vmas();
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t page = rnd(32768);

		ck_assert_int_eq(memmap_restore(mm, page), 0);
		memmap_dedup(mm, page, 1);
	}
	settle(mm);
	/* The pool file may be mapped nowhere, the heap may have grown by a few (a sanitizer's more than libc's). */
	ck_assert_uint_le(count_vmas(), before + 8);
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.pages_split + stats.pages_idle, 0);
	ck_assert_uint_le(stats.bytes_now, stats.bytes_flat / 128);
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_account_of_vmas_is_true)
{
	struct memmap *mm = new_memmap(16 * GiB, 9, 0);

	seed = 6;
	for (int i = 0; i < 2000; i++) {
		uint64_t page = rnd(8192);

		ck_assert_int_eq(memmap_activate(mm, page, 1), 0);
		ck_assert_int_eq(memmap_restore(mm, page), 0);
		if (rnd(2))
			memmap_dedup(mm, page, 1);
	}
	/* Slots that happen to follow each other in the pool merge: the account may be too high, never much too low. */
	ck_assert_uint_le(count_vmas(), vmas_of(mm) + 8);
	ck_assert_uint_ge(count_vmas() + 400, vmas_of(mm));
	memmap_free(mm);
}
END_TEST

START_TEST(test_memmap_few_vmas_serve_everything)
{
	uint32_t limit = (uint32_t)count_vmas() + 200;
	struct memmap *mm = new_memmap(256 * GiB, 9, limit);

	/* A split page in each of 512 sections: three mappings each, if there were no end to them. */
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

/* ---- a reader on another thread ---- */

struct reader {
	const struct memmap *mm;
	_Atomic bool stop;
	uint64_t nr_reads, nr_bad;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;
	uint64_t pfn = 1;

	while (!reader->stop) {
		for (int i = 0; i < 4096; i++) {
			const volatile struct desc *desc = memmap_desc(reader->mm, pfn);

			reader->nr_bad += desc->kind != DESC_TAIL;
			pfn = (pfn * 5 + 3) % (64 * 512);
			pfn += pfn % 512 == 0;
		}
		reader->nr_reads += 4096;
	}
	return NULL;
}

START_TEST(test_memmap_reader_never_sees_a_half_made_tail)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	struct reader reader = { .mm = mm };
	uint64_t wanted = steps(20000000);
	pthread_t thread;

	ck_assert_int_eq(memmap_activate(mm, 0, 64), 0);
	pthread_create(&thread, NULL, read_all, &reader);
	seed = 9;
	while (*(volatile uint64_t *)&reader.nr_reads < wanted) {
		uint64_t page = rnd(48), nr = 1 + rnd(16);

		for (uint64_t i = 0; i < nr; i++)
			ck_assert_int_eq(memmap_restore(mm, page + i), 0);
		memmap_dedup(mm, page, nr);
		if (rnd(4) == 0)
			memmap_maintain(mm);
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(reader.nr_bad, 0);
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

int main(void)
{
	Suite *suite = suite_create("memmap");
	TCase *tc = tcase_create("memmap");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_memmap_odd_sizes_are_refused, 0, 7);
	tcase_add_test(tc, test_memmap_end_inside_a_section_works);
	tcase_add_test(tc, test_memmap_stray_accesses_fault_in_every_state);
	tcase_add_test(tc, test_memmap_activate_twice_changes_nothing);
	tcase_add_loop_test(tc, test_memmap_restored_tails_are_plain_also_the_second_time, 0, 2);
	tcase_add_test(tc, test_memmap_order_0_has_only_heads);
	tcase_add_test(tc, test_memmap_on_the_device_is_flat_and_writable);
	tcase_add_loop_test(tc, test_memmap_poison_marks_once_and_restores, 0, 3);
	tcase_add_test(tc, test_memmap_poison_works_from_the_reserve_when_memory_is_out);
	tcase_add_loop_test(tc, test_memmap_each_call_failing_changes_nothing, 0, 6);
	tcase_add_test(tc, test_memmap_dedup_that_fails_is_put_off);
	tcase_add_loop_test(tc, test_memmap_random_history_equals_plain_array, 0, 2);
	tcase_add_test(tc, test_memmap_vmas_after_churn_are_what_they_were);
	tcase_add_test(tc, test_memmap_account_of_vmas_is_true);
	tcase_add_test(tc, test_memmap_few_vmas_serve_everything);
	tcase_add_test(tc, test_memmap_reader_never_sees_a_half_made_tail);
	tcase_add_test(tc, test_memmap_memory_comes_back);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
