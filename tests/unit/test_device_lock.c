/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's lock and the sessions' marks, with everything that can keep one alive: descriptors, mappings,
 * children, exec(), and descriptors that are still in a socket.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/device_fixture.h"

START_TEST(test_device_is_exclusive_and_names_the_holder)
{
	char pid[32];

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	snprintf(pid, sizeof(pid), "process %d", getpid());
	ck_assert_ptr_nonnull(strstr(why.text, pid));
	ck_assert_int_eq(try_device(file, 0, true), 0);         /* looking is always allowed */
	device_close(device);
	device = NULL;
	ck_assert_int_eq(try_device(file, 0, false), 0);
}
END_TEST

START_TEST(test_device_lock_lives_as_long_as_a_mapping)
{
	void *map;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, device_fd(device), 0);
	device_close(device);
	device = NULL;
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "fuser"));       /* a mapping has no fdinfo */
	munmap(map, 4096);
	ck_assert_int_eq(try_device(file, 0, false), 0);
}
END_TEST

/* Many make the same new file at once: one has it, at full size, and the others are told that it is taken. */
START_TEST(test_device_created_by_many_at_once_goes_to_one)
{
	enum { RACERS = 4 };
	int go[2], done[2], status, winners = 0;
	char c;

	ck_assert_int_eq(pipe(go) | pipe(done), 0);
	for (int i = 0; i < RACERS; i++) {
		if (fork() == 0) {
			int r;

			close(go[1]);
			(void)!read(go[0], &c, 1);
			r = open_device(file, 8 * MiB, false);
			(void)!write(done[1], "", 1);
			close(done[1]);
			while (read(done[0], &c, 1) == 1)       /* hold it until all have tried */
				sched_yield();
			_exit(r == 0 ? 0 : r == -EBUSY ? 1 : 2);
		}
	}
	close(go[1]);
	close(done[1]);
	close(done[0]);
	for (int i = 0; i < RACERS; i++) {
		wait(&status);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		winners += WEXITSTATUS(status) == 0;
	}
	close(go[0]);
	ck_assert_int_ge(winners, 1);
	ck_assert_int_eq(open_device(file, 0, false), 0);
	ck_assert_uint_eq(device_info(device)->size, 8 * MiB);
}
END_TEST

static const uint64_t numbers[] = {
	0, 1, 2, 63, 64, 1000, UINT32_MAX, UINT64_C(1) << 40, UINT64_C(1) << 60, (UINT64_C(1) << 61) - 2, (UINT64_C(1) << 61) - 1
};
#define NR_NUMBERS ((int)(sizeof(numbers) / sizeof(numbers[0])))

START_TEST(test_mark_is_seen_and_touches_no_other_number)
{
	uint64_t number = numbers[_i];
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		ck_assert_int_eq(device_reopen(&fd, device, read_only ? O_RDONLY : O_RDWR), 0);
		ck_assert_int_eq(device_mark(fd, number, read_only), 0);
		for (int i = 0; i < NR_NUMBERS; i++)
			ck_assert_int_eq(device_is_marked(device, numbers[i]), i == _i);
		ck_assert_int_eq(try_device(file, 0, false), -EBUSY);   /* the daemon's own byte is another */
		close(fd);
		ck_assert_int_eq(device_is_marked(device, number), 0);
	}
}
END_TEST

START_TEST(test_mark_out_of_range_is_refused)
{
	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_mark(device_fd(device), UINT64_C(1) << 61, false), -EINVAL);
	ck_assert_int_eq(device_mark(device_fd(device), UINT64_MAX, false), -EINVAL);
	ck_assert_int_eq(device_is_marked(device, UINT64_C(1) << 61), -EINVAL);
}
END_TEST

START_TEST(test_mark_twice_is_busy_for_writers)
{
	int a, b;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&a, device, O_RDWR), 0);
	ck_assert_int_eq(device_reopen(&b, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(a, 5, false), 0);
	ck_assert_int_eq(device_mark(a, 5, false), 0);
	ck_assert_int_eq(device_mark(b, 5, false), -EBUSY);
	close(a);
	ck_assert_int_eq(device_mark(b, 5, false), 0);
	close(b);
}
END_TEST

START_TEST(test_mark_of_a_read_only_description_must_be_a_read_mark)
{
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert_int_eq(device_mark(fd, 5, false), -EBADF);
	ck_assert_int_eq(device_mark(fd, 5, true), 0);
	close(fd);
}
END_TEST

START_TEST(test_mark_lives_as_long_as_a_mapping_and_no_longer)
{
	char *map;
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
	ck_assert_int_eq(device_mark(fd, 5, false), 0);
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
	ck_assert_int_eq(device_mark(fd, 5, false), 0);
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
	ck_assert_int_eq(device_mark(fd, 5, false), 0);
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
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd, pair[2];

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert_int_eq(device_mark(fd, 5, true), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ck_assert_int_eq((int)sendmsg(pair[0], &msg, 0), 1);
	close(fd);
	ck_assert_int_eq(device_is_marked(device, 5), 1);
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(device_is_marked(device, 5), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device_lock");
	TCase *tc = tcase_create("device_lock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_device_is_exclusive_and_names_the_holder);
	tcase_add_test(tc, test_device_lock_lives_as_long_as_a_mapping);
	tcase_add_loop_test(tc, test_device_created_by_many_at_once_goes_to_one, 0, 20);
	tcase_add_loop_test(tc, test_mark_is_seen_and_touches_no_other_number, 0, NR_NUMBERS);
	tcase_add_test(tc, test_mark_out_of_range_is_refused);
	tcase_add_test(tc, test_mark_twice_is_busy_for_writers);
	tcase_add_test(tc, test_mark_of_a_read_only_description_must_be_a_read_mark);
	tcase_add_test(tc, test_mark_lives_as_long_as_a_mapping_and_no_longer);
	tcase_add_loop_test(tc, test_mark_lives_as_long_as_a_child, 0, 2);
	tcase_add_loop_test(tc, test_mark_lives_through_exec_by_an_inherited_descriptor, 0, 2);
	tcase_add_test(tc, test_mark_lives_while_its_descriptor_is_in_flight);
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
