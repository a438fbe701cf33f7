/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * object: the arena's array of allocations. A slot of it is one half of a handle, by which clients
 * name an allocation; the id is the other. The validity plane, a file that clients map, has the id
 * of the allocation in each slot, so that a client sees without a message that one is gone.
 */
#ifndef PMEMARENA_OBJECT_H
#define PMEMARENA_OBJECT_H

#include "daemon/arena/arena_internal.h"

/*
 * Takes a free slot; object_set() uses it. -ENFILE: all slots are taken; -ENOSPC: the plane cannot
 * grow, the runtime directory is full; -ENOMEM.
 */
int object_take(struct arena *arena, uint32_t *slot, struct why *why);
/* Would object_take() find @nr slots? */
bool object_is_room(const struct arena *arena, uint32_t nr);
/* Puts @alloc into @slot and its id into the plane (0 when it is FREEING); sets alloc->slot. */
void object_set(struct arena *arena, uint32_t slot, struct alloc *alloc);
/* No handle and no name leads to @alloc any more; its slot stays taken until object_drop(). */
void object_hide(struct arena *arena, struct alloc *alloc);
/* As object_hide(), for an allocation whose name was taken out of arena.names before. */
void object_withdraw(struct arena *arena, struct alloc *alloc);
/* Gives the slot of @alloc back and frees @alloc, whose space the caller has released. */
void object_drop(struct arena *arena, struct alloc *alloc);
/* At the end of recovery: lists the slots that nobody took. -ENOMEM. */
int object_collect_free(struct arena *arena);

#endif
