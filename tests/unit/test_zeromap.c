/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The zero map over a recording media: its bits, what is believed of two copies, and what a power
 * cut leaves.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/zeromap.h"
#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB      (UINT64_C(1) << 20)
#define NR_PAGES UINT64_C(1000)         /* the last word is not full */

static struct recorder *rec;
static struct device *device;
static struct media *media;
static struct zeromap *map;
static struct superblock sb;

static void setup(void)
{
	rec = recorder_new();
	fake_device_add(DEVICE_FILE, "dev", 8 * MiB, 0);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = "dev" }, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, 8 * MiB, NULL), 0);
	sb = (struct superblock){ .nr_pages = NR_PAGES, .zero_off = { 4096, 4 * MiB } };
	image_scribble(recorder_image(rec), 0, 0, 8 * MiB, 3);
}

static void teardown(void)
{
	zeromap_free(map);
	map = NULL;
	media_close(media);
	device_close(device);
	recorder_free(rec);
	fake_device_reset();
}

static void reopen(void)
{
	zeromap_free(map);
	ck_assert_int_eq(zeromap_open(&map, media, &sb), 0);
}

static void format(bool zero)
{
	ck_assert_int_eq(zeromap_init(media, &sb, zero), 0);
	reopen();
}

/* The power fails with only what is certain on the device. */
static void cut_power(void)
{
	struct cut *cut = cut_new(rec);
	struct image *image;

	while (cut_step(cut))
		;
	image = cut_image(cut, NULL);
	cut_free(cut);
	recorder_load(rec, image);
	image_free(image);
}

START_TEST(test_zeromap_new_is_all_or_nothing)
{
	format(_i);
	ck_assert_uint_eq(zeromap_count(map), _i ? NR_PAGES : 0);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		ck_assert(zeromap_get(map, page) == (bool)_i);
	cut_power();
	reopen();
	ck_assert_uint_eq(zeromap_count(map), _i ? NR_PAGES : 0);
	ck_assert_int_eq(zeromap_verify(map, false), 0);
}
END_TEST

/* Against an array of bools, over ranges of all kinds. */
START_TEST(test_zeromap_set_and_clear_any_range)
{
	static bool want[NR_PAGES];
	uint64_t seed = 7, count = 0;

	format(false);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t page, nr;
		bool zero = i % 2;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		page = (seed >> 33) % NR_PAGES;
		nr = (seed >> 20) % 4 ? (seed >> 24) % 8 : (seed >> 24) % NR_PAGES;
		nr = nr < NR_PAGES - page ? nr : NR_PAGES - page;
		ck_assert_int_eq(zero ? zeromap_set(map, page, nr) : zeromap_clear(map, page, nr),
				 0);
		for (uint64_t p = page; p < page + nr; p++)
			want[p] = zero;
	}
	for (unsigned round = 0; round < 2; round++) {
		count = 0;
		for (uint64_t page = 0; page < NR_PAGES; page++) {
			ck_assert(zeromap_get(map, page) == want[page]);
			count += want[page];
		}
		ck_assert_uint_eq(zeromap_count(map), count);
		reopen();
	}
}
END_TEST

START_TEST(test_zeromap_run_is_as_long_as_bits_are_alike)
{
	bool zero;

	format(false);
	zeromap_set(map, 60, 200);
	ck_assert_uint_eq(zeromap_run(&zero, map, 0, NR_PAGES), 60);
	ck_assert(!zero);
	ck_assert_uint_eq(zeromap_run(&zero, map, 60, NR_PAGES - 60), 200);
	ck_assert(zero);
	ck_assert_uint_eq(zeromap_run(&zero, map, 100, 10), 10);
	ck_assert_uint_eq(zeromap_run(&zero, map, 260, NR_PAGES - 260), NR_PAGES - 260);
	ck_assert_uint_eq(zeromap_run(&zero, map, NR_PAGES - 1, 1), 1);
}
END_TEST

START_TEST(test_zeromap_bit_of_one_copy_is_not_believed)
{
	uint64_t word = 0;

	format(true);
	ck_assert_int_eq(media_store(media, sb.zero_off[_i] + 8, &word, sizeof(word)), 0);
	reopen();
	ck_assert_uint_eq(zeromap_count(map), NR_PAGES - 64);
	ck_assert(!zeromap_get(map, 64) && zeromap_get(map, 63) && zeromap_get(map, 128));
	ck_assert_int_eq(zeromap_verify(map, false), 1);
	ck_assert_int_eq(zeromap_verify(map, true), 1);
	ck_assert_int_eq(zeromap_verify(map, true), 0);
	/* It was taken back from the other. */
	ck_assert_int_eq(media_read(media, &word, sb.zero_off[!_i] + 8, sizeof(word)), 0);
	ck_assert_uint_eq(word, 0);
}
END_TEST

