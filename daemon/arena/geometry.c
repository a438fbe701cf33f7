/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry: decides where everything of a new arena lies on its device, from the size of the
 * device, the page size and what the administrator asked for. It stores nothing.
 */
#include <config.h>

#include "daemon/arena/geometry.h"

#include <errno.h>
#include <string.h>

#include "daemon/memmap/altmap.h"
#include "lib/wire/size.h"

#define MIN_SLOTS      UINT64_C(1024)
/* an arena has at least this many table slots, where the device is large enough */
#define DEFAULT_SLOTS  UINT64_C(65536)
#define MAX_AUTO_SLOTS (UINT64_C(4) << 20)
#define SUBSECTION_PFNS UINT64_C(512)
/* the table takes at most one byte in this many of the device, unless more slots were asked for */
#define TABLE_SHARE    64u

/*
 * Chooses the number of table slots: one for each compound page and a quarter more, within limits.
 */
static uint64_t default_slots(uint64_t device_size, uint64_t nr_pages)
{
	uint64_t slots = geometry_larger(nr_pages + nr_pages / 4, DEFAULT_SLOTS);
	uint64_t most =
		geometry_larger(device_size / TABLE_SHARE / (2 * TABLE_SLOT_SIZE), MIN_SLOTS);

	if (slots > MAX_AUTO_SLOTS)
		slots = MAX_AUTO_SLOTS;
	return geometry_round_up(slots < most ? slots : most, TABLE_SLOTS_PER_CHUNK);
}

#define MEMMAP_BLOCK (UINT64_C(2) << 20)        /* the descriptors of one section of 128 MiB */

/*
 * Places the descriptors, block by block as the kernel does for its own: each block is aligned to
 * its size, and at most one block is lost to that.
 */
static int place_memmap(struct superblock *sb, struct altmap *map, uint64_t len)
{
	uint64_t left = len, at;
	int r = altmap_skip(map, sb->poison_unit);

	sb->memmap_off = altmap_next(map) << DESC_SHIFT;
	sb->memmap_len = len;
	for (; r == 0 && left > 0; left -= left < MEMMAP_BLOCK ? left : MEMMAP_BLOCK)
		r = altmap_claim(&at, map, left < MEMMAP_BLOCK ? left : MEMMAP_BLOCK);
	return r;
}

/*
 * Places all metadata and returns in *end where it ends. There is no limit here to how far that may
 * be: check_sizes() compares it with the device afterwards, and can then say what size is needed.
 */
static int place(uint64_t *end, struct superblock *sb, uint64_t max_pages, uint64_t memmap_len)
{
	uint64_t sb_pages = SUPERBLOCK_SIZE >> DESC_SHIFT, unit = sb->poison_unit >> DESC_SHIFT;
	struct altmap gap = { .base = 0, .reserve = sb_pages, .free = unit - sb_pages };
	struct altmap map = { .base = unit, .reserve = sb_pages, .free = UINT64_C(1) << 50 };
	uint64_t zero_len = geometry_round_up(zeromap_bytes(max_pages), 4096);
	uint64_t body = zero_len + geometry_round_up(sb->nr_slots * TABLE_SLOT_SIZE, 4096);
	/*
	 * The second body goes into the gap between the two superblocks if it fits. The gap is one
	 * poison unit, and that may be 1 GiB, which would else be lost.
	 */
	bool in_gap = altmap_fits(&gap, body);
	uint64_t at[2];
	int r = altmap_claim(&at[0], &map, body);

	if (r == 0 && !in_gap)
		r = altmap_skip(&map, sb->poison_unit);
	if (r == 0)
		r = altmap_claim(&at[1], in_gap ? &gap : &map, body);
	for (int copy = 0; copy < 2 && r == 0; copy++) {
		sb->zero_off[copy] = at[copy];
		sb->table_off[copy] = at[copy] + zero_len;
	}
	if (r == 0 && memmap_len)
		r = place_memmap(sb, &map, memmap_len);
	if (r == 0)
		*end = altmap_next(&map) << DESC_SHIFT;
	return r;
}

