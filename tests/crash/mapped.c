/* SPDX-License-Identifier: BSD-3-Clause */
/* A short array: few things are open at a time. */
#include <config.h>

#include "tests/crash/mapped.h"

#include <err.h>
#include <stdlib.h>

#include "daemon/arena/arena_find.h"

static void add(struct mapped *mapped, uint64_t id, struct extent bytes)
{
	if (mapped->nr == mapped->room) {
		mapped->room = mapped->room ? mapped->room * 2 : 16;
		mapped->ranges =
			reallocarray(mapped->ranges, mapped->room, sizeof(*mapped->ranges));
		if (!mapped->ranges)
			errx(2, "out of memory");
	}
	mapped->ranges[mapped->nr++] = (struct mapped_range){ id, bytes };
}

void mapped_add(struct mapped *mapped, const struct arena *arena, const struct alloc *alloc,
		uint64_t from)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent e = arena_extent(arena, alloc, i);
		uint64_t skip = from > at ? from - at : 0;

		at += e.len;
		if (skip < e.len)
			add(mapped, alloc->id, (struct extent){ e.off + skip, e.len - skip });
	}
}

void mapped_drop(struct mapped *mapped, uint64_t id)
{
	size_t stay = 0;

	for (size_t i = 0; i < mapped->nr; i++)
		if (mapped->ranges[i].id != id)
			mapped->ranges[stay++] = mapped->ranges[i];
	mapped->nr = stay;
}

uint64_t mapped_find(const struct mapped *mapped, struct extent bytes)
{
	for (size_t i = 0; i < mapped->nr; i++) {
		struct extent e = mapped->ranges[i].bytes;

		if (e.off < bytes.off + bytes.len && bytes.off < e.off + e.len)
			return mapped->ranges[i].id;
	}
	return 0;
}

void mapped_fini(struct mapped *mapped)
{
	free(mapped->ranges);
	*mapped = (struct mapped){ 0 };
}
