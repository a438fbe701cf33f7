/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: killed at any instruction, each item is whole or absent. A process is stepped through a
 * change one instruction at a time, and after every instruction that stored something the file, as
 * a killed process would leave it, is opened and must say what was before or what was to be.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"
#include "tests/unit/unit.h"

#define WATCHED (32 << 10)              /* the header and the entries that these tests use */

/* A change of `ledger`, in the process that is stepped from its begin() on. */
typedef void change_fn(void);

static void begin(void)
{
	raise(SIGSTOP);
}

static uint32_t a_holder, a_hold, a_deed, a_range, a_long_range;

/* Something of each kind, and free entries in between that hold what was there before. */
static void make_base(void)
{
	uint32_t gone[4];

	a_holder = add_holder(ledger, 1, 1000);
	gone[0] = add_range(ledger, 50, 9, 100);
	a_hold = add_hold(ledger, 1, 10, true);
	gone[1] = add_hold(ledger, 2, 10, true);
	a_deed = add_deed(ledger, 1, 76, 10);
	a_range = add_range(ledger, 10, 1, 3);
	gone[2] = add_range(ledger, 51, 2, 10);
	a_long_range = add_range(ledger, 11, 8, 200);
	gone[3] = add_holder(ledger, 3, 1000);
	for (int i = 0; i < 4; i++)
		ledger_remove(ledger, gone[i]);
}

static void change_add_holder(void)
{
	begin();
	add_holder(ledger, 9, 1009);
}

static void change_add_hold(void)
{
	begin();
	add_hold(ledger, 9, 11, false);
}

static void change_add_deed(void)
{
	begin();
	add_deed(ledger, 1, 77, 10);
}

static void change_remove_deed(void)
{
	begin();
	ledger_remove(ledger, a_deed);
}

static void change_add_range(void)
{
	struct ledger_range range = make_range(12);
	uint32_t entry;

	begin();
	ledger_add_range(&entry, ledger, &range, extents, 1, NULL, 0);
}

static void change_add_long_range(void)
{
	struct ledger_range range = make_range(13);
	uint32_t entry;

	begin();
	ledger_add_range(&entry, ledger, &range, extents, 40, name, 255);
}

static void change_rename(void)
{
	struct ledger_range range = make_range(10);

	begin();
	ledger_replace_range(&a_range, ledger, &range, extents, 1, "another name", 12);
}

static void change_grow(void)
{
	struct ledger_range range = make_range(11);

	begin();
	ledger_replace_range(&a_long_range, ledger, &range, extents, 30, name, 200);
}

static void change_state(void)
{
	begin();
	ledger_set_state(ledger, a_long_range, LEDGER_FREEING);
}

static void change_close(void)
{
	begin();
	ledger_set_closed(ledger, a_hold, true);
}

/* Its entry was a piece of a range before, so that every field has something else in it. */
static void change_introduce(void)
{
	struct ledger_who who = { .since_ns = UINT64_C(77000000000),
				  .pid = 4711,
				  .command = "program" };
	uint32_t long_range = add_range(ledger, 52, 9, 100), holder;

	ledger_remove(ledger, long_range);
	holder = add_holder(ledger, 4, 1004);
	begin();
	ledger_introduce(ledger, holder, &who);
}

static void change_remove_holder(void)
{
	begin();
	ledger_remove(ledger, a_holder);
}

static void change_remove_range(void)
{
	begin();
	ledger_remove(ledger, a_long_range);
}

static void change_remove_hold(void)
{
	begin();
	ledger_remove(ledger, a_hold);
}

/*
 * Two changes: the one in the middle is a state too. The new range takes the entries that the old
 * one left.
 */
static void change_reuse(void)
{
	struct ledger_range range = make_range(14);
	uint32_t entry;

	begin();
	ledger_remove(ledger, a_long_range);
	ledger_add_range(&entry, ledger, &range, extents, 12, name, 150);
}

static change_fn *const changes[] = {
	change_add_holder,  change_add_hold,	   change_add_deed,	 change_remove_deed,
	change_add_range,   change_add_long_range, change_rename,	 change_grow,
	change_state,	    change_close,	   change_remove_holder, change_remove_range,
	change_remove_hold, change_reuse,	   change_introduce,
};

static void write_copy(const char *image, size_t len)
{
	int fd = open(copy_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, image, len), (ssize_t)len);
	close(fd);
}

