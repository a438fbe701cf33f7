/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_drain: emptying an arena that shall go.
 */
#ifndef PMEMARENA_ARENA_DRAIN_H
#define PMEMARENA_ARENA_DRAIN_H

#include <stdbool.h>

#include "daemon/arena/arena.h"
#include "lib/wire/why.h"

/*
 * Drained, the arena hands out no new space: a reservation, or a resize that makes larger, is
 * -ENOSPC with a sentence. All else goes on, a reservation that is there can be carved and
 * published. Caches are asked for their leases, after the next settle.
 */
void arena_set_drained(struct arena *arena, bool is_drained);
bool arena_is_drained(const struct arena *arena);
/*
 * Does anybody hold something of the arena: a session with a reservation, with something open or
 * perhaps mapped; a window; freed space that may be mapped? Then *why is a sentence, and the arena
 * must stay open.
 */
bool arena_is_held(const struct arena *arena, struct why *why);

#endif
