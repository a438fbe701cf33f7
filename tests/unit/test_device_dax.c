/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices and media on a real device-dax. It overwrites the device, so it must be told which:
 * PMEMARENA_TEST_DAX=/dev/daxX.Y. The guest lab does, for each alignment and with and without an
 * NVDIMM behind it. Root.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/device/device.h"
#include "daemon/media/media.h"
#include "tests/unit/unit.h"

#define PAGE UINT64_C(4096)

static const char *node;
static struct why why;
static struct device *device;
static struct media *media;
static uint64_t size, align;

static int try_open(const char *path, bool read_only)
{
	struct device_request request = { .spec = path, .read_only = read_only };
	struct device *tried = NULL;
	int r;

	why.text[0] = '\0';
	r = device_open(&tried, &request, &why);
	device_close(tried);
	return r;
}

static void open_node(bool read_only)
{
	struct device_request request = { .spec = node, .read_only = read_only };

	ck_assert_msg(device_open(&device, &request, &why) == 0, "%s", why.text);
	size = device_info(device)->size;
	align = device_info(device)->align;
}

static void open_media(void)
{
	ck_assert_msg(media_open(&media, device, 0, size, &why) == 0, "%s", why.text);
}

static void setup(void)
{
	open_node(false);
	open_media();
}

static void teardown(void)
{
	media_close(media);
	device_close(device);
	media = NULL;
	device = NULL;
}

static int run(const char *format, const char *argument)
{
	char command[512];
	int len = snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", format, argument);

	ck_assert_int_lt(len, (int)sizeof(command));
	return system(command);
}

static bool is_one_of(const char *text, const char *const *known)
{
	while (*known && strcmp(text, *known) != 0)
		known++;
	return *known != NULL;
}

START_TEST(test_dax_says_what_it_is)
{
	static const char *const domains[] = { "memory-controller", "cpu-cache", "none", "unknown",
					       NULL };
	static const char *const healths[] = { "ok",	"non-critical", "critical",
					       "fatal", "unknown",	NULL };
	const struct device_info *info = device_info(device);

	ck_assert_int_eq(info->kind, DEVICE_DAX);
	ck_assert_str_eq(info->path, node);
	ck_assert_str_eq(info->mode, "devdax");
	ck_assert_int_eq(strncmp(info->chardev, "dax", 3), 0);
	ck_assert(align >= PAGE && (align & (align - 1)) == 0);
	ck_assert(size >= align && size % align == 0);
	ck_assert_uint_ne(info->resource, 0);
	ck_assert_int_ge(info->region_id, 0);
	ck_assert(is_one_of(info->persistence, domains));
	ck_assert(is_one_of(info->health, healths));
	ck_assert_int_ge((int)info->unsafe_shutdowns, -1);
	ck_assert(device_is_present(device));
	printf("%s: size %#lx align %#lx resource %#lx node %d region %d persistence %s health %s "
	       "lost %ld granularity %s\n",
	       info->chardev, (unsigned long)size, (unsigned long)align,
	       (unsigned long)info->resource, info->numa_node, info->region_id, info->persistence,
	       info->health, (long)info->unsafe_shutdowns,
	       media_granularity_name(media_granularity(media)));
	fflush(stdout);
}
END_TEST

START_TEST(test_dax_is_known_under_other_names)
{
	char link[] = "/tmp/dax-link", copy[] = "/tmp/dax-node";
	struct stat st;

	ck_assert_int_eq(stat(node, &st), 0);
	unlink(link);
	unlink(copy);
	ck_assert_int_eq(symlink(node, link), 0);
	ck_assert_int_eq(mknod(copy, S_IFCHR | 0600, st.st_rdev), 0);
	ck_assert_int_eq(try_open(link, true), 0);
	ck_assert_int_eq(try_open(copy, true), 0);
	ck_assert_int_eq(try_open("/dev/null", true), -ENOTTY);
	unlink(link);
	unlink(copy);
}
END_TEST

