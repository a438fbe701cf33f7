/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real media on files: every granularity that can be forced, every size and offset at the edges, files that shrink
 * under the mapping, file systems that are full, and a disk that cannot write. tmpfs and a disk's file system both.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media/media.h"

#define PAGE UINT64_C(4096)
#define MiB  (UINT64_C(1) << 20)
#define SIZE (4 * MiB)

static const char *const places[] = { "/tmp", "/dev/shm" };
static const struct { const char *force; enum media_granularity is; } forced[] = {
	{ "BYTE", MEDIA_BYTE }, { "CACHE_LINE", MEDIA_CACHE_LINE }, { "CACHELINE", MEDIA_CACHE_LINE },
	{ "cache_line", MEDIA_CACHE_LINE }, { "PAGE", MEDIA_PAGE }, { NULL, MEDIA_PAGE }, { "nonsense", MEDIA_PAGE },
};
#define NR_FORCED ((int)(sizeof(forced) / sizeof(forced[0])))

/* A loop test's _i: every granularity at every place. */
#define NR_WAYS (2 * NR_FORCED)

static char file[64];
static struct why why;
static struct device *device;
static struct media *media;

static void open_at(const char *path, bool read_only)
{
	struct device_request request = { .spec = path, .size = SIZE, .read_only = read_only };

	ck_assert_msg(device_open(&device, &request, &why) == 0, "%s", why.text);
	ck_assert_msg(media_open(&media, device, 0, SIZE, &why) == 0, "%s", why.text);
}

static void close_all(void)
{
	media_close(media);
	device_close(device);
	media = NULL;
	device = NULL;
}

static void open_way(int way)
{
	int place = way / NR_FORCED, force = way % NR_FORCED;

	snprintf(file, sizeof(file), "%s/test_media.%d", places[place], getpid());
	if (forced[force].force)
		setenv("PMEM2_FORCE_GRANULARITY", forced[force].force, 1);
	else
		unsetenv("PMEM2_FORCE_GRANULARITY");
	open_at(file, false);
}

static void teardown(void)
{
	close_all();
	if (file[0])
		unlink(file);
}

