/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The locks of a device: one byte that the daemon holds exclusively, and a byte for every session's open file
 * description. All are OFD locks on offsets that no device reaches, so that they never meet a lock that a client takes
 * on its own data. The kernel keeps an OFD lock for as long as anything refers to the open file description: a
 * descriptor in any process, one in flight over a socket, or a mapping made through it.
 *
 * The locks belong to the inode of the file or of the /dev node. Two nodes of the same device-dax (mknod in a
 * container) do not see each other's locks; the daemon must be the only one that may open the device by itself.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MARK_FIRST  (UINT64_C(1) << 62)
#define MARK_LIMIT  (UINT64_C(1) << 61)
#define DAEMON_BYTE (MARK_FIRST - 1)

static struct flock byte_lock(uint64_t byte, short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1 };
}

static int take(int fd, uint64_t byte, short type)
{
	struct flock lock = byte_lock(byte, type);

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* Would an exclusive lock through @fd meet another description's? It never meets the ones of @fd itself. */
static int is_taken(int fd, uint64_t byte)
{
	struct flock lock = byte_lock(byte, F_WRLCK);

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

/* Does this fdinfo say that its descriptor holds the daemon's byte of the inode "major:minor:inode" (in hex)? */
static bool fdinfo_has_lock(int dirfd, const char *name, const char *inode)
{
	char line[256], byte[32];
	bool found = false;
	FILE *f;
	int fd;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	f = fdopen(fd, "re");
	if (!f) {
		close(fd);
		return false;
	}
	snprintf(byte, sizeof(byte), " %llu ", (unsigned long long)DAEMON_BYTE);
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK") && strstr(line, inode) &&
			strstr(line, byte);
	fclose(f);
	return found;
}

static bool process_has_lock(const char *pid, const char *inode)
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && fdinfo_has_lock(dirfd(dir), entry->d_name, inode);
	closedir(dir);
	return found;
}

/*
 * F_OFD_GETLK gives no pid (-1: the lock has no process), but every descriptor of the description shows the lock in its
 * fdinfo. Needs the right to look into the other process; one that lives in another PID namespace is not found.
 */
static long find_holder(int fd)
{
	char inode[64];
	struct dirent *entry;
	struct stat st;
	long pid = 0;
	DIR *dir;

	if (fstat(fd, &st) < 0)
		return 0;
	snprintf(inode, sizeof(inode), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!pid && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && process_has_lock(entry->d_name, inode))
			pid = atol(entry->d_name);
	closedir(dir);
	return pid;
}

static int refuse_busy(int fd, const char *path, struct why *why)
{
	char link[32], name[32] = "";
	long pid = find_holder(fd);
	FILE *f;

	if (!pid)
		return why_set(why, -EBUSY, "%s is in use by another process (which one cannot be told from here: try "
			       "'fuser -v %s' as root); stop it, or give this arena a device of its own", path, path);
	snprintf(link, sizeof(link), "/proc/%ld/comm", pid);
	f = fopen(link, "re");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		fclose(f);
	}
	name[strcspn(name, "\n")] = '\0';
	return why_set(why, -EBUSY, "%s is in use by process %ld (%s); stop it, or give this arena a device of its own",
		       path, pid, name[0] ? name : "it just ended");
}

int device_lock(int fd, const char *path, struct why *why)
{
	int r = take(fd, DAEMON_BYTE, F_WRLCK);

	if (r == -EBUSY)
		return refuse_busy(fd, path, why);
	if (r < 0)
		return why_set(why, r, "%s cannot be locked: %s; its file system must support fcntl locks", path,
			       strerror(-r));
	return 0;
}

int device_is_locked(int fd)
{
	return is_taken(fd, DAEMON_BYTE);
}

int device_mark(int fd, uint64_t number, bool shared)
{
	if (number >= MARK_LIMIT)
		return -EINVAL;
	/* The kernel grants a write lock on writable descriptions only. */
	return take(fd, MARK_FIRST + number, shared ? F_RDLCK : F_WRLCK);
}

int device_is_marked(const struct device *device, uint64_t number)
{
	if (number >= MARK_LIMIT)
		return -EINVAL;
	return is_taken(device->fd, MARK_FIRST + number);
}
