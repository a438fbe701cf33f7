/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_tick: the upkeep of an arena: what is to be done from time to time, without a request.
 */
#ifndef PMEMARENA_ARENA_TICK_H
#define PMEMARENA_ARENA_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "daemon/space/scrub.h"

/*
 * Takes the pages that @scrubber has zeroed back into the free space of their arenas. Returns true
 * if some arena has more clean space than before, so that who waits for space asks again.
 */
bool arena_collect(struct scrubber *scrubber);
/*
 * Regular work: looks at freed space that may be mapped, at the memmap, at bad pages, and whether
 * the device is still there. Call it about each 100 ms while arena_is_busy(), else each few
 * seconds.
 */
void arena_tick(struct arena *arena);
/*
 * A client can make the file of an arena longer. Cuts the file back to its length, and returns by
 * how many bytes.
 */
uint64_t arena_cut(struct arena *arena);
/* Is there work that arena_tick() should look at soon? */
bool arena_is_busy(const struct arena *arena);
/*
 * The slow verifier: compares @nr_slots table slots with memory and writes the bad copies anew.
 * Returns how many it wrote. Each call goes on where the last one stopped.
 */
uint64_t arena_verify_step(struct arena *arena, uint32_t nr_slots);

#endif