START_TEST(test_dax_is_exclusive)
{
	char pid[32];

	ck_assert_int_eq(try_open(node, false), -EBUSY);
	snprintf(pid, sizeof(pid), "process %d", getpid());
	ck_assert_msg(strstr(why.text, pid) != NULL, "%s", why.text);
	ck_assert_int_eq(try_open(node, true), 0);
	media_close(media);                             /* its mapping holds the lock as well */
	media = NULL;
	device_close(device);
	device = NULL;
	ck_assert_int_eq(try_open(node, false), 0);
}
END_TEST

START_TEST(test_dax_list_tells_who_has_it)
{
	struct device_info *list = NULL;
	bool found = false;
	size_t nr;

	for (int held = 1; held >= 0; held--) {
		ck_assert_int_eq(device_list(&list, &nr, &why), 0);
		found = false;
		for (size_t i = 0; i < nr; i++) {
			if (strcmp(list[i].chardev,
				   device ? device_info(device)->chardev : node + 5) != 0)
				continue;
			found = true;
			ck_assert_uint_eq(list[i].size, size);
			ck_assert_msg((strstr(list[i].unusable, "in use") != NULL) == held, "%s",
				      list[i].unusable);
		}
		free(list);
		ck_assert(found);
		teardown();
	}
}
END_TEST

START_TEST(test_dax_round_trip)
{
	static unsigned char bytes[70000], back[70000], zeroes[70000];
	const uint64_t offs[] = { 0, 1, 63, 4095, align - 1, size / 2 - 3, size - sizeof(bytes) };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + 1);
	for (size_t o = 0; o < sizeof(offs) / sizeof(offs[0]); o++) {
		ck_assert_int_eq(media_store(media, offs[o], bytes, sizeof(bytes)), 0);
		ck_assert_int_eq(media_flush(media, offs[o], sizeof(bytes)), 0);
		ck_assert_int_eq(media_fence(media), 0);
		ck_assert_int_eq(media_read(media, back, offs[o], sizeof(back)), 0);
		ck_assert_int_eq(memcmp(back, bytes, sizeof(back)), 0);
		ck_assert_int_eq(media_zero(media, offs[o], sizeof(bytes)), 0);
		ck_assert_int_eq(media_persist(media, offs[o], 0), 0);
		ck_assert_int_eq(media_read(media, back, offs[o], sizeof(back)), 0);
		ck_assert_int_eq(memcmp(back, zeroes, sizeof(back)), 0);
	}
	ck_assert_int_eq(media_store64(media, size - 8, 42), 0);
	ck_assert_int_eq(media_store64(media, size, 42), -EINVAL);
	ck_assert_int_eq(media_punch(media, 0, align), -EOPNOTSUPP);
	ck_assert_int_eq(media_allocate(media, 0, size), 0);
}
END_TEST

START_TEST(test_dax_granularity_is_never_pages_unless_forced)
{
	static const struct { const char *force; enum media_granularity is; } forced[] = {
		{ "BYTE", MEDIA_BYTE }, { "CACHE_LINE", MEDIA_CACHE_LINE }, { "PAGE", MEDIA_PAGE },
	};
	struct media *other;

	if (!getenv("PMEM2_FORCE_GRANULARITY"))
		ck_assert_int_eq(media_granularity(media),
				 strcmp(device_info(device)->persistence, "cpu-cache") == 0
					 ? MEDIA_BYTE
					 : MEDIA_CACHE_LINE);
	for (size_t i = 0; i < 3; i++) {
		setenv("PMEM2_FORCE_GRANULARITY", forced[i].force, 1);
		ck_assert_int_eq(media_open(&other, device, 0, align, &why), 0);
		ck_assert_int_eq(media_granularity(other), forced[i].is);
		media_close(other);
	}
}
END_TEST

/* The kernel would map what comes before instead, or let us run into a SIGBUS. */
START_TEST(test_dax_misaligned_and_outside_ranges_are_refused)
{
	struct media *other;

	if (align > PAGE) {
		ck_assert_int_eq(media_open(&other, device, PAGE, align, &why), -EINVAL);
		ck_assert_int_eq(media_open(&other, device, align / 2, align, &why), -EINVAL);
		ck_assert_int_eq(media_open(&other, device, 0, align / 2, &why), -EINVAL);
	}
	ck_assert_int_eq(media_open(&other, device, size, align, &why), -EINVAL);
	ck_assert_int_eq(media_open(&other, device, size - align, 2 * align, &why), -EINVAL);
	ck_assert_int_eq(media_open(&other, device, size - align, align, &why), 0);
	media_close(other);
}
END_TEST

