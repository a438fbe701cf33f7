/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arena core over a recording media and table-driven devices: every state a request can meet,
 * and random histories.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/arena/arena_transfer.h"
#include "tests/unit/arena_fixture.h"

static void new_params(enum device_kind kind, uint64_t size, uint64_t page_size)
{
	fake_device_add(kind, "dev", size, kind == DEVICE_DAX ? 2 * MiB : 4096);
	params = arena_params_for(kind == DEVICE_DAX ? "device" : NULL, 2048);
	params.size = size;
	params.page_size = page_size;
}

/*
 * The daemon is killed: nothing more reaches the device. The ledger stays, unless the machine went
 * down as well.
 */
static void crash(bool machine)
{
	struct image *image = image_copy(recorder_image(rec));

	recorder_fail_from(rec, 0);
	arena_close(arena);
	recorder_load(rec, image);
	image_free(image);
	if (machine)
		clear_dir();
	renew_quota();
}

START_TEST(test_arena_blank_device_is_formatted_and_reopened)
{
	new_params(_i == 2 ? DEVICE_DAX : DEVICE_FILE, 256 * MiB, _i == 1 ? 4096 : 2 * MiB);
	open_arena();
	create("a", 3 * MiB);
	assert_clean();
	arena_close(arena);
	open_arena();
	ck_assert_ptr_nonnull(find("a"));
	ck_assert_uint_ge(alloc_bytes(find("a")), 3 * MiB);
	assert_clean();
}
END_TEST

