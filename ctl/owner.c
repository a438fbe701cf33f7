/* SPDX-License-Identifier: BSD-3-Clause */
/* owner: reads who is to own something: USER, USER:GROUP or :GROUP, by name or by number. */
#include <config.h>

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static bool read_number(uint32_t *out, const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	*out = (uint32_t)value;
	return *text >= '0' && *text <= '9' && !*end && value < UINT32_MAX;
}

/* A user comes with its own group, for those who want it. */
static bool read_user(struct ctl_owner *owner, const char *text)
{
	struct passwd *user = getpwnam(text);

	if (!user && !read_number(&owner->uid, text))
		return false;
	if (!user)
		user = getpwuid(owner->uid);
	else
		owner->uid = user->pw_uid;
	owner->gid = user ? user->pw_gid : owner->uid;
	owner->has_uid = true;
	return true;
}

static bool read_group(struct ctl_owner *owner, const char *text)
{
	struct group *group = getgrnam(text);

	if (group)
		owner->gid = group->gr_gid;
	owner->has_gid = group || read_number(&owner->gid, text);
	return owner->has_gid;
}

bool ctl_read_owner(struct ctl_owner *owner, const char *text)
{
	const char *colon = strchr(text, ':');
	char user[256];
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	*owner = (struct ctl_owner){ .has_uid = false };
	if (len < sizeof(user)) {
		memcpy(user, text, len);
		user[len] = '\0';
		if ((len > 0 || colon) && (len == 0 || read_user(owner, user)) &&
		    (!colon || read_group(owner, colon + 1)))
			return true;
	}
	ctl_say("\"%s\" is no owner: USER, USER:GROUP or :GROUP, by name or number", text);
	return false;
}
