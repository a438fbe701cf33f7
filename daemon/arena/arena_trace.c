/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_trace: turns an arena, an allocation or a holder into fields of the trace. Nothing else in
 * the arena knows how a line of the trace looks.
 */
#include <config.h>

#include "daemon/arena/arena_trace.h"

#include <string.h>

/* The line of a step that is about one allocation. Fields with a NULL key are left out. */
void arena_trace_alloc(const char *what, const struct arena *arena, const struct alloc *alloc,
		       struct arena_trace more)
{
	trace_fields(what, TRACE_STRING("arena", arena->identity.name),
		     TRACE_NUMBER("id", alloc->id), TRACE_NUMBER("slot", alloc->slot),
		     TRACE_NUMBER("uid", alloc->uid),
		     TRACE_NUMBER(more.session ? "session" : NULL, more.session),
		     TRACE_NUMBER("bytes", alloc_bytes(alloc)),
		     TRACE_NUMBER("extents", alloc->nr_extents),
		     TRACE_NUMBER(alloc->cut_from ? "cut_from" : NULL, alloc->cut_from),
		     TRACE_NUMBER(more.key, more.value),
		     TRACE_BYTES(alloc->name ? "name" : NULL, alloc->name, alloc->name_len));
}

void arena_trace_holder(const char *what, const struct holder *holder)
{
	const struct hold *hold;
	uint64_t nr_holds = 0;

	TAILQ_FOREACH(hold, &holder->holds, by_holder)
		nr_holds++;
	trace_fields(what, TRACE_STRING("arena", holder->arena->identity.name),
		     TRACE_NUMBER("session", holder->session), TRACE_NUMBER("uid", holder->uid),
		     TRACE_NUMBER("holds", nr_holds));
}

void arena_trace_number(const char *what, const struct arena *arena, const char *key,
			uint64_t value, const char *key2, uint64_t value2)
{
	trace_fields(what, TRACE_STRING("arena", arena->identity.name), TRACE_NUMBER(key, value),
		     TRACE_NUMBER(key2, value2));
}

/* Counts the allocations that recovery found, by state. */
static void count_objects(uint64_t by_state[3], const struct arena *arena)
{
	for (uint32_t slot = 0; slot < arena->nr_objects; slot++)
		if (arena->objects[slot])
			by_state[arena->objects[slot]->state]++;
}

void arena_trace_recovery(const struct arena *arena, uint64_t damaged, uint64_t stale)
{
	uint64_t by_state[3] = { 0 }, sessions = 0, holds = 0;
	const struct holder *holder;
	const struct hold *hold;

	count_objects(by_state, arena);
	TAILQ_FOREACH(holder, &arena->holders, link) {
		sessions++;
		TAILQ_FOREACH(hold, &holder->holds, by_holder)
			holds++;
	}
	trace_fields("arena.recovered", TRACE_STRING("arena", arena->identity.name),
		     TRACE_NUMBER("published", by_state[ALLOC_PUBLISHED]),
		     TRACE_NUMBER("reserved", by_state[ALLOC_RESERVED]),
		     TRACE_NUMBER("freeing", by_state[ALLOC_FREEING]),
		     TRACE_NUMBER("sessions", sessions), TRACE_NUMBER("holds", holds),
		     TRACE_NUMBER("mended", arena->counts.records_mended),
		     TRACE_NUMBER("damaged", damaged), TRACE_NUMBER("stale", stale));
}

void arena_trace_drop(const struct arena *arena, const char *kind, uint64_t id, const char *why)
{
	trace_fields("arena.dropped", TRACE_STRING("arena", arena->identity.name),
		     TRACE_STRING("kind", kind), TRACE_NUMBER("id", id), TRACE_STRING("why", why));
}
