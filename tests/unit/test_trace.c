/* SPDX-License-Identifier: BSD-3-Clause */
/* trace: steps as text, and who is told of them. */
#include <config.h>

#include "daemon/trace.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const char *text_of(const struct trace_field *fields, size_t nr, size_t size)
{
	static char line[4096];

	memset(line, 'x', sizeof(line));
	trace_text(line, size, &(struct trace_step){ "arena.free", fields, nr });
	ck_assert_uint_lt(strlen(line), size);
	return line;
}

START_TEST(test_trace_fields_are_numbers_and_quoted_texts)
{
	const struct trace_field fields[] = {
		TRACE_NUMBER("id", UINT64_MAX),
		TRACE_NUMBER(NULL, 7),
		TRACE_STRING("why", "it is over"),
		TRACE_BYTES("name", "a\0b", 3),
	};

	ck_assert_str_eq(text_of(fields, 4, 1000),
			 "arena.free id=18446744073709551615 why=\"it is over\" name=\"a\\x00b\"");
}
END_TEST

START_TEST(test_trace_bytes_that_could_forge_are_escaped)
{
	const struct trace_field fields[] = { TRACE_STRING("name", "\" id=1\n\\\x7f\xc3\xa4") };

	ck_assert_str_eq(text_of(fields, 1, 1000),
			 "arena.free name=\"\\x22 id=1\\x0a\\x5c\\x7f\\xc3\\xa4\"");
}
END_TEST

/* Whatever the room, a whole piece is there or is not. */
START_TEST(test_trace_text_that_does_not_fit_is_cut_with_dots)
{
	const struct trace_field fields[] = { TRACE_STRING("name", "\x01\x02") };
	const char *whole = "arena.free name=\"\\x01\\x02\"";

	for (size_t size = 20; size < 60; size++) {
		const char *line = text_of(fields, 1, size);
		size_t len = strlen(line);

		if (strcmp(line, whole) == 0)
			continue;
		ck_assert_uint_le(size, strlen(whole) + 3);
		ck_assert_str_eq(line + len - 3, "...");
		ck_assert_int_eq(strncmp(line, whole, len - 3), 0);
	}
	ck_assert_str_eq(text_of(fields, 1, strlen(whole) + 4), whole);
}
END_TEST

static unsigned nr_told;

static void count(void *arg, const struct trace_step *step)
{
	ck_assert_ptr_eq(arg, &nr_told);
	ck_assert_uint_eq(trace_find(step, "id")->number, 5);
	ck_assert_ptr_null(trace_find(step, "name"));
	nr_told++;
}

START_TEST(test_trace_is_on_while_somebody_wants_it)
{
	log_set_level(LOG_LEVEL_INFO);
	ck_assert(!trace_is_on());
	log_set_level(LOG_LEVEL_DEBUG);
	ck_assert(trace_is_on());
	trace_follow(count, &nr_told);
	log_set_level(LOG_LEVEL_ERROR);
	ck_assert(trace_is_on());
	trace_fields("arena.free", TRACE_NUMBER("id", 5));
	trace_fields("arena.free", TRACE_NUMBER("id", 5));
	ck_assert_uint_eq(nr_told, 2);
	trace_follow(NULL, NULL);
	ck_assert(!trace_is_on());
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_trace_fields_are_numbers_and_quoted_texts);
	tcase_add_test(t, test_trace_bytes_that_could_forge_are_escaped);
	tcase_add_test(t, test_trace_text_that_does_not_fit_is_cut_with_dots);
	tcase_add_test(t, test_trace_is_on_while_somebody_wants_it);
}

UNIT("trace", { .add = add_tests });
