/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process tells the daemon that it gets: bytes in memory that both have, and nothing else. */
#include <config.h>

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/books/touches.h"
#include "lib/window/uses.h"
#include "tests/unit/unit.h"

#define NR 5000u

static struct touches *make(void)
{
	struct touches *touches;

	ck_assert_int_eq(touches_new(&touches, NR), 0);
	return touches;
}

START_TEST(test_uses_are_seen_once)
{
	struct touches *touches = make();
	struct uses uses = { .now = NULL };

	uses_take(&uses, touches_fd(touches));
	for (uint32_t slot = 0; slot < NR; slot += 7)
		uses_note(&uses, slot);
	uses_note(&uses, 7);
	for (uint32_t slot = 0; slot < NR; slot++)
		ck_assert_int_eq(touches_take(touches, slot), slot % 7 == 0);
	ck_assert(!touches_take(touches, 7));
	uses_note(&uses, 7);
	ck_assert(touches_take(touches, 7));
	uses_fini(&uses);
	touches_free(touches);
}
END_TEST

START_TEST(test_uses_outside_are_none)
{
	struct touches *touches = make();
	struct uses uses = { .now = NULL };

	uses_note(&uses, 3);            /* of no daemon yet */
	uses_take(&uses, touches_fd(touches));
	uses_note(&uses, NR);
	uses_note(&uses, UINT32_MAX);
	ck_assert(!touches_take(touches, 3));
	ck_assert(!touches_take(touches, NR));
	ck_assert(!touches_take(touches, UINT32_MAX));
	ck_assert(!touches_take(NULL, 3));
	uses_fini(&uses);
	touches_free(touches);
}
END_TEST

START_TEST(test_uses_are_told_to_the_daemon_that_is_there)
{
	struct touches *first = make(), *second = make();
	struct uses uses = { .now = NULL };

	uses_take(&uses, touches_fd(first));
	uses_take(&uses, touches_fd(second));
	uses_note(&uses, 4);
	ck_assert(!touches_take(first, 4));
	ck_assert(touches_take(second, 4));
	/* What cannot be mapped is not noted, and the process goes on. */
	uses_take(&uses, -1);
	uses_note(&uses, 5);
	ck_assert(!touches_take(second, 5));
	uses_fini(&uses);
	touches_free(first);
	touches_free(second);
}
END_TEST

START_TEST(test_uses_of_a_file_that_nobody_can_shorten)
{
	struct touches *touches = make();

	ck_assert_int_lt(ftruncate(touches_fd(touches), 0), 0);
	ck_assert_int_lt(ftruncate(touches_fd(touches), 2 * NR), 0);
	ck_assert(!touches_take(touches, NR - 1));
	touches_free(touches);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_uses_are_seen_once);
	tcase_add_test(t, test_uses_outside_are_none);
	tcase_add_test(t, test_uses_are_told_to_the_daemon_that_is_there);
	tcase_add_test(t, test_uses_of_a_file_that_nobody_can_shorten);
}

UNIT("uses", { .add = add_tests });
