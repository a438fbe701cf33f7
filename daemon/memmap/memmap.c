/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: the array of descriptors as others see it. Units (as a rule sections) are activated when
 * they are first used, all of a range or none. What the tails show is tails.c's; when single pages
 * change is split.c's.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "daemon/memmap/memmap_internal.h"

/* ---- new and free ---- */

static int check_params(const struct memmap_params *p, struct why *why)
{
	uint64_t per_page = UINT64_C(1) << p->order;

	if (p->order != 0 && p->order != 9 && p->order != DESC_MAX_ORDER)
		return why_set(why, -EINVAL, "order %u is not one that there is: 0, 9 or 18",
			       p->order);
	if (p->nr_pfns == 0 || p->nr_pfns % per_page || p->nr_pfns % SUBSECTION_PFNS ||
	    p->nr_pfns > UINT64_C(1) << 40)
		return why_set(why, -EINVAL,
			       "%llu base pages are no multiple of a subsection (2 MiB, 512 pages) "
			       "and of the compound page",
			       (unsigned long long)p->nr_pfns);
	if (p->home == MEMMAP_DEVICE &&
	    (!p->device_base || p->device_len < memmap_device_bytes(p->nr_pfns, p->order)))
		return why_set(why, -EINVAL,
			       "the device has no room for its descriptors: format it with memmap "
			       "= device");
	return 0;
}

/*
 * The most units that this memmap may have: with all of them active, their mappings take a third of
 * the budget, and splits find the rest. With a shared budget it plans with half of what is left of
 * that third, so that arenas which come later find some.
 */
static uint64_t most_units(const struct memmap *mm)
{
	uint64_t third = mm->budget->limit / 3, planned = mm->budget->planned;
	uint64_t left = planned < third ? third - planned : 0;

	return mm->p.budget ? left / 2 + 1 : left;
}

/*
 * A unit is what is activated at once: a section; a compound page where that is larger; or even
 * more, where one mapping for each section would be too many.
 */
static size_t unit_len(const struct memmap *mm)
{
	size_t len = DESC_SIZE << SECTION_PFN_SHIFT;

	while (len < page_len(mm) ||
	       (has_tails(mm) && mm->p.nr_pfns * DESC_SIZE / len > most_units(mm)))
		len *= 2;
	return len;
}

static void set_geometry(struct memmap *mm)
{
	size_t len = unit_len(mm);

	mm->nr_pages = mm->p.nr_pfns >> mm->p.order;
	mm->tail_mask = (UINT64_C(1) << mm->p.order) - 1;
	mm->page_shift = (unsigned)__builtin_ctzll(len / page_len(mm));
	mm->nr_units = (mm->nr_pages + pages_per_unit(mm) - 1) >> mm->page_shift;
	mm->budget->planned += has_tails(mm) ? mm->nr_units : 0;
	mm->backing = (struct backing){ .fd = -1, .write_fd = -1, .len = len };
	mm->flat_fd = -1;
	pool_init(&mm->pool, page_len(mm), &mm->node);
}

static int init_planes(struct memmap *mm, struct why *why)
{
	int r = 0;

	mm->units = calloc(mm->nr_units, sizeof(*mm->units));
	if (!mm->units)
		return -ENOMEM;
	/* Heads and tails are one array on the device, as in the kernel, and nothing is shared. */
	if (mm->p.home == MEMMAP_DEVICE) {
		mm->heads = mm->tails = mm->p.device_base;
		mm->head_shift = mm->p.order;
		return 0;
	}
	node_init(&mm->node, mm->p.numa_node);
	if (has_tails(mm))
		r = tails_init(mm, why);
	return r < 0 ? r : heads_init(mm, why);
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
	vma_budget_init(&mm->own_budget, params->max_vmas);
	mm->budget = params->budget ? params->budget : &mm->own_budget;
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
	mm->budget->planned -= has_tails(mm) ? mm->nr_units : 0;
	backing_close(&mm->backing);
	pool_fini(&mm->pool);
	for (uint64_t unit = 0; mm->units && mm->nr_active > 0 && unit < mm->nr_units; unit++)
		free(mm->units[unit].pages);
	free(mm->units);
	free(mm);
}

uint64_t memmap_device_bytes(uint64_t nr_pfns, uint8_t order)
{
	(void)order;
	return nr_pfns * DESC_SIZE;
}

/* ---- activation ---- */

struct activation {
	struct memmap *mm;
	/* pages whose descriptors lie on another NUMA node, and that were not reported yet */
	uint64_t off_first, off_end;
	int off_node;
};

/* Logs one line for a range of pages, in the words that the kernel uses for its own. */
static void report_off(struct activation *act)
{
	const struct memmap *mm = act->mm;
	uint64_t first = mm->p.base_pfn + (act->off_first << mm->p.order),
		 end = mm->p.base_pfn + (act->off_end << mm->p.order);

	if (act->off_end > act->off_first)
		log_notice("memmap: [pfn %#llx-%#llx] potential offnode descriptors: on node %d, "
			   "the device is on node %d",
			   (unsigned long long)first, (unsigned long long)end - 1, act->off_node,
			   mm->p.numa_node);
	act->off_end = act->off_first;
}

/* Notes where the memory of a fresh unit lies; a report is due when a range ends. */
static void look_where(struct activation *act, uint64_t unit)
{
	struct memmap *mm = act->mm;
	uint64_t first = unit_first(mm, unit);
	int found;

	if (!node_is_off(&found, &mm->node, memmap_head(mm, first)))
		return;
	if (act->off_end != first || act->off_node != found) {
		report_off(act);
		act->off_first = first;
		act->off_node = found;
	}
	act->off_end = first + unit_pages(mm, unit);
}

