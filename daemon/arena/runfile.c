/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runfile: open, measure and fill a file of the runtime directory. It does not know what is in it.
 */
#include <config.h>

#include "daemon/arena/runfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

/* -ENAMETOOLONG */
static int make_path(char path[PATH_MAX], const char *dir, const uint8_t uuid[16], const char *suffix)
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

int runfile_open(int *fd, const char *dir, const uint8_t uuid[16], const char *suffix, int flags, struct why *why)
{
	char path[PATH_MAX];
	int opened, r;

	r = make_path(path, dir, uuid, suffix);
	if (r < 0)
		return why_set(why, r, "the path of the runtime directory %s is too long", dir);
	/* Nonblocking, so that a FIFO put there is refused instead of waited for. */
	opened = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (opened < 0)
		return why_set(why, -errno, "%s: %s", path, strerror(errno));
	r = check_regular(opened);
	if (r < 0) {
		close(opened);
		return why_set(why, r, "%s: not a regular file; remove it", path);
	}
	*fd = opened;
	return 0;
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

	/* libc writes zeroes where the file system cannot reserve. */
	do
		err = posix_fallocate(fd, (off_t)off, (off_t)len);
	while (err == EINTR);
	return -err;
}
