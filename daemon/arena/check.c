/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check: compares everything that is kept twice: memory with media, descriptors with allocations,
 * copies with each other. It also has the repair, the only code that gives up a record that cannot
 * be read.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/settle.h"
#include "lib/wire/escape.h"

#define SECTION_PFNS (UINT64_C(1) << 15)        /* base pages of a section, 128 MiB */

struct report {
	arena_complain_fn *complain;            /* NULL: differences are only counted */
	void *arg;
	int64_t nr;
};

__attribute__((format(printf, 2, 3)))
static void report(struct report *rep, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	rep->nr++;
	if (!rep->complain)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rep->complain(rep->arg, text);
}

/* ---- descriptors ---- */

/* Does the descriptor of every base page of @e name @alloc? */
static void check_extent(struct report *rep, const struct arena *arena, const struct alloc *alloc,
			 struct extent e)
{
	uint64_t step = alloc->is_run ? 1 : arena_page_pfns(arena);

	for (uint64_t pfn = e.off; pfn < e.off + e.len; pfn += step) {
		uint32_t object = space_object_at(arena->space, pfn);

		if (object != alloc->slot + 1)
			report(rep,
			       "pfn %" PRIu64 " belongs to allocation %" PRIu64
			       " (slot %u), its descriptor says slot %d",
			       pfn, alloc->id, alloc->slot, (int)object - 1);
	}
}

/*
 * Asks the memmap about the state of @pages: is each head a head, are the tails of each page shared
 * or its own as its head says? It stops at each wrong one, and is called again behind it.
 */
static void check_states(struct report *rep, const struct arena *arena, struct extent pages)
{
	uint64_t at = pages.off, end = pages.off + pages.len, wrong;
	struct why why;

	while (at < end && memmap_verify(&wrong, arena->mm, at, end - at, &why) < 0) {
		report(rep, "%s", why.text);
		at = wrong + 1;
	}
}

/* Is there an allocation where a descriptor says so? @object is its slot + 1; 0: nobody's. */
static bool has_alloc(const struct arena *arena, uint32_t object)
{
	return object == 0 || (object <= arena->nr_objects && arena->objects[object - 1]);
}

/*
 * Checks a compound page that is split into base pages with owners of their own. Returns how many
 * of its base pages belong to allocations.
 */
static uint64_t check_split(struct report *rep, const struct arena *arena, const struct desc *head,
			    uint64_t first)
{
	uint64_t per_page = arena_page_pfns(arena), owned = 0, used = 0;

	if (arena->sb.order > 0 && !memmap_tail(arena->mm, first + 1))
		report(rep, "pfn %" PRIu64 ": the page is split, its tails are shared", first);
	for (uint64_t i = 0; i < per_page; i++) {
		const struct desc *desc = memmap_desc(arena->mm, first + i);

		owned += desc->object != 0;
		used += desc->object != 0 || desc->flags & DESC_POISON;
		if (!has_alloc(arena, desc->object))
			report(rep,
			       "pfn %" PRIu64
			       ": its descriptor names slot %u, where no allocation is",
			       first + i, desc->object - 1);
	}
	if (head->nr_used < used || head->nr_used > per_page)
		report(rep,
		       "pfn %" PRIu64 ": the head counts %u base pages in use, at least %" PRIu64
		       " of %" PRIu64 " are",
		       first, head->nr_used, used, per_page);
	return owned;
}

/*
 * Checks a compound page that belongs to one allocation or to none. Its tails name nobody. They
 * have memory of their own only where a base page is bad. Returns how many base pages belong to an
 * allocation.
 */
static uint64_t check_whole(struct report *rep, const struct arena *arena, const struct desc *head,
			    uint64_t first)
{
	uint64_t per_page = arena_page_pfns(arena);

	if (!has_alloc(arena, head->object))
		report(rep, "pfn %" PRIu64 ": its descriptor names slot %u, where no allocation is",
		       first, head->object - 1);
	for (uint64_t i = 1; head->nr_poisoned > 0 && i < per_page; i++)
		if (memmap_desc(arena->mm, first + i)->object)
			report(rep,
			       "pfn %" PRIu64 ": the tail of a page that is not split has an owner",
			       first + i);
	return head->object ? per_page : 0;
}

