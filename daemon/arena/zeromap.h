/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zeromap: one bit a compound page, 'known to read as zeroes', kept twice on media and believed only where both copies agree. A
 * bit is set after the fence of the scrub that made it true; it is cleared, and the clearing fenced, before the page is first
 * handed out. So contents never travel between owners, also across a power cut.
 */
#ifndef PMEMARENA_ZEROMAP_H
#define PMEMARENA_ZEROMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/media/media.h"
#include "daemon/media/superblock.h"

struct zeromap;

uint64_t zeromap_bytes(uint64_t nr_pages);      /* of one copy */

/* Format: all bits of both copies become @zero, fenced. */
int zeromap_init(struct media *media, const struct superblock *sb, bool zero);

/* Read both copies. @sb and @media are borrowed. A part that cannot be read is not known to be zero. */
int zeromap_open(struct zeromap **out, struct media *media, const struct superblock *sb);
void zeromap_free(struct zeromap *map);

bool zeromap_get(const struct zeromap *map, uint64_t page);
/* How many of the @max pages from @page on are alike, and how: *zero. At least 1. */
uint64_t zeromap_run(bool *zero, const struct zeromap *map, uint64_t page, uint64_t max);
uint64_t zeromap_count(const struct zeromap *map);

/* Stores and flushes; the fence is the caller's: at once after a clear that a hand-out waits for, whenever after a set. */
int zeromap_set(struct zeromap *map, uint64_t page, uint64_t nr);
int zeromap_clear(struct zeromap *map, uint64_t page, uint64_t nr);

/* Compare media with memory; if @mend, words that differ are rewritten, and all are durable. Returns how many differed, or -errno. */
int64_t zeromap_verify(struct zeromap *map, bool mend);

#endif
