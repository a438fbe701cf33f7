/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: whose file it is, of which boot, arena and version; what is left of one that is opened
 * anew.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"
#include "tests/unit/unit.h"

START_TEST(test_ledger_file_is_the_daemons_alone)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_ledger_of_another_boot_is_emptied)
{
	add_holder(ledger, 1, 1);
	add_range(ledger, 2, 100, 100);
	patch(16, "00000000-0000-4000-8000-000000000000", 36);
	reopen();
	expect_state("");
	ck_assert_uint_eq(ledger_used(ledger), 0);
	add_holder(ledger, 2, 2);
	reopen();
	expect_state("holder 2 2\n");
}
END_TEST

static void expect_refused(int err, const char *text)
{
	struct ledger *opened = NULL;
	off_t size = size_of(path);

	/* Whoever has it open is not who is in the way. */
	if (err != -EBUSY) {
		ledger_close(ledger);
		ledger = NULL;
	}
	ck_assert_int_eq(ledger_open(&opened, dir, ledger_uuid, &why), err);
	ck_assert_ptr_null(opened);
	ck_assert_msg(strstr(why.text, text) && strstr(why.text, dir), "%s", why.text);
	ck_assert_int_eq(size_of(path), size);
}

START_TEST(test_ledger_of_another_version_arena_or_kind_is_left_alone)
{
	add_holder(ledger, 1, 1);
	patch(8, "\5", 1);
	expect_refused(-EPROTONOSUPPORT, "version 5, this daemon knows 1 to 4");
	patch(8, "\0", 1);
	expect_refused(-EPROTONOSUPPORT, "version 0");
	patch(8, "\4", 1);
	patch(56, "\1", 1);
	expect_refused(-EUCLEAN, "another arena");
	patch(56, ledger_uuid, 1);
	patch(0, "?", 1);
	expect_refused(-EUCLEAN, "something else");
	patch(0, "P", 1);
	reopen();
	expect_state("holder 1 1\n");
}
END_TEST

START_TEST(test_ledger_open_twice_is_refused_until_it_is_closed)
{
	add_holder(ledger, 1, 1);
	expect_refused(-EBUSY, "reidentify");
	add_holder(ledger, 2, 1);
	reopen();
	expect_state("holder 1 1\nholder 2 1\n");
}
END_TEST

START_TEST(test_ledger_stamp_tells_what_was_begun_and_what_ended)
{
	uint64_t from, to;

	ledger_stamp(&from, &to, ledger);
	ck_assert(from == 0 && to == 0);
	ledger_begin(ledger, 7);
	ledger_end(ledger);
	ledger_begin(ledger, 8);
	reopen();
	ledger_stamp(&from, &to, ledger);
	ck_assert(from == 7 && to == 8);
	ledger_end(ledger);
	ledger_stamp(&from, &to, ledger);
	ck_assert(from == 8 && to == 8);
}
END_TEST

START_TEST(test_ledger_clear_leaves_nothing)
{
	uint64_t before = ledger_changes(ledger);

	add_holder(ledger, 1, 1);
	add_range(ledger, 2, 100, 100);
	ck_assert_uint_ne(ledger_changes(ledger), before);
	ledger_clear(ledger);
	expect_state("");
	reopen();
	expect_state("");
}
END_TEST

/* Of which holds nobody knows whether they were lent: so they were. */
START_TEST(test_ledger_of_a_version_before_is_taken_over)
{
	uint32_t version, held, closed, later;
	int fd;

	add_holder(ledger, 1, 1);
	held = add_hold(ledger, 1, 99, true);
	closed = add_hold(ledger, 1, 100, false);
	ledger_set_closed(ledger, closed, true);
	patch(8, _i == 0 ? "\1" : "\2", 1);
	reopen();
	expect_state("holder 1 1\nhold 1 99 106 1 0\nhold 1 100 107 0 1\n");
	ck_assert(is_lent(held) && is_lent(closed));
	later = add_hold(ledger, 1, 101, false);
	reopen();
	ck_assert(is_lent(held) && is_lent(closed) && !is_lent(later));
	ledger_remove(ledger, held);
	ledger_remove(ledger, closed);
	ledger_remove(ledger, later);
	add_deed(ledger, 1, 5, 9);
	reopen();
	expect_state("holder 1 1\ndeed 1 5 9 16 3 4\n");
	/* The daemon of that version must not think that it understands it. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &version, sizeof(version), 8), sizeof(version));
	close(fd);
	ck_assert_uint_eq(version, 4);
}
END_TEST

START_TEST(test_ledger_of_version_3_has_no_windows)
{
	uint32_t holder = add_holder(ledger, 1, 1000);
	uint32_t held = add_hold(ledger, 1, 99, true);
	struct ledger_item item;

	/* These bytes meant nothing then. */
	ledger_set_window(ledger, holder, 77);
	patch(8, "\3", 1);
	reopen();
	ck_assert(find_item(&item, holder));
	ck_assert_uint_eq(item.holder.window, 0);
	ck_assert_uint_eq(item.holder.session, 1);
	ck_assert(!is_lent(held));
}
END_TEST

START_TEST(test_ledger_open_does_not_follow_a_link_nor_wait_for_a_fifo)
{
	struct ledger *opened;

	ck_assert_int_eq(symlink(path, copy_path), 0);
	ck_assert_int_eq(ledger_open(&opened, copy_dir, ledger_uuid, &why), -ELOOP);
	unlink(copy_path);
	ck_assert_int_eq(mkfifo(copy_path, 0600), 0);
	ck_assert_int_eq(ledger_open(&opened, copy_dir, ledger_uuid, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "not a regular file"));
	ck_assert_int_eq(ledger_open(&opened, "/nonexistent", ledger_uuid, &why), -ENOENT);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_ledger_of_version_3_has_no_windows);
	tcase_add_test(t, test_ledger_file_is_the_daemons_alone);
	tcase_add_test(t, test_ledger_of_another_boot_is_emptied);
	tcase_add_test(t, test_ledger_of_another_version_arena_or_kind_is_left_alone);
	tcase_add_test(t, test_ledger_open_twice_is_refused_until_it_is_closed);
	tcase_add_test(t, test_ledger_stamp_tells_what_was_begun_and_what_ended);
	tcase_add_test(t, test_ledger_clear_leaves_nothing);
	tcase_add_loop_test(t, test_ledger_of_a_version_before_is_taken_over, 0, 2);
	tcase_add_test(t, test_ledger_open_does_not_follow_a_link_nor_wait_for_a_fifo);
}

UNIT("ledger_file", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 120 });
