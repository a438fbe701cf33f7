/* SPDX-License-Identifier: BSD-3-Clause */
/* table: records in and out of the table. */
#include <config.h>

#include "tests/unit/table_fixture.h"

START_TEST(test_table_record_of_any_shape_is_read_back)
{
	static const struct { uint8_t name_len; uint32_t nr_extents, nr_slots;
	} shapes[] = {
		{ 0, 1, 1 },  { 1, 1, 1 },   { 48, 1, 1 },	{ 49, 1, 2 },	 { 0, 4, 1 },
		{ 0, 5, 2 },  { 255, 1, 4 }, { 255, 600, 103 }, { 8, 600, 101 }, { 16, 3, 1 },
		{ 17, 3, 2 }, { 0, 10, 2 },  { 0, 11, 3 },
	};
	static uint32_t slots[TABLE_MAX_PIECES];
	struct record record = make(5, 3, shapes[_i].name_len, shapes[_i].nr_extents);

	ck_assert_uint_eq(table_slots_for(record.name_len, record.nr_extents, record.attributes_len), shapes[_i].nr_slots);
	commit(slots, &record);
	ck_assert_uint_eq(table_nr_used(table), shapes[_i].nr_slots);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &record);
	ck_assert_uint_eq(table_nr_used(table), shapes[_i].nr_slots);
}
END_TEST

/* The number of bytes, and where they begin in a piece, vary; no other record's bytes are in it. */
START_TEST(test_table_attributes_are_read_back)
{
	static const struct { uint8_t name_len; uint32_t nr_extents; uint16_t len; uint32_t nr_slots;
	} shapes[] = {
		{ 0, 1, 1, 1 },	   { 0, 1, 48, 1 },   { 0, 1, 49, 2 },	   { 48, 1, 1, 2 },
		{ 0, 4, 8, 2 },	   { 255, 1, 256, 6 }, { 8, 600, 255, 104 }, { 7, 1, 256, 4 },
		{ 0, 10, 256, 5 },
	};
	static uint32_t slots[TABLE_MAX_PIECES];
	static uint8_t attributes[TABLE_MAX_ATTRIBUTES];
	struct record record = make(5, 3, shapes[_i].name_len, shapes[_i].nr_extents);

	for (unsigned i = 0; i < sizeof(attributes); i++)
		attributes[i] = (uint8_t)(i + 1);
	record.attributes = attributes;
	record.attributes_len = shapes[_i].len;
	commit(slots, &record);
	ck_assert_uint_eq(table_nr_used(table), shapes[_i].nr_slots);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &record);
	ck_assert_int_eq(table_verify(table, &record, slots, shapes[_i].nr_slots, false), 0);
	attributes[record.attributes_len - 1] ^= 1;
	ck_assert_int_eq(table_verify(table, &record, slots, shapes[_i].nr_slots, false), 1);
}
END_TEST

/* A checksum vouches for a record, and not for what a program that wrote it had in mind. */
START_TEST(test_table_attributes_of_a_length_that_cannot_be_are_damage)
{
	uint8_t payload[TABLE_PAYLOAD_MAX], body[TABLE_SLOT_SIZE];
	const uint8_t *bodies[] = { body };
	struct record record = make(5, 3, 0, 1), seen;

	slot_encode(body, table, &record, 0, 0, 1);
	ck_assert_int_eq(table_decode(&seen, payload, bodies, 1), 0);
	ck_assert_uint_eq(seen.attributes_len, 0);
	ck_assert_ptr_null(seen.attributes);
	record.attributes = long_name;
	record.attributes_len = 49;             /* needs a second slot */
	slot_encode(body, table, &record, 0, 0, 1);
	ck_assert_int_eq(table_decode(&seen, payload, bodies, 1), -EUCLEAN);
	/* The length, 257, in the bytes behind the mode. */
	body[42] = 1;
	body[43] = 1;
	ck_assert_int_eq(table_decode(&seen, payload, bodies, 1), -EUCLEAN);
}
END_TEST

