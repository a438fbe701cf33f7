/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_contents: reservations that may have any contents: whose space they get, in which state, and
 * what becomes of it when somebody else wants it, a page goes bad, or the daemon starts.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_stats.h"
#include "tests/unit/arena_fixture.h"

#define PAGE     (2 * MiB)
#define NR_SLOTS 1024
#define ANNA     1000
#define BERTA    1001

static uint64_t nr_pages;

static const struct {
	enum device_kind kind;
	uint64_t size, page_size;
} flavours[] = { { DEVICE_FILE, 32 * MiB, PAGE }, { DEVICE_DAX, 32 * MiB, PAGE } };
#define NR_FLAVOURS 2

static void begin(int i)
{
	bool is_dax = flavours[i].kind == DEVICE_DAX;

	fake_device_add(flavours[i].kind, "dev", flavours[i].size, is_dax ? PAGE : 4096);
	params = arena_params_for(is_dax ? "device" : NULL, NR_SLOTS);
	params.size = flavours[i].size;
	params.page_size = flavours[i].page_size;
	params.keep_blocks = flavours[i].size;
	open_arena();
	nr_pages = arena_identity(arena)->size / PAGE;
}

static int try_reserve(struct alloc **out, uint32_t uid, uint64_t len, bool any_contents)
{
	struct caller caller = caller_of(uid);
	struct arena_ask ask = { .len = len, .any_contents = any_contents };
	int r;

	while ((r = arena_reserve(out, arena, &caller, &ask, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	if (r == 0)
		ck_assert_int_eq(arena_settle(arena), 0);
	return r;
}

static struct alloc *take(uint32_t uid, uint64_t len, bool any_contents)
{
	struct alloc *alloc;
	int r = try_reserve(&alloc, uid, len, any_contents);

	ck_assert_msg(r == 0, "%s", why.text);
	return alloc;
}

static void give(struct alloc *alloc)
{
	struct caller caller = caller_of(alloc->uid);
	int r = alloc->state == ALLOC_RESERVED
			? arena_abort(arena, &caller, alloc, true, &why)
			: arena_free_alloc(arena, &caller, alloc, true, &why);

	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
}

static unsigned data_device(void)
{
	return (unsigned)image_find(recorder_image(rec), "dev");
}

/* All of @alloc has a byte that is its user's own. */
static void fill(const struct alloc *alloc)
{
	static unsigned char bytes[PAGE];

	memset(bytes, (int)(alloc->uid & 0x7f) + 1, sizeof(bytes));
	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent e = arena_extent(arena, alloc, i);

		for (uint64_t at = 0; at < e.len; at += PAGE)
			image_write(recorder_image(rec), data_device(), e.off + at, bytes,
				    e.len - at < PAGE ? e.len - at : PAGE);
	}
}

/* How many bytes of @alloc are zero, from the first on that is; up to its end. */
static uint64_t nr_zero(const struct alloc *alloc)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent e = arena_extent(arena, alloc, i);

		for (uint64_t at = 0; at < e.len; at++) {
			unsigned char byte;

			image_read(recorder_image(rec), data_device(), e.off + at, &byte, 1);
			nr += byte == 0;
		}
	}
	return nr;
}

static bool is_zero(const struct alloc *alloc)
{
	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent e = arena_extent(arena, alloc, i);

		if (image_find_nonzero(recorder_image(rec), data_device(), e.off, e.len) !=
		    e.off + e.len)
			return false;
	}
	return true;
}

static struct arena_stats stats(void)
{
	struct arena_stats now;

	arena_stats(arena, &now);
	return now;
}

/* Anna has asked, and has left @nr_left pages full of what is hers. */
static void leave(uint64_t nr_left)
{
	struct alloc *alloc = take(ANNA, nr_left * PAGE, true);

	ck_assert(is_zero(alloc));
	fill(alloc);
	give(alloc);
	ck_assert_uint_eq(stats().remains, nr_left * PAGE);
}

