/* SPDX-License-Identifier: BSD-3-Clause */
/* holding: a red-black tree, sorted by arena and id. */
#include <config.h>

#include "lib/session/holding.h"

#include <stdlib.h>

static int compare(const struct holding *a, const struct holding *b)
{
	if (a->handle.arena != b->handle.arena)
		return a->handle.arena < b->handle.arena ? -1 : 1;
	return a->handle.id < b->handle.id ? -1 : a->handle.id > b->handle.id;
}

/*
 * RB_GENERATE_STATIC() uses a macro __unused, which only the libbsd overlay defines; this spelling
 * works without the overlay.
 */
RB_GENERATE_INTERNAL(holdings, holding, node, compare, __attribute__((unused)) static)

struct holding *holding_recall(struct holdings *holdings, struct pma_handle handle)
{
	struct holding key = { .handle = handle };

	return RB_FIND(holdings, holdings, &key);
}

struct holding *holding_find(struct holdings *holdings, struct pma_handle handle)
{
	struct holding *holding = holding_recall(holdings, handle);

	return holding && holding->is_open ? holding : NULL;
}

struct holding *holding_add(struct holdings *holdings, struct holding *spare,
			    struct pma_handle handle, bool read_only, bool reserved)
{
	struct holding *there;

	*spare = (struct holding){ .handle = handle,
				   .is_open = true,
				   .is_read_only = read_only,
				   .is_reserved = reserved };
	there = RB_INSERT(holdings, holdings, spare);
	if (!there)
		return spare;
	there->is_read_only = read_only && (there->is_read_only || !there->is_open);
	there->is_reserved = there->is_open ? there->is_reserved : reserved;
	there->is_open = true;
	there->is_lost = false;
	free(spare);
	return there;
}

void holding_settle(struct holdings *holdings, struct holding *holding)
{
	if (holding->is_open || holding->nr_maps > 0 || holding->nr_closing > 0 ||
	    holding->is_leased || holding->is_lent)
		return;
	RB_REMOVE(holdings, holdings, holding);
	free(holding);
}

void holding_close(struct holdings *holdings, struct pma_handle handle, bool is_gone)
{
	struct holding *holding = holding_recall(holdings, handle);

	if (!holding)
		return;
	holding->is_open = holding->is_lost = false;
	/*
	 * Ids are never used twice, so nobody will report about this allocation again, and what was
	 * lent needs no memory any more. An exception is a part of a lease: when the lease's
	 * mapping goes, the cache reports about its parts, and needs to know then which were lent.
	 */
	if (is_gone && !holding->is_leased)
		holding->is_lent = false;
	holding_settle(holdings, holding);
}

void holding_return(struct holdings *holdings, struct pma_handle handle)
{
	struct holding *holding = holding_recall(holdings, handle);

	if (holding)
		holding->is_lent = false;
}

void holding_remove_all(struct holdings *holdings)
{
	struct holding *holding;

	while ((holding = RB_ROOT(holdings))) {
		RB_REMOVE(holdings, holdings, holding);
		free(holding);
	}
}

struct holding *holding_first(struct holdings *holdings)
{
	return RB_MIN(holdings, holdings);
}

struct holding *holding_next(struct holding *holding)
{
	return RB_NEXT(holdings, NULL, holding);
}

bool holding_is_unmapped(const struct holding *holding)
{
	return holding->is_open && holding->nr_maps == 0 && !holding->is_lent &&
	       !holding->is_leased;
}
