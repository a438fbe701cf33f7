/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: space: what is used again, what it grows by, and a file system that is full.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"
#include "tests/unit/unit.h"

#define CHUNK (256 << 10)

/* ---- calls that fail ---- */

static int64_t fail_after = -1;         /* so many succeed, then all fail; -1: none fails */
static bool no_memory;

int __real_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
	if (fail_after == 0)
		return ENOSPC;
	if (fail_after > 0)
		fail_after--;
	return __real_posix_fallocate(fd, off, len);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return no_memory ? NULL : __real_calloc(nr, size);
}

START_TEST(test_ledger_entries_are_used_again)
{
	for (int round = 0; round < 20; round++) {
		uint32_t entries[100];

		for (uint64_t i = 0; i < 100; i++)
			entries[i] =
				add_range(ledger, i + 1, 1 + (uint32_t)i % 9, (uint8_t)(i * 2));
		for (int i = 0; i < 100; i++)
			ledger_remove(ledger, entries[i]);
		ck_assert_uint_eq(ledger_used(ledger), 0);
		if (round % 3 == 0)
			reopen();
	}
	ck_assert_int_eq(size_of(path), CHUNK);
}
END_TEST

START_TEST(test_ledger_grows_and_gives_back_at_the_next_start)
{
	static uint32_t entries[20000];

	for (uint32_t i = 0; i < 20000; i++)
		entries[i] = add_holder(ledger, i + 1, i);
	ck_assert_int_eq(size_of(path), 6 * CHUNK);
	reopen();
	ck_assert_uint_eq(ledger_used(ledger), 20000);
	for (int i = 0; i < 20000; i++)
		if (i != 100 && i != 9000)
			ledger_remove(ledger, entries[i]);
	reopen();
	ck_assert_int_eq(size_of(path), 3 * CHUNK);
	expect_state("holder 101 100\nholder 9001 9000\n");
	ck_assert_uint_eq(ledger_used(ledger), 2);
	/* Free ones are found in between and behind. */
	for (uint32_t i = 0; i < 20000; i++)
		entries[i] = add_holder(ledger, i + 1, i);
	reopen();
	ck_assert_uint_eq(ledger_used(ledger), 20002);
}
END_TEST

START_TEST(test_ledger_full_file_system_refuses_and_changes_nothing)
{
	char before[TEXT_MAX], after[TEXT_MAX];
	uint32_t entry = add_range(ledger, 1, 3, 20), kept = entry, added = 77;
	struct ledger_range range = make_range(1);

	state_text(before, ledger);
	fail_after = 0;
	ck_assert_int_eq(ledger_reserve(ledger, 4000), -ENOSPC);
	ck_assert_int_eq(ledger_reserve(ledger, 1900), 0);
	while (ledger_add_holder(&added, ledger, &(struct ledger_holder){ .session = 1, .uid = 1 }) == 0)
		ck_assert_uint_lt(ledger_used(ledger), 5000);
	added = 77;
	ck_assert_int_eq(ledger_add_holder(&added, ledger, &(struct ledger_holder){ .session = 1, .uid = 1 }),
			 -ENOSPC);
	ck_assert_int_eq(ledger_add_hold(&added, ledger, &(struct ledger_hold){ .session = 1 }),
			 -ENOSPC);
	ck_assert_int_eq(ledger_add_range(&added, ledger, &range, extents, 1, NULL, 0), -ENOSPC);
	ck_assert_uint_eq(added, 77);
	ck_assert_int_eq(ledger_replace_range(&entry, ledger, &range, extents, 1, NULL, 0),
			 -ENOSPC);
	ck_assert_uint_eq(entry, kept);
	ck_assert_uint_eq(ledger_used(ledger), CHUNK / ENTRY - HEADER / ENTRY);
	for (uint32_t i = HEADER / ENTRY; i < CHUNK / ENTRY; i++)
		if (i >= entry + ledger_range_entries(3, 20))
			ledger_remove(ledger, i);
	state_text(after, ledger);
	ck_assert_str_eq(before, after);
	fail_after = -1;
	reopen();
	expect_state(before);
}
END_TEST

