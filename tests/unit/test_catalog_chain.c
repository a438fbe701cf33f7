/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: chains of buckets. All names are found while the file grows, and what a full chain does
 * not take is unknown and not absent.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/catalog_stage.h"
#include "tests/unit/unit.h"

static uint64_t longest_chain(void)
{
	const uint32_t *heads = (const void *)((const char *)map + le64toh(header()->heads_off));
	const struct catalog_entry *entries =
		(const void *)((const char *)map + le64toh(header()->entries_off));
	uint64_t longest = 0;

	for (uint64_t i = 0; i < le64toh(header()->nr_buckets); i++) {
		uint64_t len = 0;

		for (uint32_t at = le32toh(heads[i]); at; at = le32toh(entries[at - 1].next))
			len++;
		longest = len > longest ? len : longest;
	}
	return longest;
}

START_TEST(test_catalog_hundred_thousand_names_are_found_while_it_grows)
{
	for (uint32_t i = 0; i < 100000; i += 10000) {
		put_numbers(i, i + 10000);
		ck_assert_uint_eq(count_numbers(0, i + 10000, FOUND), i + 10000);
		ck_assert_uint_eq(count_numbers(i + 10000, i + 11000, ABSENT), 1000);
	}
	/* One bucket a name: chains stay short. */
	ck_assert_uint_eq(le64toh(header()->nr_buckets), 100000);
	ck_assert_uint_lt(longest_chain(), 16);
	for (uint32_t i = 0; i < 100000; i += 2)
		catalog_drop(catalog, i);
	ck_assert_uint_eq(count_numbers(0, 100000, FOUND), 50000);
	ck_assert_uint_eq(count_numbers(0, 100000, ABSENT), 50000);
	put_numbers(0, 150000);
	ck_assert_uint_eq(count_numbers(0, 150000, FOUND), 150000);
}
END_TEST

#define NR_ALIKE (CATALOG_CHAIN + 6)

/* Names that are all in one bucket, as somebody could choose them who can read the seed. */
static void find_alike(char names[NR_ALIKE][16])
{
	uint64_t mask = le64toh(header()->nr_buckets) - 1;
	uint32_t nr = 0;

	for (uint32_t i = 0; nr < NR_ALIKE; i++) {
		int len = snprintf(names[nr], 16, "alike %u", i);

		nr += (tag_of_name(map, names[nr], (uint8_t)len) & mask) == 77;
	}
}

START_TEST(test_catalog_full_chain_makes_the_rest_unknown_and_not_absent)
{
	static char names[NR_ALIKE][16];
	enum answer wanted;

	find_alike(names);
	for (uint32_t i = 0; i < NR_ALIKE; i++) {
		struct catalog_item item = named(i, names[i], strlen(names[i]));

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	ck_assert_uint_eq(longest_chain(), CATALOG_CHAIN);
	for (uint32_t i = 0; i < NR_ALIKE; i++) {
		struct seen seen;

		wanted = i < CATALOG_CHAIN ? FOUND : UNKNOWN;
		ck_assert_int_eq(answer_to(names[i], (uint8_t)strlen(names[i])), wanted);
		ck_assert_int_eq(read_slot(&seen, map, i, i + 1), FOUND);
	}
	/* Who has room now is not told, but what is put anew is found. */
	catalog_drop(catalog, 3);
	ck_assert_int_eq(answer_to(names[NR_ALIKE - 1], (uint8_t)strlen(names[0])), UNKNOWN);
	ck_assert_int_eq(answer_to("another", 7), UNKNOWN);
	for (uint32_t i = CATALOG_CHAIN; i < NR_ALIKE; i++)
		catalog_drop(catalog, i);
	ck_assert_int_eq(answer_to(names[3], (uint8_t)strlen(names[3])), ABSENT);
	ck_assert_int_eq(answer_to("another", 7), ABSENT);
	ck_assert_uint_eq(catalog_nr_named(catalog), CATALOG_CHAIN - 1);
	/* When there are more buckets, they part. */
	for (uint32_t i = 0; i < 30; i++)
		catalog_drop(catalog, i);
	put_numbers(1000, 9000);
	ck_assert_uint_lt(longest_chain(), 24);
	for (uint32_t i = 0; i < CATALOG_CHAIN; i++)
		ck_assert_int_eq(answer_to(names[i], (uint8_t)strlen(names[i])),
				 i < 30 ? ABSENT : FOUND);
}
END_TEST

#define NR_TAGS 400000u

static int compare_tags(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Two names with one tag: some of 400,000 have. */
static void find_twins(char one[16], char other[16])
{
	static uint64_t tags[NR_TAGS];

	for (uint32_t i = 0; i < NR_TAGS; i++) {
		int len = snprintf(one, 16, "twin %u", i);

		tags[i] = (uint64_t)tag_of_name(map, one, (uint8_t)len) << 32 | i;
	}
	qsort(tags, NR_TAGS, sizeof(*tags), compare_tags);
	for (uint32_t i = 1; i < NR_TAGS; i++)
		if (tags[i] >> 32 == tags[i - 1] >> 32) {
			snprintf(one, 16, "twin %u", (uint32_t)tags[i - 1]);
			snprintf(other, 16, "twin %u", (uint32_t)tags[i]);
			return;
		}
	ck_abort_msg("no two names have one tag");
}

START_TEST(test_catalog_names_with_one_tag_are_told_apart)
{
	char one[16], other[16];
	struct catalog_item a, b;

	find_twins(one, other);
	a = named(1, one, strlen(one));
	b = named(2, other, strlen(other));
	ck_assert_int_eq(catalog_put(catalog, &a), 0);
	ck_assert_int_eq(answer_to(other, b.name_len), ABSENT);
	ck_assert_int_eq(catalog_put(catalog, &b), 0);
	expect_found(&a);
	expect_found(&b);
	put_numbers(1000, 9000);
	expect_found(&a);
	expect_found(&b);
	catalog_drop(catalog, 1);
	expect_gone(&a);
	expect_found(&b);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_hundred_thousand_names_are_found_while_it_grows);
	tcase_add_test(t, test_catalog_full_chain_makes_the_rest_unknown_and_not_absent);
	tcase_add_test(t, test_catalog_names_with_one_tag_are_told_apart);
}

UNIT("catalog_chain",
     { .add = add_tests,
       .setup = catalog_stage_begin,
       .teardown = catalog_stage_end,
       .timeout_s = 60 });
