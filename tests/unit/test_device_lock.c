/* SPDX-License-Identifier: BSD-3-Clause */
/* device_lock: the lock that keeps a second daemon from a device. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/unit.h"

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

/* What a client may have a descriptor of is not what the lock is on. */
START_TEST(test_device_next_opener_is_not_kept_out_by_clients)
{
	struct flock all = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	void *map;
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_reopen(&fd, device, _i ? O_RDWR : O_RDONLY), 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	device_close(device);
	device = NULL;
	all.l_type = _i ? F_WRLCK : F_RDLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &all), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(open_device(file, 0, false), 0);
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	close(fd);
	munmap(map, 4096);
}
END_TEST

START_TEST(test_device_by_another_name_is_exclusive)
{
	char other[128], directory[96];

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	snprintf(other, sizeof(other), "%.64s/hard", dir);
	ck_assert_int_eq(link(file, other), 0);
	ck_assert_int_eq(try_device(other, 0, false), -EBUSY);
	snprintf(directory, sizeof(directory), "%.64s/sub", dir);
	ck_assert_int_eq(mkdir(directory, 0700), 0);
	snprintf(other, sizeof(other), "%s/soft", directory);
	ck_assert_int_eq(symlink(file, other), 0);
	ck_assert_int_eq(try_device(other, 0, false), -EBUSY);
	snprintf(other, sizeof(other), "%.64s/renamed", dir);
	ck_assert_int_eq(rename(file, other), 0);
	ck_assert_int_eq(try_device(other, 0, false), -EBUSY);
}
END_TEST

static int nr_entries(const char *path)
{
	DIR *d = opendir(path);
	int nr = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		nr++;
	closedir(d);
	return nr - 2;
}

START_TEST(test_device_closed_or_refused_leaves_no_lock_file)
{
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	ck_assert_int_eq(nr_entries(dir), 2);
	/* the refused one did not take the lock file with it */
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	device_close(device);
	device = NULL;
	ck_assert_int_eq(nr_entries(dir), 1);
	ck_assert_int_eq(truncate(file, 4097), 0);
	ck_assert_int_eq(try_device(file, 0, false), -EINVAL);
	ck_assert_int_eq(nr_entries(dir), 1);
	fd = open(file, O_RDWR | O_TRUNC | O_CLOEXEC);
	close(fd);
	ck_assert_int_eq(try_device(file, 0, false), -EINVAL);
	ck_assert_int_eq(nr_entries(dir), 1);
}
END_TEST

/* A killed daemon leaves its lock file, which nobody holds. */
START_TEST(test_device_of_a_killed_daemon_is_free)
{
	int status, ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (open_device(file, 8 * MiB, false) == 0)
			(void)!write(ready[1], "", 1);
		pause();
	}
	close(ready[1]);
	ck_assert_int_eq((int)read(ready[0], &c, 1), 1);
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(nr_entries(dir), 2);
	ck_assert_int_eq(try_device(file, 0, false), 0);
	ck_assert_int_eq(nr_entries(dir), 1);
	close(ready[0]);
}
END_TEST

/* Metadata: the lock is on the file itself, wherever it is seen, and nothing lies beside it. */
START_TEST(test_device_private_is_locked_itself)
{
	struct device_request request = { .spec = file, .size = 8 * MiB, .is_private = true };
	char directory[96], other[128];
	struct device *second = NULL;

	ck_assert_int_eq(device_open(&device, &request, &why), 0);
	ck_assert_int_eq(nr_entries(dir), 1);
	snprintf(directory, sizeof(directory), "%.64s/sub", dir);
	ck_assert_int_eq(mkdir(directory, 0700), 0);
	snprintf(other, sizeof(other), "%s/hard", directory);
	ck_assert_int_eq(link(file, other), 0);
	request.spec = other;
	ck_assert_int_eq(device_open(&second, &request, &why), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why.text, "process"));
}
END_TEST

/*
 * Many make the same new file at once: one has it, at full size, and the others are told that it is
 * taken.
 */
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

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_device_is_exclusive_and_names_the_holder);
	tcase_add_loop_test(t, test_device_next_opener_is_not_kept_out_by_clients, 0, 2);
	tcase_add_test(t, test_device_by_another_name_is_exclusive);
	tcase_add_test(t, test_device_closed_or_refused_leaves_no_lock_file);
	tcase_add_test(t, test_device_of_a_killed_daemon_is_free);
	tcase_add_test(t, test_device_private_is_locked_itself);
	tcase_add_loop_test(t, test_device_created_by_many_at_once_goes_to_one, 0, 20);
}

UNIT("device_lock", { .add = add_tests, .setup = setup, .teardown = teardown });
