/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: attributes behind a name or a text, where both sides agree that there are some. */
#include <config.h>

#include "lib/wire/wire.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static uint8_t buf[WIRE_MAX] __attribute__((aligned(8)));
static uint8_t bytes[WIRE_MAX_ATTRIBUTES + 1];

static void setup(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 3);    /* zeroes among them */
}

static size_t write_request(uint32_t flags, uint16_t len, const char *name)
{
	struct wire_request request = { .flags = flags, .attributes_len = len };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_PUBLISH, 7);
	ck_assert_int_eq(wire_add_request_with(&w, &request, name, strlen(name), bytes), 0);
	return wire_end(&w);
}

static const uint16_t lens[] = { 0, 1, 3, 4, 5, 8, 255, WIRE_MAX_ATTRIBUTES };

START_TEST(test_wire_request_with_attributes_reads_back)
{
	size_t length = write_request(WIRE_WITH_ATTRIBUTES, lens[_i], "name");
	struct wire_request q;
	struct wire_reader r;
	const char *name;

	ck_assert_uint_eq(length, 32 + 64 + (4u + lens[_i] + 7) / 8 * 8);
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), 1);
	ck_assert_uint_eq(q.name_len, 4);
	ck_assert_uint_eq(q.attributes_len, lens[_i]);
	ck_assert_mem_eq(name, "name", 4);
	ck_assert_mem_eq(name + q.name_len, bytes, lens[_i]);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), 0);
}
END_TEST

/* PROTOCOL.md: the length in bytes 52 and 53 of the item, the bytes right behind the name. */
START_TEST(test_wire_attributes_have_their_place)
{
	write_request(WIRE_WITH_ATTRIBUTES, 2, "name");
	ck_assert_uint_eq(buf[32 + 52], 2);
	ck_assert_uint_eq(buf[32 + 53], 0);
	ck_assert_mem_eq(buf + 32 + 64, "name", 4);
	ck_assert_mem_eq(buf + 32 + 68, bytes, 2);
	ck_assert_uint_eq(buf[32 + 70], 0);
}
END_TEST

/* Who does not know the flag may have anything there. */
START_TEST(test_wire_attributes_without_the_flag_are_none)
{
	size_t length = write_request(0, 9, "name");
	struct wire_request q;
	struct wire_reader r;
	const char *name;

	ck_assert_uint_eq(length, 32 + 64 + 8);
	ck_assert_uint_eq(buf[32 + 52], 9);
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), 1);
	ck_assert_uint_eq(q.attributes_len, 0);
}
END_TEST

START_TEST(test_wire_attributes_of_a_length_that_lies_are_refused)
{
	static const uint16_t lies[] = { 0, 3, 13, 257, 65535 };
	size_t length = write_request(WIRE_WITH_ATTRIBUTES, 12, "name");
	struct wire_request q;
	struct wire_reader r;
	const char *name;

	buf[32 + 52] = (uint8_t)lies[_i];
	buf[32 + 53] = (uint8_t)(lies[_i] >> 8);
	ck_assert_int_eq(wire_open(&r, buf, length), 0);
	ck_assert_int_eq(wire_next_request(&r, &q, &name), -EPROTO);
}
END_TEST

START_TEST(test_wire_too_many_attributes_are_not_sent)
{
	struct wire_request request = { .flags = WIRE_WITH_ATTRIBUTES,
					.attributes_len = WIRE_MAX_ATTRIBUTES + 1 };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_PUBLISH, 7);
	ck_assert_int_eq(wire_add_request_with(&w, &request, "", 0, bytes), -EMSGSIZE);
	ck_assert_uint_eq(w.count, 0);
}
END_TEST

