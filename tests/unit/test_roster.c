/* SPDX-License-Identifier: BSD-3-Clause */
/* roster: seats over restarts, a SIGKILL at any store, files of others and files that are full. */
#include <config.h>

#include "daemon/service/roster.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[64], file[96];
static struct roster *roster;

static struct roster *open_with(uint32_t nr_seats)
{
	struct roster *opened;
	struct why why = { "" };
	int r = roster_open(&opened, dir, nr_seats, &why);

	ck_assert_msg(r == 0, "%s", why.text);
	return opened;
}

static void reopen(void)
{
	roster_close(roster);
	roster = open_with(4);
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/test_roster.XXXXXX");
	ck_assert(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/sessions", dir);
	roster = open_with(4);
}

static void teardown(void)
{
	roster_close(roster);
	unlink(file);
	rmdir(dir);
}

static struct seat *enter(uint32_t uid)
{
	struct seat *seat;

	ck_assert_int_eq(roster_enter(&seat, roster, uid), 0);
	return seat;
}

START_TEST(test_roster_full_is_busy_and_a_seat_that_was_left_is_free)
{
	struct seat *seats[4], *none;

	for (int i = 0; i < 4; i++)
		seats[i] = enter(0);
	ck_assert_int_eq(roster_enter(&none, roster, 0), -EBUSY);
	roster_leave(roster, seats[2]);
	ck_assert_ptr_eq(enter(0), seats[2]);
	roster_leave(roster, NULL);
}
END_TEST

START_TEST(test_roster_resume_needs_number_secret_and_user)
{
	uint8_t secret[ROSTER_SECRET], wrong[ROSTER_SECRET];
	struct seat *seat = enter(1000);
	uint64_t number = seat->number;

	memcpy(secret, seat->secret, sizeof(secret));
	memcpy(wrong, seat->secret, sizeof(wrong));
	wrong[15] ^= 1;
	reopen();
	ck_assert_uint_eq(roster_orphans(roster), 1);
	ck_assert_ptr_null(roster_resume(roster, number, wrong, 1000));
	ck_assert_ptr_null(roster_resume(roster, number, secret, 1001));
	ck_assert_ptr_null(roster_resume(roster, number + 1, secret, 1000));
	ck_assert_ptr_null(roster_resume(roster, 0, secret, 1000));
	ck_assert_uint_eq(roster_orphans(roster), 1);
	ck_assert_ptr_nonnull(roster_resume(roster, number, secret, 1000));
	ck_assert_uint_eq(roster_orphans(roster), 0);
	/* Twice: the client lost its connection again. */
	ck_assert_ptr_nonnull(roster_resume(roster, number, secret, 1000));
	ck_assert_uint_eq(roster_drop_orphans(roster), 0);
}
END_TEST

START_TEST(test_roster_orphans_that_nobody_resumes_are_dropped)
{
	uint8_t secret[ROSTER_SECRET];
	struct seat *kept = enter(1);
	uint64_t number = kept->number;

	memcpy(secret, kept->secret, sizeof(secret));
	enter(2);
	enter(3);
	reopen();
	ck_assert_ptr_nonnull(roster_resume(roster, number, secret, 1));
	ck_assert_uint_eq(roster_drop_orphans(roster), 2);
	ck_assert_uint_eq(roster_drop_orphans(roster), 0);
	for (int i = 0; i < 3; i++)
		enter(9);
	reopen();
	ck_assert_uint_eq(roster_orphans(roster), 4);
}
END_TEST

START_TEST(test_roster_numbers_grow_also_when_the_file_is_lost)
{
	uint64_t last = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++) {
			struct seat *seat = enter(0);

			ck_assert_uint_gt(seat->number, last);
			last = seat->number;
			roster_leave(roster, seat);
		}
		ck_assert_uint_gt(roster_take_number(roster), last);
		if (round == 1)
			unlink(file);
		reopen();
	}
}
END_TEST

START_TEST(test_roster_that_is_not_understood_is_begun_anew)
{
	static const char nonsense[64] = "this is no roster";
	int fd;

	enter(0);
	roster_close(roster);
	fd = open(file, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	close(fd);
	roster = open_with(4);
	ck_assert_uint_eq(roster_orphans(roster), 0);
	enter(0);
}
END_TEST

START_TEST(test_roster_of_another_boot_is_begun_anew)
{
	int fd;

	enter(0);
	roster_close(roster);
	/* The boot id stands behind magic, layout, use and next number. */
	fd = open(file, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "0", 1, 24), 1);
	ck_assert_int_eq(pwrite(fd, "x", 1, 25), 1);
	close(fd);
	roster = open_with(4);
	ck_assert_uint_eq(roster_orphans(roster), 0);
}
END_TEST

