/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * witness: what the library says of an allocation that a child, however it was made, has mapped or
 * had mapped; and for how long it remembers.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

static struct pma *pma;
static struct fake_daemon *fake;
static struct pma_handle handle;

static void serve(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
}

/* Connected, with one allocation that is open for writing. */
static void begin_with(uint64_t features)
{
	fake = fake_new(serve, NULL);
	fake->features = features;
	fake->arenas[0].align = 4096;
	fake->arenas[0].granularity = PMA_CACHE_LINE;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == 0, "%s", pma_message());
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
}

static void begin(void)
{
	begin_with(0);
}

static void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static struct pma_mapping *map_it(uint32_t flags)
{
	struct pma_mapping *map;

	ck_assert_msg(pma_map(&map, pma, handle, flags) == 0, "%s", pma_message());
	return map;
}

/* ---- who else has it ---- */

static pid_t fork_child(void)
{
	return fork();
}

/* Not by libc: no handler runs. */
static pid_t clone_child(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
}

/* The child of one that has ended. */
static pid_t fork_grandchild(void)
{
	pid_t between = fork();
	int status;

	if (between > 0) {
		ck_assert_int_eq(waitpid(between, &status, 0), between);
		ck_assert_int_eq(status, 0);
		return 1;
	}
	between = fork();
	if (between > 0)
		_exit(0);
	return between;
}

static pid_t (*const makers[])(void) = { fork_child, clone_child, fork_grandchild };

/* A process that ends with @until; it does what it may with its copies, if @unmaps. */
static void make_child(pid_t (*maker)(void), int until[2], struct pma_mapping *map, bool unmaps)
{
	char byte;

	ck_assert_int_eq(pipe(until), 0);
	ck_assert_int_ge(fflush(NULL), 0);
	if (maker() != 0)
		return;
	close(until[1]);
	*(char *)pma_map_address(map) = 'c';
	if (unmaps) {
		pma_unmap(map);
		pma_disconnect(pma);
	}
	_exit(read(until[0], &byte, 1) != 0);
}

static void end_child(int until[2])
{
	close(until[1]);
	close(until[0]);
	wait(NULL);
}

static void expect_flags_of_free(uint32_t flags)
{
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, flags);
}

START_TEST(test_witness_mapping_of_a_child_is_not_called_unmapped)
{
	struct pma_mapping *map;
	int until[2];

	begin();
	map = map_it(PMA_MAP_WRITE);
	make_child(makers[_i], until, map, false);
	pma_unmap(map);
	expect_flags_of_free(0);
	end_child(until);
	end();
}
END_TEST

START_TEST(test_witness_mapping_of_a_child_is_called_lent_whatever_is_opened_again)
{
	struct pma_mapping *map;
	int until[2];

	begin_with(WIRE_LENDS);
	map = map_it(PMA_MAP_WRITE);
	make_child(makers[_i], until, map, false);
	pma_unmap(map);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pma_close(pma, handle), 0);
		ck_assert_uint_eq(fake->last_flags, WIRE_LENT);
		ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
		if (i == 1)
			pma_unmap(map_it(PMA_MAP_WRITE));
	}
	expect_flags_of_free(WIRE_LENT);
	end_child(until);
	end();
}
END_TEST

/* What a child had and has no more. */
START_TEST(test_witness_mapping_that_a_child_ended_is_nobodys)
{
	struct pma_mapping *map;
	int until[2];

	begin();
	map = map_it(PMA_MAP_WRITE);
	make_child(fork_child, until, map, true);
	while (*(volatile char *)pma_map_address(map) != 'c')
		sched_yield();
	end_child(until);
	pma_unmap(map);
	expect_flags_of_free(WIRE_UNMAPPED);
	end();
}
END_TEST

START_TEST(test_witness_mapping_after_a_fork_is_the_parents_alone)
{
	struct pma_mapping *before, *after;
	int until[2];

	begin();
	before = map_it(PMA_MAP_WRITE);
	make_child(fork_child, until, before, false);
	ck_assert_int_eq(pma_create(&handle, pma, "y", FAKE_PAGE, 0), 0);
	after = map_it(PMA_MAP_READ);
	pma_unmap(after);
	expect_flags_of_free(WIRE_UNMAPPED);
	pma_unmap(before);
	end_child(until);
	end();
}
END_TEST

