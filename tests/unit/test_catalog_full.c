/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: without memory, and on a file system that is full. Nothing half-made is left, and what
 * cannot be noted is unknown and not absent.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/catalog_stage.h"
#include "tests/unit/unit.h"

/* The one extra is there, and not the other: what it had stays, or nothing does. */
START_TEST(test_catalog_put_without_memory_for_attributes_takes_nothing)
{
	struct made one, two;

	put_plain(&one, 0, 28, 1);
	is_full = true;
	make_item(&two, 0, 28, 2);
	two.item.attributes_len = 8;
	ck_assert_int_eq(catalog_put(catalog, &two.item), -ENOSPC);
	expect_none(0);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	is_full = false;
	ck_assert_int_eq(catalog_put(catalog, &two.item), 0);
	expect_found(&two.item);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
}
END_TEST

START_TEST(test_catalog_put_without_memory_leaves_nothing_and_is_unknown)
{
	struct made one, two;

	put_plain(&one, 0, 28, 1);               /* one extent, a name that fits */
	make_item(&two, 0, 21 + 4, 2);
	is_full = true;
	two.item.nr_extents = 2;                /* it needs an extra */
	two.item.attributes_len = 0;
	ck_assert_int_eq(catalog_put(catalog, &two.item), -ENOSPC);
	expect_none(0);
	ck_assert_int_eq(answer_to(one.name, one.item.name_len), UNKNOWN);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	ck_assert_uint_eq(catalog_nr_entries(catalog), 0);
	make_item(&one, NR_SLOTS / 2, 7, 1);    /* another block */
	ck_assert_int_eq(catalog_put(catalog, &one.item), -ENOSPC);
	expect_none(NR_SLOTS / 2);
	/* Names count as long as they are there. */
	catalog_drop(catalog, 0);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	catalog_drop(catalog, NR_SLOTS / 2);
	expect_gone(&one.item);
	expect_gone(&two.item);
	is_full = false;
	ck_assert_int_eq(catalog_put(catalog, &one.item), 0);
	ck_assert_int_eq(catalog_put(catalog, &two.item), 0);
	expect_found(&one.item);
	expect_found(&two.item);
}
END_TEST

START_TEST(test_catalog_without_memory_for_buckets_has_longer_chains)
{
	put_numbers(0, 1000);
	for (uint32_t i = 1000; i < 5000; i++) {
		struct catalog_item item = named(i, "", 0);     /* memory for entries */

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	is_full = true;
	put_numbers(1000, 5000);
	ck_assert_uint_eq(le64toh(header()->nr_buckets), 1024);
	ck_assert_uint_eq(count_numbers(0, 5000, FOUND), 5000);
	is_full = false;
	put_numbers(5000, 9000);
	ck_assert_uint_gt(le64toh(header()->nr_buckets), 4000);
	ck_assert_uint_eq(count_numbers(0, 9000, FOUND), 9000);
}
END_TEST

/* Until nothing fits; then readers look at every slot. */
static int fill_small_tmpfs(void)
{
	static struct made made;
	struct catalog *c;
	struct seen seen;
	uint32_t nr_full = 0, nr_found = 0;
	void *m;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", catalog_dir, "tmpfs", 0, "size=256k,huge=never") < 0)
		return 77;
	if (catalog_open(&c, catalog_dir, catalog_uuid, NR_SLOTS, NULL) < 0)
		return 1;
	catalog_ready(c);
	m = mmap(NULL, catalog_bytes(c), PROT_READ, MAP_SHARED, catalog_fd(c), 0);
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
		make_item(&made, slot, slot + 1, 1);
		nr_full += catalog_put(c, &made.item) == -ENOSPC;
	}
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
		make_item(&made, slot, slot + 1, 1);
		if (read_slot(&seen, m, slot, slot + 1) == FOUND)
			nr_found += !differs(&seen, &made.item);
		if (read_name(&seen, m, made.name, made.item.name_len) == ABSENT)
			return 2;
	}
	return nr_full + nr_found == NR_SLOTS && nr_found > 100 && nr_full > 100000 ? 0 : 3;
}

/* One that cannot even be made. */
static int open_in_full_tmpfs(void)
{
	struct catalog *c;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", catalog_dir, "tmpfs", 0, "size=4k,huge=never") < 0)
		return 77;
	if (catalog_open(&c, catalog_dir, catalog_uuid, NR_SLOTS, &catalog_why) != -ENOSPC)
		return 1;
	return strstr(catalog_why.text, catalog_dir) ? 0 : 1;
}

static int (*const full[])(void) = { fill_small_tmpfs, open_in_full_tmpfs };

START_TEST(test_catalog_full_tmpfs_is_an_error_and_no_signal)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(full[_i]());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("test_catalog_full_tmpfs_is_an_error_and_no_signal needs to mount a tmpfs: "
		       "not tried\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_catalog_open_without_memory_changes_nothing)
{
	struct made made;
	struct catalog *c;
	struct seen seen;
	int r = -ENOMEM;

	put_made(&made, 3, 7, 1);
	for (int n = 1; r < 0; n++) {
		nr_callocs = 0;
		failing_calloc = n;
		r = catalog_open(&c, catalog_dir, catalog_uuid, NR_SLOTS, &catalog_why);
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert_int_eq(read_slot(&seen, map, 3, 7), FOUND);
	}
	ck_assert_int_gt(nr_callocs, 3);
	catalog_close(c);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_put_without_memory_for_attributes_takes_nothing);
	tcase_add_test(t, test_catalog_put_without_memory_leaves_nothing_and_is_unknown);
	tcase_add_test(t, test_catalog_without_memory_for_buckets_has_longer_chains);
	tcase_add_loop_test(t, test_catalog_full_tmpfs_is_an_error_and_no_signal, 0,
			    sizeof(full) / sizeof(*full));
	tcase_add_test(t, test_catalog_open_without_memory_changes_nothing);
}

UNIT("catalog_full",
     { .add = add_tests,
       .setup = catalog_stage_begin,
       .teardown = catalog_stage_end,
       .timeout_s = 60 });
