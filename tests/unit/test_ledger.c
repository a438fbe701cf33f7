/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: what is written is found again, space, whose file it is, damage. What a kill leaves is in test_ledger_kill.c.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/arena/ledger.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"

#define ENTRY  64
#define HEADER 4096
#define CHUNK  (256 << 10)

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

static off_t size_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	return st.st_size;
}

/* ---- what is written is found again ---- */

START_TEST(test_ledger_holder_is_found_again)
{
	uint32_t entry = add_holder(ledger, UINT64_C(1) << 59, 1000);
	struct ledger_item item;
	uint32_t cursor = 0;

	reopen();
	ck_assert(ledger_next(&item, ledger, &cursor));
	ck_assert_int_eq(item.kind, LEDGER_HOLDER);
	ck_assert_uint_eq(item.entry, entry);
	ck_assert_uint_eq(item.holder.session, UINT64_C(1) << 59);
	ck_assert_uint_eq(item.holder.uid, 1000);
	ck_assert(!ledger_next(&item, ledger, &cursor));
	ck_assert(!ledger_next(&item, ledger, &cursor));
	ck_assert_uint_eq(ledger_used(ledger), 1);
	ck_assert_uint_eq(ledger_dropped(ledger), 0);
}
END_TEST

START_TEST(test_ledger_hold_is_found_again_closed_or_not)
{
	uint32_t entry = add_hold(ledger, 5, 99, true);

	add_hold(ledger, 6, 100, false);
	reopen();
	expect_state("hold 5 99 106 1 0\nhold 6 100 107 0 0\n");
	ledger_set_closed(ledger, entry, true);
	ledger_set_closed(ledger, entry, true);
	reopen();
	expect_state("hold 5 99 106 1 1\nhold 6 100 107 0 0\n");
	ledger_set_closed(ledger, entry, false);
	expect_state("hold 5 99 106 1 0\nhold 6 100 107 0 0\n");
}
END_TEST

static const struct { uint32_t nr_extents; uint8_t name_len; } shapes[] = {
	{ 1, 0 }, { 1, 1 }, { 2, 48 }, { 3, 49 }, { 4, 96 }, { 7, 255 }, { LEDGER_MAX_EXTENTS, 0 }, { LEDGER_MAX_EXTENTS, 255 },
};

START_TEST(test_ledger_range_is_found_again)
{
	const uint32_t nr = shapes[_i].nr_extents;
	const uint8_t len = shapes[_i].name_len;
	uint32_t entry = add_range(ledger, 3, nr, len), cursor = 0;
	struct ledger_range range = make_range(3);
	struct ledger_item item;

	reopen();
	ck_assert(ledger_next(&item, ledger, &cursor));
	ck_assert_int_eq(item.kind, LEDGER_RANGE);
	ck_assert_uint_eq(item.entry, entry);
	ck_assert_uint_eq(item.nr_extents, nr);
	ck_assert_mem_eq(item.extents, extents, nr * sizeof(extents[0]));
	ck_assert_uint_eq(item.name_len, len);
	ck_assert_mem_eq(item.name, name, len);
	ck_assert_uint_eq(item.range.id, range.id);
	ck_assert_uint_eq(item.range.session, range.session);
	ck_assert_uint_eq(item.range.created_ns, range.created_ns);
	ck_assert_uint_eq(item.range.slot, range.slot);
	ck_assert_uint_eq(item.range.uid, range.uid);
	ck_assert_uint_eq(item.range.gid, range.gid);
	ck_assert_uint_eq(item.range.mode, range.mode);
	ck_assert_int_eq(item.range.state, range.state);
	ck_assert(item.range.is_run && item.range.is_lease);
	ck_assert_uint_eq(item.range.flags, range.flags);
	ck_assert_uint_eq(ledger_used(ledger), ledger_range_entries(nr, len));
	ck_assert(!ledger_next(&item, ledger, &cursor));
	ledger_set_state(ledger, entry, LEDGER_FREEING);
	reopen();
	cursor = 0;
	ck_assert(ledger_next(&item, ledger, &cursor));
	ck_assert_int_eq(item.range.state, LEDGER_FREEING);
	ck_assert(item.range.is_run && item.range.is_lease);
	ck_assert_uint_eq(item.range.flags, range.flags);
	ledger_remove(ledger, entry);
	ck_assert_uint_eq(ledger_used(ledger), 0);
}
END_TEST

