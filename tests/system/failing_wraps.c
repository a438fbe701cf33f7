/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls that can fail, each with its kind and the errors that the real one could have had. A test that wants the second
 * error of a call gets the first of one that has a single error. EINTR is never the second, but where nobody would try again: a
 * call that is interrupted for good is none that the real one could be.
 *
 * The allocators are those of the GNU C library under their second names, since looking up the first ones may itself allocate.
 */
#include <config.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/system/failing.h"

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void *out_of_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *malloc(size_t size)
{
	return STRIKES("malloc", MEMORY, ENOMEM) ? out_of_memory() : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return STRIKES("calloc", MEMORY, ENOMEM) ? out_of_memory() : __libc_calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	return STRIKES("realloc", MEMORY, ENOMEM) ? out_of_memory() : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t nr, size_t size)
{
	size_t len;

	if (__builtin_mul_overflow(nr, size, &len) || STRIKES("reallocarray", MEMORY, ENOMEM))
		return out_of_memory();
	return __libc_realloc(p, len);
}

void *aligned_alloc(size_t align, size_t size)
{
	return STRIKES("aligned_alloc", MEMORY, ENOMEM) ? out_of_memory() : __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	if (STRIKES("posix_memalign", MEMORY, ENOMEM))
		return ENOMEM;
	*out = __libc_memalign(align, size);
	return *out ? 0 : ENOMEM;
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = STRIKES("strdup", MEMORY, ENOMEM) ? out_of_memory() : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

FAILING(void *, mmap, (void *a, size_t l, int p, int f, int fd, off_t o), (a, l, p, f, fd, o), MAP_FAILED, MAPPING, ENOMEM, EAGAIN)
FAILING(int, munmap, (void *a, size_t l), (a, l), -1, MAP_CHANGE, ENOMEM)
FAILING(int, mprotect, (void *a, size_t l, int p), (a, l, p), -1, MAP_CHANGE, ENOMEM)
FAILING(int, madvise, (void *a, size_t l, int v), (a, l, v), -1, MAP_CHANGE, ENOMEM, EAGAIN, EINVAL)
FAILING(int, mincore, (void *a, size_t l, unsigned char *v), (a, l, v), -1, MAP_CHANGE, ENOMEM, EAGAIN)
FAILING(int, memfd_create, (const char *n, unsigned f), (n, f), -1, DESCRIPTOR, EMFILE, ENOMEM, ENFILE)

/* ---- files ---- */

#define OPENING(name, head, args)						\
	int name(head const char *path, int flags, ...);			\
	int name(head const char *path, int flags, ...)			\
	{									\
		static __typeof__(&name) next;					\
		int error = STRIKES(#name, DESCRIPTOR, EMFILE, ENOMEM, ENFILE, EINTR); \
		mode_t mode = 0;						\
		va_list rest;							\
										\
		if (flags & (O_CREAT | O_TMPFILE)) {				\
			va_start(rest, flags);					\
			mode = va_arg(rest, mode_t);				\
			va_end(rest);						\
		}								\
		NEXT(next, #name);						\
		if (error) {							\
			errno = error;						\
			return -1;						\
		}								\
		return next args;						\
	}

#define NO_HEAD
#define A_FOLDER int folder,
OPENING(open, NO_HEAD, (path, flags, mode))
OPENING(open64, NO_HEAD, (path, flags, mode))
OPENING(openat, A_FOLDER, (folder, path, flags, mode))
OPENING(openat64, A_FOLDER, (folder, path, flags, mode))
FAILING(FILE *, fopen, (const char *p, const char *m), (p, m), NULL, DESCRIPTOR, EMFILE, ENOMEM)
FAILING(FILE *, fdopen, (int fd, const char *m), (fd, m), NULL, MEMORY, ENOMEM)
FAILING(DIR *, opendir, (const char *p), (p), NULL, DESCRIPTOR, EMFILE, ENOMEM)
FAILING(int, fstat, (int fd, struct stat *s), (fd, s), -1, DISK, EIO, ENOMEM)
FAILING(int, stat, (const char *p, struct stat *s), (p, s), -1, DISK, EIO, ENOMEM)
FAILING(int, lstat, (const char *p, struct stat *s), (p, s), -1, DISK, EIO, ENOMEM)
FAILING(int, fstatfs, (int fd, struct statfs *s), (fd, s), -1, DISK, EIO, ENOMEM)
FAILING(int, ftruncate, (int fd, off_t l), (fd, l), -1, DISK, ENOSPC, EIO, EINTR)
FAILING(int, fallocate, (int fd, int m, off_t o, off_t l), (fd, m, o, l), -1, DISK, ENOSPC, EIO, EINTR)
FAILING_RETURN(int, posix_fallocate, (int fd, off_t o, off_t l), (fd, o, l), DISK, ENOSPC, EIO, EINTR)
FAILING(int, fsync, (int fd), (fd), -1, DISK, EIO, ENOSPC)
FAILING(int, fdatasync, (int fd), (fd), -1, DISK, EIO, ENOSPC)
/* Its ENOMEM says that the range is not mapped, and never that memory is short: a fault of the device or of ours. */
FAILING(int, msync, (void *a, size_t l, int f), (a, l, f), -1, DISK, EIO)
FAILING(off_t, lseek, (int fd, off_t o, int w), (fd, o, w), -1, DISK, EIO, EINVAL)
FAILING(int, mkdir, (const char *p, mode_t m), (p, m), -1, DISK, ENOSPC, EROFS)
FAILING(int, unlink, (const char *p), (p), -1, DISK, EIO, EROFS)
FAILING(int, chmod, (const char *p, mode_t m), (p, m), -1, DISK, EIO, EROFS)
FAILING(int, fchmod, (int fd, mode_t m), (fd, m), -1, DISK, EIO, EROFS)
FAILING(int, chown, (const char *p, uid_t u, gid_t g), (p, u, g), -1, DISK, EIO, EPERM)
FAILING(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), -1, TRANSFER, EIO, EAGAIN)
FAILING(ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o), -1, TRANSFER, EIO, EIO, EINTR)
FAILING(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), -1, TRANSFER, ENOSPC, EIO, EINTR)
FAILING(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), -1, TRANSFER, ENOMEM, EIO)
FAILING(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), -1, TRANSFER, ENOMEM, ENOBUFS)
FAILING(ssize_t, getrandom, (void *b, size_t n, unsigned f), (b, n, f), -1, TRANSFER, ENOSYS, EAGAIN)

