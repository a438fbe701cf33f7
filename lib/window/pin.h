/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pin: what a program is given of a pinned allocation.
 */
#ifndef PMEMARENA_PIN_H
#define PMEMARENA_PIN_H

#include <pmemarena.h>

#include "lib/window/window.h"

/*
 * Writes into @pin where the allocation lies: @nr extents. -EPROTO: one of them is not in the
 * window; -ENOMEM. On failure *pin is as it was.
 */
int pin_set_extents(struct pma_pin *pin, const struct pma_window *window,
		    const struct pma_extent *extents, uint32_t nr);
/* Frees what @pin owns. The pin word is not given back: words_give() does that. */
void pin_fini(struct pma_pin *pin);

#endif
