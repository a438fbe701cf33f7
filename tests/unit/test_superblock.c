/* SPDX-License-Identifier: BSD-3-Clause */
/* superblock: what is read back over a recording media, and what is refused. */
#include <config.h>

#include "tests/unit/superblock_fixture.h"

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
	{ 128, 4, 0 },
	{ 128, 4, 4 }, /* role */
	{ AT_ORDER, 4, 1 },
	{ AT_ORDER, 4, 41 },
	{ AT_ORDER, 4, UINT32_MAX },
	{ AT_DATA_OFF, 8, 4096 },
	{ AT_DATA_OFF, 8, 0 },
	{ AT_DATA_OFF, 8, 2 * MiB },
	{ AT_DATA_OFF, 8, UINT64_MAX - 2 * MiB + 1 },
	{ AT_NR_PAGES, 8, 0 },
	{ AT_NR_PAGES, 8, 29 },
	{ AT_NR_PAGES, 8, UINT64_MAX },
	{ AT_NR_PAGES, 8, UINT64_C(1) << 43 },
	{ AT_NR_SLOTS, 8, 0 },
	{ AT_NR_SLOTS, 8, UINT64_MAX },
	{ AT_NR_SLOTS, 8, UINT32_MAX },
	{ AT_NR_SLOTS, 8, 1 << 20 },
	{ AT_PER_CHUNK, 4, 0 },
	{ AT_PER_CHUNK, 4, 512 },
	{ AT_NR_CHUNKS, 4, 3 },
	{ AT_NR_CHUNKS, 4, UINT32_MAX },
	{ AT_TABLE, 8, 0 },
	{ AT_TABLE, 8, 2 * MiB },
	{ AT_TABLE, 8, 8192 },
	{ AT_TABLE, 8, UINT64_MAX },
	{ AT_TABLE, 8, 8 * MiB },
	{ AT_TABLE, 8, 2 * MiB + 8200 },
	{ AT_TABLE + 8, 8, 2 * MiB - 4096 },
	{ AT_ZERO, 8, 0 },
	{ AT_ZERO, 8, 2 * MiB + 8192 },
	{ AT_ZERO + 8, 8, 2 * MiB + 4096 },
	{ AT_ZERO, 8, 4098 },
	{ AT_MEMMAP + 8, 8, 4096 },
	{ AT_UNIT, 8, 0 },
	{ AT_UNIT, 8, 3 * MiB },
	{ AT_UNIT, 8, 4096 },
	{ AT_UNIT, 8, UINT64_C(1) << 63 },
	{ AT_ID_LIMIT, 8, 0 },
	{ AT_ID_LIMIT, 8, UINT64_MAX },
	{ AT_ID_LIMIT, 8, UINT64_MAX - 65535 },
};

START_TEST(test_superblock_whole_but_nonsense_is_bad)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	superblock_encode(page, &sb);
	ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_GOOD);
	forge(page, nonsense[_i].at, nonsense[_i].value, nonsense[_i].len);
	ck_assert_msg(superblock_decode(&found, page, NULL) == SUPERBLOCK_BAD,
		      "byte %u: %#llx is taken", nonsense[_i].at,
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

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_superblock_written_and_read_is_the_same);
	tcase_add_test(t, test_superblock_written_twice_has_the_second);
	tcase_add_test(t, test_superblock_any_byte_changed_is_a_bad_copy);
	tcase_add_test(t, test_superblock_of_a_newer_format_is_refused_with_the_version);
	tcase_add_test(t, test_superblock_feature_bits_refuse_or_not);
	tcase_add_loop_test(t, test_superblock_whole_but_nonsense_is_bad,
			    0, sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_loop_test(t, test_superblock_one_bad_copy_is_mended, 0, 2);
	tcase_add_loop_test(t, test_superblock_unreadable_copy_is_no_obstacle, 0, 2);
	tcase_add_loop_test(t, test_superblock_higher_seq_wins_in_either_place, 0, 2);
	tcase_add_test(t, test_superblock_blank_damaged_and_foreign_are_told_apart);
	tcase_add_loop_test(t, test_superblock_second_copy_is_found_without_the_first, 0, 2);
	tcase_add_loop_test(t, test_superblock_forged_in_the_data_area_is_not_believed, 0, 2);
}

UNIT("superblock", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
