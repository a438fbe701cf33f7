/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bundle: changes that are done whole or not at all. While one is open, each change is carried out
 * in memory and staged as ever, and what it was before is kept. What cannot be undone (the end of
 * an allocation that is freed or replaced) waits for the end of the bundle. arena_change.h has the
 * beginning and the end.
 */
#ifndef PMEMARENA_BUNDLE_H
#define PMEMARENA_BUNDLE_H

#include "daemon/arena/arena_internal.h"

/* One change of a bundle, and what is needed to undo it. */
struct bundle_change {
	struct alloc *alloc;            /* borrowed; NULL: the change makes one */
	/* borrowed; it gave its name to `alloc`, and goes with the bundle; NULL: none */
	struct alloc *gone;
	bool is_free;                   /* `alloc` goes with the bundle */
	bool is_unmapped;               /* of is_free, as in arena_free_alloc() */
	/* the session had it open before; closed, and perhaps mapped; for reading alone */
	bool is_open, was_closed, was_read_only;
	/* as they were before; name and records are owned copies */
	enum alloc_state state;
	char    *name;
	uint8_t  name_len;
	uint32_t *records;
	uint16_t nr_records;
	uint32_t version, entry;
	uint64_t session;
	bool     is_successor, is_lease, has_contents;
};

struct bundle {
	struct bundle_change *changes;  /* owned */
	uint32_t nr, room;
	/* the events that were there before: those behind them are of the bundle */
	uint32_t nr_events;
	/* the change that is being carried out; it is not counted in `nr` yet */
	struct bundle_change now;
};

/* Notes that @old goes with the change that is being carried out, which took its name over. */
void bundle_replace(struct arena *arena, struct alloc *old);
/* Notes that @alloc is freed by the change that is being carried out. */
void bundle_free_later(struct arena *arena, struct alloc *alloc, bool unmapped);
/* Is a bundle open, and does it change @alloc? */
bool bundle_has(const struct arena *arena, const struct alloc *alloc);
/* Frees the bundle, with no look at what it did. */
void bundle_drop(struct arena *arena);

#endif
