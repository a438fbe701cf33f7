/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: killed at any instruction. A process is stepped through a change one instruction at a
 * time. After every instruction that stored something, a reader looks at the file, as one does
 * whose daemon was stopped there; and a copy of it, as a killed daemon would leave it, is opened by
 * another daemon and repaired, both when the change was durable and when it was not.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/catalog_fixture.h"
#include "tests/unit/stepper.h"
#include "tests/unit/unit.h"

#define MAX_SLOTS 1100u
#define FEW_SLOTS 128u
#define MANY      1024u                 /* named items: one more, and a bucket is split */
#define FEW       30u

static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
				  1,	2,    3,    4,	  5,	6,    7,    8 };
static const char file_name[] = "12345678-9abc-def0-0102-030405060708.catalog";

static char dir[64], path[128], copy_dir[80], copy_path[160];
static struct catalog *catalog;
static size_t map_bytes;

/*
 * What is published, by slot, before the change and after it; an id of 0: nothing. They are shared
 * with the process that is stepped, which says what will be.
 */
static struct made *before, *after;
static uint32_t nr_slots, nr_base;      /* slots from nr_base on are nobody's */

static void setup(void)
{
	size_t bytes = 2 * MAX_SLOTS * sizeof(*before);

	before = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(before != MAP_FAILED);
	after = before + MAX_SLOTS;
	catalog = NULL;
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_kill.XXXXXX"
						  : "/tmp/test_kill.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, file_name);
	snprintf(copy_dir, sizeof(copy_dir), "%s/copy", dir);
	snprintf(copy_path, sizeof(copy_path), "%s/%s", copy_dir, file_name);
	ck_assert_int_eq(mkdir(copy_dir, 0700), 0);
}

static void teardown(void)
{
	catalog_close(catalog);
	unlink(path);
	unlink(copy_path);
	ck_assert_int_eq(rmdir(copy_dir) + rmdir(dir), 0);
}

static void open_catalog(void)
{
	ck_assert_int_eq(catalog_open(&catalog, dir, uuid, nr_slots, NULL), 0);
	map_bytes = catalog_bytes(catalog);
}

static void put(struct made *set, uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(&set[slot], slot, id, version);
	ck_assert_int_eq(catalog_put(catalog, &set[slot].item), 0);
}

static void put_all(struct catalog *c, const struct made *set)
{
	for (uint32_t slot = 0; slot < nr_slots; slot++) {
		struct made made;

		if (!set[slot].item.id)
			continue;
		make_item(&made, slot, set[slot].item.id, set[slot].item.version);
		ck_assert_int_eq(catalog_put(c, &made.item), 0);
	}
}

/* ---- changes ---- */

static void begin(void)
{
	raise(SIGSTOP);
}

/*
 * Each says in after[] what will be, and then does it. Items of the base have the id slot + 1: of
 * 28 ids that follow each other, each is of another kind (catalog_fixture.c).
 */
typedef void change_fn(void);

static void will_be(uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(&after[slot], slot, id, version);
}

static void will_go(uint32_t slot)
{
	memset(&after[slot], 0, sizeof(after[slot]));
}

static void do_changes(const uint32_t *slots, int nr)
{
	begin();
	for (int i = 0; i < nr; i++)
		if (after[slots[i]].item.id)
			catalog_put(catalog, &after[slots[i]].item);
		else
			catalog_drop(catalog, slots[i]);
}

static void do_change(uint32_t slot)
{
	do_changes(&slot, 1);
}

static void change_put_simple(void)
{
	will_be(40, 28 * 5, 1);
	do_change(40);
}

static void change_put_with_extra(void)
{
	will_be(40, 28 * 5 + 6, 1);             /* 255 bytes, 17 extents */
	do_change(40);
}

static void change_put_in_another_block(void)
{
	will_be(100, 28 * 5 + 5, 1);
	do_change(100);
}

static void change_version(void)
{
	will_be(27, 28, 2);
	do_change(27);
}

static void change_version_with_extra(void)
{
	will_be(5, 6, 2);
	do_change(5);
}

static void change_simple_to_extra(void)
{
	will_be(27, 28 * 5 + 6, 1);
	do_change(27);
}

static void change_extra_to_simple(void)
{
	will_be(5, 28 * 5, 1);
	do_change(5);
}

static void change_extra_to_extra(void)
{
	will_be(5, 28 * 5 + 26, 1);
	do_change(5);
}

