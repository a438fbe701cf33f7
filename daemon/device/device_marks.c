/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_marks: a mark is a byte for one session and mode, far behind the end of any device. The
 * description that the session gets has an OFD read lock on it. The kernel keeps the lock as long
 * as anything refers to the description: a descriptor in any process, one on its way through a
 * socket, or a mapping made through it. The file knows no sessions; numbers come from above.
 *
 * A client has a descriptor of the device too and can lock bytes of it, those of the marks among
 * them. What is done against that:
 *
 *	a write lock over       The guard, a read lock of the daemon on all of them, keeps it out.
 *	bytes of marks          The guard dies with the daemon: who waited for that moment keeps
 *	                        new marks out until it ends, and is named.
 *	a read lock over        It hides those behind it, since the kernel shows only the oldest
 *	many marks              lock on a byte. So a lock that is not exactly the byte of the mark
 *	                        says nothing, and /proc/locks, which has all locks, is searched
 *	                        for that byte.
 *	a read lock on          It is a mark, for all that can be told: the space stays until the
 *	exactly one byte        lock goes.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"

#define MARK_FIRST  (UINT64_C(1) << 62)
#define MARK_LIMIT  (UINT64_C(1) << 61)
#define LOCKS_PATH  "/proc/locks"
/* some 200,000 locks; to read more would keep all clients waiting */
#define LOCKS_MAX   ((size_t)16 << 20)
#define LOCKS_TRIES 6
/* Reading the list takes at most a twentieth of the daemon's time, whoever provokes it. */
#define REST_TIMES  20

static struct flock byte_lock(uint64_t number, short type)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)(MARK_FIRST + number),
			       .l_len = 1 };
}

/* ---- reading /proc/locks ---- */

struct text {
	char  *bytes;   /* owned */
	size_t len, room;
};

static int text_grow(struct text *text)
{
	size_t room = text->room ? text->room * 2 : 16384;
	char *bytes = room > LOCKS_MAX ? NULL : realloc(text->bytes, room);

	if (!bytes)
		return room > LOCKS_MAX ? -EFBIG : -ENOMEM;
	text->bytes = bytes;
	text->room = room;
	return 0;
}

/* Reads the whole file, and counts the pieces in which the kernel gave it. */
static int read_once(struct text *text, unsigned *nr_pieces)
{
	int fd = open(LOCKS_PATH, O_RDONLY | O_CLOEXEC), r = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	text->len = 0;
	for (*nr_pieces = 0; r == 0 && got > 0; *nr_pieces += got > 0) {
		if (text->room - text->len < 4097)
			r = text_grow(text);
		if (r == 0) {
			got = read(fd, text->bytes + text->len, text->room - text->len - 1);
			r = got < 0 ? -errno : 0;
			text->len += got > 0 ? (size_t)got : 0;
		}
	}
	close(fd);
	if (r == 0)
		text->bytes[text->len] = '\0';
	return r;
}

/*
 * One piece shows one moment. Between two pieces the kernel skips a lock for each lock that goes,
 * and that may be a mark. So a list that came in pieces is believed only if it came twice, byte for
 * byte. Where others lock and unlock all the time it never does, and then nothing is known
 * (-EAGAIN).
 */
static int read_stable(struct text *text)
{
	struct text before = { 0 }, swap;
	unsigned nr_pieces = 0;
	int r = read_once(text, &nr_pieces);
	bool is_stable = r == 0 && nr_pieces <= 1;

	for (int i = 1; r == 0 && !is_stable && i < LOCKS_TRIES; i++) {
		swap = before;
		before = *text;
		*text = swap;
		r = read_once(text, &nr_pieces);
		is_stable = r == 0 && text->len == before.len &&
			    memcmp(text->bytes, before.bytes, text->len) == 0;
	}
	free(before.bytes);
	return r < 0 ? r : is_stable ? 0 : -EAGAIN;
}

static int add_byte(struct marks *marks, uint64_t byte)
{
	size_t room = marks->room ? marks->room * 2 : 64;
	uint64_t *bytes = marks->bytes;

	if (marks->nr == marks->room) {
		bytes = reallocarray(bytes, room, sizeof(*bytes));
		if (!bytes)
			return -ENOMEM;
		marks->bytes = bytes;
		marks->room = room;
	}
	bytes[marks->nr++] = byte;
	return 0;
}

