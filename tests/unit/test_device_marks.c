/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_marks: the marks of sessions, with everything that can keep one alive: descriptors,
 * mappings, children, exec(), and descriptors that are still in a socket.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/unit.h"

#define MARKS (UINT64_C(1) << 62)       /* the byte of number 0 */

static const uint64_t numbers[] = { 0,
				    1,
				    2,
				    63,
				    64,
				    1000,
				    UINT32_MAX,
				    UINT64_C(1) << 40,
				    UINT64_C(1) << 60,
				    (UINT64_C(1) << 61) - 2,
				    (UINT64_C(1) << 61) - 1 };
#define NR_NUMBERS ((int)(sizeof(numbers) / sizeof(numbers[0])))

START_TEST(test_mark_is_seen_and_touches_no_other_number)
{
	uint64_t number = numbers[_i];
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		ck_assert_int_eq(device_reopen(&fd, device, read_only ? O_RDONLY : O_RDWR), 0);
		ck_assert_int_eq(device_mark(fd, number), 0);
		for (int i = 0; i < NR_NUMBERS; i++)
			ck_assert_int_eq(device_is_marked(device, numbers[i]), i == _i);
		/* the daemon's own byte is another */
		ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
		close(fd);
		ck_assert_int_eq(device_is_marked(device, number), 0);
	}
}
END_TEST

START_TEST(test_mark_out_of_range_is_refused)
{
	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_mark(device_fd(device), UINT64_C(1) << 61), -EINVAL);
	ck_assert_int_eq(device_mark(device_fd(device), UINT64_MAX), -EINVAL);
	ck_assert_int_eq(device_is_marked(device, UINT64_C(1) << 61), -EINVAL);
}
END_TEST

START_TEST(test_mark_twice_lives_as_long_as_the_last)
{
	int a, b;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&a, device, O_RDWR), 0);
	ck_assert_int_eq(device_reopen(&b, device, _i ? O_RDWR : O_RDONLY), 0);
	ck_assert_int_eq(device_mark(a, 5), 0);
	ck_assert_int_eq(device_mark(a, 5), 0);
	ck_assert_int_eq(device_mark(b, 5), 0);
	close(a);
	ck_assert_int_eq(device_is_marked(device, 5), 1);
	close(b);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

START_TEST(test_mark_lives_as_long_as_a_mapping_and_no_longer)
{
	char *map;
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(fd, 5), 0);
	map = mmap(NULL, MiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ck_assert_int_eq(device_is_marked(device, 5), 1);
	munmap(map, MiB / 2);
	ck_assert_int_eq(device_is_marked(device, 5), 1);       /* half of it is enough */
	munmap(map + MiB / 2, MiB / 2);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

/* A child keeps what it inherited: by descriptor, or by mapping alone. */
START_TEST(test_mark_lives_as_long_as_a_child)
{
	int fd, hold[2];
	void *map;
	char c;
	pid_t pid;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(fd, 5), 0);
	map = mmap(NULL, MiB, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_int_eq(pipe(hold), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		if (_i == 0)
			close(fd);
		else
			munmap(map, MiB);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
	}
	close(fd);
	munmap(map, MiB);
	ck_assert_int_eq(device_is_marked(device, 5), 1);
	close(hold[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

/* exec() drops mappings and CLOEXEC descriptors; one that was made inheritable stays. */
START_TEST(test_mark_lives_through_exec_by_an_inherited_descriptor)
{
	int fd, in[2], out[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(fd, 5), 0);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (_i == 1)
			fcntl(fd, F_SETFD, 0);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execlp("cat", "cat", NULL);
		_exit(1);
	}
	close(fd);
	ck_assert_int_eq((int)write(in[1], "x", 1), 1);
	ck_assert_int_eq((int)read(out[0], &c, 1), 1);          /* it is cat by now */
	ck_assert_int_eq(device_is_marked(device, 5), _i);
	close(in[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

START_TEST(test_mark_lives_while_its_descriptor_is_in_flight)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd, pair[2];

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert_int_eq(device_mark(fd, 5), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ck_assert_int_eq((int)sendmsg(pair[0], &msg, 0), 1);
	close(fd);
	ck_assert_int_eq(device_is_marked(device, 5), 1);
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

/* ---- locks that are no marks ---- */

static int lock_bytes(int fd, short type, uint64_t first, uint64_t len)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)len
	};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 'Was read just now' is an answer too; it is another one a moment later. */
static int ask(uint64_t number)
{
	int r;

	do {
		device_look(device);
		r = device_is_marked(device, number);
	} while (r == -EAGAIN);
	return r;
}

static const struct { uint64_t first, len;
} ranges[] = {
	{ MARKS, UINT64_C(1) << 61 },
	{ MARKS, 0 },
	{ 0, 0 },
	{ MARKS + 4, 3 },
	{ MARKS + 5, 2 },
	{ MARKS + 4, 2 },
};
#define NR_RANGES ((int)(sizeof(ranges) / sizeof(ranges[0])))

/* The older lock is the one that the kernel shows. */
START_TEST(test_mark_behind_a_read_lock_is_found_and_found_gone)
{
	int hostile, fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&hostile, device, O_RDONLY), 0);
	ck_assert_int_eq(lock_bytes(hostile, F_RDLCK, ranges[_i].first, ranges[_i].len), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		ck_assert_int_eq(device_reopen(&fd, device, read_only ? O_RDONLY : O_RDWR), 0);
		ck_assert_int_eq(device_mark(fd, 5), 0);
		ck_assert_int_eq(ask(5), 1);
		ck_assert_int_eq(device_is_marked(device, 4), 0);
		ck_assert_int_eq(device_is_marked(device, 6), 0);
		close(fd);
		ck_assert_int_eq(ask(5), 0);
	}
	close(hostile);
}
END_TEST

/* More locks than the kernel gives in one piece. */
START_TEST(test_mark_among_many_locks_is_found)
{
	enum { NR = 500 };
	int hostile, fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&hostile, device, O_RDONLY), 0);
	ck_assert_int_eq(lock_bytes(hostile, F_RDLCK, MARKS, 0), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	for (uint64_t i = 0; i < NR; i++)
		ck_assert_int_eq(device_mark(fd, 1000 + i * 2), 0);
	ck_assert_int_eq(ask(1000), 1);
	for (uint64_t i = 0; i < NR; i++) {                     /* the same look */
		ck_assert_int_eq(device_is_marked(device, 1000 + i * 2), 1);
		ck_assert_int_eq(device_is_marked(device, 1001 + i * 2), 0);
	}
	close(fd);
	close(hostile);
}
END_TEST

/* What cannot be read proves nothing. */
START_TEST(test_mark_without_a_list_of_locks_is_not_called_gone)
{
	int hostile, r;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&hostile, device, O_RDONLY), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/dev/null", "/proc/locks", NULL, MS_BIND, NULL) < 0) {
		puts("SKIP test_mark_without_a_list_of_locks_is_not_called_gone: needs a mount "
		     "namespace of its own");
		return;
	}
	ck_assert_int_eq(ask(5), 0);
	ck_assert_int_eq(lock_bytes(hostile, F_RDLCK, MARKS, 0), 0);
	ck_assert_int_lt(ask(5), 0);
	ck_assert_int_eq(umount("/proc/locks"), 0);
	do
		r = ask(5);
	while (r < 0);
	ck_assert_int_eq(r, 0);
	close(hostile);
}
END_TEST

