/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names for people and back: every character, every pair of bytes and many random names; nothing
 * that is shown can do anything.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "lib/wire/escape.h"
#include "tests/unit/unit.h"

#define NAME_MAX_BYTES 255

static char text[ESCAPE_SIZE(NAME_MAX_BYTES)];

static const char *shown(const char *name)
{
	escape_name(text, sizeof(text), name, strlen(name), escape_shows_text);
	return text;
}

static size_t encode(char out[5], uint32_t code)
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(first[n] | code);
	out[n] = '\0';
	return n;
}

/* Each assertion of Check is a system call: a million names are compared without. */
static bool comes_back(const char *name, size_t len, escape_shows_fn *shows)
{
	char back[NAME_MAX_BYTES + 1], again[sizeof(text)];
	size_t nr = 0, length = escape_name(text, sizeof(text), name, len, shows);

	if (length != strlen(text) || escape_read(back, sizeof(back), &nr, text) != 0 ||
	    nr != len || memcmp(back, name, len) != 0)
		return false;
	/* A second look changes nothing: a sentence may pass several doors. */
	escape_sentence(again, sizeof(again), text, length, shows);
	return strcmp(again, text) == 0;
}

static void assert_comes_back(const char *name, size_t len)
{
	if (!comes_back(name, len, escape_shows_text) || !comes_back(name, len, escape_shows_ascii))
		ck_abort_msg("a name of %zu bytes does not come back; it is shown as %s", len,
			     text);
}

static bool is_ascii(const char *p)
{
	while (*p >= 0x20 && *p < 0x7f)
		p++;
	return *p == '\0';
}

START_TEST(test_name_of_letters_is_itself)
{
	ck_assert_str_eq(shown("kv/cache-1_2.3:x@y=z"), "kv/cache-1_2.3:x@y=z");
	ck_assert_str_eq(shown("aé"), "aé");
	ck_assert_str_eq(shown("données"), "données");
	ck_assert_str_eq(shown("名前 imię Ωμέγα"), "名前 imię Ωμέγα");
	ck_assert_str_eq(shown("a b"), "a b");
}
END_TEST

