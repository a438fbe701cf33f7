/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holding: a tree by arena and id.
 */
#include <config.h>

#include "lib/holding.h"

#include <stdlib.h>

static int compare(const struct holding *a, const struct holding *b)
{
	if (a->handle.arena != b->handle.arena)
		return a->handle.arena < b->handle.arena ? -1 : 1;
	return a->handle.id < b->handle.id ? -1 : a->handle.id > b->handle.id;
}

/* RB_GENERATE_STATIC() needs an __unused that <bsd/sys/cdefs.h> leaves to the libbsd overlay. */
RB_GENERATE_INTERNAL(holdings, holding, node, compare, __attribute__((unused)) static)

struct holding *holding_find(struct holdings *holdings, struct pma_handle handle)
{
	struct holding key = { .handle = handle };

	return RB_FIND(holdings, holdings, &key);
}

struct holding *holding_add(struct holdings *holdings, struct holding *spare, struct pma_handle handle, bool read_only, bool reserved)
{
	struct holding *there;

	*spare = (struct holding){ .handle = handle, .is_read_only = read_only, .is_reserved = reserved };
	there = RB_INSERT(holdings, holdings, spare);
	if (!there)
		return spare;
	there->is_read_only = there->is_read_only && read_only;
	there->is_lost = false;
	free(spare);
	return there;
}

void holding_remove(struct holdings *holdings, struct pma_handle handle)
{
	struct holding *holding = holding_find(holdings, handle);

	if (!holding)
		return;
	RB_REMOVE(holdings, holdings, holding);
	free(holding);
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
	return holding->nr_maps == 0 && !holding->is_lent && !holding->is_leased;
}