/* A client that waits for any byte of the marks never gets it while a daemon runs. */
START_TEST(test_mark_area_is_kept_from_write_locks)
{
	int hostile;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&hostile, device, O_RDWR), 0);
	ck_assert_int_eq(lock_bytes(hostile, F_WRLCK, MARKS + 77, 1), -EAGAIN);
	ck_assert_int_eq(lock_bytes(hostile, F_WRLCK, MARKS, UINT64_C(1) << 61), -EAGAIN);
	ck_assert_int_eq(lock_bytes(hostile, F_WRLCK, MARKS + (UINT64_C(1) << 61) - 1, 1), -EAGAIN);
	/* its data is its own matter */
	ck_assert_int_eq(lock_bytes(hostile, F_WRLCK, 0, 8 * MiB), 0);
	ck_assert_ptr_null(device_stranger(device));
	close(hostile);
}
END_TEST

/* Locked between two daemons: what it keeps out it keeps out, and it is named until it goes. */
START_TEST(test_mark_kept_out_names_who_does_it)
{
	const struct device_stranger *stranger;
	int hostile, fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&hostile, device, O_RDWR), 0);
	device_close(device);
	ck_assert_int_eq(lock_bytes(hostile, F_WRLCK, MARKS + 10, 1000), 0);
	ck_assert_int_eq(open_device(file, 0, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(fd, 9), 0);
	ck_assert_int_eq(device_mark(fd, 10), -EBUSY);
	device_blame(device, 10);
	device_watch(device);
	stranger = device_stranger(device);
	ck_assert_ptr_nonnull(stranger);
	ck_assert(stranger->is_write);
	ck_assert_uint_eq(stranger->first, MARKS + 10);
	ck_assert_uint_eq(stranger->len, 1000);
	ck_assert_int_eq((int)stranger->pid, getpid());
	ck_assert_uint_eq(stranger->uid, getuid());
	ck_assert_str_eq(stranger->comm, "test_device_mar");
	close(hostile);
	device_watch(device);
	ck_assert_ptr_null(device_stranger(device));
	ck_assert_int_eq(device_mark(fd, 10), 0);
	close(fd);
}
END_TEST

START_TEST(test_mark_area_locked_by_a_process_names_it)
{
	struct flock all = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	const struct device_stranger *stranger;
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	/* the old kind, as lockf() takes it */
	ck_assert_int_eq(fcntl(fd, F_SETLK, &all), 0);
	ck_assert_int_eq(ask(5), 0);
	stranger = device_stranger(device);
	ck_assert_ptr_nonnull(stranger);
	ck_assert(!stranger->is_write);
	ck_assert_int_eq((int)stranger->pid, getpid());
	close(fd);
	device_watch(device);
	ck_assert_ptr_null(device_stranger(device));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_mark_is_seen_and_touches_no_other_number, 0, NR_NUMBERS);
	tcase_add_test(t, test_mark_out_of_range_is_refused);
	tcase_add_loop_test(t, test_mark_twice_lives_as_long_as_the_last, 0, 2);
	tcase_add_test(t, test_mark_lives_as_long_as_a_mapping_and_no_longer);
	tcase_add_loop_test(t, test_mark_lives_as_long_as_a_child, 0, 2);
	tcase_add_loop_test(t, test_mark_lives_through_exec_by_an_inherited_descriptor, 0, 2);
	tcase_add_test(t, test_mark_lives_while_its_descriptor_is_in_flight);
	tcase_add_loop_test(t, test_mark_behind_a_read_lock_is_found_and_found_gone, 0, NR_RANGES);
	tcase_add_test(t, test_mark_among_many_locks_is_found);
	tcase_add_test(t, test_mark_without_a_list_of_locks_is_not_called_gone);
	tcase_add_test(t, test_mark_area_is_kept_from_write_locks);
	tcase_add_test(t, test_mark_kept_out_names_who_does_it);
	tcase_add_test(t, test_mark_area_locked_by_a_process_names_it);
}

UNIT("device_marks", { .add = add_tests, .setup = setup, .teardown = teardown });
