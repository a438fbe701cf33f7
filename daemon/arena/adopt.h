/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * adopt: takes over what a daemon that died left in the ledger, the file in the runtime directory
 * that lists sessions, reservations, freed space that is still in use, and who has what open.
 */
#ifndef PMEMARENA_ADOPT_H
#define PMEMARENA_ADOPT_H

#include "daemon/arena/arena_internal.h"

/*
 * Rebuilds from the ledger the holders (sessions, as the arena sees them), the reserved and the
 * freed allocations, the holds (who has what open) and the deeds (changes whose answer may have
 * been lost). It is called once at a start, after the allocations of the table have their space.
 * Items that contradict the table are removed from the ledger. 0, or -errno: the start fails, and
 * arena_drop() frees what was rebuilt.
 */
int adopt_ledger(struct arena *arena);
/*
 * Marks all extents of @alloc as used by it, or none. -EEXIST: another allocation has a part of
 * them; -ERANGE: they do not exist in this arena. Any other -errno (-ENOMEM) says what this machine
 * lacks just now, and nothing about the allocation: it must not be given up for that.
 */
int adopt_mark(struct arena *arena, const struct alloc *alloc);
/* Does the result @r of adopt_mark() prove that the allocation is wrong (-EEXIST, -ERANGE)? */
bool adopt_is_verdict(int r);

#endif