START_TEST(test_arena_reservation_survives_the_daemon_not_the_machine)
{
	struct alloc *alloc;
	struct caller caller;
	uint64_t id;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	ck_assert_int_eq(reserve(&alloc, "r", 4 * MiB, false), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	id = alloc->id;
	crash(false);
	open_arena();
	alloc = find("r");
	ck_assert_ptr_nonnull(alloc);
	ck_assert_uint_eq(alloc->id, id);
	caller = caller_of(1000);
	ck_assert_int_eq(arena_publish(arena, &caller, alloc, 0, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_int_eq(reserve(&alloc, "gone", 4 * MiB, false), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	crash(true);
	open_arena();
	ck_assert_ptr_nonnull(find("r"));
	ck_assert_ptr_null(find("gone"));
	assert_clean();
}
END_TEST

START_TEST(test_arena_name_twice_is_refused)
{
	struct alloc *alloc;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	create("a", 4096);
	ck_assert_int_eq(reserve(&alloc, "a", 4096, true), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why.text, "taken"));
}
END_TEST

START_TEST(test_arena_freed_name_and_space_come_back)
{
	struct arena_stats before, after;
	struct caller caller;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	caller = caller_of(1000);
	arena_stats(arena, &before);
	for (int i = 0; i < 1000; i++) {
		struct alloc *alloc = create("a", i % 2 ? 100 * MiB : 12 * KiB);

		ck_assert_int_eq(arena_free_alloc(arena, &caller, alloc, true, &why), 0);
		ck_assert_int_eq(arena_settle(arena), 0);
		arena_collect(scrubber);
	}
	arena_stats(arena, &after);
	ck_assert_uint_eq(before.free, after.free);
	ck_assert_uint_eq(after.known_zero, after.free);
	ck_assert_uint_eq(after.slots_used, 0);
	assert_clean();
}
END_TEST

/* A page (0) and a run (1), of which the scrub fails when the device has failed already. */
START_TEST(test_arena_what_a_failed_device_could_not_scrub_is_not_zero)
{
	struct arena_stats before, after;
	struct caller caller;
	struct alloc *alloc;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	caller = caller_of(1000);
	alloc = create("a", _i ? 128 * KiB : 4 * MiB);
	arena_stats(arena, &before);
	recorder_refuse(rec, RECORDER_PUNCH, 0, -EIO);
	recorder_break(rec, -EIO);
	ck_assert_int_eq(arena_free_alloc(arena, &caller, alloc, true, &why), 0);
	arena_settle(arena);
	while (arena_collect(scrubber))
		;
	arena_stats(arena, &after);
	ck_assert_uint_eq(after.known_zero, before.known_zero);
	/* The next start finds it free and not zero, and scrubs it. */
	crash(true);
	open_arena();
	while (arena_collect(scrubber))
		;
	arena_stats(arena, &after);
	ck_assert_ptr_null(find("a"));
	ck_assert_uint_eq(after.known_zero, after.free);
	assert_clean();
}
END_TEST

START_TEST(test_arena_full_says_largest_free_extent)
{
	struct alloc *alloc;
	int r;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	create("a", 200 * MiB);
	r = reserve(&alloc, "b", 100 * MiB, true);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_ptr_nonnull(strstr(why.text, "largest free extent"));
	assert_clean();
}
END_TEST

/* ---- a page that is split for small allocations ---- */

static void free_one(struct alloc *alloc)
{
	struct caller caller = caller_of(1000);

	ck_assert_int_eq(arena_free_alloc(arena, &caller, alloc, true, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
}

static uint32_t nr_split(void)
{
	struct arena_section section;

	ck_assert_int_eq(arena_section(arena, 0, &section), 0);
	return section.nr_split;
}

START_TEST(test_arena_free_split_page_is_whole_after_upkeep)
{
	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	free_one(create(NULL, 4 * KiB));
	ck_assert_uint_eq(nr_split(), 1);
	arena_tick(arena);
	free_one(create(NULL, 4 * KiB));
	arena_tick(arena);
	/* It was used since. */
	ck_assert_uint_eq(nr_split(), 1);
	arena_tick(arena);
	ck_assert_uint_eq(nr_split(), 0);
	arena_tick(arena);
	assert_clean();
}
END_TEST

START_TEST(test_arena_only_one_free_page_stays_split)
{
	struct alloc *a, *b;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	a = create(NULL, 2 * MiB - 4 * KiB);
	b = create(NULL, 2 * MiB - 4 * KiB);
	ck_assert_uint_eq(nr_split(), 2);
	free_one(a);
	arena_collect(scrubber);
	free_one(b);
	arena_collect(scrubber);
	ck_assert_uint_eq(nr_split(), 1);
	assert_clean();
}
END_TEST

START_TEST(test_arena_free_split_page_is_nobodys_shortage)
{
	struct arena_stats stats;
	struct alloc *all;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	arena_stats(arena, &stats);
	free_one(create(NULL, 4 * KiB));
	ck_assert_msg(reserve(&all, "all", stats.free, true) == 0, "%s", why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(all->nr_extents, 1);
	assert_clean();
}
END_TEST

START_TEST(test_arena_free_split_page_that_goes_bad_is_left_to_everybody)
{
	struct caller other = caller_of(1001);
	struct arena_ask ask = { .len = 4 * KiB, .publish = true };
	struct arena_stats stats;
	struct alloc *alloc;
	uint64_t off;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	alloc = create(NULL, 4 * KiB);
	off = arena_extent(arena, alloc, 0).off;
	free_one(alloc);
	ck_assert_msg(arena_poison(arena, off, 4 * KiB, &why) == 0, "%s", why.text);
	ck_assert_msg(arena_reserve(&alloc, arena, &other, &ask, &why) == 0, "%s", why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(arena_extent(arena, alloc, 0).off, off + 4 * KiB);
	arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.poisoned, 4 * KiB);
	assert_clean();
}
END_TEST

/* ---- moved to another arena ---- */

START_TEST(test_arena_transfer_notices_a_page_that_goes_bad)
{
	struct alloc *alloc, *copy;

	new_params(DEVICE_FILE, 256 * MiB, 0);
	open_arena();
	alloc = create("x", 8 * KiB);
	ck_assert_msg(reserve(&copy, "y", 8 * KiB, false) == 0, "%s", why.text);
	ck_assert_msg(arena_transfer_begin(arena, alloc, &why) == 0, "%s", why.text);
	ck_assert_int_eq(arena_transfer_copy(arena, copy, arena, alloc, 0, 8 * KiB), 0);
	ck_assert_int_eq(arena_transfer_check(alloc, copy, &why), 0);
	ck_assert_int_eq(arena_poison(arena, arena_extent(arena, copy, 0).off, 1, NULL), 0);
	ck_assert_int_eq(arena_transfer_check(alloc, copy, &why), -EIO);
	ck_assert_ptr_nonnull(strstr(why.text, "the copy"));
	ck_assert_int_eq(arena_transfer_check(alloc, alloc, &why), 0);
	ck_assert_int_eq(arena_poison(arena, arena_extent(arena, alloc, 0).off, 1, NULL), 0);
	ck_assert_int_eq(arena_transfer_check(alloc, alloc, &why), -EIO);
	arena_transfer_end(arena, alloc);
}
END_TEST

/* ---- random histories ---- */

#define SLOTS 64

struct model {
	bool used;
	uint64_t id, len;
	char name[16];
};

static struct model model[SLOTS];
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static uint64_t random_len(void)
{
	static const uint64_t most[] = { 8 * KiB, 300 * KiB, 2 * MiB, 9 * MiB };

	return 1 + rnd(most[rnd(4)]);
}

static struct alloc *model_alloc(const struct model *m)
{
	struct alloc *alloc = find(m->name);

	ck_assert_msg(alloc != NULL, "%s is lost", m->name);
	ck_assert_uint_eq(alloc->id, m->id);
	ck_assert_uint_ge(alloc_bytes(alloc), m->len);
	return alloc;
}

static void step(struct model *m, struct caller *caller)
{
	struct alloc *alloc;
	uint64_t len = random_len();
	int r;

	if (!m->used) {
		snprintf(m->name, sizeof(m->name), "n%llu", (unsigned long long)rnd(1000000));
		r = reserve(&alloc, m->name, len, true);
		if (r == -EEXIST || r == -ENOSPC || r == -ENFILE)
			return;
		ck_assert_msg(r == 0, "%d %s", r, why.text);
		*m = (struct model){ .used = true, .id = alloc->id, .len = len };
		memcpy(m->name, alloc->name, alloc->name_len);
		return;
	}
	alloc = model_alloc(m);
	switch (rnd(4)) {
	case 0:
		while ((r = arena_resize(arena, caller, alloc, len, &why)) == -EAGAIN)
			ck_assert(arena_collect(scrubber));
		ck_assert_msg(r == 0 || r == -ENOSPC, "%d %s", r, why.text);
		if (r == 0)
			m->len = len;
		break;
	case 1:
		snprintf(m->name, sizeof(m->name), "m%llu", (unsigned long long)rnd(1000000));
		r = arena_rename(arena, caller, alloc, m->name, (uint8_t)strlen(m->name), &why);
		if (r < 0) {
			ck_assert_int_eq(r, -EEXIST);
			memset(m->name, 0, sizeof(m->name));
			memcpy(m->name, alloc->name, alloc->name_len);
		}
		break;
	default:
		ck_assert_int_eq(arena_free_alloc(arena, caller, alloc, rnd(2), &why), 0);
		m->used = false;
	}
}

static void assert_model(void)
{
	unsigned nr = 0;

	for (int i = 0; i < SLOTS; i++)
		if (model[i].used) {
			model_alloc(&model[i]);
			nr++;
		}
	for (struct alloc *a = arena_next_slot(arena, 0); a;
	     a = arena_next_slot(arena, a->slot + 1))
		nr--;
	ck_assert_uint_eq(nr, 0);
}

START_TEST(test_arena_random_histories_survive_kills)
{
	seed = 42 + (uint64_t)_i;
	memset(model, 0, sizeof(model));
	new_params(_i % 3 == 2 ? DEVICE_DAX : DEVICE_FILE, 192 * MiB, _i % 3 == 1 ? 4096 : 2 * MiB);
	params.memmap = MEMMAP_DRAM;
	open_arena();
	for (int round = 0; round < 60; round++) {
		struct caller caller = caller_of(1000);

		for (int i = 0; i < 50; i++) {
			step(&model[rnd(SLOTS)], &caller);
			if (rnd(3) == 0)
				ck_assert_int_eq(arena_settle(arena), 0);
			if (rnd(5) == 0)
				arena_collect(scrubber);
			if (rnd(20) == 0)
				arena_tick(arena);
		}
		assert_clean();
		if (rnd(3) == 0)
			crash(rnd(2));
		else
			arena_close(arena), quota_free(quota), quota_new(&quota),
				params.quota = quota;
		open_arena();
		assert_model();
		assert_clean();
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_arena_blank_device_is_formatted_and_reopened, 0, 3);
	tcase_add_test(t, test_arena_reservation_survives_the_daemon_not_the_machine);
	tcase_add_test(t, test_arena_name_twice_is_refused);
	tcase_add_test(t, test_arena_freed_name_and_space_come_back);
	tcase_add_loop_test(t, test_arena_what_a_failed_device_could_not_scrub_is_not_zero, 0, 2);
	tcase_add_test(t, test_arena_full_says_largest_free_extent);
	tcase_add_test(t, test_arena_free_split_page_is_whole_after_upkeep);
	tcase_add_test(t, test_arena_only_one_free_page_stays_split);
	tcase_add_test(t, test_arena_free_split_page_is_nobodys_shortage);
	tcase_add_test(t, test_arena_free_split_page_that_goes_bad_is_left_to_everybody);
	tcase_add_test(t, test_arena_transfer_notices_a_page_that_goes_bad);
	tcase_add_loop_test(t, test_arena_random_histories_survive_kills, 0, 9);
}

UNIT("arena", { .add = add_tests, .setup = setup_arena, .teardown = teardown_arena, .timeout_s = 120 });
