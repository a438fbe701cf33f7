/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: the array as others see it, and when its parts change shape: sections are activated on first use, compound pages restored when they are
 * split and shared again when the last small allocation in them is gone, a little later. How that is done with mappings is tails.c's.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "daemon/memmap/memmap_internal.h"

#define SUBSECTION_PFNS UINT64_C(512)
#define MIN_BACKING     (UINT64_C(2) << 20)

/* ---- new and free ---- */

static int check_params(const struct memmap_params *p, struct why *why)
{
	uint64_t per_page = UINT64_C(1) << p->order;

	if (p->order != 0 && p->order != 9 && p->order != DESC_MAX_ORDER)
		return why_set(why, -EINVAL, "order %u is not one that there is: 0, 9 or 18", p->order);
	if (p->nr_pfns == 0 || p->nr_pfns % per_page || p->nr_pfns % SUBSECTION_PFNS || p->nr_pfns > UINT64_C(1) << 40)
		return why_set(why, -EINVAL, "%llu base pages are no multiple of a subsection (2 MiB, 512 pages) and of the compound page",
			       (unsigned long long)p->nr_pfns);
	if (p->home == MEMMAP_DEVICE && (!p->device_base || p->device_len < memmap_device_bytes(p->nr_pfns, p->order)))
		return why_set(why, -EINVAL, "the device has no room for its descriptors: format it with memmap = device");
	return 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void set_geometry(struct memmap *mm)
{
	mm->nr_pages = mm->p.nr_pfns >> mm->p.order;
	mm->tail_mask = (UINT64_C(1) << mm->p.order) - 1;
	mm->unit_shift = (unsigned)larger(SECTION_PFN_SHIFT, mm->p.order);
	mm->nr_units = (mm->p.nr_pfns + (UINT64_C(1) << mm->unit_shift) - 1) >> mm->unit_shift;
	mm->backing_bytes = larger(MIN_BACKING, page_bytes(mm));
	mm->can_collapse = true;
	mm->backing_fd = mm->flat_fd = -1;
	pool_init(&mm->pool, page_bytes(mm));
}

static int init_planes(struct memmap *mm, struct why *why)
{
	size_t words = (mm->nr_units + 63) / 64;
	int r = 0;

	mm->active = calloc(words, sizeof(uint64_t));
	mm->flat = calloc(words, sizeof(uint64_t));
	mm->splits = calloc(mm->nr_units, sizeof(*mm->splits));
	mm->nr_split_in = calloc(mm->nr_units, sizeof(*mm->nr_split_in));
	if (!mm->active || !mm->flat || !mm->splits || !mm->nr_split_in)
		return -ENOMEM;
	if (mm->p.home == MEMMAP_DEVICE) {      /* as in the kernel: flat, and not deduplicated */
		mm->heads = mm->tails = mm->p.device_base;
		mm->head_shift = mm->p.order;
		return 0;
	}
	vma_budget_init(&mm->budget, mm->p.max_vmas);
	if (mm->p.order > 0)
		r = tails_init(mm, why);
	if (r == 0)
		r = heads_init(mm, why);
	return r;
}

int memmap_new(struct memmap **out, const struct memmap_params *params, struct why *why)
{
	struct memmap *mm;
	int r = check_params(params, why);

	if (r < 0)
		return r;
	mm = calloc(1, sizeof(*mm));
	if (!mm)
		return -ENOMEM;
	mm->p = *params;
	set_geometry(mm);
	r = init_planes(mm, why);
	if (r < 0) {
		memmap_free(mm);
		return r;
	}
	*out = mm;
	return 0;
}

void memmap_free(struct memmap *mm)
{
	if (!mm)
		return;
	if (mm->p.home == MEMMAP_DRAM) {
		tails_fini(mm);
		heads_fini(mm);
	}
	backing_close(mm);
	pool_fini(&mm->pool);
	for (uint64_t unit = 0; mm->splits && unit < mm->nr_units; unit++)
		if (mm->nr_split_in[unit])
			free(mm->splits[unit]);
	free(mm->splits);
	free(mm->nr_split_in);
	free(mm->active);
	free(mm->flat);
	free(mm);
}

uint64_t memmap_device_bytes(uint64_t nr_pfns, uint8_t order)
{
	(void)order;
	return nr_pfns * DESC_SIZE;
}

/* ---- activate ---- */

static void fill_device(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit << mm->unit_shift, end = (unit + 1) << mm->unit_shift;

	for (uint64_t pfn = first; mm->tail_mask && pfn < end && pfn < mm->p.nr_pfns; pfn++)
		if (pfn & mm->tail_mask)
			mm->tails[pfn] = plain_tail;
}

static int activate_unit(struct memmap *mm, uint64_t unit)
{
	int r = 0;

	if (has_plane(mm))
		r = tails_activate(mm, unit);
	else
		fill_device(mm, unit);
	if (r < 0)
		return r;
	heads_activate(mm, unit);
	bit_set(mm->active, unit, true);
	mm->nr_active++;
	return 0;
}

static void deactivate_unit(struct memmap *mm, uint64_t unit)
{
	bit_set(mm->active, unit, false);
	mm->nr_active--;
	if (has_plane(mm))
		tails_deactivate(mm, unit);
}

/* What this call activated before one failed is taken back, newest first. */
static void roll_back(struct memmap *mm, uint64_t first, uint64_t end, const uint64_t *fresh)
{
	while (end > first)
		if (bit_get(fresh, --end - first))
			deactivate_unit(mm, end);
}

int memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t first = unit_of(mm, page), end = unit_of(mm, page + nr - 1) + 1;
	uint64_t small[16] = { 0 }, *fresh = small;
	int r = 0;

	if (end - first == 1)
		return bit_get(mm->active, first) ? 0 : activate_unit(mm, first);
	if (end - first > 16 * 64)
		fresh = calloc((end - first + 63) / 64, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	for (uint64_t unit = first; unit < end; unit++) {
		if (bit_get(mm->active, unit))
			continue;
		r = activate_unit(mm, unit);
		if (r < 0) {
			roll_back(mm, first, unit, fresh);
			break;
		}
		bit_set(fresh, unit - first, true);
	}
	if (fresh != small)
		free(fresh);
	return r;
}

bool memmap_is_active(const struct memmap *mm, uint64_t page)
{
	return bit_get(mm->active, unit_of(mm, page));
}

/* ---- look ---- */

const struct desc *memmap_desc(const struct memmap *mm, uint64_t pfn)
{
	if (pfn & mm->tail_mask)
		return &mm->tails[pfn];
	return &mm->heads[(pfn >> mm->p.order) << mm->head_shift];
}

struct desc *memmap_head(struct memmap *mm, uint64_t page)
{
	return &mm->heads[page << mm->head_shift];
}

struct desc *memmap_tail(struct memmap *mm, uint64_t pfn)
{
	const struct split *split;

	if (!(pfn & mm->tail_mask))
		return memmap_head(mm, pfn >> mm->p.order);
	split = has_plane(mm) ? split_of(mm, pfn >> mm->p.order) : NULL;
	if (has_plane(mm) && (!split || split->state == PAGE_SHARED))
		return NULL;
	return &mm->tails[pfn];
}

/* ---- split and share ---- */

static int get_splits(struct memmap *mm, uint64_t unit)
{
	uint64_t nr = pages_per_unit(mm);

	if (mm->splits[unit])
		return 0;
	mm->splits[unit] = malloc(nr * sizeof(struct split));
	if (!mm->splits[unit])
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++)
		mm->splits[unit][i] = (struct split){ .slot = NO_SLOT, .state = PAGE_SHARED };
	return 0;
}

