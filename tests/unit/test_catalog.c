/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: what readers find of what was put, over restarts, in a file that does not fit, on a file
 * system that is full.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/catalog_fixture.h"
#include "tests/unit/unit.h"

#define NR_SLOTS 200000u

static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
				  1,	2,    3,    4,	  5,	6,    7,    8 };
static const char file_name[] = "12345678-9abc-def0-0102-030405060708.catalog";

static bool is_full;
static int nr_allocated, nr_callocs, failing_calloc;

int __real_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
	nr_allocated++;
	return is_full ? ENOSPC : __real_posix_fallocate(fd, off, len);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return ++nr_callocs == failing_calloc ? NULL : __real_calloc(nr, size);
}

static char dir[64], path[128];
static struct catalog *catalog;
static const void *map;                 /* as a process with a window has it */
static uint64_t map_bytes;
static struct why why;

static void open_again(const uint8_t id[16], uint64_t nr_slots)
{
	catalog_close(catalog);
	catalog = NULL;
	if (map)
		munmap((void *)(uintptr_t)map, map_bytes);
	why.text[0] = '\0';
	if (catalog_open(&catalog, dir, id, nr_slots, &why) < 0)
		ck_abort_msg("%s", why.text);
	map_bytes = catalog_bytes(catalog);
	map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, catalog_fd(catalog), 0);
	ck_assert(map != MAP_FAILED);
}

static void setup(void)
{
	is_full = false;
	failing_calloc = 0;
	catalog = NULL;
	map = NULL;
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_catalog.XXXXXX"
						  : "/tmp/test_catalog.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, file_name);
	open_again(uuid, NR_SLOTS);
	catalog_ready(catalog);
}

static void teardown(void)
{
	catalog_close(catalog);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static const struct catalog_header *header(void)
{
	return map;
}

static uint64_t changes(void)
{
	return le64toh(header()->changes);
}

/* ---- what a reader must find ---- */

static void expect_found(const struct catalog_item *item)
{
	struct seen seen;
	const char *wrong;

	ck_assert_int_eq(read_slot(&seen, map, item->slot, item->id), FOUND);
	wrong = differs(&seen, item);
	ck_assert_msg(!wrong, "by handle, slot %u: another %s", item->slot, wrong);
	if (!item->name_len)
		return;
	ck_assert_int_eq(read_name(&seen, map, item->name, item->name_len), FOUND);
	wrong = differs(&seen, item);
	ck_assert_msg(!wrong, "by name, slot %u: another %s", item->slot, wrong);
}

static enum answer answer_to(const char *name, uint8_t len)
{
	struct seen seen;

	return read_name(&seen, map, name, len);
}

static void expect_none(uint32_t slot)
{
	struct seen seen;

	ck_assert_int_eq(read_any(&seen, map, slot), UNKNOWN);
}

static void expect_gone(const struct catalog_item *item)
{
	struct seen seen;

	ck_assert_int_eq(read_slot(&seen, map, item->slot, item->id), UNKNOWN);
	if (item->name_len)
		ck_assert_int_eq(answer_to(item->name, item->name_len), ABSENT);
}

/* ---- the items of a test ---- */

static void put_plain(struct made *made, uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(made, slot, id, version);
	made->item.attributes_len = 0;
	ck_assert_int_eq(catalog_put(catalog, &made->item), 0);
}

static void put_made(struct made *made, uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(made, slot, id, version);
	ck_assert_int_eq(catalog_put(catalog, &made->item), 0);
}

static struct extent one_extent = { 4096, 8192 };

static struct catalog_item named(uint32_t slot, const char *name, size_t len)
{
	return (struct catalog_item){
		.slot = slot, .version = 1, .id = slot + 1, .uid = 1, .gid = 2, .mode = 0600,
		.name = name, .name_len = (uint8_t)len, .extents = &one_extent, .nr_extents = 1,
	};
}

START_TEST(test_catalog_reader_finds_what_was_put_by_name_and_by_handle)
{
	static struct made made[3 * NR_KINDS];

	ck_assert_int_eq(answer_to("x", 1), ABSENT);
	for (uint32_t i = 0; i < 3 * NR_KINDS; i++)
		put_made(&made[i], i * 7, i + 1, i);
	for (uint32_t i = 0; i < 3 * NR_KINDS; i++) {
		expect_found(&made[i].item);
		expect_none(i * 7 + 1);
	}
	ck_assert_uint_eq(catalog_nr_entries(catalog), 3 * NR_KINDS);
	ck_assert_uint_eq(catalog_nr_named(catalog), 3 * NR_KINDS / 7 * 6);
	ck_assert_uint_eq(le64toh(header()->nr_entries), 3 * NR_KINDS / 7 * 6);
	ck_assert_uint_eq(changes() % 2, 0);
}
END_TEST

START_TEST(test_catalog_dropped_is_gone_and_twice_is_nothing)
{
	static struct made made[NR_KINDS];
	uint64_t before;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made[i], i, i + 1, 1);
	for (uint32_t i = 0; i < NR_KINDS; i++) {
		catalog_drop(catalog, i);
		before = changes();
		catalog_drop(catalog, i);
		ck_assert_uint_eq(changes(), before);
		for (uint32_t k = 0; k < NR_KINDS; k++)
			if (k <= i)
				expect_gone(&made[k].item);
			else
				expect_found(&made[k].item);
	}
	catalog_drop(catalog, NR_SLOTS - 1);
	ck_assert_uint_eq(catalog_nr_entries(catalog) + catalog_nr_named(catalog), 0);
}
END_TEST

