/* SPDX-License-Identifier: BSD-3-Clause */
/* listing: answers that are longer than one message. */
#ifndef PMEMARENA_LISTING_H
#define PMEMARENA_LISTING_H

#include <pmemarena.h>

/*
 * Fetches all extents of an allocation as of one moment. *out has *nr entries and belongs to the
 * caller, who frees it with free(). *version, unless @version is NULL, is that of the allocation at
 * that moment. The errors of a call, with a message. Takes the lock.
 */
int listing_extents(struct pma_extent **out, size_t *nr, uint64_t *version, struct pma *pma,
		    struct pma_handle handle);

#endif
