/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_cut: every state that a cut rewrite of the superblocks leaves, and media that cannot
 * be written.
 */
#include <config.h>

#include "tests/unit/superblock_fixture.h"

#define WORDS_OF_STAMP 0x07     /* they are the first of their line */

/* ---- power cuts ---- */

/*
 * Each state before each fence: one line at a time, all but one, none and all; then @check. Of a
 * line those of its 8 words arrive that are in the mask @words.
 */
static void each_state(void (*check)(const struct image *image), uint8_t words)
{
	struct image *images[4096];
	struct cut *cut = cut_new(rec);
	size_t nr = 0;

	do {
		size_t nr_lines = cut_nr_lines(cut);
		struct cut_choice choices[128] = { { 0, 0 } };

		if (cut_next(cut) && cut_next(cut)->op != RECORDER_FENCE)
			continue;
		ck_assert_uint_le(nr_lines, 128);
		for (size_t state = 0; state < 2 * nr_lines + 2; state++) {
			for (size_t i = 0; i < nr_lines; i++) {
				bool it = i == state / 2, all = state >= 2 * nr_lines;

				choices[i].version = (it || all) == (state % 2 == 0)
							     ? cut_line(cut, i).nr_versions - 1
							     : 0;
				choices[i].words = words;
			}
			ck_assert_uint_lt(nr, 4096);
			images[nr++] = cut_image(cut, choices);
		}
	} while (cut_step(cut));
	cut_free(cut);
	ck_assert_uint_gt(nr, 0);
	while (nr > 0) {
		recorder_load(rec, images[--nr]);
		check(images[nr]);
		image_free(images[nr]);
	}
}

static void check_old_or_new(const struct image *image)
{
	struct superblock found;
	int mended;

	(void)image;
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert(found.seq == 42 || found.seq == 43);
	ck_assert_uint_eq(found.id_limit, found.seq == 42 ? 7 : 1000);
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 0);
}

START_TEST(test_superblock_rewrite_cut_leaves_old_or_new)
{
	struct image *before;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	before = image_copy(recorder_image(rec));
	recorder_load(rec, before);
	image_free(before);
	sb.id_limit = 1000;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	each_state(check_old_or_new, 0xff);
}
END_TEST

/*
 * One copy is lost too. The other one is torn, which is no superblock, or has the stamp of before or
 * the new one: with an earlier stamp the device would be taken for an older one.
 */
static void check_stamp_of_each_copy(const struct image *image)
{
	for (int copy = 0; copy < 2; copy++) {
		struct image *half = image_copy(image);
		struct superblock found;
		int r;

		image_zero(half, 0, copy ? sb.poison_unit : 0, SUPERBLOCK_SIZE);
		recorder_load(rec, half);
		image_free(half);
		r = read_again(&found, NULL);
		ck_assert_msg(r == 0 || r == -EUCLEAN, "%d: %s", r, why.text);
		if (r == 0)
			ck_assert_uint_ge(found.stamp.changes, sb.stamp.changes);
	}
}

START_TEST(test_superblock_rewrite_cut_keeps_the_stamp_in_each_copy)
{
	struct image *before;

	sb.stamp = sb.base = (struct stamp){ .run = 1000, .from = 999, .changes = 1000 };
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	sb.stamp.changes += 5;
	ck_assert_int_eq(superblock_stamp(&sb, media), 0);
	ck_assert_int_eq(media_fence(media), 0);
	before = image_copy(recorder_image(rec));
	recorder_load(rec, before);
	image_free(before);
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	each_state(check_stamp_of_each_copy, _i ? 0xff : WORDS_OF_STAMP);
}
END_TEST

static void check_blank_or_there(const struct image *image)
{
	struct superblock found;
	int r = read_again(&found, NULL);

	(void)image;
	ck_assert_msg(r == 0 || r == -ENODATA, "%d: %s", r, why.text);
	if (r == 0)
		ck_assert_mem_eq(&found, &sb, sizeof(sb));
}

START_TEST(test_superblock_first_write_cut_is_blank_not_damage)
{
	struct image *before = image_copy(recorder_image(rec));

	if (_i)
		image_scribble(before, 0, 0, 4 * MiB, 1);
	recorder_load(rec, before);
	image_free(before);
	ck_assert_int_eq(superblock_erase(media, 4096), 0);
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	each_state(check_blank_or_there, 0xff);
}
END_TEST

START_TEST(test_superblock_erase_cut_leaves_it_or_blank)
{
	struct image *before;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	before = image_copy(recorder_image(rec));
	recorder_load(rec, before);
	image_free(before);
	ck_assert_int_eq(superblock_erase(media, 4096), 0);
	each_state(check_blank_or_there, 0xff);
}
END_TEST

/*
 * The device was reconfigured since: the older arena's second copy is where the new one has data.
 */
START_TEST(test_superblock_erase_finds_copies_of_another_alignment)
{
	struct superblock found;

	close_media();
	open_media(4 * GiB, 4096);
	sb.poison_unit = GiB;
	sb.data_device_size = sb.meta_device_size = 4 * GiB;
	sb.data_off = 2 * GiB;
	sb.zero_off[0] = GiB + 4096;
	sb.table_off[0] = GiB + 8192;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_int_eq(superblock_erase(media, 4096), 0);
	ck_assert_int_eq(read_again(&found, NULL), -ENODATA);
}
END_TEST

/*
 * A daemon was killed between store and flush; the next one read it, so it must be there after a
 * cut.
 */
START_TEST(test_superblock_read_is_durable)
{
	struct superblock found;
	struct image *image;
	struct cut *cut;

	recorder_forget(rec, RECORDER_FLUSH, RECORDER_ALL);
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	recorder_forget(rec, RECORDER_FLUSH, UINT64_MAX);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	cut = cut_new(rec);
	while (cut_step(cut))
		;
	image = cut_image(cut, NULL);
	cut_free(cut);
	recorder_load(rec, image);
	image_free(image);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

/* Memory that cannot be written takes one copy, not the arena. */
START_TEST(test_superblock_one_copy_cannot_be_written)
{
	struct superblock found;
	uint64_t at = _i ? sb.poison_unit : 0;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	recorder_poison(rec, "dev", at, 4096);
	sb.id_limit = 1000;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	recorder_cure(rec);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

START_TEST(test_superblock_no_copy_can_be_written)
{
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	recorder_fail_from(rec, 0);
	ck_assert_int_eq(superblock_write(&sb, media), -EIO);
	ck_assert_uint_eq(sb.seq, 42);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_superblock_rewrite_cut_leaves_old_or_new);
	tcase_add_loop_test(t, test_superblock_rewrite_cut_keeps_the_stamp_in_each_copy, 0, 2);
	tcase_add_loop_test(t, test_superblock_first_write_cut_is_blank_not_damage, 0, 2);
	tcase_add_test(t, test_superblock_erase_cut_leaves_it_or_blank);
	tcase_add_test(t, test_superblock_erase_finds_copies_of_another_alignment);
	tcase_add_test(t, test_superblock_read_is_durable);
	tcase_add_loop_test(t, test_superblock_one_copy_cannot_be_written, 0, 2);
	tcase_add_test(t, test_superblock_no_copy_can_be_written);
}

UNIT("superblock_cut", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
