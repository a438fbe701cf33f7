/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idmap: reads which users and groups the daemon's user namespace has, once, from /proc. It knows
 * no session.
 */
#include <config.h>

#include "daemon/service/idmap.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#define OVERFLOW_ID 65534
#define ALL_IDS     UINT64_C(4294967295)        /* all but -1, which is no id */

/*
 * Does the map at @path leave ids out? Each line of it has three numbers: the first id inside, the
 * first id outside, how many.
 */
static bool is_partial(const char *path)
{
	unsigned long long nr, total = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return true;
	while (fscanf(f, "%*u %*u %llu", &nr) == 1)
		total += nr;
	fclose(f);
	return total < ALL_IDS;
}

/* The number that the kernel shows for an id that the namespace does not have. */
static unsigned read_overflow(const char *path)
{
	unsigned id = OVERFLOW_ID;
	FILE *f = fopen(path, "re");

	if (f) {
		if (fscanf(f, "%u", &id) != 1)
			id = OVERFLOW_ID;
		fclose(f);
	}
	return id;
}

void idmap_read(struct idmap *idmap)
{
	idmap->uids_are_partial = is_partial("/proc/self/uid_map");
	idmap->gids_are_partial = is_partial("/proc/self/gid_map");
	idmap->unknown_uid = read_overflow("/proc/sys/kernel/overflowuid");
	idmap->unknown_gid = read_overflow("/proc/sys/kernel/overflowgid");
}

/*
 * Removes groups that the namespace does not have. Such a group gives its user nothing: no
 * allocation can belong to it.
 */
static void drop_unknown_groups(const struct idmap *idmap, struct conn_peer *peer)
{
	int nr = 0;

	for (int i = 0; i < peer->nr_groups; i++)
		if (peer->groups[i] != idmap->unknown_gid)
			peer->groups[nr++] = peer->groups[i];
	peer->nr_groups = nr;
}

int idmap_check(const struct idmap *idmap, struct conn_peer *peer)
{
	if (idmap->uids_are_partial && peer->uid == idmap->unknown_uid)
		return -EOVERFLOW;
	if (!idmap->gids_are_partial)
		return 0;
	if (peer->gid == idmap->unknown_gid)
		return -EOVERFLOW;
	drop_unknown_groups(idmap, peer);
	return 0;
}
