/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_trace: the steps that an arena takes, each as a USDT probe and as a line of the trace.
 * doc/TRACING.md says what each step means. A step is told when it is decided; it is durable with
 * the next step `settle`.
 *
 * The first four arguments of each probe that is about an allocation are its id, its owner, the
 * session that took the step (0: none) and the bytes of the allocation.
 */
#ifndef PMEMARENA_ARENA_TRACE_H
#define PMEMARENA_ARENA_TRACE_H

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"
#include "daemon/arena/window.h"
#include "daemon/trace.h"

/* Who took the step, and one number that only this step has. */
struct arena_trace {
	uint64_t session;
	const char *key; /* NULL: there is no such number */
	uint64_t value;
};

void arena_trace_alloc(const char *what, const struct arena *arena, const struct alloc *alloc,
		       struct arena_trace more) __attribute__((cold));
void arena_trace_holder(const char *what, const struct holder *holder) __attribute__((cold));
void arena_trace_number(const char *what, const struct arena *arena, const char *key,
			uint64_t value, const char *key2, uint64_t value2) __attribute__((cold));
void arena_trace_recovery(const struct arena *arena, uint64_t damaged, uint64_t stale)
	__attribute__((cold));
void arena_trace_drop(const struct arena *arena, const char *kind, uint64_t id, const char *why)
	__attribute__((cold));

/* Returns the session of @caller; 0: an administrator without a session. */
static inline uint64_t arena_trace_who(const struct caller *caller)
{
	return caller->holder ? caller->holder->session : 0;
}

/*
 * Tells one step of an allocation. @name is a word, and becomes the name of the probe and of the
 * line.
 */
#define ARENA_TRACE(name, arena, alloc, who, key, value)                                          \
	do {                                                                                      \
		if (trace_is_on()) {                                                              \
			uint64_t who_ = (who), value_ = (uint64_t)(value);                        \
			PROBE(name, (alloc)->id, (alloc)->uid, who_, alloc_bytes(alloc), value_); \
			arena_trace_alloc("arena." #name, arena, alloc,                           \
					  (struct arena_trace){ who_, key, value_ });             \
		}                                                                                 \
	} while (0)

/* ---- what clients ask for ---- */

static inline void arena_trace_reserve(const struct arena *arena, const struct caller *caller,
				       const struct alloc *alloc)
{
	ARENA_TRACE(reserve, arena, alloc, arena_trace_who(caller), "lease", alloc->is_lease);
}

static inline void arena_trace_publish(const struct arena *arena, const struct caller *caller,
				       const struct alloc *alloc)
{
	ARENA_TRACE(publish, arena, alloc, arena_trace_who(caller), "version", alloc->version);
}

/* @alloc is the part that was carved off the reservation with the id @from. */
static inline void arena_trace_carve(const struct arena *arena, const struct caller *caller,
				     const struct alloc *alloc, uint64_t from)
{
	ARENA_TRACE(carve, arena, alloc, arena_trace_who(caller), "from", from);
}

static inline void arena_trace_abort(const struct arena *arena, const struct caller *caller,
				     const struct alloc *alloc, bool unmapped)
{
	ARENA_TRACE(abort, arena, alloc, arena_trace_who(caller), "unmapped", unmapped);
}

static inline void arena_trace_free(const struct arena *arena, const struct caller *caller,
				    const struct alloc *alloc, bool unmapped)
{
	ARENA_TRACE(free, arena, alloc, arena_trace_who(caller), "unmapped", unmapped);
}

/* @alloc is freed to make room for others. */
static inline void arena_trace_evict(const struct arena *arena, const struct alloc *alloc)
{
	ARENA_TRACE(evict, arena, alloc, 0, "age_ids", arena->next_id - alloc->id);
}

static inline void arena_trace_resize(const struct arena *arena, const struct caller *caller,
				      const struct alloc *alloc, uint64_t was)
{
	ARENA_TRACE(resize, arena, alloc, arena_trace_who(caller), "was_bytes", was);
}

static inline void arena_trace_rename(const struct arena *arena, const struct caller *caller,
				      const struct alloc *alloc)
{
	ARENA_TRACE(rename, arena, alloc, arena_trace_who(caller), "version", alloc->version);
}

static inline void arena_trace_setattr(const struct arena *arena, const struct caller *caller,
				       const struct alloc *alloc)
{
	ARENA_TRACE(setattr, arena, alloc, arena_trace_who(caller), "mode", alloc->mode);
}

