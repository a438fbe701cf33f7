/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real media on files: every granularity that can be forced, every size and offset at the
 * edges. What fails is in test_media_failing.c.
 */
#include <config.h>

#include "daemon/media/media.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/media_fixture.h"
#include "tests/unit/unit.h"

START_TEST(test_media_granularity_is_what_was_forced)
{
	open_way(_i);
	ck_assert_int_eq(media_granularity(media), forced[_i % NR_FORCED].is);
	ck_assert_uint_eq(media_len(media), SIZE);
	ck_assert_str_eq(media_granularity_name(MEDIA_BYTE), "byte");
	ck_assert_str_eq(media_granularity_name(MEDIA_CACHE_LINE), "cache-line");
	ck_assert_str_eq(media_granularity_name(MEDIA_PAGE), "page");
}
END_TEST

static const uint64_t lens[] = { 0, 1, 7, 8, 63, 64, 65, 127, 4095, 4096, 4097, 70000 };
static const uint64_t offs[] = { 0, 1, 8, 63, 64, 4095, 4096, MiB - 1, SIZE - 70000 };

/*
 * Store, flush, fence, read back, also from the file; then zero it again. Neighbours keep what they
 * have.
 */
START_TEST(test_media_round_trip_at_every_edge)
{
	static unsigned char bytes[70000], zeroes[70000], back[70002], expect[70002];

	open_way(_i);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + 1);
	for (size_t o = 0; o < NR(offs); o++)
		for (size_t l = 0; l < NR(lens); l++) {
			uint64_t off = offs[o], len = lens[l];
			uint64_t before = off ? 1 : 0, after = off + len < SIZE ? 1 : 0;

			memset(expect, 0, sizeof(expect));
			memcpy(expect + before, bytes, len);
			ck_assert_int_eq(media_store(media, off, bytes, len), 0);
			ck_assert_int_eq(media_flush(media, off, len), 0);
			ck_assert_int_eq(media_fence(media), 0);
			ck_assert_int_eq(
				media_read(media, back, off - before, before + len + after), 0);
			ck_assert_mem_eq(back, expect, before + len + after);
			ck_assert_int_eq((int)pread(device_fd(device), back, len, (off_t)off),
					 (int)len);
			ck_assert_int_eq(memcmp(back, bytes, len), 0);
			ck_assert_int_eq(media_zero(media, off, len), 0);
			ck_assert_int_eq(media_persist(media, off, 0), 0);
			ck_assert_int_eq(media_read(media, back, off, len), 0);
			ck_assert_int_eq(memcmp(back, zeroes, len), 0);
		}
}
END_TEST

