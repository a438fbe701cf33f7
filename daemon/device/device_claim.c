/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * claim: keeps a second daemon from a device. The lock must be on an inode of which no client ever
 * gets a descriptor: a client could lock the device itself, and keep the next daemon out. So the
 * lock is elsewhere:
 *
 *	metadata apart  on the inode of the metadata: nobody else opens it, and every daemon
 *	                that serves the arena needs it, in whatever container it runs
 *	a file          on a lock file beside it that has the number of its inode in its name:
 *	                who sees the file by another path sees its directory too. Where its
 *	                metadata is on it, also on one in a directory that all daemons of a host
 *	                share, for those who see the file alone (a mount of one file)
 *	device-dax      on a lock file that has the device's number in its name, in a directory
 *	                that all daemons of a host share: all nodes of a device have that number
 *
 * Where a lock file cannot be made, the next shared directory is tried. One that exists counts in
 * each of them, so that daemons of different users, who may write to different ones, still meet. In
 * a directory where everybody may write, a file counts only if it belongs to root, to this daemon's
 * user or to the owner of the device: other users could keep the daemon out with it.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define TRIES      1000

/*
 * The shared directories. The first one comes with the package; the others are for users who may
 * not write to it.
 */
static const char *const shared[] = { "/run/pmemarena", "/run/lock", "/dev/shm" };
#define NR_SHARED (sizeof(shared) / sizeof(*shared))

/* The lock is taken; or the place is of no use, and the next one is tried. */
enum { TAKEN, NO_USE };

struct place {
	char dir[PATH_MAX];
	char path[PATH_MAX];
	struct stat device;     /* the device that the lock is for */
	struct stat of_dir;
	/* why a directory could not be looked at; 0: none failed but by absence */
	int err;
};

/* ---- where the lock file is ---- */

static int name_place(struct place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Writes the path of a lock file in place->dir, and looks at that directory. */
static int name_place(struct place *place, const char *format, ...)
{
	char name[96];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	if (snprintf(place->path, sizeof(place->path), "%s/%s", place->dir, name) >=
	    (int)sizeof(place->path))
		return NO_USE;
	if (stat(place->dir, &place->of_dir) < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			place->err = errno;
		return NO_USE;
	}
	return S_ISDIR(place->of_dir.st_mode) ? TAKEN : NO_USE;
}

/* Names the lock file in the shared directory @i. */
static int name_shared(struct place *place, size_t i)
{
	const struct stat *st = &place->device;

	snprintf(place->dir, sizeof(place->dir), "%s", shared[i]);
	if (S_ISCHR(st->st_mode))
		return name_place(place, "pmemarena-dax-%u:%u.lock", major(st->st_rdev),
				  minor(st->st_rdev));
	return name_place(place, "pmemarena-file-%u:%u-%" PRIu64 ".lock", major(st->st_dev),
			  minor(st->st_dev), (uint64_t)st->st_ino);
}

/*
 * Names the lock file beside a file: in the directory that the file itself is in, and not in one
 * that has a link to it.
 */
static int name_beside(struct place *place, int fd, const char *spec)
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, place->dir, sizeof(place->dir) - 1);
	if (len < 0 && !realpath(spec, place->dir))
		return NO_USE;
	if (len >= 0)
		place->dir[len] = '\0';
	if (!strrchr(place->dir, '/'))
		return NO_USE;
	*strrchr(place->dir, '/') = '\0';
	if (!place->dir[0])
		strcpy(place->dir, "/");
	return name_place(place, ".pmemarena-%" PRIu64 ".lock", (uint64_t)place->device.st_ino);
}

/* ---- whether the lock file counts ---- */

static bool is_trusted(const struct place *place, const struct stat *st)
{
	if (!(place->of_dir.st_mode & S_IWOTH))
		return true;
	return st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == place->device.st_uid;
}

/*
 * root gives a lock file that it made to the user who serves the device on other days, and who
 * could not open it otherwise.
 */
static void give_to_owner(int fd, const struct place *place)
{
	const struct stat *to = S_ISCHR(place->device.st_mode) ? &place->of_dir : &place->device;

	if (geteuid() == 0 && to->st_uid != 0 && fchown(fd, to->st_uid, to->st_gid) < 0)
		return;         /* then only root can open it; the refusal says so */
}

static int refuse_unopened(const struct place *place, const char *spec, int r, struct why *why)
{
	return why_set(why, r,
		       "%s, the lock of %s, cannot be opened: %s; another user's daemon may have "
		       "it. When none runs, remove the file",
		       place->path, spec, strerror(-r));
}

/* A lack of descriptors or memory says nothing of the place, and the next place would fail too. */
static bool is_ours_to_lack(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == EINTR;
}

static int refuse_lack(const struct place *place, int err, struct why *why)
{
	return why_set(why, -err,
		       "%s, the lock of the device, cannot be looked at or made: %s; see to that "
		       "and start again",
		       place->path, strerror(err));
}

/*
 * Opens the lock file, and makes it if @may_make. TAKEN with *fd, NO_USE, or an error with a
 * sentence.
 */
static int open_lock(int *fd, const struct place *place, bool may_make, const char *spec,
		     struct why *why)
{
	struct stat st;
	int r;

