/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_node: where descriptors are placed, on a machine with two nodes that is made up here: the
 * policy calls are intercepted, and what is said to the log is counted.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <errno.h>
#include <numaif.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "daemon/log.h"
#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

/* ---- the machine ---- */

static struct machine {
	unsigned long nodes;            /* that there are */
	int  mode;                      /* of this thread */
	unsigned long mask;
	bool refuses;                   /* to set any policy */
	uint64_t off_first, off_end;    /* heads of these units are on node 0 */
	struct memmap *mm;
	const char *bound;              /* the last mbind() */
	unsigned long bound_len, bound_mask;
	int  bound_mode;
	/* memory taken under the device's policy, and under another */
	unsigned nr_near, nr_astray;
	unsigned nr_warnings, nr_notices;
	char notice[4][200];
} machine;

long __wrap_mbind(void *at, unsigned long len, int mode, const unsigned long *mask,
		  unsigned long max, unsigned flags);
long __wrap_mbind(void *at, unsigned long len, int mode, const unsigned long *mask,
		  unsigned long max, unsigned flags)
{
	(void)max;
	(void)flags;
	if (machine.refuses)
		return errno = EPERM, -1;
	machine.bound = at;
	machine.bound_len = len;
	machine.bound_mode = mode;
	machine.bound_mask = mask[0];
	return 0;
}

long __wrap_set_mempolicy(int mode, const unsigned long *mask, unsigned long max);
long __wrap_set_mempolicy(int mode, const unsigned long *mask, unsigned long max)
{
	(void)max;
	if (machine.refuses)
		return errno = EPERM, -1;
	machine.mode = mode;
	machine.mask = mask[0];
	return 0;
}

static bool is_astray(const void *at)
{
	for (uint64_t section = machine.off_first; section < machine.off_end; section++)
		if (at == memmap_desc(machine.mm, section << 15))
			return true;
	return false;
}

long __wrap_get_mempolicy(int *mode, unsigned long *mask, unsigned long max, void *at,
			  unsigned long flags);
long __wrap_get_mempolicy(int *mode, unsigned long *mask, unsigned long max, void *at,
			  unsigned long flags)
{
	if (flags & MPOL_F_ADDR) {
		*mode = is_astray(at) ? 0 : 1;
		return 0;
	}
	if (mode)
		*mode = machine.mode;
	memset(mask, 0, max / 8);
	mask[0] = flags & MPOL_F_MEMS_ALLOWED ? machine.nodes : machine.mask;
	return 0;
}

static void note_memory(void)
{
	bool near = machine.mode == MPOL_PREFERRED && machine.mask == 1ul << 1;

	machine.nr_near += near;
	machine.nr_astray += !near;
}

ssize_t __real_pwrite(int fd, const void *from, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t off)
{
	note_memory();
	return __real_pwrite(fd, from, len, off);
}

int __real_fallocate(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate(int fd, int mode, off_t off, off_t len)
{
	if (mode == 0)                  /* others give memory back */
		note_memory();
	return __real_fallocate(fd, mode, off, len);
}

void __wrap_log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void __wrap_log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (level == LOG_LEVEL_NOTICE && machine.nr_notices < 4)
		vsnprintf(machine.notice[machine.nr_notices], sizeof(machine.notice[0]), fmt, args);
	va_end(args);
	machine.nr_notices += level == LOG_LEVEL_NOTICE;
	machine.nr_warnings += level == LOG_LEVEL_WARNING;
}

static void start(unsigned long nodes, int node, uint8_t order)
{
	struct memmap_params params = { .nr_pfns = 4 * GiB >> DESC_SHIFT,
					.order = order,
					.numa_node = node,
					.base_pfn = 0x100000 };

	machine.nodes = nodes;
	machine.mode = MPOL_INTERLEAVE; /* an operator's */
	machine.mask = 3;
	ck_assert_int_eq(memmap_new(&machine.mm, &params, NULL), 0);
}

static void use(struct memmap *mm, uint8_t order)
{
	ck_assert_int_eq(memmap_activate(mm, 0, order == 9 ? 128 : 2), 0);
	settle(mm);
	for (uint64_t page = 0; page < (order == 9 ? 60 : 2); page++)
		ck_assert_int_eq(memmap_restore(mm, page), 0);
	settle(mm);
}

/* ---- placed ---- */

