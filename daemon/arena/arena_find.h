/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_find: finding allocations. Each function returns NULL if there is none.
 */
#ifndef PMEMARENA_ARENA_FIND_H
#define PMEMARENA_ARENA_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"
#include "daemon/arena/arena_holder.h"
#include "lib/wire/why.h"

/*
 * Is what memory says of @alloc, NULL: that it is not there, what the next start will find? false:
 * the arena is offline, and the settle that failed had a change of it, or may have had.
 */
bool arena_knows(const struct arena *arena, const struct alloc *alloc);
/* As arena_knows(): 0, or -EIO with a sentence. NULL: also of a list, which denies all it lacks. */
int arena_check_known(const struct arena *arena, const struct alloc *alloc, struct why *why);
/* Finds a reserved or published one. */
struct alloc *arena_find(const struct arena *arena, uint32_t slot, uint64_t id);
/* Finds an allocation that the session of @holder has open, even if somebody has freed it since. */
struct alloc *arena_find_held(const struct arena *arena, const struct holder *holder, uint32_t slot,
			      uint64_t id);
struct alloc *arena_find_name(const struct arena *arena, const char *name, uint8_t name_len);
/*
 * Finds the allocation at byte @offset of the device: the descriptor of the base page there names
 * it.
 */
struct alloc *arena_find_offset(const struct arena *arena, uint64_t offset);
/*
 * Both find published allocations only: the first in a slot >= @slot (a listing goes on at the last
 * slot + 1), or the first with a name >= @name, or, with @after, a name > @name.
 */
struct alloc *arena_next_slot(const struct arena *arena, uint32_t slot);
struct alloc *arena_next_name(const struct arena *arena, const char *name, uint8_t name_len,
			      bool after);

/* Returns extent @i of @alloc in bytes of the device. */
struct extent arena_extent(const struct arena *arena, const struct alloc *alloc, uint32_t i);
/* Returns the first allocation in a slot >= @slot, in whatever state; NULL: there is none. */
struct alloc *arena_next_object(const struct arena *arena, uint32_t slot);

#endif
