/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder: the media that stands in: what a test above it proves is worth no more than it is. The
 * recorder against media.h's promises, cuts against the states that x86 allows, each by hand and in
 * random sweeps.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/recorder_fixture.h"

START_TEST(test_store_is_open_until_flushed_and_fenced)
{
	ck_assert_int_eq(media_store64(media, 128, 7), 0);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 128), 0);
	ck_assert_uint_eq(word_at_end(true, 128), 7);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_uint_eq(lines_at_end(), 1);           /* nothing was flushed before it */
	ck_assert_int_eq(media_flush(media, 128, 8), 0);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_uint_eq(lines_at_end(), 0);
	ck_assert_uint_eq(word_at_end(false, 128), 7);
}
END_TEST

START_TEST(test_flush_covers_whole_lines_and_no_more)
{
	char bytes[200];

	memset(bytes, 1, sizeof(bytes));
	ck_assert_int_eq(media_store(media, 60, bytes, 200), 0);        /* lines 0 to 256: five */
	ck_assert_uint_eq(lines_at_end(), 5);
	ck_assert_int_eq(media_persist(media, 63, 2), 0);
	ck_assert_uint_eq(lines_at_end(), 3);
	ck_assert_int_eq(media_persist(media, 0, 4096), 0);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

START_TEST(test_store_after_flush_stays_open)
{
	media_store64(media, 0, 1);
	media_flush(media, 0, 8);
	media_store64(media, 0, 2);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
	ck_assert_uint_eq(word_at_end(true, 0), 2);
}
END_TEST

START_TEST(test_fence_of_another_thread_does_not_count)
{
	media_store64(media, 0, 1);
	media_flush(media, 0, 8);
	recorder_be_thread(5);
	media_fence(media);
	recorder_be_thread(-1);
	ck_assert_uint_eq(lines_at_end(), 1);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

/*
 * The flush of a line that was made durable by somebody else in between must not take back what
 * came later.
 */
START_TEST(test_stale_flush_does_not_cover_a_line_opened_again)
{
	media_store64(media, 0, 1);
	recorder_be_thread(5);
	media_flush(media, 0, 8);
	recorder_be_thread(-1);
	media_persist(media, 0, 8);
	media_store64(media, 0, 2);
	recorder_be_thread(5);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
}
END_TEST

START_TEST(test_any_version_and_any_torn_word_is_a_state)
{
	uint64_t words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, got[8];
	struct cut_choice choice;
	struct image *image;
	struct cut *cut;

	media_store(media, 0, words, sizeof(words));
	media_store64(media, 8, 20);
	cut = cut_new(rec);
	while (cut_step(cut))
		;
	ck_assert_uint_eq(cut_line(cut, 0).nr_versions, 3);
	ck_assert_uint_eq(cut_words(cut, 0, 1), 0xff);
	ck_assert_uint_eq(cut_words(cut, 0, 2), 0x02);
	for (unsigned mask = 0; mask < 256; mask++) {
		choice = (struct cut_choice){ 1, (uint8_t)mask };
		image = cut_image(cut, &choice);
		image_read(image, 0, 0, got, sizeof(got));
		for (unsigned w = 0; w < 8; w++)
			ck_assert_uint_eq(got[w], mask & 1U << w ? words[w] : 0);
		image_free(image);
	}
	choice = (struct cut_choice){ 2, 0xff };
	image = cut_image(cut, &choice);
	image_read(image, 0, 0, got, sizeof(got));
	ck_assert_uint_eq(got[1], 20);
	ck_assert_uint_eq(got[7], 8);
	image_free(image);
	cut_free(cut);
}
END_TEST

START_TEST(test_store_of_what_is_there_opens_nothing)
{
	media_store64(media, 0, 9);
	media_persist(media, 0, 8);
	media_store64(media, 0, 9);
	ck_assert_uint_eq(lines_at_end(), 0);
	media_zero(media, 4096, MiB);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

START_TEST(test_zero_needs_only_the_fence)
{
	media_store64(media, 0, 9);
	media_persist(media, 0, 8);
	media_store64(media, 640, 9);                   /* open, and zeroed while it is */
	media_zero(media, 0, MiB);
	ck_assert_uint_eq(lines_at_end(), 2);
	ck_assert_uint_eq(word_at_end(false, 0), 9);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 0);
	ck_assert_uint_eq(word_at_end(false, 0), 0);
	ck_assert_uint_eq(word_at_end(false, 640), 0);
}
END_TEST

START_TEST(test_zero_of_part_of_a_line_keeps_the_rest)
{
	uint64_t words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	media_store(media, 0, words, sizeof(words));
	media_persist(media, 0, 64);
	media_zero(media, 8, 16);
	media_fence(media);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
	ck_assert_uint_eq(word_at_end(false, 8), 0);
	ck_assert_uint_eq(word_at_end(false, 16), 0);
	ck_assert_uint_eq(word_at_end(false, 24), 4);
}
END_TEST

START_TEST(test_punch_may_be_cut_half_way_and_is_durable_after)
{
	struct cut *cut;

	media_store64(media, 0, 9);
	media_store64(media, 4096, 9);
	media_persist(media, 0, 8192);
	media_punch(media, 0, 8192);
	cut = cut_new(rec);
	while (cut_next(cut)->op != RECORDER_PUNCHED)
		cut_step(cut);
	ck_assert_uint_eq(cut_nr_lines(cut), 2);
	cut_step(cut);
	ck_assert_uint_eq(cut_nr_lines(cut), 0);
	cut_free(cut);
	ck_assert_uint_eq(word_at_end(false, 4096), 0);
}
END_TEST

static void random_step(unsigned n)
{
	uint64_t off = (uint64_t)random() % 16384, len = (uint64_t)random() % 300;
	unsigned char bytes[300];

	recorder_be_thread((int)(random() % 3));
	memset(bytes, (int)n, sizeof(bytes));
	switch (random() % 6) {
	case 0:
		media_zero(media, off, len * 8);
		break;
	case 1:
	case 2:
		media_store(media, off, bytes, len);
		break;
	case 3:
		media_flush(media, off, len * 10);
		break;
	case 4:
		media_punch(media, off, len);
		break;
	default:
		media_fence(media);
	}
}

/*
 * However it went: newest is what the processor sees, and flushing all of it leaves nothing open.
 */
START_TEST(test_random_histories_end_in_the_processors_view)
{
	struct image *newest;
	struct cut *cut;

	srandom((unsigned)_i);
	for (unsigned n = 0; n < 300; n++)
		random_step(n);
	recorder_be_thread(-1);
	cut = cut_new(rec);
	while (cut_step(cut)) {
		for (size_t i = 0; i < cut_nr_lines(cut); i++) {
			struct cut_line line = cut_line(cut, i);

			ck_assert_uint_ge(line.nr_versions, 2);
			for (uint32_t v = 1; v < line.nr_versions; v++)
				ck_assert_uint_ne(cut_words(cut, i, v), 0);
		}
	}
	newest = cut_newest(cut);
	ck_assert(image_equal(newest, recorder_image(rec)));
	image_free(newest);
	cut_free(cut);
	media_persist(media, 0, 8 * MiB);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

/*
 * The same rule told a second time and more simply: a line is certain as its latest flush found it
 * that has a fence.
 */
START_TEST(test_random_histories_are_certain_as_an_oracle_says)
{
	enum { LINES = 12, THREADS = 3 };
	struct {
		uint64_t value;
		unsigned when;
	} flushed[THREADS][LINES] = { 0 }, certain[LINES] = { 0 };
	uint64_t now[LINES] = { 0 };

	srandom((unsigned)_i);
	for (unsigned n = 1; n < 200; n++) {
		unsigned t = (unsigned)random() % THREADS, l = (unsigned)random() % LINES;

		recorder_be_thread((int)t);
		switch (random() % 5) {
		case 0:
			media_fence(media);
			for (l = 0; l < LINES; l++)
				if (flushed[t][l].when > certain[l].when)
					certain[l] = flushed[t][l];
			break;
		case 1:
		case 2:
			media_flush(media, l * CUT_LINE + 60, 1);
			flushed[t][l].value = now[l];
			flushed[t][l].when = n;
			break;
		default:
			media_store64(media, l * CUT_LINE, n);
			now[l] = n;
		}
	}
	recorder_be_thread(-1);
	for (unsigned l = 0; l < LINES; l++) {
		ck_assert_uint_eq(word_at_end(false, l * CUT_LINE), certain[l].value);
		ck_assert_uint_eq(word_at_end(true, l * CUT_LINE), now[l]);
	}
}
END_TEST

START_TEST(test_forgotten_flush_is_seen)
{
	recorder_forget(rec, RECORDER_FLUSH, 1);
	for (uint64_t off = 0; off < 3 * 64; off += 64) {
		media_store64(media, off, 1);
		media_persist(media, off, 8);
	}
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 64), 0);
	recorder_forget(rec, RECORDER_FENCE, RECORDER_ALL);
	media_store64(media, 640, 1);
	media_persist(media, 640, 8);
	media_persist(media, 640, 8);
	ck_assert_uint_eq(lines_at_end(), 2);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_store_is_open_until_flushed_and_fenced);
	tcase_add_test(t, test_flush_covers_whole_lines_and_no_more);
	tcase_add_test(t, test_store_after_flush_stays_open);
	tcase_add_test(t, test_fence_of_another_thread_does_not_count);
	tcase_add_test(t, test_stale_flush_does_not_cover_a_line_opened_again);
	tcase_add_test(t, test_any_version_and_any_torn_word_is_a_state);
	tcase_add_test(t, test_store_of_what_is_there_opens_nothing);
	tcase_add_test(t, test_zero_needs_only_the_fence);
	tcase_add_test(t, test_zero_of_part_of_a_line_keeps_the_rest);
	tcase_add_test(t, test_punch_may_be_cut_half_way_and_is_durable_after);
	tcase_add_loop_test(t, test_random_histories_end_in_the_processors_view, 0, 40);
	tcase_add_loop_test(t, test_random_histories_are_certain_as_an_oracle_says, 0, 100);
	tcase_add_test(t, test_forgotten_flush_is_seen);
}

UNIT("recorder", { .add = add_tests, .setup = setup, .teardown = teardown });
