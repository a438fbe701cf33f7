/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_internal: what the files of the memmap share; for nobody else. A file may call those above it:
 *
 *	memmap.c    the array as others see it: desc, head, tail, activation, numbers
 *	verify.c    is every descriptor what its state says?
 *	split.c     which compound pages have tails of their own, and which soon will not
 *	heads.c     the head plane                          tails.c     the tail plane: what is mapped where
 *	pool.c      prefilled private tails; the reserve    backing.c   the one shared run of plain tails
 *	plain.c     memory files of plain tails             node.c      memory near the device
 *	walk.c      pages of a range, a unit at a time
 */
#ifndef PMEMARENA_MEMMAP_INTERNAL_H
#define PMEMARENA_MEMMAP_INTERNAL_H

#include <stddef.h>

#include "daemon/memmap/memmap.h"
#include "daemon/memmap/vma_budget.h"

#define SECTION_PFN_SHIFT 15                            /* 128 MiB of device */
#define SUBSECTION_PFNS   UINT64_C(512)
#define DESC_SIZE         sizeof(struct desc)
#define BASE_PAGE         (UINT64_C(1) << DESC_SHIFT)
#define HUGE_PAGE         (UINT64_C(2) << 20)
#define PLAIN_TAILS       512u
#define MAX_IDLE          16u                           /* pages that were just emptied and are still restored */
#define NO_SLOT           UINT32_MAX
#define NO_PAGE           UINT64_MAX

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* ---- walk.c ---- */

/* Pages [page, page + nr), all of one unit. 0, or -errno: the walk stops, and this piece is as it was. */
typedef int piece_fn(void *arg, uint64_t page, uint64_t nr);

struct walk {
	uint64_t page, nr;
	uint64_t done;                                  /* pages handled; page + done is where it stopped, and where it goes on */
};

int walk_pieces(struct walk *walk, const struct memmap *mm, piece_fn *fn, void *arg);

/* ---- node.c ---- */

/* The device's NUMA node. Preferred, not bound: descriptors elsewhere are slower, no descriptors are an outage. */
struct node {
	int  id;
	bool is_used;                                   /* there is a choice, and the node can be had */
	bool warned;
};

/* The policy of the thread while it fills memory for a node. */
struct node_stay {
	unsigned long mask[16];
	int  mode;
	bool is_changed;
};

void node_init(struct node *node, int id);
void node_prefer(struct node *node, void *addr, size_t len);            /* for what is touched there later */
void node_enter(struct node_stay *stay, struct node *node);             /* for what this thread touches until node_leave() */
void node_leave(const struct node_stay *stay);
bool node_is_off(int *found, const struct node *node, const void *addr);        /* touched, and not where it should be */

/* ---- plain.c ---- */

extern const struct desc plain_tails[PLAIN_TAILS];
#define plain_tail (plain_tails[0])

int plain_file(const char *name, unsigned flags, uint64_t len);         /* a memory file that nobody else may open; -errno */
int plain_fill(struct node *node, int fd, uint64_t from, uint64_t len); /* -ENOMEM */
/* The same where nobody wrote yet: memory is taken, and is zeroed by the kernel when it is first touched. -ENOMEM */
int plain_take(struct node *node, int fd, uint64_t from, uint64_t len);
/* The first @len bytes of the file become huge pages, also under those who have them mapped; what is there stays. False: they are as they were. */
bool plain_make_huge(struct node *node, int fd, uint64_t len);

/* ---- backing.c ---- */

/* What every deduplicated compound page shows. */
struct backing {
	int    fd;                                      /* owned; O_RDONLY; -1 before it is needed */
	int    write_fd;                                /* owned; -1 once it is filled */
	size_t len;
	bool   is_huge;
};

int backing_open(struct backing *backing);                              /* idempotent; takes no memory yet. -ENOMEM and others */
/* Off the path: its memory at once and huge, instead of a page for each first look. 1: it is huge from now on; 0; -ENOMEM: to be tried again. */
int backing_fill(struct backing *backing, struct node *node);
void backing_close(struct backing *backing);

/* ---- pool.c ---- */

/* Tails of their own for one compound page: a piece of a memory file, filled with plain tails before anybody needs it. */
struct pool {
	int       fd;                                   /* owned; -1 before the first use */
	size_t    slot_len;
	struct node *node;                              /* borrowed */
	uint32_t  nr_slots;                             /* the file holds so many */
	uint32_t *ready, nr_ready;                      /* owned stack: filled */
	uint32_t *spent, nr_spent;                      /* owned stack: were used, want filling */
	uint32_t *empty, nr_empty;                      /* owned stack: their memory was given back */
	uint32_t  room;                                 /* of each stack */
	uint32_t  nr_used;
	bool      was_used;
	bool      has_chunk;                            /* the slots of the first huge page are there */
};

void pool_init(struct pool *pool, size_t slot_len, struct node *node);
void pool_fini(struct pool *pool);
/* A filled slot, @wish when it is ready. The reserve is for @urgent callers, when there is no memory. -ENOMEM. */
int pool_take(uint32_t *slot, struct pool *pool, uint32_t wish, bool urgent);
void pool_untake(struct pool *pool, uint32_t slot);                     /* it was not written to */
void pool_give(struct pool *pool, uint32_t slot);
bool pool_refill(struct pool *pool);                                    /* one step; true: more to do */

/* ---- the memmap ---- */

