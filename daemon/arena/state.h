/* SPDX-License-Identifier: BSD-3-Clause */
/* state: whether the arena is online, damaged or offline, and the reason in words. */
#ifndef PMEMARENA_STATE_H
#define PMEMARENA_STATE_H

#include "daemon/arena/arena_internal.h"

/*
 * Takes the arena offline until the next start; the reason is @what with the text of @err (-errno).
 * Clients that watch may be told at once. Later calls have no effect: the first reason stays.
 */
void state_go_offline(struct arena *arena, int err, const char *what);
/*
 * Makes an incompatible feature of the superblock, one bit, durable before the first record that
 * uses it is staged: from then on versions of this program that do not know it refuse the arena.
 * -EIO: the arena is offline.
 */
int state_announce(struct arena *arena, uint64_t feature);

#endif