/*
 * Takes one line, such as "7: OFDLCK ADVISORY  READ  -1 fe:00:1234 4611686018427387905
 * 4611686018427387905". A process that waits for a lock has "->" in its line, and no lock.
 */
static int take_line(struct marks *marks, const char *line, const char *inode, bool *is_ours)
{
	uint64_t first, last;
	char where[64];

	if (sscanf(line, "%*u: OFDLCK %*s %*s %*d %63s %" SCNu64 " %" SCNu64, where, &first,
		   &last) < 1 ||
	    strcmp(where, inode) != 0)
		return 0;
	*is_ours = true;
	if (sscanf(line, "%*u: OFDLCK %*s %*s %*d %*s %" SCNu64 " %" SCNu64, &first, &last) != 2 ||
	    first != last || first < MARK_FIRST)
		return 0;
	return add_byte(marks, first);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Takes all lines. At least the lock that hid the mark must be among them: otherwise the file does
 * not show the locks of this kernel or this device (-ENODATA).
 */
static int take_lines(struct marks *marks, char *text, const char *inode)
{
	bool is_ours = false;
	char *save = NULL;
	int r = 0;

	marks->nr = 0;
	for (char *line = strtok_r(text, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = take_line(marks, line, inode, &is_ours);
	if (r == 0 && !is_ours)
		r = -ENODATA;
	if (r == 0 && marks->nr)
		qsort(marks->bytes, marks->nr, sizeof(*marks->bytes), compare);
	return r;
}

/* Reads the list, unless it was read a short time ago. */
static int read_marks(struct device *device)
{
	struct marks *marks = &device->marks;
	struct text text = { 0 };
	uint64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	char inode[LOCK_INODE];
	int r;

	if (clock_ns(CLOCK_MONOTONIC) < marks->rest_until_ns)
		return -EAGAIN;
	lock_inode(inode, device->fd);
	r = read_stable(&text);
	if (r == 0)
		r = take_lines(marks, text.bytes, inode);
	free(text.bytes);
	/*
	 * The time that counts is that of the processor: on a busy machine other processes run in
	 * between.
	 */
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used;
	marks->rest_until_ns = clock_ns(CLOCK_MONOTONIC) + used * REST_TIMES;
	marks->is_read = r == 0;
	return r;
}

/* ---- locks that are no marks ---- */

static bool is_mark(const struct flock *lock, uint64_t number)
{
	return lock->l_type == F_RDLCK && lock->l_pid == -1 &&
	       lock->l_start == (off_t)(MARK_FIRST + number) && lock->l_len == 1;
}

static bool is_same_stranger(const struct device_stranger *stranger, const struct flock *lock)
{
	return stranger->is_there && stranger->first == (uint64_t)lock->l_start &&
	       stranger->len == (uint64_t)lock->l_len &&
	       stranger->is_write == (lock->l_type == F_WRLCK);
}

/*
 * Notes who has the lock. To find that out takes a look at every process: it is done once for each
 * stranger, and for one stranger at a time.
 */
static void note_stranger(struct device *device, const struct flock *lock)
{
	struct device_stranger *stranger = &device->marks.stranger;

	if (is_same_stranger(stranger, lock))
		return;
	*stranger = (struct device_stranger){ .is_there = true,
					      .is_write = lock->l_type == F_WRLCK,
					      .first = (uint64_t)lock->l_start,
					      .len = (uint64_t)lock->l_len,
					      .pid = lock->l_pid > 0 ? lock->l_pid : 0 };
	lock_inode(stranger->inode, device->fd);
	if (!stranger->pid)
		stranger->pid = lock_find_holder(device->fd, stranger->first, stranger->len);
	process_describe(stranger->comm, &stranger->uid, stranger->pid);
}

/*
 * Forgets the stranger when its lock is gone. If an older lock hides it, it is forgotten too, and
 * noted again when it is in the way again.
 */
static void forget_stranger(struct device *device)
{
	struct device_stranger *stranger = &device->marks.stranger;
	struct flock lock = byte_lock(0, F_WRLCK);

	if (!stranger->is_there)
		return;
	lock.l_start = (off_t)stranger->first;
	if (fcntl(device->fd, F_OFD_GETLK, &lock) == 0 && !is_same_stranger(stranger, &lock))
		*stranger = (struct device_stranger){ 0 };
}

/*
 * Looks for a lock on the last byte, which no session ever gets: who locks the bytes of all
 * sessions to come covers it.
 */
static void look_for_stranger(struct device *device)
{
	struct flock lock = byte_lock(MARK_LIMIT - 1, F_WRLCK);

	if (fcntl(device->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		note_stranger(device, &lock);
}

/* ---- what others call ---- */

/* Locks all marks for reading, so that no write lock on any of them is possible. */
static void guard(struct device *device)
{
	struct flock lock = byte_lock(0, F_RDLCK);

	lock.l_len = (off_t)MARK_LIMIT;
	device->marks.is_guarded = fcntl(device->fd, F_OFD_SETLK, &lock) == 0;
}

/*
 * The list of locks is read at the beginning of a look, if a question of the last look needed it.
 * Read in the middle of a look it would take the time of the questions that follow. Between looks
 * it is never read: sessions that end could make the daemon read it as often as they like.
 */
void device_look(struct device *device)
{
	struct marks *marks = &device->marks;

	marks->is_read = false;
	marks->err = marks->is_missed ? read_marks(device) : -EAGAIN;
	if (marks->is_read)
		marks->is_missed = false;
}

void device_look_end(struct device *device)
{
	device->marks.is_read = false;
}

void device_watch(struct device *device)
{
	if (!device->marks.is_guarded)
		guard(device);
	forget_stranger(device);
	look_for_stranger(device);
}

int device_mark(int fd, uint64_t number)
{
	struct flock lock = byte_lock(number, F_RDLCK);

	if (number >= MARK_LIMIT)
		return -EINVAL;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void device_blame(struct device *device, uint64_t number)
{
	struct flock lock = byte_lock(number, F_RDLCK);

	if (number < MARK_LIMIT && fcntl(device->fd, F_OFD_GETLK, &lock) == 0 &&
	    lock.l_type != F_UNLCK)
		note_stranger(device, &lock);
}

uint64_t device_mark_byte(uint64_t number)
{
	return MARK_FIRST + number;
}

void device_mark_inode(char inode[LOCK_INODE], const struct device *device)
{
	lock_inode(inode, device->fd);
}

int device_is_marked(struct device *device, uint64_t number)
{
	struct flock lock = byte_lock(number, F_WRLCK);
	uint64_t byte = MARK_FIRST + number;

	if (number >= MARK_LIMIT)
		return -EINVAL;
	if (fcntl(device->fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK)
		return 0;
	if (is_mark(&lock, number))
		return 1;
	note_stranger(device, &lock);
	if (!device->marks.is_read) {
		device->marks.is_missed = true;
		return device->marks.err < 0 ? device->marks.err : -EAGAIN;
	}
	return device->marks.nr && bsearch(&byte, device->marks.bytes, device->marks.nr,
					   sizeof(byte), compare)
		       ? 1
		       : 0;
}

const struct device_stranger *device_stranger(const struct device *device)
{
	return device->marks.stranger.is_there ? &device->marks.stranger : NULL;
}

void marks_fini(struct marks *marks)
{
	free(marks->bytes);
}

/*
 * The guard is on this very description, and F_OFD_GETLK does not see locks of its own description.
 * Of all others it shows one. If that is no mark, only the list of locks tells whether there is one
 * behind it: a lock that is in the way must not keep the daemon from starting.
 */
int device_has_marks(struct device *device)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)MARK_FIRST,
			      .l_len = (off_t)MARK_LIMIT };
	int r;

	if (fcntl(device->fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK)
		return 0;
	if (is_mark(&lock, (uint64_t)lock.l_start - MARK_FIRST))
		return 1;
	note_stranger(device, &lock);
	r = read_marks(device);
	device->marks.is_read = false;
	return r < 0 ? r : device->marks.nr > 0;
}
