/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: free space as a set of ranges, pure: no I/O, no clock, no log. Units are whatever the caller counts in (compound
 * pages for an arena, base pages for what one owner has left in split pages).
 *
 * Two red-black trees over the same nodes, by offset (to merge neighbours) and by length (to fit best): claim and
 * release are O(log n). A length of 0 or an end past 2^64 is -EINVAL everywhere.
 */
#ifndef PMEMARENA_EXTENT_H
#define PMEMARENA_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

struct extent { uint64_t off, len; };

struct extent_map;

/*
 * Ranges never merge across multiples of @boundary (0: no boundary). -ENOMEM.
 */
int extent_map_new(struct extent_map **out, uint64_t boundary);
void extent_map_free(struct extent_map *map);

uint64_t extent_total(const struct extent_map *map);            /* sum of lengths */
uint64_t extent_largest(const struct extent_map *map);          /* 0 when empty */
uint64_t extent_count(const struct extent_map *map);

/* Best fit, lowest offset among equals: take @len from one range. -ENOSPC when no single range is long enough. */
int extent_claim(struct extent *out, struct extent_map *map, uint64_t len);
/* Take exactly [off, off + len): -ENOENT (nothing changed) when any of it is not in the map, -ENOMEM. */
int extent_claim_at(struct extent_map *map, uint64_t off, uint64_t len);
/* Take the largest range, or its first @max: for requests that need several. -ENOSPC when empty. */
int extent_claim_largest(struct extent *out, struct extent_map *map, uint64_t max);
/*
 * Put a range back; merges with neighbours. *merged (may be NULL) is the range it is now part of. -EEXIST when it overlaps what is in the
 * map (nothing changed), -EINVAL when a boundary is inside it, -ENOMEM only when the map's reserve of nodes is used up (extent_map_reserve()).
 */
int extent_release(struct extent_map *map, struct extent range, struct extent *merged);
/* Nodes set aside so that the next @nr releases and claims cannot fail for want of memory. -ENOMEM. */
int extent_map_reserve(struct extent_map *map, uint64_t nr);

/* The range that holds or follows @off. false: none. */
bool extent_find(struct extent *out, const struct extent_map *map, uint64_t off);

#endif