	*fd = open(place->path, O_RDWR | OPEN_FLAGS);
	if (*fd < 0 && errno == ENOENT && may_make) {
		*fd = open(place->path, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
		if (*fd >= 0)
			give_to_owner(*fd, place);
		else if (errno == EEXIST)
			return -EAGAIN;
		else
			return is_ours_to_lack(errno) ? refuse_lack(place, errno, why) : NO_USE;
	}
	r = -errno;
	if (*fd < 0 && is_ours_to_lack(-r))
		return refuse_lack(place, -r, why);
	if (*fd < 0 && r != -EACCES && r != -EPERM)
		return NO_USE;
	if (*fd < 0)
		return lstat(place->path, &st) == 0 && is_trusted(place, &st)
			       ? refuse_unopened(place, spec, r, why)
			       : NO_USE;
	r = fstat(*fd, &st) < 0 ? -errno : 0;
	if (r == 0 && S_ISREG(st.st_mode) && is_trusted(place, &st))
		return TAKEN;
	close(*fd);
	return r < 0 ? refuse_lack(place, -r, why) : NO_USE;
}

/*
 * The daemon before this one removes the lock file while it still has the lock. So the file that
 * was locked here may be gone, or another one may have its name: then all is tried again.
 */
static int check_there(int fd, const struct place *place, struct why *why)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0)
		return refuse_lack(place, errno, why);
	if (lstat(place->path, &b) < 0)
		return errno == ENOENT ? -EAGAIN : refuse_lack(place, errno, why);
	return a.st_ino == b.st_ino && a.st_dev == b.st_dev ? 0 : -EAGAIN;
}

/* Opens and locks the lock file of a place, and adds it to device->claims. */
static int take_place(struct device *device, const struct place *place, bool may_make,
		      const char *spec, struct why *why)
{
	struct claim *claim = &device->claims[device->nr_claims];
	int fd, r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < TRIES; i++) {
		r = open_lock(&fd, place, may_make, spec, why);
		if (r != TAKEN)
			continue;
		r = lock_take(fd, spec, why);
		if (r == 0)
			r = check_there(fd, place, why);
		if (r < 0)
			close(fd);
	}
	if (r != TAKEN)
		return r == -EAGAIN ? why_set(why, r, "%s comes and goes; try again", place->path)
				    : r;
	claim->path = strdup(place->path);
	if (!claim->path) {
		close(fd);
		return why_set(why, -ENOMEM, "out of memory");
	}
	claim->fd = fd;
	device->nr_claims++;
	return TAKEN;
}

static int refuse_placeless(const char *spec, int err, struct why *why)
{
	if (err)
		return why_set(why, -err, "%s: no directory for its lock file can be looked at: %s",
			       spec, strerror(err));
	return why_set(why, -EACCES,
		       "%s: there is no place for its lock file, which keeps two daemons from one "
		       "device: neither its own directory (of a file) nor %s, %s or %s can be "
		       "written to (what another user left there counts for nothing); make one of "
		       "them writable for the daemon",
		       spec, shared[0], shared[1], shared[2]);
}

/* Has the device this lock file already? */
static bool has_place(const struct device *device, const struct place *place)
{
	for (unsigned i = 0; i < device->nr_claims; i++)
		if (strcmp(device->claims[i].path, place->path) == 0)
			return true;
	return false;
}

/*
 * Locks each lock file that exists in the shared directories, and makes one if @may_make and none
 * does.
 */
static int take_shared(struct device *device, struct place *place, bool may_make, const char *spec,
		       struct why *why)
{
	unsigned nr_before = device->nr_claims;
	int r = TAKEN;

	for (size_t i = 0; r >= 0 && i < NR_SHARED; i++) {
		bool is_named = name_shared(place, i) == TAKEN;

		if (is_named && has_place(device, place))
			may_make = false;
		else if (is_named)
			r = take_place(device, place, may_make && device->nr_claims == nr_before,
				       spec, why);
	}
	return r;
}

int claim_take(struct device *device, const char *spec, bool is_private, struct why *why)
{
	struct place place = { .err = 0 };
	int r = TAKEN;

	if (fstat(device->fd, &place.device) < 0)
		return why_set(why, -errno, "%s: %s", spec, strerror(errno));
	if (is_private)
		r = lock_take(device->fd, spec, why);
	if (r < 0 || (is_private && S_ISREG(place.device.st_mode)))
		return r;
	if (S_ISREG(place.device.st_mode) && name_beside(&place, device->fd, spec) == TAKEN)
		r = take_place(device, &place, true, spec, why);
	if (r >= 0)
		r = take_shared(device, &place, device->nr_claims == 0, spec, why);
	if (r < 0)
		return r;
	return device->nr_claims ? 0 : refuse_placeless(spec, place.err, why);
}

int device_claim_whole(struct device *device, struct why *why)
{
	struct place place = { .err = 0 };
	int r;

	if (device->read_only || device->info.kind == DEVICE_DAX)
		return 0;
	if (fstat(device->fd, &place.device) < 0)
		return why_set(why, -errno, "%s: %s", device->info.path, strerror(errno));
	r = take_shared(device, &place, true, device->info.path, why);
	return r < 0 ? r : 0;
}

void claim_drop(struct device *device)
{
	while (device->nr_claims) {
		struct claim *claim = &device->claims[--device->nr_claims];

		unlink(claim->path);
		close(claim->fd);
		free(claim->path);
	}
}

int claim_is_taken(int fd)
{
	struct place place = { .err = 0 };
	int lock, r = 0;

	if (fstat(fd, &place.device) < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < NR_SHARED; i++) {
		struct why why;

		if (name_shared(&place, i) != TAKEN ||
		    open_lock(&lock, &place, false, "", &why) != TAKEN)
			continue;
		r = lock_is_taken(lock);
		close(lock);
	}
	return r;
}