static void remember_collapse(struct memmap *mm, uint64_t unit)
{
	if (mm->can_collapse && mm->backing_is_huge && mm->nr_collapse < MAX_COLLAPSE)
		mm->collapse[mm->nr_collapse++] = unit;
}

/* The last restored page of the unit is gone. */
static void put_splits(struct memmap *mm, uint64_t unit)
{
	if (mm->nr_split_in[unit] > 0)
		return;
	free(mm->splits[unit]);
	mm->splits[unit] = NULL;
	if (bit_get(mm->flat, unit) && tails_unflatten(mm, unit) < 0)
		return;                         /* memmap_maintain() tries again */
	remember_collapse(mm, unit);
}

static void forget_idle(struct memmap *mm, uint32_t i, uint32_t nr)
{
	mm->nr_idle -= nr;
	memmove(mm->idle + i, mm->idle + i + nr, (mm->nr_idle - i) * sizeof(*mm->idle));
}

static bool revive_idle(struct memmap *mm, uint64_t page)
{
	for (uint32_t i = 0; i < mm->nr_idle; i++)
		if (mm->idle[i].page == page) {
			forget_idle(mm, i, 1);
			return true;
		}
	return false;
}

static int restore(struct memmap *mm, uint64_t page, bool urgent)
{
	uint64_t unit = unit_of(mm, page);
	struct split *split = split_of(mm, page);
	int r = 0;

	if (split && split->state == PAGE_SPLIT)
		return 0;
	if (split && split->state == PAGE_IDLE) {
		mm->nr_put_off -= !revive_idle(mm, page);
	} else {
		r = get_splits(mm, unit);
		if (r == 0)
			r = tails_restore(mm, page, urgent);
		if (r < 0) {
			if (mm->splits[unit] && mm->nr_split_in[unit] == 0) {
				free(mm->splits[unit]);
				mm->splits[unit] = NULL;
			}
			mm->counts.restore_failures++;
			return r;
		}
		mm->nr_split_in[unit]++;
		mm->counts.restores++;
	}
	split_of(mm, page)->state = PAGE_SPLIT;
	mm->nr_split++;
	return 0;
}

