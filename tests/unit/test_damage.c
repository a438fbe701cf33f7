/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * damage: records that a daemon finds damaged or forged, and superblocks that it must not take.
 */
#include <config.h>

#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_stats.h"
#include "tests/unit/recover_fixture.h"

/* ---- damage ---- */

START_TEST(test_recover_damaged_record_stops_new_allocations_until_repair)
{
	uint32_t slot;

	open_arena();
	slot = create("lost", 3 * MiB)->records[0];
	create("kept", 5 * MiB);
	boot();
	damage_slot(slot);
	open_arena();
	ck_assert_ptr_null(find("lost"));
	ck_assert_ptr_nonnull(find("kept"));
	rename_to("kept", "still");             /* what it has is served */
	assert_repairs();
	ck_assert_ptr_nonnull(find("still"));
}
END_TEST

START_TEST(test_recover_two_with_one_name_is_damage_and_nobody_is_lost)
{
	uint8_t body[TABLE_SLOT_SIZE];
	uint32_t slot;

	open_arena();
	slot = create("a", 3 * MiB)->records[0];
	create("b", 5 * MiB);
	boot();
	read_slot(body, slot);
	put(body, 64, 1, 'b');
	write_slot(body, slot);
	open_arena();
	ck_assert_ptr_nonnull(find("b"));
	assert_repairs();
	{
		struct arena_stats stats;

		arena_stats(arena, &stats);
		ck_assert_uint_eq(stats.nr_published, 3);
	}
}
END_TEST

/*
 * Right checksums, wrong contents: @at in the slot of an allocation of 3 pages, whose first pfn is
 * 0.
 */
static const struct {
	const char *what;
	unsigned at, len;
	uint64_t value;
} forgeries[] = {
	{ "index", 12, 2, 1 },
	{ "count 0", 14, 2, 0 },
	{ "count", 14, 2, 1025 },
	{ "id 0", 16, 8, 0 },
	{ "id", 16, 8, UINT64_C(1) << 40 },
	{ "id", 16, 8, UINT64_MAX },
	{ "mode", 40, 4, 0100600 },
	{ "object", 44, 4, 1024 },
	{ "object", 44, 4, UINT32_MAX },
	{ "object of another", 44, 4, 1 },
	{ "no extents", 56, 4, 0 },
	{ "extents", 56, 4, 2 },
	{ "extents", 56, 4, UINT32_MAX },
	{ "kind", 60, 1, 0 },
	{ "kind", 60, 1, 4 },
	{ "name length", 61, 1, 200 },
	{ "name with 0", 64, 2, 'x' << 8 },
	{ "pfn", 72, 8, 1 },
	{ "pfn", 72, 8, UINT64_MAX },
	{ "pfn", 72, 8, UINT64_MAX - 1023 },
	{ "pfn", 72, 8, 1 << 20 },
	{ "length 0", 80, 8, 0 },
	{ "length", 80, 8, UINT64_MAX },
	{ "length", 80, 8, 1025 },
	{ "length", 80, 8, UINT64_C(1) << 60 },
	{ "run across pages", 72, 8, 510 },
	{ "somebody else's", 72, 8, 2048 },
};

START_TEST(test_recover_forged_record_is_damage)
{
	uint8_t body[TABLE_SLOT_SIZE];
	struct alloc *alloc;
	uint32_t slot;

	open_arena();
	alloc = create("nn", 3 * MiB);
	slot = alloc->records[0];
	create("other", 20 * MiB);
	ck_assert_uint_eq(find("other")->extents[0].off, 1024);
	ck_assert_uint_eq(find("other")->slot, 1);
	boot();
	read_slot(body, slot);
	ck_assert_mem_eq(body + 64, "nn", 2);
	put(body, forgeries[_i].at, forgeries[_i].len, forgeries[_i].value);
	if (strncmp(forgeries[_i].what, "run", 3) == 0)
		put(body, 80, 8, 4);
	write_slot(body, slot);
	if (forgeries[_i].at == 14 && forgeries[_i].value == 0)
		boot();
	open_arena();
	ck_assert_msg(state() == ARENA_DAMAGED, "%s: %llu is taken", forgeries[_i].what,
		      (unsigned long long)forgeries[_i].value);
	assert_repairs();
	/* Who contradicts whom is not known: one of them is left. */
	ck_assert(find("other") || find("nn"));
}
END_TEST

/* ---- superblocks ---- */

START_TEST(test_recover_superblocks_of_two_arenas_are_refused)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct image *before;
	struct superblock sb;

	open_arena();
	create("a", 4 * KiB);
	boot();
	sb = superblock();
	sb.uuid[0] ^= 1;
	superblock_encode(page, &sb);
	image_write(recorder_image(rec), 0, _i * 2 * MiB, page, sizeof(page));
	before = image_copy(recorder_image(rec));
	ck_assert_int_eq(try_open(), -EUCLEAN);
	ck_assert(image_equal(before, recorder_image(rec)));
	image_free(before);
}
END_TEST

START_TEST(test_recover_unclean_arena_of_another_host_needs_force)
{
	struct superblock sb;

	open_arena();
	create("a", 4 * KiB);
	boot();
	sb = superblock();
	ck_assert(!sb.clean);
	memset(sb.machine_id, 0x77, sizeof(sb.machine_id));
	put_superblock(&sb);
	ck_assert_int_eq(try_open(), -EHOSTDOWN);
	sb.clean = true;
	put_superblock(&sb);
	open_arena();
	close_arena();
	sb = superblock();
	ck_assert(sb.clean);
	memset(sb.machine_id, 0x77, sizeof(sb.machine_id));
	sb.clean = false;
	put_superblock(&sb);
	params.force = true;
	open_arena();
	ck_assert_ptr_nonnull(find("a"));
}
END_TEST

START_TEST(test_recover_read_only_check_changes_nothing)
{
	struct image *before;
	struct superblock sb;

	open_arena();
	create("a", 4 * KiB);
	create("b", 4 * MiB);
	boot();
	sb = superblock();
	image_zero(recorder_image(rec), 0, sb.table_off[1], TABLE_SLOT_SIZE);   /* one copy */
	damage_slot(1);                                                         /* both */
	image_zero(recorder_image(rec), 0, sb.zero_off[0], 8);
	image_zero(recorder_image(rec), 0, 0, SUPERBLOCK_SIZE);
	before = image_copy(recorder_image(rec));
	ck_assert_int_ge(arena_check_device(&params, false, NULL, NULL, NULL, &why), 3);
	ck_assert(image_equal(before, recorder_image(rec)));
	image_free(before);
	ck_assert_int_gt(arena_check_device(&params, true, NULL, NULL, NULL, &why), 0);
	ck_assert_int_eq(arena_check_device(&params, false, NULL, complain, NULL, &why), 0);
	open_arena();
	ck_assert_ptr_nonnull(find("a"));
	ck_assert_ptr_null(find("b"));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_recover_damaged_record_stops_new_allocations_until_repair);
	tcase_add_test(t, test_recover_two_with_one_name_is_damage_and_nobody_is_lost);
	tcase_add_loop_test(t, test_recover_forged_record_is_damage,
			    0, sizeof(forgeries) / sizeof(forgeries[0]));
	tcase_add_loop_test(t, test_recover_superblocks_of_two_arenas_are_refused, 0, 2);
	tcase_add_test(t, test_recover_unclean_arena_of_another_host_needs_force);
	tcase_add_test(t, test_recover_read_only_check_changes_nothing);
}

UNIT("damage", { .add = add_tests, .setup = setup, .teardown = teardown_arena, .timeout_s = 30 });
