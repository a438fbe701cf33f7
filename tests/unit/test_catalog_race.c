/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The catalog while it changes: one writer, readers by name and by handle. What a reader finds is
 * one item whole, as the writer had it at some instant of the reader's look. Readers go through the
 * mapping that clients get, and through the daemon's own: only there does ThreadSanitizer, which
 * sees addresses, find a store that is not atomic.
 *
 * Links with --wrap=mmap.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/catalog_fixture.h"
#include "tests/unit/unit.h"

#define NR_SLOTS  4096u
#define NR_NAMES  2048u                 /* what the writer turns over */
#define STAYS     4000u                 /* a slot that stays as it is */
#define SECONDS   2                     /* or until every reader has seen something */
#define ENOUGH    1000u

static const uint8_t uuid[16] = { 1 };
static char dir[64];
static struct catalog *catalog;
static void *own_map;                   /* the daemon's */

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *map = __real_mmap(addr, len, prot, flags, fd, off);

	if (fd >= 0 && flags & MAP_SHARED && prot & PROT_WRITE)
		own_map = map;
	return map;
}

static void setup(void)
{
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_race.XXXXXX"
						  : "/tmp/test_race.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(catalog_open(&catalog, dir, uuid, NR_SLOTS, NULL), 0);
	catalog_ready(catalog);
}

