/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: no foreign byte is believed, and nothing is read past the end.
 */
#include <config.h>

#include "lib/wire/wire.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/wire_fixture.h"

static void put16(size_t at, uint16_t value) { buf[at] = value & 0xff; buf[at + 1] = value >> 8; }
static void put32(size_t at, uint32_t value)
{
	put16(at, value & 0xffff);
	put16(at + 2, value >> 16);
}

static const struct { size_t at; uint32_t value; const char *what;
} bad_headers[] = {
	{ 0, 0x41414141, "magic" },
	{ 4, 0x00030000, "version 0" },
	{ 4, 0x00030002, "version 2" },
	{ 4, 0x00000001, "opcode 0" },
	{ 4, 0x00170001, "opcode 23" },
	{ 4, 0x80000001, "reply to nothing" },
	{ 4, 0x80170001, "reply 23" },
	{ 4, 0xc0030001, "0xc003" },
	{ 4, 0x40030001, "0x4003" },
	{ 8, 103, "short length" },
	{ 8, 105, "long length" },
	{ 8, 0xffffffff, "huge length" },
	{ 12, 0, "no item" },
	{ 12, 257, "257 items" },
	{ 12, 0xffffffff, "4 G items" },
};

START_TEST(test_wire_bad_header_is_refused)
{
	size_t length = write_request(WIRE_RESERVE, &some_request, "greeting");
	struct wire_reader r;

	put32(bad_headers[_i].at, bad_headers[_i].value);
	ck_assert_msg(wire_open(&r, buf, length) == -EPROTO, "%s", bad_headers[_i].what);
}
END_TEST

START_TEST(test_wire_bad_length_is_refused)
{
	struct wire_reader r;

	ck_assert_int_eq(wire_open(&r, buf, 0), -EPROTO);
	ck_assert_int_eq(wire_open(&r, buf, 31), -EPROTO);
	ck_assert_int_eq(wire_open(&r, buf, WIRE_MAX + 8), -EPROTO);
}
END_TEST

/* Requests that have one item by their nature, twice in one message. */
START_TEST(test_wire_two_items_of_a_single_are_refused)
{
	static const uint16_t opcodes[] = { WIRE_ATTACH, WIRE_EXTENTS, WIRE_LIST, WIRE_SUBSCRIBE };

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++) {
		struct wire_writer w;
		struct wire_reader r;

		wire_begin(&w, buf, opcodes[i], 1);
		wire_add_request(&w, &some_request, NULL, 0);
		wire_add_request(&w, &some_request, NULL, 0);
		ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), -EPROTO);
	}
}
END_TEST

static int read_all_requests(const void *message, size_t length)
{
	struct wire_request q;
	struct wire_reader r;
	const char *name;
	int ret = wire_open(&r, message, length);

	if (ret < 0)
		return ret;
	while ((ret = wire_next_request(&r, &q, &name)) == 1)
		;
	return ret;
}

static const struct { uint16_t size, name_len; const char *what;
} bad_items[] = {
	{ 0, 8, "size 0" },
	{ 64, 8, "name outside its item" },
	{ 72, 0, "item longer than its parts" },
	{ 72, 9, "name 9" },
	{ 71, 7, "odd size" },
	{ 80, 16, "past the end" },
	{ 65528, 255, "far past the end" },
	{ 72, 65535, "name 65535" },
	{ 320, 256, "name 256" },
	{ 8, 8, "smaller than the fixed part" },
};

START_TEST(test_wire_bad_item_is_refused)
{
	size_t length = write_request(WIRE_RESERVE, &some_request, "greeting");

	put16(32, bad_items[_i].size);
	put16(34, bad_items[_i].name_len);
	ck_assert_msg(read_all_requests(buf, length) == -EPROTO, "%s", bad_items[_i].what);
}
END_TEST

START_TEST(test_wire_zero_in_a_name_is_refused)
{
	size_t length = write_request(WIRE_RESERVE, &some_request, "greeting");

	buf[32 + 64 + 3] = 0;
	ck_assert_int_eq(read_all_requests(buf, length), -EPROTO);
}
END_TEST

START_TEST(test_wire_bytes_after_the_last_item_are_refused)
{
	size_t length = write_request(WIRE_RESERVE, &some_request, "greeting");

	put32(8, (uint32_t)length + 8);
	ck_assert_int_eq(read_all_requests(buf, length + 8), -EPROTO);
}
END_TEST

