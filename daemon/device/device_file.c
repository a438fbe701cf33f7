/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A regular file that stands in for a device, on any file system: created sparse, locked, checked. It knows nothing of
 * how the file is mapped or what is in it.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/size.h"

#define FILE_ALIGN UINT64_C(4096)

static int refuse_size(const char *path, uint64_t size, struct why *why)
{
	char is[SIZE_TEXT_MAX], up[SIZE_TEXT_MAX];
	uint64_t next = size - size % FILE_ALIGN + FILE_ALIGN;

	return why_set(why, -EINVAL, "%s: size %s is not a multiple of the 4K page; did you mean %s?", path,
		       size_text(is, size), size_text(up, next));
}

/* A new file's name is durable only when its directory is. */
static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	/* Some file systems have no fsync for directories; they lose nothing by it. */
	return r == -EINVAL ? 0 : r;
}

/* The daemon died between creating and sizing, or somebody made it with touch: an empty file is as good as none. */
static int give_size(int fd, const char *path, uint64_t size, struct why *why)
{
	char text[SIZE_TEXT_MAX];
	int r;

	if (ftruncate(fd, (off_t)size) < 0) {
		r = -errno;
		return why_set(why, r, "%s cannot be made %s large: %s%s", path, size_text(text, size), strerror(-r),
			       r == -EFBIG ? " (the file system's largest file, or the limit of file sizes: ulimit -f)" : "");
	}
	if (fsync(fd) < 0) {
		r = -errno;
		return why_set(why, r, "%s cannot be made durable: %s", path, strerror(-r));
	}
	r = sync_directory(path);
	if (r < 0)
		return why_set(why, r, "the directory of %s cannot be made durable: %s", path, strerror(-r));
	return 0;
}

/* The file, and whether we made it. O_EXCL, so that a failure later on removes only what is ours. */
static int open_or_create(int *fd, bool *created, const struct device_request *request, struct why *why)
{
	int r;

	*created = false;
	if (request->size && !request->read_only) {
		*fd = open(request->spec, O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC, 0600);
		if (*fd >= 0) {
			*created = true;
			return 0;
		}
		r = -errno;
		if (r != -EEXIST)
			return why_set(why, r, "%s cannot be created: %s", request->spec, strerror(-r));
	}
	return device_open_node(fd, request->spec, request->read_only, why);
}

static int check_file(struct stat *st, int fd, const struct device_request *request, struct why *why)
{
	if (fstat(fd, st) < 0)
		return why_set(why, -errno, "%s: %s", request->spec, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return why_set(why, -EINVAL, "%s is no regular file", request->spec);
	return 0;
}

static int check_size(const struct stat *st, const char *path, struct why *why)
{
	uint64_t size = (uint64_t)st->st_size;

	if (!size)
		return why_set(why, -EINVAL, "%s is empty; say how large it is to be (size = 64G)", path);
	if (size % FILE_ALIGN)
		return refuse_size(path, size, why);
	return 0;
}

static void fill_info(struct device_info *info, const char *path, uint64_t size)
{
	info->kind = DEVICE_FILE;
	snprintf(info->path, sizeof(info->path), "%s", path);
	snprintf(info->mode, sizeof(info->mode), "file");
	info->size = size;
	info->align = FILE_ALIGN;
}

/* The lock comes before the first look at the size: the one who has it alone decides about an empty file. */
static int claim(struct stat *st, int fd, const struct device_request *request, struct why *why)
{
	int r = 0;

	if (!request->read_only)
		r = device_lock(fd, request->spec, why);
	if (r == 0)
		r = check_file(st, fd, request, why);
	if (r == 0 && !st->st_size && request->size && !request->read_only) {
		r = give_size(fd, request->spec, request->size, why);
		if (r == 0)
			r = check_file(st, fd, request, why);
	}
	if (r == 0)
		r = check_size(st, request->spec, why);
	return r;
}

int device_file_open(struct device *device, const struct device_request *request, struct why *why)
{
	bool created;
	struct stat st;
	int r;

	if (request->size % FILE_ALIGN)
		return refuse_size(request->spec, request->size, why);
	if (request->size > INT64_MAX)
		return why_set(why, -EFBIG, "%s: no file can be that large", request->spec);
	r = open_or_create(&device->fd, &created, request, why);
	if (r < 0)
		return r;
	r = claim(&st, device->fd, request, why);
	if (r < 0) {
		/* -EBUSY: in the moment between, another daemon took it for its own. */
		if (created && r != -EBUSY)
			unlink(request->spec);
		return r;
	}
	fill_info(&device->info, request->spec, (uint64_t)st.st_size);
	return 0;
}

/* Any client with a writable descriptor can truncate it; what is gone is gone, and must show. */
bool device_file_is_present(const struct device *device)
{
	struct stat st;

	return fstat(device->fd, &st) == 0 && st.st_nlink > 0 && (uint64_t)st.st_size >= device->info.size;
}
