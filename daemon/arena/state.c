/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state: whether the arena is online, damaged or offline, and why. An arena that went offline stays
 * so until the next start: what was staged when it failed has an unknown fate.
 */
#include <config.h>

#include "daemon/arena/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/events.h"

enum arena_state arena_state(const struct arena *arena, const char **reason)
{
	*reason = arena->reason;
	return arena->state;
}

void state_go_offline(struct arena *arena, int err, const char *what)
{
	if (arena->state == ARENA_OFFLINE)
		return;
	arena->state = ARENA_OFFLINE;
	snprintf(arena->reason, sizeof(arena->reason), "%s: %s", what, strerror(-err));
	events_add(arena, ARENA_WENT_OFFLINE, NULL);
	events_settle(arena);
}

int state_announce(struct arena *arena, uint64_t feature)
{
	int r;

	if (arena->sb.incompat & feature)
		return 0;
	arena->sb.incompat |= feature;
	r = superblock_write(&arena->sb, arena->meta);
	if (r == 0)
		return 0;
	arena->sb.incompat &= ~feature;
	state_go_offline(arena, r, "its superblocks cannot be written");
	return -EIO;
}
