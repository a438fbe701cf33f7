/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_lock: the byte that the daemon locks on an inode of which no client gets a descriptor
 * (device_claim.c says which inode that is), and who has a lock. All locks are OFD locks: they
 * belong to an open file description and not to a process.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "daemon/command.h"

#define DAEMON_BYTE ((UINT64_C(1) << 62) - 1)
#define PROBE_BYTE  (DAEMON_BYTE - 1)

static struct flock byte_lock(uint64_t byte, short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1
	};
}

static int take(int fd, uint64_t byte, short type)
{
	struct flock lock = byte_lock(byte, type);

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* ---- who has a lock ---- */

static bool ends_with(const char *line, const char *end)
{
	size_t len = strlen(line), end_len = strlen(end);

	return len >= end_len && strcmp(line + len - end_len, end) == 0;
}

/*
 * Finds the next lock in the fdinfo file @f whose line ends with @range ("" fits every line), and
 * copies its inode.
 */
static bool find_line(char inode[LOCK_INODE], FILE *f, const char *range)
{
	char line[256];
	bool found = false;

	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = sscanf(line, "lock: %*u: OFDLCK %*s %*s %*d %63s", inode) == 1 &&
			ends_with(line, range);
	}
	return found;
}

static bool find_own(char inode[LOCK_INODE], int fd)
{
	char path[64];
	bool found;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	found = find_line(inode, f, "");
	fclose(f);
	return found;
}

/*
 * Finds out how the kernel writes the inode of @fd in its lists of locks. On btrfs and overlayfs
 * that is not what fstat() says: so a lock of this process is looked up, and fstat() is used only
 * if there is none.
 */
void lock_inode(char inode[LOCK_INODE], int fd)
{
	bool found = find_own(inode, fd);
	struct stat st;

	if (!found && take(fd, PROBE_BYTE, F_RDLCK) == 0) {
		found = find_own(inode, fd);
		take(fd, PROBE_BYTE, F_UNLCK);
	}
	if (!found && fstat(fd, &st) == 0)
		snprintf(inode, LOCK_INODE, "%02x:%02x:%" PRIu64, major(st.st_dev),
			 minor(st.st_dev), (uint64_t)st.st_ino);
	else if (!found)
		inode[0] = '\0';
}

static bool descriptor_has_lock(int dirfd, const char *name, const char *inode, const char *range)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	char found[LOCK_INODE];
	bool has = false;
	FILE *f;

	if (fd < 0)
		return false;
	f = fdopen(fd, "re");
	if (!f) {
		close(fd);
		return false;
	}
	while (!has && find_line(found, f, range))
		has = strcmp(found, inode) == 0;
	fclose(f);
	return has;
}

/*
 * Has the process such a lock through a descriptor other than @fd? A lock of this daemon can look
 * the same.
 */
static bool process_has_lock(const char *pid, int fd, const char *inode, const char *range)
{
	int except = atol(pid) == getpid() ? fd : -1;
	struct dirent *entry;
	bool found = false;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && atoi(entry->d_name) != except &&
			descriptor_has_lock(dirfd(dir), entry->d_name, inode, range);
	closedir(dir);
	return found;
}

/*
 * F_OFD_GETLK gives no process id, since the lock has no process. But every descriptor of the
 * description shows the lock in its fdinfo. This needs the right to look into the other process,
 * and does not find one in another PID namespace.
 */
long lock_find_holder(int fd, uint64_t first, uint64_t len)
{
	char inode[LOCK_INODE], range[64];
	struct dirent *entry;
	long pid = 0;
	DIR *dir;

	lock_inode(inode, fd);
	if (len)
		snprintf(range, sizeof(range), " %" PRIu64 " %" PRIu64, first, first + len - 1);
	else
		snprintf(range, sizeof(range), " %" PRIu64 " EOF", first);
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!pid && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    process_has_lock(entry->d_name, fd, inode, range))
			pid = atol(entry->d_name);
	closedir(dir);
	return pid;
}

void process_describe(char comm[COMMAND_SIZE], uint32_t *uid, long pid)
{
	char path[64];
	struct stat st;

	*uid = UINT32_MAX;
	snprintf(path, sizeof(path), "/proc/%ld", pid);
	if (stat(path, &st) == 0)
		*uid = st.st_uid;
	command_of(comm, pid);
}

/* ---- the byte that the daemon locks ---- */

static int refuse_busy(int fd, const char *spec, struct why *why)
{
	long pid = lock_find_holder(fd, DAEMON_BYTE, 1);
	char comm[COMMAND_SIZE];
	uint32_t uid;

	if (!pid)
		return why_set(why, -EBUSY,
			       "%s is in use by another process (which one cannot be told from "
			       "here: try 'fuser -v %s' as root, in each container); stop it, or "
			       "give this arena a device of its own",
			       spec, spec);
	process_describe(comm, &uid, pid);
	return why_set(
		why, -EBUSY,
		"%s is in use by process %ld (%s); stop it, or give this arena a device of its own",
		spec, pid, comm[0] ? comm : "it just ended");
}

int lock_take(int fd, const char *spec, struct why *why)
{
	int r = take(fd, DAEMON_BYTE, F_WRLCK);

	if (r == -EBUSY)
		return refuse_busy(fd, spec, why);
	if (r < 0)
		return why_set(why, r,
			       "%s cannot be locked: %s; its file system must support fcntl locks",
			       spec, strerror(-r));
	return 0;
}

int lock_is_taken(int fd)
{
	struct flock lock = byte_lock(DAEMON_BYTE, F_WRLCK);

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}
