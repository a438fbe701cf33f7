/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device: the code above the two kinds of backing: decides which kind a path is, opens it, opens it
 * anew for others, and asks the right kind for the rest.
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


static struct device *device_zero(void)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->fd = -1;
	device_node_info_init(&device->info);
	return device;
}

static int refuse_type(const char *path, mode_t mode, struct why *why)
{
	if (S_ISDIR(mode))
		return why_set(why, -EISDIR, "%s is a directory; name a file in it", path);
	if (S_ISBLK(mode))
		return why_set(why, -EINVAL,
			       "%s is a block device; an arena needs device-dax ('ndctl "
			       "create-namespace --mode=devdax' makes it) or a regular file",
			       path);
	return why_set(why, -EINVAL, "%s is neither device-dax nor a regular file", path);
}

/*
 * Is @path in /dev, where no file is created? A device node that is missing there must not become a
 * file in memory. /dev/shm is meant for files.
 */
static bool is_device_path(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0;
}

/* The path does not exist. A file may be created; a device node may not. */
static int open_absent(struct device *device, const struct device_request *request, int err,
		       struct why *why)
{
	if (err == -ENOENT && is_device_path(request->spec))
		return why_set(why, -ENODEV,
			       "there is no device %s; 'daxctl list -Di' shows what there is",
			       request->spec);
	if (err == -ENOENT && request->size && !request->read_only)
		return device_file_open(device, request, why);
	if (err == -ENOENT && request->never_creates)
		return why_set(why, err,
			       "there is no file %s; with format = if-blank it would be created, "
			       "or `pmemarenactl format` makes it",
			       request->spec);
	if (err == -ENOENT)
		return why_set(why, err,
			       "there is no file %s; with a size it would be created (size = 64G)",
			       request->spec);
	return why_set(why, err, "%s: %s", request->spec, strerror(-err));
}

static int open_kind(struct device *device, const struct device_request *request, struct why *why)
{
	struct stat st;

	if (!request->spec || !request->spec[0])
		return why_set(why, -EINVAL, "no device was named");
	if (strlen(request->spec) >= PATH_MAX)
		return why_set(why, -ENAMETOOLONG, "a device's path has at most %d bytes",
			       PATH_MAX - 1);
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
	if (!device->read_only && !request->is_private)
		device_watch(device);
	*out = device;
	return 0;
}

void device_close(struct device *device)
{
	if (!device)
		return;
	if (device->made != MADE_NOTHING)
		device_file_unmake(device);
	claim_drop(device);
	marks_fini(&device->marks);
	if (device->fd >= 0)
		close(device->fd);
	free(device);
}

void device_keep(struct device *device)
{
	if (device)
		device->made = MADE_NOTHING;
}

const struct device_info *device_info(const struct device *device)
{
	return &device->info;
}

int device_fd(const struct device *device)
{
	return device->fd;
}

/* Is it the inode that this device was opened by? */
static bool is_same(const struct device *device, const struct stat *st)
{
	return st->st_dev == device->dev && st->st_ino == device->ino &&
	       st->st_rdev == device->rdev;
}

/*
 * Opens the device by its path, where /proc is not mounted. Another file may have the path by now:
 * -ESTALE.
 */
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
	/* The link leads to the inode, even if the path was renamed, removed or replaced. */
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

uint64_t device_cut(const struct device *device)
{
	return device->info.kind == DEVICE_FILE ? device_file_cut(device) : 0;
}

bool device_is_present(const struct device *device)
{
	if (device->info.kind == DEVICE_DAX)
		return device_dax_is_present(device);
	return device_file_is_present(device);
}