static void change_drop_simple(void)
{
	will_go(27);
	do_change(27);
}

static void change_drop_with_extra(void)
{
	will_go(5);
	do_change(5);
}

static void change_drop_nameless(void)
{
	will_go(0);
	do_change(0);
}

/* The extra of the one that goes is that of the one that comes. */
static void change_reuse(void)
{
	const uint32_t slots[] = { 5, 41 };

	will_go(5);
	will_be(41, 28 * 5 + 6, 1);
	do_changes(slots, 2);
}

static change_fn *const changes[] = {
	change_put_simple,	   change_put_with_extra,     change_put_in_another_block,
	change_version,		   change_version_with_extra, change_simple_to_extra,
	change_extra_to_simple,	   change_extra_to_extra,     change_drop_simple,
	change_drop_with_extra,	   change_drop_nameless,      change_reuse,
};

/* The next daemon, for which one thing is gone, one is new and one is another one. */
static void change_daemon(void)
{
	will_go(3);
	will_go(5);
	will_be(6, 7, 2);
	will_be(50, 28 * 5 + 6, 1);
	begin();
	if (catalog_open(&catalog, dir, uuid, nr_slots, NULL) < 0)
		_exit(1);
	put_all(catalog, after);
	catalog_ready(catalog);
}

/* ---- what a reader may see ---- */

static bool is_in(const struct made *made, const struct seen *seen)
{
	return made->item.id && !differs(seen, &made->item);
}

static bool stays(uint32_t slot)
{
	return before[slot].item.id && before[slot].item.id == after[slot].item.id &&
	       before[slot].item.version == after[slot].item.version;
}

static bool has_come[MAX_SLOTS];         /* a reader saw the new one, or that the old one is gone */

/* The old one, the new one or nothing; never the old one again; what stays is always there. */
static void judge_slot(const void *map, uint32_t slot)
{
	struct seen seen;

	if (read_any(&seen, map, slot) != FOUND) {
		ck_assert_msg(!stays(slot), "slot %u stays, and is not there", slot);
		has_come[slot] = true;
	} else if (is_in(&after[slot], &seen)) {
		has_come[slot] = !stays(slot);
	} else {
		ck_assert_msg(is_in(&before[slot], &seen), "slot %u is a mix", slot);
		ck_assert_msg(!has_come[slot], "slot %u is the old one again", slot);
	}
}

static void judge_name(const void *map, const struct catalog_item *item)
{
	struct seen seen;
	enum answer answer;
	uint32_t slot = item->slot;

	if (!item->id || !item->name_len)
		return;
	answer = read_name(&seen, map, item->name, item->name_len);
	if (answer == FOUND)
		ck_assert_msg(is_in(&before[slot], &seen) || is_in(&after[slot], &seen),
			      "slot %u is a mix by name", slot);
	ck_assert_msg(answer != ABSENT || !stays(slot), "slot %u stays, its name is away", slot);
}

static void judge_all(const void *map)
{
	for (uint32_t slot = 0; slot < nr_slots; slot++) {
		judge_slot(map, slot);
		judge_name(map, &before[slot].item);
		judge_name(map, &after[slot].item);
	}
}

/* Exactly what is in @set: each thing by its handle and by its name, and nothing else. */
static void expect_set(const void *map, const struct made *set,
		       const struct made *other)
{
	struct seen seen;

	for (uint32_t slot = 0; slot < nr_slots; slot++) {
		const struct catalog_item *item = &set[slot].item, *old = &other[slot].item;

		ck_assert_int_eq(read_any(&seen, map, slot), item->id ? FOUND : UNKNOWN);
		ck_assert(!item->id || !differs(&seen, item));
		if (item->id && item->name_len) {
			ck_assert_int_eq(read_name(&seen, map, item->name, item->name_len), FOUND);
			ck_assert(!differs(&seen, item));
		}
		if (old->id && old->name_len && old->id != item->id)
			ck_assert_int_eq(read_name(&seen, map, old->name, old->name_len), ABSENT);
	}
}

/* ---- what the next daemon makes of it ---- */

static void write_copy(const char *image)
{
	int fd = open(copy_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, image, map_bytes), (ssize_t)map_bytes);
	close(fd);
}

