/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handover: the owner of an arena that hosts share gives it to another one: it settles, writes who
 * may own the arena next, in the same rewrite that says it was closed, and stores no more. One host
 * writes, so nothing can race.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/abroad.h"
#include "daemon/arena/owner.h"
#include "daemon/arena/settle.h"
#include "daemon/arena/stamp.h"
#include "daemon/arena/state.h"

static int check_successor(const struct arena *arena, const char *host, struct why *why)
{
	if (!owner_is_shared(arena))
		return why_set(why, -EINVAL,
			       "arena %s is not shared by hosts: stop the daemon, and start one on "
			       "the other host; or name the hosts with hosts = in its section",
			       arena->identity.name);
	if (strlen(host) >= SUPERBLOCK_HOST_NAME || !host[0])
		return why_set(why, -EINVAL, "a host's name has 1 to %u bytes",
			       SUPERBLOCK_HOST_NAME - 1);
	if (strcmp(host, arena->host.name) == 0)
		return why_set(why, -EINVAL, "host %s has it already: name another one", host);
	if (arena->state != ARENA_ONLINE)
		return why_set(why, -EUCLEAN,
			       "it is not online: `pmemarenactl status` says why; one that is "
			       "damaged is repaired first");
	return 0;
}

int arena_hand_over(struct arena *arena, const char *host, struct why *why)
{
	char what[128];
	int r = check_successor(arena, host, why);

	if (r < 0)
		return r;
	scrubber_cancel(arena->scrubber, arena->space);
	r = arena_settle(arena);
	if (r == 0)
		r = stamp_close(arena);
	if (r == 0)
		r = abroad_leave(arena);
	if (r == 0) {
		snprintf(arena->sb.owner.successor, SUPERBLOCK_HOST_NAME, "%s", host);
		arena->sb.clean = true;
		r = superblock_write(&arena->sb, arena->meta);
	}
	snprintf(what, sizeof(what), r < 0 ? "it could not be handed over to host %s"
					   : "it was handed over to host %s", host);
	state_go_offline(arena, r < 0 ? r : -EREMOTE, what);
	return r < 0 ? why_set(why, r, "%s", arena->reason) : 0;
}

bool arena_owner(struct arena_owner *out, const struct arena *arena)
{
	if (!owner_is_shared(arena))
		return false;
	out->term = arena->sb.owner.term;
	memcpy(out->name, arena->sb.owner.name, sizeof(out->name));
	return true;
}
