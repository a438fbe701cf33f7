/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: the next daemon finds what was there, and makes a file anew that does not fit.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/catalog_stage.h"
#include "tests/unit/unit.h"

START_TEST(test_catalog_outlives_the_daemon)
{
	static struct made made[NR_KINDS], other;
	const void *old_map = map;
	struct seen seen;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made[i], i, i + 1, 1);
	map = NULL;                     /* it stays mapped, at old_map */
	catalog_open_again(catalog_uuid, NR_SLOTS);
	/* By handle everything is there, by name nothing is certain. */
	for (uint32_t i = 0; i < NR_KINDS; i++) {
		ck_assert_int_eq(read_slot(&seen, old_map, i, i + 1), FOUND);
		ck_assert_ptr_null(differs(&seen, &made[i].item));
		ck_assert_int_eq(read_name(&seen, old_map, made[i].name, made[i].item.name_len),
				 UNKNOWN);
	}
	/* Half is put again, a part of it as it was; something is new. */
	for (uint32_t i = 0; i < NR_KINDS; i += 2)
		put_made(&made[i], i, i + 1, i % 3 ? 1 : 2);
	put_made(&other, 100, 1000, 1);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < NR_KINDS; i++)
		if (i % 2)
			expect_gone(&made[i].item);
		else
			expect_found(&made[i].item);
	expect_found(&other.item);
	ck_assert_uint_eq(catalog_nr_entries(catalog), NR_KINDS / 2 + 1);
	ck_assert_int_eq(read_slot(&seen, old_map, 100, 1000), FOUND);
	catalog_drop(catalog, 100);
	ck_assert_int_eq(read_slot(&seen, old_map, 100, 1000), UNKNOWN);
	/* And once more. */
	catalog_open_again(catalog_uuid, NR_SLOTS);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < NR_KINDS; i++)
		expect_gone(&made[i].item);
}
END_TEST

START_TEST(test_catalog_dropped_before_ready_is_gone)
{
	struct made made, other;

	put_made(&made, 1, 7, 1);
	put_made(&other, 2, 9, 1);
	catalog_open_again(catalog_uuid, NR_SLOTS);
	put_made(&made, 1, 7, 1);
	catalog_drop(catalog, 1);
	catalog_drop(catalog, 2);
	expect_none(1);
	expect_none(2);
	ck_assert_uint_eq(changes() % 2, 1);
	catalog_ready(catalog);
	catalog_ready(catalog);
	expect_gone(&made.item);
	ck_assert_uint_eq(changes() % 2, 0);
}
END_TEST

static void patch(uint64_t off, const void *src, size_t len)
{
	int fd = open(catalog_path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, src, len, (off_t)off), (ssize_t)len);
	close(fd);
}

static void be_of_another_layout(void)
{
	uint32_t layout = htole32(CATALOG_LAYOUT + 1);

	patch(offsetof(struct catalog_header, layout), &layout, sizeof(layout));
}

static void be_of_another_magic(void)
{
	patch(0, "x", 1);
}

static void be_of_another_entry_size(void)
{
	uint32_t bytes = htole32(256);

	patch(offsetof(struct catalog_header, entry_bytes), &bytes, sizeof(bytes));
}

static void be_of_another_boot(void)
{
	patch(1024 + 16, "00000000-0000-4000-8000-000000000000", 36);
}

static void be_of_another_arena(void)
{
	patch(1024, "another arena...", 16);
}

static void be_shorter(void)
{
	ck_assert_int_eq(truncate(catalog_path, (off_t)map_bytes - 4096), 0);
}

static void be_very_short(void)
{
	ck_assert_int_eq(truncate(catalog_path, 100), 0);
}

static void be_empty(void)
{
	ck_assert_int_eq(truncate(catalog_path, 0), 0);
}

static void have_too_much_memory(void)
{
	uint64_t nr = htole64(NR_SLOTS + 1);

	patch(offsetof(struct catalog_header, nr_backed), &nr, sizeof(nr));
}

static void be_removed(void)
{
	ck_assert_int_eq(unlink(catalog_path), 0);
}

static const struct misfit {
	void (*make)(void);
	uint64_t nr_slots;              /* of the next daemon; 0: the same */
	bool is_told;                   /* who has it mapped sees that it is void */
} misfits[] = {
	{ be_of_another_layout, 0, true },
	{ be_of_another_magic, 0, true },
	{ be_of_another_entry_size, 0, true },
	{ be_of_another_boot, 0, true },
	{ be_of_another_arena, 0, true },
	{ have_too_much_memory, 0, true },
	{ be_shorter, 0, true },
	{ be_very_short, 0, false },
	{ be_empty, 0, false },
	{ be_removed, 0, false },
	{ NULL, NR_SLOTS + 1, true },
	{ NULL, 100, true },
	{ NULL, 5 * NR_SLOTS, true },
};

