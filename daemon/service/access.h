/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access: decides what a user may do in an arena, from what the configuration says of the arena and
 * what the kernel says of the user. It looks nothing up and remembers nothing.
 */
#ifndef PMEMARENA_ACCESS_H
#define PMEMARENA_ACCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/config.h"

/* Each allows all that the one before it allows. */
enum access {
	ACCESS_NONE,                    /* the arena does not exist for this user */
	ACCESS_READ,                    /* to map for reading, and requests that change nothing */
	ACCESS_WRITE,                   /* everything that the mode of each allocation allows */
};

/* SO_PEERCRED and SO_PEERGROUPS: as the kernel noted them when the user connected. */
struct access_peer {
	uint32_t uid;
	const gid_t *groups;            /* borrowed; the primary group is among them */
	int nr_groups;
};

/*
 * Returns what @peer may do in @arena. root may do everything: it can open the devices and edit the
 * configuration in any case.
 */
enum access access_of(const struct config_arena *arena, const struct access_peer *peer);

#endif