START_TEST(test_media_ranges_outside_are_refused)
{
	static const struct { uint64_t off, len;
	} bad[] = {
		{ SIZE, 1 },	    { SIZE - 1, 2 },   { 0, SIZE + 1 },
		{ UINT64_MAX, 1 },  { 1, UINT64_MAX }, { UINT64_MAX, UINT64_MAX },
		{ SIZE + PAGE, 0 },
	};
	char byte = 1;

	open_way(_i);
	for (size_t i = 0; i < NR(bad); i++) {
		ck_assert_int_eq(media_read(media, &byte, bad[i].off, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_store(media, bad[i].off, &byte, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_flush(media, bad[i].off, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_persist(media, bad[i].off, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_zero(media, bad[i].off, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_punch(media, bad[i].off, bad[i].len), -EINVAL);
		ck_assert_int_eq(media_allocate(media, bad[i].off, bad[i].len), -EINVAL);
	}
	ck_assert_int_eq(media_store64(media, SIZE - 7, 1), -EINVAL);
	ck_assert_int_eq(media_store64(media, 12, 1), -EINVAL);
	ck_assert_int_eq(media_store64(media, SIZE - 8, 1), 0);
	ck_assert_int_eq(media_read(media, &byte, SIZE, 0), 0);
}
END_TEST

START_TEST(test_media_open_checks_alignment_and_end)
{
	static const struct { uint64_t off, len;
	} bad[] = {
		{ 0, 0 },
		{ 512, PAGE },
		{ 0, 512 },
		{ 0, SIZE + PAGE },
		{ SIZE, PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE },
		{ PAGE, UINT64_MAX - PAGE + 1 },
	};
	struct media *other;

	open_way(0);
	for (size_t i = 0; i < NR(bad); i++) {
		why.text[0] = '\0';
		ck_assert_int_eq(media_open(&other, device, bad[i].off, bad[i].len, &why), -EINVAL);
		ck_assert(why.text[0]);
	}
}
END_TEST

/* Offsets are relative to the media, and two media of one device see the same bytes. */
START_TEST(test_media_part_of_a_device)
{
	uint64_t word = 0;
	struct media *part;

	open_way(_i);
	ck_assert_int_eq(media_open(&part, device, MiB, PAGE, &why), 0);
	ck_assert_int_eq(media_store64(part, 8, 77), 0);
	ck_assert_int_eq(media_persist(part, 8, 8), 0);
	ck_assert_int_eq(media_read(media, &word, MiB + 8, 8), 0);
	ck_assert_uint_eq(word, 77);
	ck_assert_int_eq(media_store64(part, PAGE, 1), -EINVAL);
	ck_assert_int_eq(media_punch(part, 0, PAGE), 0);
	ck_assert_int_eq(media_read(media, &word, MiB + 8, 8), 0);
	ck_assert_uint_eq(word, 0);
	media_close(part);
}
END_TEST

START_TEST(test_media_read_only_refuses_all_that_writes)
{
	uint64_t word = 1;

	open_way(_i);
	ck_assert_int_eq(media_store64(media, 0, 5), 0);
	close_all();
	open_at(file, true);
	ck_assert_int_eq(media_read(media, &word, 0, 8), 0);
	ck_assert_uint_eq(word, 5);
	ck_assert_int_eq(media_store(media, 0, &word, 8), -EROFS);
	ck_assert_int_eq(media_store64(media, 0, 6), -EROFS);
	ck_assert_int_eq(media_zero(media, 0, 8), -EROFS);
	ck_assert_int_eq(media_flush(media, 0, 8), -EROFS);
	ck_assert_int_eq(media_persist(media, 0, 8), -EROFS);
	ck_assert_int_eq(media_punch(media, 0, PAGE), -EROFS);
	ck_assert_int_eq(media_allocate(media, 0, PAGE), -EROFS);
	ck_assert_int_eq(media_fence(media), 0);
}
END_TEST

/*
 * The blocks are counted before the bytes are read: on tmpfs a read of a hole through a mapping
 * fills it.
 */
START_TEST(test_media_punch_gives_blocks_back_and_zeroes)
{
	static unsigned char bytes[SIZE], back[SIZE];
	static const struct { uint64_t off, len, pages;
	} ranges[] = {
		{ 0, PAGE, 1 },	    { MiB, MiB, MiB / PAGE },
		{ 100, 5, 0 },	    { 2 * MiB + 100, 3 * PAGE, 2 },
		{ SIZE - 1, 1, 0 }, { 7, 0, 0 },
	};
	uint64_t before;

	open_way(_i);
	memset(bytes, 0xaa, sizeof(bytes));
	ck_assert_int_eq(media_store(media, 0, bytes, SIZE), 0);
	ck_assert_int_eq(media_persist(media, 0, SIZE), 0);
	ck_assert_int_eq(fsync(device_fd(device)), 0);
	for (size_t i = 0; i < NR(ranges); i++) {
		before = nr_blocks();
		ck_assert_int_eq(media_punch(media, ranges[i].off, ranges[i].len), 0);
		ck_assert_uint_eq(nr_blocks(), before - ranges[i].pages * PAGE);
		memset(bytes + ranges[i].off, 0, ranges[i].len);
		ck_assert_int_eq(media_read(media, back, 0, SIZE), 0);
		ck_assert_mem_eq(back, bytes, SIZE);
	}
	ck_assert_uint_eq(file_size(), SIZE);
}
END_TEST

START_TEST(test_media_allocate_takes_blocks_and_keeps_contents)
{
	uint64_t word;

	open_way(_i);
	ck_assert_uint_eq(nr_blocks(), 0);
	ck_assert_int_eq(media_store64(media, MiB, 42), 0);
	ck_assert_int_eq(media_allocate(media, MiB, MiB), 0);
	ck_assert_int_eq(media_allocate(media, MiB, MiB), 0);
	ck_assert_uint_ge(nr_blocks(), MiB);
	ck_assert_uint_lt(nr_blocks(), 2 * MiB);
	ck_assert_int_eq(media_read(media, &word, MiB, 8), 0);
	ck_assert_uint_eq(word, 42);
	ck_assert_uint_eq(file_size(), SIZE);
}
END_TEST

static atomic_bool hammering = true;

static void *hammer(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; hammering; i++)
		media_store64(media, PAGE, i & 1 ? UINT64_MAX : 0);
	return NULL;
}

START_TEST(test_media_store64_is_never_torn)
{
	pthread_t thread;
	uint64_t *word;

	open_way(_i);
	word = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device_fd(device), (off_t)PAGE);
	ck_assert_int_eq(pthread_create(&thread, NULL, hammer, NULL), 0);
	for (int i = 0; i < 300000; i++) {
		uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);

		if (seen != 0 && seen != UINT64_MAX)
			ck_abort_msg("torn: %#lx", (unsigned long)seen);
	}
	hammering = false;
	pthread_join(thread, NULL);
	munmap(word, PAGE);
}
END_TEST

START_TEST(test_media_without_address_space_is_refused)
{
	struct rlimit limit;
	struct media *other;

	open_way(0);
	ck_assert_int_eq(ftruncate(device_fd(device), INT64_C(1) << 40), 0);
	close_all();
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = file }, &why), 0);
#ifndef __SANITIZE_ADDRESS__
	limit.rlim_cur = INT64_C(1) << 38;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(media_open(&other, device, 0, UINT64_C(1) << 40, &why), -ENOMEM);
#endif
	ck_assert_int_eq(media_open(&other, device, 0, PAGE, &why), 0);
	media_close(other);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_media_granularity_is_what_was_forced, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_round_trip_at_every_edge, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_ranges_outside_are_refused, 0, NR_WAYS);
	tcase_add_test(t, test_media_open_checks_alignment_and_end);
	tcase_add_loop_test(t, test_media_part_of_a_device, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_read_only_refuses_all_that_writes, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_punch_gives_blocks_back_and_zeroes, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_allocate_takes_blocks_and_keeps_contents, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_store64_is_never_torn, 0, 2);
	tcase_add_test(t, test_media_without_address_space_is_refused);
}

UNIT("media", { .add = add_tests, .teardown = teardown });
