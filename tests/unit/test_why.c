/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why: the sentence of an error.
 */
#include <config.h>

#include "lib/wire/why.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(test_why_set_returns_the_error_and_keeps_errno)
{
	struct why why;

	errno = ENOTTY;
	ck_assert_int_eq(why_set(&why, -EINVAL, "size %d", 3), -EINVAL);
	ck_assert_str_eq(why.text, "size 3");
	ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

START_TEST(test_why_null_is_fine)
{
	ck_assert_int_eq(why_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(why_add(NULL, -EIO, "x"), -EIO);
}
END_TEST

START_TEST(test_why_add_puts_context_in_front_each_time)
{
	struct why why;

	why_set(&why, -EIO, "no answer");
	ck_assert_int_eq(why_add(&why, -EIO, "page %d: ", 7), -EIO);
	why_add(&why, -EIO, "device %s: ", "/dev/dax0.0");
	ck_assert_str_eq(why.text, "device /dev/dax0.0: page 7: no answer");
}
END_TEST

START_TEST(test_why_overlong_text_loses_its_end)
{
	char longer[sizeof(((struct why *)0)->text) * 2];
	struct why why;

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	why_set(&why, -EIO, "%s", longer);
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
	why_add(&why, -EIO, "front: ");
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
	ck_assert_int_eq(strncmp(why.text, "front: xxx", 10), 0);
	why_add(&why, -EIO, "%s", longer);
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_why_set_returns_the_error_and_keeps_errno);
	tcase_add_test(t, test_why_null_is_fine);
	tcase_add_test(t, test_why_add_puts_context_in_front_each_time);
	tcase_add_test(t, test_why_overlong_text_loses_its_end);
}

UNIT("why", { .add = add_tests });
