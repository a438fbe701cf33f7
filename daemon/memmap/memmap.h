/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap: 64 bytes for every base page of a device, as the kernel's struct page, in two planes:
 *
 *	head plane   dense, private: one descriptor a compound page
 *	tail plane   linear, virtual: 64 B a base page; per section (128 MiB of device, 2 MiB of descriptors) either
 *	             inactive (PROT_NONE), deduplicated (one shared read-only backing), or, for single compound pages in
 *	             it, restored (a private writable slot of the pool mapped over the backing)
 *
 *	desc(pfn) = pfn is a head ? &heads[pfn >> order] : &tails[pfn]
 *
 * It knows states of metadata memory, not allocations: who owns a page is written into descriptors by daemon/arena.
 * A `page` here is the number of a compound page, a `pfn` the number of a base page, both from 0 at the start of the
 * data area. Only the loop thread calls this; the array may be read by others at any instant.
 */
#ifndef PMEMARENA_MEMMAP_H
#define PMEMARENA_MEMMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/why.h"

#define DESC_SHIFT    12                        /* a base page is 4 KiB */
#define DESC_MAX_ORDER 18

/* A plain tail is all zeroes: memory that nobody wrote to yet is full of them. */
enum desc_kind { DESC_TAIL, DESC_HEAD };

enum desc_flags {
	DESC_SPLIT    = 1 << 0,                 /* head: the tails are restored, base pages have owners of their own */
	DESC_POISON   = 1 << 1,                 /* this base page is bad; never handed out */
	DESC_SCRUBBING = 1 << 2,                /* head: not known to be zero, on its way */
};

/*
 * A tail holds nothing that differs between compound pages while its page is not split: head by masking the pfn, order
 * from the head. ARCHITECTURE.md has the table of each field's single writer and its readers.
 */
struct desc {
	uint8_t  kind;                          /* enum desc_kind */
	uint8_t  order;                         /* head only */
	uint16_t flags;                         /* enum desc_flags */
	uint32_t object;                        /* head of a whole page: its object; split: the object of this base page; 0 none */
	uint32_t nr_used;                       /* head, split: base pages that are not free */
	uint32_t nr_poisoned;                   /* head: bad base pages in this compound page */
	uint32_t uid;                           /* head, split: same-owner neighbours only */
	uint32_t reserved[11];
};
_Static_assert(sizeof(struct desc) == 64, "a descriptor is one cache line");

struct vma_budget;

enum memmap_home { MEMMAP_DRAM, MEMMAP_DEVICE };

struct memmap_params {
	uint64_t nr_pfns;                       /* base pages; a multiple of the compound page */
	uint8_t  order;                         /* 0, 9 or 18 */
	int      numa_node;                     /* -1: anywhere */
	uint64_t base_pfn;                      /* physical, for the off-node report; 0 unknown */
	enum memmap_home home;
	void    *device_base;                   /* MEMMAP_DEVICE: writable mapped space of the device, borrowed */
	uint64_t device_len;
	uint32_t max_vmas;                      /* budget; 0: read vm.max_map_count */
	struct vma_budget *budget;              /* borrowed, shared by the memmaps of a process; NULL: one of its own */
};

struct memmap_stats {
	uint64_t bytes_flat;                    /* if nothing were deduplicated */
	uint64_t bytes_now;                     /* measured: resident in the planes, the backing and the pool */
	uint64_t sections, sections_active;
	uint64_t pages_split;                   /* restored and in use */
	uint64_t pages_idle;                    /* restored, empty, kept for the next split */
	uint64_t vmas_used, vmas_limit;         /* of this process */
	uint64_t dedups, restores, dedup_failures, restore_failures, dedups_put_off;
	uint64_t pool_slots, pool_slots_free;
	bool     backing_is_huge;
};

struct memmap;

int memmap_new(struct memmap **out, const struct memmap_params *params, struct why *why);
void memmap_free(struct memmap *mm);

/* Bytes of device space that MEMMAP_DEVICE needs for @nr_pfns. */
uint64_t memmap_device_bytes(uint64_t nr_pfns, uint8_t order);

/*
 * Idempotent: makes the descriptors of compound pages [page, page + nr) readable. -ENOMEM changes nothing; -EINVAL the range is none of this
 * device (logged once).
 */
int memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr);
bool memmap_is_active(const struct memmap *mm, uint64_t page);

/* The one answer to 'what is at this page'. The page's section is active. */
const struct desc *memmap_desc(const struct memmap *mm, uint64_t pfn);
/* The head, writable: never fails once the section is active. */
struct desc *memmap_head(struct memmap *mm, uint64_t page);
/* A tail of a restored page, writable (for pfn of a head: the head). NULL while its page is deduplicated. */
struct desc *memmap_tail(struct memmap *mm, uint64_t pfn);

/* Give the page's tails memory of their own, byte for byte plain tails. -ENOMEM changes nothing. */
int memmap_restore(struct memmap *mm, uint64_t page);
/*
 * The page's tails are plain again (the caller reset them): they may share the backing. May be put off (a page that
 * was just emptied is likely to be split again; VMA budget), never an error to a client. Pages that are not split, or have a bad base page,
 * stay as they are.
 */
void memmap_dedup(struct memmap *mm, uint64_t page, uint64_t nr);
/*
 * Mark one base page bad: restores the tails if need be (from the reserve when memory is out) and sets DESC_POISON.
 * 1: newly marked, 0: was marked already, -errno nothing changed.
 */
int memmap_poison(struct memmap *mm, uint64_t pfn);

/* Off the path: make the backing, refill pool slots, share emptied pages, bring huge mappings back. True while there is more to do. */
bool memmap_maintain(struct memmap *mm);

/*
 * Look at every descriptor of active pages in [page, page + nr): is it what its page's state says? 0, or -EUCLEAN: *wrong_page is the first that
 * is wrong, @why says what. Some 20 us a section.
 */
int memmap_verify(uint64_t *wrong_page, const struct memmap *mm, uint64_t page, uint64_t nr, struct why *why);

/* Shared tails are mapped by huge pages: to look at them costs no page tables. */
bool memmap_is_huge(const struct memmap *mm);

void memmap_stats(const struct memmap *mm, struct memmap_stats *stats);

#endif
