/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_history: random histories of whole pages, split ones, their base pages and bad ones,
 * beside a plain array with a full descriptor for every base page that knows nothing of sharing.
 * All three orders, with mappings in plenty and with hardly any.
 */
#include <config.h>

#include "daemon/memmap/memmap.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/memmap_fixture.h"
#include "tests/unit/unit.h"

#define EPOCHS 20u                      /* bad pages stay bad: now and then a new device */

struct history {
	struct memmap *mm;
	struct desc *model;             /* one a base page */
	uint64_t nr_pfns, nr_pages;
	uint8_t order;
};

/* 64, 128, 4096 or 2 pages. */
static const struct variant {
	uint8_t order;
	uint64_t bytes;
	uint32_t spare_maps;            /* 0: plenty */
	/*
	 * a page changes its state as much more rarely: what is slow is what is written each time
	 */
	unsigned rare;
} variants[] = {
	{ 9, 128 * MiB, 0, 4 },
	{ 9, 256 * MiB, 24, 64 },
	{ 0, 16 * MiB, 0, 1 },
	{ 18, 2 * GiB, 0, 5000 },
};
enum { NR_VARIANTS = sizeof(variants) / sizeof(*variants) };

static void begin(struct history *h, const struct variant *v)
{
	h->mm = new_memmap(v->bytes, v->order,
			   v->spare_maps ? (uint32_t)count_vmas() + v->spare_maps : 0);
	for (uint64_t pfn = 0; pfn < h->nr_pfns; pfn++) {
		bool is_head = (pfn & ((UINT64_C(1) << v->order) - 1)) == 0;

		h->model[pfn] = (struct desc){ .kind = is_head ? DESC_HEAD : DESC_TAIL,
					       .order = is_head ? v->order : 0 };
	}
}

static struct desc *model_head(struct history *h, uint64_t page)
{
	return &h->model[page << h->order];
}

/* ---- what happens: in the array by its calls, in the model by plain stores ---- */

static void toggle_whole(struct history *h, uint64_t page, uint32_t object)
{
	if (model_head(h, page)->flags & DESC_SPLIT)
		return;
	model_head(h, page)->object = memmap_head(h->mm, page)->object =
		model_head(h, page)->object ? 0 : object;
}

static void split(struct history *h, uint64_t page)
{
	struct desc *head = model_head(h, page);

	if (head->object || head->flags & DESC_SPLIT)
		return;
	ck_assert_int_eq(memmap_restore(h->mm, page), 0);
	head->flags |= DESC_SPLIT;
	memmap_head(h->mm, page)->flags |= DESC_SPLIT;
}

static void allocate_base(struct history *h, uint64_t pfn, uint32_t object)
{
	struct desc *head = model_head(h, pfn >> h->order),
		    *own = memmap_head(h->mm, pfn >> h->order);

	if (!(head->flags & DESC_SPLIT) || h->model[pfn].object ||
	    h->model[pfn].flags & DESC_POISON)
		return;
	h->model[pfn].object = memmap_tail(h->mm, pfn)->object = object;
	own->nr_used = ++head->nr_used;
}

static void free_base(struct history *h, uint64_t pfn)
{
	struct desc *head = model_head(h, pfn >> h->order),
		    *own = memmap_head(h->mm, pfn >> h->order);

	if (!(head->flags & DESC_SPLIT) || !h->model[pfn].object)
		return;
	h->model[pfn].object = memmap_tail(h->mm, pfn)->object = 0;
	own->nr_used = --head->nr_used;
}

/* All of it at once, as when a client goes. */
static void empty(struct history *h, uint64_t page)
{
	struct desc *head = model_head(h, page), *own = memmap_head(h->mm, page);
	uint64_t first = page << h->order;

	if (!(head->flags & DESC_SPLIT))
		return;
	for (uint64_t pfn = first; head->nr_used > 0; pfn++)
		free_base(h, pfn);
	head->flags &= (uint16_t)~DESC_SPLIT;
	own->flags &= (uint16_t)~DESC_SPLIT;
	memmap_dedup(h->mm, page, 1);
}