int memmap_restore(struct memmap *mm, uint64_t page)
{
	return has_plane(mm) ? restore(mm, page, false) : 0;
}

/*
 * One walk drives every dedup: pages [page, page + nr), each idle, in pieces of one unit and one mmap. Stops at the first failure and
 * returns how many are shared; the rest is as it was.
 */
static uint64_t share_walk(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t done = 0;

	while (done < nr) {
		uint64_t unit = unit_of(mm, page + done);
		uint64_t in_unit = pages_per_unit(mm) - ((page + done) & (pages_per_unit(mm) - 1));
		uint64_t n = in_unit < nr - done ? in_unit : nr - done;
		int r = tails_share(mm, page + done, n);

		if (r < 0 && r != -EAGAIN) {
			mm->counts.dedup_failures++;
			break;
		}
		/* In a flat unit there is nothing to unmap for one page alone. */
		mm->counts.dedups_put_off += r == -EAGAIN ? n : 0;
		mm->counts.dedups += r == 0 ? n : 0;
		for (uint64_t i = 0; i < n; i++)
			split_of(mm, page + done + i)->state = PAGE_SHARED;
		mm->nr_split_in[unit] -= (uint32_t)n;
		put_splits(mm, unit);
		done += n;
	}
	return done;
}

static void share(struct memmap *mm, uint64_t page, uint64_t nr)
{
	mm->nr_put_off += nr - share_walk(mm, page, nr);
}

/* The oldest idle page goes, and with it whatever idle pages stand next to it: adjacent work is one system call. */
static void share_oldest(struct memmap *mm)
{
	uint64_t first = mm->idle[0].page, end = first + 1;
	bool grew = true;

	forget_idle(mm, 0, 1);
	while (grew) {
		grew = false;
		for (uint32_t i = 0; i < mm->nr_idle; i++) {
			if (mm->idle[i].page != end && mm->idle[i].page + 1 != first)
				continue;
			first -= mm->idle[i].page + 1 == first;
			end += mm->idle[i].page == end;
			forget_idle(mm, i, 1);
			grew = true;
			break;
		}
	}
	share(mm, first, end - first);
}

/*
 * A client that allocates and frees 4 KiB in a loop empties and splits the same page again and again: the last few emptied pages
 * stay restored, so that it pays neither. Bounded by MAX_IDLE pages or one of 1 GiB, and by the next rounds of memmap_maintain().
 */
static void make_idle(struct memmap *mm, uint64_t page)
{
	uint32_t most = mm->p.order == DESC_MAX_ORDER ? 1 : MAX_IDLE;

	if (mm->nr_idle == most)
		share_oldest(mm);
	mm->idle[mm->nr_idle++] = (struct idle){ .page = page, .since = mm->rounds };
}

void memmap_dedup(struct memmap *mm, uint64_t page, uint64_t nr)
{
	if (!has_plane(mm))
		return;
	for (uint64_t i = 0; i < nr; i++) {
		struct split *split = split_of(mm, page + i);

		if (!split || split->state != PAGE_SPLIT)
			return;
		split->state = PAGE_IDLE;
		mm->nr_split--;
		if (nr < MAX_IDLE)
			make_idle(mm, page + i);
	}
	if (nr >= MAX_IDLE)
		share(mm, page, nr);
}