START_TEST(test_contents_own_space_comes_back_as_it_was)
{
	struct extent first;
	struct alloc *alloc;
	uint64_t scrubbed;

	begin(_i);
	leave(3);
	scrubbed = stats().scrubbed_bytes;
	alloc = take(ANNA, 2 * PAGE, true);
	ck_assert(alloc->has_contents);
	ck_assert_uint_eq(nr_zero(alloc), 0);
	first = alloc->extents[0];
	/* A round costs neither a scrub nor a fence for the zero map. */
	for (int i = 0; i < 10; i++) {
		give(alloc);
		alloc = take(ANNA, 2 * PAGE, true);
		ck_assert_uint_eq(alloc->extents[0].off, first.off);
	}
	ck_assert_uint_eq(stats().scrubbed_bytes, scrubbed);
	ck_assert_uint_eq(stats().remains, PAGE);
	ck_assert_uint_eq(stats().free, (nr_pages - 2) * PAGE);
	assert_clean();
}
END_TEST

START_TEST(test_contents_nothing_is_kept_for_who_does_not_ask)
{
	struct alloc *alloc;

	begin(_i);
	alloc = take(ANNA, 2 * PAGE, false);
	fill(alloc);
	give(alloc);
	ck_assert_uint_eq(stats().remains, 0);
	alloc = take(ANNA, nr_pages * PAGE, true);
	ck_assert(is_zero(alloc));
}
END_TEST

START_TEST(test_contents_another_user_gets_zeroes)
{
	struct alloc *alloc;

	begin(_i);
	leave(nr_pages - 1);
	/* Berta asks for any contents too: all that there is of hers is nothing. */
	for (int i = 0; i < 2; i++) {
		alloc = take(BERTA, 4 * PAGE, i);
		ck_assert(is_zero(alloc) && !alloc->has_contents);
		fill(alloc);
	}
	/* So does Anna without the flag, and a small allocation with it. */
	alloc = take(ANNA, 2 * PAGE, false);
	ck_assert(is_zero(alloc));
	ck_assert(is_zero(take(ANNA, 4096, true)));
	ck_assert(is_zero(take(BERTA, 4096, true)));
	assert_clean();
}
END_TEST

START_TEST(test_contents_all_of_the_arena_can_be_had_by_others)
{
	begin(_i);
	leave(nr_pages);
	ck_assert(is_zero(take(BERTA, nr_pages * PAGE, false)));
	ck_assert_uint_eq(stats().remains, 0);
	assert_clean();
}
END_TEST

/* Clean and kept pages lie in turn, so that no two of one kind are neighbours. */
START_TEST(test_contents_in_pieces_where_no_piece_is_clean)
{
	struct alloc *pages[64], *alloc;
	uint64_t scrubbed;

	begin(_i);
	for (uint64_t i = 0; i < nr_pages; i++) {
		pages[i] = take(i % 2 ? BERTA : ANNA, PAGE, true);
		fill(pages[i]);
	}
	for (uint64_t i = 0; i < nr_pages; i += 2)
		give(pages[i]);
	scrubbed = stats().scrubbed_bytes;
	alloc = take(ANNA, 3 * PAGE, true);
	ck_assert_uint_eq(alloc->nr_extents, 3);
	ck_assert_uint_eq(nr_zero(alloc), 0);
	ck_assert_uint_eq(stats().scrubbed_bytes, scrubbed);
	/* More than is there: it is refused, and what is kept is kept. */
	ck_assert_int_eq(try_reserve(&alloc, ANNA, nr_pages * PAGE, true), -ENOSPC);
	assert_clean();
}
END_TEST