/* Each kind in the place of each other one, which has the name no more. */
START_TEST(test_catalog_put_replaces_what_the_slot_had)
{
	struct made old, new;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		for (uint32_t k = 0; k < NR_KINDS; k++) {
			put_made(&old, 5, 1 + i, 1);
			put_made(&new, 5, 100 + k, 2);
			expect_gone(&old.item);
			expect_found(&new.item);
			ck_assert_uint_eq(catalog_nr_entries(catalog), 1);
			ck_assert_uint_eq(catalog_nr_named(catalog), new.item.name_len > 0);
		}
}
END_TEST

/* An entry whose word changes is another one to those that pinned the old one. */
START_TEST(test_catalog_new_version_of_an_entry_has_a_new_word)
{
	struct made made;
	struct seen seen;

	for (uint32_t version = 1; version < 300; version++) {
		put_made(&made, 9, 77, version);
		expect_found(&made.item);
		ck_assert_int_eq(read_slot(&seen, map, 9, 77), FOUND);
		ck_assert_uint_eq(seen.word, UINT64_C(10) << 32 | version);
	}
}
END_TEST

START_TEST(test_catalog_same_again_stores_nothing)
{
	struct made made;
	uint64_t before;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made, i, i + 1, 1);
	before = changes();
	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made, i, i + 1, 1);
	ck_assert_uint_eq(changes(), before);
	ck_assert_uint_eq(catalog_nr_entries(catalog), NR_KINDS);
}
END_TEST

#define NR_PARTS 11

/* Makes one part of it another one, which neither id nor version tells. */
static void change_part(struct made *made, int part)
{
	struct catalog_item *item = &made->item;

	item->uid ^= part == 0;
	item->gid ^= part == 1;
	item->mode ^= part == 2 ? 0040 : 0;
	item->is_poisoned ^= part == 3;
	item->name_len -= part == 4;
	made->name[100] ^= part == 5;
	made->extents[0].off ^= part == 6;
	made->extents[0].len ^= part == 7;
	made->extents[16].off ^= part == 8;
	made->extents[16].len ^= part == 9;
	item->nr_extents -= part == 10;
}

START_TEST(test_catalog_same_version_with_another_part_is_another)
{
	struct made made;

	put_made(&made, 5, 28 + 6, 1);          /* a long name and 17 extents */
	change_part(&made, _i);
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	expect_found(&made.item);
	/* After a restart too. */
	change_part(&made, (_i + 1) % (NR_PARTS - 1));
	open_again(uuid, NR_SLOTS);
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	catalog_ready(catalog);
	expect_found(&made.item);
}
END_TEST

