/* SPDX-License-Identifier: BSD-3-Clause */
/* Superblocks over a recording media: what is read back, what is refused, and every state that a cut rewrite leaves. */
#include <config.h>

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/media/crc.h"
#include "daemon/media/superblock.h"
#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"

#define MiB  (UINT64_C(1) << 20)
#define GiB  (UINT64_C(1) << 30)
#define SIZE (64 * MiB)

/* Where FORMAT.md says that they are. */
enum { AT_MAGIC = 0, AT_CRC = 8, AT_VERSION = 12, AT_INCOMPAT = 16, AT_COMPAT = 32, AT_UUID = 40, AT_ORDER = 132, AT_DATA_OFF = 152,
       AT_NR_PAGES = 160, AT_NR_SLOTS = 168, AT_PER_CHUNK = 176, AT_NR_CHUNKS = 180, AT_TABLE = 184, AT_ZERO = 200, AT_MEMMAP = 216,
       AT_UNIT = 232, AT_ID_LIMIT = 248, AT_UNUSED = 288 };

static struct recorder *rec;
static struct device *device;
static struct media *media;
static struct superblock sb;
static struct why why;

static void open_media(uint64_t size, uint64_t align)
{
	const char *path = size == SIZE ? "dev" : "large";

	fake_device_add(align > 4096 ? DEVICE_DAX : DEVICE_FILE, path, size, align);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = path }, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, size, NULL), 0);
}

static void setup(void)
{
	rec = recorder_new();
	open_media(SIZE, 4096);
	sb = (struct superblock){
		.role = SUPERBLOCK_WHOLE, .name = "test", .seq = 41, .data_device_size = SIZE, .meta_device_size = SIZE, .data_off = 8 * MiB,
		.nr_pages = 28, .order = 9, .nr_slots = 2048, .slots_per_chunk = 1024, .nr_chunks = 1, .poison_unit = 2 * MiB, .id_limit = 7,
		.zero_off = { 2 * MiB + 4096, 4096 }, .table_off = { 2 * MiB + 8192, 8192 }, .unsafe_shutdowns = -1, .formatted_ns = 5,
	};
	memset(sb.uuid, 0xa5, sizeof(sb.uuid));
	why.text[0] = '\0';
}

static void close_media(void)
{
	media_close(media);
	device_close(device);
	fake_device_reset();
}

static void teardown(void)
{
	close_media();
	recorder_free(rec);
}

static int read_again(struct superblock *found, int *mended)
{
	return superblock_read(found, mended, media, 4096, false, &why);
}

static void flip(uint64_t off)
{
	uint8_t byte;

	ck_assert_int_eq(media_read(media, &byte, off, 1), 0);
	byte ^= 0x10;
	ck_assert_int_eq(media_store(media, off, &byte, 1), 0);
}

/* A whole page with a right checksum, and @value in it. */
static void forge(uint8_t page[SUPERBLOCK_SIZE], unsigned at, uint64_t value, unsigned len)
{
	uint64_t le = htole64(value);
	uint32_t crc;

	memcpy(page + at, &le, len);
	crc = htole32(crc32c(0, page + AT_VERSION, SUPERBLOCK_SIZE - AT_VERSION));
	memcpy(page + AT_CRC, &crc, sizeof(crc));
}

START_TEST(test_superblock_written_and_read_is_the_same)
{
	struct superblock found;
	int mended;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	ck_assert_uint_eq(sb.seq, 42);
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

START_TEST(test_superblock_written_twice_has_the_second)
{
	struct superblock found;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	sb.clean = true;
	sb.id_limit = 1000;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

START_TEST(test_superblock_any_byte_changed_is_a_bad_copy)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	superblock_encode(page, &sb);
	for (unsigned i = 0; i < SUPERBLOCK_SIZE; i++) {
		page[i] ^= 1u << i % 8;
		ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_BAD);
		page[i] ^= 1u << i % 8;
	}
	ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_GOOD);
}
END_TEST

START_TEST(test_superblock_of_a_newer_format_is_refused_with_the_version)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	superblock_encode(page, &sb);
	forge(page, AT_VERSION, 2, 4);
	ck_assert_int_eq(superblock_decode(&found, page, &why), SUPERBLOCK_NEWER);
	ck_assert_ptr_nonnull(strstr(why.text, "version 2"));
	image_write(recorder_image(rec), 0, 0, page, sizeof(page));
	ck_assert_int_eq(read_again(&found, NULL), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(test_superblock_feature_bits_refuse_or_not)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	superblock_encode(page, &sb);
	forge(page, AT_INCOMPAT, UINT64_C(1) << 63, 8);
	ck_assert_int_eq(superblock_decode(&found, page, &why), SUPERBLOCK_NEWER);
	ck_assert_ptr_nonnull(strstr(why.text, "0x8000000000000000"));
	superblock_encode(page, &sb);
	forge(page, AT_COMPAT, 1, 8);
	ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_GOOD);
	ck_assert_uint_eq(found.compat, 1);
}
END_TEST

