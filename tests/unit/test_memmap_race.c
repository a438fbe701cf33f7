/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_race: one thread splits pages, gives each of their tails an owner that says which tail it
 * is, takes it back and shares them; another reads all the time. A tail is plain or says its own
 * number, whatever is mapped at that moment; where the writer says that a page rests, it is exactly
 * what the writer left, in every word. Heads stay what they are.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

#define NR_PAGES 64u
#define NR_PFNS  (NR_PAGES * 512u)

/* Of one page: odd while the writer is at it; then PLAIN or OWNED in the bit above. */
enum { BUSY = 1, OWNED = 2, ONE_MORE = 4 };

struct race {
	struct memmap *mm;
	_Atomic uint32_t rest[NR_PAGES];
	_Atomic bool stop;
	_Atomic uint64_t nr_reads;
	uint64_t nr_bad, nr_owned, nr_plain;    /* the reader's */
	char first[128];                        /* what was bad */
};

static uint32_t mark(uint64_t pfn) { return (uint32_t)pfn * 2654435761u | 1; }

/* ---- reading ---- */

static struct desc load(const struct memmap *mm, uint64_t pfn)
{
	const volatile uint64_t *from =
		(const volatile uint64_t *)(const volatile void *)memmap_desc(mm, pfn);
	union { struct desc desc; uint64_t word[8]; } copy;

	for (int i = 0; i < 8; i++)
		copy.word[i] = from[i];
	return copy.desc;
}

/* What may be there while a change is under way: each word is the old or the new one. */
static bool is_possible(const struct desc *desc, uint64_t pfn)
{
	struct desc expected = { .kind = DESC_TAIL };

	expected.object = desc->object ? mark(pfn) : 0;
	expected.reserved[10] = desc->reserved[10] ? ~mark(pfn) : 0;
	return memcmp(desc, &expected, sizeof(expected)) == 0;
}

static bool is_exactly(const struct desc *desc, uint64_t pfn, bool owned)
{
	return is_possible(desc, pfn) && (desc->object != 0) == owned &&
	       (desc->reserved[10] != 0) == owned;
}

static bool is_right_head(const struct desc *head, uint64_t pfn)
{
	struct desc expected = { .kind = DESC_HEAD, .order = 9, .object = mark(pfn) };

	return memcmp(head, &expected, sizeof(expected)) == 0;
}

static bool look(struct race *race, uint64_t pfn)
{
	uint32_t before = race->rest[pfn / 512], after;
	struct desc desc = load(race->mm, pfn);

	after = race->rest[pfn / 512];
	if (pfn % 512 == 0)
		return is_right_head(&desc, pfn);
	if (before != after || before & BUSY)
		return is_possible(&desc, pfn);
	race->nr_owned += before & OWNED ? 1 : 0;
	race->nr_plain += before & OWNED ? 0 : 1;
	return is_exactly(&desc, pfn, before & OWNED);
}

static void *read_all(void *arg)
{
	struct race *race = arg;
	uint64_t pfn = 1;

	while (!race->stop) {
		for (int i = 0; i < 4096; i++) {
			if (!look(race, pfn) && race->nr_bad++ == 0)
				snprintf(race->first, sizeof(race->first), "pfn %llu",
					 (unsigned long long)pfn);
			pfn = (pfn * 5 + 3) % NR_PFNS;
		}
		race->nr_reads += 4096;
	}
	return NULL;
}

/* ---- writing ---- */

static void own(struct race *race, uint64_t page, bool owned)
{
	for (uint64_t i = 1; i < 512; i++) {
		struct desc *tail = memmap_tail(race->mm, page * 512 + i);

		__atomic_store_n(&tail->object, owned ? mark(page * 512 + i) : 0, __ATOMIC_RELAXED);
		__atomic_store_n(&tail->reserved[10], owned ? ~mark(page * 512 + i) : 0,
				 __ATOMIC_RELAXED);
	}
}

/* Pages rest both while they are owned and when they are shared. */
static void churn(struct race *race)
{
	uint64_t first = rnd(NR_PAGES - 24), nr = 1 + rnd(24);

	for (uint64_t page = first; page < first + nr; page++) {
		/* at rest: it is plain before, meanwhile and behind */
		ck_assert_int_eq(memmap_restore(race->mm, page), 0);
		race->rest[page] += BUSY;
		own(race, page, true);
		race->rest[page] += ONE_MORE + OWNED - BUSY;
	}
	for (uint64_t page = first; page < first + nr; page++) {
		race->rest[page] += BUSY;
		own(race, page, false);
		race->rest[page] += ONE_MORE - OWNED - BUSY;
	}
	memmap_dedup(race->mm, first, nr);
	if (rnd(4) == 0)
		memmap_maintain(race->mm);
}

START_TEST(test_memmap_reader_sees_only_what_was_written)
{
	static struct race race;
	uint64_t wanted = steps(100000000);
	struct memmap_stats stats;
	pthread_t thread;

	race.mm = new_memmap(GiB, 9, _i ? (uint32_t)count_vmas() + 24 : 0);
	ck_assert_int_eq(memmap_activate(race.mm, 0, NR_PAGES), 0);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		memmap_head(race.mm, page)->object = mark(page * 512);
	rnd_seed(9 + (uint64_t)_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_all, &race), 0);
	while (race.nr_reads < wanted / 2)
		churn(&race);
	race.stop = true;
	pthread_join(thread, NULL);
	memmap_stats(race.mm, &stats);
	if (getenv("MEMMAP_TALK"))
		fprintf(stderr,
			"%llu reads, %llu of them owned and %llu plain at rest, %llu restores\n",
			(unsigned long long)race.nr_reads, (unsigned long long)race.nr_owned,
			(unsigned long long)race.nr_plain, (unsigned long long)stats.restores);
	ck_assert_msg(race.nr_bad == 0, "%llu wrong of %llu reads, the first at %s",
		      (unsigned long long)race.nr_bad, (unsigned long long)race.nr_reads,
		      race.first);
	ck_assert_uint_gt(race.nr_owned, 0);
	ck_assert_uint_gt(race.nr_plain, 0);
	memmap_free(race.mm);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_memmap_reader_sees_only_what_was_written, 0, 2);
}

UNIT("memmap_race", { .add = add_tests, .timeout_s = 120 });
