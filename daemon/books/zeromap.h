/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zeromap: one bit a compound page, 'is known to read as zeroes', kept twice on media and believed
 * only where both copies agree. The bit is set after the fence of the scrub that zeroed the page.
 * It is cleared, and the clearing fenced, before the page is first handed out. So nobody ever reads
 * what another owner wrote, also after a power cut.
 */
#ifndef PMEMARENA_ZEROMAP_H
#define PMEMARENA_ZEROMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/media/media.h"
#include "daemon/media/superblock.h"

struct zeromap;

uint64_t zeromap_bytes(uint64_t nr_pages);      /* of one copy */

/* Formats: writes @zero into all bits of both copies, durably. -ENOMEM, errors of the media. */
int zeromap_init(struct media *media, const struct superblock *sb, bool zero);

/*
 * Reads both copies. @sb and @media are borrowed and outlive the map. Pages whose bit cannot be
 * read are not known to be zero. On success the caller owns *out. -ENOMEM, errors of the media
 * other than -EIO.
 */
int zeromap_open(struct zeromap **out, struct media *media, const struct superblock *sb);
void zeromap_free(struct zeromap *map);

bool zeromap_get(const struct zeromap *map, uint64_t page);
/*
 * Returns how many pages from @page on, at least 1 and at most @max, have the same bit, and writes
 * the bit to *zero.
 */
uint64_t zeromap_run(bool *zero, const struct zeromap *map, uint64_t page, uint64_t max);
uint64_t zeromap_count(const struct zeromap *map);

/*
 * Set or clear the bits of @nr pages: store and flush, no fence. After a clear the caller fences
 * before it hands the pages out; after a set it may fence at any time. Errors of the media.
 */
int zeromap_set(struct zeromap *map, uint64_t page, uint64_t nr);
int zeromap_clear(struct zeromap *map, uint64_t page, uint64_t nr);

/*
 * Compares both copies with memory. With @mend, words that differ are rewritten, and all words are
 * durable afterwards. Returns how many words differed, or -errno.
 */
int64_t zeromap_verify(struct zeromap *map, bool mend);

#endif
