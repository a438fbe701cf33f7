/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * events: a ring with the changes that clients who watch are told of. An event is not shown before
 * the settle that makes its change durable.
 */
#include <config.h>

#include "daemon/arena/events.h"

#include <stdlib.h>
#include <string.h>

/* more are dropped, so that a client that does not read cannot fill the memory */
#define MAX_EVENTS 65536u

/*
 * Makes room for one more event. Returns false when there is none: the event is dropped, and those
 * who watch are not told of this change.
 */
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

	/*
	 * Clients with leases need not watch anything: a recall is kept even when nobody listens to
	 * events.
	 */
	if ((kind != ARENA_RECALL && arena->nr_listeners && *arena->nr_listeners == 0) ||
	    !make_event_room(arena))
		return;
	event = &arena->events[(arena->first_event + arena->nr_events++) % arena->room_events];
	*event = (struct arena_event){ .kind = kind };
	if (!alloc)
		return;
	if (kind == ARENA_FREED && arena->moved_to.id) {
		event->kind = ARENA_MOVED;
		event->to = arena->moved_to;
	}
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
