/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_cut: every state that a cut settle of the table leaves, and each operation of it failing.
 */
#include <config.h>

#include "tests/unit/table_fixture.h"

/* ---- power cuts ---- */

/* What was done before is certain. */
static void start_log(void)
{
	struct image *image = image_copy(recorder_image(rec));

	recorder_load(rec, image);
	image_free(image);
}

/*
 * Before each fence: every subset of up to 8 lines, else each line (of very many: some) alone, and
 * all but it.
 */
static void each_state(void (*check)(bool settled))
{
	static struct image *images[MAX_STATES];
	struct cut *cut = cut_new(rec);
	size_t nr = 0, nr_before;
	bool more;

	do {
		size_t nr_lines = cut_nr_lines(cut),
		       nr_states = nr_lines <= 8 ? (size_t)1 << nr_lines : 2 * nr_lines + 2;

		more = cut_next(cut);
		nr_before = nr;
		if (more && cut_next(cut)->op != RECORDER_FENCE)
			continue;
		for (size_t state = 0;
		     state<nr_states; state += nr_lines> 256 ? nr_lines / 64 * 2 - 1 : 1) {
			static struct cut_choice choices[8192];

			ck_assert_uint_lt(nr_lines, 8192);
			for (size_t i = 0; i < nr_lines; i++) {
				bool in = nr_lines <= 8 ? state >> i & 1
							: (state / 2 == i) == (state % 2 == 0);

				choices[i] = (struct cut_choice){
					in ? cut_line(cut, i).nr_versions - 1 : 0, 0xff
				};
			}
			ck_assert_uint_lt(nr, MAX_STATES);
			images[nr++] = cut_image(cut, choices);
		}
	} while (cut_step(cut) || more);
	cut_free(cut);
	for (size_t i = 0; i < nr; i++) {
		recorder_load(rec, images[i]);
		image_free(images[i]);
		check(i >= nr_before);
	}
}

static struct record before, after;

static void check_absent_or_whole(bool settled)
{
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_le(nr_found, 1);
	ck_assert(nr_found == 1 || !settled);
	if (nr_found)
		assert_same(&found[0], &after);
}

