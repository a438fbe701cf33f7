/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one code path above the two kinds of backing: decides which kind a path is, opens descriptions of it anew, and
 * asks the right kind for the rest.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The group that may open devices; the udev rule gives them to it. */
#define DEVICE_GROUP "pmemarena-dev"

void device_info_init(struct device_info *info)
{
	*info = (struct device_info){
		.resource = UINT64_MAX, .numa_node = -1, .region_id = -1, .unsafe_shutdowns = -1,
		.persistence = "unknown", .health = "unknown",
	};
}

static struct device *device_zero(void)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->fd = -1;
	device_info_init(&device->info);
	return device;
}

static int refuse_access(const char *path, bool is_node, struct why *why)
{
	if (is_node)
		return why_set(why, -EACCES, "no permission to open %s; run the daemon as a member of group %s (and see that "
			       "the udev rule gave the node to it), or as root", path, DEVICE_GROUP);
	return why_set(why, -EACCES, "no permission to open %s; the daemon's user must own it or its directory", path);
}

int device_open_node(int *fd, const char *path, bool read_only, struct why *why)
{
	struct stat st;
	int r, new;

	/* O_NONBLOCK: the file may have become a FIFO since somebody looked. It means nothing to files and to dax. */
	new = open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (new < 0) {
		r = -errno;
		if (r == -EACCES || r == -EPERM)
			return refuse_access(path, stat(path, &st) == 0 && S_ISCHR(st.st_mode), why);
		if (r == -ENXIO)
			return why_set(why, r, "%s is not enabled; 'daxctl enable-device' or 'daxctl reconfigure-device "
				       "--mode=devdax' brings it up", path);
		return why_set(why, r, "%s cannot be opened: %s", path, strerror(-r));
	}
	*fd = new;
	return 0;
}

static int refuse_type(const char *path, mode_t mode, struct why *why)
{
	if (S_ISDIR(mode))
		return why_set(why, -EISDIR, "%s is a directory; name a file in it", path);
	if (S_ISBLK(mode))
		return why_set(why, -EINVAL, "%s is a block device; an arena needs device-dax ('ndctl create-namespace "
			       "--mode=devdax' makes it) or a regular file", path);
	return why_set(why, -EINVAL, "%s is neither device-dax nor a regular file", path);
}

/* /dev is no place for files, but for /dev/shm: a node that is missing there must not become a file in memory. */
static bool is_device_path(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0;
}

static int open_absent(struct device *device, const struct device_request *request, int err, struct why *why)
{
	if (err == -ENOENT && is_device_path(request->spec))
		return why_set(why, -ENODEV, "there is no device %s; 'daxctl list -Di' shows what there is", request->spec);
	if (err == -ENOENT && request->size && !request->read_only)
		return device_file_open(device, request, why);
	if (err == -ENOENT)
		return why_set(why, err, "there is no file %s; with a size it would be created (size = 64G)",
			       request->spec);
	return why_set(why, err, "%s: %s", request->spec, strerror(-err));
}

static int open_kind(struct device *device, const struct device_request *request, struct why *why)
{
	struct stat st;

	if (!request->spec || !request->spec[0])
		return why_set(why, -EINVAL, "no device was named");
	if (strlen(request->spec) >= PATH_MAX)
		return why_set(why, -ENAMETOOLONG, "a device's path has at most %d bytes", PATH_MAX - 1);
	if (stat(request->spec, &st) < 0)
		return open_absent(device, request, -errno, why);
	if (S_ISREG(st.st_mode))
		return device_file_open(device, request, why);
	if (S_ISCHR(st.st_mode))
		return device_dax_open(device, request, why);
	return refuse_type(request->spec, st.st_mode, why);
}

int device_open(struct device **out, const struct device_request *request, struct why *why)
{
	struct device *device = device_zero();
	struct stat st;
	int r;

	if (!device)
		return why_set(why, -ENOMEM, "out of memory");
	device->read_only = request->read_only;
	r = open_kind(device, request, why);
	if (r == 0 && fstat(device->fd, &st) < 0)
		r = why_set(why, -errno, "%s: %s", request->spec, strerror(errno));
	if (r < 0) {
		device_close(device);
		return r;
	}
	device->dev = st.st_dev;
	device->ino = st.st_ino;
	device->rdev = st.st_rdev;
	*out = device;
	return 0;
}

void device_close(struct device *device)
{
	if (!device)
		return;
	if (device->fd >= 0)
		close(device->fd);
	free(device);
}

const struct device_info *device_info(const struct device *device)
{
	return &device->info;
}

int device_fd(const struct device *device)
{
	return device->fd;
}

static bool is_same(const struct device *device, const struct stat *st)
{
	return st->st_dev == device->dev && st->st_ino == device->ino && st->st_rdev == device->rdev;
}

/* Without /proc there is only the path, which may be somebody else's by now. */
static int reopen_by_path(int *fd, const struct device *device, int flags)
{
	struct stat st;
	int r = 0, new;

	new = open(device->info.path, flags);
	if (new < 0)
		return -errno;
	if (fstat(new, &st) < 0)
		r = -errno;
	else if (!is_same(device, &st))
		r = -ESTALE;
	if (r < 0) {
		close(new);
		return r;
	}
	*fd = new;
	return 0;
}

int device_reopen(int *fd, const struct device *device, int flags)
{
	char link[32];
	int new;

	flags = (flags & O_ACCMODE) | O_CLOEXEC | O_NOCTTY;
	if (device->read_only && flags & (O_WRONLY | O_RDWR))
		return -EROFS;
	/* The link leads to the inode, also when the path was renamed, unlinked or replaced since. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", device->fd);
	new = open(link, flags);
	if (new >= 0) {
		*fd = new;
		return 0;
	}
	return errno == ENOENT ? reopen_by_path(fd, device, flags) : -errno;
}

int device_list(struct device_info **out, size_t *nr, struct why *why)
{
	return device_dax_list(out, nr, why);
}

int device_badblocks(const struct device *device, struct device_range **out, size_t *nr)
{
	if (device->info.kind == DEVICE_DAX)
		return device_dax_badblocks(device, out, nr);
	*out = NULL;
	*nr = 0;
	return 0;
}

int device_deep_flush(const struct device *device)
{
	return device->info.kind == DEVICE_DAX ? device_dax_deep_flush(device) : -EOPNOTSUPP;
}

bool device_is_present(const struct device *device)
{
	if (device->info.kind == DEVICE_DAX)
		return device_dax_is_present(device);
	return device_file_is_present(device);
}