/* Each of these is a whole page of ours that says what no format writes. */
static const struct {
	unsigned at, len;
	uint64_t value;
} nonsense[] = {
	{ 128, 4, 0 }, { 128, 4, 4 },                                           /* role */
	{ AT_ORDER, 4, 1 }, { AT_ORDER, 4, 41 }, { AT_ORDER, 4, UINT32_MAX },
	{ AT_DATA_OFF, 8, 4096 }, { AT_DATA_OFF, 8, 0 }, { AT_DATA_OFF, 8, 2 * MiB }, { AT_DATA_OFF, 8, UINT64_MAX - 2 * MiB + 1 },
	{ AT_NR_PAGES, 8, 0 }, { AT_NR_PAGES, 8, 29 }, { AT_NR_PAGES, 8, UINT64_MAX }, { AT_NR_PAGES, 8, UINT64_C(1) << 43 },
	{ AT_NR_SLOTS, 8, 0 }, { AT_NR_SLOTS, 8, UINT64_MAX }, { AT_NR_SLOTS, 8, UINT32_MAX }, { AT_NR_SLOTS, 8, 1 << 20 },
	{ AT_PER_CHUNK, 4, 0 }, { AT_PER_CHUNK, 4, 512 }, { AT_NR_CHUNKS, 4, 3 }, { AT_NR_CHUNKS, 4, UINT32_MAX },
	{ AT_TABLE, 8, 0 }, { AT_TABLE, 8, 2 * MiB }, { AT_TABLE, 8, 8192 }, { AT_TABLE, 8, UINT64_MAX }, { AT_TABLE, 8, 8 * MiB },
	{ AT_TABLE, 8, 2 * MiB + 8200 }, { AT_TABLE + 8, 8, 2 * MiB - 4096 },
	{ AT_ZERO, 8, 0 }, { AT_ZERO, 8, 2 * MiB + 8192 }, { AT_ZERO + 8, 8, 2 * MiB + 4096 }, { AT_ZERO, 8, 4098 },
	{ AT_MEMMAP + 8, 8, 4096 },
	{ AT_UNIT, 8, 0 }, { AT_UNIT, 8, 3 * MiB }, { AT_UNIT, 8, 4096 }, { AT_UNIT, 8, UINT64_C(1) << 63 },
	{ AT_ID_LIMIT, 8, 0 }, { AT_ID_LIMIT, 8, UINT64_MAX }, { AT_ID_LIMIT, 8, UINT64_MAX - 65535 },
};

START_TEST(test_superblock_whole_but_nonsense_is_bad)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	superblock_encode(page, &sb);
	ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_GOOD);
	forge(page, nonsense[_i].at, nonsense[_i].value, nonsense[_i].len);
	ck_assert_msg(superblock_decode(&found, page, NULL) == SUPERBLOCK_BAD, "byte %u: %#llx is taken", nonsense[_i].at,
		      (unsigned long long)nonsense[_i].value);
}
END_TEST

START_TEST(test_superblock_one_bad_copy_is_mended)
{
	uint64_t at = _i ? sb.poison_unit : 0;
	struct superblock found;
	int mended;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	flip(at + 100);
	ck_assert_int_eq(superblock_read(&found, &mended, media, 4096, true, NULL), 0);
	ck_assert_int_eq(mended, 1);
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 1);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 0);
}
END_TEST

START_TEST(test_superblock_unreadable_copy_is_no_obstacle)
{
	struct superblock found;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	recorder_poison(rec, "dev", _i ? sb.poison_unit : 0, 4096);
	ck_assert_int_eq(superblock_read(&found, NULL, media, 4096, true, NULL), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
	/* Nor when it cannot be mended. */
	ck_assert_int_eq(read_again(&found, NULL), 0);
}
END_TEST

START_TEST(test_superblock_higher_seq_wins_in_either_place)
{
	struct superblock found, newer = sb;
	uint8_t page[SUPERBLOCK_SIZE];
	int mended;

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	newer.seq = 100;
	newer.id_limit = 99;
	superblock_encode(page, &newer);
	image_write(recorder_image(rec), 0, _i ? sb.poison_unit : 0, page, sizeof(page));
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 1);
	ck_assert_uint_eq(found.id_limit, 99);
	ck_assert_int_eq(read_again(&found, &mended), 0);
	ck_assert_int_eq(mended, 0);
}
END_TEST

