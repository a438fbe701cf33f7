/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: free space as a set of ranges. It does no input or output, reads no clock and logs
 * nothing. The unit is the caller's: compound pages for an arena, base pages for what one user has
 * left in split pages.
 *
 * The ranges are in two red-black trees, by offset (to merge neighbours) and by length (to fit
 * best): claim and release take O(log n). A length of 0 or an end beyond 2^64 is -EINVAL in every
 * call.
 */
#ifndef PMEMARENA_EXTENT_H
#define PMEMARENA_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

struct extent { uint64_t off, len; };

struct extent_map;

/*
 * Makes an empty map. Ranges never merge across multiples of @boundary (0: there is none). -ENOMEM.
 */
int extent_map_new(struct extent_map **out, uint64_t boundary);
void extent_map_free(struct extent_map *map);

uint64_t extent_total(const struct extent_map *map);            /* the sum of all lengths */
/* the length of the largest range; 0 when the map is empty */
uint64_t extent_largest(const struct extent_map *map);
uint64_t extent_count(const struct extent_map *map);

/*
 * Takes @len from the shortest range that is long enough, the lowest of several. -ENOSPC: no range
 * is long enough.
 */
int extent_claim(struct extent *out, struct extent_map *map, uint64_t len);
/*
 * Takes exactly [off, off + len). -ENOENT: not all of it is in the map, and nothing changes;
 * -ENOMEM.
 */
int extent_claim_at(struct extent_map *map, uint64_t off, uint64_t len);
/*
 * Takes the largest range, or its first @max: for a request that must be put together from several.
 * -ENOSPC: the map is empty.
 */
int extent_claim_largest(struct extent *out, struct extent_map *map, uint64_t max);
/*
 * Puts @range back and merges it with its neighbours; *merged (unless NULL) is the range of which
 * it is now a part. -EEXIST: it overlaps what is in the map, and nothing changes; -EINVAL: a
 * boundary is inside it; -ENOMEM: there is no spare node (see extent_map_reserve()).
 */
int extent_release(struct extent_map *map, struct extent range, struct extent *merged);
/*
 * Sets nodes aside, so that the next @nr claims and releases cannot fail for lack of memory.
 * -ENOMEM.
 */
int extent_map_reserve(struct extent_map *map, uint64_t nr);

/* Finds the range that holds @off, or else the first behind it. Returns false if there is none. */
bool extent_find(struct extent *out, const struct extent_map *map, uint64_t off);

#endif