START_TEST(test_ledger_replaced_range_has_a_new_entry_and_no_old_one)
{
	uint32_t entry = add_range(ledger, 1, 10, 200), old = entry;
	struct ledger_range range = make_range(1);
	struct ledger_item item;
	uint32_t cursor = 0;

	ck_assert_int_eq(ledger_replace_range(&entry, ledger, &range, extents + 1, 2, "short", 5), 0);
	ck_assert_uint_ne(entry, old);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(ledger_used(ledger), ledger_range_entries(2, 5));
		cursor = 0;
		ck_assert(ledger_next(&item, ledger, &cursor));
		ck_assert_uint_eq(item.entry, entry);
		ck_assert_uint_eq(item.nr_extents, 2);
		ck_assert_mem_eq(item.name, "short", 5);
		ck_assert(!ledger_next(&item, ledger, &cursor));
		reopen();
	}
}
END_TEST

/* The entry of the one that was replaced is anybody's, also that of another range of the same allocation. */
START_TEST(test_ledger_replaced_range_is_forgotten)
{
	uint32_t entry = add_range(ledger, 1, 1, 0), first = entry;
	struct ledger_range range = make_range(1);
	struct ledger_item item;
	uint32_t cursor = 0, nr;

	ck_assert_int_eq(ledger_replace_range(&entry, ledger, &range, extents, 1, "new", 3), 0);
	add_holder(ledger, 1, 1);               /* takes what its chain had */
	ck_assert_uint_eq(add_range(ledger, 1, 1, 0), first);
	reopen();
	ck_assert_uint_eq(ledger_dropped(ledger), 0);
	ck_assert(ledger_next(&item, ledger, &cursor));
	ck_assert_uint_eq(item.entry, first);
	ck_assert_uint_eq(item.name_len, 0);
	for (nr = 1; ledger_next(&item, ledger, &cursor); nr++)
		;
	ck_assert_uint_eq(nr, 3);
}
END_TEST

START_TEST(test_ledger_item_may_be_removed_when_it_was_met)
{
	struct ledger_item item;
	uint32_t cursor = 0;

	for (uint64_t i = 1; i <= 10; i++) {
		add_holder(ledger, i, 1);
		add_range(ledger, i, 5, 100);
		add_hold(ledger, i, i, false);
	}
	while (ledger_next(&item, ledger, &cursor))
		if (item.kind != LEDGER_HOLDER)
			ledger_remove(ledger, item.entry);
	ledger_remove(ledger, 0);
	ck_assert_uint_eq(ledger_used(ledger), 10);
	reopen();
	expect_state("holder 1 1\nholder 2 1\nholder 3 1\nholder 4 1\nholder 5 1\nholder 6 1\nholder 7 1\nholder 8 1\nholder 9 1\nholder 10 1\n");
}
END_TEST

/* ---- space ---- */

