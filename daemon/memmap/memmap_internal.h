/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_internal: what the files of the memmap share, for nobody else. A file may call those below
 * it:
 *
 *	memmap.c    the array as others see it: desc, head, tail, activation, numbers
 *	verify.c    is every descriptor what its state says?
 *	upkeep.c    regular work, a bounded part a round
 *	split.c     which compound pages have tails of their own, and which soon will not
 *	heads.c     the head plane
 *	tails.c     the tail plane: what is mapped where
 *	pool.c      prefilled private tails; the reserve
 *	backing.c   the one shared run of plain tails
 *	plain.c     memory files of plain tails
 *	node.c      memory near the device
 *	walk.c      pages of a range, a unit at a time
 */
#ifndef PMEMARENA_MEMMAP_INTERNAL_H
#define PMEMARENA_MEMMAP_INTERNAL_H

#include <stddef.h>

#include "daemon/memmap/memmap.h"
#include "daemon/memmap/vma_budget.h"

#define SECTION_PFN_SHIFT 15                            /* base pages of 128 MiB of the device */
#define SUBSECTION_PFNS   UINT64_C(512)
#define DESC_SIZE         sizeof(struct desc)
#define BASE_PAGE         (UINT64_C(1) << DESC_SHIFT)
#define HUGE_PAGE         (UINT64_C(2) << 20)
#define PLAIN_TAILS       512u
/* pages that were just emptied and are still restored */
#define MAX_IDLE          16u
#define NO_SLOT           UINT32_MAX
#define NO_PAGE           UINT64_MAX

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* ---- walk.c ---- */

/*
 * Handles pages [page, page + nr), all of one unit. -errno stops the walk; the piece must then be
 * as it was.
 */
typedef int piece_fn(void *arg, uint64_t page, uint64_t nr);

struct walk {
	uint64_t page, nr;
	/* pages handled: where the walk stopped, and where it goes on */
	uint64_t done;
};

int walk_pieces(struct walk *walk, const struct memmap *mm, piece_fn *fn, void *arg);

/* ---- node.c ---- */

/*
 * The NUMA node of the device. It is preferred and not demanded: descriptors on another node are
 * slower, no descriptors are an outage.
 */
struct node {
	int  id;
	/* there is a choice of nodes, and this one is among those allowed */
	bool is_used;
	bool warned;
};

/* The memory policy of the thread, kept while it fills memory for a node. */
struct node_stay {
	unsigned long mask[16];
	int  mode;
	bool is_changed;
};

void node_init(struct node *node, int id);
/* Memory in this range that is touched later comes from the node, if possible. */
void node_prefer(struct node *node, void *addr, size_t len);
/* Memory that this thread touches until node_leave() comes from the node, if possible. */
void node_enter(struct node_stay *stay, struct node *node);
void node_leave(const struct node_stay *stay);
/* Is the memory at @addr on another node? It must have been touched; *found is that node. */
bool node_is_off(int *found, const struct node *node, const void *addr);

/* ---- plain.c ---- */

extern const struct desc plain_tails[PLAIN_TAILS];
#define plain_tail (plain_tails[0])

/* Makes a memory file that no other user can open; -errno. */
int plain_file(const char *name, unsigned flags, uint64_t len);
/* Writes plain tails; -ENOMEM. */
int plain_fill(struct node *node, int fd, uint64_t from, uint64_t len);
/*
 * As plain_fill(), for a part to which nobody has written yet: takes the memory, which the kernel
 * zeroes when it is first touched. -ENOMEM.
 */
int plain_take(struct node *node, int fd, uint64_t from, uint64_t len);
/*
 * Turns the first @len bytes of the file into huge pages, also for those who have it mapped; the
 * contents stay. False: nothing changed.
 */
bool plain_make_huge(struct node *node, int fd, uint64_t len);

/* ---- backing.c ---- */

/* What every deduplicated compound page shows. */
struct backing {
	/* owned; O_RDONLY; -1 before it is needed */
	int    fd;
	int    write_fd;                                /* owned; -1 once the file is filled */
	size_t len;
	bool   is_huge;
};

/* Opens the file, if it is not open; takes no memory yet. -ENOMEM and others. */
int backing_open(struct backing *backing);
/*
 * Gives the file its memory at once and as huge pages; until then each first look takes a small
 * page. 1: it is huge from now on; 0: it is not; -ENOMEM: try again later.
 */
