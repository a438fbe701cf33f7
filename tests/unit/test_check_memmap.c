/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The check of descriptors: an arena in every state is clean, and each way to spoil one descriptor
 * is found, by the check and by the slow verifier.
 */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/arena/arena_internal.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB (UINT64_C(1) << 20)
#define KiB (UINT64_C(1) << 10)

static struct recorder *rec;
static struct scrubber *scrubber;
static struct quota *quota;
static char dir[64];
static struct arena *arena;
static struct alloc *whole, *small;     /* three compound pages; 32 KiB of a split one */
static struct holder *holder;

static struct alloc *create(const char *name, uint64_t len)
{
	struct caller caller = { .uid = 1000, .gid = 1000, .holder = holder };
	struct arena_ask ask = {
		.name = name, .name_len = (uint8_t)strlen(name), .len = len, .publish = true
	};
	struct alloc *alloc = NULL;

	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &ask, NULL), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	return alloc;
}

static void setup(void)
{
	struct arena_params params = { .name = "test",
				       .device = "dev",
				       .size = 512 * MiB,
				       .page_size = 2 * MiB,
				       .nr_slots = 2048,
				       .format = ARENA_FORMAT_IF_BLANK,
				       .numa_node = -1,
				       .runtime_dir = dir };

	rec = recorder_new();
	ck_assert_int_eq(scrubber_new(&scrubber, 0, 0), 0);
	ck_assert_int_eq(quota_new(&quota), 0);
	strcpy(dir, "/tmp/test-check-memmap-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fake_device_add(DEVICE_FILE, "dev", 512 * MiB, 4096);
	params.scrubber = scrubber;
	params.quota = quota;
	ck_assert_int_eq(arena_open(&arena, &params, NULL), 0);
	ck_assert_int_eq(arena_join(&holder, arena, 1, 1000), 0);
	whole = create("whole", 6 * MiB);
	small = create("small", 32 * KiB);
	ck_assert(!whole->is_run && small->is_run);
	ck_assert_int_eq(arena_poison(arena, arena->sb.data_off + 300 * MiB, 1, NULL), 0);
	arena_collect(scrubber);
}

static void teardown(void)
{
	char command[128];

	arena_close(arena);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
	scrubber_free(scrubber);
	quota_free(quota);
	recorder_free(rec);
	fake_device_reset();
}

static uint64_t verify_all(void)
{
	return arena_verify_memmap(arena, arena->sb.nr_pages / 64 + 1, NULL, NULL);
}

static uint64_t page_at(const struct alloc *alloc) { return alloc->extents[0].off >> 9; }
static struct desc *head(const struct alloc *alloc)
{
	return memmap_head(arena->mm, page_at(alloc));
}
static struct desc *bad_head(void) { return memmap_head(arena->mm, 150); }
static struct desc *free_head(void) { return memmap_head(arena->mm, page_at(whole) + 40); }

/* Each changes one thing and says where; undone by putting the bytes back. */
static struct desc *spoil_head_kind(struct desc *old)
{
	struct desc *d = head(whole);
	*old = *d;
	d->kind = DESC_TAIL;
	return d;
}
static struct desc *spoil_head_order(struct desc *old)
{
	struct desc *d = head(whole);
	*old = *d;
	d->order = 18;
	return d;
}
static struct desc *lose_owner(struct desc *old)
{
	struct desc *d = head(whole) + 2;
	*old = *d;
	d->object = 0;
	return d;
}
static struct desc *change_owner(struct desc *old)
{
	struct desc *d = head(whole);
	*old = *d;
	d->object = small->slot + 1;
	return d;
}
static struct desc *give_free_page(struct desc *old)
{
	struct desc *d = free_head();
	*old = *d;
	d->object = whole->slot + 1;
	return d;
}
static struct desc *name_nobody(struct desc *old)
{
	struct desc *d = free_head();
	*old = *d;
	d->object = 1900;
	return d;
}
static struct desc *call_it_split(struct desc *old)
{
	struct desc *d = free_head();
	*old = *d;
	d->flags |= DESC_SPLIT;
	return d;
}
static struct desc *count_too_little(struct desc *old)
{
	struct desc *d = head(small);
	*old = *d;
	d->nr_used = 7;
	return d;
}
static struct desc *count_too_much(struct desc *old)
{
	struct desc *d = head(small);
	*old = *d;
	d->nr_used = 513;
	return d;
}
static struct desc *lose_bad_count(struct desc *old)
{
	struct desc *d = bad_head();
	*old = *d;
	d->nr_poisoned = 0;
	return d;
}

static struct desc *spoil_tail_kind(struct desc *old)
{
	struct desc *d = memmap_tail(arena->mm, (page_at(small) << 9) + 500);

	*old = *d;
	d->kind = DESC_HEAD;
	return d;
}

static struct desc *give_free_run(struct desc *old)
{
	struct desc *d = memmap_tail(arena->mm, (page_at(small) << 9) + 500);

	*old = *d;
	d->object = small->slot + 1;
	return d;
}

/* The bad base page is good by its descriptor; the count in the head agrees. */
static struct desc *forget_bad(struct desc *old)
{
	uint64_t pfn = (300 * MiB) >> DESC_SHIFT;
	struct desc *d = memmap_tail(arena->mm, pfn);

	*old = *d;
	d->flags &= (uint16_t)~DESC_POISON;
	return d;
}

static const struct {
	const char *name;
	struct desc *(*spoil)(struct desc *old);
	bool slow_too;                  /* can be seen without the allocations' side */
} wrongs[] = {
	{ "head kind", spoil_head_kind, true },
	{ "head order", spoil_head_order, true },
	{ "lost owner", lose_owner, false },
	{ "other owner", change_owner, false },
	{ "free page has owner", give_free_page, false },
	{ "owner is nobody", name_nobody, true },
	{ "split, but shared", call_it_split, true },
	{ "too few used", count_too_little, true },
	{ "too many used", count_too_much, true },
	{ "bad count", lose_bad_count, true },
	{ "tail kind", spoil_tail_kind, true },
	{ "free run has owner", give_free_run, true },
	{ "bad page forgotten", forget_bad, true },
};
#define NR_WRONGS (int)(sizeof(wrongs) / sizeof(wrongs[0]))

START_TEST(test_check_memmap_sound_arena_is_clean)
{
	ck_assert_int_eq(arena_check_memmap(arena, NULL, NULL), 0);
	ck_assert_uint_eq(verify_all(), 0);
}
END_TEST

START_TEST(test_check_memmap_finds_each_wrong_descriptor)
{
	struct desc old, *at = wrongs[_i].spoil(&old);

	ck_assert_msg(arena_check_memmap(arena, NULL, NULL) > 0, "%s is not found",
		      wrongs[_i].name);
	ck_assert_msg((verify_all() > 0) == wrongs[_i].slow_too, "%s and the slow verifier",
		      wrongs[_i].name);
	*at = old;
	ck_assert_int_eq(arena_check_memmap(arena, NULL, NULL), 0);
}
END_TEST

START_TEST(test_check_memmap_slow_verifier_comes_round)
{
	struct desc old, *at;
	unsigned steps = 0;

	at = spoil_head_kind(&old);
	while (arena_verify_memmap(arena, 1, NULL, NULL) == 0)
		ck_assert_uint_lt(++steps, 8);
	ck_assert_uint_eq(arena_verify_memmap(arena, 1, NULL, NULL), 0);
	while (arena_verify_memmap(arena, 1, NULL, NULL) == 0)
		ck_assert_uint_lt(++steps, 16);
	*at = old;
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_check_memmap_sound_arena_is_clean);
	tcase_add_loop_test(t, test_check_memmap_finds_each_wrong_descriptor, 0, NR_WRONGS);
	tcase_add_test(t, test_check_memmap_slow_verifier_comes_round);
}

UNIT("check_memmap", { .add = add_tests, .setup = setup, .teardown = teardown });
