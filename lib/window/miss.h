/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * miss: what the catalog does not show, the daemon is asked for, many keys in one message.
 */
#ifndef PMEMARENA_MISS_H
#define PMEMARENA_MISS_H

#include "lib/window/window.h"

/*
 * The values of pma_pin.result while a get is under way: neither success (0) nor an error
 * (negative).
 */
#define PIN_MISSED  1   /* to be asked for */
#define PIN_PARTIAL 2   /* pinned, and not all of its pieces are known */

/*
 * Asks for all keys whose pin has the result PIN_MISSED, and gives each another result. @flags:
 * enum pma_get_flags. 0, or the error of the connection, which is then the result of those that
 * have no other.
 */
int miss_run(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys, size_t nr,
	     unsigned flags);

#endif
