/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holding: what this session has open or reserved, as far as the library must know: to refuse freeing what is mapped, to tell
 * the daemon when nothing is mapped any more, and to open it again in a new session. No locks: the caller has the link's.
 */
#ifndef PMEMARENA_HOLDING_H
#define PMEMARENA_HOLDING_H

#include <bsd/sys/tree.h>
#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

struct holding {
	RB_ENTRY(holding) node;         /* holdings */
	struct pma_handle handle;
	uint32_t nr_maps;               /* of this handle, in this process */
	uint32_t nr_closing;            /* requests under way that end it: no new map */
	bool is_read_only;
	bool is_reserved;               /* not published yet */
	bool is_lent;                   /* somebody outside of the library may have it mapped: a child, or who asked for its extents */
	bool is_leased;                 /* the mapping of the lease that it was part of shows it too */
	bool is_lost;                   /* in a new session, not opened again yet */
};
RB_HEAD(holdings, holding);

/* NULL: not open in this session. */
struct holding *holding_find(struct holdings *holdings, struct pma_handle handle);
/* Put @spare (owned from here on) for a handle that was opened or reserved; one that is there already gets the stronger of both rights. Returns what is there. */
struct holding *holding_add(struct holdings *holdings, struct holding *spare, struct pma_handle handle, bool read_only, bool reserved);
void holding_remove(struct holdings *holdings, struct pma_handle handle);       /* fine when there is none */
void holding_remove_all(struct holdings *holdings);

struct holding *holding_first(struct holdings *holdings);
struct holding *holding_next(struct holding *holding);

/* Nothing of it is mapped through this session, and nobody else can have it from us. */
bool holding_is_unmapped(const struct holding *holding);

#endif
