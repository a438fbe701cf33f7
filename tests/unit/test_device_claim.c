/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the lock of one daemon a device is: nodes of one character device (any will do here: its
 * number is what counts), directories that may not be written to, lock files of other users. Needs
 * root, for mknod() and for being somebody else.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/device_fixture.h"

#include "daemon/device/device_internal.h"
#include "tests/unit/unit.h"

#define SOMEBODY  12345
#define DAX_NUMBER makedev(1, 3)        /* /dev/null stands in */
#define DAX_LOCK  "pmemarena-dax-1:3.lock"

static struct device first = { .fd = -1 }, second = { .fd = -1 };

/* Directories of the host in a mount namespace of its own: nothing is left outside. */
static bool has_own_host(const char *test)
{
	if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", "/run", "tmpfs", 0, "mode=755") == 0 &&
	    mount("none", "/dev/shm", "tmpfs", 0, "mode=1777") == 0 &&
	    mkdir("/run/pmemarena", 0755) == 0 && mkdir("/run/lock", 01777) == 0 &&
	    chmod("/run/lock", 01777) == 0)
		return true;
	printf("SKIP %s: needs root and a mount namespace of its own\n", test);
	return false;
}

static void open_node(struct device *to, const char *name, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%.64s/%s", dir, name);
	if (S_ISCHR(mode))
		ck_assert_int_eq(mknod(path, mode, DAX_NUMBER), 0);
	to->fd = open(path, O_RDWR | O_CLOEXEC | (S_ISREG(mode) ? O_CREAT : 0), 0666);
	ck_assert_int_ge(to->fd, 0);
	if (S_ISREG(mode))
		ck_assert_int_eq(fchmod(to->fd, 0666), 0);
}

static void drop(struct device *from)
{
	claim_drop(from);
	close(from->fd);
	from->fd = -1;
}

/* In a child that is somebody else. */
static int as_somebody(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setgid(SOMEBODY) < 0 || setuid(SOMEBODY) < 0)
			_exit(200);
		_exit(-what());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static int claim_second(void)
{
	return claim_take(&second, "second", false, &why);
}

START_TEST(test_claim_of_two_nodes_of_one_device_is_one)
{
	if (!has_own_host("test_claim_of_two_nodes_of_one_device_is_one"))
		return;
	open_node(&first, "dax0.0", S_IFCHR | 0600);
	open_node(&second, "other", S_IFCHR | 0600);
	ck_assert_int_eq(claim_take(&first, "first", false, &why), 0);
	ck_assert_int_eq(access("/run/pmemarena/" DAX_LOCK, F_OK), 0);
	ck_assert_int_eq(claim_is_taken(second.fd), 1);
	ck_assert_int_eq(claim_second(), -EBUSY);
	drop(&first);
	ck_assert_int_eq(access("/run/pmemarena/" DAX_LOCK, F_OK), -1);
	ck_assert_int_eq(claim_is_taken(second.fd), 0);
	ck_assert_int_eq(claim_second(), 0);
	drop(&second);
}
END_TEST

/* Metadata on a device-dax of its own: two nodes of it too. */
START_TEST(test_claim_of_private_nodes_is_one)
{
	if (!has_own_host("test_claim_of_private_nodes_is_one"))
		return;
	open_node(&first, "dax0.0", S_IFCHR | 0600);
	open_node(&second, "other", S_IFCHR | 0600);
	ck_assert_int_eq(claim_take(&first, "first", true, &why), 0);
	ck_assert_int_eq(claim_take(&second, "second", true, &why), -EBUSY);
	drop(&second);
	drop(&first);
}
END_TEST

static const char *const unusable[] = { "rmdir /run/pmemarena", "mount -o remount,ro /run" };

/*
 * The package's directory is not there or cannot be written to: the next one does, and whoever
 * could use the first one meets it there.
 */
