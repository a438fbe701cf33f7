/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lives on a device is named: the magics of persistent memory, and what the real tools write.
 */
#include <config.h>

#include <errno.h>
#include <stdint.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/unit.h"

static void store_at(uint64_t off, const void *bytes, size_t len)
{
	ck_assert_int_eq((int)pwrite(device_fd(device), bytes, len, (off_t)off), (int)len);
}

START_TEST(test_foreign_magics_are_named)
{
	static const struct { const char *bytes; size_t len; const char *name;
	} known[] = {
		{ "PMEMOBJ\0", 8, "libpmemobj pool" },
		{ "PMEMBLK\0", 8, "libpmemblk pool" },
		{ "PMEMPOOL", 8, "PMDK pool set" },
		{ "\xff\xb2\x82\x87\0\0\0\0", 8, "famfs file system" },
	};
	char name[64];

	ck_assert_int_eq(open_device(file, 64 * MiB, false), 0);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		store_at(0, known[i].bytes, known[i].len);
		ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 1);
		ck_assert_str_eq(name, known[i].name);
		store_at(0, "\0\0\0\0\0\0\0\0", 8);
	}
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 0);
}
END_TEST

START_TEST(test_foreign_made_by_the_real_tools_is_named)
{
	static const struct { const char *tool, *command, *name;
	} made[] = {
		{ "mke2fs", "mke2fs -q -F -t ext4 %s", "ext4 file system" },
		{ "mkswap", "mkswap %s", "swap" },
		{ "sfdisk", "echo 2048,,L | sfdisk -q -X gpt %s", "gpt partition table" },
		{ "sfdisk", "echo 2048,,L | sfdisk -q -X dos %s", "dos partition table" },
		{ "pmempool", "rm %1$s; pmempool create --layout=x --size=64M obj %1$s",
		  "libpmemobj pool" },
	};
	char command[PATH_MAX * 2 + 128], tool[64], name[64];

	snprintf(tool, sizeof(tool), "PATH=$PATH:/sbin:/usr/sbin command -v %s >/dev/null",
		 made[_i].tool);
	if (system(tool) != 0) {
		printf("SKIP test_foreign_made_by_the_real_tools_is_named: no %s\n", made[_i].tool);
		return;
	}
	ck_assert_int_eq(try_device(file, 64 * MiB, false), 0);
	memcpy(command, "PATH=$PATH:/sbin:/usr/sbin; (", 29);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(command + 29, sizeof(command) - 29, made[_i].command, file);
#pragma GCC diagnostic pop
	strcat(command, ") >/dev/null 2>&1");
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(open_device(file, 0, false), 0);
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 1);
	ck_assert_msg(strncmp(name, made[_i].name, strlen(made[_i].name)) == 0, "%s", name);
}
END_TEST

START_TEST(test_foreign_random_bytes_are_nothing_known)
{
	unsigned char bytes[65536];
	char name[64];

	srandom((unsigned)_i);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)random();
	ck_assert_int_eq(open_device(file, MiB, false), 0);
	for (uint64_t off = 0; off < MiB; off += sizeof(bytes))
		store_at(off, bytes, sizeof(bytes));
	ck_assert_int_eq(device_find_foreign(device, name, sizeof(name)), 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_foreign_magics_are_named);
	tcase_add_loop_test(t, test_foreign_made_by_the_real_tools_is_named, 0, 5);
	tcase_add_loop_test(t, test_foreign_random_bytes_are_nothing_known, 0, 10);
}

UNIT("device_foreign", { .add = add_tests, .setup = setup, .teardown = teardown });
