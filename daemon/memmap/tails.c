/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tails: what is mapped where in the tail plane. No other code of the daemon maps over what is
 * mapped. Each change is one mmap() with MAP_FIXED, so the plane is complete at every instant, and
 * a failure leaves what was there.
 *
 *	nothing    PROT_NONE: the unit is inactive
 *	shared     the backing, read-only; the offset in it is the address modulo its size, so that
 *	           neighbours are one mapping
 *	own        a slot of the pool, writable
 *	flat       a whole unit, writable, from a memory file with the offsets of the plane, so that
 *	           flat neighbours are one mapping. It is used when mappings run short: it takes the
 *	           memory of the whole unit, and never one mapping more
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/memmap/memmap_internal.h"

static uint64_t plane_len(const struct memmap *mm)
{
	return mm->nr_pages * page_len(mm);
}

/* Notes that the tail plane has @after mappings where it had @before. */
static void account(struct memmap *mm, uint64_t before, uint64_t after)
{
	mm->budget->own += after - before;
	mm->nr_maps += after - before;
}

int tails_init(struct memmap *mm, struct why *why)
{
	uintptr_t start;

	mm->raw_len = plane_len(mm) + mm->backing.len;
	mm->tails_raw = mmap(NULL, mm->raw_len, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mm->tails_raw == MAP_FAILED) {
		mm->tails_raw = NULL;
		return why_set(
			why, -ENOMEM,
			"the tail plane (%zu MiB of address space, no memory) cannot be mapped: "
			"%s; is there a limit on address space or locked memory (ulimit -v, -l)?",
			mm->raw_len >> 20, strerror(errno));
	}
	start = ((uintptr_t)mm->tails_raw + mm->backing.len - 1) &
		~(uintptr_t)(mm->backing.len - 1);
	mm->tails = (struct desc *)start;
	account(mm, 0, 1);
	return 0;
}

/* ---- counting mappings, for the budget ---- */

enum shown { NOTHING, SHARED, OWN, FLAT };

/* Returns what the tails of @page show. If that is a slot of the pool, *slot is its number. */
static enum shown shown_at(uint32_t *slot, const struct memmap *mm, uint64_t page)
{
	const struct split *split;

	*slot = NO_SLOT;
	if (page >= mm->nr_pages || !unit_is(mm, unit_of(mm, page), UNIT_ACTIVE))
		return NOTHING;
	if (unit_is(mm, unit_of(mm, page), UNIT_FLAT))
		return FLAT;
	split = split_of(mm, page);
	if (!split || split->state == PAGE_SHARED)
		return SHARED;
	*slot = split->slot;
	return OWN;
}

/* Does one mapping end and another begin between @page and the page before it? */
static bool is_seam(const struct memmap *mm, uint64_t page)
{
	uint32_t slot_before, slot;
	enum shown before = shown_at(&slot_before, mm, page - 1), here = shown_at(&slot, mm, page);

	if (before != here)
		return true;
	/* A mapping of the backing ends at each unit, since its offset begins anew there. */
	if (here == SHARED)
		return (page & (pages_per_unit(mm) - 1)) == 0;
	return here == OWN && slot_before + 1 != slot;
}

/* Returns how many mappings begin or end in the range, its edges included. */
static uint64_t count_seams(const struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t seams = 0;

	for (uint64_t i = 0; i <= nr; i++)
		seams += is_seam(mm, page + i);
	return seams;
}

/* As count_seams(), for a unit that shows the same everywhere. */
static uint64_t count_edges(const struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit);

	return (uint64_t)is_seam(mm, first) + is_seam(mm, first + unit_pages(mm, unit));
}

/*
 * Refuses a change that takes more mappings than the budget allows. Without this the kernel would
 * refuse when none is left, and then to somebody who cannot do without: malloc(), a message, a
 * device.
 */
static int afford(const struct memmap *mm, uint64_t before, uint64_t after)
{
	return after > before && !vma_budget_has(mm->budget, after - before) ? -EAGAIN : 0;
}

void tails_fini(struct memmap *mm)
{
	if (mm->tails_raw)
		munmap(mm->tails_raw, mm->raw_len);
	account(mm, mm->nr_maps, 0);
	if (mm->flat_fd >= 0)
		close(mm->flat_fd);
	mm->tails_raw = NULL;
	mm->flat_fd = -1;
}

/* ---- mapping ---- */

static uint64_t plane_off(const struct memmap *mm, uint64_t page)
{
	return page * page_len(mm);
}

/*
 * Maps a range of the tail plane in the place of what is there. -EAGAIN: by the kernel's own count
 * the process has too many mappings.
 */
static int map_fixed(const struct memmap *mm, uint64_t page, uint64_t nr, int prot, int fd,
		     uint64_t off)
{
	void *map = mmap(tails_of(mm, page), nr * page_len(mm), prot, MAP_SHARED | MAP_FIXED, fd,
			 (off_t)off);

	if (map != MAP_FAILED)
		return 0;
	return errno == ENOMEM ? -EAGAIN : -errno;
}