int memmap_poison(struct memmap *mm, uint64_t pfn)
{
	uint64_t page = pfn >> mm->p.order;
	struct desc *desc;
	int r;

	if (memmap_desc(mm, pfn)->flags & DESC_POISON)
		return 0;
	/* Heads are always writable, but a page with a bad base page will be split sooner or later: while there is memory. */
	r = has_plane(mm) ? restore(mm, page, true) : 0;
	if (r < 0)
		return r;
	desc = memmap_tail(mm, pfn);
	desc->flags |= DESC_POISON;
	memmap_head(mm, page)->nr_poisoned++;
	return 1;
}

/* ---- off the path ---- */

/* Dedups that failed before: looked for only when there are any. */
static void share_put_off(struct memmap *mm)
{
	for (uint64_t unit = 0; unit < mm->nr_units && mm->nr_put_off > 0; unit++) {
		uint64_t first = unit << mm->unit_shift >> mm->p.order;

		for (uint64_t i = 0; i < pages_per_unit(mm) && mm->splits[unit] && mm->nr_put_off > 0; i++) {
			bool listed = false;

			if (mm->splits[unit][i].state != PAGE_IDLE)
				continue;
			for (uint32_t k = 0; k < mm->nr_idle; k++)
				listed |= mm->idle[k].page == first + i;
			if (listed)
				continue;
			if (share_walk(mm, first + i, 1) == 0)
				return;
			mm->nr_put_off--;
		}
	}
}

static void unflatten_some(struct memmap *mm)
{
	for (uint64_t unit = 0; unit < mm->nr_units && mm->nr_flat > 0; unit++)
		if (bit_get(mm->flat, unit) && mm->nr_split_in[unit] == 0 && tails_unflatten(mm, unit) < 0)
			return;
}

bool memmap_maintain(struct memmap *mm)
{
	bool more;

	if (!has_plane(mm))
		return false;
	mm->rounds++;
	while (mm->nr_idle > 0 && mm->idle[0].since + 1 < mm->rounds)
		share_oldest(mm);
	if (mm->nr_put_off > 0)
		share_put_off(mm);
	if (mm->nr_flat > 0) {
		vma_budget_recount(&mm->budget);
		if (vma_budget_has(&mm->budget, mm->budget.limit / 8))
			unflatten_some(mm);
	}
	more = pool_refill(&mm->pool);
	for (int i = 0; i < 16 && mm->nr_collapse > 0; i++) {
		uint64_t unit = mm->collapse[--mm->nr_collapse];

		if (mm->nr_split_in[unit] == 0 && !bit_get(mm->flat, unit))
			mm->can_collapse = tails_collapse(mm, unit);
	}
	if (!mm->can_collapse)
		mm->nr_collapse = 0;
	return more || mm->nr_collapse > 0;
}

/* ---- numbers ---- */

static uint64_t file_bytes(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t resident_heads(const struct memmap *mm)
{
	unsigned char vec[4096];
	uint64_t nr = 0;

	for (size_t at = 0; at < mm->heads_len; at += sizeof(vec) * 4096) {
		size_t len = mm->heads_len - at < sizeof(vec) * 4096 ? mm->heads_len - at : sizeof(vec) * 4096;

		if (mincore((char *)mm->heads + at, len, vec) < 0)
			break;
		for (size_t i = 0; i < (len + 4095) / 4096; i++)
			nr += vec[i] & 1;
	}
	return nr * 4096;
}

void memmap_stats(const struct memmap *mm, struct memmap_stats *stats)
{
	uint64_t per_unit = UINT64_C(1) << (mm->unit_shift - SECTION_PFN_SHIFT);

	*stats = mm->counts;
	stats->bytes_flat = mm->p.nr_pfns * DESC_SIZE;
	stats->sections = (mm->p.nr_pfns + (UINT64_C(1) << SECTION_PFN_SHIFT) - 1) >> SECTION_PFN_SHIFT;
	stats->sections_active = mm->nr_active * per_unit < stats->sections ? mm->nr_active * per_unit : stats->sections;
	stats->pages_split = mm->nr_split;
	stats->pages_idle = mm->nr_idle + mm->nr_put_off;
	stats->vmas_used = vma_budget_used(&mm->budget);
	stats->vmas_limit = mm->budget.limit;
	stats->pool_slots = mm->pool.nr_slots;
	stats->pool_slots_free = mm->pool.nr_ready;
	stats->backing_is_huge = mm->backing_is_huge;
	if (mm->p.home == MEMMAP_DEVICE)
		stats->bytes_now = mm->nr_active * unit_bytes(mm);
	else
		stats->bytes_now = resident_heads(mm) + file_bytes(mm->backing_fd) + file_bytes(mm->pool.fd) + file_bytes(mm->flat_fd);
}
