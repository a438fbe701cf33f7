/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: what is written reads back, the bytes are those of doc/PROTOCOL.md, and no foreign byte is believed.
 */
#include <config.h>

#include "lib/wire.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t buf[WIRE_MAX] __attribute__((aligned(8)));

static size_t write_request(uint16_t opcode, const struct wire_request *request, const char *name)
{
	struct wire_writer w;

	wire_begin(&w, buf, opcode, 7);
	ck_assert_int_eq(wire_add_request(&w, request, name, strlen(name)), 0);
	return wire_end(&w);
}

static const struct wire_request some_request = {
	.flags = WIRE_PUBLISH | WIRE_CONTIGUOUS, .arena = 1, .slot = 0x01020304, .id = 0x1112131415161718,
	.len = 0x2122232425262728, .arg = 9, .uid = 1000, .gid = 100, .mode = 0640,
};

START_TEST(test_wire_request_reads_back)
{
	struct wire_reader r;
	struct wire_request q;
	const char *name;
	size_t length = write_request(WIRE_RESERVE, &some_request, "greeting");

	ck_assert_uint_eq(length, 32 + 64 + 8);
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_uint_eq(r.header.tag, 7);
	ck_assert_uint_eq(r.header.opcode, WIRE_RESERVE);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), 1);
	ck_assert_uint_eq(q.name_len, 8);
	ck_assert_mem_eq(name, "greeting", 8);
	ck_assert_uint_eq(q.id, some_request.id);
	ck_assert_uint_eq(q.slot, some_request.slot);
	ck_assert_uint_eq(q.len, some_request.len);
	ck_assert_uint_eq(q.arg, 9);
	ck_assert_uint_eq(q.uid, 1000);
	ck_assert_uint_eq(q.gid, 100);
	ck_assert_uint_eq(q.mode, 0640);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), 0);
}
END_TEST

/* The layout itself, byte by byte: another implementation depends on it. */
START_TEST(test_wire_request_has_its_bytes)
{
	static const uint8_t expected[] = {
		'P', 'M', 'A', '1', 1, 0, 3, 0, 104, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		72, 0, 3, 0, 3, 0, 0, 0, 1, 0, 0, 0, 4, 3, 2, 1,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
		9, 0, 0, 0, 0, 0, 0, 0, 0xe8, 3, 0, 0, 100, 0, 0, 0, 0xa0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		'a', 'b', 'c', 0, 0, 0, 0, 0,
	};

	memset(buf, 0xee, sizeof(buf));
	ck_assert_uint_eq(write_request(WIRE_RESERVE, &some_request, "abc"), sizeof(expected));
	ck_assert_mem_eq(buf, expected, sizeof(expected));
}
END_TEST

START_TEST(test_wire_results_read_back)
{
	const struct wire_extent extents[] = { { 1 << 21, 4096 }, { 3ULL << 40, 1 << 21 } };
	struct wire_result in = { .nr_inline = 2, .arena = 1, .slot = 2, .id = 3, .len = 4096, .uid = 5, .gid = 6, .mode = 0600,
				  .flags = WIRE_IS_RESERVED, .nr_extents = 40, .version = 8, .created_ns = 9, .cursor = 10 };
	struct wire_result refused = { .result = -ENOSPC }, out;
	const struct wire_extent *got;
	const char *text;
	struct wire_writer w;
	struct wire_reader r;

	wire_begin(&w, buf, WIRE_OPENED, 1ULL << 60);
	ck_assert_int_eq(wire_add_result(&w, &in, extents, "name", 4), 0);
	ck_assert_int_eq(wire_add_result(&w, &refused, NULL, "no room", 7), 0);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	ck_assert_uint_eq(r.header.tag, 1ULL << 60);
	ck_assert_int_eq(wire_next_result(&r, &out, &got, &text), 1);
	ck_assert_uint_eq(wire_extent_at(got, 1).off, 3ULL << 40);
	ck_assert_uint_eq(wire_extent_at(got, 0).len, 4096);
	ck_assert_mem_eq(text, "name", 4);
	in.size = out.size;
	in.text_len = 4;
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert_int_eq(wire_next_result(&r, &out, &got, &text), 1);
	ck_assert_int_eq(out.result, -ENOSPC);
	ck_assert_uint_eq(out.text_len, 7);
	ck_assert_int_eq(wire_next_result(&r, &out, &got, &text), 0);
}
END_TEST

static size_t write_welcome(void)
{
	struct wire_welcome welcome = { .version = 1, .nr_arenas = 1, .session = 77, .last_tag = 5, .resumed = 1, .max_items = 256 };
	struct wire_arena arena = { .name = "main", .page_size = 1 << 21, .nr_slots = 1000, .device = "/dev/dax0.0" };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_WELCOME, 0);
	ck_assert_int_eq(wire_add_raw(&w, &arena, sizeof(arena)), -EINVAL);
	ck_assert_int_eq(wire_add_raw(&w, &welcome, sizeof(welcome)), 0);
	ck_assert_int_eq(wire_add_raw(&w, &arena, sizeof(arena)), 0);
	return wire_end(&w);
}