START_TEST(test_catalog_that_does_not_fit_is_void_and_replaced)
{
	const struct misfit *misfit = &misfits[_i];
	const struct catalog_header *old = map;
	uint64_t nr_slots = misfit->nr_slots ? misfit->nr_slots : NR_SLOTS;
	struct made made;
	struct stat before, after;

	put_made(&made, 3, 7, 1);
	ck_assert_int_eq(stat(catalog_path, &before), 0);
	catalog_close(catalog);
	catalog = NULL;
	if (misfit->make)
		misfit->make();
	map = NULL;
	catalog_open_again(catalog_uuid, nr_slots);
	if (misfit->is_told)
		ck_assert_uint_eq(old->layout, 0);
	/* With `old` mapped, its number is not given to another file. */
	ck_assert_int_eq(stat(catalog_path, &after), 0);
	ck_assert(before.st_ino != after.st_ino);
	ck_assert_uint_eq(after.st_mode & 07777, 0600);
	expect_none(3);
	catalog_ready(catalog);
	expect_gone(&made.item);
	put_made(&made, (uint32_t)nr_slots - 1, 7, 1);
	expect_found(&made.item);
	ck_assert_uint_eq(le32toh(header()->layout), CATALOG_LAYOUT);
	/* The next one fits. */
	catalog_open_again(catalog_uuid, nr_slots);
	put_made(&made, (uint32_t)nr_slots - 1, 7, 1);
	catalog_ready(catalog);
	expect_found(&made.item);
	ck_assert_int_eq(stat(catalog_path, &before), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

/* What no daemon writes: it is taken for nothing, and harms nobody. */
START_TEST(test_catalog_damaged_entries_are_none)
{
	static struct made made[4];
	uint64_t entries = le64toh(header()->entries_off), word = htole64(UINT64_C(99) << 32 | 1);
	uint32_t extra = htole32(2 * NR_SLOTS + 1), one = htole32(1);

	for (uint32_t i = 0; i < 4; i++)
		put_made(&made[i], i, 28 * (i + 1) + 5, 1);     /* with an extra each */
	patch(entries, &word, sizeof(word));
	patch(entries + 128 + offsetof(struct catalog_entry, extra), &extra, sizeof(extra));
	patch(entries + 2 * 128 + offsetof(struct catalog_entry, extra), &one, sizeof(one));
	patch(entries + 3 * 128 + offsetof(struct catalog_entry, extra), &one, sizeof(one));
	catalog_open_again(catalog_uuid, NR_SLOTS);
	expect_none(0);
	expect_none(1);
	expect_none(3);
	for (uint32_t i = 0; i < 4; i++)
		put_made(&made[i], i, 28 * (i + 1) + 5, 1);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < 4; i++)
		expect_found(&made[i].item);
}
END_TEST

START_TEST(test_catalog_open_refuses_what_it_cannot_have)
{
	struct catalog *c;

	ck_assert_int_eq(catalog_open(&c, catalog_dir, catalog_uuid, UINT64_C(1) << 32,
				      &catalog_why),
			 -EINVAL);
	ck_assert_int_eq(catalog_open(&c, "/nonexistent", catalog_uuid, 10, &catalog_why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(catalog_why.text, "/nonexistent/"));
	unlink(catalog_path);
	ck_assert_int_eq(symlink("/dev/null", catalog_path), 0);
	ck_assert_int_eq(catalog_open(&c, catalog_dir, catalog_uuid, 10, &catalog_why), -ELOOP);
	ck_assert_ptr_nonnull(strstr(catalog_why.text, catalog_path));
	unlink(catalog_path);
	ck_assert_int_eq(mkfifo(catalog_path, 0600), 0);
	ck_assert_int_eq(catalog_open(&c, catalog_dir, catalog_uuid, 10, &catalog_why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(catalog_why.text, catalog_path));
	catalog_close(NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_outlives_the_daemon);
	tcase_add_test(t, test_catalog_dropped_before_ready_is_gone);
	tcase_add_loop_test(t, test_catalog_that_does_not_fit_is_void_and_replaced, 0,
			    sizeof(misfits) / sizeof(*misfits));
	tcase_add_test(t, test_catalog_damaged_entries_are_none);
	tcase_add_test(t, test_catalog_open_refuses_what_it_cannot_have);
}

UNIT("catalog_open",
     { .add = add_tests,
       .setup = catalog_stage_begin,
       .teardown = catalog_stage_end,
       .timeout_s = 60 });