START_TEST(test_superblock_blank_damaged_and_foreign_are_told_apart)
{
	struct superblock found;

	ck_assert_int_eq(read_again(&found, NULL), -ENODATA);
	image_scribble(recorder_image(rec), 0, 0, SIZE / 4, 1);
	ck_assert_int_eq(read_again(&found, NULL), -ENODATA);
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	flip(100);
	flip(sb.poison_unit + 100);
	ck_assert_int_eq(read_again(&found, NULL), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why.text, "both superblocks are damaged"));
}
END_TEST

/* The second copy is one alignment away; the first one, which says so, is lost. */
START_TEST(test_superblock_second_copy_is_found_without_the_first)
{
	struct superblock found;
	uint64_t unit = _i ? GiB : 16 * MiB;

	close_media();
	open_media(4 * GiB, unit);
	sb.poison_unit = unit;
	sb.data_device_size = sb.meta_device_size = 4 * GiB;
	sb.data_off = 2 * GiB;
	sb.zero_off[0] = unit + 4096;
	sb.table_off[0] = unit + 8192;
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	flip(0);
	ck_assert_int_eq(superblock_read(&found, NULL, media, unit, false, &why), 0);
	ck_assert_mem_eq(&found, &sb, sizeof(sb));
}
END_TEST

/* What a client stored at one of the places where a copy might be. */
START_TEST(test_superblock_forged_in_the_data_area_is_not_believed)
{
	struct superblock found, forged = sb;
	uint8_t page[SUPERBLOCK_SIZE];

	close_media();
	open_media(4 * GiB, 4096);
	ck_assert_int_eq(superblock_write(&sb, media), 0);
	forged.seq = 1000;
	forged.id_limit = 1;
	if (_i)
		forged.poison_unit = GiB;
	superblock_encode(page, &forged);
	ck_assert_int_eq(media_store(media, GiB, page, sizeof(page)), 0);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_uint_eq(found.seq, sb.seq);
	flip(100);
	ck_assert_int_eq(read_again(&found, NULL), 0);
	ck_assert_uint_eq(found.seq, sb.seq);
}
END_TEST

/* ---- power cuts ---- */

/* Each state before each fence: all subsets of the lines up to 64, then one line at a time; then @check. */
static void each_state(void (*check)(const struct image *image))
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

				choices[i].version = (it || all) == (state % 2 == 0) ? cut_line(cut, i).nr_versions - 1 : 0;
				choices[i].words = 0xff;
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
	each_state(check_old_or_new);
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
	each_state(check_blank_or_there);
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
	each_state(check_blank_or_there);
}
END_TEST

/* The device was reconfigured since: the older arena's second copy is where the new one has data. */
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

/* A daemon was killed between store and flush; the next one read it, so it must be there after a cut. */
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

int main(void)
{
	Suite *suite = suite_create("superblock");
	TCase *tc = tcase_create("superblock");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_superblock_written_and_read_is_the_same);
	tcase_add_test(tc, test_superblock_written_twice_has_the_second);
	tcase_add_test(tc, test_superblock_any_byte_changed_is_a_bad_copy);
	tcase_add_test(tc, test_superblock_of_a_newer_format_is_refused_with_the_version);
	tcase_add_test(tc, test_superblock_feature_bits_refuse_or_not);
	tcase_add_loop_test(tc, test_superblock_whole_but_nonsense_is_bad, 0, sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_loop_test(tc, test_superblock_one_bad_copy_is_mended, 0, 2);
	tcase_add_loop_test(tc, test_superblock_unreadable_copy_is_no_obstacle, 0, 2);
	tcase_add_loop_test(tc, test_superblock_higher_seq_wins_in_either_place, 0, 2);
	tcase_add_test(tc, test_superblock_blank_damaged_and_foreign_are_told_apart);
	tcase_add_loop_test(tc, test_superblock_second_copy_is_found_without_the_first, 0, 2);
	tcase_add_loop_test(tc, test_superblock_forged_in_the_data_area_is_not_believed, 0, 2);
	tcase_add_test(tc, test_superblock_rewrite_cut_leaves_old_or_new);
	tcase_add_loop_test(tc, test_superblock_first_write_cut_is_blank_not_damage, 0, 2);
	tcase_add_test(tc, test_superblock_erase_cut_leaves_it_or_blank);
	tcase_add_test(tc, test_superblock_erase_finds_copies_of_another_alignment);
	tcase_add_test(tc, test_superblock_read_is_durable);
	tcase_add_loop_test(tc, test_superblock_one_copy_cannot_be_written, 0, 2);
	tcase_add_test(tc, test_superblock_no_copy_can_be_written);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
