/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices as far as a machine without persistent memory has them: regular files, what is refused,
 * and reopening. Device-dax itself is tested in the guest.
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/device/device_internal.h"
#include "tests/unit/device_fixture.h"
#include "tests/unit/unit.h"

static unsigned nr_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned nr = 0;

	while (readdir(d))
		nr++;
	closedir(d);
	return nr;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Who is refused later on, for what is no fault of the file's, leaves no file. */
START_TEST(test_device_not_kept_leaves_nothing)
{
	struct device_request request = { .spec = file, .size = 64 * MiB };
	struct stat st;
	int fd;

	ck_assert_int_eq(device_open(&device, &request, &why), 0);
	device_close(device);
	ck_assert(!exists(file));
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(device_open(&device, &request, &why), 0);
	device_close(device);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(open_device(file, 64 * MiB, false), 0);
	device_close(device);
	device = NULL;
	ck_assert(exists(file));
}
END_TEST

START_TEST(test_device_new_file_is_sparse_and_private)
{
	struct stat st;

	umask(0);
	ck_assert_int_eq(open_device(file, 64 * GiB, false), 0);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq((uint64_t)st.st_size, 64 * GiB);
	ck_assert_uint_eq((uint64_t)st.st_blocks, 0);
	ck_assert_uint_eq(device_info(device)->size, 64 * GiB);
	ck_assert_uint_eq(device_info(device)->align, 4096);
	ck_assert_int_eq(device_info(device)->kind, DEVICE_FILE);
	ck_assert_str_eq(device_info(device)->path, file);
	ck_assert_str_eq(device_info(device)->mode, "file");
	ck_assert_str_eq(device_info(device)->persistence, "unknown");
	ck_assert_int_eq((int)device_info(device)->unsafe_shutdowns, -1);
	ck_assert(fcntl(device_fd(device), F_GETFD) & FD_CLOEXEC);
	ck_assert(device_is_present(device));
}
END_TEST