START_TEST(test_ledger_entries_are_used_again)
{
	for (int round = 0; round < 20; round++) {
		uint32_t entries[100];

		for (uint64_t i = 0; i < 100; i++)
			entries[i] = add_range(ledger, i + 1, 1 + (uint32_t)i % 9, (uint8_t)(i * 2));
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
	ck_assert_int_eq(size_of(path), 5 * CHUNK);
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
	ck_assert_int_eq(ledger_reserve(ledger, 5000), -ENOSPC);
	ck_assert_int_eq(ledger_reserve(ledger, 4000), 0);
	while (ledger_add_holder(&added, ledger, &(struct ledger_holder){ 1, 1 }) == 0)
		ck_assert_uint_lt(ledger_used(ledger), 5000);
	added = 77;
	ck_assert_int_eq(ledger_add_holder(&added, ledger, &(struct ledger_holder){ 1, 1 }), -ENOSPC);
	ck_assert_int_eq(ledger_add_hold(&added, ledger, &(struct ledger_hold){ .session = 1 }), -ENOSPC);
	ck_assert_int_eq(ledger_add_range(&added, ledger, &range, extents, 1, NULL, 0), -ENOSPC);
	ck_assert_uint_eq(added, 77);
	ck_assert_int_eq(ledger_replace_range(&entry, ledger, &range, extents, 1, NULL, 0), -ENOSPC);
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
		r = ledger_add_holder(&entry, l, &(struct ledger_holder){ i, 1 });
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
		printf("test_ledger_full_tmpfs_is_an_error_and_no_signal needs to mount a tmpfs: not tried\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- whose file it is ---- */

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

	ck_assert_int_eq(ledger_open(&opened, dir, ledger_uuid, &why), err);
	ck_assert_ptr_null(opened);
	ck_assert_msg(strstr(why.text, text) && strstr(why.text, dir), "%s", why.text);
	ck_assert_int_eq(size_of(path), size);
}

START_TEST(test_ledger_of_another_version_arena_or_kind_is_left_alone)
{
	add_holder(ledger, 1, 1);
	patch(8, "\3", 1);
	expect_refused(-EPROTONOSUPPORT, "version 3, this daemon knows 1 to 2");
	patch(8, "\0", 1);
	expect_refused(-EPROTONOSUPPORT, "version 0");
	patch(8, "\2", 1);
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

START_TEST(test_ledger_of_the_version_before_is_taken_over)
{
	uint32_t version;
	int fd;

	add_holder(ledger, 1, 1);
	patch(8, "\1", 1);
	reopen();
	expect_state("holder 1 1\n");
	add_deed(ledger, 1, 5, 9);
	reopen();
	expect_state("holder 1 1\ndeed 1 5 9 16 3 4\n");
	/* The daemon of that version must not think that it understands it. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &version, sizeof(version), 8), sizeof(version));
	close(fd);
	ck_assert_uint_eq(version, 2);
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

/* ---- damage: never a crash, never half an item, and it works afterwards ---- */

static void try_damaged(void)
{
	struct ledger_item item;
	uint32_t cursor = 0, used = 0, entry;

	while (ledger_next(&item, ledger, &cursor)) {
		used += item.kind == LEDGER_RANGE ? ledger_range_entries(item.nr_extents, item.name_len) : 1;
		if (item.kind == LEDGER_RANGE)
			ck_assert(item.nr_extents > 0 && item.nr_extents <= LEDGER_MAX_EXTENTS);
	}
	ck_assert_uint_eq(ledger_used(ledger), used);
	entry = add_range(ledger, 77, 20, 200);
	ledger_remove(ledger, entry);
	ck_assert_uint_eq(ledger_used(ledger), used);
}

START_TEST(test_ledger_damage_anywhere_is_dropped_not_followed)
{
	static const uint32_t odd[] = { 0, 1, 63, 64, 65, 4095, 4096, UINT32_MAX };

	srandom(815);
	for (int round = 0; round < 500; round++) {
		ledger_close(ledger);
		unlink(path);
		ledger = open_in(dir);
		for (uint64_t i = 1; i <= 8; i++) {
			add_range(ledger, i, 1 + (uint32_t)(random() % 12), (uint8_t)random());
			add_hold(ledger, i, i, false);
		}
		for (int i = 0; i < 6; i++) {
			uint32_t value = random() % 2 ? odd[random() % 8] : 64 + (uint32_t)random() % 100;

			patch(HEADER + (uint64_t)(random() % 1600) * 4, &value, random() % 2 ? 4 : 1);
		}
		reopen();
		try_damaged();
	}
}
END_TEST

START_TEST(test_ledger_dropped_items_are_counted)
{
	uint32_t entry = add_range(ledger, 1, 4, 0);

	add_holder(ledger, 1, 1);
	/* The first piece of its chain belongs to somebody else. */
	patch((uint64_t)(entry + 1) * ENTRY + 12, "\xff", 1);
	reopen();
	ck_assert_uint_eq(ledger_dropped(ledger), 1);
	expect_state("holder 1 1\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("ledger");
	SRunner *runner;
	int nr_failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_ledger_holder_is_found_again);
	tcase_add_test(tc, test_ledger_hold_is_found_again_closed_or_not);
	tcase_add_loop_test(tc, test_ledger_range_is_found_again, 0, sizeof(shapes) / sizeof(shapes[0]));
	tcase_add_test(tc, test_ledger_replaced_range_has_a_new_entry_and_no_old_one);
	tcase_add_test(tc, test_ledger_replaced_range_is_forgotten);
	tcase_add_test(tc, test_ledger_item_may_be_removed_when_it_was_met);
	tcase_add_test(tc, test_ledger_entries_are_used_again);
	tcase_add_test(tc, test_ledger_grows_and_gives_back_at_the_next_start);
	tcase_add_test(tc, test_ledger_full_file_system_refuses_and_changes_nothing);
	tcase_add_test(tc, test_ledger_reserve_makes_additions_infallible);
	tcase_add_test(tc, test_ledger_open_fails_without_space_or_memory);
	tcase_add_test(tc, test_ledger_full_tmpfs_is_an_error_and_no_signal);
	tcase_add_test(tc, test_ledger_file_is_the_daemons_alone);
	tcase_add_test(tc, test_ledger_of_another_boot_is_emptied);
	tcase_add_test(tc, test_ledger_of_another_version_arena_or_kind_is_left_alone);
	tcase_add_test(tc, test_ledger_of_the_version_before_is_taken_over);
	tcase_add_test(tc, test_ledger_open_does_not_follow_a_link_nor_wait_for_a_fifo);
	tcase_add_test(tc, test_ledger_damage_anywhere_is_dropped_not_followed);
	tcase_add_test(tc, test_ledger_dropped_items_are_counted);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