int backing_fill(struct backing *backing, struct node *node);
void backing_close(struct backing *backing);

/* ---- pool.c ---- */

/*
 * A pool of slots. A slot is tails of its own for one compound page: a piece of a memory file that
 * was filled with plain tails before anybody needed it.
 */
struct pool {
	int       fd;                                   /* owned; -1 before the first use */
	size_t    slot_len;
	struct node *node;                              /* borrowed */
	uint32_t  nr_slots;                             /* slots in the file */
	uint32_t *ready, nr_ready;                      /* owned stack: filled */
	/* owned stack: used before, to be filled again */
	uint32_t *spent, nr_spent;
	uint32_t *empty, nr_empty;                      /* owned stack: without memory */
	uint32_t  room;                                 /* of each stack */
	uint32_t  nr_used;
	bool      was_used;
	/* the slots of the first huge page were made */
	bool      has_chunk;
};

void pool_init(struct pool *pool, size_t slot_len, struct node *node);
void pool_fini(struct pool *pool);
/*
 * Takes a filled slot: @wish if that one is ready. The reserve is for @urgent callers, when there
 * is no memory for others. -ENOMEM.
 */
int pool_take(uint32_t *slot, struct pool *pool, uint32_t wish, bool urgent);
/* Gives back a slot that was not written to. */
void pool_untake(struct pool *pool, uint32_t slot);
/* Gives back a slot; it must be filled again. */
void pool_give(struct pool *pool, uint32_t slot);
/* Does one step of filling or emptying. Returns true while there is more to do. */
bool pool_refill(struct pool *pool);

/* ---- the memmap ---- */

/* The state of the tails of one compound page. */
enum page_state {
	PAGE_SHARED,                                    /* its tails show the backing */
	PAGE_SPLIT,                                     /* restored and in use */
	PAGE_IDLE,                                      /* restored, plain again, on memmap.idle */
	/* as PAGE_IDLE, but they could not be shared when their time came */
	PAGE_LATE,
};

/* What is known of one page of a unit, while any page of that unit is restored. */
struct split {
	/* owned; NO_SLOT: shared, or in a flat unit */
	uint32_t slot;
	uint8_t  state;                                 /* enum page_state */
	/* one of its base pages is bad: the page stays split */
	bool     has_bad;
};

enum unit_flags {
	UNIT_ACTIVE = 1 << 0,
	/* made by the activation that is under way */
	UNIT_FRESH  = 1 << 1,
	/* has memory of its own as a whole, because mappings ran short */
	UNIT_FLAT   = 1 << 2,
	UNIT_LATE   = 1 << 3,                           /* may have pages in the state PAGE_LATE */
	/* shared as a whole again, but mapped by small pages */
	UNIT_BROKEN = 1 << 4,
};

/*
 * A unit is what is activated at once, and mapped from the start of the backing: a section, or more
 * where a compound page is larger or the budget of mappings wants it.
 */
struct unit {
	/* owned, one element for each page; NULL: no page is restored */
	struct split *pages;
	uint32_t nr_split;                              /* restored pages, in use or not */
	uint8_t  flags;                                 /* enum unit_flags */
};

/* A page that was emptied, and is still restored. */
struct idle {
	/* the round (memmap.rounds) in which it was emptied */
	uint64_t page, since;
};

struct memmap {
	struct memmap_params p;
	uint64_t nr_pages;
	uint64_t tail_mask;                             /* pfn & tail_mask is 0 for a head */
	/*
	 * Heads are 1 << head_shift descriptors apart: 0 if they have a plane of their own; on the
	 * device the order, since the tails are between them.
	 */
	unsigned head_shift;
	/* owned reservations; on the device: borrowed, and both the same */
	struct desc *heads, *tails;
	void  *tails_raw;                               /* as mapped, before alignment */
	size_t heads_len, raw_len;

	struct unit *units;                             /* owned */
	unsigned page_shift;                            /* a unit has 1 << page_shift pages */
	uint64_t nr_units, nr_active, nr_flat;
	/* where the last search for a unit with something to do ended */
	uint64_t cursor;

	struct backing backing;
	/* owned; the tails of flat units, at the offsets that they have in the plane */
	int    flat_fd;
	struct pool pool;
	struct node node;
	struct vma_budget own_budget, *budget;          /* budget is &own_budget, or borrowed */
	/* mappings of the tail plane: its part of budget.own */
	uint64_t nr_maps;

