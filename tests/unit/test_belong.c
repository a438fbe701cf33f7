/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belong: a ledger that is not of this arena or not of this age, and two devices of one arena.
 */
#include <config.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "tests/unit/recover_fixture.h"

/* ---- ledger and plane of before ---- */

static size_t ledger_len;
static uint8_t ledger_bytes[1 << 20];

static FILE *open_ledger(const char *mode)
{
	char command[160], path[160] = "";
	FILE *p;

	snprintf(command, sizeof(command), "ls %s/*.ledger", dir);
	p = popen(command, "r");
	ck_assert(p && fgets(path, sizeof(path), p));
	pclose(p);
	path[strcspn(path, "\n")] = '\0';
	return fopen(path, mode);
}

static void save_ledger(void)
{
	FILE *f = open_ledger("re");

	ledger_len = fread(ledger_bytes, 1, sizeof(ledger_bytes), f);
	fclose(f);
}

static void put_ledger(void)
{
	FILE *f = open_ledger("r+e");

	ck_assert_uint_eq(fwrite(ledger_bytes, 1, ledger_len, f), ledger_len);
	fclose(f);
}

/* Nothing but the ledger knows of an open. */
START_TEST(test_recover_ledger_of_before_an_open_is_refused_while_mapped)
{
	struct caller caller;
	struct alloc *alloc;

	open_arena();
	ck_assert_int_eq(reserve(&alloc, "x", 2 * MiB, true), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	save_ledger();
	caller = caller_of(1000);
	ck_assert_int_eq(arena_open_alloc(arena, &caller, alloc, false, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	close_arena();
	put_ledger();
	fake_device_find("dev")->held[fake_device_find("dev")->nr_held++] = 2;
	ck_assert_int_eq(try_open(), -ESTALE);
	ck_assert_msg(strstr(why.text, "older than its metadata") && strstr(why.text, "fuser"),
		      "%s", why.text);
	fake_device_find("dev")->nr_held = 0;
	open_arena();
}
END_TEST

START_TEST(test_recover_missing_ledger_is_refused_while_mapped)
{
	open_arena();
	close_arena();
	clear_dir();
	fake_device_find("dev")->held[fake_device_find("dev")->nr_held++] = 2;
	ck_assert_int_eq(try_open(), -ESTALE);
	ck_assert_msg(strstr(why.text, "missing"), "%s", why.text);
	fake_device_find("dev")->nr_held = 0;
	open_arena();
}
END_TEST

/* ---- which device ---- */

static void copy_device(const char *from, const char *to)
{
	static uint8_t piece[65536];
	struct image *image = image_copy(recorder_image(rec));
	unsigned source = (unsigned)image_find(image, from),
		 target = image_device(image, to, image_size(image, source));

	for (uint64_t off = 0; off < image_size(image, source); off += sizeof(piece)) {
		image_read(image, source, off, piece, sizeof(piece));
		image_write(image, target, off, piece, sizeof(piece));
	}
	recorder_load(rec, image);
	image_free(image);
}

START_TEST(test_recover_twins_that_nobody_named_are_refused)
{
	fake_device_add(DEVICE_DAX, "twin", 64 * MiB, 2 * MiB);
	open_arena();
	close_arena();
	copy_device("dev", "twin");
	params.device = "auto";
	ck_assert_int_eq(try_open(), -EEXIST);
	ck_assert_msg(strstr(why.text, "dev and twin") && strstr(why.text, "reidentify"), "%s",
		      why.text);
	params.device = "twin";
	open_arena();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_recover_ledger_of_before_an_open_is_refused_while_mapped);
	tcase_add_test(t, test_recover_missing_ledger_is_refused_while_mapped);
	tcase_add_test(t, test_recover_twins_that_nobody_named_are_refused);
}

UNIT("belong", { .add = add_tests, .setup = setup, .teardown = teardown_arena, .timeout_s = 30 });
