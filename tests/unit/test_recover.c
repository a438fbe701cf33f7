/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover: what an interrupted change and a shortage have left in table, zero map and ledger, each
 * made by hand. What power cuts leave is found by tests/crash.
 */
#include <config.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "tests/unit/recover_fixture.h"

/* ---- changes that were interrupted ---- */

START_TEST(test_recover_twice_is_the_same)
{
	struct image *once;

	open_arena();
	create("a", 4 * KiB);
	create("b", 5 * MiB);
	boot();
	open_arena();
	boot();
	once = image_copy(recorder_image(rec));
	open_arena();
	assert_clean();
	boot();
	/* But for the superblocks, which count. */
	for (unsigned i = 0; i < 2; i++) {
		image_zero(once, 0, i * 2 * MiB, SUPERBLOCK_SIZE);
		image_zero(recorder_image(rec), 0, i * 2 * MiB, SUPERBLOCK_SIZE);
	}
	ck_assert(image_equal(once, recorder_image(rec)));
	image_free(once);
}
END_TEST

START_TEST(test_recover_two_versions_keeps_the_newer)
{
	uint8_t old[TABLE_SLOT_SIZE];
	uint32_t slot;

	open_arena();
	slot = create("old", 4 * KiB)->records[0];
	read_slot(old, slot);
	rename_to("old", "new");
	boot();
	write_slot(old, slot);
	open_arena();
	ck_assert_int_eq(state(), ARENA_ONLINE);
	ck_assert_ptr_nonnull(find("new"));
	ck_assert_ptr_null(find("old"));
	assert_clean();
	boot();
	open_arena();
	ck_assert_ptr_nonnull(find("new"));
}
END_TEST

/*
 * A name of 200 bytes takes several slots; of which the first is lost (never written), with no
 * damage in sight.
 */
START_TEST(test_recover_half_a_record_goes)
{
	char name[201];
	uint8_t body[TABLE_SLOT_SIZE];

	memset(name, 'x', 200);
	name[200] = '\0';
	open_arena();
	create("a", 4 * KiB);
	read_slot(body, create(name, 4 * KiB)->records[1]);
	boot();
	open_arena();
	{
		struct caller root = caller_of(0);

		ck_assert_int_eq(arena_free_alloc(arena, &root, find(name), true, &why), 0);
		ck_assert_int_eq(arena_settle(arena), 0);
	}
	boot();
	write_slot(body, 40);
	open_arena();
	ck_assert_int_eq(state(), ARENA_ONLINE);
	ck_assert_ptr_null(find(name));
	assert_clean();
}
END_TEST

/* While something is damaged, halves stay: what is changed then must not be mixed up with them. */
START_TEST(test_recover_half_that_stays_does_not_swallow_a_change)
{
	char name[201];
	uint8_t half[TABLE_SLOT_SIZE];
	struct alloc *alloc;
	uint32_t broken, slot;

	memset(name, 'x', 200);
	name[200] = '\0';
	open_arena();
	broken = create("broken", 4 * KiB)->records[0];
	alloc = create("a", 4 * KiB);
	slot = alloc->records[0];
	boot();
	open_arena();
	/* version 2, of several slots; one of them is kept for later */
	rename_to("a", name);
	slot = find(name)->records[1];
	read_slot(half, slot);
	rename_to(name, "a");                   /* version 3 */
	boot();
	put(half, 24, 4, 4);                    /* what a cut left of version 4 */
	write_slot(half, 50);
	damage_slot(broken);
	open_arena();
	ck_assert_int_eq(state(), ARENA_DAMAGED);
	rename_to("a", name);                   /* what would have been version 4 */
	boot();
	open_arena();
	ck_assert_ptr_nonnull(find(name));
	assert_repairs();
	ck_assert_ptr_nonnull(find(name));
}
END_TEST

/*
 * Killed while it shrank a reservation: the ledger has the whole, and before it what was to be cut
 * off.
 */
START_TEST(test_recover_reservation_half_cut_is_whole)
{
	struct ledger_range range;
	struct ledger *ledger;
	struct alloc *first, *alloc;
	struct caller caller;
	struct extent behind;
	uint32_t entry;
	uint64_t id;
	uint8_t uuid[16];

	open_arena();
	caller = caller_of(1000);
	ck_assert_int_eq(reserve(&first, "first", 2 * MiB, false), 0);
	ck_assert_int_eq(reserve(&alloc, "r", 6 * MiB, false), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	id = alloc->id;
	behind = (struct extent){ alloc->extents[0].off + 512, alloc->extents[0].len - 512 };
	range = (struct ledger_range){
		.id = id + 1, .slot = 9, .uid = 1000, .state = LEDGER_FREEING
	};
	/* its entry is free, and before the other */
	ck_assert_int_eq(arena_abort(arena, &caller, first, true, &why), 0);
	memcpy(uuid, arena_identity(arena)->uuid, 16);
	recorder_fail_from(rec, 0);
	close_arena();
	recorder_revive(rec);
	ck_assert_int_eq(ledger_open(&ledger, dir, uuid, &why), 0);
	ck_assert_int_eq(ledger_add_range(&entry, ledger, &range, &behind, 1, NULL, 0), 0);
	ledger_close(ledger);
	open_arena();
	alloc = find("r");
	ck_assert_ptr_nonnull(alloc);
	ck_assert_uint_eq(alloc->id, id);
	ck_assert_uint_eq(alloc_bytes(alloc), 6 * MiB);
	assert_clean();
}
END_TEST

/* ---- a shortage ---- */

/* What the system refuses at a start: the @n-th of these calls; -1: none. */
static int refused = -1;

int __real_memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr);
int __wrap_memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr);

