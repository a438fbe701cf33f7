/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: answers that are longer than one message.
 */
#ifndef PMEMARENA_LISTING_H
#define PMEMARENA_LISTING_H

#include <pmemarena.h>

/* All extents of an allocation, as of one moment. The caller owns *out. Errors of a call, with a message. Takes the lock. */
int listing_extents(struct pma_extent **out, size_t *nr, struct pma *pma, struct pma_handle handle);

#endif
