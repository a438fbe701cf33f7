/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * owner: of an arena that hosts share, which host owns it. The owner alone stores; each other host
 * finds that out before it stores anything, and a former owner before it stores anything more.
 */
#ifndef PMEMARENA_OWNER_H
#define PMEMARENA_OWNER_H

#include "daemon/arena/arena_internal.h"

/*
 * At a start, when all parts were found to belong together and nothing was stored: makes this host
 * the owner. A daemon of the owner's boot goes on at once; all others claim the arena, which takes
 * two intervals, and after an end without order three more. Nothing is done to an arena that no
 * hosts share. With params->force one that another host left open is taken, and what its processes
 * have mapped is withheld. -EHOSTDOWN: another host owns it; -EBUSY: another start was faster;
 * -EPERM: the configuration does not name this host. With sentences that say what to do.
 */
int owner_arrive(struct arena *arena, const struct arena_params *params, struct why *why);
/*
 * Is this host the owner still, or is the arena not shared? Call it before stores. If not, the
 * arena goes offline at once, and its scrubbing ends.
 */
bool owner_is_here(struct arena *arena);
/* At each tick: says on the device that the owner lives. */
void owner_tick(struct arena *arena);
static inline bool owner_is_shared(const struct arena *arena)
{
	return arena->sb.incompat & SUPERBLOCK_INCOMPAT_HOSTS;
}
/* Watches for three intervals whether an owner lives. -EHOSTDOWN, with a sentence: one does. */
int owner_watch(struct superblock *sb, struct media *media, uint32_t interval_ms, struct why *why);

#endif
