/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evictable: the published allocations that may be freed to make room, in the order in which they
 * should go: a *clock* (F. Corbato, 1968) for each user, or one for all. It only keeps lists; who
 * is freed evict.c decides.
 *
 * A clock is a queue with a second chance. If the allocation at the front was used since it was
 * there last (its byte in the touches says so, or a message asked for it), it goes to the end and
 * the byte is cleared; if not, it is freed. So a hit, which sends no message, costs a process one
 * store at most, and hardly more is freed in vain than by exact LRU (bench/sim-evict).
 */
#ifndef PMEMARENA_EVICTABLE_H
#define PMEMARENA_EVICTABLE_H

#include "daemon/arena/arena_internal.h"

/* A queue of evictable allocations: those of one user, or with ARENA_EVICT_ANY of all users. */
struct clock {
	RB_ENTRY(clock) link;                   /* in arena.clocks */
	uint32_t key;                           /* the user; with ARENA_EVICT_ANY 0 */
	uint32_t nr;
	uint64_t nr_pfns;                       /* base pages of all allocations on this clock */
	struct alloc_list hand;                 /* borrowed; the first is the next to be freed */
};

/*
 * Puts @alloc, which is published, at the end of its clock, if it is evictable. Without memory for
 * a clock it is on none: then it is not evicted until the daemon starts again.
 */
void evictable_enter(struct arena *arena, struct alloc *alloc);
/* Takes @alloc off its clock, if it is on one. */
void evictable_leave(struct arena *arena, struct alloc *alloc);
/*
 * To be called when @alloc, which may be on a clock, got other extents or another owner. @old_pfns:
 * how many base pages it had.
 */
void evictable_change(struct arena *arena, struct alloc *alloc, uint64_t old_pfns);
/*
 * Returns the clock from which space for user @uid is freed; NULL: nothing is evictable for that
 * user.
 */
struct clock *evictable_clock(const struct arena *arena, uint32_t uid);
/* Returns the clock with the most space; NULL: nothing is evictable. */
struct clock *evictable_fullest(const struct arena *arena);
/* Notes that somebody asked for @alloc by message. */
void evictable_touch(struct alloc *alloc);
/*
 * Was @alloc used since the last call for it? Clears the note, so that the next call says no if
 * nobody uses it meanwhile.
 */
bool evictable_was_used(struct arena *arena, struct alloc *alloc);
/* Moves @alloc, which is on a clock, to its end. */
void evictable_turn(struct alloc *alloc);
/*
 * Enters all published allocations, the oldest first; without memory for the sort in the order of
 * their slots.
 */
void evictable_enter_all(struct arena *arena);
/* Frees all clocks; the allocations stay. */
void evictable_free(struct arena *arena);

#endif
