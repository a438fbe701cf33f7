/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idmap: which users and groups this daemon can tell apart. In a user namespace (a container) the
 * kernel shows everybody who has no number there with one and the same overflow number. All of them
 * would look like one user and could read each other's allocations, so they are refused.
 */
#ifndef PMEMARENA_IDMAP_H
#define PMEMARENA_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/wire/conn.h"

struct idmap {
	bool  uids_are_partial, gids_are_partial;
	uid_t unknown_uid;              /* what the kernel shows for users without a number here */
	gid_t unknown_gid;
};

/*
 * Reads the maps of this process. If one cannot be read it counts as leaving ids out; then only the
 * overflow number is refused.
 */
void idmap_read(struct idmap *idmap);

/*
 * Removes groups without a number from @peer. -EOVERFLOW: its user or its primary group has none.
 */
int idmap_check(const struct idmap *idmap, struct conn_peer *peer);

#endif