static int map_shared(const struct memmap *mm, uint64_t page, uint64_t nr)
{
	return map_fixed(mm, page, nr, PROT_READ, mm->backing.fd,
			 plane_off(mm, page) & (mm->backing.len - 1));
}

static int map_slot(const struct memmap *mm, uint64_t page, uint32_t slot)
{
	return map_fixed(mm, page, 1, PROT_READ | PROT_WRITE, mm->pool.fd,
			 slot * (uint64_t)mm->pool.slot_len);
}

/* ---- flat units ---- */

static int open_flat(struct memmap *mm)
{
	int fd;

	if (mm->flat_fd >= 0)
		return 0;
	fd = plain_file("pmemarena-flat", 0, plane_len(mm));
	if (fd < 0)
		return fd;
	mm->flat_fd = fd;
	return 0;
}

/* Copies what the restored pages of the unit hold into the file of flat units. */
static int copy_own(const struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit);

	for (uint64_t page = first; page < first + unit_pages(mm, unit); page++) {
		const struct split *split = split_of(mm, page);

		if (!split || split->slot == NO_SLOT)
			continue;
		if (pwrite(mm->flat_fd, tails_of(mm, page), page_len(mm),
			   (off_t)plane_off(mm, page)) != (ssize_t)page_len(mm))
			return -ENOMEM;
	}
	return 0;
}

static void give_slots(struct memmap *mm, uint64_t unit)
{
	struct split *pages = mm->units[unit].pages;

	for (uint64_t i = 0; pages && i < unit_pages(mm, unit); i++) {
		if (pages[i].slot != NO_SLOT)
			pool_give(&mm->pool, pages[i].slot);
		pages[i].slot = NO_SLOT;
	}
}

static void drop_flat(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit);

	/*
	 * Where the file system cannot punch holes the memory stays taken, and that is all: the
	 * next use of this part of the file writes all of it again.
	 */
	if (fallocate(mm->flat_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)plane_off(mm, first),
		      (off_t)(unit_pages(mm, unit) * page_len(mm))) < 0)
		return;
}

/* Writes the whole unit into the file of flat units, and maps it from there. */
static int map_flat(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit), nr = unit_pages(mm, unit);
	int r = open_flat(mm);

	if (r == 0)
		r = plain_fill(&mm->node, mm->flat_fd, plane_off(mm, first), nr * page_len(mm));
	if (r == 0)
		r = copy_own(mm, unit);
	if (r == 0)
		r = map_fixed(mm, first, nr, PROT_READ | PROT_WRITE, mm->flat_fd,
			      plane_off(mm, first));
	if (r < 0 && mm->flat_fd >= 0)
		drop_flat(mm, unit);
	if (r < 0)
		return r == -EAGAIN ? -ENOMEM : r;
	give_slots(mm, unit);
	mm->units[unit].flags |= UNIT_FLAT;
	mm->nr_flat++;
	return 0;
}

static int flatten(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit), nr = unit_pages(mm, unit),
		 before = count_seams(mm, first, nr);
	int r = map_flat(mm, unit);

	if (r == 0)
		account(mm, before, count_edges(mm, unit));
	return r;
}

static void unset_flat(struct memmap *mm, uint64_t unit)
{
	mm->units[unit].flags &= (uint8_t)~UNIT_FLAT;
	mm->nr_flat--;
}

int tails_unflatten(struct memmap *mm, uint64_t unit)
{
	uint64_t before = count_edges(mm, unit), after;
	int r;

	unset_flat(mm, unit);
	after = count_edges(mm, unit);
	r = afford(mm, before, after);
	if (r == 0)
		r = map_shared(mm, unit_first(mm, unit), unit_pages(mm, unit));
	if (r < 0) {
		mm->units[unit].flags |= UNIT_FLAT;
		mm->nr_flat++;
		return r;
	}
	account(mm, before, after);
	drop_flat(mm, unit);
	return 0;
}

/* ---- activation ---- */

int tails_prepare(struct memmap *mm)
{
	if (!mm->budget->counted)
		vma_budget_recount(mm->budget);
	return backing_open(&mm->backing);
}

/*
 * Maps the backing if the budget has room for that. Else the unit becomes flat, which needs no
 * mapping more where a neighbour is flat.
 */
int tails_activate(struct memmap *mm, uint64_t unit)
{
	uint64_t before = count_edges(mm, unit);
	int r = tails_prepare(mm);

	if (r < 0)
		return r;
	mm->units[unit].flags |= UNIT_ACTIVE;
	r = afford(mm, before, count_edges(mm, unit));
	if (r == 0)
		r = map_shared(mm, unit_first(mm, unit), unit_pages(mm, unit));
	if (r == -EAGAIN)
		r = map_flat(mm, unit);
	if (r < 0)
		mm->units[unit].flags &= (uint8_t)~UNIT_ACTIVE;
	else
		account(mm, before, count_edges(mm, unit));
	return r;
}

