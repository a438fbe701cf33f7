/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_miss: what a window must ask the daemon for; how a window is opened, and how it gives up
 * what was lent.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/window_stage.h"

/* ---- misses ---- */

START_TEST(test_window_local_get_sends_no_message)
{
	struct pma_pin pin;

	ck_assert_int_eq(stage_get(&pin, "none", PMA_GET_LOCAL), -ENOENT);
	paper.header->changes = 1;
	ck_assert_int_eq(stage_get(&pin, "none", PMA_GET_LOCAL), -EAGAIN);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(script.nr_pins, 0);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_miss_is_pinned_by_the_daemon)
{
	struct pma_pin pin;

	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	ck_assert_uint_eq(pin.handle.id, ASKED_ID);
	ck_assert_uint_eq(pin.mode, 0640);
	ck_assert_ptr_eq(pin.address, stage_at(0));
	ck_assert_uint_eq(pins_words(pins)[pin.word - 1], pins_word(ASKED_SLOT, 1));
	ck_assert_uint_eq(script.last_flags, WIRE_READ_ONLY);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
	script.pin_result = -ENOENT;
	ck_assert_int_eq(stage_get(&pin, "none", 0), -ENOENT);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_all_that_missed_travels_in_one_message)
{
	struct pma_key keys[20];
	struct pma_pin got[20];
	char names[20][8];

	for (uint32_t i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		keys[i] = (struct pma_key){ .name = names[i] };
		if (i % 2)
			paper_put(&paper, i, i, names[i]);
	}
	ck_assert_int_eq(pma_get(window, got, keys, 20, 0), 20);
	ck_assert_uint_eq(script.nr_pin_messages, 1);
	ck_assert_uint_eq(script.nr_pins, 10);
	ck_assert_uint_eq(stage_nr_in_use(), 20);
	pma_put(window, got, 20);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_more_than_a_message_holds_travels_in_several)
{
	static struct pma_key keys[NR_PINS];
	static struct pma_pin got[NR_PINS];
	static char names[NR_PINS][PMA_MAX_NAME + 1];

	/* Of these 200 fit; here is room for as many pins. */
	for (uint32_t i = 0; i < NR_PINS; i++) {
		memset(names[i], 'a' + (int)i % 26, PMA_MAX_NAME);
		names[i][0] = (char)('0' + i);
		keys[i] = (struct pma_key){ .name = names[i] };
	}
	ck_assert_int_eq(pma_get(window, got, keys, NR_PINS, 0), NR_PINS);
	pma_put(window, got, NR_PINS);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_full_of_pins_says_so)
{
	struct pma_pin got[NR_PINS], more;

	paper_put(&paper, 3, 77, "name");
	for (uint32_t i = 0; i < NR_PINS; i++)
		ck_assert_int_eq(stage_get(&got[i], "name", 0), 0);
	ck_assert_int_eq(stage_get(&more, "name", 0), -ENOBUFS);
	ck_assert_ptr_nonnull(strstr(pma_message(), "32 pins"));
	ck_assert_int_eq(stage_get(&more, "none", 0), -ENOBUFS);
	pma_put(window, &got[7], 1);
	ck_assert_int_eq(stage_get(&more, "name", 0), 0);
	pma_put(window, &more, 1);
	pma_put(window, got, NR_PINS);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_pieces_that_do_not_fit_are_fetched)
{
	struct pma_range pieces[20];
	struct pma_pin pin;
	size_t nr = 20;

	script.nr_extents = 20;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	ck_assert_uint_eq(pin.nr_pieces, 20);
	ck_assert_uint_eq(pin.total, 20 * 4096);
	ck_assert_int_eq(pma_pin_pieces(pieces, &nr, &pin, 0), 0);
	ck_assert_uint_eq(nr, 20);
	ck_assert_ptr_eq(pieces[19].address, stage_at(19 * PAPER_PAGE));
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(script.nr_pins, 1);
	/* The pieces are of another version than the pin: it is given up and asked for again. */
	script.extents_version = 2;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	ck_assert_uint_eq(script.nr_pins, 3);
	ck_assert_uint_eq(stage_nr_in_use(), 1);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_bad_keys_are_refused_one_by_one)
{
	char name[PMA_MAX_NAME + 2];
	struct pma_key keys[] = { { .name = "" },
				  { .name = name },
				  { .handle = { 1, 3, 77 } },
				  { .name = "name" } };
	struct pma_pin got[4];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	paper_put(&paper, 3, 77, "name");
	ck_assert_int_eq(pma_get(window, got, keys, 4, 0), 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(got[i].result, -EINVAL);
	pma_put(window, got, 4);
	ck_assert_int_eq(pma_get(window, got, keys, 4, 1u << 9), -EINVAL);
	ck_assert_int_eq(pma_get(NULL, got, keys, 4, 0), -EINVAL);
}
END_TEST

/* ---- opening ---- */

START_TEST(test_window_refusals_are_said)
{
	ck_assert_int_eq(pma_window_open(&window, pma, 7, 0, 0), -ENOENT);
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 64, 0), -EINVAL);
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, PINS_MAX_WORDS + 1), -EINVAL);
	script.window_result = -EBUSY;
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, 0), -EBUSY);
	ck_assert_ptr_nonnull(strstr(pma_message(), "already"));
	script.window_result = -EACCES;
	ck_assert_int_eq(pma_window_open(&window, pma, 0, PMA_WINDOW_WRITE, 0), -EACCES);
	pins->magic = 0;
	script.window_result = 0;
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, 0), -EPROTO);
	ck_assert_ptr_nonnull(strstr(pma_message(), "arena0"));
	window = NULL;
}
END_TEST

