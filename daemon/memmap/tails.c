/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tails: what is mapped where in the tail plane. The only code of the daemon that plays tricks with mmap: each change is one MAP_FIXED
 * over what is there, so the plane is complete at every instant, and a failure leaves what was there.
 *
 *	inactive   PROT_NONE
 *	shared     the backing, read-only; offset in the backing = address modulo its size, so that neighbours merge
 *	restored   a slot of the pool, writable
 *	flat       a whole unit writable, from a memory file whose offsets are the plane's, so that flat neighbours merge:
 *	           what is done when mappings run short
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

int tails_init(struct memmap *mm, struct why *why)
{
	uintptr_t start;

	mm->tails_len = mm->nr_units * unit_bytes(mm);
	mm->raw_len = mm->tails_len + mm->backing_bytes;
	mm->tails_raw = mmap(NULL, mm->raw_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mm->tails_raw == MAP_FAILED) {
		mm->tails_raw = NULL;
		return why_set(why, -ENOMEM, "the tail plane (%zu MiB of address space, no memory) cannot be mapped: is there a limit on address "
			       "space?", mm->raw_len >> 20);
	}
	start = ((uintptr_t)mm->tails_raw + mm->backing_bytes - 1) & ~(uintptr_t)(mm->backing_bytes - 1);
	mm->tails = (struct desc *)start;
	mm->budget.own++;
	return 0;
}

void tails_fini(struct memmap *mm)
{
	if (mm->tails_raw)
		munmap(mm->tails_raw, mm->raw_len);
	if (mm->flat_fd >= 0)
		close(mm->flat_fd);
	mm->tails_raw = NULL;
	mm->flat_fd = -1;
}

static struct desc *unit_start(const struct memmap *mm, uint64_t unit)
{
	return mm->tails + (unit << mm->unit_shift);
}

static off_t plane_off(const struct memmap *mm, const struct desc *at)
{
	return (off_t)((const char *)at - (const char *)mm->tails);
}

static int map_shared(struct memmap *mm, struct desc *at, size_t len)
{
	off_t off = plane_off(mm, at) & (off_t)(mm->backing_bytes - 1);

	return mmap(at, len, PROT_READ, MAP_SHARED | MAP_FIXED, mm->backing_fd, off) == MAP_FAILED ? -errno : 0;
}

/* ---- how many mappings a unit has, for the budget ---- */

static uint64_t count_in(const struct memmap *mm, uint64_t unit)
{
	const struct split *split = mm->splits[unit];
	uint64_t nr = 0;
	bool shared = false;

	if (!split || bit_get(mm->flat, unit))
		return 1;
	for (uint64_t i = 0; i < pages_per_unit(mm); i++) {
		bool own = split[i].slot != NO_SLOT;

		nr += own || !shared;
		shared = !own;
	}
	return nr;
}

/* A gap of inactive units is one mapping; so is a stretch of flat ones. */
static int64_t neighbours(const struct memmap *mm, uint64_t unit, bool flat)
{
	int64_t nr = 0;

	for (int side = 0; side < 2; side++) {
		uint64_t next = side ? unit + 1 : unit - 1;

		if (side ? next >= mm->nr_units : unit == 0)
			continue;
		nr += !bit_get(mm->active, next);
		nr -= flat && bit_get(mm->flat, next);
	}
	return nr;
}

/* ---- flat ---- */

static int open_flat(struct memmap *mm)
{
	int fd;

	if (mm->flat_fd >= 0)
		return 0;
	fd = memfd_create("pmemarena-flat", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)mm->tails_len) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	mm->flat_fd = fd;
	return 0;
}

/* What the restored pages of the unit hold now. */
static int copy_splits(struct memmap *mm, uint64_t unit)
{
	const struct split *split = mm->splits[unit];
	struct desc *at = unit_start(mm, unit);
	size_t len = page_bytes(mm);

	for (uint64_t i = 0; split && i < pages_per_unit(mm); i++, at += UINT64_C(1) << mm->p.order) {
		if (split[i].slot == NO_SLOT)
			continue;
		if (pwrite(mm->flat_fd, at, len, plane_off(mm, at)) != (ssize_t)len)
			return -ENOMEM;
	}
	return 0;
}

static void give_slots(struct memmap *mm, uint64_t unit)
{
	struct split *split = mm->splits[unit];

	for (uint64_t i = 0; split && i < pages_per_unit(mm); i++) {
		if (split[i].slot != NO_SLOT)
			pool_give(&mm->pool, split[i].slot);
		split[i].slot = NO_SLOT;
	}
}

