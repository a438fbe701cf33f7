/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery of an arena from table, zero map and ledger: what an interrupted change, damage, a forgery or another arena has left there,
 * each made by hand. What power cuts leave is found by tests/crash.
 */
#include <config.h>

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/ledger.h"
#include "daemon/arena/table_slot.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"

#define MiB (UINT64_C(1) << 20)
#define KiB (UINT64_C(1) << 10)

static struct recorder *rec;
static struct scrubber *scrubber;
static struct quota *quota;
static char dir[64];
static struct arena_params params;
static struct arena *arena;
static struct holder *holder;
static struct why why;

static void setup(void)
{
	rec = recorder_new();
	ck_assert_int_eq(scrubber_new(&scrubber, 0, 0), 0);
	ck_assert_int_eq(quota_new(&quota), 0);
	strcpy(dir, "/tmp/test-recover-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fake_device_add(DEVICE_DAX, "dev", 64 * MiB, 2 * MiB);
	params = (struct arena_params){
		.name = "test", .device = "dev", .metadata = "device", .nr_slots = 1024, .format = ARENA_FORMAT_IF_BLANK, .numa_node = -1,
		.runtime_dir = dir, .scrubber = scrubber, .quota = quota,
	};
	why.text[0] = '\0';
}

static void clear_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -f %s/*", dir);
	ck_assert_int_eq(system(command), 0);
}

static void close_arena(void)
{
	arena_close(arena);
	arena = NULL;
	quota_free(quota);
	ck_assert_int_eq(quota_new(&quota), 0);
	params.quota = quota;
}

static void teardown(void)
{
	close_arena();
	clear_dir();
	rmdir(dir);
	scrubber_free(scrubber);
	quota_free(quota);
	recorder_free(rec);
	fake_device_reset();
}

static int try_open(void)
{
	int r = arena_open(&arena, &params, &why);

	return r < 0 ? r : arena_join(&holder, arena, 1, 1000);
}

static void open_arena(void)
{
	int r = try_open();

	ck_assert_msg(r == 0, "%d: %s", r, why.text);
}

/* The power goes, with nothing under way. */
static void boot(void)
{
	struct image *image = image_copy(recorder_image(rec));

	if (arena) {
		recorder_fail_from(rec, 0);
		close_arena();
	}
	recorder_load(rec, image);
	image_free(image);
	clear_dir();
}

static struct caller caller_of(uint32_t uid)
{
	return (struct caller){ .uid = uid, .gid = uid, .holder = holder };
}

static int reserve(struct alloc **out, const char *name, uint64_t len, bool publish)
{
	struct caller caller = caller_of(1000);
	struct arena_ask ask = { .name = name, .name_len = (uint8_t)strlen(name), .len = len, .publish = publish };
	int r;

	while ((r = arena_reserve(out, arena, &caller, &ask, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	return r;
}

static struct alloc *create(const char *name, uint64_t len)
{
	struct alloc *alloc;
	int r = reserve(&alloc, name, len, true);

	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
	return alloc;
}

static struct alloc *find(const char *name)
{
	return arena_find_name(arena, name, (uint8_t)strlen(name));
}

static void rename_to(const char *from, const char *to)
{
	struct caller caller = caller_of(0);

	ck_assert_int_eq(arena_rename(arena, &caller, find(from), to, (uint8_t)strlen(to), &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
}

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", what);
}

static void assert_clean(void)
{
	ck_assert_int_eq(arena_check(arena, complain, NULL), 0);
}

static enum arena_state state(void)
{
	const char *reason;

	return arena_state(arena, &reason);
}

static void assert_repairs(void)
{
	struct alloc *alloc;

	ck_assert_int_eq(state(), ARENA_DAMAGED);
	ck_assert_int_eq(reserve(&alloc, "no", 4096, true), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why.text, "repair"));
	ck_assert_int_gt(arena_repair(arena, true, NULL, NULL), 0);
	ck_assert_int_eq(state(), ARENA_DAMAGED);
	ck_assert_int_gt(arena_repair(arena, false, NULL, NULL), 0);
	ck_assert_int_eq(state(), ARENA_ONLINE);
	assert_clean();
	ck_assert_int_eq(reserve(&alloc, "yes", 4096, true), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	boot();
	open_arena();
	ck_assert_int_eq(state(), ARENA_ONLINE);
	ck_assert_ptr_nonnull(find("yes"));
	assert_clean();
}

/* ---- bytes ---- */

static struct superblock superblock(void)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock sb;

	image_read(recorder_image(rec), 0, 0, page, sizeof(page));
	ck_assert_int_eq(superblock_decode(&sb, page, NULL), SUPERBLOCK_GOOD);
	return sb;
}

static void put_superblock(const struct superblock *sb)
{
	uint8_t page[SUPERBLOCK_SIZE];

	superblock_encode(page, sb);
	image_write(recorder_image(rec), 0, 0, page, sizeof(page));
	image_write(recorder_image(rec), 0, sb->poison_unit, page, sizeof(page));
}

static void read_slot(uint8_t body[TABLE_SLOT_SIZE], uint32_t slot)
{
	image_read(recorder_image(rec), 0, superblock().table_off[0] + (uint64_t)slot * TABLE_SLOT_SIZE, body, TABLE_SLOT_SIZE);
}

/* Both copies, whole. */
static void write_slot(uint8_t body[TABLE_SLOT_SIZE], uint32_t slot)
{
	struct superblock sb = superblock();
	struct table *table;
	uint64_t word;
	uint32_t crc;

	ck_assert_int_eq(table_new(&table, NULL, &sb), 0);
	word = htole64(slot_live_word(table, slot));
	memcpy(body, &word, sizeof(word));
	crc = htole32(slot_crc(table, slot, body));
	memcpy(body + 8, &crc, sizeof(crc));
	for (int copy = 0; copy < 2; copy++)
		image_write(recorder_image(rec), 0, slot_off(table, copy, slot), body, TABLE_SLOT_SIZE);
	table_free(table);
}

static void damage_slot(uint32_t slot)
{
	struct superblock sb = superblock();

	for (int copy = 0; copy < 2; copy++)
		image_zero(recorder_image(rec), 0, sb.table_off[copy] + (uint64_t)slot * TABLE_SLOT_SIZE, TABLE_SLOT_SIZE);
}

static void put(uint8_t *body, unsigned at, unsigned len, uint64_t value)
{
	value = htole64(value);
	memcpy(body + at, &value, len);
}

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

/* A name of 200 bytes takes several slots; of which the first is lost (never written), with no damage in sight. */
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
	rename_to("a", name);                   /* version 2, of several slots; one of them is kept for later */
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

/* Killed while it shrank a reservation: the ledger has the whole, and before it what was to be cut off. */
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
	range = (struct ledger_range){ .id = id + 1, .slot = 9, .uid = 1000, .state = LEDGER_FREEING };
	ck_assert_int_eq(arena_abort(arena, &caller, first, true, &why), 0);    /* its entry is free, and before the other */
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
	ck_assert_uint_eq(arena_alloc_bytes(alloc), 6 * MiB);
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
	ck_assert_int_eq(arena_poison(arena, arena_identity(arena)->data_off + 30 * MiB, 4096, &why), 0);
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

/* Right checksums, wrong contents: @at in the slot of an allocation of 3 pages, whose first pfn is 0. */
static const struct {
	const char *what;
	unsigned at, len;
	uint64_t value;
} forgeries[] = {
	{ "index", 12, 2, 1 }, { "count 0", 14, 2, 0 }, { "count", 14, 2, 1025 }, { "id 0", 16, 8, 0 }, { "id", 16, 8, UINT64_C(1) << 40 },
	{ "id", 16, 8, UINT64_MAX }, { "mode", 40, 4, 0100600 }, { "object", 44, 4, 1024 }, { "object", 44, 4, UINT32_MAX },
	{ "object of another", 44, 4, 1 }, { "no extents", 56, 4, 0 }, { "extents", 56, 4, 2 }, { "extents", 56, 4, UINT32_MAX },
	{ "kind", 60, 1, 0 }, { "kind", 60, 1, 3 }, { "name length", 61, 1, 200 }, { "name with 0", 64, 2, 'x' << 8 },
	{ "pfn", 72, 8, 1 }, { "pfn", 72, 8, UINT64_MAX }, { "pfn", 72, 8, UINT64_MAX - 1023 }, { "pfn", 72, 8, 1 << 20 },
	{ "length 0", 80, 8, 0 }, { "length", 80, 8, UINT64_MAX }, { "length", 80, 8, 1025 }, { "length", 80, 8, UINT64_C(1) << 60 },
	{ "run across pages", 72, 8, 510 }, { "somebody else's", 72, 8, 2048 },
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
	ck_assert_msg(state() == ARENA_DAMAGED, "%s: %llu is taken", forgeries[_i].what, (unsigned long long)forgeries[_i].value);
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

int main(void)
{
	Suite *suite = suite_create("recover");
	TCase *tc = tcase_create("recover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_recover_twice_is_the_same);
	tcase_add_test(tc, test_recover_two_versions_keeps_the_newer);
	tcase_add_test(tc, test_recover_half_a_record_goes);
	tcase_add_test(tc, test_recover_half_that_stays_does_not_swallow_a_change);
	tcase_add_test(tc, test_recover_reservation_half_cut_is_whole);
	tcase_add_test(tc, test_recover_bad_pages_are_remembered);
	tcase_add_loop_test(tc, test_recover_zero_map_that_a_cut_tore_is_mended, 0, 2);
	tcase_add_test(tc, test_recover_damaged_record_stops_new_allocations_until_repair);
	tcase_add_test(tc, test_recover_two_with_one_name_is_damage_and_nobody_is_lost);
	tcase_add_loop_test(tc, test_recover_forged_record_is_damage, 0, sizeof(forgeries) / sizeof(forgeries[0]));
	tcase_add_loop_test(tc, test_recover_superblocks_of_two_arenas_are_refused, 0, 2);
	tcase_add_test(tc, test_recover_unclean_arena_of_another_host_needs_force);
	tcase_add_test(tc, test_recover_read_only_check_changes_nothing);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