START_TEST(test_wire_welcome_reads_back)
{
	struct wire_welcome welcome;
	struct wire_arena arena;
	struct wire_reader r;

	ck_assert_int_eq(wire_open(&r, buf, write_welcome()), 0);
	ck_assert_int_eq(wire_next_raw(&r, &welcome, sizeof(welcome)), 1);
	ck_assert_uint_eq(welcome.session, 77);
	ck_assert_uint_eq(welcome.last_tag, 5);
	ck_assert_int_eq(wire_next_raw(&r, &arena, sizeof(arena)), 1);
	ck_assert_str_eq(arena.name, "main");
	ck_assert_uint_eq(arena.nr_slots, 1000);
	ck_assert_int_eq(wire_next_raw(&r, &arena, sizeof(arena)), 0);
}
END_TEST

START_TEST(test_wire_welcome_with_an_endless_name_is_refused)
{
	size_t length = write_welcome();
	struct wire_welcome welcome;
	struct wire_arena arena;
	struct wire_reader r;

	memset(buf + 32 + 64 + offsetof(struct wire_arena, name), 'x', sizeof(arena.name));
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_raw(&r, &welcome, sizeof(welcome)), 1);
	ck_assert_int_eq(wire_next_raw(&r, &arena, sizeof(arena)), -EPROTO);
}
END_TEST

START_TEST(test_wire_batch_of_256_fits_and_257_does_not)
{
	struct wire_reader r;
	struct wire_writer w;
	struct wire_request q;
	const char *name;
	int nr = 0;

	wire_begin(&w, buf, WIRE_FREE, 1);
	for (int i = 0; i < 256; i++)
		ck_assert_int_eq(wire_add_request(&w, &some_request, NULL, 0), 0);
	ck_assert_int_eq(wire_add_request(&w, &some_request, NULL, 0), -EMSGSIZE);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	while (wire_next_request(&r, &q, &name) == 1)
		nr++;
	ck_assert_int_eq(nr, 256);
}
END_TEST

/* Long names fill a message before 256 of them do; what did not fit left the message as it was. */
START_TEST(test_wire_batch_of_long_names_ends_at_the_size)
{
	char name[WIRE_MAX_NAME];
	struct wire_writer w;
	struct wire_reader r;
	int nr = 0;

	memset(name, 'n', sizeof(name));
	wire_begin(&w, buf, WIRE_OPEN, 1);
	while (wire_add_request(&w, &some_request, name, sizeof(name)) == 0)
		nr++;
	ck_assert_int_eq(nr, (65536 - 32) / 320);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	ck_assert_uint_eq(r.header.count, (unsigned)nr);
}
END_TEST

START_TEST(test_wire_name_of_256_bytes_is_refused)
{
	char name[WIRE_MAX_NAME + 1] = "";
	struct wire_writer w;

	memset(name, 'n', sizeof(name));
	wire_begin(&w, buf, WIRE_OPEN, 1);
	ck_assert_int_eq(wire_add_request(&w, &some_request, name, sizeof(name)), -ENAMETOOLONG);
}
END_TEST

/* However long the names and however many the extents: 256 results fit, and only names of statted ones are missed. */
START_TEST(test_wire_fit_result_makes_any_256_fit)
{
	struct wire_extent extents[WIRE_MAX_INLINE_EXTENTS] = { { 0, 0 } };
	uint16_t opcode = _i ? WIRE_STATTED : WIRE_OPENED;
	char text[WIRE_MAX_TEXT];
	const struct wire_extent *e;
	struct wire_reader r;
	struct wire_writer w;
	const char *t;

	memset(text, 't', sizeof(text));
	wire_begin(&w, buf, opcode, 1);
	for (uint32_t i = 0; i < WIRE_MAX_ITEMS; i++) {
		struct wire_result s = { .result = i % 5 == 4 ? -EACCES : 0, .nr_inline = 16, .nr_extents = 16 };
		size_t text_len = wire_fit_result(&w, &s, s.result ? sizeof(text) : WIRE_MAX_NAME, WIRE_MAX_ITEMS - 1 - i);

		ck_assert(text_len == WIRE_MAX_NAME || s.result < 0 || opcode == WIRE_OPENED);
		ck_assert_int_eq(wire_add_result(&w, &s, extents, text, text_len), 0);
	}
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	for (uint32_t i = 0; i < WIRE_MAX_ITEMS; i++) {
		struct wire_result s;

		ck_assert_int_eq(wire_next_result(&r, &s, &e, &t), 1);
		ck_assert(s.result == (i % 5 == 4 ? -EACCES : 0) || (_i && s.result == -EMSGSIZE));
	}
}
END_TEST

START_TEST(test_wire_fit_result_leaves_what_fits)
{
	struct wire_result s = { .nr_inline = 16, .nr_extents = 16 };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_STATTED, 1);
	ck_assert_uint_eq(wire_fit_result(&w, &s, 255, 100), 255);
	ck_assert_uint_eq(s.nr_inline, 16);
}
END_TEST

