/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * import_owner: root imports for others. The daemon asks the kernel who connects, so there is a
 * connection as each owner: space is charged to the owner from the beginning, small allocations lie
 * in the owner's pages, and an allocation is never somebody else's in between. Whoever is not root
 * imports for itself.
 */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "ctl/import.h"

static void take_groups(uid_t uid, gid_t gid)
{
	struct passwd *user = getpwuid(uid);

	if (!user || initgroups(user->pw_name, gid) < 0)
		setgroups(1, &gid);
}

/* As that user for the daemon, and as root for files: the socket need not be for everybody. */
static bool act_as(uid_t uid, gid_t gid)
{
	if (uid != 0)
		take_groups(uid, gid);
	if (setegid(gid) < 0 || seteuid(uid) < 0) {
		ctl_say("acting as uid %u, gid %u: %s", uid, gid, strerror(errno));
		return false;
	}
	setfsuid(0);
	return true;
}

void ctl_import_become_self(struct import *import)
{
	if (getuid() != 0 || geteuid() == 0)
		return;
	if (seteuid(0) < 0 || setegid(getgid()) < 0)
		abort();
}

static bool is_connected(const struct import *import, uid_t uid, gid_t gid)
{
	return import->as && import->as_uid == uid && import->as_gid == gid;
}

struct pma *ctl_import_become(struct import *import, const struct ctl_member *member)
{
	uid_t uid = import->owner.has_uid ? import->owner.uid : member->uid;
	gid_t gid = import->owner.has_uid ? import->owner.gid : member->gid;

	if (getuid() != 0 || (uid == 0 && gid == getgid()))
		return import->pma;
	if (!is_connected(import, uid, gid)) {
		pma_disconnect(import->as);
		import->as = NULL;
	}
	if (!act_as(uid, gid))
		return NULL;
	if (import->as)
		return import->as;
	if (ctl_connect(&import->as, import->ctl) != CTL_DONE) {
		import->as = NULL;
		ctl_import_become_self(import);
		return NULL;
	}
	import->as_uid = uid;
	import->as_gid = gid;
	return import->as;
}
