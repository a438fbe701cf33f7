/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout: computes which parts of a device must be mapped for an allocation's extents. The extents
 * come from the daemon, and are refused if they lie outside of what clients can have: else this
 * process would map something else.
 */
#include <config.h>

#include "lib/memory/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/error.h"

#define BASE_PAGE UINT64_C(4096)
#define HUGE_PAGE (UINT64_C(2) << 20)

static bool is_inside(const struct pma_extent *extent, const struct wire_arena *arena)
{
	return extent->len > 0 && extent->off % BASE_PAGE == 0 && extent->len % BASE_PAGE == 0 &&
	       extent->off >= arena->data_off && extent->off <= arena->device_size &&
	       extent->len <= arena->device_size - extent->off;
}

/* The aligned range that covers @extent; none, if the device has no whole unit there. */
static int cover(struct pma_extent *piece, const struct pma_extent *extent,
		 const struct wire_arena *arena)
{
	uint64_t begin = extent->off & ~(arena->align - 1), end = extent->off + extent->len;

	if (__builtin_add_overflow(end, arena->align - 1, &end))
		return -EPROTO;
	end &= ~(arena->align - 1);
	if (end > arena->device_size || begin < arena->data_off)
		return -EPROTO;
	*piece = (struct pma_extent){ begin, end - begin };
	return 0;
}

static void append(struct layout *layout, struct pma_extent piece)
{
	struct pma_extent *last = layout->nr ? &layout->pieces[layout->nr - 1] : NULL;

	layout->size += piece.len;
	if (last && last->off + last->len == piece.off)
		last->len += piece.len;
	else
		layout->pieces[layout->nr++] = piece;
}

static int add_extent(struct layout *layout, const struct pma_extent *extent, bool is_only,
		      const struct wire_arena *arena, struct why *why)
{
	struct pma_extent piece;

	if (!is_inside(extent, arena) || cover(&piece, extent, arena) < 0)
		return why_set(why, -EPROTO,
			       "extent %#" PRIx64 "+%#" PRIx64 " does not lie on the device",
			       extent->off, extent->len);
	/* Between two extents there is no room for bytes that are not the allocation's. */
	if (!is_only && (piece.off != extent->off || piece.len != extent->len))
		return why_set(why, -EPROTO,
			       "extent %#" PRIx64 "+%#" PRIx64
			       " is no multiple of the device's alignment %#" PRIx64,
			       extent->off, extent->len, arena->align);
	if (piece.len > INT64_MAX - layout->size)
		return why_set(why, -EPROTO, "more bytes than an address space has");
	layout->skip = extent->off - piece.off;
	layout->len += extent->len;
	append(layout, piece);
	return 0;
}

int layout_init(struct layout *layout, const struct pma_extent *extents, size_t nr,
		const struct wire_arena *arena, struct why *why)
{
	int r;

	if (arena->align == 0)
		return why_set(why, -EIO, "arena %s is offline", arena->name);
	*layout = (struct layout){ .pieces = malloc(nr * sizeof(*extents)),
				   .address_align = arena->align };
	if (!layout->pieces)
		return why_set(why, -ENOMEM, "%s", error_text(-ENOMEM));
	for (size_t i = 0; i < nr; i++) {
		r = add_extent(layout, &extents[i], nr == 1, arena, why);
		if (r < 0) {
			layout_fini(layout);
			return r;
		}
	}
	/*
	 * An allocation of that size is aligned to it in memory, so that the kernel can use huge
	 * mappings.
	 */
	if (layout->size >= HUGE_PAGE && layout->address_align < HUGE_PAGE)
		layout->address_align = HUGE_PAGE;
	return 0;
}

void layout_fini(struct layout *layout)
{
	free(layout->pieces);
	layout->pieces = NULL;
}