static void fill_device(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit) << mm->p.order,
		 end = first + (unit_pages(mm, unit) << mm->p.order);

	for (uint64_t pfn = first; pfn < end; pfn++)
		if (pfn & mm->tail_mask)
			mm->tails[pfn] = plain_tail;
}

/* Activates the unit of @page. What it changes deactivate_piece() can undo. */
static int activate_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct activation *act = arg;
	struct memmap *mm = act->mm;
	uint64_t unit = unit_of(mm, page);
	int r = 0;

	(void)nr;                               /* a unit is activated as a whole */
	if (unit_is(mm, unit, UNIT_ACTIVE))
		return 0;
	if (has_tails(mm))
		r = tails_activate(mm, unit);
	else if (mm->p.home == MEMMAP_DEVICE)
		fill_device(mm, unit);
	if (r < 0)
		return r;
	mm->units[unit].flags |= UNIT_ACTIVE | UNIT_FRESH;
	mm->nr_active++;
	heads_activate(mm, unit);
	look_where(act, unit);
	return 0;
}

/* Makes the activation of a unit final, after that of the whole range has succeeded. */
static int keep_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct activation *act = arg;

	(void)nr;
	act->mm->units[unit_of(act->mm, page)].flags &= (uint8_t)~UNIT_FRESH;
	return 0;
}

/*
 * Undoes the activation of a unit, after that of another unit of the range has failed. What was
 * active before stays.
 */
static int deactivate_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct activation *act = arg;
	uint64_t unit = unit_of(act->mm, page);

	if (!unit_is(act->mm, unit, UNIT_FRESH))
		return 0;
	if (tails_deactivate(act->mm, unit) == 0)
		act->mm->nr_active--;
	return keep_piece(arg, page, nr);
}

static uint64_t count_inactive(const struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t inactive = 0;

	for (uint64_t unit = unit_of(mm, page); unit <= unit_of(mm, page + nr - 1); unit++)
		inactive += !unit_is(mm, unit, UNIT_ACTIVE);
	return inactive;
}

static int activate_range(struct memmap *mm, uint64_t page, uint64_t nr)
{
	struct activation act = { .mm = mm };
	struct walk walk = { .page = page, .nr = nr }, all = walk;
	uint64_t nr_fresh = count_inactive(mm, page, nr);
	int r = nr_fresh > 1 ? heads_populate(mm, page, nr) : 0;

	if (r < 0 || nr_fresh == 0)
		return r;
	r = walk_pieces(&walk, mm, activate_piece, &act);
	if (r == 0) {
		report_off(&act);
		return walk_pieces(&all, mm, keep_piece, &act);
	}
	all.nr = walk.done;
	walk_pieces(&all, mm, deactivate_piece, &act);
	return r;
}

int memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr)
{
	if (nr == 0 || page >= mm->nr_pages || nr > mm->nr_pages - page) {
		if (!mm->warned_range)
			log_warning("memmap: pages %llu to %llu are not all of this device, which "
				    "has %llu",
				    (unsigned long long)page, (unsigned long long)(page + nr - 1),
				    (unsigned long long)mm->nr_pages);
		mm->warned_range = true;
		return -EINVAL;
	}
	return activate_range(mm, page, nr);
}

bool memmap_is_huge(const struct memmap *mm)
{
	return !has_tails(mm) || mm->backing.is_huge;
}

bool memmap_is_active(const struct memmap *mm, uint64_t page)
{
	return unit_is(mm, unit_of(mm, page), UNIT_ACTIVE);
}

/* ---- looking ---- */

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
	split = has_tails(mm) ? split_of(mm, pfn >> mm->p.order) : NULL;
	if (has_tails(mm) && (!split || split->state == PAGE_SHARED))
		return NULL;
	return &mm->tails[pfn];
}

uint64_t memmap_next_unit(struct memmap *mm, unsigned flags)
{
	for (uint64_t i = 0; i < mm->nr_units; i++) {
		mm->cursor = mm->cursor + 1 < mm->nr_units ? mm->cursor + 1 : 0;
		if (mm->units[mm->cursor].flags & flags)
			return mm->cursor;
	}
	return mm->nr_units;
}

/* ---- statistics ---- */

static uint64_t file_bytes(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

void memmap_stats(const struct memmap *mm, struct memmap_stats *stats)
{
	uint64_t unit_bytes = pages_per_unit(mm) * page_len(mm),
		 per_unit = unit_bytes >> (SECTION_PFN_SHIFT + 6);

	*stats = mm->counts;
	stats->bytes_flat = mm->p.nr_pfns * DESC_SIZE;
	stats->sections =
		(mm->p.nr_pfns + (UINT64_C(1) << SECTION_PFN_SHIFT) - 1) >> SECTION_PFN_SHIFT;
	stats->sections_active = mm->nr_active * per_unit < stats->sections
					 ? mm->nr_active * per_unit
					 : stats->sections;
	stats->pages_split = mm->nr_split;
	stats->pages_idle = mm->nr_idle + mm->nr_late;
	stats->vmas_used = vma_budget_used(mm->budget);
	stats->vmas_limit = mm->budget->limit;
	stats->pool_slots = mm->pool.nr_slots;
	stats->pool_slots_free = mm->pool.nr_ready;
	stats->backing_is_huge = mm->backing.is_huge;
	if (mm->p.home == MEMMAP_DEVICE)
		stats->bytes_now = mm->nr_active * unit_bytes;
	else
		stats->bytes_now = heads_resident(mm) + file_bytes(mm->backing.fd) +
				   file_bytes(mm->pool.fd) + file_bytes(mm->flat_fd);
}
