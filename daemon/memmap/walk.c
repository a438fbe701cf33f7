/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk: the one way over a range of compound pages, a unit at a time. Activation, sharing,
 * verification, and undoing each of them are a callback and this walk, which knows how far it got.
 * It does not know what is done with a piece.
 */
#include <config.h>

#include "daemon/memmap/memmap_internal.h"

int walk_pieces(struct walk *walk, const struct memmap *mm, piece_fn *fn, void *arg)
{
	while (walk->done < walk->nr) {
		uint64_t page = walk->page + walk->done, left = walk->nr - walk->done;
		uint64_t in_unit = pages_per_unit(mm) - (page & (pages_per_unit(mm) - 1));
		uint64_t nr = left < in_unit ? left : in_unit;
		int r = fn(arg, page, nr);

		if (r < 0)
			return r;
		walk->done += nr;
	}
	return 0;
}