START_TEST(test_wire_result_with_attributes_reads_back)
{
	const struct wire_extent extent = { 1 << 21, 4096 };
	struct wire_result in = { .nr_inline = 1, .nr_extents = 1, .attributes_len = lens[_i] }, out;
	const struct wire_extent *extents;
	struct wire_writer w;
	struct wire_reader r;
	const char *text;

	wire_begin(&w, buf, WIRE_STATTED, 7);
	ck_assert_int_eq(wire_add_result_with(&w, &in, &extent, "names", 5, bytes), 0);
	ck_assert_int_eq(wire_add_result(&w, &in, &extent, "names", 5), 0);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	ck_assert_int_eq(wire_next_result(&r, &out, &extents, &text), 1);
	ck_assert_uint_eq(wire_extent_at(extents, 0).len, 4096);
	ck_assert_mem_eq(text, "names", 5);
	ck_assert_uint_eq(out.attributes_len, lens[_i]);
	ck_assert_mem_eq(text + out.text_len, bytes, lens[_i]);
	ck_assert_int_eq(wire_next_result(&r, &out, &extents, &text), 1);
	ck_assert_uint_eq(out.attributes_len, 0);
	ck_assert_int_eq(wire_next_result(&r, &out, &extents, &text), 0);
}
END_TEST

/* A refusal has a sentence, and nothing else. */
START_TEST(test_wire_refusal_with_attributes_is_refused)
{
	struct wire_result in = { .result = -ENOENT, .attributes_len = 8 }, out;
	const struct wire_extent *extents;
	struct wire_writer w;
	struct wire_reader r;
	const char *text;

	wire_begin(&w, buf, WIRE_STATTED, 7);
	ck_assert_int_eq(wire_add_result_with(&w, &in, NULL, "gone", 4, bytes), 0);
	ck_assert_int_eq(wire_open(&r, buf, wire_end(&w)), 0);
	ck_assert_int_eq(wire_next_result(&r, &out, &extents, &text), -EPROTO);
}
END_TEST

/* 256 of the longest do not fit: those that do are whole, and the others say so. */
static unsigned fill_reply(uint16_t opcode, unsigned *nr_refused)
{
	static const char name[WIRE_MAX_NAME] = { [0 ... WIRE_MAX_NAME - 1] = 'n' };
	struct wire_writer w;
	unsigned nr_whole = 0;

	wire_begin(&w, buf, opcode, 7);
	for (uint32_t left = WIRE_MAX_ITEMS; left-- > 0;) {
		struct wire_result result = { .attributes_len = WIRE_MAX_ATTRIBUTES,
					      .flags = WIRE_HAS_ATTRIBUTES };
		size_t len = wire_fit_result(&w, &result, opcode == WIRE_STATTED ? WIRE_MAX_NAME : 0,
					     left);

		ck_assert(result.attributes_len == 0 ||
			  result.attributes_len == WIRE_MAX_ATTRIBUTES);
		nr_whole += result.attributes_len > 0;
		*nr_refused += result.result == -EMSGSIZE;
		ck_assert_int_eq(wire_add_result_with(&w, &result, NULL, name, len, bytes), 0);
	}
	ck_assert_uint_eq(w.count, WIRE_MAX_ITEMS);
	ck_assert_uint_le(wire_end(&w), WIRE_MAX);
	return nr_whole;
}

START_TEST(test_wire_attributes_that_do_not_fit_are_left_out_or_refused)
{
	unsigned nr_refused = 0, nr_whole = fill_reply(WIRE_STATTED, &nr_refused);

	ck_assert_uint_eq(nr_whole + nr_refused, WIRE_MAX_ITEMS);
	ck_assert_uint_gt(nr_whole, 60);
	nr_refused = 0;
	nr_whole = fill_reply(WIRE_OPENED, &nr_refused);
	ck_assert_uint_eq(nr_refused, 0);
	ck_assert_uint_gt(nr_whole, 120);
	ck_assert_uint_lt(nr_whole, WIRE_MAX_ITEMS);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_wire_request_with_attributes_reads_back, 0, 8);
	tcase_add_test(t, test_wire_attributes_have_their_place);
	tcase_add_test(t, test_wire_attributes_without_the_flag_are_none);
	tcase_add_loop_test(t, test_wire_attributes_of_a_length_that_lies_are_refused, 0, 5);
	tcase_add_test(t, test_wire_too_many_attributes_are_not_sent);
	tcase_add_loop_test(t, test_wire_result_with_attributes_reads_back, 0, 8);
	tcase_add_test(t, test_wire_refusal_with_attributes_is_refused);
	tcase_add_test(t, test_wire_attributes_that_do_not_fit_are_left_out_or_refused);
}

UNIT("wire_attributes", { .add = add_tests, .setup = setup });