int tails_deactivate(struct memmap *mm, uint64_t unit)
{
	uint64_t before = count_edges(mm, unit);

	if (mmap(tails_of(mm, unit_first(mm, unit)), unit_pages(mm, unit) * page_len(mm), PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		/* The unit stays active, which is right too: its descriptors are plain. */
		return -errno;
	if (unit_is(mm, unit, UNIT_FLAT)) {
		unset_flat(mm, unit);
		drop_flat(mm, unit);
	}
	mm->units[unit].flags &= (uint8_t)~UNIT_ACTIVE;
	account(mm, before, count_edges(mm, unit));
	return 0;
}

/* ---- restoring and sharing ---- */

/* Wishes for the slot behind that of the page before, so that the two pages are one mapping. */
static uint32_t wished_slot(const struct memmap *mm, uint64_t page)
{
	uint32_t slot;

	return shown_at(&slot, mm, page - 1) == OWN ? slot + 1 : NO_SLOT;
}

static void warn_memory(struct memmap *mm)
{
	if (!mm->warned_memory)
		log_warning("memmap: no memory for the descriptors of a page that is to be split");
	mm->warned_memory = true;
}

static int restore_own(struct memmap *mm, uint64_t page, bool urgent)
{
	struct split *split = split_of(mm, page);
	uint64_t before = count_seams(mm, page, 1), after;
	uint32_t slot;
	int r = pool_take(&slot, &mm->pool, wished_slot(mm, page), urgent);

	if (r < 0) {
		warn_memory(mm);
		return r;
	}
	*split = (struct split){ .slot = slot, .state = PAGE_SPLIT };
	after = count_seams(mm, page, 1);
	r = afford(mm, before, after);
	if (r == 0)
		r = map_slot(mm, page, slot);
	if (r == 0) {
		account(mm, before, after);
		return 0;
	}
	*split = (struct split){ .slot = NO_SLOT, .state = PAGE_SHARED };
	pool_untake(&mm->pool, slot);
	return r;
}

/*
 * A flat unit is writable as a whole: a protection for each page would take the mappings that are
 * missing. So a stray write to a tail that is not split does not fault there. The verifier finds
 * it, and the next split of that page overwrites it.
 */
static int restore_flat(const struct memmap *mm, uint64_t page)
{
	struct desc *tails = tails_of(mm, page);

	for (uint64_t at = 0; at < UINT64_C(1) << mm->p.order; at += PLAIN_TAILS)
		memcpy(tails + at, plain_tails, sizeof(plain_tails));
	return 0;
}

int tails_restore(struct memmap *mm, uint64_t page, bool urgent)
{
	uint64_t unit = unit_of(mm, page);
	int r = unit_is(mm, unit, UNIT_FLAT) ? restore_flat(mm, page)
					     : restore_own(mm, page, urgent);

	if (r == -EAGAIN)
		r = flatten(mm, unit);
	if (r == 0)
		split_of(mm, page)->state = PAGE_SPLIT;
	return r;
}

static void set_states(struct memmap *mm, uint64_t page, uint64_t nr, enum page_state state)
{
	struct split *split = split_of(mm, page);

	for (uint64_t i = 0; i < nr; i++)
		split[i].state = (uint8_t)state;
}

int tails_share(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t before, after;
	int r;

	/* A flat unit is shared as a whole, once its last restored page is gone. */
	if (unit_is(mm, unit_of(mm, page), UNIT_FLAT)) {
		set_states(mm, page, nr, PAGE_SHARED);
		return 0;
	}
	before = count_seams(mm, page, nr);
	set_states(mm, page, nr, PAGE_SHARED);
	after = count_seams(mm, page, nr);
	r = afford(mm, before, after);
	if (r == 0)
		r = map_shared(mm, page, nr);
	if (r < 0)
		set_states(mm, page, nr, PAGE_IDLE);
	else
		account(mm, before, after);
	return r;
}

int tails_unshare(struct memmap *mm, uint64_t page)
{
	struct split *split = split_of(mm, page);
	bool is_flat = unit_is(mm, unit_of(mm, page), UNIT_FLAT);
	uint64_t before = is_flat ? 0 : count_seams(mm, page, 1);
	int r = is_flat ? 0 : map_slot(mm, page, split->slot);

	if (r < 0)
		return r;
	split->state = PAGE_IDLE;
	if (!is_flat)
		account(mm, before, count_seams(mm, page, 1));
	return 0;
}

/*
 * Maps the unit by huge pages again; else page tables would grow to 28 MiB for each TiB. Where a
 * kernel does not collapse a read-only mapping (6.1), mapping the unit anew drops its page table,
 * and the next read makes one huge mapping.
 */
void tails_mend(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit), nr = unit_pages(mm, unit);

	if (!mm->cannot_collapse &&
	    madvise(tails_of(mm, first), nr * page_len(mm), MADV_COLLAPSE) == 0)
		return;
	mm->cannot_collapse |= errno == EINVAL;
	map_shared(mm, first, nr);
}
