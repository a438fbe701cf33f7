/* SPDX-License-Identifier: BSD-3-Clause */
/* table_copies: what the two copies of a table slot decide. */
#include <config.h>

#include "tests/unit/table_fixture.h"

/* ---- two copies ---- */

/* FORMAT.md's table. */
START_TEST(test_table_two_copies_decide)
{
	enum copy a = (enum copy)(_i / NR_COPIES), b = (enum copy)(_i % NR_COPIES);
	bool live = a == GOOD || b == GOOD, is_free = !live && (a == FREE || b == FREE);
	bool can_mend = a != UNREADABLE && b != UNREADABLE;
	struct record record = make(1, 1, 3, 2);
	uint32_t slots[1];

	commit(slots, &record);
	make_copy(0, slots[0], a);
	make_copy(1, slots[0], b);
	scan(false);
	ck_assert_uint_eq(nr_found, live);
	ck_assert_uint_eq(nr_damaged, !live && !is_free);
	ck_assert_uint_eq(result.nr_mended, (live || is_free) && a != b);
	rescan();
	ck_assert_uint_eq(nr_found, live);
	if (live)
		assert_same(&found[0], &record);
	rescan();
	ck_assert_uint_eq(nr_found, live);
	if (can_mend)
		ck_assert_uint_eq(result.nr_mended, 0);
}
END_TEST

START_TEST(test_table_good_copies_that_differ_are_damage)
{
	struct record record = make(1, 1, 0, 1);
	uint8_t body[TABLE_SLOT_SIZE];
	uint32_t slots[1];
	uint64_t word;

	commit(slots, &record);
	record.id = 2;
	slot_encode(body, table, &record, slots[0], 0, 1);
	word = slot_live_word(table, slots[0]);
	memcpy(body, &word, sizeof(word));
	media_store(media, slot_off(table, _i, slots[0]), body, sizeof(body));
	rescan();
	ck_assert_uint_eq(nr_damaged, 1);
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

START_TEST(test_table_any_bit_flipped_in_one_copy_is_mended)
{
	struct record record = make(1, 1, 5, 1);
	uint32_t slots[1];

	commit(slots, &record);
	for (unsigned bit = 0; bit < TABLE_SLOT_SIZE * 8; bit++) {
		uint64_t off = slot_off(table, bit % 2, slots[0]) + bit / 8;
		uint8_t byte;

		media_read(media, &byte, off, 1);
		byte ^= (uint8_t)(1u << bit % 8);
		media_store(media, off, &byte, 1);
		rescan();
		ck_assert_uint_eq(nr_found, 1);
		ck_assert_uint_eq(result.nr_mended, 1);
		assert_same(&found[0], &record);
	}
}
END_TEST

START_TEST(test_table_damaged_slot_is_given_up)
{
	struct record record = make(1, 1, 0, 1);
	uint32_t slots[1], again[1];

	commit(slots, &record);
	make_copy(0, slots[0], BAD);
	make_copy(1, slots[0], ZERO);
	rescan();
	ck_assert_uint_eq(nr_damaged, 1);
	record.id = 2;
	commit(again, &record);                 /* not into what is damaged */
	ck_assert_uint_ne(again[0], slots[0]);
	ck_assert_int_eq(table_give_up(table, slots[0]), 0);
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_eq(nr_found, 1);
}
END_TEST

START_TEST(test_table_verify_mends_what_a_client_scribbled)
{
	struct record record = make(1, 1, 255, 1);
	uint32_t slots[4];
	uint64_t junk = 0x6b6e756a6b6e756a;

	commit(slots, &record);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 0);
	for (int copy = 0; copy < 2; copy++)
		media_store(media, slot_off(table, copy, slots[2]) + 48, &junk, sizeof(junk));
	ck_assert_int_eq(table_verify(table, &record, slots, 4, false), 1);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 1);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 0);
	rescan();
	assert_same(&found[0], &record);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_table_two_copies_decide, 0, NR_COPIES * NR_COPIES);
	tcase_add_loop_test(t, test_table_good_copies_that_differ_are_damage, 0, 2);
	tcase_add_test(t, test_table_any_bit_flipped_in_one_copy_is_mended);
	tcase_add_test(t, test_table_damaged_slot_is_given_up);
	tcase_add_test(t, test_table_verify_mends_what_a_client_scribbled);
}

UNIT("table_copies", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