START_TEST(test_zeromap_unreadable_part_is_not_believed)
{
	format(true);
	recorder_poison(rec, "dev", sb.zero_off[_i] + 16, 16);
	reopen();
	ck_assert_uint_eq(zeromap_count(map), NR_PAGES - 128);
	ck_assert(zeromap_get(map, 127) && !zeromap_get(map, 128) && !zeromap_get(map, 255) &&
		  zeromap_get(map, 256));
	ck_assert_int_eq(zeromap_verify(map, false), 2);
	/* Nor can it be mended; that is no reason not to start. */
	ck_assert_int_eq(zeromap_verify(map, true), 2);
}
END_TEST

START_TEST(test_zeromap_bits_of_no_page_do_not_count)
{
	uint64_t ones = UINT64_MAX;

	format(false);
	for (int copy = 0; copy < 2; copy++)
		ck_assert_int_eq(media_store(media, sb.zero_off[copy] + NR_PAGES / 64 * 8, &ones,
					     sizeof(ones)),
				 0);
	reopen();
	ck_assert_uint_eq(zeromap_count(map), NR_PAGES % 64);
}
END_TEST

/* Clear and fence: from then on no cut brings the bit back. */
START_TEST(test_zeromap_cleared_and_fenced_stays_cleared)
{
	format(true);
	ck_assert_int_eq(zeromap_clear(map, 10, 100), 0);
	ck_assert_int_eq(media_fence(media), 0);
	cut_power();
	reopen();
	ck_assert_uint_eq(zeromap_count(map), NR_PAGES - 100);
}
END_TEST

/* Whatever of it arrived: a bit is set only if it was set before or has been set since. */
START_TEST(test_zeromap_cut_change_sets_no_other_bit)
{
	struct image *images[4096];
	struct cut *cut;
	size_t nr = 0;

	format(false);
	zeromap_set(map, 0, 100);
	media_fence(media);
	cut_power();
	zeromap_clear(map, 50, 50);
	zeromap_set(map, 500, 100);
	cut = cut_new(rec);
	do {
		size_t nr_lines = cut_nr_lines(cut);

		ck_assert_uint_le(nr_lines, 6);
		for (size_t subset = 0; subset < (size_t)1 << nr_lines; subset++) {
			struct cut_choice choices[6];

			for (size_t i = 0; i < nr_lines; i++)
				choices[i] = (struct cut_choice){
					(subset >> i & 1) * (cut_line(cut, i).nr_versions - 1), 0xff
				};
			ck_assert_uint_lt(nr, 4096);
			images[nr++] = cut_image(cut, choices);
		}
	} while (cut_step(cut));
	cut_free(cut);
	while (nr > 0) {
		recorder_load(rec, images[--nr]);
		image_free(images[nr]);
		reopen();
		for (uint64_t page = 0; page < NR_PAGES; page++) {
			bool kept = page < 50, may = page < 100 || (page >= 500 && page < 600);

			ck_assert_msg(zeromap_get(map, page) ? may : !kept, "page %llu",
				      (unsigned long long)page);
		}
	}
}
END_TEST

/* A daemon was killed before the flush; what the next one read is so also after a cut. */
START_TEST(test_zeromap_mended_is_durable)
{
	format(true);
	recorder_forget(rec, RECORDER_FLUSH, RECORDER_ALL);
	ck_assert_int_eq(zeromap_clear(map, 10, 10), 0);
	recorder_forget(rec, RECORDER_FLUSH, UINT64_MAX);
	reopen();
	ck_assert_int_eq(zeromap_verify(map, true), 0);
	cut_power();
	reopen();
	ck_assert_uint_eq(zeromap_count(map), NR_PAGES - 10);
}
END_TEST

START_TEST(test_zeromap_failing_store_is_reported)
{
	format(true);
	recorder_refuse(rec, RECORDER_STORE, (uint64_t)_i, -EIO);
	ck_assert_int_eq(zeromap_clear(map, 0, 1), -EIO);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_zeromap_new_is_all_or_nothing, 0, 2);
	tcase_add_test(t, test_zeromap_set_and_clear_any_range);
	tcase_add_test(t, test_zeromap_run_is_as_long_as_bits_are_alike);
	tcase_add_loop_test(t, test_zeromap_bit_of_one_copy_is_not_believed, 0, 2);
	tcase_add_loop_test(t, test_zeromap_unreadable_part_is_not_believed, 0, 2);
	tcase_add_test(t, test_zeromap_bits_of_no_page_do_not_count);
	tcase_add_test(t, test_zeromap_cleared_and_fenced_stays_cleared);
	tcase_add_test(t, test_zeromap_cut_change_sets_no_other_bit);
	tcase_add_test(t, test_zeromap_mended_is_durable);
	tcase_add_loop_test(t, test_zeromap_failing_store_is_reported, 0, 2);
}

UNIT("zeromap", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
