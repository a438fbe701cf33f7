/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_internal: what the files of the memmap share; for nobody else.
 *
 *	memmap.c    the array as others see it: desc, head, tail, restore, dedup, poison
 *	heads.c     the head plane                          backing.c   the one shared run of plain tails
 *	tails.c     the tail plane: what is mapped where    pool.c      prefilled private tails; the reserve
 */
#ifndef PMEMARENA_MEMMAP_INTERNAL_H
#define PMEMARENA_MEMMAP_INTERNAL_H

#include <stddef.h>

#include "daemon/memmap/memmap.h"
#include "daemon/memmap/vma_budget.h"

#define SECTION_PFN_SHIFT 15                            /* 128 MiB of device */
#define DESC_SIZE         sizeof(struct desc)
#define MAX_IDLE          16u                           /* pages that were just emptied and are still restored */
#define MAX_COLLAPSE      256u                          /* units that may get their huge mapping back, remembered */
#define NO_SLOT           UINT32_MAX

/* Tails of their own for one compound page: a piece of a memory file, filled with plain tails before anybody needs it. */
struct pool {
	int       fd;                                   /* owned; -1 before the first use */
	size_t    slot_bytes;
	uint32_t  nr_slots;                             /* the file holds so many */
	uint32_t *ready, nr_ready;                      /* owned stack: filled */
	uint32_t *spent, nr_spent;                      /* owned stack: were used, want filling */
	uint32_t *empty, nr_empty;                      /* owned stack: their memory was given back */
	uint32_t  room;                                 /* of each stack */
	uint32_t  nr_used;
};

/* Of one compound page: shares the backing; restored and in use; restored, but its tails are plain again. */
enum page_state { PAGE_SHARED, PAGE_SPLIT, PAGE_IDLE };

struct split {
	uint32_t slot;                                  /* NO_SLOT: nothing is mapped for it alone */
	uint8_t  state;                                 /* enum page_state */
};

struct idle {
	uint64_t page, since;                           /* since: memmap.rounds */
};

struct memmap {
	struct memmap_params p;
	uint64_t nr_pages;
	uint64_t tail_mask;                             /* pfn & tail_mask: not a head */
	unsigned head_shift;                            /* heads are this far apart: 0 in a plane of their own, else the order */
	struct desc *heads, *tails;                     /* owned reservations; device-resident: borrowed, and the same */
	void  *tails_raw;                               /* as mapped, before alignment */
	size_t heads_len, tails_len, raw_len;

	/* A unit is a section, or a compound page when that is larger. */
	unsigned unit_shift;                            /* pfns */
	uint64_t nr_units;
	uint64_t *active, *flat;                        /* owned bitmaps by unit */
	struct split **splits;                          /* owned, by unit: one element a page while any page of it is restored */
	uint32_t *nr_split_in;                          /* owned; restored pages (in use or idle) by unit */
	uint64_t nr_split, nr_put_off;
	uint64_t nr_active, nr_flat;

	int    backing_fd;                              /* owned; O_RDONLY; -1 before the first activation */
	size_t backing_bytes;
	bool   backing_is_huge, can_collapse;
	int    flat_fd;                                 /* owned; private tails where mappings have run short: offset as in the plane */
	struct pool pool;

	struct idle idle[MAX_IDLE];                     /* oldest first */
	uint32_t nr_idle;
	uint64_t collapse[MAX_COLLAPSE];                /* units */
	uint32_t nr_collapse;
	uint64_t rounds;                                /* of memmap_maintain() */

	struct vma_budget budget;
	struct memmap_stats counts;
	bool   warned_node;
};

static inline uint64_t unit_of(const struct memmap *mm, uint64_t page)
{
	return page << mm->p.order >> mm->unit_shift;
}

static inline bool bit_get(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i, bool value)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	bits[i / 64] = value ? bits[i / 64] | bit : bits[i / 64] & ~bit;
}

static inline uint64_t pages_per_unit(const struct memmap *mm) { return UINT64_C(1) << (mm->unit_shift - mm->p.order); }
static inline bool has_plane(const struct memmap *mm) { return mm->p.order > 0 && mm->p.home == MEMMAP_DRAM; }

/* What is known of a page; NULL: its unit has no restored page. */
static inline struct split *split_of(const struct memmap *mm, uint64_t page)
{
	struct split *unit = mm->splits[unit_of(mm, page)];

	return unit ? &unit[page & (pages_per_unit(mm) - 1)] : NULL;
}

/* Bytes of descriptors of one compound page, of one unit. */
static inline size_t page_bytes(const struct memmap *mm) { return DESC_SIZE << mm->p.order; }
static inline size_t unit_bytes(const struct memmap *mm) { return DESC_SIZE << mm->unit_shift; }

static inline struct desc *tails_of(const struct memmap *mm, uint64_t page)
{
	return mm->tails + (page << mm->p.order);
}

extern const struct desc plain_tail;

/* heads.c */
int heads_init(struct memmap *mm, struct why *why);
void heads_fini(struct memmap *mm);
void heads_activate(struct memmap *mm, uint64_t unit);
void heads_place(struct memmap *mm, void *addr, size_t len);    /* on the device's node; one warning when it cannot be */

/* backing.c */
int backing_open(struct memmap *mm);                            /* -errno; needed before the first activation */
void backing_close(struct memmap *mm);
int fill_plain(int fd, size_t from, size_t len);                /* plain tails into a memory file. -ENOMEM, -ENOSPC */

/* pool.c */
void pool_init(struct pool *pool, size_t slot_bytes);
void pool_fini(struct pool *pool);
/* A filled slot; the last ones are kept for @urgent callers. -ENOMEM. */
int pool_take(uint32_t *slot, struct pool *pool, bool urgent);
void pool_untake(struct pool *pool, uint32_t slot);              /* it was not written to */
void pool_give(struct pool *pool, uint32_t slot);
bool pool_refill(struct pool *pool);                            /* one step; true: more to do */

/* tails.c */
int tails_init(struct memmap *mm, struct why *why);
void tails_fini(struct memmap *mm);
int tails_activate(struct memmap *mm, uint64_t unit);           /* -ENOMEM: nothing changed */
void tails_deactivate(struct memmap *mm, uint64_t unit);        /* undoes it */
int tails_restore(struct memmap *mm, uint64_t page, bool urgent);       /* -ENOMEM: nothing changed */
/* [page, page + nr) of one unit share the backing again. -errno: all as before. */
int tails_share(struct memmap *mm, uint64_t page, uint64_t nr);
int tails_unflatten(struct memmap *mm, uint64_t unit);          /* a flat unit without split pages shares the backing again */
bool tails_collapse(struct memmap *mm, uint64_t unit);          /* ask for the huge mapping back; false: this kernel does not do it */

#endif