/* What a new daemon would find, and find again when it was killed right after it opened. */
static void text_of_image(char text[TEXT_MAX], const char *image, size_t len)
{
	char again[TEXT_MAX];
	struct ledger *l;

	write_copy(image, len);
	l = open_in(copy_dir);
	ck_assert_uint_eq(ledger_dropped(l), 0);
	state_text(text, l);
	ledger_close(l);
	l = open_in(copy_dir);
	state_text(again, l);
	ck_assert_str_eq(text, again);
	/* And it can be worked with. */
	ledger_remove(l, add_range(l, 1234, 20, 200));
	state_text(again, l);
	ck_assert_str_eq(text, again);
	ledger_close(l);
}

static size_t read_file(int fd, char *image)
{
	ssize_t got = pread(fd, image, WATCHED, 0);

	ck_assert_int_ge(got, 0);
	return (size_t)got;
}

/* Returns the signal that stopped it. */
static int resume(pid_t pid, int how)
{
	int status;

	ck_assert_int_eq(ptrace(how, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "the stepped process ended, status %#x",
		      (unsigned)status);
	return WSTOPSIG(status);
}

/* A process that has begun the change; -1: ptrace is not to be had. */
static pid_t start_stepped(change_fn *change)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		change();
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return -1;
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
	return pid;
}

typedef void image_fn(const char *image, size_t len);

/*
 * So many instructions without a store, and the process may run to the end of the change: an
 * opening looks through thousands of free entries, each step costs a tenth of a millisecond.
 */
#define PATIENCE 20000

/*
 * Calls @see for each state of the file that there is during the change. false: ptrace is not to be
 * had.
 */
static bool step_through(change_fn *change, image_fn *see)
{
	static char last[WATCHED], now[WATCHED];
	pid_t pid = start_stepped(change);
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600), sig, idle = 0;
	size_t len, last_len = read_file(fd, last);

	if (pid < 0) {
		printf("test_ledger_kill needs ptrace to step through a change: not tried\n");
		close(fd);
		return false;
	}
	see(last, last_len);
	do {
		sig = resume(pid, ++idle < PATIENCE ? PTRACE_SINGLESTEP : PTRACE_CONT);
		len = read_file(fd, now);
		if (len == last_len && memcmp(last, now, len) == 0)
			continue;
		idle = 0;
		see(now, len);
		memcpy(last, now, len);
		last_len = len;
	} while (sig != SIGSTOP);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	return true;
}

static char seen[4][TEXT_MAX];
static int nr_seen, nr_images;

/* Each state is like the last one or new; none comes back. */
static void see_change(const char *image, size_t len)
{
	char text[TEXT_MAX];

	nr_images++;
	text_of_image(text, image, len);
	if (nr_seen && strcmp(text, seen[nr_seen - 1]) == 0)
		return;
	for (int i = 0; i < nr_seen; i++)
		ck_assert_str_ne(text, seen[i]);
	ck_assert_int_lt(nr_seen, 4);
	strcpy(seen[nr_seen++], text);
}

START_TEST(test_ledger_killed_in_a_change_keeps_old_or_new)
{
	change_fn *change = changes[_i];
	char text[TEXT_MAX];

	make_base();
	nr_seen = nr_images = 0;
	if (!step_through(change, see_change))
		return;
	ck_assert_int_eq(nr_seen, change == change_reuse ? 3 : 2);
	ck_assert_int_gt(nr_images, 1);
	/* What the process was told to do is what is there now. */
	reopen();
	state_text(text, ledger);
	ck_assert_str_eq(text, seen[nr_seen - 1]);
}
END_TEST

static void change_open(void)
{
	ledger = NULL;
	begin();
	_exit(ledger_open(&ledger, dir, ledger_uuid, NULL) < 0 || raise(SIGSTOP) != 0);
}

START_TEST(test_ledger_killed_while_it_is_created_is_empty)
{
	ledger_close(ledger);
	ledger = NULL;
	unlink(path);
	nr_seen = 0;
	if (step_through(change_open, see_change)) {
		ck_assert_int_eq(nr_seen, 1);
		ck_assert_str_eq(seen[0], "");
	}
	ledger = open_in(dir);
}
END_TEST

START_TEST(test_ledger_killed_while_it_is_emptied_after_a_boot_is_empty)
{
	make_base();
	patch(16, "00000000-0000-4000-8000-000000000000", 36);
	ledger_close(ledger);
	ledger = NULL;
	nr_seen = 0;
	if (step_through(change_open, see_change)) {
		ck_assert_int_eq(nr_seen, 1);
		ck_assert_str_eq(seen[0], "");
	}
	ledger = open_in(dir);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_ledger_killed_in_a_change_keeps_old_or_new,
			    0, sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(t, test_ledger_killed_while_it_is_created_is_empty);
	tcase_add_test(t, test_ledger_killed_while_it_is_emptied_after_a_boot_is_empty);
}

UNIT("ledger_kill", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 300 });