/*
 * Goes from the descriptors of @page to the allocations; check_extent() goes the other way. Neither
 * finds a page that two allocations claim; the sums of both ways differ then, and
 * check_descriptors() compares them.
 */
static uint64_t check_page(struct report *rep, const struct arena *arena, uint64_t page)
{
	uint64_t first = page << arena->sb.order;
	const struct desc *head = memmap_desc(arena->mm, first);

	return head->flags & DESC_SPLIT ? check_split(rep, arena, head, first)
					: check_whole(rep, arena, head, first);
}

static void check_bad(struct report *rep, const struct arena *arena)
{
	const struct bad_range *bad;

	TAILQ_FOREACH(bad, &arena->bad_ranges, link)
		for (uint64_t pfn = bad->range.off; pfn < bad->range.off + bad->range.len; pfn++)
			if (!memmap_is_active(arena->mm, pfn >> arena->sb.order) ||
			    !(memmap_desc(arena->mm, pfn)->flags & DESC_POISON))
				report(rep,
				       "pfn %" PRIu64
				       " is known to be bad, its descriptor does not say so",
				       pfn);
}

static void check_descriptors(struct report *rep, const struct arena *arena)
{
	uint64_t expected = 0, found = 0;

	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		const struct alloc *alloc = arena->objects[slot];

		for (uint32_t i = 0; alloc && i < alloc->nr_extents; i++) {
			check_extent(rep, arena, alloc, alloc->extents[i]);
			expected += alloc->extents[i].len;
		}
	}
	check_states(rep, arena, (struct extent){ 0, arena->sb.nr_pages });
	for (uint64_t page = 0; page < arena->sb.nr_pages; page++)
		if (memmap_is_active(arena->mm, page))
			found += check_page(rep, arena, page);
	if (found != expected)
		report(rep,
		       "descriptors give %" PRIu64
		       " base pages to allocations, the allocations have %" PRIu64,
		       found, expected);
	check_bad(rep, arena);
}

int64_t arena_check_memmap(struct arena *arena, arena_complain_fn *complain, void *arg)
{
	struct report rep = { .complain = complain, .arg = arg };

	check_descriptors(&rep, arena);
	return rep.nr;
}

/*
 * One compound page for the slow verifier. Tails that are shared and not mapped by a huge page are
 * not read: each would bring a page table of 4 KiB a section into memory, for the whole device in
 * the end.
 */
static void look_at_page(struct report *rep, const struct arena *arena, uint64_t page)
{
	uint64_t first = page << arena->sb.order;
	const struct desc *head = memmap_desc(arena->mm, first);

	if (memmap_is_huge(arena->mm) || memmap_tail(arena->mm, first + 1))
		check_states(rep, arena, (struct extent){ page, 1 });
	else if (head->kind != DESC_HEAD || head->order != arena->sb.order)
		report(rep, "pfn %" PRIu64 ": the head is no head of this order", first);
	check_page(rep, arena, page);
}

/* A part of the device that was never used is not active: it has no descriptors to look at. */
static void look_at_section(struct report *rep, const struct arena *arena, struct extent pages)
{
	for (uint64_t i = 0; i < pages.len && memmap_is_active(arena->mm, pages.off); i++)
		look_at_page(rep, arena, pages.off + i);
}

uint64_t arena_verify_memmap(struct arena *arena, uint64_t nr_sections, arena_complain_fn *complain,
			     void *arg)
{
	struct report rep = { .complain = complain, .arg = arg };
	uint64_t nr = SECTION_PFNS >> arena->sb.order ? SECTION_PFNS >> arena->sb.order : 1;

	for (; nr_sections > 0 && arena->state == ARENA_ONLINE; nr_sections--) {
		uint64_t at = arena->look_at < arena->sb.nr_pages ? arena->look_at : 0;
		uint64_t left = arena->sb.nr_pages - at;

		look_at_section(&rep, arena, (struct extent){ at, nr < left ? nr : left });
		arena->look_at = at + nr;
	}
	return (uint64_t)rep.nr;
}

/* ---- table, superblocks and zero map ---- */

