/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: what is written is found again; damage. Space is in test_ledger_space.c, whose file it is
 * in test_ledger_file.c, what a kill leaves in test_ledger_kill.c.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"
#include "tests/unit/unit.h"

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

START_TEST(test_ledger_holder_says_who_it_is_when_it_was_introduced)
{
	struct ledger_who who = { .since_ns = UINT64_C(77000000000),
				  .pid = 4711,
				  .command = "program" };
	uint32_t entry;

	/* Its entry was something else's. */
	ledger_remove(ledger, add_range(ledger, 1, 9, 100));
	entry = add_holder(ledger, 5, 1000);
	add_holder(ledger, 6, 1000);
	reopen();
	expect_state("holder 6 1000\nholder 5 1000\n");
	ledger_introduce(ledger, entry, &who);
	reopen();
	expect_state("holder 6 1000\nholder 5 1000 4711 'program' since 77000000000\n");
	who.pid = 4712;
	memcpy(who.command, "another program", sizeof("another program"));
	ledger_introduce(ledger, entry, &who);
	reopen();
	expect_state("holder 6 1000\nholder 5 1000 4712 'another program' since 77000000000\n");
	ledger_remove(ledger, entry);
	ck_assert_uint_eq(add_holder(ledger, 7, 1), entry);
	expect_state("holder 6 1000\nholder 7 1\n");
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

START_TEST(test_ledger_hold_that_was_lent_stays_lent)
{
	uint32_t entry = add_hold(ledger, 5, 99, true), other = add_hold(ledger, 6, 100, false),
		 born;

	ck_assert_int_eq(
		ledger_add_hold(&born, ledger,
				&(struct ledger_hold){
					.session = 7, .id = 101, .closed = true, .lent = true }),
		0);
	ck_assert(!is_lent(entry) && !is_lent(other) && is_lent(born));
	for (int i = 0; i < 2; i++) {
		ledger_set_lent(ledger, entry, true);
		ledger_set_closed(ledger, entry, i == 0);
		ledger_set_closed(ledger, born, i != 0);
		ck_assert(is_lent(entry) && !is_lent(other) && is_lent(born));
		reopen();
		ck_assert(is_lent(entry) && !is_lent(other) && is_lent(born));
		expect_state(i == 0 ? "hold 5 99 106 1 1\nhold 6 100 107 0 0\nhold 7 101 0 0 0\n"
				    : "hold 5 99 106 1 0\nhold 6 100 107 0 0\nhold 7 101 0 0 1\n");
	}
}
END_TEST

static const struct { uint32_t nr_extents; uint8_t name_len;
} shapes[] = {
	{ 1, 0 },
	{ 1, 1 },
	{ 2, 48 },
	{ 3, 49 },
	{ 4, 96 },
	{ 7, 255 },
	{ LEDGER_MAX_EXTENTS, 0 },
	{ LEDGER_MAX_EXTENTS, 255 },
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

	ck_assert_int_eq(ledger_replace_range(&entry, ledger, &range, extents + 1, 2, "short", 5),
			 0);
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

/*
 * The entry of the one that was replaced is anybody's, also that of another range of the same
 * allocation.
 */
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
	expect_state("holder 1 1\nholder 2 1\nholder 3 1\nholder 4 1\nholder 5 1\nholder 6 "
		     "1\nholder 7 1\nholder 8 1\nholder 9 1\nholder 10 1\n");
}
END_TEST

START_TEST(test_ledger_window_is_found_again_and_whose_it_is)
{
	struct ledger_window window = { .number = 77, .ino = 1234567890123, .dev = 5, .uid = 1000,
					.nr_words = 512, .read_only = true,
					.secret = "0123456789abcde" };
	uint32_t holder = add_holder(ledger, 1, 1000), entry;
	struct ledger_item item;

	ck_assert_int_eq(ledger_add_window(&entry, ledger, &window), 0);
	ledger_set_window(ledger, holder, 77);
	for (int i = 0; i < 2; i++) {
		ck_assert(find_item(&item, entry));
		ck_assert_int_eq(item.kind, LEDGER_WINDOW);
		ck_assert_mem_eq(item.window.secret, window.secret, sizeof(window.secret));
		ck_assert_uint_eq(item.window.number, 77);
		ck_assert_uint_eq(item.window.ino, window.ino);
		ck_assert_uint_eq(item.window.dev, 5);
		ck_assert_uint_eq(item.window.uid, 1000);
		ck_assert_uint_eq(item.window.nr_words, 512);
		ck_assert(item.window.read_only);
		ck_assert(find_item(&item, holder));
		ck_assert_uint_eq(item.holder.window, 77);
		reopen();
	}
	ledger_remove(ledger, entry);
	ledger_set_window(ledger, holder, 0);
	reopen();
	ck_assert(!find_item(&item, entry));
	ck_assert(find_item(&item, holder) && item.holder.window == 0);
}
END_TEST

/* ---- damage: never a crash, never half an item, and it works afterwards ---- */

static void try_damaged(void)
{
	struct ledger_item item;
	uint32_t cursor = 0, used = 0, entry;

	while (ledger_next(&item, ledger, &cursor)) {
		used += item.kind == LEDGER_RANGE
				? ledger_range_entries(item.nr_extents, item.name_len)
				: 1;
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
			uint32_t value =
				random() % 2 ? odd[random() % 8] : 64 + (uint32_t)random() % 100;

			patch(HEADER + (uint64_t)(random() % 1600) * 4, &value,
			      random() % 2 ? 4 : 1);
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

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_ledger_holder_is_found_again);
	tcase_add_test(t, test_ledger_window_is_found_again_and_whose_it_is);
	tcase_add_test(t, test_ledger_holder_says_who_it_is_when_it_was_introduced);
	tcase_add_test(t, test_ledger_hold_is_found_again_closed_or_not);
	tcase_add_test(t, test_ledger_hold_that_was_lent_stays_lent);
	tcase_add_loop_test(t, test_ledger_range_is_found_again,
			    0, sizeof(shapes) / sizeof(shapes[0]));
	tcase_add_test(t, test_ledger_replaced_range_has_a_new_entry_and_no_old_one);
	tcase_add_test(t, test_ledger_replaced_range_is_forgotten);
	tcase_add_test(t, test_ledger_item_may_be_removed_when_it_was_met);
	tcase_add_test(t, test_ledger_damage_anywhere_is_dropped_not_followed);
	tcase_add_test(t, test_ledger_dropped_items_are_counted);
}

UNIT("ledger", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 120 });
