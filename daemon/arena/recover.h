/* SPDX-License-Identifier: BSD-3-Clause */
/* recover: at a start, rebuilds what the arena knows in memory from the table on its device. */
#ifndef PMEMARENA_RECOVER_H
#define PMEMARENA_RECOVER_H

#include "daemon/arena/arena_internal.h"

/*
 * Rebuilds allocations, bad pages and free space of @arena, whose parts are open. 0, or -errno with
 * a sentence: the start fails, and the caller frees the arena.
 */
int recover_arena(struct arena *arena, struct why *why);

#endif