/* ---- hostile bytes ---- */

static void put16(size_t at, uint16_t value) { buf[at] = value & 0xff; buf[at + 1] = value >> 8; }
static void put32(size_t at, uint32_t value) { put16(at, value & 0xffff); put16(at + 2, value >> 16); }

static const struct { size_t at; uint32_t value; const char *what; } bad_headers[] = {
	{ 0, 0x41414141, "magic" }, { 4, 0x00030000, "version 0" }, { 4, 0x00030002, "version 2" },
	{ 4, 0x00000001, "opcode 0" }, { 4, 0x00110001, "opcode 17" }, { 4, 0x80000001, "reply to nothing" },
	{ 4, 0x80110001, "reply 17" }, { 4, 0xc0030001, "0xc003" }, { 4, 0x40030001, "0x4003" }, { 8, 103, "short length" },
	{ 8, 105, "long length" }, { 8, 0xffffffff, "huge length" }, { 12, 0, "no item" }, { 12, 257, "257 items" },
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

static const struct { uint16_t size, name_len; const char *what; } bad_items[] = {
	{ 0, 8, "size 0" }, { 64, 8, "name outside its item" }, { 72, 0, "item longer than its parts" }, { 72, 9, "name 9" },
	{ 71, 7, "odd size" }, { 80, 16, "past the end" }, { 65528, 255, "far past the end" }, { 72, 65535, "name 65535" },
	{ 320, 256, "name 256" }, { 8, 8, "smaller than the fixed part" },
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

static const struct { size_t at; uint16_t value; const char *what; } bad_results[] = {
	{ 0, 0, "size 0" }, { 0, 96, "size without its parts" }, { 0, 65528, "size past the end" }, { 2, 17, "17 extents" },
	{ 2, 65535, "65535 extents" }, { 2, 3, "more extents than there are" }, { 52, 65535, "text 65535" }, { 52, 256, "name 256" },
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
	ck_assert_msg(wire_next_result(&r, &out, &got, &text) == -EPROTO, "%s", bad_results[_i].what);
}
END_TEST

/* Reads whatever the opcode says it is, to the end or to the first mistake; touches every byte it is given. */
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

/* Every prefix and every changed byte of good messages, in memory that ends where the message ends (for the sanitizers). */
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

START_TEST(test_wire_opcodes_have_names_and_flags)
{
	for (uint16_t opcode = WIRE_HELLO; opcode < WIRE_OPCODES; opcode++) {
		ck_assert_str_ne(wire_opcode_name(opcode), "unknown");
		ck_assert_str_eq(wire_opcode_name(opcode), wire_opcode_name(opcode | WIRE_REPLY));
	}
	ck_assert_str_eq(wire_opcode_name(0), "unknown");
	ck_assert_str_eq(wire_opcode_name(WIRE_OPCODES), "unknown");
	ck_assert_str_eq(wire_opcode_name(0xffff), "unknown");
	ck_assert_uint_eq(wire_known_flags(WIRE_STAT), 0);
	ck_assert_uint_eq(wire_known_flags(WIRE_OPEN), WIRE_READ_ONLY | WIRE_WANT_UID);
}
END_TEST

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

int main(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("wire");
	SRunner *runner;
	int nr_failed;

	tcase_add_test(t, test_wire_request_reads_back);
	tcase_add_test(t, test_wire_request_has_its_bytes);
	tcase_add_test(t, test_wire_results_read_back);
	tcase_add_test(t, test_wire_welcome_reads_back);
	tcase_add_test(t, test_wire_welcome_with_an_endless_name_is_refused);
	tcase_add_test(t, test_wire_batch_of_256_fits_and_257_does_not);
	tcase_add_test(t, test_wire_batch_of_long_names_ends_at_the_size);
	tcase_add_test(t, test_wire_name_of_256_bytes_is_refused);
	tcase_add_loop_test(t, test_wire_fit_result_makes_any_256_fit, 0, 2);
	tcase_add_test(t, test_wire_fit_result_leaves_what_fits);
	tcase_add_loop_test(t, test_wire_bad_header_is_refused, 0, NR(bad_headers));
	tcase_add_test(t, test_wire_bad_length_is_refused);
	tcase_add_test(t, test_wire_two_items_of_a_single_are_refused);
	tcase_add_loop_test(t, test_wire_bad_item_is_refused, 0, NR(bad_items));
	tcase_add_test(t, test_wire_zero_in_a_name_is_refused);
	tcase_add_test(t, test_wire_bytes_after_the_last_item_are_refused);
	tcase_add_test(t, test_wire_replies_are_no_requests_and_the_other_way_round);
	tcase_add_loop_test(t, test_wire_bad_result_is_refused, 0, NR(bad_results));
	tcase_add_loop_test(t, test_wire_never_reads_past_the_end, 0, 3);
	tcase_add_test(t, test_wire_opcodes_have_names_and_flags);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