/* What gives space back, and whoever connects to do so, finds room when nothing else does. */
START_TEST(test_ledger_full_file_system_leaves_room_for_what_ends)
{
	struct ledger_hold hold = { .session = 1, .id = 1 };
	struct ledger_deed deed = { .session = 1, .id = 1, .proof = PROOF_EXISTS };
	struct ledger_range range = make_range(1);
	uint32_t entry, nr = 0;

	fail_after = 0;
	while (ledger_add_hold(&entry, ledger, &hold) == 0)
		ck_assert_uint_lt(nr++, CHUNK / ENTRY);
	ck_assert_int_eq(ledger_add_deed(&entry, ledger, &deed), -ENOSPC);
	range.state = LEDGER_RESERVED;
	ck_assert_int_eq(ledger_add_range(&entry, ledger, &range, extents, 1, NULL, 0), -ENOSPC);
	for (int i = 0; i < 400; i++) {
		deed.proof = PROOF_GONE;
		range.state = LEDGER_FREEING;
		ck_assert_int_eq(ledger_add_holder(&entry, ledger, &(struct ledger_holder){ .session = 1, .uid = 1 }),
				 0);
		ck_assert_int_eq(ledger_add_deed(&entry, ledger, &deed), 0);
		ck_assert_int_eq(ledger_add_range(&entry, ledger, &range, extents, 1, NULL, 0), 0);
	}
	reopen();
	ck_assert_int_eq(ledger_add_hold(&entry, ledger, &hold), -ENOSPC);
	ck_assert_int_eq(ledger_add_holder(&entry, ledger, &(struct ledger_holder){ .session = 1, .uid = 1 }), 0);
}
END_TEST

START_TEST(test_ledger_reserve_makes_additions_infallible)
{
	ck_assert_int_eq(ledger_reserve(ledger, 10000), 0);
	fail_after = 0;
	for (uint64_t i = 1; i <= 10000 / ledger_range_entries(7, 60); i++)
		add_range(ledger, i, 7, 60);
}
END_TEST

START_TEST(test_ledger_open_fails_without_space_or_memory)
{
	struct ledger *opened = NULL;

	ledger_close(ledger);
	ledger = NULL;
	unlink(path);
	fail_after = 0;
	ck_assert_int_eq(ledger_open(&opened, dir, ledger_uuid, &why), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(why.text, dir));
	fail_after = -1;
	no_memory = true;
	ck_assert_int_eq(ledger_open(&opened, dir, ledger_uuid, &why), -ENOMEM);
	no_memory = false;
	ck_assert_ptr_null(opened);
	ledger_close(NULL);
	ledger = open_in(dir);
}
END_TEST

/* A store into a page that a full tmpfs could not give would be a SIGBUS. */
static int fill_small_tmpfs(void)
{
	struct ledger *l;
	uint32_t entry;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=600k,huge=never") < 0)
		return 77;
	r = ledger_open(&l, dir, ledger_uuid, NULL);
	for (uint64_t i = 1; r == 0 && i < 20000; i++)
		r = ledger_add_holder(&entry, l, &(struct ledger_holder){ .session = i, .uid = 1 });
	return r == -ENOSPC && ledger_used(l) == 2 * CHUNK / ENTRY - HEADER / ENTRY ? 0 : 1;
}

START_TEST(test_ledger_full_tmpfs_is_an_error_and_no_signal)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fill_small_tmpfs());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("test_ledger_full_tmpfs_is_an_error_and_no_signal needs to mount a tmpfs: "
		       "not tried\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_ledger_entries_are_used_again);
	tcase_add_test(t, test_ledger_grows_and_gives_back_at_the_next_start);
	tcase_add_test(t, test_ledger_full_file_system_refuses_and_changes_nothing);
	tcase_add_test(t, test_ledger_full_file_system_leaves_room_for_what_ends);
	tcase_add_test(t, test_ledger_reserve_makes_additions_infallible);
	tcase_add_test(t, test_ledger_open_fails_without_space_or_memory);
	tcase_add_test(t, test_ledger_full_tmpfs_is_an_error_and_no_signal);
}

UNIT("ledger_space", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 120 });
