/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guise: a library for LD_PRELOAD that shows a program another host. $GUISE is a directory with files machine-id, boot_id, product_uuid and
 * hostname, which take the place of the system's; one that is missing is missing. By the number in the file `kernel` the locks over the
 * marks and the byte of the daemon are put elsewhere, so that programs with different numbers see none of each other's locks, as under two
 * kernels. That is for two daemons on one device in one test; what locks of two kernels really do, tests/guest shows.
 */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARKS      (INT64_C(1) << 62)
#define MARKS_LEN  (INT64_C(1) << 61)
#define PART       (INT64_C(1) << 58)
/* The bytes below the marks that the daemon locks for itself, and how far they are moved. */
#define OWN_BYTES  8

static const char *directory(void)
{
	return getenv("GUISE");
}

/* Returns the path of what stands for @path. */
static const char *shown(char to[PATH_MAX], const char *path)
{
	static const char *const paths[] = { "/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/sys/class/dmi/id/product_uuid" };
	static const char *const names[] = { "machine-id", "boot_id", "product_uuid" };

	for (int i = 0; directory() && path && i < 3; i++)
		if (strcmp(path, paths[i]) == 0) {
			snprintf(to, PATH_MAX, "%s/%s", directory(), names[i]);
			return to;
		}
	return path;
}

FILE *fopen(const char *path, const char *mode)
{
	static FILE *(*next)(const char *, const char *);
	char to[PATH_MAX];

	if (!next)
		next = (FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, "fopen");
	return next(shown(to, path), mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

static int open_shown(const char *path, int flags, mode_t mode)
{
	char to[PATH_MAX];

	return (int)syscall(SYS_openat, AT_FDCWD, shown(to, path), flags, mode);
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_shown(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_shown(path, flags, mode);
}

int gethostname(char *name, size_t len)
{
	char path[PATH_MAX];
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/hostname", directory() ? directory() : "/nowhere");
	fd = open_shown(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		got = read(fd, name, len - 1);
		close(fd);
	}
	name[got > 0 ? got : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return 0;
}

/* ---- locks ---- */

/* The number in the file `kernel`, from 1; 0: there is none. */
static int kernel(void)
{
	char path[PATH_MAX], text[8] = "";
	int fd;

	if (!directory())
		return 0;
	snprintf(path, sizeof(path), "%s/kernel", directory());
	fd = open_shown(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atoi(text);
}

/* Each kernel has a part of the bytes. What lies far behind, which no session gets, goes to the end of its part. */
static void move_there(struct flock *lock, int n)
{
	int64_t off = lock->l_start - MARKS;

	if (off < 0) {
		lock->l_start -= off >= -OWN_BYTES ? (int64_t)n * OWN_BYTES : 0;
		return;
	}
	if (off >= PART)
		off -= MARKS_LEN - PART;
	lock->l_start = MARKS + n * PART + off;
	if (lock->l_len > PART)
		lock->l_len = PART;
}

static void move_back(struct flock *lock, int n)
{
	if (lock->l_start >= MARKS)
		lock->l_start -= n * PART;
	else if (lock->l_start >= MARKS - (n + 1) * OWN_BYTES)
		lock->l_start += (int64_t)n * OWN_BYTES;
}

static int control(int fd, int command, void *arg)
{
	struct flock *lock = arg, mine;
	int n = command == F_OFD_SETLK || command == F_OFD_GETLK || command == F_OFD_SETLKW ? kernel() : 0, r;

	if (n == 0)
		return (int)syscall(SYS_fcntl, fd, command, arg);
	mine = *lock;
	move_there(&mine, n);
	r = (int)syscall(SYS_fcntl, fd, command, &mine);
	move_back(&mine, n);
	if (command == F_OFD_GETLK)
		*lock = mine;
	return r;
}

int fcntl(int fd, int command, ...)
{
	void *arg;
	va_list ap;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, command, arg);
}

int fcntl64(int fd, int command, ...)
{
	void *arg;
	va_list ap;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, command, arg);
}