START_TEST(test_claim_without_the_first_directory_takes_another)
{
	if (!has_own_host("test_claim_without_the_first_directory_takes_another"))
		return;
	open_node(&first, "dax0.0", S_IFCHR | 0600);
	open_node(&second, "other", S_IFCHR | 0600);
	ck_assert_int_eq(system(unusable[_i]), 0);
	ck_assert_int_eq(claim_take(&first, "first", false, &why), 0);
	ck_assert_int_eq(claim_second(), -EBUSY);
	/* root's lock file, which it cannot open, counts */
	ck_assert_int_eq(as_somebody(claim_second), -EACCES);
	drop(&first);
	ck_assert_int_eq(as_somebody(claim_second), 0);
}
END_TEST

START_TEST(test_claim_of_a_file_beside_which_nothing_can_be_made)
{
	if (!has_own_host("test_claim_of_a_file_beside_which_nothing_can_be_made"))
		return;
	open_node(&first, "arena", S_IFREG);
	open_node(&second, "arena", S_IFREG);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	ck_assert_int_eq(as_somebody(claim_second), 0);
	ck_assert_int_eq(claim_take(&first, "first", false, &why), 0);
	ck_assert_int_lt(as_somebody(claim_second), 0);
	drop(&first);
	drop(&second);
}
END_TEST

static int nr_shut;

/*
 * Somebody has all the names that can be guessed, in each directory that is open to all: who may
 * not decide about the device keeps nobody out.
 */
static int squat(void)
{
	static const char *const paths[] = { "/run/lock/" DAX_LOCK, "/dev/shm/" DAX_LOCK };

	for (int i = 0; i < 2; i++) {
		int fd = open(paths[i], O_RDWR | O_CREAT | O_EXCL, 0600);

		if (fd < 0 || lock_take(fd, paths[i], &why) < 0)
			return -1;
		nr_shut++;
	}
	return 0;
}

START_TEST(test_claim_is_not_kept_from_us_by_squatters)
{
	int go[2], ready[2];
	pid_t pid;
	char c;

	if (!has_own_host("test_claim_is_not_kept_from_us_by_squatters"))
		return;
	open_node(&first, "dax0.0", S_IFCHR | 0600);
	ck_assert_int_eq(pipe(go) | pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (setuid(SOMEBODY) == 0 && squat() == 0)
			(void)!write(ready[1], "", 1);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq((int)read(ready[0], &c, 1), 1);
	ck_assert_int_eq(claim_take(&first, "first", false, &why), 0);
	drop(&first);
	close(go[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* A file that root served once, and its owner serves now. */
START_TEST(test_claim_that_root_left_is_its_owners)
{
	char path[128];

	if (!has_own_host("test_claim_that_root_left_is_its_owners"))
		return;
	open_node(&first, "arena", S_IFREG);
	open_node(&second, "arena", S_IFREG);
	snprintf(path, sizeof(path), "%.64s/arena", dir);
	ck_assert_int_eq(chown(path, SOMEBODY, SOMEBODY) | chown(dir, SOMEBODY, SOMEBODY), 0);
	ck_assert_int_eq(claim_take(&first, "first", false, &why), 0);
	ck_assert_int_eq(as_somebody(claim_second), -EBUSY);
	close(first.claims[0].fd);              /* as a kill does */
	ck_assert_int_eq(as_somebody(claim_second), 0);
	close(first.fd);
	drop(&second);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_claim_of_two_nodes_of_one_device_is_one);
	tcase_add_test(t, test_claim_of_private_nodes_is_one);
	tcase_add_loop_test(t, test_claim_without_the_first_directory_takes_another, 0, 2);
	tcase_add_test(t, test_claim_of_a_file_beside_which_nothing_can_be_made);
	tcase_add_test(t, test_claim_is_not_kept_from_us_by_squatters);
	tcase_add_test(t, test_claim_that_root_left_is_its_owners);
}

UNIT("device_claim", { .add = add_tests, .setup = setup, .teardown = teardown });