/* Turns a page size into its order (0, 9 or 18), or says which sizes there are. */
static int order_of(uint32_t *order, uint64_t page_size, struct why *why)
{
	char text[SIZE_TEXT_MAX];

	if (page_size == 0 || page_size == UINT64_C(2) << 20)
		*order = 9;
	else if (page_size == 4096)
		*order = 0;
	else if (page_size == UINT64_C(1) << 30)
		*order = 18;
	else
		return why_set(
			why, -EINVAL,
			"page size %s is not one that there is: 4K, 2M or 1G; did you mean %s?",
			size_text(text, page_size),
			page_size < (UINT64_C(1) << 20)	    ? "4K"
			: page_size < (UINT64_C(256) << 20) ? "2M"
							    : "1G");
	return 0;
}

/* Do the page size, the alignment of the device and its size fit together? */
static int check_sizes(const struct superblock *sb, const struct device_info *info, struct why *why)
{
	char page[SIZE_TEXT_MAX], align[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX], least[SIZE_TEXT_MAX];
	uint64_t page_size = UINT64_C(4096) << sb->order,
		 smallest = geometry_larger(page_size, SUBSECTION_PFNS * 4096);

	if (page_size % info->align && info->align % page_size)
		return why_set(why, -EINVAL,
			       "pages of %s and an alignment of %s do not fit together",
			       size_text(page, page_size), size_text(align, info->align));
	if (page_size < info->align)
		return why_set(why, -EINVAL,
			       "pages of %s are smaller than the device's alignment of %s: use a "
			       "page size of %s, or create the device with a smaller alignment",
			       size_text(page, page_size), size_text(align, info->align),
			       size_text(align, info->align));
	if (sb->data_off + smallest > info->size)
		return why_set(why, -ENOSPC,
			       "%s has %s; an arena with %s pages needs at least %s there",
			       info->path, size_text(size, info->size), size_text(page, page_size),
			       size_text(least, sb->data_off + smallest));
	return 0;
}

int geometry_plan(struct superblock *sb, const struct arena_params *params,
		  const struct device_info *info, bool apart, struct why *why)
{
	uint64_t page_size, align, max_pages, memmap_len, end = 0;
	int r = order_of(&sb->order, params->page_size, why);

	if (r < 0)
		return r;
	page_size = UINT64_C(4096) << sb->order;
	align = geometry_larger(page_size, info->align);
	max_pages = info->size / page_size;
	sb->poison_unit = geometry_larger(POISON_UNIT, info->align);
	sb->slots_per_chunk = TABLE_SLOTS_PER_CHUNK;
	sb->nr_slots = params->nr_slots ? geometry_round_up(params->nr_slots, TABLE_SLOTS_PER_CHUNK)
					: default_slots(info->size, max_pages);
	memmap_len = params->memmap == MEMMAP_DEVICE
			     ? geometry_round_up(memmap_device_bytes(max_pages << sb->order,
								     (uint8_t)sb->order),
						 4096)
			     : 0;
	r = place(&end, sb, max_pages, memmap_len);
	if (r < 0)
		return why_set(why, r, "%llu table slots are more than any device has room for",
			       (unsigned long long)sb->nr_slots);
	sb->data_device_size = info->size;
	sb->meta_device_size = apart ? geometry_round_up(end, POISON_UNIT) : info->size;
	sb->data_off = apart ? geometry_round_up(sb->poison_unit + SUPERBLOCK_SIZE, align)
			     : geometry_round_up(end, align);
	r = check_sizes(sb, info, why);
	if (r < 0)
		return r;
	sb->nr_pages = (info->size - sb->data_off) / page_size;
	/*
	 * With order 0 a page is 4 KiB, and descriptors are activated for 2 MiB of pages at a time:
	 * the rest of the last 2 MiB is left out.
	 */
	if (sb->order == 0)
		sb->nr_pages &= ~(SUBSECTION_PFNS - 1);
	return 0;
}
