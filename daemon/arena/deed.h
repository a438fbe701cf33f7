/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deed: a deed is one change that a session asked for and whose answer may be lost when the daemon
 * is killed or the connection breaks. It is written into the ledger until the session has its
 * answer, so that the session can ask "was it done?" and the change is not done twice.
 */
#ifndef PMEMARENA_DEED_H
#define PMEMARENA_DEED_H

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"

/*
 * Writes the deed with the number caller->deed into the ledger: the caller is about to change
 * @alloc, and @proof is what the next start will look at to find out whether it was done. Must come
 * before anything of the change is stored; a deed written later could be missing for a change that
 * was done. Does nothing when caller->deed is 0, or when a reservation only gets new attributes (to
 * set them once more changes nothing). -ENOSPC (the ledger cannot grow), -ENOMEM: nothing was
 * written, and the change must not be made.
 */
int deed_begin(struct arena *arena, const struct caller *caller, const struct alloc *alloc,
	       enum ledger_proof proof);
/* Returns @r, the result of the change. When @r < 0 it first removes the deed from the ledger. */
int deed_end(struct arena *arena, const struct caller *caller, int r);
/*
 * At a start: gives the deed in the ledger's @item back to its session if its proof shows that it
 * was done; else removes it from the ledger. Call it when all sessions and allocations are rebuilt.
 * -ENOMEM.
 */
int deed_adopt(struct arena *arena, const struct ledger_item *item);
/* Removes all deeds of @holder from the ledger: its session is over and will not ask again. */
void deed_drop_all(struct holder *holder);

#endif
