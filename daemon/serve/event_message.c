/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_message: encodes what a client that listens is told. It knows no socket, and not whether
 * the message could be sent: session_list.c decides what becomes of one that could not.
 */
#include <config.h>

#include "daemon/serve/event_message.h"

#include <stdbool.h>

#include "daemon/arena/arena_event.h"

#include "lib/wire/wire.h"

static uint32_t wire_event_kind(const struct arena_event *event, const struct client *client)
{
	static const uint32_t kinds[] = {
		[ARENA_PUBLISHED] = WIRE_EVENT_PUBLISHED,
		[ARENA_FREED] = WIRE_EVENT_FREED,
		[ARENA_RENAMED] = WIRE_EVENT_RENAMED,
		[ARENA_RESIZED] = WIRE_EVENT_RESIZED,
		[ARENA_CHANGED] = WIRE_EVENT_SETATTRED,
		[ARENA_POISONED] = WIRE_EVENT_POISONED,
		[ARENA_RECALL] = WIRE_EVENT_RECALL,
		[ARENA_WENT_OFFLINE] = WIRE_EVENT_ARENA_OFFLINE,
		[ARENA_EVICTED] = WIRE_EVENT_EVICTED,
		[ARENA_CAME] = WIRE_EVENT_ARENA_ADDED,
		[ARENA_LEFT] = WIRE_EVENT_ARENA_REMOVED,
		[ARENA_MOVED] = WIRE_EVENT_MOVED,
	};
	enum arena_event_kind kind = event->kind;

	/*
	 * An older client does not know the word 'evicted'. To it the allocation is freed, which is
	 * true in either case.
	 */
	if (kind == ARENA_EVICTED && !(client->seat->features & WIRE_EVICTS))
		return WIRE_EVENT_FREED;
	/* Told of a loss, a client looks at the arena again, and finds that it is not there. */
	if (kind == ARENA_LEFT && !(client->seat->features & WIRE_SURVEYS))
		return WIRE_EVENT_LOST;
	/* Where it is now is told only to who may know of that arena. */
	if (kind == ARENA_MOVED && (!(client->seat->features & WIRE_SURVEYS) ||
				    client->access[event->to.arena] == ACCESS_NONE))
		return WIRE_EVENT_FREED;
	return kinds[kind];
}

size_t event_message_encode(uint8_t *buf, size_t *nr_told, const struct client *client,
			    uint32_t arena, const struct arena_event *events, size_t nr)
{
	struct wire_writer w;
	size_t told = 0;

	wire_begin(&w, buf, WIRE_EVENT, 0);
	for (size_t i = 0; i < nr; i++) {
		const struct arena_event *event = &events[i];
		struct wire_result result = {
			.arena = arena, .slot = event->slot, .id = event->id, .len = event->len,
			.uid = event->uid, .gid = event->gid, .mode = event->mode,
			.flags = wire_event_kind(event, client),
		};

		if (result.flags == WIRE_EVENT_MOVED) {
			result.nr_extents = event->to.arena;
			result.version = event->to.slot;
			result.cursor = event->to.id;
		}

		if (client_wants(client, arena, event) &&
		    wire_add_result(&w, &result, NULL, event->name, event->name_len) == 0)
			told++;
	}
	*nr_told = told;
	return told ? wire_end(&w) : 0;
}

size_t event_message_lost(uint8_t *buf)
{
	struct wire_result result = { .flags = WIRE_EVENT_LOST };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_EVENT, 0);
	wire_add_result(&w, &result, NULL, NULL, 0);
	return wire_end(&w);
}
