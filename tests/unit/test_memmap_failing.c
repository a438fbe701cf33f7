/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_failing: each call of the memmap, with each system call and allocation in it failing in
 * turn: alone, and with all after it, so that what puts things back fails too. One that is refused
 * leaves the array as it was, descriptors and mappings; what is done off the path never changes
 * what a reader sees; and when the system works again, so does the call.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/failing_calls.h"
#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

/* By so many mappings the heap may grow meanwhile. */
#ifdef __SANITIZE_ADDRESS__
#define HEAP_VMAS 256u
#else
#define HEAP_VMAS 8u
#endif
#define NR_PAGES  256u                  /* four sections */
#define NR_PFNS   (NR_PAGES * 512u)
#define SPARE 40u /* mappings beside those that are there, where they are to run short */

/* ---- the array at one moment ---- */

struct snapshot {
	struct desc *desc;              /* owned; of pages that were active */
	bool active[NR_PAGES];
	char *plane;                    /* owned */
};

static void take(struct snapshot *snap, const struct memmap *mm)
{
	snap->desc = calloc(NR_PFNS, sizeof(*snap->desc));
	for (unsigned page = 0; page < NR_PAGES; page++) {
		snap->active[page] = memmap_is_active(mm, page);
		for (uint64_t pfn = page * 512; snap->active[page] && pfn < (page + 1) * 512; pfn++)
			snap->desc[pfn] = *memmap_desc(mm, pfn);
	}
	snap->plane = plane_text(mm, NR_PFNS);
}

static void drop(struct snapshot *snap)
{
	free(snap->desc);
	free(snap->plane);
}

static bool same_descriptors(const struct snapshot *a, const struct memmap *mm)
{
	for (uint64_t pfn = 0; pfn < NR_PFNS; pfn++)
		if (a->active[pfn / 512] &&
		    memcmp(&a->desc[pfn], memmap_desc(mm, pfn), sizeof(struct desc)) != 0)
			return false;
	return true;
}

static bool same_mappings(const struct snapshot *a, const struct memmap *mm)
{
	char *now = plane_text(mm, NR_PFNS);
	bool same = strcmp(a->plane, now) == 0;

	for (unsigned page = 0; page < NR_PAGES; page++)
		same = same && a->active[page] == memmap_is_active(mm, page);
	free(now);
	return same;
}

/* ---- states to begin with ---- */

static void none(struct memmap *mm) { (void)mm; }
static void active(struct memmap *mm) { ck_assert_int_eq(memmap_activate(mm, 0, 128), 0); }

/* Owners in it: whatever fails must not lose them. */
static void split(struct memmap *mm, uint64_t page)
{
	ck_assert_int_eq(memmap_restore(mm, page), 0);
	for (uint64_t i = 1; i < 512; i++)
		memmap_tail(mm, page * 512 + i)->object = (uint32_t)(page * 512 + i);
	memmap_head(mm, page)->object = (uint32_t)page;
}

static void empty(struct memmap *mm, uint64_t page)
{
	reset_tails(mm, page, 9);
}

static void neighbour(struct memmap *mm)
{
	active(mm);
	split(mm, 4);
	settle(mm);
}

static void middle(struct memmap *mm)
{
	ck_assert_int_eq(memmap_activate(mm, 64, 64), 0);
	split(mm, 70);
}

/* Pages 44 to 83, in two sections, are empty again, 100 is not. */
static void emptied(struct memmap *mm)
{
	active(mm);
	for (uint64_t page = 44; page < 84; page++) {
		split(mm, page);
		empty(mm, page);
	}
	split(mm, 100);
}

/* As many isolated ones as there is room for: what comes next is flat. */
static void short_of_maps(struct memmap *mm)
{
	active(mm);
	for (uint64_t page = 1; page < 24; page += 2)
		split(mm, page);
}

static void one_idle(struct memmap *mm)
{
	neighbour(mm);
	split(mm, 9);
	empty(mm, 9);
	memmap_dedup(mm, 9, 1);
}

static void idle_is_due(struct memmap *mm)
{
	one_idle(mm);
	for (int i = 0; i < 7; i++)
		memmap_maintain(mm);
}

static void sixteen_idle(struct memmap *mm)
{
	active(mm);
	for (uint64_t page = 2; page < 36; page += 2) {
		split(mm, page);
		empty(mm, page);
	}
	for (uint64_t page = 2; page < 34; page += 2)
		memmap_dedup(mm, page, 1);
}

static void late(struct memmap *mm)
{
	emptied(mm);
	failing_from(0, FAIL_ONE, "mmap");
	memmap_dedup(mm, 44, 40);
	ck_assert(failing_stop());
}

