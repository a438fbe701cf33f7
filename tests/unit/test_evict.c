/* SPDX-License-Identifier: BSD-3-Clause */
/* Eviction: the order in which things go, for whom, and what stays. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/evictable.h"
#include "tests/unit/arena_fixture.h"

#define PAGE (2 * MiB)
#define NR_SLOTS 1024

static uint64_t nr_pages;
static uint32_t uid;

static void setup(void)
{
	setup_arena();
	fake_device_add(DEVICE_FILE, "dev", 32 * MiB, 4096);
	params = arena_params_for(NULL, NR_SLOTS);
	params.size = 32 * MiB;
	params.page_size = PAGE;
	open_arena();
	nr_pages = arena_identity(arena)->size / PAGE;
	uid = 1000;
}

/* The daemon goes and comes again, in order. */
static void restart(void)
{
	arena_close(arena);
	renew_quota();
	open_arena();
}

static int make(struct alloc **out, const char *name, uint64_t len, bool evictable)
{
	struct caller caller = caller_of(uid);
	struct arena_ask ask = { .name = name,
				 .name_len = (uint8_t)strlen(name),
				 .len = len,
				 .publish = true,
				 .evictable = evictable };
	int r;

	while ((r = arena_reserve(out, arena, &caller, &ask, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	return r;
}

static struct alloc *put(const char *name)
{
	struct alloc *alloc;
	int r = make(&alloc, name, PAGE, true);

	ck_assert_msg(r == 0, "%s: %s", name, why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
	return alloc;
}

static char *name_of(char text[32], unsigned i)
{
	snprintf(text, 32, "e%u", i);
	return text;
}

static void fill(void)
{
	char name[32];

	for (unsigned i = 0; i < nr_pages; i++)
		put(name_of(name, i));
}

static bool is_there(unsigned i)
{
	char name[32];

	return find(name_of(name, i));
}

static struct alloc *at(unsigned i)
{
	char name[32];

	return find(name_of(name, i));
}

static struct arena_stats stats(void)
{
	struct arena_stats now;

	arena_stats(arena, &now);
	return now;
}

/* Are the first ones that are there these, up to @nr? */
static void assert_gone(unsigned nr, const unsigned *gone, unsigned of)
{
	for (unsigned i = 0; i < of; i++) {
		bool is_gone = false;

		for (unsigned j = 0; j < nr; j++)
			is_gone |= gone[j] == i;
		ck_assert_msg(is_there(i) != is_gone, "e%u", i);
	}
}

START_TEST(test_evict_goes_in_the_order_of_use)
{
	struct caller caller = caller_of(1000);

	fill();
	put("a");
	assert_gone(1, (unsigned[]){ 0 }, 8);
	ck_assert_int_eq(arena_touch(arena, &caller, at(1), &why), 0);
	ck_assert_int_eq(arena_open_alloc(arena, &caller, at(2), true, &why), 0);
	ck_assert_int_eq(arena_close_alloc(arena, &caller, at(2), true), 0);
	put("b");
	assert_gone(2, (unsigned[]){ 0, 3 }, 8);
	put("c");
	assert_gone(3, (unsigned[]){ 0, 3, 4 }, 8);
	ck_assert_uint_eq(stats().evictions, 3);
	ck_assert_uint_eq(stats().evicted_bytes, 3 * PAGE);
	assert_clean();
}
END_TEST

START_TEST(test_evict_one_goes_though_all_are_used)
{
	struct caller caller = caller_of(1000);

	fill();
	for (unsigned i = 0; i < nr_pages; i++)
		ck_assert_int_eq(arena_touch(arena, &caller, at(i), &why), 0);
	put("a");
	assert_gone(1, (unsigned[]){ 0 }, (unsigned)nr_pages);
	assert_clean();
}
END_TEST

START_TEST(test_evict_leaves_what_is_open)
{
	struct caller caller = caller_of(1000);
	struct alloc *alloc;
	unsigned nr = (unsigned)nr_pages;

	fill();
	for (unsigned i = 0; i < nr; i++)
		if (i != 5)
			ck_assert_int_eq(arena_open_alloc(arena, &caller, at(i), true, &why), 0);
	put("a");
	assert_gone(1, (unsigned[]){ 5 }, nr);
	ck_assert_int_eq(arena_open_alloc(arena, &caller, find("a"), true, &why), 0);
	ck_assert_int_eq(make(&alloc, "b", PAGE, true), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(why.text, "no room"));
	/* What is closed and perhaps still mapped is no space either. */
	ck_assert_int_eq(arena_close_alloc(arena, &caller, at(3), true), 0);
	put("b");
	assert_gone(2, (unsigned[]){ 5, 3 }, nr);
	assert_clean();
}
END_TEST

START_TEST(test_evict_frees_only_what_can_help)
{
	struct caller caller = caller_of(1000);
	struct arena_ask lease = { .len = PAGE, .lease = true };
	struct alloc *alloc;

	for (unsigned i = 0; i < nr_pages - 2; i++) {
		char name[32];

		ck_assert_int_eq(make(&alloc, name_of(name, 100 + i), PAGE, false), 0);
	}
	put("e0");
	put("e1");
	ck_assert_int_eq(make(&alloc, "large", 3 * PAGE, false), -ENOSPC);
	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &lease, &why), -ENOSPC);
	assert_gone(0, NULL, 2);
	ck_assert_int_eq(make(&alloc, "large", 2 * PAGE, false), 0);
	assert_gone(2, (unsigned[]){ 0, 1 }, 2);
	ck_assert_uint_eq(stats().nr_evictable, 0);
	assert_clean();
}
END_TEST

START_TEST(test_evict_within_one_settle)
{
	struct alloc *alloc;

	/* What is staged and not durable may make room too; it is settled first. */
	for (unsigned i = 0; i < 3 * nr_pages; i++) {
		char name[32];

		ck_assert_int_eq(make(&alloc, name_of(name, i), PAGE, true), 0);
	}
	ck_assert_int_eq(arena_settle(arena), 0);
	for (unsigned i = 0; i < 3 * nr_pages; i++)
		ck_assert_int_eq(is_there(i), i >= 2 * nr_pages);
	assert_clean();
}
END_TEST

START_TEST(test_evict_is_each_users_own_or_anybodys)
{
	struct alloc *alloc;

	put("e0");
	uid = 1001;
	for (unsigned i = 1; i < nr_pages; i++) {
		char name[32];

		put(name_of(name, i));
	}
	uid = 1002;
	ck_assert_int_eq(make(&alloc, "c", PAGE, true), -ENOSPC);
	uid = 1001;
	put("e50");
	assert_gone(1, (unsigned[]){ 1 }, 8);
	/* Another owner: it is evicted for that one. */
	ck_assert_int_eq(arena_setattr(arena, &(struct caller){ .holder = holder }, at(0),
				       &(struct arena_attrs){ .which = ARENA_SET_UID, .uid = 1002 },
				       &why),
			 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	uid = 1002;
	put("e51");
	assert_gone(2, (unsigned[]){ 0, 1 }, 8);
	arena_set_eviction(arena, true, 0);
	uid = 1003;
	put("e52");
	assert_gone(3, (unsigned[]){ 0, 1, 2 }, 8);
	arena_set_eviction(arena, false, 0);
	ck_assert_int_eq(make(&alloc, "more", 2 * PAGE, true), -ENOSPC);
	put("e53");
	ck_assert(!is_there(52));
	assert_clean();
}
END_TEST

START_TEST(test_evict_order_after_a_restart_is_that_of_creation)
{
	struct caller caller = caller_of(1000);

	fill();
	put("a");
	/* Its slot is one that was free: it is not among the oldest for that. */
	ck_assert_uint_lt(find("a")->slot, 3);
	restart();
	ck_assert(find("a")->is_evictable && at(1)->is_evictable);
	caller = caller_of(1000);
	ck_assert_int_eq(arena_touch(arena, &caller, at(2), &why), 0);
	put("b");
	put("c");
	assert_gone(3, (unsigned[]){ 0, 1, 3 }, (unsigned)nr_pages);
	ck_assert_ptr_nonnull(find("a"));
	assert_clean();
}
END_TEST

START_TEST(test_evict_counts_what_grows_and_shrinks)
{
	struct caller caller = caller_of(1000);
	struct alloc *it = put("e0");

	ck_assert_int_eq(arena_resize(arena, &caller, it, 4 * PAGE, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(evictable_clock(arena, 1000)->nr_pfns << 12, 4 * PAGE);
	ck_assert_int_eq(arena_resize(arena, &caller, it, 3 * PAGE, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(evictable_clock(arena, 1000)->nr_pfns << 12, 3 * PAGE);
	ck_assert_int_eq(arena_free_alloc(arena, &caller, it, true, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_ptr_null(evictable_clock(arena, 1000));
	ck_assert_ptr_null(evictable_fullest(arena));
	assert_clean();
}
END_TEST

START_TEST(test_evict_what_grows_is_not_its_own_room)
{
	struct caller caller = caller_of(1000);
	int r;

	fill();
	while ((r = arena_resize(arena, &caller, at(0), 3 * PAGE, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	assert_gone(2, (unsigned[]){ 1, 2 }, (unsigned)nr_pages);
	assert_clean();
}
END_TEST

START_TEST(test_evict_ahead_leaves_what_grows)
{
	struct caller caller = caller_of(1000);
	int r;

	fill();
	arena_set_eviction(arena, false, 10);
	while ((r = arena_resize(arena, &caller, at(0), 3 * PAGE, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(alloc_bytes(at(0)), 3 * PAGE);
	ck_assert(!is_there(1) && !is_there(2));
	assert_clean();
}
END_TEST

START_TEST(test_evict_for_places_in_the_table)
{
	struct alloc *alloc;
	char name[32];

	for (unsigned i = 0; i < NR_SLOTS + 100; i++) {
		ck_assert_int_eq(make(&alloc, name_of(name, i), 4096, true), 0);
		ck_assert_int_eq(arena_settle(arena), 0);
	}
	ck_assert_uint_eq(stats().evictions, 100);
	ck_assert(!is_there(99) && is_there(100));
	/* A record that takes several places. */
	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(make(&alloc,
			      "a name that is longer than what has room in the first slot of a record of the table",
			      4096, true), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert(!is_there(101));
	assert_clean();
}
END_TEST

START_TEST(test_evict_within_a_quota)
{
	struct alloc *alloc;

	ck_assert_int_eq(quota_set_limit(quota, 1000, QUOTA_BYTES, 3 * PAGE), 0);
	put("e0");
	put("e1");
	put("e2");
	put("e3");
	assert_gone(1, (unsigned[]){ 0 }, 4);
	ck_assert_int_eq(make(&alloc, "large", 4 * PAGE, true), -EDQUOT);
	ck_assert_int_eq(quota_set_limit(quota, 1000, QUOTA_ALLOCATIONS, 3), 0);
	put("e4");
	ck_assert(!is_there(1) || !is_there(2) || !is_there(3));
	assert_clean();
}
END_TEST

START_TEST(test_evict_ahead_of_need)
{
	char name[32];

	arena_set_eviction(arena, false, 50);
	for (unsigned i = 0; i < nr_pages - 1; i++)
		put(name_of(name, i));
	ck_assert(arena_is_busy(arena));
	for (unsigned i = 0; i < 100; i++)
		arena_tick(arena);
	ck_assert_uint_le(stats().used, arena_identity(arena)->size / 2 + PAGE);
	ck_assert_uint_ge(stats().used, arena_identity(arena)->size / 3);
	ck_assert(!is_there(0) && is_there((unsigned)nr_pages - 2));
	assert_clean();
}
END_TEST

START_TEST(test_evict_tells_of_it)
{
	struct arena_event event;
	bool told = false;

	fill();
	while (arena_next_event(&event, arena))
		;
	put("a");
	while (arena_next_event(&event, arena)) {
		told |= event.kind == ARENA_EVICTED && event.name_len == 2 &&
			memcmp(event.name, "e0", 2) == 0 && event.len == PAGE;
		ck_assert(event.kind != ARENA_FREED);
	}
	ck_assert(told);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_evict_goes_in_the_order_of_use);
	tcase_add_test(t, test_evict_one_goes_though_all_are_used);
	tcase_add_test(t, test_evict_leaves_what_is_open);
	tcase_add_test(t, test_evict_frees_only_what_can_help);
	tcase_add_test(t, test_evict_within_one_settle);
	tcase_add_test(t, test_evict_is_each_users_own_or_anybodys);
	tcase_add_test(t, test_evict_order_after_a_restart_is_that_of_creation);
	tcase_add_test(t, test_evict_counts_what_grows_and_shrinks);
	tcase_add_test(t, test_evict_what_grows_is_not_its_own_room);
	tcase_add_test(t, test_evict_ahead_leaves_what_grows);
	tcase_add_test(t, test_evict_for_places_in_the_table);
	tcase_add_test(t, test_evict_within_a_quota);
	tcase_add_test(t, test_evict_ahead_of_need);
	tcase_add_test(t, test_evict_tells_of_it);
}

UNIT("evict", { .add = add_tests, .setup = setup, .teardown = teardown_arena, .timeout_s = 60 });