START_TEST(test_dax_read_only_cannot_be_written)
{
	uint64_t word;
	int fd;

	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert(mmap(NULL, align, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	close(fd);
	teardown();
	open_node(true);
	open_media();
	ck_assert_int_eq(media_read(media, &word, 0, 8), 0);
	ck_assert_int_eq(media_store64(media, 0, 1), -EROFS);
	ck_assert_int_eq(media_zero(media, 0, PAGE), -EROFS);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDWR), -EROFS);
}
END_TEST

START_TEST(test_dax_mark_lives_as_long_as_a_mapping)
{
	void *map;
	int fd;

	for (int read_only = 0; read_only < 2; read_only++) {
		ck_assert_int_eq(device_reopen(&fd, device, read_only ? O_RDONLY : O_RDWR), 0);
		ck_assert_int_eq(device_mark(fd, 77), 0);
		map = mmap(NULL, align, PROT_READ, MAP_SHARED, fd, 0);
		ck_assert(map != MAP_FAILED);
		close(fd);
		ck_assert_int_eq(device_is_marked(device, 77), 1);
		ck_assert_int_eq(device_is_marked(device, 78), 0);
		munmap(map, align);
		ck_assert_int_eq(device_is_marked(device, 77), 0);
	}
}
END_TEST

static void copy_file(const char *path, uint64_t off, uint64_t len)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	for (uint64_t at = off; at < off + len; at += sizeof(bytes)) {
		ck_assert_int_eq((int)pread(fd, bytes, sizeof(bytes), (off_t)at),
				 (int)sizeof(bytes));
		ck_assert_int_eq(media_store(media, at, bytes, sizeof(bytes)), 0);
	}
	close(fd);
}

START_TEST(test_dax_foreign_content_is_named)
{
	const uint64_t edge = UINT64_C(1) << 20;
	char file[] = "/tmp/foreign.XXXXXX", name[64];

	ck_assert_int_eq(media_zero(media, 0, edge), 0);
	ck_assert_int_eq(media_zero(media, size - edge, edge), 0);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 0);
	ck_assert_int_eq(media_store(media, 0, "PMEMOBJ", 8), 0);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 1);
	ck_assert_str_eq(name, "libpmemobj pool");
	ck_assert_int_eq(media_zero(media, 0, edge), 0);

	close(mkstemp(file));
	ck_assert_int_eq(truncate(file, (off_t)size), 0);
	ck_assert_int_eq(run("PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 -E nodiscard", file),
			 0);
	copy_file(file, 0, edge);
	unlink(file);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 1);
	ck_assert_str_eq(name, "ext4 file system");
	ck_assert_int_eq(media_zero(media, 0, edge), 0);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 0);
}
END_TEST

/* Where no NVDIMM region is behind the device, nobody keeps a list: that is not an empty one. */
START_TEST(test_dax_badblocks_are_none_here)
{
	const struct device_info *info = device_info(device);
	bool is_known = strcmp(info->persistence, "unknown") != 0;
	struct device_range *ranges = NULL;
	size_t nr = 9;

	ck_assert_int_eq(device_badblocks(device, &ranges, &nr), is_known ? 0 : -ENODATA);
	if (is_known)
		ck_assert_uint_eq(nr, 0);
	free(ranges);
}
END_TEST

/* 0: the page at @off failed, by a process that does not live to tell. */
static int make_memory_fail(uint64_t off)
{
	int status, fd;
	char *map;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		if (device_reopen(&fd, device, O_RDWR) < 0)
			_exit(1);
		map = mmap(NULL, align, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)(off - off % align));
		if (map == MAP_FAILED)
			_exit(2);
		map[off % align] = 1;
		_exit(madvise(map + off % align, PAGE, MADV_HWPOISON) < 0 ? 3 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ? 0 : WEXITSTATUS(status);
}

/*
 * The daemon is told of memory that failed, though it did not touch it, and lives. What lies
 * elsewhere is as it was.
 */