START_TEST(test_device_existing_file_keeps_its_size)
{
	ck_assert_int_eq(try_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(open_device(file, 16 * MiB, false), 0);
	ck_assert_uint_eq(device_info(device)->size, 8 * MiB);
}
END_TEST

START_TEST(test_device_empty_file_gets_the_size_or_is_refused)
{
	close(open(file, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(try_device(file, 0, false), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "size = "));
	ck_assert_int_eq(try_device(file, 8 * MiB, true), -EINVAL);
	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_uint_eq(device_info(device)->size, 8 * MiB);
}
END_TEST

START_TEST(test_device_odd_sizes_are_refused_with_the_next_good_one)
{
	static const uint64_t odd[] = { 1,	     511,	    4095,    4097,
					8 * MiB - 1, 8 * MiB + 512, 3000000, GiB + 2048 };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		ck_assert_int_eq(try_device(file, odd[i], false), -EINVAL);
		ck_assert_ptr_nonnull(strstr(why.text, "did you mean"));
		ck_assert(!exists(file));
	}
	try_device(file, 8 * MiB - 1, false);
	ck_assert_ptr_nonnull(strstr(why.text, "did you mean 8M?"));
	close(open(file, O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		ck_assert_int_eq(truncate(file, (off_t)odd[i]), 0);
		ck_assert_int_eq(try_device(file, 0, false), -EINVAL);
	}
}
END_TEST

START_TEST(test_device_too_large_for_the_limit_leaves_no_file)
{
	struct rlimit limit = { MiB, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(try_device(file, UINT64_MAX - 4095, false), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(try_device(file, 8 * MiB, false), -EFBIG);
	ck_assert(!exists(file));
}
END_TEST

START_TEST(test_device_absent_is_refused_and_not_made)
{
	ck_assert_int_eq(try_device(file, 0, false), -ENOENT);
	ck_assert_int_eq(try_device(file, MiB, true), -ENOENT);
	ck_assert_int_eq(try_device("/dev/dax99.9", 8 * MiB, false), -ENODEV);
	ck_assert_ptr_nonnull(strstr(why.text, "daxctl list"));
	ck_assert(!exists("/dev/dax99.9"));
	ck_assert_int_eq(try_device("", 8 * MiB, false), -EINVAL);
	ck_assert_int_eq(try_device("/tmp/no/such/directory/x", 8 * MiB, false), -ENOENT);
}
END_TEST

START_TEST(test_device_what_is_no_file_is_refused_at_once)
{
	char link[PATH_MAX + 8];

	ck_assert_int_eq(try_device(dir, 8 * MiB, false), -EISDIR);
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	ck_assert_int_eq(try_device(file, 8 * MiB, false), -EINVAL);
	ck_assert_int_eq(try_device("/dev/null", 8 * MiB, false), -ENOTTY);
	ck_assert_int_eq(try_device("/dev/null", 0, true), -ENOTTY);
	snprintf(link, sizeof(link), "%s.link", file);
	ck_assert_int_eq(symlink("/nowhere", link), 0);
	ck_assert_int_lt(try_device(link, 8 * MiB, false), 0);
}
END_TEST

START_TEST(test_device_overlong_path_is_refused)
{
	static char path[2 * PATH_MAX];

	memset(path, 'x', sizeof(path) - 1);
	ck_assert_int_eq(try_device(path, 8 * MiB, false), -ENAMETOOLONG);
}
END_TEST

START_TEST(test_device_symlink_leads_to_the_file)
{
	char link[PATH_MAX + 8];

	ck_assert_int_eq(try_device(file, 8 * MiB, false), 0);
	snprintf(link, sizeof(link), "%s.link", file);
	ck_assert_int_eq(symlink(file, link), 0);
	ck_assert_int_eq(open_device(link, 0, false), 0);
	ck_assert_int_eq(try_device(file, 0, false), -EBUSY);
}
END_TEST

START_TEST(test_device_without_permission_says_so)
{
	int status;
	pid_t pid;

	ck_assert_int_eq(try_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(chmod(dir, 0755) | chmod(file, 0), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(try_device(file, 0, false) == -EACCES && strstr(why.text, "permission") ? 0
											      : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/*
 * However few descriptors are left: it works, or it is -EMFILE, keeps no descriptor and leaves no
 * file.
 */
START_TEST(test_device_open_with_few_descriptors_leaks_none)
{
	unsigned before = nr_fds();
	struct rlimit limit;
	int r = -1;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t n = 3; r != 0; n++) {
		limit.rlim_cur = n;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = try_device(file, 8 * MiB, false);
		limit.rlim_cur = 100;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert_uint_eq(nr_fds(), before);
		ck_assert_int_eq(exists(file), r == 0);
		ck_assert(r == 0 || r == -EMFILE);
		ck_assert_uint_lt(n, 50);
	}
}
END_TEST

static bool is_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino &&
	       sa.st_dev == sb.st_dev;
}

START_TEST(test_device_reopen_is_a_new_description_of_the_same_file)
{
	int fd;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	for (int step = 0; step < 3; step++) {
		if (step == 1)
			ck_assert_int_eq(unlink(file), 0);
		if (step == 2)
			close(open(file, O_CREAT | O_WRONLY, 0600));    /* somebody else's now */
		ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
		ck_assert(is_same_file(fd, device_fd(device)));
		ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		ck_assert(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
			  MAP_FAILED);
		close(fd);
		ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), 0);
		ck_assert_int_eq(device_mark(fd, 1), 0);
		ck_assert_int_eq(device_is_marked(device, 1), 1);       /* so it is no dup */
		close(fd);
	}
}
END_TEST

START_TEST(test_device_read_only_gives_no_writable_description)
{
	int fd;

	ck_assert_int_eq(try_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(open_device(file, 0, true), 0);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), -EROFS);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	close(fd);
}
END_TEST

/*
 * In a child, whose mount namespace has no /proc: 0, or the line that found otherwise; 77 it may
 * not.
 */
static int reopen_without_proc(void)
{
	char other[PATH_MAX + 8];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    umount2("/proc", MNT_DETACH) < 0)
		return 77;
	if (device_reopen(&fd, device, O_RDWR) != 0 || !is_same_file(fd, device_fd(device)))
		return 1;
	snprintf(other, sizeof(other), "%s.old", file);
	if (rename(file, other) < 0 || device_reopen(&fd, device, O_RDWR) != -ENOENT)
		return 2;
	close(open(file, O_CREAT | O_WRONLY, 0600));
	return device_reopen(&fd, device, O_RDWR) == -ESTALE ? 0 : 3;
}

START_TEST(test_device_reopen_without_proc_takes_the_path_if_it_is_the_same)
{
	int status;
	pid_t pid;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	pid = fork();
	if (pid == 0)
		_exit(reopen_without_proc());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		puts("SKIP test_device_reopen_without_proc_takes_the_path_if_it_is_the_same: needs "
		     "root");
	else
		ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_device_is_absent_once_removed_or_truncated)
{
	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(truncate(file, 8 * MiB - 4096), 0);
	ck_assert(!device_is_present(device));
	ck_assert_int_eq(truncate(file, 9 * MiB), 0);
	ck_assert(device_is_present(device));
	ck_assert_int_eq(unlink(file), 0);
	ck_assert(!device_is_present(device));
}
END_TEST

START_TEST(test_device_list_tells_of_each_whether_it_can_serve)
{
	struct device_info *list = NULL;
	size_t nr = 99;

	ck_assert_int_eq(device_list(&list, &nr, &why), 0);
	for (size_t i = 0; i < nr; i++) {
		ck_assert(list[i].chardev[0] && list[i].path[0]);
		if (!list[i].unusable[0])
			ck_assert_int_eq(try_device(list[i].path, 0, true), 0);
	}
	free(list);
}
END_TEST

static void make(const char *top, const char *path, const char *text)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "mkdir -p \"$(dirname %s/%s)\" && printf %%s '%s' >%s/%s", top, path, text, top,
		 path);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_device_node_is_the_target_while_that_is_online)
{
	char top[] = "/tmp/test_device.XXXXXX", command[64];

	ck_assert_ptr_nonnull(mkdtemp(top));
	make(top, "bus/dax/devices/dax0.0/numa_node", "1\n");
	make(top, "devices/system/node/node1/cpulist", "");
	ck_assert_int_eq(device_numa_node(top, "dax0.0", 2), 1);
	ck_assert_int_eq(device_numa_node(top, "dax0.0", -1), 1);
	ck_assert_int_eq(device_numa_node(top, "dax9.9", 2), -1);
	make(top, "devices/system/node/node2/cpulist", "");
	ck_assert_int_eq(device_numa_node(top, "dax0.0", 2), 2);
	make(top, "bus/dax/devices/dax0.0/numa_node", "-1\n");
	ck_assert_int_eq(device_numa_node(top, "dax0.0", 7), -1);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_device_badblocks_of_a_file_are_none)
{
	struct device_range *ranges;
	size_t nr = 9;

	ck_assert_int_eq(open_device(file, 8 * MiB, false), 0);
	ck_assert_int_eq(device_badblocks(device, &ranges, &nr), 0);
	ck_assert_uint_eq(nr, 0);
	free(ranges);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_device_not_kept_leaves_nothing);
	tcase_add_test(t, test_device_new_file_is_sparse_and_private);
	tcase_add_test(t, test_device_existing_file_keeps_its_size);
	tcase_add_test(t, test_device_empty_file_gets_the_size_or_is_refused);
	tcase_add_test(t, test_device_odd_sizes_are_refused_with_the_next_good_one);
	tcase_add_test(t, test_device_too_large_for_the_limit_leaves_no_file);
	tcase_add_test(t, test_device_absent_is_refused_and_not_made);
	tcase_add_test(t, test_device_what_is_no_file_is_refused_at_once);
	tcase_add_test(t, test_device_overlong_path_is_refused);
	tcase_add_test(t, test_device_symlink_leads_to_the_file);
	tcase_add_test(t, test_device_without_permission_says_so);
	tcase_add_test(t, test_device_open_with_few_descriptors_leaks_none);
	tcase_add_test(t, test_device_reopen_is_a_new_description_of_the_same_file);
	tcase_add_test(t, test_device_read_only_gives_no_writable_description);
	tcase_add_test(t, test_device_reopen_without_proc_takes_the_path_if_it_is_the_same);
	tcase_add_test(t, test_device_is_absent_once_removed_or_truncated);
	tcase_add_test(t, test_device_list_tells_of_each_whether_it_can_serve);
	tcase_add_test(t, test_device_node_is_the_target_while_that_is_online);
	tcase_add_test(t, test_device_badblocks_of_a_file_are_none);
}

UNIT("device", { .add = add_tests, .setup = setup, .teardown = teardown });
