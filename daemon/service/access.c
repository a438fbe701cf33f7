/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access: finds out what a user may do in an arena, by comparing `users`, `groups` and `readers` of
 * the arena's configuration with the user's uid and groups.
 */
#include <config.h>

#include "daemon/service/access.h"

static bool is_in_group(const struct access_peer *peer, uint32_t gid)
{
	for (int i = 0; i < peer->nr_groups; i++) {
		if (peer->groups[i] == gid)
			return true;
	}
	return false;
}

static bool is_listed(const struct config_list *list, const struct access_peer *peer)
{
	if (list->is_everyone)
		return true;
	for (uint32_t i = 0; i < list->nr; i++) {
		if (list->is_group[i] ? is_in_group(peer, list->ids[i]) : list->ids[i] == peer->uid)
			return true;
	}
	return false;
}

enum access access_of(const struct config_arena *arena, const struct access_peer *peer)
{
	if (peer->uid == 0 || is_listed(&arena->users, peer) || is_listed(&arena->groups, peer))
		return ACCESS_WRITE;
	return is_listed(&arena->readers, peer) ? ACCESS_READ : ACCESS_NONE;
}
