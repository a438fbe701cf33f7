/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pin: turns extents on the device into pieces in memory. A pin of one extent needs no memory of
 * its own, so that the usual get allocates nothing.
 */
#include <config.h>

#include "lib/window/pin.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Makes the array of pieces for an allocation of several extents. -EPROTO: an extent is outside of
 * the window.
 */
static int set_pieces(struct pma_pin *pin, const struct pma_window *window,
		      const struct pma_extent *extents, uint32_t nr)
{
	struct pma_range *pieces = malloc(nr * sizeof(*pieces));
	uint64_t total = 0;

	if (!pieces)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++) {
		pieces[i].address = area_at(&window->area, extents[i].off, extents[i].len);
		pieces[i].len = extents[i].len;
		total += extents[i].len;
		if (!pieces[i].address) {
			free(pieces);
			return -EPROTO;
		}
	}
	pin->address = pieces[0].address;
	pin->len = pieces[0].len;
	pin->total = total;
	pin->nr_pieces = nr;
	pin->pieces = pieces;
	return 0;
}

int pin_set_extents(struct pma_pin *pin, const struct pma_window *window,
		    const struct pma_extent *extents, uint32_t nr)
{
	void *address;

	if (nr > 1)
		return set_pieces(pin, window, extents, nr);
	address = nr == 1 ? area_at(&window->area, extents[0].off, extents[0].len) : NULL;
	if (!address)
		return -EPROTO;
	pin->address = address;
	pin->len = pin->total = extents[0].len;
	pin->nr_pieces = 1;
	pin->pieces = NULL;
	return 0;
}

void pin_fini(struct pma_pin *pin)
{
	free(pin->pieces);
	pin->pieces = NULL;
}

int pma_pin_pieces(struct pma_range *out, size_t *nr, const struct pma_pin *pin, size_t first)
{
	size_t n = 0;

	for (size_t i = first; n < *nr && i < pin->nr_pieces; i++)
		out[n++] = pin->pieces ? pin->pieces[i] : (struct pma_range){ pin->address, pin->len };
	*nr = n;
	return 0;
}
