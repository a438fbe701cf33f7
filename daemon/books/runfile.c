/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runfile: opens, locks, measures and fills a file of the runtime directory. It does not know what
 * is in it.
 */
#include <config.h>

#include "daemon/books/runfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

/* Writes <dir>/<uuid><suffix> to @path. -ENAMETOOLONG */
static int make_path(char path[PATH_MAX], const char *dir, const uint8_t uuid[16],
		     const char *suffix)
{
	char text[UUID_STR_LEN];
	int len;

	uuid_unparse_lower(uuid, text);
	len = snprintf(path, PATH_MAX, "%s/%s%s", dir, text, suffix);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int check_regular(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/*
 * Says why a file could not be opened. Often a daemon of another user, root for example, made it:
 * then *why names that user and what to do. Returns @err.
 */
static int refuse(const char *path, const char *dir, int err, struct why *why)
{
	struct stat st;

	if (err != -EACCES && err != -EPERM)
		return why_set(why, err, "%s: %s", path, strerror(-err));
	if (lstat(path, &st) == 0)
		return why_set(why, err,
			       "%s belongs to uid %u, and this daemon, of uid %u, may not open it: "
			       "a daemon of that user was here before. Run "
			       "it as that user, or end its clients and remove the file, or use "
			       "another runtime-directory",
			       path, (unsigned)st.st_uid, (unsigned)geteuid());
	return why_set(why, err, "%s cannot be created: uid %u may not write to %s", path,
		       (unsigned)geteuid(), dir);
}

static int refuse_long(const char *dir, struct why *why)
{
	return why_set(why, -ENAMETOOLONG, "the path of the runtime directory %s is too long", dir);
}

static int open_path(int *fd, const char *path, const char *dir, int flags, struct why *why)
{
	int opened, r;

	/*
	 * O_NONBLOCK: opening a FIFO that somebody put there would wait for a writer; so it is
	 * opened and refused.
	 */
	opened = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (opened < 0)
		return refuse(path, dir, -errno, why);
	r = check_regular(opened);
	if (r < 0) {
		close(opened);
		return r == -EINVAL ? why_set(why, r, "%s: not a regular file; remove it", path)
				    : why_set(why, r, "%s: %s", path, strerror(-r));
	}
	*fd = opened;
	return 0;
}

int runfile_open(int *fd, const char *dir, const uint8_t uuid[16], const char *suffix, int flags,
		 struct why *why)
{
	char path[PATH_MAX];

	return make_path(path, dir, uuid, suffix) < 0 ? refuse_long(dir, why)
						      : open_path(fd, path, dir, flags, why);
}

int runfile_open_named(int *fd, const char *dir, const char *name, int flags, struct why *why)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)
		       ? refuse_long(dir, why)
		       : open_path(fd, path, dir, flags, why);
}

int runfile_remove(const char *dir, const uint8_t uuid[16], const char *suffix, struct why *why)
{
	char path[PATH_MAX];

	if (make_path(path, dir, uuid, suffix) < 0)
		return refuse_long(dir, why);
	return unlink(path) == 0 ? 0
				 : why_set(why, -errno, "%s cannot be removed: %s", path,
					   strerror(errno));
}

int runfile_boot_id(char boot_id[RUNFILE_BOOT_ID], struct why *why)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int r;

	if (fd < 0)
		return why_set(why, -errno, "%s: %s", path, strerror(errno));
	got = read(fd, boot_id, RUNFILE_BOOT_ID);
	r = got < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return why_set(why, r, "%s cannot be read: %s", path, strerror(-r));
	return got == RUNFILE_BOOT_ID ? 0
				      : why_set(why, -EIO, "%s: read %zd bytes, expected %d", path,
						got, RUNFILE_BOOT_ID);
}

int runfile_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int runfile_size(uint64_t *size, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

int runfile_allocate(int fd, uint64_t off, uint64_t len)
{
	int err;

	/* Where the file system cannot reserve, libc writes zeroes instead. */
	do
		err = posix_fallocate(fd, (off_t)off, (off_t)len);
	while (err == EINTR);
	return -err;
}