START_TEST(test_catalog_names_may_have_any_bytes_and_any_length)
{
	static char names[256][256];

	for (uint32_t len = 1; len < 256; len++) {
		struct catalog_item item = named(len, names[len], len);

		for (uint32_t i = 0; i < len; i++)
			names[len][i] = (char)(i * len + len);
		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	for (uint32_t len = 1; len < 256; len++) {
		struct catalog_item item = named(len, names[len], len);

		expect_found(&item);
		names[len][len - 1]++;
		ck_assert_int_eq(answer_to(names[len], (uint8_t)len), ABSENT);
		names[len][len - 1]--;
	}
	/* A zero byte at the end is a part of a name. */
	ck_assert_int_eq(answer_to(names[200], 199), ABSENT);
}
END_TEST

START_TEST(test_catalog_extents_are_those_that_fit)
{
	struct extent many[4096];
	struct seen seen;

	for (uint32_t i = 0; i < 4096; i++)
		many[i] = (struct extent){ (uint64_t)i << 30, (i + 1) << 12 };
	for (uint32_t nr = 1; nr <= 19; nr++) {
		struct catalog_item item = named(nr, "several", 7);

		item.extents = many;
		item.nr_extents = nr == 19 ? 4096 : nr;
		ck_assert_int_eq(catalog_put(catalog, &item), 0);
		expect_found(&item);
		ck_assert_int_eq(read_slot(&seen, map, nr, nr + 1), FOUND);
		ck_assert_uint_eq(seen.extents[1].len, nr > 1 && nr < 18 ? 8192 : 0);
		catalog_drop(catalog, nr);
	}
}
END_TEST

/* ---- chains ---- */

static void put_numbers(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		char name[16];
		struct catalog_item item =
			named(i, name, (size_t)snprintf(name, sizeof(name), "n%u", i));

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
}

/* How many of the names from @from to @to are answered with @answer. */
static uint32_t count_numbers(uint32_t from, uint32_t to, enum answer answer)
{
	uint32_t nr = 0;

	for (uint32_t i = from; i < to; i++) {
		char name[16];
		struct catalog_item item =
			named(i, name, (size_t)snprintf(name, sizeof(name), "n%u", i));
		struct seen seen;
		enum answer got = read_name(&seen, map, name, item.name_len);

		nr += got == answer && (got != FOUND || !differs(&seen, &item));
	}
	return nr;
}

static uint64_t longest_chain(void)
{
	const uint32_t *heads = (const void *)((const char *)map + le64toh(header()->heads_off));
	const struct catalog_entry *entries =
		(const void *)((const char *)map + le64toh(header()->entries_off));
	uint64_t longest = 0;

	for (uint64_t i = 0; i < le64toh(header()->nr_buckets); i++) {
		uint64_t len = 0;

		for (uint32_t at = le32toh(heads[i]); at; at = le32toh(entries[at - 1].next))
			len++;
		longest = len > longest ? len : longest;
	}
	return longest;
}

START_TEST(test_catalog_hundred_thousand_names_are_found_while_it_grows)
{
	for (uint32_t i = 0; i < 100000; i += 10000) {
		put_numbers(i, i + 10000);
		ck_assert_uint_eq(count_numbers(0, i + 10000, FOUND), i + 10000);
		ck_assert_uint_eq(count_numbers(i + 10000, i + 11000, ABSENT), 1000);
	}
	/* One bucket a name: chains stay short. */
	ck_assert_uint_eq(le64toh(header()->nr_buckets), 100000);
	ck_assert_uint_lt(longest_chain(), 16);
	for (uint32_t i = 0; i < 100000; i += 2)
		catalog_drop(catalog, i);
	ck_assert_uint_eq(count_numbers(0, 100000, FOUND), 50000);
	ck_assert_uint_eq(count_numbers(0, 100000, ABSENT), 50000);
	put_numbers(0, 150000);
	ck_assert_uint_eq(count_numbers(0, 150000, FOUND), 150000);
}
END_TEST

#define NR_ALIKE (CATALOG_CHAIN + 6)

/* Names that are all in one bucket, as somebody could choose them who can read the seed. */
static void find_alike(char names[NR_ALIKE][16])
{
	uint64_t mask = le64toh(header()->nr_buckets) - 1;
	uint32_t nr = 0;

	for (uint32_t i = 0; nr < NR_ALIKE; i++) {
		int len = snprintf(names[nr], 16, "alike %u", i);

		nr += (tag_of_name(map, names[nr], (uint8_t)len) & mask) == 77;
	}
}

START_TEST(test_catalog_full_chain_makes_the_rest_unknown_and_not_absent)
{
	static char names[NR_ALIKE][16];
	enum answer wanted;

	find_alike(names);
	for (uint32_t i = 0; i < NR_ALIKE; i++) {
		struct catalog_item item = named(i, names[i], strlen(names[i]));

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	ck_assert_uint_eq(longest_chain(), CATALOG_CHAIN);
	for (uint32_t i = 0; i < NR_ALIKE; i++) {
		struct seen seen;

		wanted = i < CATALOG_CHAIN ? FOUND : UNKNOWN;
		ck_assert_int_eq(answer_to(names[i], (uint8_t)strlen(names[i])), wanted);
		ck_assert_int_eq(read_slot(&seen, map, i, i + 1), FOUND);
	}
	/* Who has room now is not told, but what is put anew is found. */
	catalog_drop(catalog, 3);
	ck_assert_int_eq(answer_to(names[NR_ALIKE - 1], (uint8_t)strlen(names[0])), UNKNOWN);
	ck_assert_int_eq(answer_to("another", 7), UNKNOWN);
	for (uint32_t i = CATALOG_CHAIN; i < NR_ALIKE; i++)
		catalog_drop(catalog, i);
	ck_assert_int_eq(answer_to(names[3], (uint8_t)strlen(names[3])), ABSENT);
	ck_assert_int_eq(answer_to("another", 7), ABSENT);
	ck_assert_uint_eq(catalog_nr_named(catalog), CATALOG_CHAIN - 1);
	/* When there are more buckets, they part. */
	for (uint32_t i = 0; i < 30; i++)
		catalog_drop(catalog, i);
	put_numbers(1000, 9000);
	ck_assert_uint_lt(longest_chain(), 24);
	for (uint32_t i = 0; i < CATALOG_CHAIN; i++)
		ck_assert_int_eq(answer_to(names[i], (uint8_t)strlen(names[i])),
				 i < 30 ? ABSENT : FOUND);
}
END_TEST

#define NR_TAGS 400000u

static int compare_tags(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Two names with one tag: some of 400,000 have. */
static void find_twins(char one[16], char other[16])
{
	static uint64_t tags[NR_TAGS];

	for (uint32_t i = 0; i < NR_TAGS; i++) {
		int len = snprintf(one, 16, "twin %u", i);

		tags[i] = (uint64_t)tag_of_name(map, one, (uint8_t)len) << 32 | i;
	}
	qsort(tags, NR_TAGS, sizeof(*tags), compare_tags);
	for (uint32_t i = 1; i < NR_TAGS; i++)
		if (tags[i] >> 32 == tags[i - 1] >> 32) {
			snprintf(one, 16, "twin %u", (uint32_t)tags[i - 1]);
			snprintf(other, 16, "twin %u", (uint32_t)tags[i]);
			return;
		}
	ck_abort_msg("no two names have one tag");
}

START_TEST(test_catalog_names_with_one_tag_are_told_apart)
{
	char one[16], other[16];
	struct catalog_item a, b;

	find_twins(one, other);
	a = named(1, one, strlen(one));
	b = named(2, other, strlen(other));
	ck_assert_int_eq(catalog_put(catalog, &a), 0);
	ck_assert_int_eq(answer_to(other, b.name_len), ABSENT);
	ck_assert_int_eq(catalog_put(catalog, &b), 0);
	expect_found(&a);
	expect_found(&b);
	put_numbers(1000, 9000);
	expect_found(&a);
	expect_found(&b);
	catalog_drop(catalog, 1);
	expect_gone(&a);
	expect_found(&b);
}
END_TEST

/* ---- who may what ---- */

START_TEST(test_catalog_client_cannot_write)
{
	uint64_t id = 1;
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, catalog_fd(catalog), 0);
	struct stat st;

	ck_assert(m == MAP_FAILED && errno == EACCES);
	ck_assert(pwrite(catalog_fd(catalog), &id, sizeof(id), 0) < 0 && errno == EBADF);
	ck_assert(ftruncate(catalog_fd(catalog), 0) < 0);
	ck_assert(mprotect((void *)(uintptr_t)map, 4096, PROT_READ | PROT_WRITE) < 0);
	ck_assert(fcntl(catalog_fd(catalog), F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq((uint64_t)st.st_size, catalog_bytes(catalog));
}
END_TEST

START_TEST(test_catalog_costs_what_is_used)
{
	struct made made;

	/* The header and the first heads. */
	ck_assert_uint_le(catalog_memory(catalog), 2 * 4096);
	nr_allocated = 0;
	put_numbers(0, 32);
	ck_assert_int_eq(nr_allocated, 1);
	ck_assert_uint_le(catalog_memory(catalog), 3 * 4096);
	/* Six kinds of seven have a name, three of four further extents or a long name. */
	for (uint32_t i = 0; i < 8; i++)
		put_plain(&made, i, 28 * (i + 1) + 5, 1);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	/* Extras are used again. */
	for (uint32_t i = 0; i < 8; i++)
		catalog_drop(catalog, i);
	for (uint32_t i = 0; i < 8; i++)
		put_plain(&made, 8 + i, 28 * (i + 1) + 5, 1);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	open_again(uuid, NR_SLOTS);
	for (uint32_t i = 0; i < 16; i++)
		put_plain(&made, 8 + i, 28 * (i % 8 + 1) + 5 + i / 8, 2);
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
	/* What has no memory is not read, so that it gets none. */
	expect_none(NR_SLOTS - 1);
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
}
END_TEST

/* Attributes have an extra of their own, which is used again when they go. */
START_TEST(test_catalog_attributes_cost_an_extra_each)
{
	struct made made;

	for (uint32_t i = 0; i < 8; i++) {
		make_item(&made, i, 28 * (i + 1) + 28, 1);      /* one extent, a name that fits */
		made.item.attributes_len = 1 + i;
		ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
		expect_found(&made.item);
	}
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 8; i++)
			put_plain(&made, i, 28 * (i + 1) + 28, 2 + round);
	for (uint32_t i = 0; i < 8; i++) {
		make_item(&made, i, 28 * (i + 1) + 28 + 5, 9);  /* and one of the other kind */
		made.item.attributes_len = i < 4 ? 256 : 0;
		ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
		expect_found(&made.item);
	}
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
}
END_TEST

/* The one extra is there, and not the other: what it had stays, or nothing does. */
START_TEST(test_catalog_put_without_memory_for_attributes_takes_nothing)
{
	struct made one, two;

	put_plain(&one, 0, 28, 1);
	is_full = true;
	make_item(&two, 0, 28, 2);
	two.item.attributes_len = 8;
	ck_assert_int_eq(catalog_put(catalog, &two.item), -ENOSPC);
	expect_none(0);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	is_full = false;
	ck_assert_int_eq(catalog_put(catalog, &two.item), 0);
	expect_found(&two.item);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
}
END_TEST

/* ---- full ---- */

START_TEST(test_catalog_put_without_memory_leaves_nothing_and_is_unknown)
{
	struct made one, two;

	put_plain(&one, 0, 28, 1);               /* one extent, a name that fits */
	make_item(&two, 0, 21 + 4, 2);
	is_full = true;
	two.item.nr_extents = 2;                /* it needs an extra */
	two.item.attributes_len = 0;
	ck_assert_int_eq(catalog_put(catalog, &two.item), -ENOSPC);
	expect_none(0);
	ck_assert_int_eq(answer_to(one.name, one.item.name_len), UNKNOWN);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	ck_assert_uint_eq(catalog_nr_entries(catalog), 0);
	make_item(&one, NR_SLOTS / 2, 7, 1);    /* another block */
	ck_assert_int_eq(catalog_put(catalog, &one.item), -ENOSPC);
	expect_none(NR_SLOTS / 2);
	/* Names count as long as they are there. */
	catalog_drop(catalog, 0);
	ck_assert_int_eq(answer_to(two.name, two.item.name_len), UNKNOWN);
	catalog_drop(catalog, NR_SLOTS / 2);
	expect_gone(&one.item);
	expect_gone(&two.item);
	is_full = false;
	ck_assert_int_eq(catalog_put(catalog, &one.item), 0);
	ck_assert_int_eq(catalog_put(catalog, &two.item), 0);
	expect_found(&one.item);
	expect_found(&two.item);
}
END_TEST

START_TEST(test_catalog_without_memory_for_buckets_has_longer_chains)
{
	put_numbers(0, 1000);
	for (uint32_t i = 1000; i < 5000; i++) {
		struct catalog_item item = named(i, "", 0);     /* memory for entries */

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	is_full = true;
	put_numbers(1000, 5000);
	ck_assert_uint_eq(le64toh(header()->nr_buckets), 1024);
	ck_assert_uint_eq(count_numbers(0, 5000, FOUND), 5000);
	is_full = false;
	put_numbers(5000, 9000);
	ck_assert_uint_gt(le64toh(header()->nr_buckets), 4000);
	ck_assert_uint_eq(count_numbers(0, 9000, FOUND), 9000);
}
END_TEST

/* Until nothing fits; then readers look at every slot. */
static int fill_small_tmpfs(void)
{
	static struct made made;
	struct catalog *c;
	struct seen seen;
	uint32_t nr_full = 0, nr_found = 0;
	void *m;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=256k,huge=never") < 0)
		return 77;
	if (catalog_open(&c, dir, uuid, NR_SLOTS, NULL) < 0)
		return 1;
	catalog_ready(c);
	m = mmap(NULL, catalog_bytes(c), PROT_READ, MAP_SHARED, catalog_fd(c), 0);
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
		make_item(&made, slot, slot + 1, 1);
		nr_full += catalog_put(c, &made.item) == -ENOSPC;
	}
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
		make_item(&made, slot, slot + 1, 1);
		if (read_slot(&seen, m, slot, slot + 1) == FOUND)
			nr_found += !differs(&seen, &made.item);
		if (read_name(&seen, m, made.name, made.item.name_len) == ABSENT)
			return 2;
	}
	return nr_full + nr_found == NR_SLOTS && nr_found > 100 && nr_full > 100000 ? 0 : 3;
}

/* One that cannot even be made. */
static int open_in_full_tmpfs(void)
{
	struct catalog *c;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=4k,huge=never") < 0)
		return 77;
	return catalog_open(&c, dir, uuid, NR_SLOTS, &why) == -ENOSPC && strstr(why.text, dir) ? 0
											       : 1;
}

static int (*const full[])(void) = { fill_small_tmpfs, open_in_full_tmpfs };

START_TEST(test_catalog_full_tmpfs_is_an_error_and_no_signal)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(full[_i]());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("test_catalog_full_tmpfs_is_an_error_and_no_signal needs to mount a tmpfs: "
		       "not tried\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- the next daemon ---- */

START_TEST(test_catalog_outlives_the_daemon)
{
	static struct made made[NR_KINDS], other;
	const void *old_map = map;
	struct seen seen;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made[i], i, i + 1, 1);
	map = NULL;                     /* it stays mapped, at old_map */
	open_again(uuid, NR_SLOTS);
	/* By handle everything is there, by name nothing is certain. */
	for (uint32_t i = 0; i < NR_KINDS; i++) {
		ck_assert_int_eq(read_slot(&seen, old_map, i, i + 1), FOUND);
		ck_assert_ptr_null(differs(&seen, &made[i].item));
		ck_assert_int_eq(read_name(&seen, old_map, made[i].name, made[i].item.name_len),
				 UNKNOWN);
	}
	/* Half is put again, a part of it as it was; something is new. */
	for (uint32_t i = 0; i < NR_KINDS; i += 2)
		put_made(&made[i], i, i + 1, i % 3 ? 1 : 2);
	put_made(&other, 100, 1000, 1);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < NR_KINDS; i++)
		if (i % 2)
			expect_gone(&made[i].item);
		else
			expect_found(&made[i].item);
	expect_found(&other.item);
	ck_assert_uint_eq(catalog_nr_entries(catalog), NR_KINDS / 2 + 1);
	ck_assert_int_eq(read_slot(&seen, old_map, 100, 1000), FOUND);
	catalog_drop(catalog, 100);
	ck_assert_int_eq(read_slot(&seen, old_map, 100, 1000), UNKNOWN);
	/* And once more. */
	open_again(uuid, NR_SLOTS);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < NR_KINDS; i++)
		expect_gone(&made[i].item);
}
END_TEST

