/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plane while it changes: one writer, readers through the mapping that clients get and through
 * the daemon's own. Under ThreadSanitizer the second kind shows a race (it sees addresses),
 * everywhere the first kind shows a torn or a stale id.
 */
#include <config.h>

#include <check.h>
#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/books/plane.h"
#include "tests/unit/unit.h"

#define NR_SLOTS 2048u
#define NR_READS UINT64_C(5000000)

static const uint8_t uuid[16] = { 1 };
static char dir[64];
static struct plane *plane;

/* Halves that agree, and a slot's ids only grow: as ids do that are never used twice. */
static uint64_t id_of(uint32_t slot, uint32_t round)
{
	uint64_t half = round * (uint64_t)NR_SLOTS + slot + 1;

	return half << 32 | half;
}

static void setup(void)
{
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_race.XXXXXX"
						  : "/tmp/test_race.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(plane_open(&plane, dir, uuid, NR_SLOTS, NULL), 0);
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++)
		ck_assert_int_eq(plane_prepare(plane, slot), 0);
}

static void teardown(void)
{
	char command[128];

	plane_close(plane);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

struct reader {
	const uint64_t *ids;            /* as a client has them; NULL: through plane_get() */
	uint64_t nr_torn, nr_stale;
	_Atomic uint64_t nr_reads;
	_Atomic bool *stop;
};

static uint64_t look(const struct reader *reader, uint32_t slot)
{
	return reader->ids ? le64toh(__atomic_load_n(&reader->ids[slot], __ATOMIC_ACQUIRE))
			   : plane_get(plane, slot);
}

static void *read_on(void *arg)
{
	static _Thread_local uint64_t seen[NR_SLOTS];
	struct reader *reader = arg;

	for (; !*reader->stop; reader->nr_reads += NR_SLOTS)
		for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
			uint64_t id = look(reader, slot);

			reader->nr_torn += id >> 32 != (uint32_t)id ||
					   (id && ((uint32_t)id - 1) % NR_SLOTS != slot);
			reader->nr_stale += id && id < seen[slot];
			seen[slot] = id ? id : seen[slot];
		}
	return NULL;
}

static void write_round(uint32_t round)
{
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++) {
		plane_set(plane, slot, 0);
		plane_set(plane, slot, id_of(slot, round));
	}
}

START_TEST(test_plane_race_no_reader_sees_a_torn_or_stale_id)
{
	_Atomic bool stop = false;
	const uint64_t *ids =
		mmap(NULL, plane_bytes(plane), PROT_READ, MAP_SHARED, plane_fd(plane), 0);
	struct reader readers[2] = { { .ids = ids, .stop = &stop }, { .stop = &stop } };
	pthread_t threads[2];

	ck_assert(ids != MAP_FAILED);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
	for (uint32_t round = 0; readers[0].nr_reads < NR_READS || readers[1].nr_reads < NR_READS;
	     round++)
		write_round(round);
	stop = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(readers[i].nr_torn, 0);
		ck_assert_uint_eq(readers[i].nr_stale, 0);
	}
	munmap((void *)(uintptr_t)ids, plane_bytes(plane));
}
END_TEST

/* The daemon is killed (nothing is closed) and another opens the same file, while clients look. */
START_TEST(test_plane_race_daemons_come_and_go_under_a_reader)
{
	_Atomic bool stop = false;
	const uint64_t *ids =
		mmap(NULL, plane_bytes(plane), PROT_READ, MAP_SHARED, plane_fd(plane), 0);
	struct reader reader = { .ids = ids, .stop = &stop };
	uint64_t bytes = plane_bytes(plane);
	pthread_t thread;

	ck_assert(ids != MAP_FAILED);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_on, &reader), 0);
	for (uint32_t round = 0; round < 75 || reader.nr_reads < NR_READS / 10; round++) {
		write_round(round);
		plane_close(plane);
		ck_assert_int_eq(plane_open(&plane, dir, uuid, NR_SLOTS, NULL), 0);
		ck_assert_uint_eq(le64toh(__atomic_load_n(&ids[77], __ATOMIC_ACQUIRE)),
				  id_of(77, round));
	}
	stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(reader.nr_torn + reader.nr_stale, 0);
	munmap((void *)(uintptr_t)ids, bytes);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_plane_race_no_reader_sees_a_torn_or_stale_id);
	tcase_add_test(t, test_plane_race_daemons_come_and_go_under_a_reader);
}

UNIT("plane_race", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 60 });