static void broken(struct memmap *mm)
{
	neighbour(mm);
	empty(mm, 4);
	memmap_dedup(mm, 4, 1);
	for (int i = 0; i < 8; i++)
		memmap_maintain(mm);
}

/* ---- calls ---- */

static int activate_one(struct memmap *mm) { return memmap_activate(mm, 3, 1); }
static int activate_all(struct memmap *mm) { return memmap_activate(mm, 0, NR_PAGES); }
static int restore(struct memmap *mm) { return memmap_restore(mm, 5); }
static int restore_far(struct memmap *mm) { return memmap_restore(mm, 40); }
static int revive(struct memmap *mm) { return memmap_restore(mm, 9); }
static int dedup_batch(struct memmap *mm) { memmap_dedup(mm, 44, 40); return 0; }
static int dedup_one_more(struct memmap *mm) { memmap_dedup(mm, 34, 1); return 0; }
static int maintain(struct memmap *mm) { memmap_maintain(mm); return 0; }

static int poison_tail(struct memmap *mm)
{
	int r = memmap_poison(mm, 7 * 512 + 1);

	return r < 0 ? r : 0;
}

static int poison_head(struct memmap *mm)
{
	int r = memmap_poison(mm, 40 * 512);

	return r < 0 ? r : 0;
}

static int look(struct memmap *mm)
{
	struct memmap_stats stats;

	memmap_stats(mm, &stats);
	return 0;
}

/* ---- what is true when they have worked ---- */

static bool is_on(const struct memmap *mm)
{
	return memmap_is_active(mm, 3) && is_plain(memmap_desc(mm, 2 * 512 + 1));
}
static bool are_on(const struct memmap *mm)
{
	return is_on(mm) && memmap_is_active(mm, 255) && is_plain(memmap_desc(mm, 255 * 512 + 9));
}
static bool is_own(const struct memmap *mm)
{
	return memmap_tail((struct memmap *)(uintptr_t)mm, 5 * 512 + 1);
}
static bool far_is_own(const struct memmap *mm)
{
	return memmap_tail((struct memmap *)(uintptr_t)mm, 40 * 512 + 1);
}
static bool is_revived(const struct memmap *mm)
{
	return memmap_tail((struct memmap *)(uintptr_t)mm, 9 * 512 + 1);
}
static bool is_shared(const struct memmap *mm)
{
	return !memmap_tail((struct memmap *)(uintptr_t)mm, 2 * 512 + 1);
}
static bool are_shared(const struct memmap *mm)
{
	return !memmap_tail((struct memmap *)(uintptr_t)mm, 44 * 512 + 1);
}
static bool tail_is_bad(const struct memmap *mm)
{
	return memmap_desc(mm, 7 * 512 + 1)->flags & DESC_POISON;
}
static bool head_is_bad(const struct memmap *mm)
{
	return far_is_own(mm) && memmap_desc(mm, 40 * 512)->flags & DESC_POISON;
}
static bool always(const struct memmap *mm) { (void)mm; return true; }

struct step {
	const char *name;
	void (*prepare)(struct memmap *mm);
	int (*run)(struct memmap *mm);
	bool (*is_done)(const struct memmap *mm);
	/* the descriptors are the same before and after; it cannot be refused, only put off */
	bool is_quiet;
	/* and its mappings are those before it or those after it, nothing between */
	bool is_whole;
	bool is_short;                  /* of mappings */
};

static const struct step all_steps[] = {
	{ "activate one", none, activate_one, is_on, false, false, false },
	{ "activate all", none, activate_all, are_on, false, false, false },
	{ "activate around an active one", middle, activate_all, are_on, false, false, false },
	{ "activate, short of mappings", short_of_maps, activate_all, are_on, false, false, true },
	{ "restore the first", active, restore, is_own, false, false, false },
	{ "restore a neighbour", neighbour, restore, is_own, false, false, false },
	{ "restore, short of mappings", short_of_maps, restore_far, far_is_own, false, false,
	  true },
	{ "restore an idle one", one_idle, revive, is_revived, false, false, false },
	{ "dedup of two sections", emptied, dedup_batch, are_shared, true, true, false },
	{ "dedup pushes the oldest out", sixteen_idle, dedup_one_more, is_shared, true, true,
	  false },
	{ "dedup, short of mappings", emptied, dedup_batch, always, true, false, true },
	{ "maintain a new one", active, maintain, always, true, true, false },
	{ "maintain refills", neighbour, maintain, always, true, true, false },
	{ "maintain shares what was idle", idle_is_due, maintain, always, true, true, false },
	{ "maintain shares what is late", late, maintain, always, true, false, false },
	{ "maintain mends", broken, maintain, always, true, true, false },
	{ "maintain, short of mappings", short_of_maps, maintain, always, true, false, true },
	{ "poison a tail", active, poison_tail, tail_is_bad, false, false, false },
	{ "poison a head", neighbour, poison_head, head_is_bad, false, false, false },
	{ "poison, short of mappings", short_of_maps, poison_head, head_is_bad, false, false,
	  true },
	{ "numbers", neighbour, look, always, true, true, false },
};
enum { NR_STEPS = sizeof(all_steps) / sizeof(*all_steps) };