static void check_records(struct report *rep, struct arena *arena)
{
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++) {
		const struct alloc *alloc = arena->objects[slot];
		struct record record;
		char text[ESCAPE_SIZE(ALLOC_MAX_NAME)];
		int r;

		if (!alloc || alloc->state != ALLOC_PUBLISHED)
			continue;
		alloc_record(&record, alloc);
		r = table_verify(arena->table, &record, alloc->records, alloc->nr_records, false);
		if (r == 0)
			continue;
		escape_name(text, sizeof(text), alloc->name, alloc->name ? alloc->name_len : 0,
			    escape_shows_text);
		report(rep, "allocation %" PRIu64 " (%s): its record on media differs from memory",
		       alloc->id, text);
	}
}

/* Does table slot @n belong to a record that is in memory? */
static bool is_owned(const struct arena *arena, uint32_t n)
{
	const struct bad_range *bad;

	TAILQ_FOREACH(bad, &arena->bad_ranges, link)
		if (bad->slot == n)
			return true;
	return arena->owner_of_record[n] != NULL;
}

/*
 * A table slot that belongs to no record must be free in both copies. A live one would come back to
 * life as an allocation at the next start.
 */
static int check_free_slots(struct report *rep, struct arena *arena)
{
	uint64_t ready = (uint64_t)arena->sb.nr_chunks * arena->sb.slots_per_chunk;
	struct slot slot;
	struct piece piece;
	int r = 0;

	for (uint32_t n = 0; n < ready && n < arena->sb.nr_slots && r == 0; n++) {
		if (is_owned(arena, n))
			continue;
		r = table_look(arena->table, &slot, &piece, n);
		if (r == 0 && slot.state == SLOT_DAMAGED)
			report(rep, "table slot %u: both copies are damaged", n);
		else if (r == 0 && slot.state == SLOT_LIVE)
			report(rep,
			       "table slot %u: holds allocation %" PRIu64 " that is not in memory",
			       n, piece.id);
		else if (r == 0 && (slot.copy_bad[0] || slot.copy_bad[1]))
			report(rep, "table slot %u: copy %d is bad", n, slot.copy_bad[0] ? 0 : 1);
	}
	return r;
}

static int check_superblocks(struct report *rep, struct arena *arena)
{
	struct superblock sb;
	int mended = 0;
	int r = superblock_read(&sb, &mended, arena->meta, arena->sb.poison_unit, true, NULL);

	if (r == 0 && mended)
		report(rep, "%d of the two superblocks is bad", mended);
	if (r == 0 && (sb.seq != arena->sb.seq || sb.nr_chunks != arena->sb.nr_chunks ||
		       sb.id_limit != arena->sb.id_limit))
		report(rep, "the superblocks differ from memory");
	if (r == -EUCLEAN || r == -ENODATA)
		report(rep, "both superblocks are bad");
	return r == -EUCLEAN || r == -ENODATA ? 0 : r;
}

int64_t arena_check(struct arena *arena, arena_complain_fn *complain, void *arg)
{
	struct report rep = { .complain = complain, .arg = arg };
	int64_t differ;
	int r = arena_settle(arena);

	if (r == 0)
		r = check_superblocks(&rep, arena);
	if (r == 0)
		r = check_free_slots(&rep, arena);
	if (r < 0)
		return r;
	check_records(&rep, arena);
	differ = zeromap_verify(arena->zero, false);
	if (differ < 0)
		return differ;
	if (differ > 0)
		report(&rep, "%" PRId64 " words of the zero map differ from memory", differ);
	check_descriptors(&rep, arena);
	return rep.nr;
}

/* ---- repair ---- */

/* Makes the table slot @number free in both copies, whatever it held. */
static int give_up(struct report *rep, struct arena *arena, uint32_t number, bool dry_run,
		   const char *what)
{
	report(rep, "table slot %u: %s%s", number, what,
	       dry_run ? "; would be given up" : "; given up");
	return dry_run ? 0 : table_give_up(arena->table, number);
}

/*
 * Frees each table slot that belongs to no record in memory and is not free on media. Of a damaged
 * slot nobody knows what it held, so the space it described becomes free space that is scrubbed.
 */
