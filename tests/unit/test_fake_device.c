/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_device: the stand-in for devices, which does what a line of a table says. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/recorder_fixture.h"

START_TEST(test_fake_device_is_exclusive_and_marks_are_real)
{
	struct device_request request = { .spec = "/fake/a" };
	struct device *second;
	int fd;

	ck_assert_int_eq(device_open(&second, &request, NULL), -EBUSY);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert_int_eq(device_is_marked(device, 7), 0);
	ck_assert_int_eq(device_mark(fd, 7), 0);
	ck_assert_int_eq(device_is_marked(device, 7), 1);
	ck_assert_int_eq(device_is_marked(device, 8), 0);
	close(fd);
	ck_assert_int_eq(device_is_marked(device, 7), 0);
	fake_device_find("/fake/a")->held[0] = 9;
	fake_device_find("/fake/a")->nr_held = 1;
	ck_assert_int_eq(device_is_marked(device, 9), 1);
}
END_TEST

START_TEST(test_fake_device_does_what_its_line_says)
{
	struct device_request request = { .spec = "/fake/x" };
	struct fake_device *line;
	struct device *x;
	struct device_range *bad;
	struct device_info *list;
	char name[64];
	size_t nr;

	ck_assert_int_eq(device_open(&x, &request, NULL), -ENOENT);
	line = fake_device_add(DEVICE_DAX, "/fake/x", 4 * MiB, 2 * MiB);
	line->open_err = -EACCES;
	ck_assert_int_eq(device_open(&x, &request, NULL), -EACCES);
	line->open_err = 0;
	line->bad[line->nr_bad++] = (struct device_range){ 512, 512 };
	strcpy(line->foreign, "ext4 file system");
	ck_assert_int_eq(device_open(&x, &request, NULL), 0);
	ck_assert_int_eq(device_find_foreign(x, name, sizeof(name)), 1);
	ck_assert_str_eq(name, "ext4 file system");
	ck_assert_int_eq(device_badblocks(x, &bad, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_uint_eq(bad[0].off, 512);
	free(bad);
	ck_assert(device_is_present(x));
	line->is_absent = true;
	ck_assert(!device_is_present(x));
	ck_assert_int_eq(device_list(&list, &nr, NULL), 0);
	ck_assert_uint_eq(nr, 1);
	free(list);
	device_close(x);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_fake_device_is_exclusive_and_marks_are_real);
	tcase_add_test(t, test_fake_device_does_what_its_line_says);
}

UNIT("fake_device", { .add = add_tests, .setup = setup, .teardown = teardown });
