/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * object: the array of allocations, whose slots handles name, and what the validity plane says of
 * each slot. It changes no space and no record.
 */
#include <config.h>

#include "daemon/arena/object.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/array.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/index.h"
#include "daemon/arena/pins.h"

#define PLANE_AHEAD 512U                /* the slots of a block of the plane */

int object_take(struct arena *arena, uint32_t *slot, struct why *why)
{
	uint32_t next = arena->nr_free_objects ? arena->free_objects[arena->nr_free_objects - 1]
					       : arena->nr_objects;
	uint32_t *grown;
	int r;

	if (next >= arena->sb.nr_slots)
		return why_set(why, -ENFILE,
			       "arena %s has %llu allocations and room for no more: free some, or "
			       "format it with more slots",
			       arena->identity.name, (unsigned long long)arena->nr_objects);
	r = plane_prepare(arena->plane, next);
	if (r < 0)
		return why_set(
			why, r,
			"the runtime directory is full: the validity plane of arena %s cannot grow",
			arena->identity.name);
	/*
	 * Prepares the next block too, if the plane has one. When others fill the runtime directory
	 * later, there is still a block for new allocations.
	 */
	if (plane_bytes(arena->plane) / sizeof(uint64_t) > next + PLANE_AHEAD)
		(void)plane_prepare(arena->plane, next + PLANE_AHEAD);
	/*
	 * Makes room on the stack of free slots: object_give() puts the slot there and must not
	 * fail.
	 */
	grown = array_grown(arena->free_objects, arena->nr_objects, &arena->room_free_objects,
			    sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	arena->free_objects = grown;
	if (arena->nr_free_objects)
		arena->nr_free_objects--;
	else
		arena->nr_objects++;
	*slot = next;
	return 0;
}

bool object_is_room(const struct arena *arena, uint32_t nr)
{
	return arena->nr_free_objects + (arena->sb.nr_slots - arena->nr_objects) >= nr;
}

/*
 * Takes @alloc, which is about to be freed, out of the list of what the next settle enters in the
 * catalog. It is there only when its staging failed: else the settle would read freed memory.
 */
static void forget_uncataloged(struct arena *arena, const struct alloc *alloc)
{
	for (uint32_t i = 0; alloc->is_uncataloged && i < arena->nr_uncataloged; i++)
		if (arena->uncataloged[i] == alloc) {
			arena->uncataloged[i] = arena->uncataloged[--arena->nr_uncataloged];
			return;
		}
}

/* The slot may be taken again at once: the plane has had no id for it since object_hide(). */
static void object_give(struct arena *arena, uint32_t slot)
{
	arena->objects[slot] = NULL;
	arena->free_objects[arena->nr_free_objects++] = slot;
}

void object_set(struct arena *arena, uint32_t slot, struct alloc *alloc)
{
	alloc->slot = slot;
	arena->objects[slot] = alloc;
	plane_set(arena->plane, slot, alloc->state == ALLOC_FREEING ? 0 : alloc->id);
}

void object_withdraw(struct arena *arena, struct alloc *alloc)
{
	evictable_leave(arena, alloc);
	plane_set(arena->plane, alloc->slot, 0);
	catalog_drop(arena->catalog, alloc->slot);
	pins_hide(arena, alloc);
}

void object_hide(struct arena *arena, struct alloc *alloc)
{
	object_withdraw(arena, alloc);
	if (alloc->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
}

void object_drop(struct arena *arena, struct alloc *alloc)
{
	evictable_leave(arena, alloc);
	forget_uncataloged(arena, alloc);
	object_give(arena, alloc->slot);
	alloc_free(alloc);
}

int object_collect_free(struct arena *arena)
{
	arena->room_free_objects = arena->nr_objects > 1024 ? arena->nr_objects : 1024;
	arena->free_objects = calloc(arena->room_free_objects, sizeof(*arena->free_objects));
	if (!arena->free_objects)
		return -ENOMEM;
	for (uint32_t slot = arena->nr_objects; slot > 0; slot--)
		if (!arena->objects[slot - 1])
			arena->free_objects[arena->nr_free_objects++] = slot - 1;
	return 0;
}