START_TEST(test_memmap_node_of_the_device_is_preferred)
{
	uint8_t order = _i ? 18 : 9;

	start(3, 1, order);
	ck_assert_ptr_eq(machine.bound, (const char *)memmap_desc(machine.mm, 0));
	ck_assert_uint_eq(machine.bound_len, order == 9 ? 2048 * 64 : 4096);
	ck_assert_int_eq(machine.bound_mode, MPOL_PREFERRED);
	ck_assert_uint_eq(machine.bound_mask, 1ul << 1);
	use(machine.mm, order);
	ck_assert_uint_gt(machine.nr_near, 0);
	ck_assert_uint_eq(machine.nr_astray, 0);
	ck_assert_int_eq(machine.mode, MPOL_INTERLEAVE);        /* as it was */
	ck_assert_uint_eq(machine.mask, 3);
	ck_assert_uint_eq(machine.nr_warnings + machine.nr_notices, 0);
	memmap_free(machine.mm);
}
END_TEST

START_TEST(test_memmap_node_is_left_alone_where_there_is_no_choice)
{
	start(_i ? 2 : 3, _i ? 1 : -1, 9);
	use(machine.mm, 9);
	ck_assert_ptr_null(machine.bound);
	ck_assert_uint_eq(machine.nr_near, 0);
	ck_assert_uint_eq(machine.nr_warnings + machine.nr_notices, 0);
	memmap_free(machine.mm);
}
END_TEST

/* ---- not placed ---- */

START_TEST(test_memmap_node_that_is_missing_is_said_once)
{
	start(1, 1, 9);
	use(machine.mm, 9);
	ck_assert_uint_eq(machine.nr_warnings, 1);
	memmap_free(machine.mm);
}
END_TEST

START_TEST(test_memmap_node_policy_refused_is_said_once_and_all_works)
{
	machine.refuses = true;
	start(3, 1, 9);
	use(machine.mm, 9);
	ck_assert_ptr_nonnull(memmap_tail(machine.mm, 5 * 512 + 1));
	ck_assert_uint_eq(machine.nr_warnings, 1);
	memmap_free(machine.mm);
}
END_TEST

START_TEST(test_memmap_node_elsewhere_is_reported_by_range)
{
	start(3, 1, 9);
	machine.off_first = 3;
	machine.off_end = 7;
	ck_assert_int_eq(memmap_activate(machine.mm, 0, 2048), 0);
	ck_assert_uint_eq(machine.nr_notices, 1);
	ck_assert_ptr_nonnull(strstr(machine.notice[0], "[pfn 0x118000-0x137fff]"));
	ck_assert_ptr_nonnull(strstr(machine.notice[0], "on node 0, the device is on node 1"));
	ck_assert_int_eq(memmap_activate(machine.mm, 0, 2048), 0);
	ck_assert_uint_eq(machine.nr_notices, 1);
	ck_assert_uint_eq(machine.nr_warnings, 0);
	memmap_free(machine.mm);
}
END_TEST

/* Sections that were active before do not make one range of two. */
START_TEST(test_memmap_node_elsewhere_twice_is_two_ranges)
{
	start(3, 1, 9);
	ck_assert_int_eq(memmap_activate(machine.mm, 5 * 64, 1), 0);
	machine.off_first = 3;
	machine.off_end = 7;
	ck_assert_int_eq(memmap_activate(machine.mm, 0, 2048), 0);
	ck_assert_uint_eq(machine.nr_notices, 2);
	ck_assert_ptr_nonnull(strstr(machine.notice[0], "[pfn 0x118000-0x127fff]"));
	ck_assert_ptr_nonnull(strstr(machine.notice[1], "[pfn 0x130000-0x137fff]"));
	memmap_free(machine.mm);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_memmap_node_of_the_device_is_preferred, 0, 2);
	tcase_add_loop_test(t, test_memmap_node_is_left_alone_where_there_is_no_choice, 0, 2);
	tcase_add_test(t, test_memmap_node_that_is_missing_is_said_once);
	tcase_add_test(t, test_memmap_node_policy_refused_is_said_once_and_all_works);
	tcase_add_test(t, test_memmap_node_elsewhere_is_reported_by_range);
	tcase_add_test(t, test_memmap_node_elsewhere_twice_is_two_ranges);
}

UNIT("memmap_node", { .add = add_tests });