/* With no descriptor for it nobody knows which boot this is: that is no other boot. */
START_TEST(test_roster_of_an_unknown_boot_is_left_as_it_is)
{
	uint64_t number = enter(1000)->number;
	struct rlimit all, few;
	struct why why = { "" };
	struct roster *opened;
	struct seat *seat;
	int r, first;

	roster_close(roster);
	first = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(first);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = (struct rlimit){ (rlim_t)first + 1, all.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = roster_open(&opened, dir, 4, &why);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	ck_assert_int_eq(r, -EMFILE);
	ck_assert_msg(strstr(why.text, "boot_id"), "%s", why.text);
	roster = open_with(4);
	ck_assert_int_eq(roster_adopt(&seat, roster, number, 1001), -ENOENT);
	ck_assert_int_eq(roster_adopt(&seat, roster, number, 1000), 0);
	ck_assert_int_eq(roster_adopt(&seat, roster, number, 1000), -EBUSY);
}
END_TEST

START_TEST(test_roster_file_of_any_length_is_survived)
{
	for (off_t length = 0; length < 400; length += 7) {
		enter(0);
		roster_close(roster);
		ck_assert_int_eq(truncate(file, length), 0);
		roster = open_with(4);
		ck_assert_uint_le(roster_orphans(roster), 4);
		roster_drop_orphans(roster);
	}
}
END_TEST

START_TEST(test_roster_grows_and_never_shrinks)
{
	for (int i = 0; i < 4; i++)
		enter(0);
	roster_close(roster);
	roster = open_with(8);
	ck_assert_uint_eq(roster_orphans(roster), 4);
	for (int i = 0; i < 4; i++)
		enter(0);
	reopen();
	ck_assert_uint_eq(roster_orphans(roster), 8);
}
END_TEST

START_TEST(test_roster_second_daemon_is_refused)
{
	struct roster *second;
	struct why why;

	ck_assert_int_eq(roster_open(&second, dir, 4, &why), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "another pmemarenad"));
	ck_assert_int_eq(roster_open(&second, "/nonexistent", 4, &why), -ENOENT);
}
END_TEST

START_TEST(test_roster_file_is_for_its_owner_only)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

/* Killed while it enters and leaves: each seat is whole afterwards, and no number comes back. */
START_TEST(test_roster_kill_at_any_moment_leaves_whole_seats)
{
	uint64_t last = 0;

	roster_close(roster);
	for (int round = 0; round < 50; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			roster = open_with(64);
			for (unsigned i = 0;; i++) {
				struct seat *seat;

				if (roster_enter(&seat, roster, 7) < 0)
					roster_drop_orphans(roster);
				else if (i % 3)
					roster_leave(roster, seat);
			}
		}
		usleep(1000 + (useconds_t)round * 37);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		roster = open_with(64);
		ck_assert_uint_le(roster_orphans(roster), 64);
		roster_drop_orphans(roster);
		ck_assert_uint_gt(roster_take_number(roster), last);
		last = enter(1)->number;
		roster_close(roster);
	}
	roster = open_with(64);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_roster_full_is_busy_and_a_seat_that_was_left_is_free);
	tcase_add_test(t, test_roster_resume_needs_number_secret_and_user);
	tcase_add_test(t, test_roster_orphans_that_nobody_resumes_are_dropped);
	tcase_add_test(t, test_roster_numbers_grow_also_when_the_file_is_lost);
	tcase_add_test(t, test_roster_that_is_not_understood_is_begun_anew);
	tcase_add_test(t, test_roster_of_another_boot_is_begun_anew);
	tcase_add_test(t, test_roster_of_an_unknown_boot_is_left_as_it_is);
	tcase_add_test(t, test_roster_file_of_any_length_is_survived);
	tcase_add_test(t, test_roster_grows_and_never_shrinks);
	tcase_add_test(t, test_roster_second_daemon_is_refused);
	tcase_add_test(t, test_roster_file_is_for_its_owner_only);
	tcase_add_test(t, test_roster_kill_at_any_moment_leaves_whole_seats);
}

UNIT("roster", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