START_TEST(test_window_catalog_of_another_layout_is_not_needed)
{
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "name");
	paper.header->layout = CATALOG_LAYOUT + 1;
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, 0), 0);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	ck_assert_uint_eq(script.nr_pins, 1);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
	/* A daemon that comes back with one that is known: hits again. */
	paper_put(&next_paper, 4, 78, "name");
	script.has_next_paper = true;
	script.nr_hang_ups = 1;
	ck_assert_int_eq(stage_get(&pin, "none", 0), 0);
	pma_put(window, &pin, 1);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), 0);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_ranges_are_the_whole_window)
{
	struct pma_range range;
	uint64_t cursor = 0, end = 0;
	int nr = 0;

	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, 0), 0);
	while (pma_window_next_range(&range, window, 10 * FAKE_PAGE, &cursor) == 1) {
		ck_assert_ptr_eq(range.address, stage_at(end));
		ck_assert_uint_eq(range.len, nr < 3 ? 10 * FAKE_PAGE : 2 * FAKE_PAGE);
		end += range.len;
		nr++;
	}
	ck_assert_int_eq(nr, 4);
	ck_assert_uint_eq(end, FAKE_SIZE);
	ck_assert_int_eq(pma_window_next_range(&range, window, 10 * FAKE_PAGE, &cursor), 0);
	cursor = 0;
	ck_assert_int_eq(pma_window_next_range(&range, window, FAKE_PAGE + 4096, &cursor), -EINVAL);
	ck_assert_int_eq(pma_window_next_range(&range, window, 0, &cursor), -EINVAL);
}
END_TEST

START_TEST(test_window_of_a_daemon_that_knows_none_is_refused)
{
	stage_end();
	stage_begin_with(WIRE_REPEATS | WIRE_LENDS);
	ck_assert_int_eq(pma_window_open(&window, pma, 0, 0, 0), -EOPNOTSUPP);
	ck_assert_uint_eq(script.nr_windows, 0);
	window = NULL;
}
END_TEST

/* ---- done ---- */

START_TEST(test_window_done_ends_what_was_lent)
{
	struct pma_extent extent;
	struct pma_handle handle;
	size_t nr = 1;

	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, handle, 0), 0);
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_LENT);
	ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	ck_assert_int_eq(pma_close_flags(pma, handle, PMA_DONE), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_DONE);
	/* What was lent by then is over: now the library can speak for it again. */
	ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_UNMAPPED);
	ck_assert_int_eq(pma_free_flags(pma, handle, PMA_DONE), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_DONE);
	ck_assert_int_eq(pma_free_flags(pma, handle, PMA_READ_ONLY), -EINVAL);
	ck_assert_int_eq(pma_reserve(&handle, pma, NULL, FAKE_PAGE, 0), 0);
	ck_assert_int_eq(pma_abort_flags(pma, handle, PMA_DONE), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_DONE);
}
END_TEST

START_TEST(test_window_done_is_refused_while_it_is_mapped)
{
	struct pma_handle handle;
	struct pma_mapping *map;

	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	ck_assert_int_eq(pma_map(&map, pma, handle, 0), 0);
	ck_assert_int_eq(pma_close_flags(pma, handle, PMA_DONE), -EBUSY);
	pma_unmap(map);
	ck_assert_int_eq(pma_close_flags(pma, handle, PMA_DONE), 0);
	stage_end();
	stage_begin_with(WIRE_LENDS);
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	ck_assert_int_eq(pma_close_flags(pma, handle, PMA_DONE), -EOPNOTSUPP);
}
END_TEST

static void add_open(TCase *t)
{
	tcase_add_test(t, test_window_local_get_sends_no_message);
	tcase_add_test(t, test_window_miss_is_pinned_by_the_daemon);
	tcase_add_test(t, test_window_all_that_missed_travels_in_one_message);
	tcase_add_test(t, test_window_more_than_a_message_holds_travels_in_several);
	tcase_add_test(t, test_window_full_of_pins_says_so);
	tcase_add_test(t, test_window_pieces_that_do_not_fit_are_fetched);
	tcase_add_test(t, test_window_bad_keys_are_refused_one_by_one);
}

static void add_closed(TCase *t)
{
	tcase_add_test(t, test_window_refusals_are_said);
	tcase_add_test(t, test_window_catalog_of_another_layout_is_not_needed);
	tcase_add_test(t, test_window_ranges_are_the_whole_window);
	tcase_add_test(t, test_window_of_a_daemon_that_knows_none_is_refused);
	tcase_add_test(t, test_window_done_ends_what_was_lent);
	tcase_add_test(t, test_window_done_is_refused_while_it_is_mapped);
}

UNIT("window_miss",
     { .add = add_open, .setup = stage_begin_open, .teardown = stage_end, .timeout_s = 30 },
     { .name = "opening",
       .add = add_closed,
       .setup = stage_begin,
       .teardown = stage_end,
       .timeout_s = 30 });
