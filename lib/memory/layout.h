/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout: which ranges of a device to map, and where, so that an allocation's bytes lie one after
 * the other. Pure.
 *
 *	device    ......|=====A=====|............|=====B=====|......    extents, compound pages
 *	memory            |=====A=====|=====B=====|                     pieces, one after the other; skip 0
 *
 *	device    ......|....aaa....|......                             one run of base pages inside a compound page
 *	memory            |....aaa....|                                 the aligned unit that covers it; skip 4
 *
 * The kernel does not check a device-dax mapping's offset: it rounds it down and shows what is
 * there. So nothing is mapped that was not checked here.
 */
#ifndef PMEMARENA_LAYOUT_H
#define PMEMARENA_LAYOUT_H

#include <pmemarena.h>

#include "lib/wire/why.h"
#include "lib/wire/wire.h"

struct layout {
	/* owned; neighbours on the device are one piece; all aligned */
	struct pma_extent *pieces;
	size_t   nr;
	uint64_t size;                  /* of all pieces */
	uint64_t skip;                  /* the allocation's first byte in the first piece */
	uint64_t len;                   /* of the allocation */
	uint64_t address_align;         /* what the memory must be aligned to */
};

/*
 * Computes the layout. -EPROTO: the extents cannot be true for that device; -EIO: the device is not
 * there; -ENOMEM.
 */
int layout_init(struct layout *layout, const struct pma_extent *extents, size_t nr,
		const struct wire_arena *arena, struct why *why);
void layout_fini(struct layout *layout);

#endif
