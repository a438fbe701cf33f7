/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SIGBUS guard by itself: it catches its own thread's faults in its own range, and nothing
 * else.
 */
#include <config.h>

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/media/guard.h"
#include "tests/unit/unit.h"

#define PAGE UINT64_C(4096)

/* Every page of it is beyond the end of its file. */
static char *map_nothing(uint64_t len)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	ck_assert(map != MAP_FAILED);
	return map;
}

static int try_read(char *at, char *base, uint64_t len)
{
	struct guard guard;

	guard_arm(&guard, base, len);
	if (guard_trips(&guard))
		return -1;
	(void)*(volatile char *)at;
	guard_disarm(&guard);
	return 0;
}

START_TEST(test_guard_catches_every_byte_of_its_range)
{
	char *map = map_nothing(4 * PAGE);

	ck_assert_int_eq(guard_install(), 0);
	ck_assert_int_eq(guard_install(), 0);
	for (uint64_t off = 0; off < 4 * PAGE; off += 511)
		ck_assert_int_eq(try_read(map + off, map, 4 * PAGE), -1);
	ck_assert_int_eq(try_read(map + PAGE, map + PAGE, 1), -1);
	munmap(map, 4 * PAGE);
}
END_TEST

/* How a child dies that meets a SIGBUS which no guard is for. */
static int death_of(int how)
{
	struct guard guard;
	int status;
	char *map;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		map = map_nothing(PAGE);
		if (how == 0)
			_exit(*(volatile char *)map);
		if (how == 1)
			kill(getpid(), SIGBUS);
		guard_arm(&guard, map + PAGE, PAGE);    /* armed, for another range */
		if (guard_trips(&guard))
			_exit(3);
		_exit(*(volatile char *)map);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_guard_sigbus_outside_is_deadly)
{
	int status;

	ck_assert_int_eq(guard_install(), 0);
	status = death_of(_i);
	/* A sanitizer's handler, which had it before the guard, reports and exits with 1. */
	ck_assert_msg(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) == 1,
		      "status %#x", status);
}
END_TEST

START_TEST(test_guard_may_be_nested)
{
	struct guard outer, inner;
	volatile int trips = 0;
	char *map = map_nothing(2 * PAGE);

	ck_assert_int_eq(guard_install(), 0);
	guard_arm(&outer, map, 2 * PAGE);
	if (guard_trips(&outer)) {
		trips += 10;
	} else {
		guard_arm(&inner, map, 2 * PAGE);
		if (guard_trips(&inner))
			trips += 1;
		else
			ck_abort_msg("%d", *(volatile char *)map);
		ck_abort_msg("%d", *(volatile char *)(map + PAGE));
	}
	ck_assert_int_eq(trips, 11);
	munmap(map, 2 * PAGE);
}
END_TEST

static void *trip(void *arg)
{
	sigset_t mask;

	for (int i = 0; i < 2000; i++)
		if (try_read(arg, arg, PAGE) != -1)
			return arg;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, SIGBUS) ? arg : NULL;
}

START_TEST(test_guard_is_the_threads_own)
{
	pthread_t threads[4];
	char *map = map_nothing(PAGE);
	void *result;

	ck_assert_int_eq(guard_install(), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, trip, map), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &result), 0);
		ck_assert_ptr_null(result);
	}
	munmap(map, PAGE);
}
END_TEST

/* A process may send itself what only the kernel sends to others. */
static void tell_of_poison(char *addr, short shift)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AO };

	info.si_addr = addr;
	info.si_addr_lsb = shift;
	ck_assert_int_eq((int)syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info), 0);
}

START_TEST(test_guard_keeps_notice_of_poison)
{
	char *base = (char *)(UINT64_C(1) << 32);
	const size_t huge = 2 << 20;
	size_t off, len;

	ck_assert_int_eq(guard_install(), 0);
	ck_assert(!guard_take_poison(&off, &len, base, 8 * huge));
	tell_of_poison(base + PAGE, 12);
	ck_assert(!guard_take_poison(&off, &len, base + 2 * PAGE, PAGE));
	ck_assert(!guard_take_poison(&off, &len, base, PAGE));
	ck_assert(guard_take_poison(&off, &len, base, huge));
	ck_assert_uint_eq(off, PAGE);
	ck_assert_uint_eq(len, PAGE);
	ck_assert(!guard_take_poison(&off, &len, base, huge));

	/* the whole huge page, cut to the range */
	tell_of_poison(base + huge + 5 * PAGE, 21);
	ck_assert(guard_take_poison(&off, &len, base + PAGE, 2 * huge - 2 * PAGE));
	ck_assert_uint_eq(off, huge - PAGE);
	ck_assert_uint_eq(len, huge - PAGE);
}
END_TEST

START_TEST(test_guard_forgets_poison_rather_than_overrun)
{
	char *base = (char *)(UINT64_C(1) << 32);
	size_t off, len, nr = 0;

	ck_assert_int_eq(guard_install(), 0);
	for (int i = 0; i < 100; i++)
		tell_of_poison(base + (uint64_t)i * PAGE, 0);
	while (guard_take_poison(&off, &len, base, 100 * PAGE)) {
		ck_assert_uint_eq(len, PAGE);
		nr++;
	}
	ck_assert_uint_eq(nr, 64);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_guard_catches_every_byte_of_its_range);
	tcase_add_loop_test(t, test_guard_sigbus_outside_is_deadly, 0, 3);
	tcase_add_test(t, test_guard_may_be_nested);
	tcase_add_test(t, test_guard_is_the_threads_own);
	tcase_add_test(t, test_guard_keeps_notice_of_poison);
	tcase_add_test(t, test_guard_forgets_poison_rather_than_overrun);
}

UNIT("guard", { .add = add_tests });
