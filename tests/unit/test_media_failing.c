/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real media on files that shrink under the mapping, on file systems that are full, and on a
 * disk that cannot write.
 */
#include <config.h>

#include "daemon/media/media.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/unit/media_fixture.h"
#include "tests/unit/unit.h"

/*
 * A client cut the file: what is gone answers -EIO, what is left works, and it does not grow back.
 */
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
		ck_assert_int_eq(media_persist(media, end, 8),
				 media_granularity(media) == MEDIA_BYTE ? 0 : -EIO);
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

/*
 * A thousand times, in the loop thread and in workers at once: each comes back, nothing is left
 * armed or blocked.
 */
static void *trip_a_lot(void *arg)
{
	uint64_t *word = arg;
	sigset_t mask;

	for (int i = 0; i < 1000; i++) {
		if (media_read(media, word, SIZE - 8, 8) != -EIO ||
		    media_read(media, word, 0, 8) != 0 || media_zero(media, SIZE / 2, PAGE) != -EIO)
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

/* A file system of its own, in a mount namespace of the test's process: gone with it. */
static bool mount_small(const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	return mount("small", "/mnt", "tmpfs", 0, options) == 0;
}

/*
 * A full file system: asking first is -ENOSPC, not asking is -EIO; never a death. What there was
 * stays.
 */
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
 * A disk that takes no writes: ext4 on a loop device over a file in a full tmpfs. The first fence
 * fails, and none after it may succeed, though the kernel would say so. media_punch() has the same
 * duty.
 */
START_TEST(test_media_after_a_failed_write_back_never_fences_again)
{
	static const char *const prepare =
		"truncate -s 64M /mnt/disk && mke2fs -q -t ext4 -O ^has_journal -E "
		"lazy_itable_init=0,nodiscard /mnt/disk && "
		"mkdir /mnt/fs && mount -o loop /mnt/disk /mnt/fs && truncate -s 4M /mnt/fs/arena "
		"&& "
		"dd if=/dev/zero of=/mnt/fs/arena bs=1M count=4 conv=notrunc && sync -f /mnt/fs && "
		"rm -f /mnt/fill && "
		"dd if=/dev/zero of=/mnt/fill bs=4k";
	char command[1024];

	/* dd ends with an error when the tmpfs is full, as it must. */
	snprintf(command, sizeof(command), "{ PATH=$PATH:/sbin:/usr/sbin; %s; } >/dev/null 2>&1",
		 prepare);
	if (!mount_small("size=8m") || system(command) == 0 || access("/mnt/fs/arena", F_OK) < 0) {
		puts("SKIP test_media_after_a_failed_write_back_never_fences_again: needs root, "
		     "mke2fs and loop devices");
		return;
	}
	unsetenv("PMEM2_FORCE_GRANULARITY");
	open_at("/mnt/fs/arena", false);
	ck_assert_int_eq(media_granularity(media), MEDIA_PAGE);
	if (system("fallocate -p -l 32M /mnt/disk && rm -f /mnt/fill && dd if=/dev/zero "
		   "of=/mnt/fill bs=4k >/dev/null 2>&1") == 0)
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

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_media_of_a_truncated_file_answers_eio, 0, NR_WAYS);
	tcase_add_test(t, test_media_fence_of_a_truncated_file_is_eio_not_success);
	tcase_add_loop_test(t, test_media_sigbus_in_many_threads, 0, NR_WAYS);
	tcase_add_loop_test(t, test_media_on_a_full_file_system, 0, NR_FORCED);
	tcase_add_test(t, test_media_after_a_failed_write_back_never_fences_again);
}

UNIT("media_failing", { .add = add_tests, .teardown = teardown });
