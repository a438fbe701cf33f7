/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * altmap: computes where the next piece of metadata lies. It maps nothing and does not know what a
 * piece is for.
 */
#include <config.h>

#include <errno.h>

#include "daemon/log.h"
#include "daemon/memmap/altmap.h"
#include "daemon/memmap/memmap.h"

uint64_t altmap_next(const struct altmap *map)
{
	return map->base + map->reserve + map->alloc + map->align;
}

uint64_t altmap_left(const struct altmap *map)
{
	return map->free - map->alloc - map->align;
}

static int refuse(struct altmap *map, int err, uint64_t bytes)
{
	if (!map->warned)
		log_warning("altmap: %llu bytes refused: %s; %llu pages are left",
			    (unsigned long long)bytes,
			    err == -EINVAL ? "no multiple of 4 KiB" : "they do not fit",
			    (unsigned long long)altmap_left(map));
	map->warned = true;
	return err;
}

/* Returns how many pages are lost so that the next one is a multiple of @unit, a power of two. */
static uint64_t gap_to(const struct altmap *map, uint64_t unit)
{
	return -altmap_next(map) & (unit - 1);
}

static bool is_whole(uint64_t bytes)
{
	return bytes > 0 && (bytes & ((UINT64_C(1) << DESC_SHIFT) - 1)) == 0;
}

bool altmap_fits(const struct altmap *map, uint64_t bytes)
{
	uint64_t nr = bytes >> DESC_SHIFT, gap = gap_to(map, nr & -nr);

	return is_whole(bytes) && gap <= altmap_left(map) && nr <= altmap_left(map) - gap;
}

int altmap_claim(uint64_t *off, struct altmap *map, uint64_t bytes)
{
	uint64_t nr = bytes >> DESC_SHIFT;

	if (!altmap_fits(map, bytes))
		return refuse(map, is_whole(bytes) ? -ENOSPC : -EINVAL, bytes);
	map->align += gap_to(map, nr & -nr);
	*off = altmap_next(map) << DESC_SHIFT;
	map->alloc += nr;
	return 0;
}

int altmap_skip(struct altmap *map, uint64_t bytes)
{
	uint64_t gap = gap_to(map, bytes >> DESC_SHIFT);

	if (gap > altmap_left(map))
		return refuse(map, -ENOSPC, bytes);
	map->align += gap;
	return 0;
}
