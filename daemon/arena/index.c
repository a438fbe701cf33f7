/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * index: how an allocation is found (handle, name, address), the slots that handles name, and what is told to those who
 * watch. It changes no space and no record.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"

#define MAX_EVENTS 65536u               /* beyond it the oldest go: a watcher sees a gap, never a stall */

int name_compare(const struct alloc *a, const struct alloc *b)
{
	uint8_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
	int r = len ? memcmp(a->name, b->name, len) : 0;

	return r ? r : (int)a->name_len - (int)b->name_len;
}

RB_GENERATE(name_tree, alloc, by_name, name_compare)

/* ---- look ---- */

struct alloc *arena_find(const struct arena *arena, uint32_t slot, uint64_t id)
{
	struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;

	return alloc && alloc->id == id && alloc->state != ALLOC_FREEING ? alloc : NULL;
}

struct alloc *arena_find_held(const struct arena *arena, const struct holder *holder, uint32_t slot, uint64_t id)
{
	struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;

	return alloc && alloc->id == id && hold_find(holder, alloc) ? alloc : NULL;
}

static struct name_tree *names_of(const struct arena *arena)
{
	return (struct name_tree *)(uintptr_t)&arena->names;
}

struct alloc *arena_find_name(const struct arena *arena, const char *name, uint8_t name_len)
{
	struct alloc key = { .name = (char *)(uintptr_t)name, .name_len = name_len };

	return RB_FIND(name_tree, names_of(arena), &key);
}

struct alloc *arena_next_name(const struct arena *arena, const char *name, uint8_t name_len, bool after)
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

struct alloc *arena_find_offset(const struct arena *arena, uint64_t offset)
{
	uint32_t object;

	if (offset < arena->sb.data_off)
		return NULL;
	object = space_object_at(arena->space, (offset - arena->sb.data_off) >> DESC_SHIFT);
	return object && object <= arena->nr_objects ? arena->objects[object - 1] : NULL;
}

/* ---- object slots ---- */

int object_take(struct arena *arena, uint32_t *slot, struct why *why)
{
	uint32_t next = arena->nr_free_objects ? arena->free_objects[arena->nr_free_objects - 1] : arena->nr_objects;
	int r;

	if (next >= arena->sb.nr_slots)
		return why_set(why, -ENFILE, "arena %s has %llu allocations and room for no more: free some, or format it with more slots",
			       arena->identity.name, (unsigned long long)arena->nr_objects);
	r = plane_prepare(arena->plane, next);
	if (r < 0)
		return why_set(why, r, "the runtime directory is full: the validity plane of arena %s cannot grow", arena->identity.name);
	if (arena->nr_objects >= arena->room_free_objects) {    /* so that giving it back never fails */
		uint32_t room = arena->room_free_objects ? arena->room_free_objects * 2 : 1024;
		uint32_t *grown = reallocarray(arena->free_objects, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		arena->free_objects = grown;
		arena->room_free_objects = room;
	}
	if (arena->nr_free_objects)
		arena->nr_free_objects--;
	else
		arena->nr_objects++;
	*slot = next;
	return 0;
}

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

void object_hide(struct arena *arena, struct alloc *alloc)
{
	plane_set(arena->plane, alloc->slot, 0);
	if (alloc->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
}

void object_drop(struct arena *arena, struct alloc *alloc)
{
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

/* ---- events ---- */

static bool make_event_room(struct arena *arena)
{
	uint32_t room = arena->room_events ? arena->room_events * 2 : 64;
	struct arena_event *grown;

	if (arena->nr_events < arena->room_events)
		return true;
	if (room > MAX_EVENTS)
		return false;
	grown = calloc(room, sizeof(*grown));
	if (!grown)
		return false;
	for (uint32_t i = 0; i < arena->nr_events; i++)
		grown[i] = arena->events[(arena->first_event + i) % arena->room_events];
	free(arena->events);
	arena->events = grown;
	arena->first_event = 0;
	arena->room_events = room;
	return true;
}

void events_add(struct arena *arena, enum arena_event_kind kind, const struct alloc *alloc)
{
	struct arena_event *event;

	/* Who gives leases back listens to nothing else and is no listener. */
	if ((kind != ARENA_RECALL && arena->nr_listeners && *arena->nr_listeners == 0) || !make_event_room(arena))
		return;
	event = &arena->events[(arena->first_event + arena->nr_events++) % arena->room_events];
	*event = (struct arena_event){ .kind = kind };
	if (!alloc)
		return;
	event->id = alloc->id;
	event->slot = alloc->slot;
	event->len = alloc->nr_pfns << DESC_SHIFT;
	event->uid = alloc->uid;
	event->gid = alloc->gid;
	event->mode = alloc->mode;
	event->name_len = alloc->name_len;
	if (alloc->name_len)
		memcpy(event->name, alloc->name, alloc->name_len);
}

void events_settle(struct arena *arena)
{
	arena->nr_events_settled = arena->nr_events;
}

bool arena_next_event(struct arena_event *event, struct arena *arena)
{
	if (arena->nr_events_settled == 0)
		return false;
	*event = arena->events[arena->first_event];
	arena->first_event = (arena->first_event + 1) % arena->room_events;
	arena->nr_events--;
	arena->nr_events_settled--;
	return true;
}