START_TEST(test_contents_never_a_bad_page)
{
	struct extent was;
	struct alloc *alloc;
	uint64_t data_off;

	begin(_i);
	data_off = arena_identity(arena)->data_off;
	/* It went bad while it was in use, and while it was kept. */
	for (int i = 0; i < 2; i++) {
		alloc = take(ANNA, 3 * PAGE, true);
		fill(alloc);
		was = alloc->extents[0];
		if (i)
			give(alloc);
		ck_assert_int_eq(arena_poison(arena, data_off + (was.off << DESC_SHIFT) + PAGE, 4096,
					      &why),
				 0);
		if (!i)
			give(alloc);
		while (arena_collect(scrubber))
			;
		while (try_reserve(&alloc, ANNA, PAGE, true) == 0)
			ck_assert(alloc->extents[0].off != was.off + PAGE / 4096);
		assert_clean();
		arena_close(arena);
		renew_quota();
		clear_dir();
		open_arena();
	}
}
END_TEST

/* In order, and by a kill (the ledger stays): nobody knows any more who had it. */
START_TEST(test_contents_are_zeroed_after_a_start)
{
	begin(_i / 2);
	leave(nr_pages);
	if (_i % 2) {
		struct image *image = image_copy(recorder_image(rec));

		recorder_fail_from(rec, 0);
		arena_close(arena);
		recorder_load(rec, image);
		image_free(image);
	} else {
		arena_close(arena);
	}
	renew_quota();
	open_arena();
	ck_assert(is_zero(take(ANNA, nr_pages * PAGE, true)));
	assert_clean();
}
END_TEST

/* A request takes such space and fails: it does not count as zero, here and after a start. */
START_TEST(test_contents_that_nobody_got_are_not_taken_for_zero)
{
	struct caller caller;
	struct arena_ask ask = { .len = 2 * PAGE, .any_contents = true };
	struct alloc *alloc;

	begin(_i);
	leave(4);
	caller = caller_of(ANNA);
	/* There is no place for one more allocation. */
	while ((alloc = NULL, try_reserve(&alloc, BERTA, 4096, false)) == 0)
		;
	ck_assert_uint_gt(stats().remains, 0);
	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &ask, &why), -ENFILE);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(stats().known_zero + stats().remains, stats().free);
	arena_close(arena);
	renew_quota();
	clear_dir();
	open_arena();
	ck_assert(is_zero(take(ANNA, nr_pages * PAGE, true)));
	assert_clean();
}
END_TEST

START_TEST(test_contents_end_at_the_length)
{
	const uint64_t rest = 10000;
	struct alloc *alloc;

	begin(_i);
	leave(2);
	alloc = take(ANNA, 2 * PAGE - rest, true);
	ck_assert(alloc->has_contents);
	ck_assert_uint_eq(nr_zero(alloc), rest);
	fill(alloc);
	give(alloc);
	/* So much is not zeroed while others wait: it is zeroed space. */
	alloc = take(ANNA, PAGE + 4096, true);
	ck_assert(is_zero(alloc));
	assert_clean();
}
END_TEST

START_TEST(test_contents_grow_by_zeroes)
{
	struct caller caller;
	struct alloc *alloc;
	int r;

	begin(_i);
	leave(nr_pages);
	caller = caller_of(ANNA);
	alloc = take(ANNA, PAGE, true);
	while ((r = arena_resize(arena, &caller, alloc, 3 * PAGE, &why)) == -EAGAIN)
		arena_collect(scrubber);
	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_uint_eq(nr_zero(alloc), 2 * PAGE);
	assert_clean();
}
END_TEST

