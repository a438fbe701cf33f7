/* SPDX-License-Identifier: BSD-3-Clause */
/* reserve: free space becomes an allocation. */
#ifndef PMEMARENA_RESERVE_H
#define PMEMARENA_RESERVE_H

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"

/*
 * Gives @alloc, which has its space already, all else: an id, a slot, its name, and either a place
 * in the ledger or, with ask->publish, a staged record. With @as the caller's holder gets a hold
 * with the flags of @as. On failure all of this is undone, and the caller keeps @alloc and its
 * space. -ENFILE, -ENOSPC, -EDQUOT, -ENOMEM, -EIO.
 */
int reserve_build(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  const struct arena_ask *ask, const struct hold *as, struct why *why);
/*
 * Undoes arena_reserve() of @alloc, of which nothing is durable yet, and frees it. The slots of its
 * record are the caller's to unstage.
 */
void reserve_undo(struct arena *arena, struct alloc *alloc);

#endif
