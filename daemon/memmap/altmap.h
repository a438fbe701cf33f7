/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * altmap: metadata space carved from the device itself, in base pages, front to back, nothing ever given back. Keeps what the kernel's
 * vmem_altmap keeps: base, reserve, free, align, alloc; the next free page is base + reserve + alloc + align.
 */
#ifndef PMEMARENA_ALTMAP_H
#define PMEMARENA_ALTMAP_H

#include <stdbool.h>
#include <stdint.h>

struct altmap {
	uint64_t base;                  /* first pfn of the device's metadata space */
	uint64_t reserve;               /* pages at its start that are not to be carved */
	uint64_t free;                  /* pages behind those, set at the start */
	uint64_t align;                 /* pages lost to alignment */
	uint64_t alloc;                 /* pages carved */
	bool     warned;                /* a refusal was logged; the next ones are silent */
};

/* altmap_claim() would succeed. */
bool altmap_fits(const struct altmap *map, uint64_t bytes);
/*
 * Carve @bytes, aligned to the largest power of two that divides them. -EINVAL no multiple of a base page, -ENOSPC it does not fit; each logs
 * one warning a map. *off is in bytes.
 */
int altmap_claim(uint64_t *off, struct altmap *map, uint64_t bytes);
/* Skip to a multiple of @bytes (a power of two): what follows shares no poison unit with what came before. -ENOSPC. */
int altmap_skip(struct altmap *map, uint64_t bytes);
uint64_t altmap_next(const struct altmap *map);         /* pfn */
uint64_t altmap_left(const struct altmap *map);         /* pages */

#endif
