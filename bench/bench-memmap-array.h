/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap-array: an array of 64 bytes a base page in one of four layouts, behind one face:
 * ours, and three that are built here and nowhere else.
 *
 *	none       one private mapping, each descriptor written: what there is without deduplication
 *	literal    what the kernel does with page tables, done with mappings: the head's 4 KiB are
 *	           private, each of the 7 (4095) others is a map of one shared page
 *	run        the head's 4 KiB are private, the rest is one map of one shared run
 *	two-plane  daemon/memmap
 */
#ifndef PMEMARENA_BENCH_MEMMAP_ARRAY_H
#define PMEMARENA_BENCH_MEMMAP_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/memmap/memmap.h"

struct array;

struct layout {
	const char *name;
	bool can_split;                         /* restore and dedup mean something */
	int (*open)(struct array *array);
	int (*populate)(struct array *array, uint64_t page);
	int (*restore)(struct array *array, uint64_t page);
	int (*dedup)(struct array *array, uint64_t page, uint64_t nr);
	void (*close)(struct array *array);
};

struct array {
	const struct layout *layout;
	uint64_t nr_pages;                      /* compound pages */
	unsigned order;
	uint64_t populated;                     /* pages, from the first on */
	char    *base;                          /* owned; the literal layouts */
	uint64_t len;
	int      fd;                            /* owned; what is shared there; -1 */
	struct memmap *mm;                      /* owned; two-plane */
};

enum { NR_LAYOUTS = 4 };
extern const struct layout layouts[NR_LAYOUTS];

int array_open(struct array *array, const struct layout *layout, uint64_t region, unsigned order);
/* all of it; -errno: array->populated says how far it came */
int array_populate(struct array *array);
/* what is done off the path, until there is nothing left to do */
void array_idle(struct array *array);
void array_close(struct array *array);

static inline uint64_t array_page_len(const struct array *array)
{
	return sizeof(struct desc) << array->order;
}

static inline const struct desc *array_desc(const struct array *array, uint64_t pfn)
{
	return array->mm ? memmap_desc(array->mm, pfn)
			 : (const struct desc *)(const void *)array->base + pfn;
}

/* A descriptor of a restored page, to write to. */
static inline struct desc *array_tail(const struct array *array, uint64_t pfn)
{
	return array->mm ? memmap_tail(array->mm, pfn) : (struct desc *)(void *)array->base + pfn;
}

#endif
