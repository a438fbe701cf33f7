/* SPDX-License-Identifier: BSD-3-Clause */
/* superblock_hosts: what a superblock says of hosts, and that without its bits it says nothing. */
#include <config.h>

#include "daemon/media/superblock.h"
#include "tests/unit/unit.h"

#include <check.h>
#include <string.h>

static struct superblock sb;

static void setup(void)
{
	sb = (struct superblock){
		.role = SUPERBLOCK_METADATA, .name = "test", .seq = 1, .data_device_size = 1 << 30,
		.meta_device_size = 1 << 26, .data_off = 1 << 22, .nr_pages = 16, .order = 9,
		.nr_slots = 1024, .slots_per_chunk = 1024,
		.table_off = { 1 << 23, 1 << 24 }, .zero_off = { 3 << 22, 5 << 22 },
		.poison_unit = 1 << 21, .id_limit = 1,
	};
}

static void fill_table(void)
{
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++) {
		memset(sb.hosts[i].id, (int)i + 1, 16);
		memset(sb.hosts[i].boot, (int)i + 101, 16);
		sb.hosts[i].id_limit = i * 1000 + 1;
		memset(sb.hosts[i].name, 'a' + (int)i, SUPERBLOCK_HOST_NAME - 1);
	}
}

START_TEST(test_superblock_hosts_written_and_read_are_the_same)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock found;

	fill_table();
	sb.incompat = SUPERBLOCK_INCOMPAT_ABROAD;
	superblock_encode(page, &sb);
	ck_assert_int_eq(superblock_decode(&found, page, NULL), SUPERBLOCK_GOOD);
	ck_assert_mem_eq(found.hosts, sb.hosts, sizeof(sb.hosts));
}
END_TEST

START_TEST(test_superblock_hosts_without_the_bit_are_not_written)
{
	uint8_t page[SUPERBLOCK_SIZE], plain[SUPERBLOCK_SIZE];

	superblock_encode(plain, &sb);
	fill_table();
	superblock_encode(page, &sb);
	ck_assert_mem_eq(page, plain, sizeof(page));
	for (unsigned i = 384; i < sizeof(page); i++)
		ck_assert_uint_eq(page[i], 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_superblock_hosts_written_and_read_are_the_same);
	tcase_add_test(t, test_superblock_hosts_without_the_bit_are_not_written);
}

UNIT("superblock_hosts", { .add = add_tests, .setup = setup });
