/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: 64 bytes for each base page of a device, as the kernel's struct page, in two planes:
 *
 *	head plane   dense, private: one descriptor for each compound page
 *	tail plane   linear: 64 bytes of address space for each base page. A section (128 MiB of the
 *	             device, 2 MiB of descriptors) is inactive (PROT_NONE), deduplicated (a shared,
 *	             read-only backing), or, for single compound pages in it, restored (a private,
 *	             writable slot of the pool is mapped over the backing)
 *
 *	desc(pfn) = pfn is a head ? &heads[pfn >> order] : &tails[pfn]
 *
 * It knows states of descriptors and no allocations: daemon/space writes into descriptors who owns
 * a page. A `page` is the number of a compound page, a `pfn` that of a base page, both counted from
 * the start of the data area. Only the loop thread calls this; other threads may read the array at
 * any time.
 */
#ifndef PMEMARENA_MEMMAP_H
#define PMEMARENA_MEMMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"

#define DESC_SHIFT    12                        /* a base page is 4 KiB */
#define DESC_MAX_ORDER 18

/* A plain tail is all zeroes, so memory to which nobody has written yet is full of plain tails. */
enum desc_kind { DESC_TAIL, DESC_HEAD };

enum desc_flags {
	/* of a head: the tails are restored, base pages have owners of their own */
	DESC_SPLIT    = 1 << 0,
	DESC_POISON   = 1 << 1,                 /* this base page is bad and is never handed out */
	DESC_SCRUBBING = 1 << 2,                /* of a head: the page is being made zero */
};

/*
 * While its page is not split a tail holds nothing that differs between compound pages: its head is
 * found from the pfn, its order in the head. ARCHITECTURE.md has a table of who writes and who
 * reads each field.
 */
struct desc {
	uint8_t  kind;                          /* enum desc_kind */
	uint8_t  order;                         /* of a head */
	uint16_t flags;                         /* enum desc_flags */
	/* of a head: the allocation's slot + 1; of a split page's base page: its own; 0: none */
	uint32_t object;
	/* of a split page's head: base pages that are not free */
	uint32_t nr_used;
	/* of a head: bad base pages in this compound page */
	uint32_t nr_poisoned;
	/* of a split page's head: the only user whose runs may lie in this page */
	uint32_t uid;
	uint32_t reserved[11];
};
_Static_assert(sizeof(struct desc) == 64, "a descriptor is one cache line");

struct vma_budget;

enum memmap_home { MEMMAP_DRAM, MEMMAP_DEVICE };

struct memmap_params {
	/* the arena's, for the trace; borrowed; NULL: none */
	const char *name;
	uint64_t nr_pfns;                       /* base pages; a multiple of the compound page */
	uint8_t  order;                         /* 0, 9 or 18 */
	int      numa_node;                     /* -1: any */
	/* the first physical page frame, for the report of off-node memory; 0: not known */
	uint64_t base_pfn;
	enum memmap_home home;
	/* for MEMMAP_DEVICE: writable mapped space of the device; borrowed */
	void    *device_base;
	uint64_t device_len;
	/* the budget of mappings; 0: that of vm.max_map_count */
	uint32_t max_vmas;
	/* borrowed, for the memmaps of a process together; NULL: one of its own */
	struct vma_budget *budget;
};

struct memmap_stats {
	uint64_t bytes_flat;                    /* bytes of descriptors if nothing were shared */
	/* measured: resident in the planes, the backing and the pool */
	uint64_t bytes_now;
	uint64_t sections, sections_active;
	uint64_t pages_split;                   /* restored and in use */
	uint64_t pages_idle;                    /* restored and empty, kept for the next split */
	uint64_t vmas_used, vmas_limit;         /* of this process */
	uint64_t dedups, restores, dedup_failures, restore_failures, dedups_put_off;
	uint64_t pool_slots, pool_slots_free;
	bool     backing_is_huge;
};

struct memmap;

/*
 * Makes a memmap, in which nothing is active. -EINVAL, with a sentence: the parameters do not fit
 * together; -ENOMEM.
 */
int memmap_new(struct memmap **out, const struct memmap_params *params, struct why *why);
void memmap_free(struct memmap *mm);

/* Returns how many bytes of the device MEMMAP_DEVICE needs for @nr_pfns base pages. */
uint64_t memmap_device_bytes(uint64_t nr_pfns, uint8_t order);

/*
 * Makes the descriptors of the compound pages [page, page + nr) readable; those that are stay as
 * they are. -ENOMEM: nothing changes; -EINVAL: the range is not on this device, logged once.
 */
int memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr);
bool memmap_is_active(const struct memmap *mm, uint64_t page);

/* Returns the descriptor of a base page, for reading. Its section must be active. */
const struct desc *memmap_desc(const struct memmap *mm, uint64_t pfn);
/* Returns the head of a compound page, for writing. Its section must be active. */
struct desc *memmap_head(struct memmap *mm, uint64_t page);
/*
 * Returns the descriptor of a base page, for writing. NULL: it is a tail of a page that is
 * deduplicated.
 */
struct desc *memmap_tail(struct memmap *mm, uint64_t pfn);

/*
 * Gives the tails of @page memory of their own that is filled with plain tails. -ENOMEM: nothing
 * changes.
 */
int memmap_restore(struct memmap *mm, uint64_t page);
/*
 * The tails of @nr pages are plain again (the caller has reset them) and may be shared. The memmap
 * may put that off, since a page that was just emptied is likely to be split again, or for want of
 * mappings. Pages that are not split, or have a bad base page, stay as they are.
 */
void memmap_dedup(struct memmap *mm, uint64_t page, uint64_t nr);
/*
 * Marks one base page as bad. Its page's tails are restored for that; when memory is out, from a
 * reserve. 1: it was good before; 0: it was marked already; -errno: nothing changes.
 */
int memmap_poison(struct memmap *mm, uint64_t pfn);

/*
 * Regular work, off the path of requests: makes the backing, fills slots of the pool, shares
 * emptied pages, brings huge mappings back. Returns true while there is more to do.
 */
bool memmap_maintain(struct memmap *mm);

/*
 * Looks at every descriptor of active pages in [page, page + nr): is it what the state of its page
 * says? -EUCLEAN: *wrong_page is the first that is not, and @why says what is wrong. It takes some
 * 20 us a section.
 */
int memmap_verify(uint64_t *wrong_page, const struct memmap *mm, uint64_t page, uint64_t nr,
		  struct why *why);

/* Are shared tails mapped by huge pages? Then to read them fills no page tables. */
bool memmap_is_huge(const struct memmap *mm);

void memmap_stats(const struct memmap *mm, struct memmap_stats *stats);

#endif