	struct idle idle[MAX_IDLE];                     /* the oldest comes first */
	uint32_t nr_idle;
	uint64_t nr_split, nr_late, nr_broken;
	uint64_t rounds;                                /* calls of memmap_maintain() */

	struct memmap_stats counts;
	/* this kernel makes no huge page of pages that are mapped read-only (MADV_COLLAPSE) */
	bool   cannot_collapse;
	bool   warned_memory, warned_range;
};

static inline uint64_t pages_per_unit(const struct memmap *mm)
{
	return UINT64_C(1) << mm->page_shift;
}
static inline uint64_t unit_of(const struct memmap *mm, uint64_t page)
{
	return page >> mm->page_shift;
}
static inline uint64_t unit_first(const struct memmap *mm, uint64_t unit)
{
	return unit << mm->page_shift;
}
static inline bool has_tails(const struct memmap *mm)
{
	return mm->p.order > 0 && mm->p.home == MEMMAP_DRAM;
}
static inline bool unit_is(const struct memmap *mm, uint64_t unit, enum unit_flags flag)
{
	return mm->units[unit].flags & flag;
}

/* Returns how many pages @unit has; the last unit ends with the device. */
static inline uint64_t unit_pages(const struct memmap *mm, uint64_t unit)
{
	uint64_t left = mm->nr_pages - unit_first(mm, unit);

	return left < pages_per_unit(mm) ? left : pages_per_unit(mm);
}

/* Returns what is known of @page; NULL: no page of its unit is restored. */
static inline struct split *split_of(const struct memmap *mm, uint64_t page)
{
	struct split *pages = mm->units[unit_of(mm, page)].pages;

	return pages ? &pages[page & (pages_per_unit(mm) - 1)] : NULL;
}

/* Returns the bytes of descriptors of one compound page. */
static inline size_t page_len(const struct memmap *mm) { return DESC_SIZE << mm->p.order; }

static inline struct desc *tails_of(const struct memmap *mm, uint64_t page)
{
	return mm->tails + (page << mm->p.order);
}

/* ---- heads.c ---- */

int heads_init(struct memmap *mm, struct why *why);
void heads_fini(struct memmap *mm);
/* Takes the memory for the heads of a range of units. -ENOMEM. */
int heads_populate(struct memmap *mm, uint64_t page, uint64_t nr);
void heads_activate(struct memmap *mm, uint64_t unit);
/* Returns how many bytes of the plane are in memory. */
uint64_t heads_resident(const struct memmap *mm);

/* ---- tails.c ---- */

int tails_init(struct memmap *mm, struct why *why);
void tails_fini(struct memmap *mm);
/* Prepares what the first activation needs; does nothing when called again. -ENOMEM. */
int tails_prepare(struct memmap *mm);
/* Maps a unit: shared, or flat when mappings run short. -ENOMEM. */
int tails_activate(struct memmap *mm, uint64_t unit);
/* Undoes tails_activate(). -errno of mmap(): the unit stays active. */
int tails_deactivate(struct memmap *mm, uint64_t unit);
/* Gives @page tails of its own. -ENOMEM. */
int tails_restore(struct memmap *mm, uint64_t page, bool urgent);
/*
 * Maps the backing over idle pages of one unit; their slots stay theirs until the caller gives them
 * back. -EAGAIN: too many mappings; -errno of mmap().
 */
int tails_share(struct memmap *mm, uint64_t page, uint64_t nr);
/* Undoes tails_share() for one page. */
int tails_unshare(struct memmap *mm, uint64_t page);
/* Ends the flat state of a unit with no restored page. -EAGAIN, -errno of mmap(). */
int tails_unflatten(struct memmap *mm, uint64_t unit);
/* Maps a unit by huge pages again. */
void tails_mend(struct memmap *mm, uint64_t unit);

/* ---- memmap.c ---- */

/*
 * Returns the next unit that has one of @flags, from where the last search ended; nr_units: there
 * is none.
 */
uint64_t memmap_next_unit(struct memmap *mm, unsigned flags);

/* ---- split.c ---- */

/* Shares pages whose time has come, and tries those again that could not be shared. */
void split_upkeep(struct memmap *mm);

#endif