/* Of one compound page. */
enum page_state {
	PAGE_SHARED,                                    /* shows the backing */
	PAGE_SPLIT,                                     /* restored and in use */
	PAGE_IDLE,                                      /* restored, its tails plain again; in memmap.idle */
	PAGE_LATE,                                      /* the same, and could not be shared when its time came */
};

struct split {
	uint32_t slot;                                  /* owned; NO_SLOT: shared, or in a flat unit */
	uint8_t  state;                                 /* enum page_state */
	bool     has_bad;                               /* a base page of it is bad: it stays split */
};

enum unit_flags {
	UNIT_ACTIVE = 1 << 0,
	UNIT_FRESH  = 1 << 1,                           /* by the activation that is under way */
	UNIT_FLAT   = 1 << 2,                           /* has memory of its own as a whole: mappings had run short */
	UNIT_LATE   = 1 << 3,                           /* may have pages in PAGE_LATE */
	UNIT_BROKEN = 1 << 4,                           /* shared as a whole again, but by small mappings */
};

/* What is activated, and mapped from the start of the backing: a section, or more where a compound page or the VMA budget wants it. */
struct unit {
	struct split *pages;                            /* owned, one element a page; NULL: none is restored */
	uint32_t nr_split;                              /* restored pages, in use or not */
	uint8_t  flags;                                 /* enum unit_flags */
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
	size_t heads_len, raw_len;

	struct unit *units;                             /* owned */
	unsigned page_shift;                            /* pages in a unit: 1 << page_shift */
	uint64_t nr_units, nr_active, nr_flat;
	uint64_t cursor;                                /* where the last search for a unit with something to do ended */

	struct backing backing;
	int    flat_fd;                                 /* owned; tails of flat units: offset as in the plane */
	struct pool pool;
	struct node node;
	struct vma_budget own_budget, *budget;          /* budget: own_budget or borrowed */
	uint64_t nr_maps;                               /* of the tail plane; its part of budget.own */

	struct idle idle[MAX_IDLE];                     /* oldest first */
	uint32_t nr_idle;
	uint64_t nr_split, nr_late, nr_broken;
	uint64_t rounds;                                /* of memmap_maintain() */

	struct memmap_stats counts;
	bool   cannot_collapse;                         /* this kernel does not do it for read-only maps */
	bool   warned_memory, warned_range;
};

static inline uint64_t pages_per_unit(const struct memmap *mm) { return UINT64_C(1) << mm->page_shift; }
static inline uint64_t unit_of(const struct memmap *mm, uint64_t page) { return page >> mm->page_shift; }
static inline uint64_t unit_first(const struct memmap *mm, uint64_t unit) { return unit << mm->page_shift; }
static inline bool has_tails(const struct memmap *mm) { return mm->p.order > 0 && mm->p.home == MEMMAP_DRAM; }
static inline bool unit_is(const struct memmap *mm, uint64_t unit, enum unit_flags flag) { return mm->units[unit].flags & flag; }

/* The last unit ends with the device. */
static inline uint64_t unit_pages(const struct memmap *mm, uint64_t unit)
{
	uint64_t left = mm->nr_pages - unit_first(mm, unit);

	return left < pages_per_unit(mm) ? left : pages_per_unit(mm);
}

/* What is known of a page; NULL: none of its unit is restored. */
static inline struct split *split_of(const struct memmap *mm, uint64_t page)
{
	struct split *pages = mm->units[unit_of(mm, page)].pages;

	return pages ? &pages[page & (pages_per_unit(mm) - 1)] : NULL;
}

/* Bytes of descriptors of one compound page. */
static inline size_t page_len(const struct memmap *mm) { return DESC_SIZE << mm->p.order; }

static inline struct desc *tails_of(const struct memmap *mm, uint64_t page)
{
	return mm->tails + (page << mm->p.order);
}

/* ---- heads.c ---- */

int heads_init(struct memmap *mm, struct why *why);
void heads_fini(struct memmap *mm);
int heads_populate(struct memmap *mm, uint64_t page, uint64_t nr);      /* memory for the heads of a range of units. -ENOMEM */
void heads_activate(struct memmap *mm, uint64_t unit);
uint64_t heads_resident(const struct memmap *mm);                       /* bytes */

/* ---- tails.c ---- */

int tails_init(struct memmap *mm, struct why *why);
void tails_fini(struct memmap *mm);
int tails_prepare(struct memmap *mm);                                   /* idempotent; what the first activation needs. -ENOMEM */
int tails_activate(struct memmap *mm, uint64_t unit);                   /* -ENOMEM */
int tails_deactivate(struct memmap *mm, uint64_t unit);                 /* -errno of mmap: it stays active */
int tails_restore(struct memmap *mm, uint64_t page, bool urgent);       /* shared -> split. -ENOMEM */
/* Idle pages of one unit -> shared; their slots stay theirs. -EAGAIN too many mappings; -errno of mmap. */
int tails_share(struct memmap *mm, uint64_t page, uint64_t nr);
int tails_unshare(struct memmap *mm, uint64_t page);                    /* undoes it for one page */
int tails_unflatten(struct memmap *mm, uint64_t unit);                  /* none of it is restored. -EAGAIN, -errno of mmap */
void tails_mend(struct memmap *mm, uint64_t unit);                      /* one huge mapping again */

/* ---- memmap.c ---- */

/* The next unit with one of @flags, from where the last search ended; nr_units: there is none. */
uint64_t memmap_next_unit(struct memmap *mm, unsigned flags);

/* ---- split.c ---- */

void split_upkeep(struct memmap *mm);                                   /* idle and late pages */

#endif