START_TEST(test_wire_replies_are_no_requests_and_the_other_way_round)
{
	const struct wire_extent *extents;
	struct wire_result result;
	struct wire_request q;
	struct wire_reader r;
	const char *text;
	size_t length = write_request(WIRE_RESERVE, &some_request, "");

	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_result(&r, &result, &extents, &text), -EPROTO);
	ck_assert_int_eq(wire_next_raw(&r, &q, sizeof(q)), -EPROTO);
	put16(6, WIRE_RESERVED);
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_request(&r, &q, &text), -EPROTO);
}
END_TEST

static const struct { size_t at; uint16_t value; const char *what;
} bad_results[] = {
	{ 0, 0, "size 0" },
	{ 0, 96, "size without its parts" },
	{ 0, 65528, "size past the end" },
	{ 2, 17, "17 extents" },
	{ 2, 65535, "65535 extents" },
	{ 2, 3, "more extents than there are" },
	{ 52, 65535, "text 65535" },
	{ 52, 256, "name 256" },
	{ 6, 0x7fff, "positive result" },
};

START_TEST(test_wire_bad_result_is_refused)
{
	const struct wire_extent extents[2] = { { 0, 0 } }, *got;
	struct wire_result in = { .nr_inline = 2, .nr_extents = 2 }, out;
	struct wire_writer w;
	struct wire_reader r;
	const char *text;

	wire_begin(&w, buf, WIRE_OPENED, 1);
	wire_add_result(&w, &in, extents, "name", 4);
	put16(32 + bad_results[_i].at, bad_results[_i].value);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	ck_assert_msg(wire_next_result(&r, &out, &got, &text) == -EPROTO, "%s",
		      bad_results[_i].what);
}
END_TEST

/*
 * Reads whatever the opcode says it is, to the end or to the first mistake; touches every byte it
 * is given.
 */
static uint64_t read_anything(const void *message, size_t length)
{
	uint8_t raw[256];
	const struct wire_extent *extents;
	struct wire_request q;
	struct wire_result s;
	struct wire_reader r;
	const char *text;
	uint64_t sum = 0;

	if (wire_open(&r, message, length) < 0)
		return 0;
	while (wire_next_request(&r, &q, &text) == 1)
		for (int i = 0; i < q.name_len; i++)
			sum += (uint8_t)text[i];
	while (wire_next_result(&r, &s, &extents, &text) == 1) {
		for (uint32_t i = 0; i < s.nr_inline; i++)
			sum += wire_extent_at(extents, i).len;
		for (int i = 0; i < s.text_len; i++)
			sum += (uint8_t)text[i];
	}
	while (wire_next_raw(&r, raw, 64) == 1 || wire_next_raw(&r, raw, 256) == 1)
		sum += raw[0];
	return sum;
}

/*
 * Every prefix and every changed byte of good messages, in memory that ends where the message ends
 * (for the sanitizers).
 */
START_TEST(test_wire_never_reads_past_the_end)
{
	static const uint8_t values[] = { 0, 1, 7, 8, 0x7f, 0x80, 0xff };
	struct wire_result in = { .nr_inline = 1, .nr_extents = 1 };
	const struct wire_extent extents[1] = { { 1, 2 } };
	struct wire_writer w;
	size_t length;
	uint8_t *exact;

	if (_i == 0) {
		length = write_request(WIRE_OPEN, &some_request, "greeting");
	} else if (_i == 1) {
		length = write_welcome();
	} else {
		wire_begin(&w, buf, WIRE_STATTED, 1);
		wire_add_result(&w, &in, extents, "name", 4);
		length = wire_end(&w);
	}
	for (size_t cut = 0; cut <= length; cut++) {
		exact = malloc(cut ? cut : 1);
		memcpy(exact, buf, cut);
		if (cut >= 12)
			exact[8] = cut & 0xff, exact[9] = (uint8_t)(cut >> 8);
		read_anything(exact, cut);
		free(exact);
	}
	exact = malloc(length);
	for (size_t at = 0; at < length; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			memcpy(exact, buf, length);
			exact[at] = values[v];
			read_anything(exact, length);
		}
	}
	free(exact);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_wire_bad_header_is_refused, 0, NR(bad_headers));
	tcase_add_test(t, test_wire_bad_length_is_refused);
	tcase_add_test(t, test_wire_two_items_of_a_single_are_refused);
	tcase_add_loop_test(t, test_wire_bad_item_is_refused, 0, NR(bad_items));
	tcase_add_test(t, test_wire_zero_in_a_name_is_refused);
	tcase_add_test(t, test_wire_bytes_after_the_last_item_are_refused);
	tcase_add_test(t, test_wire_replies_are_no_requests_and_the_other_way_round);
	tcase_add_loop_test(t, test_wire_bad_result_is_refused, 0, NR(bad_results));
	tcase_add_loop_test(t, test_wire_never_reads_past_the_end, 0, 3);
}

UNIT("wire_hostile", { .add = add_tests });