static void empty_many(struct history *h, uint64_t page)
{
	uint64_t nr = 1 + rnd(40);

	for (uint64_t i = page; i < page + nr && i < h->nr_pages; i++)
		if (memmap_is_active(h->mm, i))
			empty(h, i);
	if (page + nr <= h->nr_pages && memmap_is_active(h->mm, page) &&
	    memmap_is_active(h->mm, page + nr - 1) && h->order == 9)
		for (uint64_t i = page; i < page + nr; i++)
			if (memmap_is_active(h->mm, i) && !model_head(h, i)->object)
				split(h, i);
}

static void poison(struct history *h, uint64_t pfn)
{
	struct desc *head = model_head(h, pfn >> h->order);
	int is_new = !(h->model[pfn].flags & DESC_POISON);

	ck_assert_int_eq(memmap_poison(h->mm, pfn), is_new);
	h->model[pfn].flags |= DESC_POISON;
	head->nr_poisoned += (uint32_t)is_new;
}

/* ---- comparing ---- */

static void assert_same(const struct history *h, uint64_t pfn)
{
	if (memmap_is_active(h->mm, pfn >> h->order))
		ck_assert_msg(
			memcmp(memmap_desc(h->mm, pfn), &h->model[pfn], sizeof(struct desc)) == 0,
			"pfn %llu differs", (unsigned long long)pfn);
}

static void assert_all_same(const struct history *h)
{
	struct why why = { "" };
	uint64_t wrong;

	for (uint64_t pfn = 0; pfn < h->nr_pfns; pfn++)
		assert_same(h, pfn);
	ck_assert_msg(memmap_verify(&wrong, h->mm, 0, h->nr_pages, &why) == 0, "%s", why.text);
}

/* Some base pages of a page are more likely than others, so that they meet. */
static uint64_t some_pfn(const struct history *h, uint64_t page)
{
	uint64_t nr = UINT64_C(1) << h->order;

	return (page << h->order) + (rnd(2) ? rnd(nr) : rnd(nr < 8 ? nr : 8));
}

static void change(struct history *h, const struct variant *v, uint64_t page, uint32_t step)
{
	uint64_t what = rnd(64);

	if (what < 6 && rnd(v->rare) == 0)
		split(h, page);
	else if (what < 8 && rnd(v->rare) == 0)
		empty(h, page);
	else if (what == 8 && rnd(20 * v->rare) == 0)
		empty_many(h, page);
	else if (what == 9 && rnd(200) == 0 && rnd(v->rare) == 0)
		poison(h, some_pfn(h, page));
	else if (what == 10 && rnd(v->rare) == 0)
		memmap_maintain(h->mm);
	else if (what < 24)
		toggle_whole(h, page, step);
	else if (what < 48)
		allocate_base(h, some_pfn(h, page), step);
	else
		free_base(h, some_pfn(h, page));
}

static void run_step(struct history *h, const struct variant *v, uint32_t step)
{
	uint64_t page = rnd(h->nr_pages), pfn = some_pfn(h, page);

	if (!memmap_is_active(h->mm, page))
		ck_assert_int_eq(memmap_activate(h->mm, page, 1 + rnd(h->nr_pages - page)), 0);
	change(h, v, page, step);
	assert_same(h, pfn);
	assert_same(h, page << h->order);
	assert_same(h, rnd(h->nr_pfns));
}

START_TEST(test_memmap_random_history_equals_plain_array)
{
	const struct variant *v = &variants[_i];
	struct history h = { .order = v->order, .nr_pfns = v->bytes >> DESC_SHIFT };
	uint64_t nr = steps(1000000), every = v->order == 18 ? 200000 : 20000;

	h.nr_pages = h.nr_pfns >> h.order;
	h.model = calloc(h.nr_pfns, sizeof(*h.model));
	rnd_seed((uint64_t)_i + 1);
	begin(&h, v);
	for (uint64_t step = 1; step <= nr; step++) {
		run_step(&h, v, (uint32_t)step);
		if (step % every == 0)
			assert_all_same(&h);
		if (v->order == 9 && step % (nr / EPOCHS + 1) == 0) {
			memmap_free(h.mm);
			begin(&h, v);
		}
	}
	memmap_free(h.mm);
	free(h.model);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_memmap_random_history_equals_plain_array, 0, NR_VARIANTS);
}

UNIT("memmap_history", { .add = add_tests, .timeout_s = 120 });