START_TEST(test_catalog_dropped_before_ready_is_gone)
{
	struct made made, other;

	put_made(&made, 1, 7, 1);
	put_made(&other, 2, 9, 1);
	open_again(uuid, NR_SLOTS);
	put_made(&made, 1, 7, 1);
	catalog_drop(catalog, 1);
	catalog_drop(catalog, 2);
	expect_none(1);
	expect_none(2);
	ck_assert_uint_eq(changes() % 2, 1);
	catalog_ready(catalog);
	catalog_ready(catalog);
	expect_gone(&made.item);
	ck_assert_uint_eq(changes() % 2, 0);
}
END_TEST

static void patch(uint64_t off, const void *src, size_t len)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, src, len, (off_t)off), (ssize_t)len);
	close(fd);
}

static void be_of_another_layout(void)
{
	uint32_t layout = htole32(CATALOG_LAYOUT + 1);

	patch(offsetof(struct catalog_header, layout), &layout, sizeof(layout));
}

static void be_of_another_magic(void)
{
	patch(0, "x", 1);
}

static void be_of_another_entry_size(void)
{
	uint32_t bytes = htole32(256);

	patch(offsetof(struct catalog_header, entry_bytes), &bytes, sizeof(bytes));
}

static void be_of_another_boot(void)
{
	patch(1024 + 16, "00000000-0000-4000-8000-000000000000", 36);
}