START_TEST(test_table_commit_cut_is_whole_or_absent)
{
	static const uint8_t name_lens[] = { 3, 100, 255 };
	uint32_t slots[4], first[4];

	before = make(1, 1, 0, 1);
	commit(first, &before);                 /* the chunk exists */
	ck_assert_int_eq(table_retire(table, first, 1), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	after = make(2, 1, name_lens[_i], 1);
	commit(slots, &after);
	each_state(check_absent_or_whole);
}
END_TEST

static void check_present_or_gone(bool settled)
{
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_le(nr_found, settled ? 0 : 1);
	if (nr_found)
		assert_same(&found[0], &after);
}

START_TEST(test_table_retirement_cut_is_whole_or_absent)
{
	static const uint8_t name_lens[] = { 3, 100, 255 };
	uint32_t slots[4], nr;

	after = make(2, 1, name_lens[_i], 1);
	nr = stage(slots, &after);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	ck_assert_int_eq(table_retire(table, slots, nr), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	each_state(check_present_or_gone);
}
END_TEST

static void check_old_or_new(bool settled)
{
	bool whole_new = false, whole_old = false;

	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	for (unsigned i = 0; i < nr_found; i++) {
		assert_same(&found[i], found[i].record.version == 1 ? &before : &after);
		whole_new |= found[i].record.version == 2;
		whole_old |= found[i].record.version == 1;
	}
	ck_assert(whole_new || whole_old);
	ck_assert(!settled || (whole_new && !whole_old && !nr_halves));
}

START_TEST(test_table_new_version_cut_is_old_or_new)
{
	uint32_t old[4], new[4], nr;

	before = make(2, 1, _i & 1 ? 200 : 3, 1);
	nr = stage(old, &before);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	after = make(2, 2, _i & 2 ? 255 : 7, 1);
	stage(new, &after);
	ck_assert_int_eq(table_retire(table, old, nr), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	each_state(check_old_or_new);
}
END_TEST

/* The bundle among what was found; NULL: it is not there, or not whole. */
static struct found *find_bundle(void)
{
	for (unsigned i = 0; i < nr_found; i++)
		if (found[i].record.kind == RECORD_BUNDLE)
			return &found[i];
	return NULL;
}

/* Which of the records with ids 1 to 4 are there, as bits. */
static unsigned ids_found(void)
{
	unsigned ids = 0;

	for (unsigned i = 0; i < nr_found; i++)
		if (found[i].record.kind == RECORD_ALLOC)
			ids |= 1u << found[i].record.id;
	return ids;
}

/* As a start does: a bundle that is whole is finished, once more or for the first time. */
static void check_all_or_none(bool settled)
{
	struct found *bundle;
	unsigned ids;

	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	bundle = find_bundle();
	if (bundle) {
		struct record record = bundle->record;
		struct extent runs[16];

		ck_assert_uint_le(record.nr_extents, 16);
		memcpy(runs, bundle->extents, record.nr_extents * sizeof(*runs));
		record.extents = runs;
		/* Who only looks reads the same. */
		ck_assert_int_eq(table_redo(table, &record, false), 0);
		scan(false);
		ids = ids_found();
		ck_assert_uint_eq(ids, 1u << 3 | 1u << 4);
		ck_assert_int_eq(table_redo(table, &record, true), 0);
		rescan();
		ck_assert_uint_eq(ids_found(), ids);
	}
	ids = ids_found();
	ck_assert(ids == (1u << 3 | 1u << 4) || (!settled && ids == (1u << 1 | 1u << 2)));
	ck_assert(!settled || !find_bundle());
}

START_TEST(test_table_bundle_cut_is_all_or_none)
{
	struct record record;
	uint32_t old[2], new[4];

	for (unsigned i = 0; i < 2; i++) {
		record = make(i + 1, 1, 3, 1);
		commit(&old[i], &record);
	}
	start_log();
	record = make(3, 1, 3, 1);
	stage(new, &record);
	record = make(4, 1, _i ? 200 : 3, 1);
	stage(new, &record);
	ck_assert_int_eq(table_retire(table, old, 2), 0);
	ck_assert_int_eq(table_bundle(table, 9), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	ck_assert_uint_eq(table_nr_used(table), _i ? 4 : 2);
	each_state(check_all_or_none);
}
END_TEST

/* What was staged and taken back leaves nothing: its slots are used by others. */
START_TEST(test_table_unstaged_is_as_before)
{
	uint32_t slots[4], again[4], old[1];
	struct record record = make(1, 1, 3, 1), more = make(3, 1, 200, 1);

	commit(old, &record);
	stage(slots, &more);
	ck_assert_int_eq(table_retire(table, old, 1), 0);
	ck_assert_int_eq(table_bundle(table, 9), 0);
	table_unstage(table);
	ck_assert(!table_is_staged(table));
	ck_assert_uint_eq(table_nr_used(table), 1);
	stage(again, &more);
	ck_assert_mem_eq(slots, again, 3 * sizeof(*slots));
	table_unstage(table);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &record);
}
END_TEST

/* The chunk's first use: nothing of what lay there before may be taken for a record. */
static void check_grown(bool settled)
{
	struct superblock again;
	int r = superblock_read(&again, NULL, media, 4096, false, NULL);

	ck_assert_int_eq(r, 0);
	sb = again;
	check_absent_or_whole(settled);
}

START_TEST(test_table_growth_cut_finds_no_ghost)
{
	uint32_t slots[4];

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	start_log();
	after = make(2, 1, 3, 1);
	commit(slots, &after);
	each_state(check_grown);
}
END_TEST

/* A mend that is cut leaves what can be mended. */
START_TEST(test_table_mend_cut_can_be_mended_again)
{
	uint32_t slots[4];

	after = make(2, 1, 200, 1);
	commit(slots, &after);
	for (unsigned i = 0; i < 3; i++)
		make_copy(i == 1, slots[i], _i == 0 ? BAD : _i == 1 ? FREE : ZERO);
	start_log();
	rescan();
	ck_assert_uint_eq(result.nr_mended, 3);
	ck_assert_uint_eq(nr_found, 1);
	each_state(check_absent_or_whole);
}
END_TEST

/*
 * A daemon was killed after the stores of a settle: what the next one reads is so also after a cut.
 */
START_TEST(test_table_what_a_scan_found_is_durable)
{
	uint32_t slots[1];

	after = make(2, 1, 3, 1);
	commit(slots, &after);
	start_log();
	recorder_forget(rec, RECORDER_FLUSH, RECORDER_ALL);
	ck_assert_int_eq(table_retire(table, slots, 1), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	recorder_forget(rec, RECORDER_FLUSH, UINT64_MAX);
	rescan();
	ck_assert_uint_eq(nr_found, 0);
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
	rescan();
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

/* ---- failures ---- */

START_TEST(test_table_failing_operation_is_reported)
{
	uint32_t slots[4];
	int r = -EIO;

	before = make(1, 1, 0, 1);
	commit(slots, &before);
	after = make(2, 1, 255, 1);
	for (uint64_t n = 0; r < 0; n++) {
		struct image *image = image_copy(recorder_image(rec));

		recorder_fail_from(rec, n);
		r = table_stage(table, &after, slots, 4);
		if (r == 0)
			r = table_settle(table, false);
		ck_assert(r == 0 || r == -EIO);
		recorder_load(rec, image);
		image_free(image);
		if (r < 0)
			rescan();
		ck_assert_uint_lt(n, 200);
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_table_commit_cut_is_whole_or_absent, 0, 3);
	tcase_add_loop_test(t, test_table_retirement_cut_is_whole_or_absent, 0, 3);
	tcase_add_loop_test(t, test_table_new_version_cut_is_old_or_new, 0, 4);
	tcase_add_loop_test(t, test_table_bundle_cut_is_all_or_none, 0, 2);
	tcase_add_test(t, test_table_unstaged_is_as_before);
	tcase_add_test(t, test_table_growth_cut_finds_no_ghost);
	tcase_add_loop_test(t, test_table_mend_cut_can_be_mended_again, 0, 3);
	tcase_add_test(t, test_table_what_a_scan_found_is_durable);
	tcase_add_test(t, test_table_failing_operation_is_reported);
}

UNIT("table_cut", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