START_TEST(test_table_record_too_large_has_no_size)
{
	ck_assert_uint_eq(table_slots_for(255, TABLE_PAYLOAD_MAX / 16, 0), 0);
	ck_assert_uint_eq(table_slots_for(0, UINT32_MAX, 0), 0);
	ck_assert_uint_ne(table_slots_for(255, 4096, TABLE_MAX_ATTRIBUTES), 0);
}
END_TEST

START_TEST(test_table_grows_by_chunks_until_it_is_full)
{
	uint32_t slots[4];

	ck_assert_uint_eq(sb.nr_chunks, 0);
	for (uint64_t i = 0; i < 2048; i++) {
		struct record record = make(i + 1, 1, 0, 1);

		ck_assert_uint_eq(stage(slots, &record), 1);
		/* low ones first: a start reads only chunks that exist */
		ck_assert_uint_eq(slots[0], i);
		ck_assert_uint_eq(sb.nr_chunks, i / 1024 + 1);
	}
	ck_assert_int_eq(table_settle(table, false), 0);
	ck_assert_int_eq(
		table_stage(
			table,
			&(struct record){ .kind = RECORD_ALLOC, .extents = many, .nr_extents = 1 },
			slots, 1),
		-ENFILE);
	ck_assert_uint_eq(table_nr_used(table), 2048);
}
END_TEST

START_TEST(test_table_retired_slots_come_back_after_the_settle)
{
	struct record record = make(1, 1, 255, 1), other = make(2, 1, 0, 1);
	uint32_t slots[4], more[4];

	commit(slots, &record);
	ck_assert_int_eq(table_retire(table, slots, 4), 0);
	stage(more, &other);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_ne(more[0], slots[i]);
	ck_assert_uint_eq(table_nr_used(table), 5);
	ck_assert_int_eq(table_settle(table, false), 0);
	ck_assert_uint_eq(table_nr_used(table), 1);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &other);
}
END_TEST

START_TEST(test_table_another_arenas_records_are_not_seen)
{
	struct record record = make(1, 1, 0, 1);
	uint32_t slots[1];

	commit(slots, &record);
	sb.uuid[3] ^= 1;
	sb.nr_chunks = 0;                       /* formatted */
	rescan();
	record.id = 2;
	commit(slots, &record);                 /* the chunk exists again */
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	ck_assert_uint_eq(found[0].record.id, 2);
	ck_assert_uint_eq(nr_damaged, 0);
	/* Even if nothing had been written over them. */
	sb.uuid[3] ^= 2;
	rescan();
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

START_TEST(test_table_slot_copied_to_another_place_is_bad)
{
	struct record record = make(1, 1, 0, 1);
	uint8_t bytes[TABLE_SLOT_SIZE];
	uint32_t slots[1];

	commit(slots, &record);
	for (int copy = 0; copy < 2; copy++) {
		ck_assert_int_eq(
			media_read(media, bytes, slot_off(table, copy, slots[0]), sizeof(bytes)),
			0);
		ck_assert_int_eq(
			media_store(media, slot_off(table, copy, 700), bytes, sizeof(bytes)), 0);
	}
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	ck_assert_uint_eq(nr_damaged, 1);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_table_record_of_any_shape_is_read_back, 0, 13);
	tcase_add_loop_test(t, test_table_attributes_are_read_back, 0, 9);
	tcase_add_test(t, test_table_attributes_of_a_length_that_cannot_be_are_damage);
	tcase_add_test(t, test_table_record_too_large_has_no_size);
	tcase_add_test(t, test_table_grows_by_chunks_until_it_is_full);
	tcase_add_test(t, test_table_retired_slots_come_back_after_the_settle);
	tcase_add_test(t, test_table_another_arenas_records_are_not_seen);
	tcase_add_test(t, test_table_slot_copied_to_another_place_is_bad);
}

UNIT("table", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
