/* SPDX-License-Identifier: BSD-3-Clause */
/* miss: asks the daemon for what the catalog does not show, many keys in one message. */
#ifndef PMEMARENA_MISS_H
#define PMEMARENA_MISS_H

#include "lib/window/window.h"

/*
 * The values of pma_pin.result while a get is under way: neither success (0) nor an error
 * (negative).
 */
#define PIN_MISSED  1   /* the daemon is to be asked */
#define PIN_PARTIAL 2   /* the daemon pinned it, and some of its pieces are not known yet */

/*
 * Asks the daemon for all keys whose pin has the result PIN_MISSED, and gives each of these pins
 * another result. @flags: enum pma_get_flags. Returns 0, or the error of the connection, which then
 * is also the result of each pin that got no answer.
 */
int miss_run(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys, size_t nr,
	     unsigned flags);

#endif
