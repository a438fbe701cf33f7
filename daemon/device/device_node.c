/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_node: opens a path in /dev or in a file system; an error says what a person can do about
 * it.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/device/device_internal.h"

/* The group that may open devices; the udev rule gives the nodes to it. */
#define DEVICE_GROUP "pmemarena-dev"

void device_node_info_init(struct device_info *info)
{
	*info = (struct device_info){
		.resource = UINT64_MAX,
		.numa_node = -1,
		.region_id = -1,
		.unsafe_shutdowns = -1,
		.nr_badblocks = -1,
		.persistence = "unknown",
		.health = "unknown",
	};
}

static int refuse_access(const char *path, bool is_node, struct why *why)
{
	if (is_node)
		return why_set(why, -EACCES,
			       "no permission to open %s; run the daemon as a member of group %s "
			       "(and see that the udev rule gave the node to it), or as root",
			       path, DEVICE_GROUP);
	return why_set(why, -EACCES,
		       "no permission to open %s; the daemon's user must own it or its directory",
		       path);
}

int device_node_open(int *fd, const char *path, bool read_only, struct why *why)
{
	struct stat st;
	int r, new;

	/*
	 * With O_NONBLOCK open() does not wait if the path has become a FIFO. It means nothing for
	 * files and dax.
	 */
	new = open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (new < 0) {
		r = -errno;
		if (r == -EACCES || r == -EPERM)
			return refuse_access(path, stat(path, &st) == 0 && S_ISCHR(st.st_mode),
					     why);
		if (r == -ENXIO)
			return why_set(why, r,
				       "%s is not enabled; 'daxctl enable-device' or 'daxctl "
				       "reconfigure-device --mode=devdax' brings it up",
				       path);
		return why_set(why, r, "%s cannot be opened: %s", path, strerror(-r));
	}
	*fd = new;
	return 0;
}