START_TEST(test_dax_failed_memory_is_told_and_survived)
{
	uint64_t bad = size / 2 + PAGE, off, len, word;
	int r;

	ck_assert_int_eq(media_store64(media, 0, 1), 0);
	ck_assert_int_eq(media_read(media, &word, bad, 8), 0);
	ck_assert(!media_take_poison(media, &off, &len));
	ck_assert_int_eq(make_memory_fail(bad), 0);
	ck_assert(media_take_poison(media, &off, &len));
	ck_assert(off <= bad && bad < off + len && len <= align);
	ck_assert(!media_take_poison(media, &off, &len));
	r = media_read(media, &word, bad, 8);
	ck_assert(r == 0 || r == -EIO);
	ck_assert_int_eq(media_read(media, &word, 0, 8), 0);
	ck_assert_uint_eq(word, 1);
	ck_assert_int_eq(media_persist(media, 0, 8), 0);
}
END_TEST

START_TEST(test_dax_disabled_under_us_is_eio_and_absent)
{
	const char *name = node + strlen("/dev/");
	uint64_t word;

	ck_assert_int_eq(run("daxctl disable-device", name), 0);
	ck_assert(!device_is_present(device));
	ck_assert_int_eq(media_read(media, &word, 0, 8), -EIO);
	ck_assert_int_eq(media_read(media, &word, size - 8, 8), -EIO);
	ck_assert_int_eq(media_store64(media, 0, 1), -EIO);
	ck_assert_int_eq(media_zero(media, 0, PAGE), -EIO);
	ck_assert_int_eq(media_fence(media), 0);
	teardown();
	ck_assert_int_lt(try_open(node, false), 0);
	ck_assert_msg(strstr(why.text, "daxctl") != NULL, "%s", why.text);
	printf("disabled: %s\n", why.text);
	fflush(stdout);
	ck_assert_int_eq(run("daxctl enable-device", name), 0);
	ck_assert_msg(try_open(node, false) == 0, "%s", why.text);
}
END_TEST

START_TEST(test_dax_as_system_memory_is_refused_with_the_way_back)
{
	const char *name = node + strlen("/dev/");

	teardown();
	/* Memory that the kernel puts to use at once would not come back. */
	if (run("echo offline > /sys/devices/system/memory/auto_online_blocks; daxctl "
		"reconfigure-device --no-online "
		"--mode=system-ram",
		name) != 0) {
		puts("SKIP test_dax_as_system_memory_is_refused_with_the_way_back: it cannot be "
		     "made system memory");
		fflush(stdout);
		return;
	}
	ck_assert_int_lt(try_open(node, false), 0);
	printf("system-ram: %s\n", why.text);
	fflush(stdout);
	ck_assert_msg(strstr(why.text, "--mode=devdax") != NULL, "%s", why.text);
	ck_assert_int_eq(run("daxctl reconfigure-device --mode=devdax", name), 0);
	ck_assert_msg(try_open(node, false) == 0, "%s", why.text);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_dax_says_what_it_is);
	tcase_add_test(t, test_dax_is_known_under_other_names);
	tcase_add_test(t, test_dax_is_exclusive);
	tcase_add_test(t, test_dax_list_tells_who_has_it);
	tcase_add_test(t, test_dax_round_trip);
	tcase_add_test(t, test_dax_granularity_is_never_pages_unless_forced);
	tcase_add_test(t, test_dax_misaligned_and_outside_ranges_are_refused);
	tcase_add_test(t, test_dax_read_only_cannot_be_written);
	tcase_add_test(t, test_dax_mark_lives_as_long_as_a_mapping);
	tcase_add_test(t, test_dax_foreign_content_is_named);
	tcase_add_test(t, test_dax_badblocks_are_none_here);
	tcase_add_test(t, test_dax_failed_memory_is_told_and_survived);
	tcase_add_test(t, test_dax_disabled_under_us_is_eio_and_absent);
	tcase_add_test(t, test_dax_as_system_memory_is_refused_with_the_way_back);
}

static const char *why_not(void)
{
	node = getenv("PMEMARENA_TEST_DAX");
	return node ? NULL : "PMEMARENA_TEST_DAX does not name a device-dax to overwrite";
}

UNIT_IF(why_not, "device_dax", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