/* A child of its own connection maps, forks and unmaps as anybody. */
START_TEST(test_witness_of_a_child_is_its_own)
{
	struct pma_mapping *map;
	int status;
	pid_t child;

	begin();
	pma_unmap(map_it(PMA_MAP_WRITE));
	end();
	child = fork();
	if (child == 0) {
		int until[2];

		begin();
		map = map_it(PMA_MAP_WRITE);
		pma_unmap(map_it(PMA_MAP_READ));
		make_child(clone_child, until, map, false);
		pma_unmap(map);
		expect_flags_of_free(0);
		end_child(until);
		ck_assert_int_eq(pma_create(&handle, pma, "y", FAKE_PAGE, 0), 0);
		pma_unmap(map_it(PMA_MAP_READ));
		expect_flags_of_free(WIRE_UNMAPPED);
		end();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/*
 * Programs that make themselves daemons close whatever is open, and other files take the numbers.
 */
START_TEST(test_witness_that_lost_its_descriptor_is_not_called_unmapped)
{
	char name[64], path[64];
	struct pma_mapping *map;
	ssize_t len;
	int found = -1;

	begin();
	map = map_it(PMA_MAP_WRITE);
	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, name, sizeof(name) - 1);
		name[len > 0 ? len : 0] = '\0';
		if (strstr(name, "pma-witness"))
			found = fd;
	}
	ck_assert_int_ge(found, 0);
	close(found);
	ck_assert_int_eq(memfd_create("somebody else's", 0), found);
	pma_unmap(map);
	expect_flags_of_free(0);
	/* The next one has another file; the one that took the number is left alone. */
	ck_assert_int_eq(pma_create(&handle, pma, "y", FAKE_PAGE, 0), 0);
	pma_unmap(map_it(PMA_MAP_READ));
	expect_flags_of_free(WIRE_UNMAPPED);
	ck_assert_int_ge(fcntl(found, F_GETFD), 0);
	end();
}
END_TEST

/* Its place was asked for: by whatever means it is mapped, for as long as the session. */
START_TEST(test_witness_extents_are_lent_whatever_is_opened_again)
{
	struct pma_extent extent;
	size_t nr = 1;

	begin_with(WIRE_LENDS);
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, handle, 0), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_LENT);
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	pma_unmap(map_it(PMA_MAP_READ));
	expect_flags_of_free(WIRE_LENT);
	/* An id that never comes back: nothing to remember. */
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, 0);
	end();
}
END_TEST

/* A daemon that does not know the word is not told that nothing is mapped. */
START_TEST(test_witness_what_was_lent_of_an_old_daemon_is_never_called_unmapped)
{
	struct pma_extent extent;
	size_t nr = 1;

	begin();
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, handle, 0), 0);
	ck_assert_uint_eq(fake->last_flags, 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pma_close(pma, handle), 0);
		ck_assert_uint_eq(fake->last_flags, 0);
		ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	}
	expect_flags_of_free(0);
	end();
}
END_TEST

static void lose_the_session(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	int *refusal = daemon->arg;

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask) && ask->opcode != WIRE_STAT)
		fake_answer(daemon, ask);
	fake_hang_up(daemon);
	/* Another daemon, which knows nothing of the session. */
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_OPEN);
	daemon->last_flags = ask->items[0].flags;
	if (*refusal)
		fake_refuse(daemon, ask, *refusal, "not now");
	else
		fake_answer(daemon, ask);
	free(ask);
	fake_serve(daemon);
}

static void begin_to_lose_the_session(int *refusal)
{
	fake = fake_new(lose_the_session, refusal);
	fake->features = WIRE_LENDS;
	fake->arenas[0].align = 4096;
	fake->arenas[0].granularity = PMA_CACHE_LINE;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
}

/*
 * What a map is counted in lives as long as the map, though the new session could not open the
 * allocation at first.
 */
START_TEST(test_witness_map_of_a_lost_session_is_not_taken_for_another)
{
	struct pma_mapping *old, *map;
	struct pma_info stat;
	int refusal = -EACCES;

	begin_to_lose_the_session(&refusal);
	old = map_it(PMA_MAP_WRITE);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_int_eq(pma_map(&map, pma, handle, PMA_MAP_READ), -EBADF);
	ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	map = map_it(PMA_MAP_WRITE);
	pma_unmap(old);
	ck_assert_int_eq(pma_free(pma, handle), -EBUSY);
	pma_unmap(map);
	expect_flags_of_free(WIRE_UNMAPPED);
	end();
}
END_TEST

START_TEST(test_witness_what_was_lent_in_a_lost_session_is_lent_in_the_next)
{
	struct pma_extent extent;
	struct pma_info stat;
	int refusal = 0;
	size_t nr = 1;

	begin_to_lose_the_session(&refusal);
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, handle, 0), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	expect_flags_of_free(WIRE_LENT);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_witness_mapping_of_a_child_is_not_called_unmapped, 0, 3);
	tcase_add_loop_test(
		t, test_witness_mapping_of_a_child_is_called_lent_whatever_is_opened_again, 0, 3);
	tcase_add_test(t, test_witness_mapping_that_a_child_ended_is_nobodys);
	tcase_add_test(t, test_witness_mapping_after_a_fork_is_the_parents_alone);
	tcase_add_test(t, test_witness_of_a_child_is_its_own);
	tcase_add_test(t, test_witness_that_lost_its_descriptor_is_not_called_unmapped);
	tcase_add_test(t, test_witness_extents_are_lent_whatever_is_opened_again);
	tcase_add_test(t, test_witness_what_was_lent_of_an_old_daemon_is_never_called_unmapped);
	tcase_add_test(t, test_witness_map_of_a_lost_session_is_not_taken_for_another);
	tcase_add_test(t, test_witness_what_was_lent_in_a_lost_session_is_lent_in_the_next);
}

UNIT("witness", { .add = add_tests, .timeout_s = 30 });
