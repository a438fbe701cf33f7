/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_file: a regular file that stands in for a device, on any file system: creates it sparse,
 * locks it, checks it. It does not know how the file is mapped or what is in it.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/wire/size.h"

#define FILE_ALIGN UINT64_C(4096)

static int refuse_size(const char *path, uint64_t size, struct why *why)
{
	char is[SIZE_TEXT_MAX], up[SIZE_TEXT_MAX];
	uint64_t next = size - size % FILE_ALIGN + FILE_ALIGN;

	return why_set(why, -EINVAL,
		       "%s: size %s is not a multiple of the 4K page; did you mean %s?", path,
		       size_text(is, size), size_text(up, next));
}

/* The name of a new file is durable only when its directory is. */
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
	/* Some file systems have no fsync() for directories, and need none. */
	return r == -EINVAL ? 0 : r;
}

/*
 * Asks btrfs to store each block of the file in its place for ever. By itself it writes a changed
 * block to a new place, and a full file system has none: a store to space that was allocated long
 * ago would fail. This is possible only while the file is empty; where it fails the file stays as
 * it is.
 */
static void keep_places(int fd)
{
	struct statfs fs;
	int flags;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC &&
	    ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

/*
 * Gives an empty file its size. It is empty because it was just created, because the daemon died
 * between creating it and this, or because somebody made it with touch.
 */
static int give_size(int fd, const char *path, uint64_t size, struct why *why)
{
	char text[SIZE_TEXT_MAX];
	int r;

	keep_places(fd);
	if (ftruncate(fd, (off_t)size) < 0) {
		r = -errno;
		return why_set(why, r, "%s cannot be made %s large: %s%s", path,
			       size_text(text, size), strerror(-r),
			       r == -EFBIG ? " (the file system's largest file, or the limit of "
					     "file sizes: ulimit -f)"
					   : "");
	}
	if (fsync(fd) < 0) {
		r = -errno;
		return why_set(why, r, "%s cannot be made durable: %s", path, strerror(-r));
	}
	r = sync_directory(path);
	if (r < 0)
		return why_set(why, r, "the directory of %s cannot be made durable: %s", path,
			       strerror(-r));
	return 0;
}

/*
 * Opens the file, or creates it; *created says which. With O_EXCL, so that a failure later on
 * removes only a file that was made here.
 */
static int open_or_create(int *fd, bool *created, const struct device_request *request,
			  struct why *why)
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
			return why_set(why, r, "%s cannot be created: %s", request->spec,
				       strerror(-r));
	}
	return device_node_open(fd, request->spec, request->read_only, why);
}

static int check_file(struct stat *st, int fd, const struct device_request *request,
		      struct why *why)
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
		return why_set(why, -EINVAL, "%s is empty; say how large it is to be (size = 64G)",
			       path);
	if (size % FILE_ALIGN)
		return refuse_size(path, size, why);
	return 0;
}

/*
 * A process with a limit of file sizes below the size of the file could not get blocks for what
 * lies beyond, and every request for it would fail for a reason that no client can see.
 */
static int check_limit(uint64_t size, const char *path, struct why *why)
{
	char is[SIZE_TEXT_MAX], may[SIZE_TEXT_MAX];
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur >= size)
		return 0;
	return why_set(why, -EFBIG,
		       "%s has %s, and this process may write files of %s at most: raise the limit "
		       "of file sizes (LimitFSIZE=, ulimit -f)",
		       path, size_text(is, size), size_text(may, limit.rlim_cur));
}

static void fill_info(struct device_info *info, const char *path, uint64_t size)
{
	info->kind = DEVICE_FILE;
	snprintf(info->path, sizeof(info->path), "%s", path);
	snprintf(info->mode, sizeof(info->mode), "file");
	info->size = size;
	info->align = FILE_ALIGN;
}

/*
 * Refuses a file on hugetlbfs. It can be mapped in huge pages only, each of which is taken when its
 * first byte is read, and a mapping of any other length cannot even be undone.
 */
