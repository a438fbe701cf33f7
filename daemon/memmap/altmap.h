/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * altmap: space for metadata carved from the device itself, in base pages, from the front to the
 * back; nothing is ever given back. The fields are those of the kernel's vmem_altmap; the next free
 * page is base + reserve + alloc + align.
 */
#ifndef PMEMARENA_ALTMAP_H
#define PMEMARENA_ALTMAP_H

#include <stdbool.h>
#include <stdint.h>

struct altmap {
	uint64_t base;                  /* the first base page of the device's space for metadata */
	uint64_t reserve;               /* pages at its start that are not carved */
	uint64_t free;                  /* pages behind those, set at the start */
	uint64_t align;                 /* pages that were lost to alignment */
	uint64_t alloc;                 /* pages that were carved */
	bool     warned;                /* a refusal was logged; the next ones are silent */
};

/* Would altmap_claim() succeed? */
bool altmap_fits(const struct altmap *map, uint64_t bytes);
/*
 * Carves @bytes, aligned to the largest power of two that divides them; *off is in bytes. -EINVAL:
 * no multiple of a base page; -ENOSPC: it does not fit. The first refusal of a map is logged.
 */
int altmap_claim(uint64_t *off, struct altmap *map, uint64_t bytes);
/*
 * Skips to a multiple of @bytes, a power of two, so that what follows shares no poison unit with
 * what came before: one memory failure must not take two copies. -ENOSPC.
 */
int altmap_skip(struct altmap *map, uint64_t bytes);
/* Returns the base page where the next piece could begin. */
uint64_t altmap_next(const struct altmap *map);
uint64_t altmap_left(const struct altmap *map);         /* Returns how many base pages are left. */

#endif
