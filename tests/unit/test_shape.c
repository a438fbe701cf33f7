/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape: JSON as text, there and back; and when an allocation fails, the n-th for each n: the text
 * is whole or there is none, and nothing is read that was not written.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/shape.h"
#include "tests/unit/unit.h"

/* ---- allocations that fail: in this process the allocator is this one, for json-c too ---- */

static long until_failure = -1; /* -1: none fails */

/* A sanitizer has an allocator of its own: there nothing fails, and the sweeps end at once. */
#ifdef __SANITIZE_ADDRESS__
#define LEAST_SWEPT 0
#else
#define LEAST_SWEPT 30
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *p, size_t size);

/* As the shared libraries see it, which are to get it too. */
#define INSTEAD __attribute__((visibility("default")))

static bool fails(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

INSTEAD void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

INSTEAD void *calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __libc_calloc(nr, size);
}

INSTEAD void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
#endif

/* Ends the failures; were there as many allocations as that? */
static bool has_failed(void)
{
	bool has = until_failure < 0;

	until_failure = -1;
	return has;
}

/* ---- writing ---- */

/* An object has room for 16 keys before it grows. */
static struct json_object *build(void)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
					    "l", "m" };
	struct json_object *shape = shape_object(), *list = shape_array(), *inner = shape_object();

	shape_put_u64(shape, "u64", UINT64_MAX);
	shape_put_i64(shape, "i64", INT64_MIN);
	shape_put_double(shape, "double", 0.5);
	shape_put_double(shape, "whole", 2);
	shape_put_bool(shape, "bool", true);
	shape_put_string(shape, "string", "a\"b\\c\n\x01\xc3\xa9/");
	shape_put_string(shape, "none", NULL);
	shape_put_bytes(shape, "bytes", "abc", 2);
	shape_put_u64_if(shape, "unknown", false, 1);
	shape_append_u64(list, 1);
	shape_append_string(list, "two");
	shape_put(shape, "list", list);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		shape_put_u64(inner, keys[i], i);
	shape_put(shape, "inner", inner);
	shape_put(shape, "empty", shape_object());
	return shape;
}

static const char built[] =
	"{\"u64\":18446744073709551615,\"i64\":-9223372036854775808,\"double\":0.5,\"whole\":2.0,"
	"\"bool\":true,\"string\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9/\",\"none\":null,\"bytes\":\"ab\","
	"\"unknown\":null,\"list\":[1,\"two\"],\"inner\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"e\":4,"
	"\"f\":5,\"g\":6,\"h\":7,\"i\":8,\"j\":9,\"k\":10,\"l\":11,\"m\":12},\"empty\":{}}\n";

START_TEST(test_text_has_all_that_was_put)
{
	char *text = shape_text(build());

	ck_assert_str_eq(text, built);
	free(text);
}
END_TEST

START_TEST(test_text_with_each_allocation_failing_is_whole_or_none)
{
	bool goes_on = true;
	long n;

	for (n = 0; goes_on; n++) {
		char *text;

		until_failure = n;
		text = shape_text(build());
		goes_on = has_failed();
		ck_assert(!goes_on || !text);
		ck_assert(goes_on || strcmp(text, built) == 0);
		free(text);
	}
	ck_assert_int_gt(n, LEAST_SWEPT);
}
END_TEST

/* ---- reading ---- */

START_TEST(test_what_was_written_is_read_the_same)
{
	struct json_object *shape;
	const char *why;
	char *text;

	ck_assert_int_eq(shape_parse(&shape, built, strlen(built), &why), 0);
	text = shape_text(shape);
	ck_assert_str_eq(text, built);
	free(text);
}
END_TEST

static const char *const good[][2] = {
	{ " { } ", "{}\n" },
	{ "[1,-2,0.50,1e3]", "[1,-2,0.50,1e3]\n" },
	{ "18446744073709551616", "18446744073709551615\n" },
	{ "null", "null\n" },
	{ "\"\\u00e9\\ud83d\\ude00\\/\\b\"", "\"\xc3\xa9\xf0\x9f\x98\x80/\\b\"\n" },
	{ "{\"a\":1,\"a\":2}", "{\"a\":2}\n" },
};

START_TEST(test_good_text_is_read)
{
	struct json_object *shape;
	const char *why;
	char *text;

	ck_assert_int_eq(shape_parse(&shape, good[_i][0], strlen(good[_i][0]), &why), 0);
	text = shape_text(shape ? shape : NULL);
	/* A null has no shape. */
	ck_assert(shape ? strcmp(text, good[_i][1]) == 0 : !text);
	free(text);
}
END_TEST

static const char *const bad[] = {
	"",        " ",         "{",          "[1",       "[1,]",      "{\"a\"}",   "{\"a\":}",
	"{a:1}",   "{'a':1}",   "{\"a\":1,}", "01",       "-",         "1.",        ".5",
	"1e",      "+1",        "tru",        "nul",      "NaN",       "\"a",       "\"\\x\"",
	"\"\n\"",  "\"\\u12\"", "\"\\ud800\"", "1 2",     "[1 2]",     "{} x",      "\"\xff\"",
	"\xc3",    "[}",        "{\"\\u0000\":1}",
	"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
	"\"\\udc00\"", "\"\\ud800\\u0041\"",
};

START_TEST(test_bad_text_is_refused_with_a_reason)
{
	struct json_object *shape;
	const char *why = NULL;

	ck_assert_int_eq(shape_parse(&shape, bad[_i], strlen(bad[_i]), &why), -EBADMSG);
	ck_assert_ptr_null(shape);
	ck_assert(why && why[0]);
}
END_TEST

START_TEST(test_reading_with_each_allocation_failing_is_whole_or_none)
{
	bool goes_on = true;
	long n;

	for (n = 0; goes_on; n++) {
		struct json_object *shape;
		const char *why;
		char *text;
		int r;

		until_failure = n;
		r = shape_parse(&shape, built, strlen(built), &why);
		goes_on = has_failed();
		ck_assert_int_eq(r, goes_on ? -ENOMEM : 0);
		if (r < 0)
			continue;
		text = shape_text(shape);
		ck_assert_str_eq(text, built);
		free(text);
	}
	ck_assert_int_gt(n, LEAST_SWEPT);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_text_has_all_that_was_put);
	tcase_add_test(t, test_what_was_written_is_read_the_same);
	tcase_add_loop_test(t, test_good_text_is_read, 0, sizeof(good) / sizeof(*good));
	tcase_add_loop_test(t, test_bad_text_is_refused_with_a_reason, 0,
			    sizeof(bad) / sizeof(*bad));
	tcase_add_test(t, test_text_with_each_allocation_failing_is_whole_or_none);
	tcase_add_test(t, test_reading_with_each_allocation_failing_is_whole_or_none);
}

UNIT("shape", { .add = add_tests });