static void repair(const char *image, const struct made *set,
		   const struct made *other)
{
	struct catalog *c;
	void *map;

	write_copy(image);
	ck_assert_int_eq(catalog_open(&c, copy_dir, uuid, nr_slots, NULL), 0);
	map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, catalog_fd(c), 0);
	ck_assert(map != MAP_FAILED);
	put_all(c, set);
	catalog_ready(c);
	expect_set(map, set, other);
	/* And it can be worked with, until all extras are taken. */
	for (uint32_t slot = nr_base; slot < nr_slots; slot += 3) {
		struct made made;

		make_item(&made, slot, 100000 + 28 * slot + 6, 1);
		ck_assert_int_eq(catalog_put(c, &made.item), 0);
	}
	for (uint32_t slot = nr_base; slot < nr_slots; slot += 3)
		catalog_drop(c, slot);
	put_all(c, set);
	expect_set(map, set, other);
	munmap(map, map_bytes);
	catalog_close(c);
}

/* ---- stepping ---- */

static void see_change(const char *image)
{
	judge_all(image);
	repair(image, before, after);
	repair(image, after, before);
}

/* Puts @nr items, which are before and, if the change says nothing else, after. */
static void make_base(uint32_t nr)
{
	nr_slots = FEW_SLOTS;
	nr_base = 101;
	open_catalog();
	catalog_ready(catalog);
	for (uint32_t slot = 0; slot < nr; slot++) {
		put(before, slot, slot + 1, 1);
		make_item(&after[slot], slot, slot + 1, 1);
	}
}

/* The file itself, whose process was killed after the last store. */
static void expect_done(void)
{
	void *map;

	catalog_close(catalog);
	open_catalog();
	map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, catalog_fd(catalog), 0);
	judge_all(map);
	put_all(catalog, after);
	catalog_ready(catalog);
	expect_set(map, after, before);
	munmap(map, map_bytes);
}

START_TEST(test_catalog_killed_in_a_change_is_repaired)
{
	int nr;

	make_base(FEW);
	nr = stepper_run(path, map_bytes, changes[_i], see_change);
	if (!nr)
		return;
	ck_assert_int_gt(nr, 3);
	expect_done();
}
END_TEST

START_TEST(test_catalog_killed_while_it_opens_is_repaired)
{
	make_base(FEW);
	if (!stepper_run(path, map_bytes, change_daemon, see_change))
		return;
	expect_done();
}
END_TEST

/* ---- a bucket is split ---- */

/* As many named items as there are buckets: the next one splits one of them. */
static void make_many(void)
{
	uint32_t slot = 0;

	nr_slots = nr_base = MAX_SLOTS;
	open_catalog();
	catalog_ready(catalog);
	for (uint64_t id = 7; slot < MANY; id += 28, slot++) {
		put(before, slot, id, 1);
		make_item(&after[slot], slot, id, 1);
	}
}

static void change_split(void)
{
	will_be(MANY, UINT64_C(7) + 28 * MANY, 1);
	do_change(MANY);
}

START_TEST(test_catalog_killed_while_a_bucket_is_split_is_repaired)
{
	make_many();
	if (!stepper_run(path, map_bytes, change_split, see_change))
		return;
	expect_done();
}
END_TEST

/* ---- a file is made ---- */

static void change_first(void)
{
	will_be(0, 7, 1);
	begin();
	if (catalog_open(&catalog, dir, uuid, nr_slots, NULL) < 0)
		_exit(1);
	put_all(catalog, after);
	catalog_ready(catalog);
}

static bool is_there;

/* Whatever of it there is, the next daemon can use it or makes another one. */
static void see_first(const char *image)
{
	const struct catalog_header *header = (const void *)image;

	if (header->magic)
		judge_all(image);
	is_there |= header->magic != 0;
	repair(image, after, before);
}

START_TEST(test_catalog_killed_while_it_is_made_is_made_again)
{
	nr_slots = FEW_SLOTS;
	nr_base = 101;
	open_catalog();                 /* for map_bytes */
	catalog_close(catalog);
	catalog = NULL;
	unlink(path);
	is_there = false;
	if (stepper_run(path, map_bytes, change_first, see_first))
		ck_assert(is_there);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_catalog_killed_in_a_change_is_repaired, 0,
			    sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(t, test_catalog_killed_while_it_opens_is_repaired);
	tcase_add_test(t, test_catalog_killed_while_a_bucket_is_split_is_repaired);
	tcase_add_test(t, test_catalog_killed_while_it_is_made_is_made_again);
}

UNIT("catalog_kill", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 300 });