static int check_file_system(int fd, const char *path, struct why *why)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return why_set(why, -errno, "%s: its file system cannot be looked at: %s", path,
			       strerror(errno));
	if (fs.f_type == HUGETLBFS_MAGIC)
		return why_set(
			why, -EOPNOTSUPP,
			"%s is on hugetlbfs, whose files are mapped in whole huge pages only; put "
			"it on tmpfs (mounted with huge=always it has huge pages too) or on a disk",
			path);
	return 0;
}

/*
 * The lock comes before the first look at the size: only the daemon that has the lock may decide
 * what becomes of an empty file.
 */
static int claim(struct stat *st, struct device *device, const struct device_request *request,
		 struct why *why)
{
	int fd = device->fd, r = check_file_system(fd, request->spec, why);

	if (r == 0 && !request->read_only)
		r = claim_take(device, request->spec, request->is_private, why);
	if (r == 0)
		r = check_file(st, fd, request, why);
	if (r == 0 && !st->st_size && request->size && !request->read_only) {
		if (device->made == MADE_NOTHING)
			device->made = MADE_SIZE;
		r = give_size(fd, request->spec, request->size, why);
		if (r == 0)
			r = check_file(st, fd, request, why);
	}
	if (r == 0)
		r = check_size(st, request->spec, why);
	if (r == 0 && !request->read_only)
		r = check_limit((uint64_t)st->st_size, request->spec, why);
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
	device->made = created ? MADE_FILE : MADE_NOTHING;
	snprintf(device->info.path, sizeof(device->info.path), "%s", request->spec);
	r = claim(&st, device, request, why);
	if (r < 0) {
		/*
		 * Another daemon has locked the file since it was created here: it belongs to that
		 * daemon now.
		 */
		if (r == -EBUSY)
			device->made = MADE_NOTHING;
		return r;
	}
	fill_info(&device->info, request->spec, (uint64_t)st.st_size);
	return 0;
}

/*
 * Returns how much of the file lies beyond @size. Blocks count too: fallocate(2) can put blocks
 * behind the end without making the file longer. The blocks that a file system uses for itself are
 * fewer than a 256th of the file.
 */
static uint64_t overhang_of(const struct stat *st, uint64_t size)
{
	uint64_t blocks = (uint64_t)st->st_blocks * 512,
		 most = size + size / 256 + (UINT64_C(1) << 20);

	if ((uint64_t)st->st_size > size)
		return (uint64_t)st->st_size - size;
	return blocks > most ? blocks - size : 0;
}

uint64_t device_file_cut(const struct device *device)
{
	struct stat st;
	uint64_t nr;

	if (device->read_only || fstat(device->fd, &st) < 0)
		return 0;
	nr = overhang_of(&st, device->info.size);
	/* Truncating the file to the length that it has gives the blocks behind its end back. */
	return nr > 0 && ftruncate(device->fd, (off_t)device->info.size) == 0 ? nr : 0;
}

/* Is the file at the path still the one that was made here, and not one that replaced it? */
static bool is_still_there(const struct device *device)
{
	struct stat ours, there;

	return fstat(device->fd, &ours) == 0 && lstat(device->info.path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void device_file_unmake(const struct device *device)
{
	int r = 0;

	if (device->made == MADE_SIZE)
		r = ftruncate(device->fd, 0);
	else if (is_still_there(device))
		r = unlink(device->info.path);
	/*
	 * A failure to remove the file is not reported: the caller has a refusal to report already,
	 * which is what the user must hear.
	 */
	(void)r;
}

/*
 * Is the file as long as it was? Any client with a writable descriptor can truncate it; then that
 * part of the arena is lost, and the arena must go offline. An fstat() that fails (no memory, a
 * signal) does not prove that.
 */
bool device_file_is_present(const struct device *device)
{
	struct stat st;

	if (fstat(device->fd, &st) < 0)
		return errno != ESTALE;
	return st.st_nlink > 0 && (uint64_t)st.st_size >= device->info.size;
}
