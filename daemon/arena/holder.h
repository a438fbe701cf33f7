/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder: a holder is a session as the arena sees it; a hold is one allocation that the session has
 * open, or closed and may still have mapped. Both are also written into the ledger, so that the
 * next daemon knows them.
 */
#ifndef PMEMARENA_HOLDER_H
#define PMEMARENA_HOLDER_H

#include "daemon/arena/arena_internal.h"

/*
 * Makes the holder of @session. @entry is its item in the ledger; 0: one is added. -ENOMEM, -ENOSPC
 * (the ledger cannot grow).
 */
int holder_new(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid,
	       uint32_t entry);
struct holder *holder_find(const struct arena *arena, uint64_t session);
/* At the end of the arena: frees all holders and holds; the ledger keeps them. */
void holder_free_all(struct arena *arena);
/*
 * Can anybody have something mapped through a descriptor that the session got? holder_look() asks
 * the kernel. holder_is_marked() asks it at most once in a round (arena.rounds) and remembers the
 * answer; when so many holders were asked for that the round's budget is used up, it says yes, and
 * a later round asks. Each question costs time in proportion to the marks on the device.
 */
bool holder_look(struct holder *holder);
/* As holder_look(), without the mark of the holder's window. */
bool holder_has_own_mark(const struct holder *holder);
bool holder_is_marked(struct holder *holder);
/* The byte that the writable descriptors of @holder have locked. */
uint64_t holder_mark_byte(const struct holder *holder);
/* Frees @holder, which has no holds left, and removes it from the ledger. */
void holder_free(struct holder *holder);

/* Returns the hold that @holder has on @alloc; NULL: none. */
struct hold *hold_find(const struct holder *holder, const struct alloc *alloc);
/*
 * Adds a hold with the flags of @as (read_only, closed, lent), in memory and in the ledger.
 * -ENOMEM, -ENOSPC.
 */
int hold_add(struct arena *arena, struct holder *holder, struct alloc *alloc,
	     const struct hold *as);
/*
 * As hold_add(), for a hold whose item as->entry is in the ledger already. If @alloc is FREEING,
 * the user of @holder is charged for it.
 */
int hold_new(struct holder *holder, struct alloc *alloc, const struct hold *as);
/* The session says that it is done with the allocation, and may still have it mapped. */
void hold_close(struct arena *arena, struct hold *hold);
/* Notes, in the ledger first, that others may have the allocation mapped. */
void hold_lend(struct arena *arena, struct hold *hold);
/*
 * Undoes hold_lend(): the program of the session said that nobody to whom it lent the allocation
 * uses it any more.
 */
void hold_take_back(struct arena *arena, struct hold *hold);
/* Frees @hold and removes it from the ledger; its charge is passed on or returned. */
void hold_drop(struct arena *arena, struct hold *hold);

#endif
