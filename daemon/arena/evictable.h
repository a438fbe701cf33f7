/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evictable: the published allocations that may be freed to make room, in the order in which they
 * should go: a *clock* (F. Corbato, 1968) for each user, or one for all. It only keeps lists; who
 * is freed evict.c decides.
 *
 * A clock is a queue with a second chance. What is at its front was used since it was there last if
 * its byte in the touches says so, or a message asked for it: then it goes to the end and the byte
 * is cleared, else it is the one to go. So a hit, which sends no message, costs a process one store
 * at most, and hardly more is freed in vain than by exact LRU (bench/sim-evict).
 */
#ifndef PMEMARENA_EVICTABLE_H
#define PMEMARENA_EVICTABLE_H

#include "daemon/arena/arena_internal.h"

/* The evictable allocations of one user, or with ARENA_EVICT_ANY of all. */
struct clock {
	RB_ENTRY(clock) link;                   /* in arena.clocks */
	uint32_t key;                           /* uid; with ARENA_EVICT_ANY 0 */
	uint32_t nr;
	uint64_t nr_pfns;                       /* of all that are on it */
	struct alloc_list hand;                 /* borrowed; the next to go is the first */
};

/*
 * Puts @alloc, which is published, at the end of its clock if it is evictable. Without memory it is
 * on none, and stays until it is freed or the daemon starts again.
 */
void evictable_enter(struct arena *arena, struct alloc *alloc);
/* Takes @alloc off its clock, if it is on one. */
void evictable_leave(struct arena *arena, struct alloc *alloc);
/* @alloc, which may be on a clock, has other extents or another owner than it had: @old_pfns. */
void evictable_change(struct arena *arena, struct alloc *alloc, uint64_t old_pfns);
/* The clock from which is freed for user @uid; NULL: it has nothing evictable. */
struct clock *evictable_clock(const struct arena *arena, uint32_t uid);
/* The clock with the most space; NULL: nothing is evictable. */
struct clock *evictable_fullest(const struct arena *arena);
/* Notes that somebody asked for @alloc by message. */
void evictable_touch(struct alloc *alloc);
/* Was @alloc used since this was asked last? */
bool evictable_was_used(struct arena *arena, struct alloc *alloc);
/* Puts @alloc, which is on a clock, at its end. */
void evictable_turn(struct alloc *alloc);
/* Enters all that there are, the oldest first. -ENOMEM: they are entered in the order of slots. */
void evictable_enter_all(struct arena *arena);
/* Frees all clocks; the allocations stay. */
void evictable_free(struct arena *arena);

#endif