int __wrap_memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr)
{
	return refused >= 0 && refused-- == 0 ? -EAGAIN : __real_memmap_activate(mm, page, nr);
}

/*
 * Not having the descriptors of a page says nothing about whose the page is: not that its record is
 * damaged, nor that a dead daemon's entry is wrong.
 */
START_TEST(test_recover_shortage_is_no_damage_and_nothing_is_forgotten)
{
	struct alloc *whole, *part, *held;
	struct caller caller;
	struct arena_stats stats;

	open_arena();
	caller = caller_of(1000);
	create("page", 2 * MiB);
	create("run", 4 * KiB);
	ck_assert_int_eq(reserve(&whole, "reserved pages", 4 * MiB, false), 0);
	ck_assert_int_eq(reserve(&part, "reserved run", 8 * KiB, false), 0);
	held = create("freed and mapped", 2 * MiB);
	ck_assert_int_eq(arena_open_alloc(arena, &caller, held, false, &why), 0);
	ck_assert_int_eq(arena_free_alloc(arena, &caller, held, false, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	for (int n = 0, r = -1; r < 0; n++) {
		recorder_fail_from(rec, 0);
		close_arena();
		recorder_revive(rec);
		refused = n;
		r = arena_open(&arena, &params, &why);
		ck_assert_msg(r == 0 || r == -EAGAIN, "call %d: %d: %s", n, r, why.text);
		if (r == 0 && refused < 0)
			ck_abort_msg("call %d was refused, and the arena is online as if nothing "
				     "was missing",
				     n);
		refused = -1;
	}
	arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.start.damaged, 0);
	ck_assert_uint_eq(stats.reserved, 4 * MiB + 8 * KiB);
	ck_assert_uint_eq(stats.quarantined, 2 * MiB);
	ck_assert_ptr_nonnull(find("page"));
	ck_assert_ptr_nonnull(find("run"));
	assert_clean();
}
END_TEST

START_TEST(test_recover_bad_pages_are_remembered)
{
	struct arena_stats stats;
	struct alloc *alloc;
	uint64_t size;

	open_arena();
	create("a", 4 * KiB);
	size = arena_identity(arena)->size;
	ck_assert_int_eq(
		arena_poison(arena, arena_identity(arena)->data_off + 30 * MiB, 4096, &why), 0);
	boot();
	open_arena();
	arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.poisoned, 4096);
	ck_assert_int_eq(reserve(&alloc, "all", size - 2 * MiB, true), -ENOSPC);
	ck_assert_int_eq(reserve(&alloc, "all", size - 4 * MiB, true), 0);
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		ck_assert(30 * MiB / 4096 - alloc->extents[i].off >= alloc->extents[i].len);
}
END_TEST

START_TEST(test_recover_zero_map_that_a_cut_tore_is_mended)
{
	struct superblock sb;
	uint64_t word;

	open_arena();
	create("a", 4 * KiB);
	boot();
	sb = superblock();
	image_read(recorder_image(rec), 0, sb.zero_off[0], &word, 8);
	word ^= 3u << 8;
	image_write(recorder_image(rec), 0, sb.zero_off[_i], &word, 8);
	open_arena();
	assert_clean();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_recover_twice_is_the_same);
	tcase_add_test(t, test_recover_two_versions_keeps_the_newer);
	tcase_add_test(t, test_recover_half_a_record_goes);
	tcase_add_test(t, test_recover_half_that_stays_does_not_swallow_a_change);
	tcase_add_test(t, test_recover_reservation_half_cut_is_whole);
	tcase_add_test(t, test_recover_shortage_is_no_damage_and_nothing_is_forgotten);
	tcase_add_test(t, test_recover_bad_pages_are_remembered);
	tcase_add_loop_test(t, test_recover_zero_map_that_a_cut_tore_is_mended, 0, 2);
}

UNIT("recover", { .add = add_tests, .setup = setup, .teardown = teardown_arena, .timeout_s = 30 });