static void teardown(void)
{
	char command[128];

	catalog_close(catalog);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/*
 * The item with this id was put with versions from begun[id] up to now, and dropped when gone[id]:
 * the writer stores these before and after, so that a reader can tell what it may see.
 */
#define NR_IDS     (1u << 22)
#define STAYING_ID (NR_IDS - 2)            /* it has a name and further extents */
static _Atomic uint32_t begun[NR_IDS];  /* the highest version whose put began */
static _Atomic bool is_dropped[NR_IDS];

struct reader {
	const void *map;
	bool by_name;
	_Atomic bool *stop;
	_Atomic uint64_t nr_found, nr_absent;
	char wrong[128];                /* what it saw and should not have seen */
	_Atomic bool is_wrong;          /* it stopped for that */
};

static void judge(struct reader *reader, const struct seen *seen, bool was_dropped)
{
	struct made made;
	uint32_t slot = (uint32_t)(seen->word >> 32) - 1, version = (uint32_t)seen->word;
	const char *what;

	if (seen->id >= NR_IDS || version > begun[seen->id]) {
		strcpy(reader->wrong, "what was never put");
		return;
	}
	make_item(&made, slot, seen->id, version);
	what = differs(seen, &made.item);
	if (what)
		snprintf(reader->wrong, sizeof(reader->wrong), "a mix, another %s", what);
	else if (was_dropped)
		strcpy(reader->wrong, "what was dropped before");
}

static _Atomic uint32_t newest;         /* the highest id so far */

/* Half of the time what the writer is about to put, or is putting; else what there is and was. */
static uint32_t pick(uint32_t nr)
{
	uint32_t high = newest;

	if (nr % 2)
		return high + 1;
	return high > 3000 ? high - nr % 3000 : 1 + nr % (high + 1);
}

static void look(struct reader *reader, uint32_t nr)
{
	uint32_t id = pick(nr);
	bool was_dropped = is_dropped[id];
	uint32_t version = begun[id];
	enum answer answer;
	struct made made;
	struct seen seen;

	make_item(&made, id % NR_NAMES, id, version ? version : 1);
	if (reader->by_name && made.item.name_len)
		answer = read_name(&seen, reader->map, made.name, made.item.name_len);
	else
		answer = read_slot(&seen, reader->map, id % NR_NAMES, id);
	reader->nr_found += answer == FOUND;
	reader->nr_absent += answer == ABSENT;
	if (answer == FOUND)
		judge(reader, &seen, was_dropped);
}

/* What nobody changes is found by handle at all times, and by name it is never said to be away. */
static void look_at_what_stays(struct reader *reader)
{
	struct made made;
	struct seen seen;

	make_item(&made, STAYS, STAYING_ID, 1);
	if (read_slot(&seen, reader->map, STAYS, STAYING_ID) != FOUND)
		strcpy(reader->wrong, "nothing by handle where something stays");
	if (read_name(&seen, reader->map, made.name, made.item.name_len) == ABSENT)
		strcpy(reader->wrong, "no name where one stays");
}

static void *read_on(void *arg)
{
	struct reader *reader = arg;

	for (uint32_t nr = 0; !*reader->stop && !reader->wrong[0]; nr++) {
		look(reader, nr * 2654435761u >> 8);
		if (nr % 16 == 0)
			look_at_what_stays(reader);
	}
	reader->is_wrong = reader->wrong[0];
	return NULL;
}

static void put_version(uint32_t id, uint32_t version)
{
	struct made made;

	make_item(&made, id % NR_NAMES, id, version);
	begun[id] = version;
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
}

/* Each slot's old item goes by a drop, or by the new one in its place; some get new versions. */
static void turn_over(uint32_t id)
{
	uint32_t old = id > NR_NAMES ? id - NR_NAMES : 0;

	if (old && id % 3)
		catalog_drop(catalog, old % NR_NAMES);
	if (old && id % 3)
		is_dropped[old] = true;
	put_version(id, 1);
	is_dropped[old] = true;
	newest = id;
	if (id > 100)
		put_version(id - id % 100, begun[id - id % 100] + 1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A daemon that ends and one that begins, which puts what there was. */
static void restart(uint32_t id)
{
	struct made made;

	catalog_close(catalog);
	ck_assert_int_eq(catalog_open(&catalog, dir, uuid, NR_SLOTS, NULL), 0);
	make_item(&made, STAYS, STAYING_ID, 1);
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	for (uint32_t back = 0; back < NR_NAMES && back < id; back++) {
		make_item(&made, (id - back) % NR_NAMES, id - back, begun[id - back]);
		ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	}
	catalog_ready(catalog);
}

static bool have_all_seen(const struct reader readers[4])
{
	for (int i = 0; i < 4; i++)
		if (readers[i].nr_found < ENOUGH || (readers[i].by_name && !readers[i].nr_absent))
			return readers[i].is_wrong;
	return true;
}

static void race(const void *const maps[4], uint32_t restart_each)
{
	_Atomic bool stop = false;
	struct reader readers[4];
	pthread_t threads[4];
	double end = seconds() + SECONDS;
	struct made made;

	make_item(&made, STAYS, STAYING_ID, 1);
	begun[STAYING_ID] = 1;
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	for (int i = 0; i < 4; i++) {
		readers[i] = (struct reader){ .map = maps[i], .by_name = i % 2, .stop = &stop };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
	}
	for (uint32_t id = 1; seconds() < end || !have_all_seen(readers); id++) {
		ck_assert_uint_lt(id, STAYING_ID);
		turn_over(id);
		if (restart_each && id % restart_each == 0)
			restart(id);
	}
	stop = true;
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_msg(!readers[i].wrong[0], "reader %d saw %s", i, readers[i].wrong);
	}
}

START_TEST(test_catalog_race_readers_see_whole_items_or_nothing)
{
	const void *map = mmap(NULL, catalog_bytes(catalog), PROT_READ, MAP_SHARED,
			       catalog_fd(catalog), 0);
	const void *const maps[4] = { map, map, own_map, own_map };

	ck_assert(map != MAP_FAILED);
	race(maps, 0);
}
END_TEST

/* Daemons come and go under the readers. */
START_TEST(test_catalog_race_restarts_are_not_seen_by_handle)
{
	const void *map = mmap(NULL, catalog_bytes(catalog), PROT_READ, MAP_SHARED,
			       catalog_fd(catalog), 0);
	const void *const maps[4] = { map, map, map, map };

	ck_assert(map != MAP_FAILED);
	race(maps, 5000);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_race_readers_see_whole_items_or_nothing);
	tcase_add_test(t, test_catalog_race_restarts_are_not_seen_by_handle);
}

UNIT("catalog_race", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
