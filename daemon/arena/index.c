/* SPDX-License-Identifier: BSD-3-Clause */
/* index: finds an allocation by handle, by name or by address. It changes nothing. */
#include <config.h>

#include "daemon/arena/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int name_compare(const struct alloc *a, const struct alloc *b)
{
	uint8_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
	int r = len ? memcmp(a->name, b->name, len) : 0;

	return r ? r : (int)a->name_len - (int)b->name_len;
}

RB_GENERATE(name_tree, alloc, by_name, name_compare)


struct alloc *arena_find(const struct arena *arena, uint32_t slot, uint64_t id)
{
	struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;

	return alloc && alloc->id == id && alloc->state != ALLOC_FREEING ? alloc : NULL;
}

/* What is staged is decided in memory; a settle that failed made the arena go offline. */
bool arena_knows(const struct arena *arena, const struct alloc *alloc)
{
	return arena->state != ARENA_OFFLINE || (alloc && alloc->staged != arena->txn);
}

int arena_check_known(const struct arena *arena, const struct alloc *alloc, struct why *why)
{
	if (arena_knows(arena, alloc))
		return 0;
	return why_set(why, -EIO, "arena %s is offline, and what it has is not known: %s",
		       arena->identity.name, arena->reason);
}

/* RB_FIND() and RB_NEXT() do not take a const tree, though they only read. */
static struct name_tree *names_of(const struct arena *arena)
{
	return (struct name_tree *)(uintptr_t)&arena->names;
}

struct alloc *arena_find_name(const struct arena *arena, const char *name, uint8_t name_len)
{
	struct alloc key = { .name = (char *)(uintptr_t)name, .name_len = name_len };

	return RB_FIND(name_tree, names_of(arena), &key);
}

struct alloc *arena_next_name(const struct arena *arena, const char *name, uint8_t name_len,
			      bool after)
{
	struct alloc key = { .name = (char *)(uintptr_t)name, .name_len = name_len };
	struct alloc *found = RB_NFIND(name_tree, names_of(arena), &key);

	if (found && after && name_compare(found, &key) == 0)
		found = RB_NEXT(name_tree, names_of(arena), found);
	while (found && found->state != ALLOC_PUBLISHED)
		found = RB_NEXT(name_tree, names_of(arena), found);
	return found;
}

struct alloc *arena_next_slot(const struct arena *arena, uint32_t slot)
{
	for (; slot < arena->nr_objects; slot++)
		if (arena->objects[slot] && arena->objects[slot]->state == ALLOC_PUBLISHED)
			return arena->objects[slot];
	return NULL;
}

/* The descriptor of the base page at @offset has the slot + 1 of the allocation; 0: none. */
struct alloc *arena_find_offset(const struct arena *arena, uint64_t offset)
{
	uint32_t object;

	if (offset < arena->sb.data_off)
		return NULL;
	object = space_object_at(arena->space, (offset - arena->sb.data_off) >> DESC_SHIFT);
	return object && object <= arena->nr_objects ? arena->objects[object - 1] : NULL;
}

struct extent arena_extent(const struct arena *arena, const struct alloc *alloc, uint32_t i)
{
	return (struct extent){ arena->sb.data_off + (alloc->extents[i].off << DESC_SHIFT),
				alloc->extents[i].len << DESC_SHIFT };
}