START_TEST(test_name_that_does_something_is_escaped)
{
	ck_assert_str_eq(shown("\x1b[31m"), "\\x1b[31m");
	ck_assert_str_eq(shown("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
	ck_assert_str_eq(shown("\xc2\x9b" "2J"), "\\xc2\\x9b2J");               /* CSI, C1 */
	ck_assert_str_eq(shown("\xe2\x80\xae" "gpj"), "\\xe2\\x80\\xaegpj");    /* right to left */
	ck_assert_str_eq(shown("a\xe2\x80\x8b"), "a\\xe2\\x80\\x8b");           /* no width */
	ck_assert_str_eq(shown("\xef\xbb\xbf"), "\\xef\\xbb\\xbf");
	ck_assert_str_eq(shown("e\xcc\x81"), "e\\xcc\\x81");                    /* looks like é */
	/* looks like a blank */
	ck_assert_str_eq(shown("a\xc2\xa0"), "a\\xc2\\xa0");
	ck_assert_str_eq(shown("\xff\xfe"), "\\xff\\xfe");
	ck_assert_str_eq(shown("\xc3"), "\\xc3");
	ck_assert_str_eq(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80");
	ck_assert_str_eq(shown("\xc0\x80"), "\\xc0\\x80");
	ck_assert_str_eq(shown("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}
END_TEST

START_TEST(test_name_that_is_ambiguous_is_escaped)
{
	ck_assert_str_eq(shown("\\"), "\\\\");
	ck_assert_str_eq(shown("\\x41"), "\\\\x41");
	ck_assert_str_eq(shown("-"), "\\x2d");
	ck_assert_str_eq(shown("--help"), "\\x2d-help");
	ck_assert_str_eq(shown("a-b"), "a-b");
	ck_assert_str_eq(shown(" a"), "\\x20a");
	ck_assert_str_eq(shown("a "), "a\\x20");
	ck_assert_str_eq(shown("a  b"), "a \\x20b");
	ck_assert_str_eq(shown(" "), "\\x20");
}
END_TEST

START_TEST(test_escape_that_is_none_is_refused)
{
	static const char *const bad[] = { "\\",    "a\\",   "\\y", "\\x", "\\x4",  "\\x4g",
					   "\\xg4", "\\x00", "\\0", "\\n", "\\X41", "\\\\\\" };
	char name[8];
	size_t len = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_int_eq(escape_read(name, sizeof(name), &len, bad[i]), -EINVAL);
	ck_assert_uint_eq(len, 77);
	ck_assert_int_eq(escape_read(name, sizeof(name), &len, "\\x4A\\x4a\\\\"), 0);
	ck_assert_str_eq(name, "JJ\\");
	ck_assert_int_eq(escape_read(name, sizeof(name), &len, ""), 0);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(test_name_too_long_is_refused)
{
	char name[4];
	size_t len;

	ck_assert_int_eq(escape_read(name, sizeof(name), &len, "abc"), 0);
	ck_assert_int_eq(escape_read(name, sizeof(name), &len, "abcd"), -ENAMETOOLONG);
	ck_assert_int_eq(escape_read(name, sizeof(name), &len, "\\x41\\x42\\x43"), 0);
	ck_assert_int_eq(escape_read(name, sizeof(name), &len, "\\x41\\x42\\x43\\x44"),
			 -ENAMETOOLONG);
}
END_TEST

START_TEST(test_text_that_does_not_fit_ends_before_an_escape)
{
	char small[8];

	ck_assert_uint_eq(escape_name(small, sizeof(small), "ab\x01\x02", 4, escape_shows_text), 6);
	ck_assert_str_eq(small, "ab\\x01");
	ck_assert_uint_eq(escape_name(small, 1, "ab", 2, escape_shows_text), 0);
	ck_assert_str_eq(small, "");
	escape_name(small, 4, "aé\x01z", 5, escape_shows_text);
	ck_assert_str_eq(small, "aé");
}
END_TEST

START_TEST(test_sentence_keeps_escapes_and_blanks)
{
	escape_sentence(text, sizeof(text), " no \\x1b:  \x1b", 12, escape_shows_text);
	ck_assert_str_eq(text, " no \\x1b:  \\x1b");
}
END_TEST

/*
 * The C library is asked as somebody else who knows. Its table is younger or older than ours: what
 * we show, it can print.
 */
START_TEST(test_every_character_comes_back_and_what_is_shown_has_a_width)
{
	bool has_locale = setlocale(LC_CTYPE, "C.UTF-8") != NULL;
	char name[8] = "a";
	uint32_t nr_shown = 0;

	for (uint32_t code = 1; code <= 0x10ffff; code++) {
		size_t len;

		if (code >= 0xd800 && code < 0xe000)
			continue;
		len = 1 + encode(name + 1, code);
		assert_comes_back(name, len);
		if (!is_ascii(text))
			ck_abort_msg("U+%04X is not ASCII as shown in ASCII", code);
		if (!escape_shows_text(code))
			continue;
		nr_shown++;
		if (has_locale && (!iswprint((wint_t)code) || wcwidth((wchar_t)code) <= 0))
			ck_abort_msg("U+%04X is shown and has no width", code);
	}
	ck_assert_uint_gt(nr_shown, 100000);
}
END_TEST

START_TEST(test_every_pair_of_bytes_comes_back)
{
	for (unsigned i = 0x100; i <= 0xffff; i++) {
		char name[2] = { (char)(i >> 8), (char)(i & 0xff) };

		if (name[1] == '\0')
			continue;
		assert_comes_back(name, 2);
	}
}
END_TEST

START_TEST(test_random_names_come_back)
{
	static const char alphabet[] =
		"\\\\xX  --azAF09\xc3\xa9\xe2\x80\xae\xf0\x9f\x98\x80\xff\x1b\x7f";
	char name[NAME_MAX_BYTES + 1];

	srandom(7);
	for (int i = 0; i < 20000; i++) {
		size_t len = 1 + (size_t)random() % NAME_MAX_BYTES;

		for (size_t k = 0; k < len; k++) {
			name[k] = random() % 2 ? alphabet[(size_t)random() % (sizeof(alphabet) - 1)]
					       : (char)(1 + random() % 255);
		}
		name[len] = '\0';
		assert_comes_back(name, len);
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_name_of_letters_is_itself);
	tcase_add_test(t, test_name_that_does_something_is_escaped);
	tcase_add_test(t, test_name_that_is_ambiguous_is_escaped);
	tcase_add_test(t, test_escape_that_is_none_is_refused);
	tcase_add_test(t, test_name_too_long_is_refused);
	tcase_add_test(t, test_text_that_does_not_fit_ends_before_an_escape);
	tcase_add_test(t, test_sentence_keeps_escapes_and_blanks);
	tcase_add_test(t, test_every_character_comes_back_and_what_is_shown_has_a_width);
	tcase_add_test(t, test_every_pair_of_bytes_comes_back);
	tcase_add_test(t, test_random_names_come_back);
}

UNIT("escape", { .add = add_tests, .timeout_s = 60 });
