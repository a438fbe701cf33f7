/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane: ids that clients see and cannot write, over restarts, on a file system that is full.
 *
 * Links with --wrap=posix_fallocate.
 */
#include <config.h>

#include "daemon/books/plane.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define NR_SLOTS 1000000

static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
				  1,	2,    3,    4,	  5,	6,    7,    8 };
static const char file_name[] = "12345678-9abc-def0-0102-030405060708.plane";

static bool is_full;
static int nr_allocated;

int __real_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);

int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
	nr_allocated++;
	return is_full ? ENOSPC : __real_posix_fallocate(fd, off, len);
}

static char dir[64], path[128];
static struct plane *plane;
static struct why why;

static void reopen(uint64_t nr_slots)
{
	plane_close(plane);
	why.text[0] = '\0';
	if (plane_open(&plane, dir, uuid, nr_slots, &why) < 0)
		ck_abort_msg("%s", why.text);
}

static void setup(void)
{
	is_full = false;
	nr_allocated = 0;
	plane = NULL;
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_plane.XXXXXX"
						  : "/tmp/test_plane.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, file_name);
	reopen(NR_SLOTS);
}

static void teardown(void)
{
	plane_close(plane);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void set(uint32_t slot, uint64_t id)
{
	ck_assert_int_eq(plane_prepare(plane, slot), 0);
	plane_set(plane, slot, id);
}

static const uint64_t *map_as_client(void)
{
	const void *map = mmap(NULL, plane_bytes(plane), PROT_READ, MAP_SHARED, plane_fd(plane), 0);

	ck_assert(map != MAP_FAILED);
	return map;
}

START_TEST(test_plane_client_sees_what_is_set)
{
	const uint64_t *ids = map_as_client();

	ck_assert_uint_ge(plane_bytes(plane), NR_SLOTS * sizeof(uint64_t));
	ck_assert_uint_eq(ids[4711], 0);
	set(4711, UINT64_C(0x1122334455667788));
	set(NR_SLOTS - 1, 2);
	ck_assert_uint_eq(le64toh(ids[4711]), UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(le64toh(ids[NR_SLOTS - 1]), 2);
	plane_set(plane, 4711, 0);
	plane_set(plane, 4711, 0);
	ck_assert_uint_eq(ids[4711], 0);
	munmap((void *)ids, plane_bytes(plane));
}
END_TEST

START_TEST(test_plane_client_cannot_write)
{
	uint64_t id = 1;
	void *map;

	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, plane_fd(plane), 0);
	ck_assert(map == MAP_FAILED && errno == EACCES);
	ck_assert(pwrite(plane_fd(plane), &id, sizeof(id), 0) < 0 && errno == EBADF);
	ck_assert(ftruncate(plane_fd(plane), 0) < 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, plane_fd(plane), 0);
	ck_assert(mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	munmap(map, 4096);
}
END_TEST

START_TEST(test_plane_file_is_the_daemons_alone_and_its_fds_are_not_inherited)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert(fcntl(plane_fd(plane), F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(test_plane_outlives_the_daemon)
{
	const uint64_t *ids = map_as_client();
	uint64_t bytes = plane_bytes(plane);

	set(5, 55);
	set(100000, 66);
	plane_close(plane);
	plane = NULL;
	ck_assert_uint_eq(le64toh(ids[5]), 55);
	reopen(NR_SLOTS);
	ck_assert_uint_eq(plane_get(plane, 5), 55);
	ck_assert_uint_eq(plane_get(plane, 100000), 66);
	ck_assert_uint_eq(plane_get(plane, 200000), 0);
	/* An old client and a new daemon: still the same file. */
	plane_set(plane, 5, 0);
	set(6, 77);
	ck_assert_uint_eq(ids[5], 0);
	ck_assert_uint_eq(le64toh(ids[6]), 77);
	munmap((void *)ids, bytes);
}
END_TEST

START_TEST(test_plane_costs_what_is_used)
{
	struct stat st;
	int nr_wrong = 0;

	for (uint32_t slot = 0; slot < NR_SLOTS; slot++)
		plane_set(plane, slot, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	/* A block that says whose it is and how far. */
	ck_assert_int_le(st.st_blocks, 8);
	nr_allocated = 0;
	for (uint32_t slot = 0; slot < 512; slot++)
		set(slot, slot + 1);
	set(NR_SLOTS / 2, 1);
	ck_assert_int_eq(nr_allocated, 2);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_le(st.st_blocks, 3 * 8);
	reopen(NR_SLOTS);
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++)
		nr_wrong +=
			plane_get(plane, slot) != (slot < 512 ? slot + 1 : slot == NR_SLOTS / 2);
	ck_assert_int_eq(nr_wrong, 0);
	/* What is prepared stays so. */
	ck_assert_int_eq(plane_prepare(plane, 7), 0);
	ck_assert_int_eq(nr_allocated, 3);
}
END_TEST

START_TEST(test_plane_prepare_without_space_is_refused_and_tried_again)
{
	is_full = true;
	ck_assert_int_eq(plane_prepare(plane, 9), -ENOSPC);
	ck_assert_int_eq(plane_prepare(plane, 9), -ENOSPC);
	plane_set(plane, 9, 0);
	ck_assert_uint_eq(plane_get(plane, 9), 0);
	is_full = false;
	set(9, 1);
	is_full = true;
	ck_assert_int_eq(plane_prepare(plane, 10), 0);
}
END_TEST

static int fill_small_tmpfs(void)
{
	struct plane *p;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=64k,huge=never") < 0)
		return 77;
	r = plane_open(&p, dir, uuid, NR_SLOTS, NULL);
	for (uint32_t slot = 0; r == 0 && slot < NR_SLOTS; slot += 512) {
		r = plane_prepare(p, slot);
		if (r == 0)
			plane_set(p, slot, slot + 1);
	}
	return r == -ENOSPC ? 0 : 1;
}

START_TEST(test_plane_full_tmpfs_is_an_error_and_no_signal)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fill_small_tmpfs());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("test_plane_full_tmpfs_is_an_error_and_no_signal needs to mount a tmpfs: "
		       "not tried\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_plane_grows_and_never_shrinks)
{
	struct stat st;

	set(NR_SLOTS - 1, 1);
	reopen(NR_SLOTS * 2);
	set(NR_SLOTS * 2 - 1, 2);
	ck_assert_uint_eq(plane_get(plane, NR_SLOTS - 1), 1);
	reopen(10);
	ck_assert_uint_eq(plane_bytes(plane), 4096);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_size, NR_SLOTS * 16);
	reopen(0);
	ck_assert_uint_eq(plane_bytes(plane), 4096);
}
END_TEST

START_TEST(test_plane_open_refuses_what_it_cannot_have)
{
	struct plane *p;

	ck_assert_int_eq(plane_open(&p, dir, uuid, (UINT64_C(1) << 32) + 1, &why), -EINVAL);
	ck_assert_int_eq(plane_open(&p, "/nonexistent", uuid, 10, &why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/"));
	plane_close(plane);
	plane = NULL;
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(plane_open(&p, dir, uuid, 10, &why), -ELOOP);
	plane_close(NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_plane_client_sees_what_is_set);
	tcase_add_test(t, test_plane_client_cannot_write);
	tcase_add_test(t, test_plane_file_is_the_daemons_alone_and_its_fds_are_not_inherited);
	tcase_add_test(t, test_plane_outlives_the_daemon);
	tcase_add_test(t, test_plane_costs_what_is_used);
	tcase_add_test(t, test_plane_prepare_without_space_is_refused_and_tried_again);
	tcase_add_test(t, test_plane_full_tmpfs_is_an_error_and_no_signal);
	tcase_add_test(t, test_plane_grows_and_never_shrinks);
	tcase_add_test(t, test_plane_open_refuses_what_it_cannot_have);
}

UNIT("plane", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