static int map_flat(struct memmap *mm, uint64_t unit)
{
	struct desc *at = unit_start(mm, unit);
	int r = open_flat(mm);

	if (r == 0)
		r = fill_plain(mm->flat_fd, (size_t)plane_off(mm, at), unit_bytes(mm));
	if (r == 0)
		r = copy_splits(mm, unit);
	if (r < 0)
		return -ENOMEM;
	if (mmap(at, unit_bytes(mm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mm->flat_fd, plane_off(mm, at)) == MAP_FAILED)
		return -errno;
	give_slots(mm, unit);
	bit_set(mm->flat, unit, true);
	mm->nr_flat++;
	return 0;
}

static void drop_flat(struct memmap *mm, uint64_t unit)
{
	off_t off = plane_off(mm, unit_start(mm, unit));

	bit_set(mm->flat, unit, false);
	mm->nr_flat--;
	/* Not given back only costs memory; the next use writes all of it again. */
	if (fallocate(mm->flat_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, (off_t)unit_bytes(mm)) < 0)
		return;
}

/* The account before and after a unit changes its shape. */
static void settle_count(struct memmap *mm, uint64_t before, uint64_t after)
{
	mm->budget.own += after - before;
}

static int flatten(struct memmap *mm, uint64_t unit)
{
	uint64_t before = count_in(mm, unit);
	int r = map_flat(mm, unit);

	if (r == 0)
		settle_count(mm, before, 1);
	return r;
}

int tails_unflatten(struct memmap *mm, uint64_t unit)
{
	int r;

	if (!vma_budget_has(&mm->budget, 4))
		return -EAGAIN;
	r = map_shared(mm, unit_start(mm, unit), unit_bytes(mm));
	if (r == 0)
		drop_flat(mm, unit);
	return r;
}

/* ---- activate ---- */

int tails_activate(struct memmap *mm, uint64_t unit)
{
	bool flat = !vma_budget_has(&mm->budget, 2);
	int r = backing_open(mm);

	if (r < 0)
		return r;
	if (!flat) {
		r = map_shared(mm, unit_start(mm, unit), unit_bytes(mm));
		flat = r == -ENOMEM;
	}
	if (flat)
		r = map_flat(mm, unit);
	if (r == 0)
		mm->budget.own += (uint64_t)neighbours(mm, unit, flat);
	return r;
}

void tails_deactivate(struct memmap *mm, uint64_t unit)
{
	bool flat = bit_get(mm->flat, unit);

	if (mmap(unit_start(mm, unit), unit_bytes(mm), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		return;                 /* it stays readable, which nobody relies on */
	if (flat)
		drop_flat(mm, unit);
	mm->budget.own -= (uint64_t)neighbours(mm, unit, flat);
}

/* ---- restore and share ---- */

int tails_restore(struct memmap *mm, uint64_t page, bool urgent)
{
	uint64_t unit = unit_of(mm, page), before = count_in(mm, unit);
	struct split *split = split_of(mm, page);
	uint32_t slot;
	int r;

	if (bit_get(mm->flat, unit))            /* writable already, and plain */
		return 0;
	if (!vma_budget_has(&mm->budget, 2))
		return flatten(mm, unit);
	r = pool_take(&slot, &mm->pool, urgent);
	if (r < 0)
		return r;
	if (mmap(tails_of(mm, page), page_bytes(mm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mm->pool.fd,
		 (off_t)(slot * mm->pool.slot_bytes)) == MAP_FAILED) {
		r = -errno;
		pool_untake(&mm->pool, slot);
		return r == -ENOMEM && flatten(mm, unit) == 0 ? 0 : r;
	}
	split->slot = slot;
	settle_count(mm, before, count_in(mm, unit));
	return 0;
}

int tails_share(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t unit = unit_of(mm, page), before = count_in(mm, unit);
	struct split *split = split_of(mm, page);
	int r;

	if (bit_get(mm->flat, unit))
		return -EAGAIN;                 /* as a whole, when its last page is done */
	r = map_shared(mm, tails_of(mm, page), nr * page_bytes(mm));
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < nr; i++) {
		pool_give(&mm->pool, split[i].slot);
		split[i].slot = NO_SLOT;
	}
	settle_count(mm, before, count_in(mm, unit));
	return 0;
}

bool tails_collapse(struct memmap *mm, uint64_t unit)
{
	return madvise(unit_start(mm, unit), unit_bytes(mm), MADV_COLLAPSE) == 0 || errno != EINVAL;
}
