/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_event: what those who watch an arena are told.
 */
#ifndef PMEMARENA_ARENA_EVENT_H
#define PMEMARENA_ARENA_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"

enum arena_event_kind {
	ARENA_PUBLISHED = 1,
	ARENA_FREED,
	ARENA_RENAMED,
	ARENA_RESIZED,
	ARENA_CHANGED,
	ARENA_POISONED,
	ARENA_RECALL,
	ARENA_WENT_OFFLINE,
	ARENA_EVICTED,                          /* freed to make room */
	ARENA_MOVED,                            /* it is in another arena now: `to` */
	/* It can be used from now on; it is served no more. `name` is that of the arena. */
	ARENA_CAME,
	ARENA_LEFT
};

/* An allocation of any arena, as a handle of a client names it. */
struct arena_place {
	uint32_t arena, slot;
	uint64_t id;
};

/*
 * One change, for those who watch the arena, after the settle that made it durable. It is a copy,
 * since the allocation may be gone by the time it is read.
 */
struct arena_event {
	enum arena_event_kind kind;
	uint64_t id, len;
	uint32_t slot, uid, gid, mode;
	struct arena_place to;          /* of ARENA_MOVED */
	uint8_t  name_len;
	char     name[ALLOC_MAX_NAME + 1];
};
bool arena_next_event(struct arena_event *event, struct arena *arena);

#endif