static void be_of_another_arena(void)
{
	patch(1024, "another arena...", 16);
}

static void be_shorter(void)
{
	ck_assert_int_eq(truncate(path, (off_t)map_bytes - 4096), 0);
}

static void be_very_short(void)
{
	ck_assert_int_eq(truncate(path, 100), 0);
}

static void be_empty(void)
{
	ck_assert_int_eq(truncate(path, 0), 0);
}

static void have_too_much_memory(void)
{
	uint64_t nr = htole64(NR_SLOTS + 1);

	patch(offsetof(struct catalog_header, nr_backed), &nr, sizeof(nr));
}

static void be_removed(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

static const struct misfit {
	void (*make)(void);
	uint64_t nr_slots;              /* of the next daemon; 0: the same */
	bool is_told;                   /* who has it mapped sees that it is void */
} misfits[] = {
	{ be_of_another_layout, 0, true },
	{ be_of_another_magic, 0, true },
	{ be_of_another_entry_size, 0, true },
	{ be_of_another_boot, 0, true },
	{ be_of_another_arena, 0, true },
	{ have_too_much_memory, 0, true },
	{ be_shorter, 0, true },
	{ be_very_short, 0, false },
	{ be_empty, 0, false },
	{ be_removed, 0, false },
	{ NULL, NR_SLOTS + 1, true },
	{ NULL, 100, true },
	{ NULL, 5 * NR_SLOTS, true },
};

START_TEST(test_catalog_that_does_not_fit_is_void_and_replaced)
{
	const struct misfit *misfit = &misfits[_i];
	const struct catalog_header *old = map;
	uint64_t nr_slots = misfit->nr_slots ? misfit->nr_slots : NR_SLOTS;
	struct made made;
	struct stat before, after;

	put_made(&made, 3, 7, 1);
	ck_assert_int_eq(stat(path, &before), 0);
	catalog_close(catalog);
	catalog = NULL;
	if (misfit->make)
		misfit->make();
	map = NULL;
	open_again(uuid, nr_slots);
	if (misfit->is_told)
		ck_assert_uint_eq(old->layout, 0);
	/* With `old` mapped, its number is not given to another file. */
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert(before.st_ino != after.st_ino);
	ck_assert_uint_eq(after.st_mode & 07777, 0600);
	expect_none(3);
	catalog_ready(catalog);
	expect_gone(&made.item);
	put_made(&made, (uint32_t)nr_slots - 1, 7, 1);
	expect_found(&made.item);
	ck_assert_uint_eq(le32toh(header()->layout), CATALOG_LAYOUT);
	/* The next one fits. */
	open_again(uuid, nr_slots);
	put_made(&made, (uint32_t)nr_slots - 1, 7, 1);
	catalog_ready(catalog);
	expect_found(&made.item);
	ck_assert_int_eq(stat(path, &before), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

/* What no daemon writes: it is taken for nothing, and harms nobody. */
START_TEST(test_catalog_damaged_entries_are_none)
{
	static struct made made[4];
	uint64_t entries = le64toh(header()->entries_off), word = htole64(UINT64_C(99) << 32 | 1);
	uint32_t extra = htole32(2 * NR_SLOTS + 1), one = htole32(1);

	for (uint32_t i = 0; i < 4; i++)
		put_made(&made[i], i, 28 * (i + 1) + 5, 1);     /* with an extra each */
	patch(entries, &word, sizeof(word));
	patch(entries + 128 + offsetof(struct catalog_entry, extra), &extra, sizeof(extra));
	patch(entries + 2 * 128 + offsetof(struct catalog_entry, extra), &one, sizeof(one));
	patch(entries + 3 * 128 + offsetof(struct catalog_entry, extra), &one, sizeof(one));
	open_again(uuid, NR_SLOTS);
	expect_none(0);
	expect_none(1);
	expect_none(3);
	for (uint32_t i = 0; i < 4; i++)
		put_made(&made[i], i, 28 * (i + 1) + 5, 1);
	catalog_ready(catalog);
	for (uint32_t i = 0; i < 4; i++)
		expect_found(&made[i].item);
}
END_TEST

START_TEST(test_catalog_open_refuses_what_it_cannot_have)
{
	struct catalog *c;

	ck_assert_int_eq(catalog_open(&c, dir, uuid, UINT64_C(1) << 32, &why), -EINVAL);
	ck_assert_int_eq(catalog_open(&c, "/nonexistent", uuid, 10, &why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/"));
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(catalog_open(&c, dir, uuid, 10, &why), -ELOOP);
	ck_assert_ptr_nonnull(strstr(why.text, path));
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(catalog_open(&c, dir, uuid, 10, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, path));
	catalog_close(NULL);
}
END_TEST

START_TEST(test_catalog_open_without_memory_changes_nothing)
{
	struct made made;
	struct catalog *c;
	struct seen seen;
	int r = -ENOMEM;

	put_made(&made, 3, 7, 1);
	for (int n = 1; r < 0; n++) {
		nr_callocs = 0;
		failing_calloc = n;
		r = catalog_open(&c, dir, uuid, NR_SLOTS, &why);
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert_int_eq(read_slot(&seen, map, 3, 7), FOUND);
	}
	ck_assert_int_gt(nr_callocs, 3);
	catalog_close(c);
}
END_TEST

/* ---- everything at once ---- */

#define NR_MODEL 600u

/* What there should be, and what has been since the last look. */
static struct made model[NR_MODEL], gone[NR_MODEL];
static bool is_lost[NR_MODEL];          /* no memory when it was put */

static uint32_t some(uint32_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static void change_model(uint64_t id)
{
	uint32_t slot = some(some(2) ? NR_MODEL : 40);
	struct made *made = &model[slot];
	int r;

	if (made->item.id)
		make_item(&gone[slot], slot, made->item.id, made->item.version);
	is_lost[slot] = false;
	if (some(3) == 0) {
		catalog_drop(catalog, slot);
		made->item.id = 0;
		return;
	}
	make_item(made, slot, some(4) || !made->item.id ? id : made->item.id,
		  made->item.version + 1);
	r = catalog_put(catalog, &made->item);
	ck_assert(r == 0 || (is_full && r == -ENOSPC));
	is_lost[slot] = r < 0;
}

static void expect_model(void)
{
	bool any_lost = false;

	for (uint32_t slot = 0; slot < NR_MODEL; slot++)
		any_lost |= is_lost[slot] && model[slot].item.name_len;
	for (uint32_t slot = 0; slot < NR_MODEL; slot++) {
		const struct catalog_item *old = &gone[slot].item;

		if (model[slot].item.id && !is_lost[slot])
			expect_found(&model[slot].item);
		else
			expect_none(slot);
		if (old->id && old->id != model[slot].item.id && old->name_len)
			ck_assert_int_eq(answer_to(old->name, old->name_len),
					 any_lost ? UNKNOWN : ABSENT);
	}
}

START_TEST(test_catalog_is_what_a_model_says)
{
	for (uint32_t round = 1; round <= 40; round++) {
		is_full = some(4) == 0;
		for (uint32_t i = 0; i < 400; i++)
			change_model(round * 1000 + i);
		expect_model();
		if (round % 4)
			continue;
		is_full = false;
		open_again(uuid, NR_SLOTS);
		for (uint32_t slot = 0; slot < NR_MODEL; slot++) {
			is_lost[slot] = false;
			if (model[slot].item.id)
				ck_assert_int_eq(catalog_put(catalog, &model[slot].item), 0);
		}
		catalog_ready(catalog);
		expect_model();
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_reader_finds_what_was_put_by_name_and_by_handle);
	tcase_add_test(t, test_catalog_dropped_is_gone_and_twice_is_nothing);
	tcase_add_test(t, test_catalog_put_replaces_what_the_slot_had);
	tcase_add_test(t, test_catalog_new_version_of_an_entry_has_a_new_word);
	tcase_add_test(t, test_catalog_same_again_stores_nothing);
	tcase_add_loop_test(t, test_catalog_same_version_with_another_part_is_another, 0,
			    NR_PARTS);
	tcase_add_test(t, test_catalog_names_may_have_any_bytes_and_any_length);
	tcase_add_test(t, test_catalog_extents_are_those_that_fit);
	tcase_add_test(t, test_catalog_hundred_thousand_names_are_found_while_it_grows);
	tcase_add_test(t, test_catalog_full_chain_makes_the_rest_unknown_and_not_absent);
	tcase_add_test(t, test_catalog_names_with_one_tag_are_told_apart);
	tcase_add_test(t, test_catalog_client_cannot_write);
	tcase_add_test(t, test_catalog_costs_what_is_used);
	tcase_add_test(t, test_catalog_attributes_cost_an_extra_each);
	tcase_add_test(t, test_catalog_put_without_memory_for_attributes_takes_nothing);
	tcase_add_test(t, test_catalog_put_without_memory_leaves_nothing_and_is_unknown);
	tcase_add_test(t, test_catalog_without_memory_for_buckets_has_longer_chains);
	tcase_add_loop_test(t, test_catalog_full_tmpfs_is_an_error_and_no_signal, 0,
			    sizeof(full) / sizeof(*full));
	tcase_add_test(t, test_catalog_outlives_the_daemon);
	tcase_add_test(t, test_catalog_dropped_before_ready_is_gone);
	tcase_add_loop_test(t, test_catalog_that_does_not_fit_is_void_and_replaced, 0,
			    sizeof(misfits) / sizeof(*misfits));
	tcase_add_test(t, test_catalog_damaged_entries_are_none);
	tcase_add_test(t, test_catalog_open_refuses_what_it_cannot_have);
	tcase_add_test(t, test_catalog_open_without_memory_changes_nothing);
	tcase_add_test(t, test_catalog_is_what_a_model_says);
}

UNIT("catalog", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