static struct memmap *begin(const struct step *step)
{
	struct memmap *mm = new_memmap(NR_PAGES * 2 * MiB, 9,
				       step->is_short ? (uint32_t)count_vmas() + SPARE : 0);

	step->prepare(mm);
	return mm;
}

static void assert_true_numbers(const struct memmap *mm)
{
	struct memmap_stats stats;
	uint64_t sections = 0, wrong;
	struct why why = { "" };

	memmap_stats(mm, &stats);
	for (unsigned page = 0; page < NR_PAGES; page += 64)
		sections += memmap_is_active(mm, page);
	ck_assert_uint_eq(stats.sections_active, sections);
	ck_assert_uint_le(stats.pages_split + stats.pages_idle, NR_PAGES);
	ck_assert_msg(memmap_verify(&wrong, mm, 0, NR_PAGES, &why) == 0, "%s", why.text);
}

/* The call has returned @r. Alone: one thing failed, and everything else worked. */
static void assert_outcome(const struct step *step, struct memmap *mm, int r,
			   const struct snapshot *before, const struct snapshot *after, bool alone)
{
	if (r < 0 || step->is_quiet)
		ck_assert_msg(same_descriptors(before, mm), "%s: %s fails: other descriptors",
			      step->name, failing_name());
	if (r < 0 && alone)
		ck_assert_msg(same_mappings(before, mm), "%s: %s fails: other mappings", step->name,
			      failing_name());
	if (r == 0 && !step->is_quiet)
		ck_assert_msg(step->is_done(mm), "%s: %s fails: it says that it is done",
			      step->name, failing_name());
	if (step->is_whole && alone)
		ck_assert_msg(same_mappings(before, mm) || same_mappings(after, mm),
			      "%s: %s fails: half-way", step->name, failing_name());
	assert_true_numbers(mm);
}

static bool run_failing(const struct step *step, int n, enum failing_mode mode,
			const struct snapshot *after)
{
	uint64_t nr_vmas = count_vmas(), nr_fds = count_fds();
	struct memmap *mm = begin(step);
	struct snapshot before;
	bool struck;
	int r;

	take(&before, mm);
	failing_from(n, mode, NULL);
	r = step->run(mm);
	struck = failing_stop();
	ck_assert_msg(r == 0 || (struck && r == -ENOMEM), "%s: %s fails: %d", step->name,
		      failing_name(), r);
	assert_outcome(step, mm, r, &before, after, mode == FAIL_ONE);
	ck_assert_int_eq(step->run(mm), 0);
	settle(mm);
	ck_assert_msg(step->is_done(mm), "%s: after %s: never done", step->name, failing_name());
	assert_true_numbers(mm);
	drop(&before);
	memmap_free(mm);
	ck_assert_uint_eq(count_fds(), nr_fds);
	ck_assert_uint_le(count_vmas(), nr_vmas + HEAP_VMAS);
	return struck;
}

START_TEST(test_memmap_each_call_failing_changes_nothing)
{
	const struct step *step = &all_steps[_i / 2];
	enum failing_mode mode = _i % 2 ? FAIL_ALL_AFTER : FAIL_ONE;
	struct memmap *mm = begin(step);
	struct snapshot after;
	int n = 0;

	ck_assert_int_eq(step->run(mm), 0);
	take(&after, mm);
	memmap_free(mm);
	while (run_failing(step, n, mode, &after))
		n++;
	ck_assert_int_lt(n, 2000);
	if (getenv("MEMMAP_TALK"))
		fprintf(stderr, "%s: %d calls failed in turn\n", step->name, n);
	drop(&after);
}
END_TEST

/* ---- from nothing, to nothing ---- */

