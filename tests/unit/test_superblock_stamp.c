/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_stamp: the stamps of a superblock: what is read back, torn or left by an older
 * version.
 */
#include <config.h>

#include "tests/unit/superblock_fixture.h"

/* ---- stamps ---- */

static const struct stamp first_stamp = { .run = 100, .from = 5, .changes = 100, .settles = 7 };

START_TEST(test_superblock_stamp_is_read_back_and_leaves_the_page_whole)
{
	uint8_t before[SUPERBLOCK_SIZE], after[SUPERBLOCK_SIZE];
	struct superblock found;

	sb.stamp = first_stamp;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		sb.stamp.changes += i * 1000003u % 4099;
		sb.stamp.settles += i & 1;
		sb.seen += i & 3;
		ck_assert_int_eq(media_read(media, before, 0, sizeof(before)), 0);
		ck_assert_int_eq(superblock_stamp(&sb, media), 0);
		ck_assert_int_eq(media_read(media, after, 0, sizeof(after)), 0);
		/* Whoever does not know the words finds the same checksum, and it is right. */
		ck_assert_mem_eq(before + AT_CRC, after + AT_CRC, 4);
		ck_assert_int_eq(superblock_decode(&found, after, &why), SUPERBLOCK_GOOD);
		ck_assert_mem_eq(&found, &sb, sizeof(sb));
	}
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found.stamp, &sb.stamp, sizeof(sb.stamp));
}
END_TEST

START_TEST(test_superblock_stamp_in_one_copy_only_counts)
{
	struct superblock found, later;

	sb.stamp = first_stamp;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	later = sb;
	later.stamp.changes += 9;
	later.stamp.settles += 4;
	recorder_refuse(rec, RECORDER_STORE, 1, -EIO);
	ck_assert_int_eq(superblock_stamp(&later, media), 0);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found.stamp, &later.stamp, sizeof(later.stamp));
}
END_TEST

START_TEST(test_superblock_stamp_beyond_a_word_is_a_rewrite)
{
	struct superblock found;
	uint64_t seq;

	sb.stamp = first_stamp;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	seq = sb.seq;
	sb.stamp.changes += (1 << 24) - 1;
	ck_assert_int_eq(superblock_stamp(&sb, media), 0);
	ck_assert_uint_eq(sb.seq, seq);
	sb.stamp.changes++;
	ck_assert_int_eq(superblock_stamp(&sb, media), 0);
	ck_assert_uint_eq(sb.seq, seq + 1);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

/* The checksum says nothing of the words: that they are of this rewrite, they say themselves. */
START_TEST(test_superblock_stamp_torn_with_words_of_before_has_none)
{
	uint8_t before[SUPERBLOCK_SIZE], after[SUPERBLOCK_SIZE];
	struct superblock found;

	sb.stamp = first_stamp;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	sb.stamp.changes += 3;
	sb.stamp.settles += 3;
	ck_assert_int_eq(superblock_stamp(&sb, media), 0);
	ck_assert_int_eq(media_read(media, before, 0, sizeof(before)), 0);
	sb.stamp = (struct stamp){ .run = 200, .from = 103, .changes = 200, .settles = 11 };
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	ck_assert_int_eq(media_read(media, after, 0, sizeof(after)), 0);
	memcpy(after + AT_WORDS, before + AT_WORDS, 24);
	ck_assert_int_eq(superblock_decode(&found, after, &why), SUPERBLOCK_GOOD);
	ck_assert_mem_eq(&found.stamp, &sb.stamp, sizeof(sb.stamp));
}
END_TEST

/* An older version keeps the bit, drops what it does not know, and writes another seq. */
START_TEST(test_superblock_stamp_that_an_older_version_left_is_none)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	sb.stamp = first_stamp;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	superblock_encode(page, &sb);
	forge(page, AT_SEQ, sb.seq + 1, 8);
	ck_assert_int_eq(superblock_decode(&found, page, &why), SUPERBLOCK_GOOD);
	ck_assert_uint_eq(found.stamp.run, 0);
	ck_assert_uint_eq(found.compat, SUPERBLOCK_COMPAT_STAMPS);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_superblock_stamp_is_read_back_and_leaves_the_page_whole);
	tcase_add_test(t, test_superblock_stamp_in_one_copy_only_counts);
	tcase_add_test(t, test_superblock_stamp_beyond_a_word_is_a_rewrite);
	tcase_add_test(t, test_superblock_stamp_torn_with_words_of_before_has_none);
	tcase_add_test(t, test_superblock_stamp_that_an_older_version_left_is_none);
}

UNIT("superblock_stamp", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
