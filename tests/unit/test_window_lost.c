/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_lost: a window whose connection is lost, and the window of a process that forks.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/window_stage.h"

/* ---- a lost connection ---- */

START_TEST(test_window_is_taken_up_again_before_anything_else)
{
	struct pma_pin pin, held;

	script.resumes = _i;
	paper_put(&paper, 3, 77, "name");
	ck_assert_int_eq(stage_get(&held, "name", 0), 0);
	script.nr_hang_ups = 1;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	ck_assert_uint_eq(script.nr_again, 1);
	ck_assert_uint_eq(script.nr_pins, 2);
	ck_assert_uint_eq(stage_nr_in_use(), 2);
	ck_assert_uint_eq(pins_words(pins)[held.word - 1], pins_word(3, 1));
	pma_put(window, &pin, 1);
	pma_put(window, &held, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_new_catalog_takes_the_place_of_the_old)
{
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "old");
	paper_put(&next_paper, 4, 78, "new");
	script.has_next_paper = true;
	script.nr_hang_ups = 1;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	pma_put(window, &pin, 1);
	ck_assert_int_eq(stage_get(&pin, "old", PMA_GET_LOCAL), -ENOENT);
	ck_assert_int_eq(stage_get(&pin, "new", PMA_GET_LOCAL), 0);
	ck_assert_ptr_eq(pin.address, stage_at(4 * PAPER_PAGE));
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_catalog_that_is_not_the_arenas_is_not_read)
{
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "name");
	paper_put(&next_paper, 4, 78, "name");
	paper.header->layout = 0;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	script.has_next_paper = true;
	script.nr_hang_ups = 1;
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	pma_put(window, &pin, 1);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), 0);
	ck_assert_uint_eq(pin.handle.id, 78);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_that_the_daemon_does_not_know_is_over)
{
	struct pma_pin pin;
	struct pma_key key = { .name = "none" };

	paper_put(&paper, 3, 77, "name");
	script.window_result = -ENOENT;
	script.nr_hang_ups = 1;
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, 0), -ESTALE);
	ck_assert_int_eq(pin.result, -ESTALE);
	ck_assert_ptr_nonnull(strstr(pma_message(), "open another"));
	/* Nobody keeps that catalog any more. */
	key.name = "name";
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, 0), -ESTALE);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	script.window_result = 0;
	stage_reopen(0);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_that_could_not_be_taken_up_is_tried_again)
{
	struct pma_pin pin;
	struct pma_key key = { .name = "none" };

	paper_put(&paper, 3, 77, "name");
	script.window_result = -EIO;
	script.nr_hang_ups = 1;
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, 0), -EIO);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	pma_put(window, &pin, 1);
	script.window_result = 0;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

/*
 * The daemon was killed before or after it filled in the word: it is never in use twice, nor for
 * ever.
 */
START_TEST(test_window_words_of_lost_pins_come_back)
{
	struct pma_pin pin;

	script.fills_in = _i;
	for (uint32_t n = 0; n < 2 * NR_PINS; n++) {
		script.nr_hang_ups = 1;
		ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
		ck_assert_uint_eq(stage_nr_in_use(), 1);
		pma_put(window, &pin, 1);
	}
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_pin_before_the_window_is_asked_again)
{
	struct pma_pin pin;

	script.nr_bad_first = 2;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	ck_assert_uint_eq(script.nr_pins, 3);
	ck_assert_uint_eq(stage_nr_in_use(), 1);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_after_disconnect_hits_and_does_not_miss)
{
	struct pma_pin pin;
	struct pma_key key = { .name = "none" };

	paper_put(&paper, 3, 77, "name");
	pma_disconnect(pma);
	pma = NULL;
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	pma_put(window, &pin, 1);
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, 0), -ENOTCONN);
}
END_TEST

/* ---- fork ---- */

static void be_a_child(struct pma_pin *pin)
{
	struct pma_key key = { .name = "name" };
	struct pma_pin other;
	bool good = pma_get(window, &other, &key, 1, 0) == -EPERM &&
		    pma_get(window, &other, &key, 1, PMA_GET_LOCAL) == -EPERM;

	pma_put(window, pin, 1);
	pma_window_close(window);
	_exit(good ? 0 : 1);
}

START_TEST(test_window_child_is_refused_and_changes_nothing)
{
	struct pma_pin pin;
	int status;
	pid_t child;

	paper_put(&paper, 3, 77, "name");
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	child = fork();
	if (child == 0)
		be_a_child(&pin);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_uint_eq(stage_nr_in_use(), 1);
	ck_assert_int_eq(*(volatile char *)pin.address, 0);
	pma_put(window, &pin, 1);
}
END_TEST

static void add_open(TCase *t)
{
	tcase_add_loop_test(t, test_window_is_taken_up_again_before_anything_else, 0, 2);
	tcase_add_test(t, test_window_new_catalog_takes_the_place_of_the_old);
	tcase_add_test(t, test_window_catalog_that_is_not_the_arenas_is_not_read);
	tcase_add_test(t, test_window_that_the_daemon_does_not_know_is_over);
	tcase_add_test(t, test_window_that_could_not_be_taken_up_is_tried_again);
	tcase_add_loop_test(t, test_window_words_of_lost_pins_come_back, 0, 2);
	tcase_add_test(t, test_window_pin_before_the_window_is_asked_again);
	tcase_add_test(t, test_window_after_disconnect_hits_and_does_not_miss);
	tcase_add_test(t, test_window_child_is_refused_and_changes_nothing);
}

UNIT("window_lost",
     { .add = add_open, .setup = stage_begin_open, .teardown = stage_end, .timeout_s = 30 });