static int repair_slots(struct report *rep, struct arena *arena, bool dry_run)
{
	uint64_t ready = (uint64_t)arena->sb.nr_chunks * arena->sb.slots_per_chunk;
	struct slot slot;
	struct piece piece;
	int r = 0;

	for (uint32_t n = 0; n < ready && n < arena->sb.nr_slots && r == 0; n++) {
		if (is_owned(arena, n))
			continue;
		r = table_look(arena->table, &slot, &piece, n);
		if (r == 0 && slot.state == SLOT_DAMAGED)
			r = give_up(rep, arena, n, dry_run, "both copies are damaged");
		else if (r == 0 && slot.state == SLOT_LIVE)
			r = give_up(rep, arena, n, dry_run,
				    "part of a record that is not whole or contradicts another");
		else if (r == 0 && (slot.copy_bad[0] || slot.copy_bad[1]))
			r = give_up(rep, arena, n, dry_run, "a free slot with a bad copy");
	}
	return r;
}

/* Writes the record of each allocation that lost its name at recovery, now without the name. */
static int repair_names(struct report *rep, struct arena *arena, bool dry_run)
{
	int r = 0;

	for (uint32_t slot = 0; slot < arena->nr_objects && r == 0; slot++) {
		struct alloc *alloc = arena->objects[slot];

		if (!alloc || !alloc->wants_record)
			continue;
		report(rep, "allocation %" PRIu64 ": loses its name, which another one has",
		       alloc->id);
		if (!dry_run)
			r = settle_stage_record(arena, alloc);
		alloc->wants_record = dry_run;
	}
	return r;
}

int64_t arena_repair(struct arena *arena, bool dry_run, arena_complain_fn *complain, void *arg)
{
	struct report rep = { .complain = complain, .arg = arg };
	int64_t differ;
	int r = arena_settle(arena);

	if (r == 0)
		r = repair_slots(&rep, arena, dry_run);
	if (r == 0)
		r = repair_names(&rep, arena, dry_run);
	if (r < 0)
		return r;
	differ = zeromap_verify(arena->zero, !dry_run);
	if (differ < 0)
		return differ;
	if (differ > 0)
		report(&rep, "%" PRId64 " words of the zero map were bad", differ);
	if (dry_run)
		return rep.nr;
	r = superblock_write(&arena->sb, arena->meta);
	if (r == 0)
		r = arena_settle(arena);
	if (r < 0)
		return r;
	if (arena->state == ARENA_DAMAGED) {
		arena->state = ARENA_ONLINE;
		arena->reason[0] = '\0';
		space_hold(arena->space, false);
	}
	return rep.nr;
}

/* ---- a device that nobody serves ---- */

/* Hands differences on and counts them, for a caller that wants both. */
struct counter {
	arena_complain_fn *complain;
	void *arg;
	int64_t nr;
};

static void pass_on(void *arg, const char *what)
{
	struct counter *counter = arg;

	counter->nr++;
	if (counter->complain)
		counter->complain(counter->arg, what);
}

/*
 * Opens the arena, in which recovery reports the differences that it finds, and compares the rest.
 */
static int open_and_compare(struct arena *arena, const struct arena_params *params,
			    struct counter *counter, struct why *why)
{
	struct report rep = { .complain = pass_on, .arg = counter };
	int r;

	arena->complain = pass_on;
	arena->complain_arg = counter;
	r = arena_open_parts(arena, params, why);
	if (r < 0)
		return r;
	check_descriptors(&rep, arena);
	return params->read_only ? check_superblocks(&rep, arena) : 0;
}

int64_t arena_check_device(const struct arena_params *params, bool repair, uint64_t *nr_mended,
			   arena_complain_fn *complain, void *arg, struct why *why)
{
	struct counter counter = { .complain = complain, .arg = arg };
	struct arena_params mine = *params;
	struct arena *arena;
	int64_t n = 0;
	int r;

	mine.read_only = !repair;
	mine.format = ARENA_FORMAT_NEVER;
	arena = arena_zero(&mine);
	if (!arena)
		return -ENOMEM;
	r = open_and_compare(arena, &mine, &counter, why);
	if (r == 0 && repair)
		n = arena_repair(arena, false, NULL, NULL);
	if (r == 0 && n >= 0 && nr_mended)
		*nr_mended = (uint64_t)n + arena->counts.records_mended;
	if (r < 0)
		arena_drop(arena);
	else
		arena_close(arena);
	return r < 0 ? r : n < 0 ? n : counter.nr;
}
