/* SPDX-License-Identifier: BSD-3-Clause */
/* events: a ring of changes, from which clients that watch the arena are told. */
#ifndef PMEMARENA_EVENTS_H
#define PMEMARENA_EVENTS_H

#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_internal.h"

/*
 * Copies what @alloc is now into a new event; @alloc NULL: an event about the whole arena. No event
 * is kept when nobody watches (a recall of leases always is), when memory is short, or when the
 * ring is full.
 */
void events_add(struct arena *arena, enum arena_event_kind kind, const struct alloc *alloc);
/* From here on arena_next_event() may return all events added so far: their changes are durable. */
void events_settle(struct arena *arena);

#endif