static uint64_t nr_blocks(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(device_fd(device), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t file_size(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(device_fd(device), &st), 0);
	return (uint64_t)st.st_size;
}

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
#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* Store, flush, fence, read back, also from the file; then zero it again. Neighbours keep what they have. */
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
			ck_assert_int_eq(media_read(media, back, off - before, before + len + after), 0);
			ck_assert_mem_eq(back, expect, before + len + after);
			ck_assert_int_eq((int)pread(device_fd(device), back, len, (off_t)off), (int)len);
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
	static const struct { uint64_t off, len; } bad[] = {
		{ SIZE, 1 }, { SIZE - 1, 2 }, { 0, SIZE + 1 }, { UINT64_MAX, 1 }, { 1, UINT64_MAX }, { UINT64_MAX, UINT64_MAX },
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
		ck_assert_int_eq(media_deep_flush(media, bad[i].off, bad[i].len), -EINVAL);
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
	static const struct { uint64_t off, len; } bad[] = {
		{ 0, 0 }, { 512, PAGE }, { 0, 512 }, { 0, SIZE + PAGE }, { SIZE, PAGE }, { UINT64_MAX - PAGE + 1, PAGE },
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

/* A client cut the file: what is gone answers -EIO, what is left works, and it does not grow back. */
START_TEST(test_media_of_a_truncated_file_answers_eio)
{
	static const uint64_t ends[] = { 0, PAGE, 2 * PAGE, MiB, SIZE - PAGE };
	static unsigned char bytes[2 * PAGE];

	open_way(_i);
	ck_assert_int_eq(media_allocate(media, 0, SIZE), 0);
	for (size_t i = NR(ends); i-- > 0;) {
		uint64_t end = ends[i];

		ck_assert_int_eq(ftruncate(device_fd(device), (off_t)end), 0);
		ck_assert_int_eq(media_read(media, bytes, end, 1), -EIO);
		ck_assert_int_eq(media_store(media, end, bytes, 1), -EIO);
		ck_assert_int_eq(media_store64(media, end, 1), -EIO);
		ck_assert_int_eq(media_zero(media, end, PAGE), -EIO);
		ck_assert_int_eq(media_persist(media, end, 8), media_granularity(media) == MEDIA_BYTE ? 0 : -EIO);
		ck_assert_int_eq(media_allocate(media, end, PAGE), -EIO);
		ck_assert_int_eq(media_punch(media, end, PAGE), -EIO);
		if (end) {
			ck_assert_int_eq(media_read(media, bytes, end - 1, 1), 0);
			ck_assert_int_eq(media_store(media, end - PAGE, bytes, 2 * PAGE), -EIO);
			ck_assert_int_eq(media_store(media, end - 1, bytes, 1), 0);
		}
		ck_assert_uint_eq(file_size(), end);
	}
	ck_assert(!device_is_present(device));
}
END_TEST

START_TEST(test_media_fence_of_a_truncated_file_is_eio_not_success)
{
	open_way(NR_FORCED - 1);
	ck_assert_int_eq(media_store64(media, MiB, 1), 0);
	ck_assert_int_eq(media_flush(media, MiB, 8), 0);
	ck_assert_int_eq(ftruncate(device_fd(device), (off_t)PAGE), 0);
	ck_assert_int_eq(media_fence(media), -EIO);
}
END_TEST

/* A thousand times, in the loop thread and in workers at once: each comes back, nothing is left armed or blocked. */
static void *trip_a_lot(void *arg)
{
	uint64_t *word = arg;
	sigset_t mask;

	for (int i = 0; i < 1000; i++) {
		if (media_read(media, word, SIZE - 8, 8) != -EIO || media_read(media, word, 0, 8) != 0 ||
		    media_zero(media, SIZE / 2, PAGE) != -EIO)
			ck_abort_msg("trip %d went wrong", i);
	}
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGBUS), 0);
	return NULL;
}

START_TEST(test_media_sigbus_in_many_threads)
{
	pthread_t threads[3];
	uint64_t words[4];

	open_way(_i);
	ck_assert_int_eq(ftruncate(device_fd(device), (off_t)PAGE), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, trip_a_lot, &words[i]), 0);
	trip_a_lot(&words[3]);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

/* The blocks are counted before the bytes are read: on tmpfs a read of a hole through a mapping fills it. */
START_TEST(test_media_punch_gives_blocks_back_and_zeroes)
{
	static unsigned char bytes[SIZE], back[SIZE];
	static const struct { uint64_t off, len, pages; } ranges[] = {
		{ 0, PAGE, 1 }, { MiB, MiB, MiB / PAGE }, { 100, 5, 0 }, { 2 * MiB + 100, 3 * PAGE, 2 }, { SIZE - 1, 1, 0 },
		{ 7, 0, 0 },
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
	ck_assert_int_eq(media_deep_flush(media, 0, SIZE), 0);
}
END_TEST

/* A file system of its own, in a mount namespace of the test's process: gone with it. */
static bool mount_small(const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	return mount("small", "/mnt", "tmpfs", 0, options) == 0;
}

/* A full file system: asking first is -ENOSPC, not asking is -EIO; never a death. What there was stays. */
START_TEST(test_media_on_a_full_file_system)
{
	uint64_t word = 0;

	if (!mount_small("size=2m")) {
		puts("SKIP test_media_on_a_full_file_system: needs root");
		return;
	}
	setenv("PMEM2_FORCE_GRANULARITY", forced[_i].force ? forced[_i].force : "", 1);
	open_at("/mnt/arena", false);
	ck_assert_int_eq(media_store64(media, 0, 7), 0);
	ck_assert_int_eq(media_allocate(media, 0, SIZE), -ENOSPC);
	ck_assert_int_eq(media_allocate(media, 0, MiB), 0);
	ck_assert_int_eq(media_allocate(media, MiB, 2 * MiB), -ENOSPC);
	ck_assert_int_eq(media_allocate(media, MiB, MiB), 0);
	ck_assert_int_eq(media_store64(media, 3 * MiB, 7), -EIO);
	ck_assert_int_eq(media_zero(media, MiB, 2 * MiB), -EIO);
	ck_assert_int_eq(media_read(media, &word, 0, 8), 0);
	ck_assert_uint_eq(word, 7);
	ck_assert_int_eq(media_punch(media, MiB, MiB), 0);
	ck_assert_int_eq(media_allocate(media, 3 * MiB, MiB), 0);
	ck_assert_int_eq(media_store64(media, 3 * MiB, 7), 0);
	ck_assert_int_eq(media_persist(media, 3 * MiB, 8), 0);
}
END_TEST

/*
 * A disk that takes no writes: ext4 on a loop device over a file in a full tmpfs. The first fence fails, and none after
 * it may succeed, though the kernel would say so. media_punch() has the same duty.
 */
START_TEST(test_media_after_a_failed_write_back_never_fences_again)
{
	static const char *const prepare =
		"truncate -s 64M /mnt/disk && mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=0,nodiscard /mnt/disk && "
		"mkdir /mnt/fs && mount -o loop /mnt/disk /mnt/fs && truncate -s 4M /mnt/fs/arena && "
		"dd if=/dev/zero of=/mnt/fs/arena bs=1M count=4 conv=notrunc && sync -f /mnt/fs && rm -f /mnt/fill && "
		"dd if=/dev/zero of=/mnt/fill bs=4k";
	char command[1024];

	/* dd ends with an error when the tmpfs is full, as it must. */
	snprintf(command, sizeof(command), "{ PATH=$PATH:/sbin:/usr/sbin; %s; } >/dev/null 2>&1", prepare);
	if (!mount_small("size=8m") || system(command) == 0 || access("/mnt/fs/arena", F_OK) < 0) {
		puts("SKIP test_media_after_a_failed_write_back_never_fences_again: needs root, mke2fs and loop devices");
		return;
	}
	unsetenv("PMEM2_FORCE_GRANULARITY");
	open_at("/mnt/fs/arena", false);
	ck_assert_int_eq(media_granularity(media), MEDIA_PAGE);
	if (system("fallocate -p -l 32M /mnt/disk && rm -f /mnt/fill && dd if=/dev/zero of=/mnt/fill bs=4k >/dev/null 2>&1") == 0)
		ck_abort_msg("the tmpfs is not full");
	for (uint64_t off = 0; off < SIZE; off += PAGE)
		ck_assert_int_eq(media_store64(media, off, off + 1), 0);
	ck_assert_int_eq(media_flush(media, 0, SIZE), 0);
	ck_assert_int_eq(media_fence(media), -EIO);
	ck_assert_int_eq(media_fence(media), -EIO);
	ck_assert_int_eq(media_persist(media, 0, 8), -EIO);
	ck_assert_int_eq(system("rm -f /mnt/fill"), 0);
	ck_assert_int_eq(media_fence(media), -EIO);
	close_all();
	ck_assert_int_eq(system("umount /mnt/fs"), 0);
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

static Suite *suite(void)
{
	Suite *s = suite_create("media");
	TCase *tc = tcase_create("media");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, test_media_granularity_is_what_was_forced, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_round_trip_at_every_edge, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_ranges_outside_are_refused, 0, NR_WAYS);
	tcase_add_test(tc, test_media_open_checks_alignment_and_end);
	tcase_add_loop_test(tc, test_media_part_of_a_device, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_read_only_refuses_all_that_writes, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_of_a_truncated_file_answers_eio, 0, NR_WAYS);
	tcase_add_test(tc, test_media_fence_of_a_truncated_file_is_eio_not_success);
	tcase_add_loop_test(tc, test_media_sigbus_in_many_threads, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_punch_gives_blocks_back_and_zeroes, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_allocate_takes_blocks_and_keeps_contents, 0, NR_WAYS);
	tcase_add_loop_test(tc, test_media_on_a_full_file_system, 0, NR_FORCED);
	tcase_add_test(tc, test_media_after_a_failed_write_back_never_fences_again);
	tcase_add_loop_test(tc, test_media_store64_is_never_torn, 0, 2);
	tcase_add_test(tc, test_media_without_address_space_is_refused);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