/* What goes to standard error is what the test reads. */
ssize_t write(int fd, const void *bytes, size_t nr)
{
	static __typeof__(&write) next;
	int error = fd == STDERR_FILENO ? 0 : STRIKES("write", TRANSFER, ENOSPC, EIO);

	NEXT(next, "write");
	if (error) {
		errno = error;
		return -1;
	}
	return next(fd, bytes, nr);
}

int fcntl(int fd, int what, ...)
{
	static __typeof__(&fcntl) next;
	bool locks = what == F_SETLK || what == F_SETLKW || what == F_GETLK || what == F_OFD_SETLK || what == F_OFD_GETLK;
	int error = locks ? STRIKES("fcntl", LOCK, ENOLCK, ENOMEM, EINTR, EAGAIN) : STRIKES("fcntl", DESCRIPTOR, EMFILE, ENOMEM);
	va_list rest;
	void *argument;

	va_start(rest, what);
	argument = va_arg(rest, void *);
	va_end(rest);
	NEXT(next, "fcntl");
	if (error) {
		errno = error;
		return -1;
	}
	return next(fd, what, argument);
}

FAILING(int, flock, (int fd, int what), (fd, what), -1, LOCK, ENOLCK, EINTR)

/* ---- sockets and the loop ---- */

FAILING(int, socket, (int d, int t, int p), (d, t, p), -1, DESCRIPTOR, EMFILE, ENOBUFS, ENFILE)
FAILING(int, socketpair, (int d, int t, int p, int v[2]), (d, t, p, v), -1, DESCRIPTOR, EMFILE, ENOMEM)
FAILING(int, bind, (int s, const struct sockaddr *a, socklen_t n), (s, a, n), -1, SOCKET, ENOMEM, EROFS)
FAILING(int, listen, (int s, int n), (s, n), -1, SOCKET, ENOMEM, EOPNOTSUPP)
FAILING(int, connect, (int s, const struct sockaddr *a, socklen_t n), (s, a, n), -1, SOCKET, ENOMEM, ENOBUFS)
FAILING(int, accept4, (int s, struct sockaddr *a, socklen_t *n, int f), (s, a, n, f), -1, SOCKET, EMFILE, ENOMEM, ENFILE, EINTR, ECONNABORTED)
FAILING(int, getsockopt, (int s, int l, int o, void *v, socklen_t *n), (s, l, o, v, n), -1, SOCKET, ENOBUFS, ENOMEM)
FAILING(int, setsockopt, (int s, int l, int o, const void *v, socklen_t n), (s, l, o, v, n), -1, SOCKET, ENOBUFS, ENOMEM)
FAILING(ssize_t, sendmsg, (int s, const struct msghdr *m, int f), (s, m, f), -1, SOCKET, ENOBUFS, ENOMEM, EINTR, EAGAIN, EPIPE, ETOOMANYREFS)
FAILING(ssize_t, send, (int s, const void *b, size_t n, int f), (s, b, n, f), -1, SOCKET, ENOBUFS, ENOMEM, EINTR, EAGAIN, EPIPE)
FAILING(ssize_t, recvmsg, (int s, struct msghdr *m, int f), (s, m, f), -1, SOCKET, ENOMEM, ENOBUFS, EINTR, EAGAIN, ECONNRESET)
FAILING(ssize_t, recv, (int s, void *b, size_t n, int f), (s, b, n, f), -1, SOCKET, ENOMEM, ENOBUFS, EINTR, EAGAIN, ECONNRESET)
FAILING(int, epoll_create1, (int f), (f), -1, EVENT, EMFILE, ENOMEM)
FAILING(int, epoll_wait, (int e, struct epoll_event *v, int n, int t), (e, v, n, t), -1, EVENT, EINTR)
FAILING(int, signalfd, (int fd, const sigset_t *s, int f), (fd, s, f), -1, EVENT, EMFILE, ENOMEM)
FAILING(int, eventfd, (unsigned n, int f), (n, f), -1, EVENT, EMFILE, ENOMEM, ENFILE)
FAILING(int, pipe2, (int v[2], int f), (v, f), -1, DESCRIPTOR, EMFILE, ENFILE)
FAILING(int, timerfd_create, (int c, int f), (c, f), -1, EVENT, EMFILE, ENOMEM)
FAILING(int, timerfd_settime, (int fd, int f, const struct itimerspec *n, struct itimerspec *o), (fd, f, n, o), -1, EVENT, ENOMEM, ECANCELED)
FAILING(int, ppoll, (struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s), (p, n, t, s), -1, MEMORY, ENOMEM, EINTR)
FAILING(pid_t, fork, (void), (), -1, THREAD, EAGAIN, ENOMEM)
FAILING_RETURN(int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x), (t, a, f, x), THREAD, EAGAIN, ENOMEM)

/* What is waited for already is changed and taken away without memory. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	static __typeof__(&epoll_ctl) next;
	int error = what == EPOLL_CTL_ADD ? STRIKES("epoll_ctl", EVENT, ENOSPC, ENOMEM) : 0;

	NEXT(next, "epoll_ctl");
	if (error) {
		errno = error;
		return -1;
	}
	return next(epoll, what, fd, event);
}

/* Packets travel by it (lib/wire). */
long syscall(long number, ...)
{
	static __typeof__(&syscall) next;
	long a[6];
	va_list rest;
	int error = 0;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (number == SYS_sendmsg || number == SYS_sendto || number == SYS_recvmsg || number == SYS_recvfrom)
		error = STRIKES("syscall", SOCKET, ENOBUFS, ENOMEM);
	NEXT(next, "syscall");
	if (error) {
		errno = error;
		return -1;
	}
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
