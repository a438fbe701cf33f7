/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size: bytes as people write and read them.
 */
#include <config.h>

#include "lib/wire/size.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const struct { const char *text; int r; uint64_t size;
} parses[] = {
	{ "0", 0, 0 },
	{ "1", 0, 1 },
	{ "4096", 0, 4096 },
	{ "0x1000", 0, 4096 },
	{ "0XfF", 0, 255 },
	{ "4K", 0, 4096 },
	{ "4k", 0, 4096 },
	{ "4KB", 0, 4096 },
	{ "4KiB", 0, 4096 },
	{ "4 kib", 0, 4096 },
	{ "512B", 0, 512 },
	{ " 2M", 0, 2 << 20 },
	{ "2 MiB ", -EINVAL, 0 },
	{ "64G", 0, 64ULL << 30 },
	{ "1T", 0, 1ULL << 40 },
	{ "1P", 0, 1ULL << 50 },
	{ "15E", 0, 15ULL << 60 },
	{ "16E", -ERANGE, 0 },
	{ "1.5G", 0, 3ULL << 29 },
	{ "0.5K", 0, 512 },
	{ "1.25M", 0, 5 << 18 },
	{ "0.001K", -EINVAL, 0 },
	{ "1.0", 0, 1 },
	{ "1.5", -EINVAL, 0 },
	{ "1.", -EINVAL, 0 },
	{ ".5K", -EINVAL, 0 },
	{ "1.5.5K", -EINVAL, 0 },
	{ "0x1.8K", -EINVAL, 0 },
	{ "15.5E", 0, 31ULL << 59 },
	{ "15.9999999999999E", -EINVAL, 0 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "0xffffffffffffffff", 0, UINT64_MAX },
	{ "0x10000000000000000", -ERANGE, 0 },
	{ "17592186044415M", 0, 17592186044415ULL << 20 },
	{ "17592186044416M", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ " ", -EINVAL, 0 },
	{ "K", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ "0x", -EINVAL, 0 },
	{ "1X", -EINVAL, 0 },
	{ "1Ki", -EINVAL, 0 },
	{ "1KK", -EINVAL, 0 },
	{ "1 2", -EINVAL, 0 },
	{ "1,5G", -EINVAL, 0 },
};

START_TEST(test_size_parse_takes_sizes_and_nothing_else)
{
	uint64_t size = 42;

	ck_assert_msg(size_parse(&size, parses[_i].text) == parses[_i].r, "\"%s\"",
		      parses[_i].text);
	ck_assert_msg(size == (parses[_i].r ? 42 : parses[_i].size), "\"%s\" gave %" PRIu64,
		      parses[_i].text, size);
}
END_TEST

static const struct { uint64_t size; const char *text;
} texts[] = {
	{ 0, "0" },
	{ 1, "1" },
	{ 512, "512" },
	{ 1023, "1023" },
	{ 1024, "1K" },
	{ 1025, "1025" },
	{ 1536, "1.5K" },
	{ 3 << 20, "3M" },
	{ 3ULL << 29, "1.5G" },
	{ (1 << 20) + 1024, "1025K" },
	{ 1 << 20 | 1 << 17, "1.125M" },
	{ 64ULL << 30, "64G" },
	{ 1ULL << 40, "1T" },
	{ 15ULL << 60, "15E" },
	{ UINT64_MAX, "18446744073709551615" },
};

START_TEST(test_size_text_is_short_and_exact)
{
	char buf[SIZE_TEXT_MAX];

	ck_assert_str_eq(size_text(buf, texts[_i].size), texts[_i].text);
}
END_TEST

/*
 * Powers of two, their neighbours and eighths: what is printed reads back as the very same number.
 */
START_TEST(test_size_text_reads_back)
{
	char buf[SIZE_TEXT_MAX];

	for (int shift = 0; shift < 64; shift++) {
		for (int delta = -9; delta <= 9; delta++) {
			uint64_t size = (1ULL << shift) +
					(uint64_t)delta * (shift > 3 ? 1ULL << (shift - 3) : 1),
				 back;

			ck_assert_int_eq(size_parse(&back, size_text(buf, size)), 0);
			ck_assert_msg(back == size, "%" PRIu64 " printed as %s", size, buf);
			ck_assert_uint_lt(strlen(buf), 24);
		}
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_size_parse_takes_sizes_and_nothing_else,
			    0, (int)(sizeof(parses) / sizeof(*parses)));
	tcase_add_loop_test(t, test_size_text_is_short_and_exact,
			    0, (int)(sizeof(texts) / sizeof(*texts)));
	tcase_add_test(t, test_size_text_reads_back);
}

UNIT("size", { .add = add_tests });