static inline void arena_trace_open(const struct arena *arena, const struct caller *caller,
				    const struct alloc *alloc, bool read_only)
{
	ARENA_TRACE(open, arena, alloc, arena_trace_who(caller), "read_only", read_only);
}

static inline void arena_trace_close(const struct arena *arena, const struct caller *caller,
				     const struct alloc *alloc, bool unmapped)
{
	ARENA_TRACE(close, arena, alloc, arena_trace_who(caller), "unmapped", unmapped);
}

/* ---- how things end ---- */

/* A reservation is given up because its session is over. */
static inline void arena_trace_reclaim(const struct holder *holder, const struct alloc *alloc)
{
	ARENA_TRACE(reclaim, holder->arena, alloc, holder->session, "lease", alloc->is_lease);
}

/* The session of @hold does not hold its allocation any more; called before the hold is freed. */
static inline void arena_trace_let_go(const struct arena *arena, const struct hold *hold)
{
	ARENA_TRACE(let_go, arena, hold->alloc, hold->holder->session, "read_only",
		    hold->read_only);
}

/* Nobody holds @alloc: its space goes to the scrubber. */
static inline void arena_trace_release(const struct arena *arena, const struct alloc *alloc)
{
	ARENA_TRACE(release, arena, alloc, alloc->session, NULL, alloc->slot);
}

#define ARENA_TRACE_HOLDER(name, holder)                               \
	do {                                                           \
		if (trace_is_on()) {                                   \
			PROBE(name, (holder)->session, (holder)->uid); \
			arena_trace_holder("arena." #name, holder);    \
		}                                                      \
	} while (0)

/* The session ends in this arena. */
static inline void arena_trace_leave(const struct holder *holder)
{
	ARENA_TRACE_HOLDER(leave, holder);
}

/* The session is over, and its mark is there: what it holds is kept. */
static inline void arena_trace_kept(const struct holder *holder)
{
	ARENA_TRACE_HOLDER(kept, holder);
}

/* Nobody has the mark of a session that is over any more. */
static inline void arena_trace_unmarked(const struct holder *holder)
{
	ARENA_TRACE_HOLDER(unmarked, holder);
}

/* A session of the daemon before did not come back within the grace time. */
static inline void arena_trace_grace_over(const struct holder *holder)
{
	ARENA_TRACE_HOLDER(grace_over, holder);
}

/* ---- windows ---- */

/* A session has a window from here on: a new one, or one that was there. */
static inline void arena_trace_window(const struct arena *arena, const struct caller *caller,
				      const struct window *window)
{
	if (!trace_is_on())
		return;
	PROBE(window, window->id.number, window->id.uid);
	arena_trace_number("arena.window", arena, "window", window->id.number, "session",
			   caller->holder->session);
}

/* Nobody has the window any more: its pins count no longer. */
static inline void arena_trace_window_gone(const struct arena *arena, const struct window *window)
{
	if (!trace_is_on())
		return;
	PROBE(window_gone, window->id.number, window->id.uid);
	arena_trace_number("arena.window_gone", arena, "window", window->id.number, "uid",
			   window->id.uid);
}

/* ---- the arena as a whole ---- */

static inline void arena_trace_settle(const struct arena *arena)
{
	if (!trace_is_on())
		return;
	PROBE(settle, arena->txn, arena->counts.records_written);
	arena_trace_number("arena.settle", arena, "txn", arena->txn, "records",
			   arena->counts.records_written);
}

/* A request for @bytes found no room: clients are asked to give back @leased bytes. */
static inline void arena_trace_recall(const struct arena *arena, uint64_t bytes, uint64_t leased)
{
	if (!trace_is_on())
		return;
	PROBE(recall, bytes, leased);
	arena_trace_number("arena.recall", arena, "bytes", bytes, "leased", leased);
}

static inline void arena_trace_recovered(const struct arena *arena, uint64_t damaged,
					 uint64_t stale)
{
	if (!trace_is_on())
		return;
	PROBE(recovered, damaged, stale, arena->counts.records_mended);
	arena_trace_recovery(arena, damaged, stale);
}

/* Recovery found a @kind ("record", "range", "hold") with @id, and did not keep it: @why. */
static inline void arena_trace_dropped(const struct arena *arena, const char *kind, uint64_t id,
				       const char *why)
{
	if (!trace_is_on())
		return;
	PROBE(dropped, kind, id, why);
	arena_trace_drop(arena, kind, id, why);
}

#endif