START_TEST(test_memmap_new_that_fails_leaves_nothing)
{
	static const uint8_t orders[] = { 0, 9, 18 };
	struct memmap_params params = { .nr_pfns = GiB >> DESC_SHIFT,
					.order = orders[_i],
					.numa_node = -1 };
	uint64_t nr_fds = count_fds(), nr_vmas;
	struct memmap *once;
	bool struck = true;

	/* the heap grows for the first one */
	ck_assert_int_eq(memmap_new(&once, &params, NULL), 0);
	memmap_free(once);
	nr_vmas = count_vmas();
	for (int n = 0; struck; n++) {
		struct memmap *mm = NULL;
		int r;

		failing_from(n, FAIL_ONE, NULL);
		r = memmap_new(&mm, &params, NULL);
		struck = failing_stop();
		/* Where the limit of mappings cannot be read, it is the kernel's usual one. */
		ck_assert_int_eq(r, struck && strcmp(failing_name(), "open") != 0 ? -ENOMEM : 0);
		ck_assert((r == 0) == (mm != NULL));
		memmap_free(mm);
		ck_assert_uint_eq(count_fds(), nr_fds);
		ck_assert_uint_le(count_vmas(), nr_vmas + HEAP_VMAS);
	}
}
END_TEST

START_TEST(test_memmap_free_needs_nothing)
{
	const struct step *step = &all_steps[_i];
	uint64_t nr_fds = count_fds(), nr_vmas = count_vmas();
	struct memmap *mm = begin(step);

	ck_assert_int_eq(step->run(mm), 0);
	failing_from(0, FAIL_ALL_AFTER, NULL);
	memmap_free(mm);
	failing_stop();
	ck_assert_uint_eq(count_fds(), nr_fds);
	ck_assert_uint_le(count_vmas(), nr_vmas + HEAP_VMAS);
}
END_TEST

/* ---- put off, and from the reserve ---- */

START_TEST(test_memmap_dedup_that_fails_is_put_off)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	struct memmap_stats stats;

	ck_assert_int_eq(memmap_activate(mm, 0, 512), 0);
	for (uint64_t page = 60; page < 100; page++)
		ck_assert_int_eq(memmap_restore(mm, page), 0);
	failing_from(1, FAIL_ONE, NULL);        /* the second of two sections */
	memmap_dedup(mm, 60, 40);
	ck_assert(failing_stop());
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.dedups_put_off, 40);
	ck_assert_uint_eq(stats.pages_idle, 40);
	for (uint64_t page = 60; page < 100; page++)
		assert_plain_page(mm, page, 9);
	settle(mm);
	memmap_stats(mm, &stats);
	ck_assert_uint_eq(stats.pages_idle, 0);
	memmap_free(mm);
}
END_TEST

static void assert_true_poison(struct memmap *mm, uint64_t page)
{
	ck_assert_uint_eq(memmap_head(mm, page)->nr_poisoned, 1);
	ck_assert_ptr_nonnull(memmap_tail(mm, page * 512 + 9));
	ck_assert(is_plain(memmap_desc(mm, page * 512 + 9)));
}

/*
 * No slot can be filled any more: what is ready is used up, then what fails fails again and again,
 * and poison still finds some.
 */
START_TEST(test_memmap_reserve_serves_poison_when_memory_is_out)
{
	struct memmap *mm = new_memmap(GiB, 9, 0);
	uint64_t page = 0, nr;
	int r = 0;

	ck_assert_int_eq(memmap_activate(mm, 0, 512), 0);
	ck_assert_int_eq(memmap_restore(mm, page++), 0);
	settle(mm);
	failing_from(0, FAIL_ALL_AFTER, "pwrite");
	while (r == 0 && page < 400)
		r = memmap_restore(mm, page++);
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_int_eq(memmap_restore(mm, 409), -ENOMEM);
	for (nr = 0; nr < 100 && memmap_poison(mm, (410 + nr) * 512 + 3 * (nr % 2)) == 1; nr++)
		assert_true_poison(mm, 410 + nr);
	ck_assert_uint_eq(nr, 4);
	ck_assert_int_eq(memmap_poison(mm, 415 * 512 + 3), -ENOMEM);
	ck_assert_ptr_null(memmap_tail(mm, 415 * 512 + 3));
	ck_assert_uint_eq(memmap_head(mm, 415)->nr_poisoned, 0);
	failing_stop();
	ck_assert_int_eq(memmap_restore(mm, 409), 0);
	ck_assert_int_eq(memmap_poison(mm, 415 * 512 + 3), 1);
	memmap_free(mm);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_memmap_each_call_failing_changes_nothing, 0, 2 * NR_STEPS);
	tcase_add_loop_test(t, test_memmap_new_that_fails_leaves_nothing, 0, 3);
	tcase_add_loop_test(t, test_memmap_free_needs_nothing, 0, NR_STEPS);
	tcase_add_test(t, test_memmap_dedup_that_fails_is_put_off);
	tcase_add_test(t, test_memmap_reserve_serves_poison_when_memory_is_out);
}

UNIT("memmap_failing", { .add = add_tests, .timeout_s = 120 });