START_TEST(test_contents_are_for_plain_reservations_of_one_user)
{
	const struct arena_attrs to = { .which = ARENA_SET_UID, .uid = BERTA };
	struct arena_ask ask = { .len = PAGE, .any_contents = true, .publish = true, .mode = 0640 };
	struct caller caller, root;
	struct alloc *alloc;

	begin(_i);
	leave(2);
	caller = caller_of(ANNA);
	root = caller_of(0);
	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &ask, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "mode 640"));
	ask.mode = 0600;
	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &ask, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_uint_eq(nr_zero(alloc), 0);
	give(alloc);
	ask.publish = false;
	ask.lease = true;
	ck_assert_int_eq(arena_reserve(&alloc, arena, &caller, &ask, &why), -EINVAL);
	alloc = take(ANNA, PAGE, true);
	/* Berta would read what Anna left. After a kill it is still known. */
	ck_assert_int_eq(arena_setattr(arena, &root, alloc, &to, &why), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "publish"));
	ck_assert_int_eq(arena_publish(arena, &caller, alloc, 0, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	ck_assert_int_eq(arena_setattr(arena, &root, alloc, &to, &why), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	/* It was given to Berta with what was in it, so that is hers to know. */
	give(alloc);
	ck_assert_uint_eq(stats().remains, PAGE);
	assert_clean();
}
END_TEST

START_TEST(test_contents_of_a_reservation_are_known_after_a_kill)
{
	const struct arena_attrs to = { .which = ARENA_SET_UID, .uid = BERTA };
	struct image *image;
	struct caller root;
	struct alloc *alloc;
	uint32_t slot;
	uint64_t id;

	begin(_i);
	leave(2);
	alloc = take(ANNA, PAGE, true);
	slot = alloc->slot;
	id = alloc->id;
	image = image_copy(recorder_image(rec));
	recorder_fail_from(rec, 0);
	arena_close(arena);
	recorder_load(rec, image);
	image_free(image);
	renew_quota();
	open_arena();
	root = caller_of(0);
	alloc = arena_find(arena, slot, id);
	ck_assert_ptr_nonnull(alloc);
	ck_assert_uint_eq(nr_zero(alloc), 0);
	ck_assert_int_eq(arena_setattr(arena, &root, alloc, &to, &why), -EBUSY);
}
END_TEST

START_TEST(test_contents_are_scrubbed_when_nobody_asks_any_more)
{
	unsigned ticks = 0;

	begin(_i);
	leave(4);
	while (stats().known_zero < stats().free && ticks++ < 100) {
		arena_tick(arena);
		while (arena_collect(scrubber))
			;
	}
	ck_assert_uint_gt(ticks, 2);
	ck_assert_uint_lt(ticks, 100);
	ck_assert_uint_eq(stats().remains, 0);
	assert_clean();
}
END_TEST

/* Of a file so many free pages keep their blocks as the configuration says. */
START_TEST(test_contents_of_a_file_are_bounded)
{
	struct alloc *alloc;

	begin(0);
	arena_close(arena);
	renew_quota();
	params.keep_blocks = 4 * PAGE;
	open_arena();
	alloc = take(ANNA, PAGE, true);
	for (uint64_t i = 0; i < 6; i++) {
		struct alloc *other = take(ANNA, PAGE, true);

		give(alloc);
		alloc = other;
	}
	give(alloc);
	alloc = take(ANNA, 6 * PAGE, true);
	give(alloc);
	ck_assert_uint_le(stats().remains, 4 * PAGE);
	while (arena_collect(scrubber))
		;
	ck_assert_uint_eq(stats().known_zero + stats().remains, stats().free);
	assert_clean();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_contents_own_space_comes_back_as_it_was, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_nothing_is_kept_for_who_does_not_ask, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_another_user_gets_zeroes, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_all_of_the_arena_can_be_had_by_others, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_in_pieces_where_no_piece_is_clean, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_never_a_bad_page, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_are_zeroed_after_a_start, 0, 2 * NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_that_nobody_got_are_not_taken_for_zero, 0,
			    NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_end_at_the_length, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_grow_by_zeroes, 0, NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_are_for_plain_reservations_of_one_user, 0,
			    NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_of_a_reservation_are_known_after_a_kill, 0,
			    NR_FLAVOURS);
	tcase_add_loop_test(t, test_contents_are_scrubbed_when_nobody_asks_any_more, 0,
			    NR_FLAVOURS);
	tcase_add_test(t, test_contents_of_a_file_are_bounded);
}

UNIT("contents", { .add = add_tests, .setup = setup_arena, .teardown = teardown_arena,
		   .timeout_s = 60 });
