/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: what is written reads back, and the bytes are those of doc/PROTOCOL.md. Foreign bytes are
 * in test_wire_hostile.c.
 */
#include <config.h>

#include "lib/wire/wire.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/wire_fixture.h"

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
		'P',  'M',  'A',  '1',	1,    0,    3,	  0,	104,  0,    0,	  0,	1,
		0,    0,    0,	  7,	0,    0,    0,	  0,	0,    0,    0,	  0,	0,
		0,    0,    0,	  0,	0,    0,    72,	  0,	3,    0,    3,	  0,	0,
		0,    1,    0,	  0,	0,    4,    3,	  2,	1,    0x18, 0x17, 0x16, 0x15,
		0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 9,
		0,    0,    0,	  0,	0,    0,    0,	  0xe8, 3,    0,    0,	  100,	0,
		0,    0,    0xa0, 1,	0,    0,    0,	  0,	0,    0,    0,	  0,	0,
		0,    0,    0,	  0,	0,    'a',  'b',  'c',	0,    0,    0,	  0,	0,
	};

	memset(buf, 0xee, sizeof(buf));
	ck_assert_uint_eq(write_request(WIRE_RESERVE, &some_request, "abc"), sizeof(expected));
	ck_assert_mem_eq(buf, expected, sizeof(expected));
}
END_TEST

START_TEST(test_wire_results_read_back)
{
	const struct wire_extent extents[] = { { 1 << 21, 4096 }, { 3ULL << 40, 1 << 21 } };
	struct wire_result in = { .nr_inline = 2,
				  .arena = 1,
				  .slot = 2,
				  .id = 3,
				  .len = 4096,
				  .uid = 5,
				  .gid = 6,
				  .mode = 0600,
				  .flags = WIRE_IS_RESERVED,
				  .nr_extents = 40,
				  .version = 8,
				  .created_ns = 9,
				  .cursor = 10 };
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

/*
 * However long the names and however many the extents: 256 results fit, and only names of statted
 * ones are missed.
 */
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
		struct wire_result s = { .result = i % 5 == 4 ? -EACCES : 0,
					 .nr_inline = 16,
					 .nr_extents = 16 };
		size_t text_len = wire_fit_result(&w, &s, s.result ? sizeof(text) : WIRE_MAX_NAME,
						  WIRE_MAX_ITEMS - 1 - i);

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

START_TEST(test_wire_opcodes_have_names_and_flags)
{
	for (uint16_t opcode = WIRE_HELLO; opcode < WIRE_OPCODES; opcode++) {
		ck_assert_str_ne(wire_opcode_name(opcode), "unknown");
		ck_assert_str_eq(wire_opcode_name(opcode), wire_opcode_name(opcode | WIRE_REPLY));
	}
	ck_assert_str_eq(wire_opcode_name(0), "unknown");
	ck_assert_str_eq(wire_opcode_name(WIRE_OPCODES), "unknown");
	ck_assert_str_eq(wire_opcode_name(0xffff), "unknown");
	ck_assert_uint_eq(wire_known_flags(WIRE_STAT), WIRE_WITH_ATTRIBUTES);
	ck_assert_uint_eq(wire_known_flags(WIRE_OPEN),
			  WIRE_READ_ONLY | WIRE_WANT_UID | WIRE_LENT | WIRE_WITH_ATTRIBUTES);
	ck_assert_uint_eq(wire_known_flags(WIRE_EXTENTS), WIRE_LENT);
	ck_assert_uint_eq(wire_known_flags(WIRE_PUBLISH),
			  WIRE_REPLACE | WIRE_WITH_ATTRIBUTES | WIRE_EVICTABLE | WIRE_ALL_OR_NONE);
	ck_assert(wire_known_flags(WIRE_RESERVE) & WIRE_ANY_CONTENTS);
	ck_assert_uint_eq(wire_known_flags(WIRE_RENAME), WIRE_REPLACE | WIRE_ALL_OR_NONE);
	ck_assert_uint_eq(wire_known_flags(WIRE_CLOSE),
			  WIRE_UNMAPPED | WIRE_LENT | WIRE_IF_CLOSED | WIRE_DONE);
}
END_TEST

START_TEST(test_wire_window_comes_as_it_was_sent)
{
	struct wire_window in = { .result = -2,
				  .arena = 3,
				  .window = UINT64_C(0x1122334455667788),
				  .secret = "0123456789abcde",
				  .nr_words = 512,
				  .resumed = 1 };
	struct wire_window out;
	struct wire_result result;
	struct wire_writer writer;
	struct wire_reader reader;
	const struct wire_extent *extents;
	const char *text;

	wire_begin(&writer, buf, WIRE_WINDOWED, 9);
	ck_assert_int_eq(wire_add_raw(&writer, &in, sizeof(in) - 8), -EINVAL);
	ck_assert_int_eq(wire_add_raw(&writer, &in, sizeof(in)), 0);
	ck_assert_int_eq(wire_open(&reader, buf, wire_end(&writer)), 0);
	ck_assert_int_eq(wire_next_result(&reader, &result, &extents, &text), -EPROTO);
	ck_assert_int_eq(wire_next_raw(&reader, &out, sizeof(out)), 1);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	wire_begin(&writer, buf, WIRE_WINDOWED, 9);
	wire_add_raw(&writer, &in, sizeof(in));
	wire_add_raw(&writer, &in, sizeof(in));
	ck_assert_int_eq(wire_open(&reader, buf, wire_end(&writer)), -EPROTO);
}
END_TEST

/* The bytes on the wire are those of the secret, in their order. */
START_TEST(test_wire_secret_travels_as_bytes)
{
	const uint8_t secret[16] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
	struct wire_request request = { .id = 7 }, out;
	uint8_t unpacked[16];
	struct wire_writer writer;
	struct wire_reader reader;
	const char *name;

	wire_pack_secret(&request, secret);
	wire_begin(&writer, buf, WIRE_WINDOW, 1);
	wire_add_request(&writer, &request, NULL, 0);
	ck_assert_mem_eq(buf + sizeof(struct wire_header) + offsetof(struct wire_request, len), secret,
			 16);
	ck_assert_int_eq(wire_open(&reader, buf, wire_end(&writer)), 0);
	ck_assert_int_eq(wire_next_request(&reader, &out, &name), 1);
	wire_unpack_secret(unpacked, &out);
	ck_assert_mem_eq(unpacked, secret, 16);
}
END_TEST

static void add_tests(TCase *t)
{
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
	tcase_add_test(t, test_wire_opcodes_have_names_and_flags);
	tcase_add_test(t, test_wire_window_comes_as_it_was_sent);
	tcase_add_test(t, test_wire_secret_travels_as_bytes);
}

UNIT("wire", { .add = add_tests });
