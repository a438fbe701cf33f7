/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failing: a library for LD_PRELOAD in which system calls and allocations fail: the n-th, the n-th and all of its name after it, or some at
 * random. What is to fail stands in a file that test and program have mapped (struct failing; tests/system/failing.py has its other side), so
 * that a test can arm it while the program runs. It knows no program: what a failure must lead to is for the test to say.
 *
 * The allocators are those of the GNU C library under their second names, since looking up the first ones may itself allocate.
 */
#include <config.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum mode { COUNT, ONE, FROM, RANDOM };
enum kind { MEMORY = 1, MAPPING = 2, DESCRIPTOR = 4, DISK = 8, SOCKET = 16, LOCK = 32, THREAD = 64, TRANSFER = 128 };

struct failing {
	uint32_t mode;
	uint32_t nth;                   /* ONE, FROM: which counted call, from 0 */
	uint32_t count;                 /* calls so far */
	uint32_t struck;                /* how many failed */
	uint32_t kinds;                 /* of which kinds are counted; 0: all */
	uint32_t chance;                /* RANDOM: of a million */
	uint32_t seed;                  /* RANDOM */
	uint32_t second;                /* the second error of each call that has two */
	uint32_t error;                 /* that the first one to fail had */
	char     name[28];              /* of the first one to fail */
	char     object[64];            /* that called it */
	uint64_t at;                    /* the place in that object */
};

static struct failing *failing;
/* What a look-up itself calls does not count. Initial-exec: the loader may allocate before it tells where another one is. */
static __thread bool is_inside __attribute__((tls_model("initial-exec")));

__attribute__((constructor))
static void open_control(void)
{
	const char *path = getenv("FAILING");
	long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (map != MAP_FAILED)
		failing = map;
}

/*
 * When an allocation of their own fails, libseccomp 2.5 loops for ever, libpmem2 and the loader of the C library abort, and its look-up of groups
 * crashes; libsystemd cannot tell READY=1 when it gets no socket for good, and the daemon says so and tries again: what becomes of their calls says nothing about us. What we call of the C library fails as a whole.
 */
static bool is_spared(const char *object)
{
	return strncmp(object, "libseccomp", 10) == 0 || strncmp(object, "ld-linux", 8) == 0 || strncmp(object, "libc.so", 7) == 0 ||
	       strncmp(object, "libpmem2", 8) == 0 || strncmp(object, "libsystemd", 10) == 0;
}

/* false: whose call it is is spared. */
static bool note(const char *name, int error, const void *caller)
{
	const char *object = "?";
	uint64_t at = 0;
	Dl_info info;

	is_inside = true;
	if (dladdr(caller, &info) && info.dli_fname) {
		object = strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
		at = (uint64_t)((const char *)caller - (const char *)info.dli_fbase);
	}
	is_inside = false;
	if (is_spared(object))
		return false;
	if (__atomic_fetch_add(&failing->struck, 1, __ATOMIC_RELAXED) > 0)
		return true;
	failing->error = (uint32_t)error;
	failing->at = at;
	snprintf(failing->name, sizeof(failing->name), "%s", name);
	snprintf(failing->object, sizeof(failing->object), "%s", object);
	return true;
}

static bool is_due(const char *name)
{
	static __thread uint64_t state __attribute__((tls_model("initial-exec")));
	uint32_t number = __atomic_fetch_add(&failing->count, 1, __ATOMIC_RELAXED);

	switch (failing->mode) {
	case ONE:
		return number == failing->nth;
	case FROM:
		return number == failing->nth || (failing->struck && strncmp(failing->name, name, sizeof(failing->name) - 1) == 0);
	case RANDOM:
		if (!state)
			state = ((uint64_t)failing->seed << 20 ^ (uint64_t)(uintptr_t)&state) | 1;
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		return (state >> 20) % 1000000 < failing->chance;
	default:
		return false;
	}
}

/* 0: it is done; else the error to fail with. */
static int strikes(const char *name, enum kind kind, int first, int second, const void *caller)
{
	int error;

	if (!failing || is_inside || (failing->kinds && !(failing->kinds & kind)) || !is_due(name))
		return 0;
	error = failing->second ? second : first;
	return note(name, error, caller) ? error : 0;
}

#define STRIKES(name, kind, first, second) strikes(name, kind, first, second, __builtin_return_address(0))

static void *next_of(const char *name)
{
	bool was = is_inside;
	void *found;

	is_inside = true;
	found = dlsym(RTLD_NEXT, name);
	is_inside = was;
	return found;
}

/* The address of a function as the next one of its type: C knows no cast from one to the other. */
#define NEXT(pointer, name)				\
	do {						\
		if (!(pointer)) {			\
			void *found_ = next_of(name);	\
			memcpy(&(pointer), &found_, sizeof(pointer)); \
		}					\
	} while (0)

#define FAILING(type, name, params, args, kind, first, second, failure)	\
	type name params;						\
	type name params						\
	{								\
		static type (*next) params;				\
		int error = STRIKES(#name, kind, first, second);	\
									\
		NEXT(next, #name);					\
		if (error) {						\
			errno = error;					\
			return failure;					\
		}							\
		return next args;					\
	}

/* The error is what they return. */
#define FAILING_RETURN(type, name, params, args, kind, first, second)	\
	type name params;						\
	type name params						\
	{								\
		static type (*next) params;				\
		int error = STRIKES(#name, kind, first, second);	\
									\
		NEXT(next, #name);					\
		return error ? error : next args;			\
	}

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
	return STRIKES("malloc", MEMORY, ENOMEM, ENOMEM) ? out_of_memory() : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return STRIKES("calloc", MEMORY, ENOMEM, ENOMEM) ? out_of_memory() : __libc_calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	return STRIKES("realloc", MEMORY, ENOMEM, ENOMEM) ? out_of_memory() : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t nr, size_t size)
{
	size_t len;

	if (__builtin_mul_overflow(nr, size, &len) || STRIKES("reallocarray", MEMORY, ENOMEM, ENOMEM))
		return out_of_memory();
	return __libc_realloc(p, len);
}

void *aligned_alloc(size_t align, size_t size)
{
	return STRIKES("aligned_alloc", MEMORY, ENOMEM, ENOMEM) ? out_of_memory() : __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	if (STRIKES("posix_memalign", MEMORY, ENOMEM, ENOMEM))
		return ENOMEM;
	*out = __libc_memalign(align, size);
	return *out ? 0 : ENOMEM;
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = STRIKES("strdup", MEMORY, ENOMEM, ENOMEM) ? out_of_memory() : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

FAILING(void *, mmap, (void *a, size_t l, int p, int f, int fd, off_t o), (a, l, p, f, fd, o), MAPPING, ENOMEM, EAGAIN, MAP_FAILED)
FAILING(int, munmap, (void *a, size_t l), (a, l), MAPPING, ENOMEM, ENOMEM, -1)
FAILING(int, mprotect, (void *a, size_t l, int p), (a, l, p), MAPPING, ENOMEM, ENOMEM, -1)
FAILING(int, madvise, (void *a, size_t l, int v), (a, l, v), MAPPING, ENOMEM, EAGAIN, -1)
FAILING(int, mincore, (void *a, size_t l, unsigned char *v), (a, l, v), MAPPING, ENOMEM, EAGAIN, -1)
FAILING(int, memfd_create, (const char *n, unsigned f), (n, f), DESCRIPTOR, EMFILE, ENOMEM, -1)

/* ---- files ---- */

#define OPENING(name, head, args)						\
	int name(head const char *path, int flags, ...);			\
	int name(head const char *path, int flags, ...)			\
	{									\
		static __typeof__(&name) next;					\
		int error = STRIKES(#name, DESCRIPTOR, EMFILE, ENOMEM);		\
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
FAILING(FILE *, fopen, (const char *p, const char *m), (p, m), DESCRIPTOR, EMFILE, ENOMEM, NULL)
FAILING(FILE *, fdopen, (int fd, const char *m), (fd, m), MEMORY, ENOMEM, ENOMEM, NULL)
FAILING(DIR *, opendir, (const char *p), (p), DESCRIPTOR, EMFILE, ENOMEM, NULL)
FAILING(int, fstat, (int fd, struct stat *s), (fd, s), DISK, EIO, ENOMEM, -1)
FAILING(int, stat, (const char *p, struct stat *s), (p, s), DISK, EIO, ENOMEM, -1)
FAILING(int, lstat, (const char *p, struct stat *s), (p, s), DISK, EIO, ENOMEM, -1)
FAILING(int, fstatfs, (int fd, struct statfs *s), (fd, s), DISK, EIO, ENOMEM, -1)
FAILING(int, ftruncate, (int fd, off_t l), (fd, l), DISK, ENOSPC, EIO, -1)
FAILING(int, fallocate, (int fd, int m, off_t o, off_t l), (fd, m, o, l), DISK, ENOSPC, EIO, -1)
FAILING_RETURN(int, posix_fallocate, (int fd, off_t o, off_t l), (fd, o, l), DISK, ENOSPC, EIO)
FAILING(int, fsync, (int fd), (fd), DISK, EIO, ENOSPC, -1)
FAILING(int, fdatasync, (int fd), (fd), DISK, EIO, ENOSPC, -1)
/* Its ENOMEM says that the range is not mapped, and never that memory is short: a fault of the device or of ours. */
FAILING(int, msync, (void *a, size_t l, int f), (a, l, f), DISK, EIO, EIO, -1)
FAILING(off_t, lseek, (int fd, off_t o, int w), (fd, o, w), DISK, EIO, EINVAL, -1)
FAILING(int, mkdir, (const char *p, mode_t m), (p, m), DISK, ENOSPC, EROFS, -1)
FAILING(int, unlink, (const char *p), (p), DISK, EIO, EROFS, -1)
FAILING(int, chmod, (const char *p, mode_t m), (p, m), DISK, EIO, EROFS, -1)
FAILING(int, fchmod, (int fd, mode_t m), (fd, m), DISK, EIO, EROFS, -1)
FAILING(int, chown, (const char *p, uid_t u, gid_t g), (p, u, g), DISK, EIO, EPERM, -1)
FAILING(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), TRANSFER, EIO, EAGAIN, -1)
FAILING(ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o), TRANSFER, EIO, EIO, -1)
FAILING(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), TRANSFER, ENOSPC, EIO, -1)
FAILING(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), TRANSFER, ENOMEM, EIO, -1)
FAILING(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), TRANSFER, ENOMEM, ENOBUFS, -1)
FAILING(ssize_t, getrandom, (void *b, size_t n, unsigned f), (b, n, f), TRANSFER, ENOSYS, EAGAIN, -1)

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
	int error = locks ? STRIKES("fcntl", LOCK, ENOLCK, ENOMEM) : STRIKES("fcntl", DESCRIPTOR, EMFILE, ENOMEM);
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

FAILING(int, flock, (int fd, int what), (fd, what), LOCK, ENOLCK, EINTR, -1)

/* ---- sockets and the loop ---- */

FAILING(int, socket, (int d, int t, int p), (d, t, p), DESCRIPTOR, EMFILE, ENOBUFS, -1)
FAILING(int, socketpair, (int d, int t, int p, int v[2]), (d, t, p, v), DESCRIPTOR, EMFILE, ENOMEM, -1)
FAILING(int, bind, (int s, const struct sockaddr *a, socklen_t n), (s, a, n), SOCKET, ENOMEM, EROFS, -1)
FAILING(int, listen, (int s, int n), (s, n), SOCKET, ENOMEM, EOPNOTSUPP, -1)
FAILING(int, connect, (int s, const struct sockaddr *a, socklen_t n), (s, a, n), SOCKET, ENOMEM, ENOBUFS, -1)
FAILING(int, accept4, (int s, struct sockaddr *a, socklen_t *n, int f), (s, a, n, f), SOCKET, EMFILE, ENOMEM, -1)
FAILING(int, getsockopt, (int s, int l, int o, void *v, socklen_t *n), (s, l, o, v, n), SOCKET, ENOBUFS, ENOMEM, -1)
FAILING(int, setsockopt, (int s, int l, int o, const void *v, socklen_t n), (s, l, o, v, n), SOCKET, ENOBUFS, ENOMEM, -1)
FAILING(ssize_t, sendmsg, (int s, const struct msghdr *m, int f), (s, m, f), SOCKET, ENOBUFS, ENOMEM, -1)
FAILING(ssize_t, send, (int s, const void *b, size_t n, int f), (s, b, n, f), SOCKET, ENOBUFS, ENOMEM, -1)
FAILING(ssize_t, recvmsg, (int s, struct msghdr *m, int f), (s, m, f), SOCKET, ENOMEM, ENOBUFS, -1)
FAILING(ssize_t, recv, (int s, void *b, size_t n, int f), (s, b, n, f), SOCKET, ENOMEM, ENOBUFS, -1)
FAILING(int, epoll_create1, (int f), (f), DESCRIPTOR, EMFILE, ENOMEM, -1)
FAILING(int, epoll_wait, (int e, struct epoll_event *v, int n, int t), (e, v, n, t), DESCRIPTOR, EINTR, EINTR, -1)
FAILING(int, signalfd, (int fd, const sigset_t *s, int f), (fd, s, f), DESCRIPTOR, EMFILE, ENOMEM, -1)
FAILING(int, eventfd, (unsigned n, int f), (n, f), DESCRIPTOR, EMFILE, ENOMEM, -1)
FAILING(int, pipe2, (int v[2], int f), (v, f), DESCRIPTOR, EMFILE, ENFILE, -1)
FAILING(int, timerfd_create, (int c, int f), (c, f), DESCRIPTOR, EMFILE, ENOMEM, -1)
FAILING(int, timerfd_settime, (int fd, int f, const struct itimerspec *n, struct itimerspec *o), (fd, f, n, o), DESCRIPTOR, ENOMEM,
	ECANCELED, -1)
FAILING(int, ppoll, (struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s), (p, n, t, s), MEMORY, ENOMEM, EINTR, -1)
FAILING_RETURN(int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x), (t, a, f, x), THREAD, EAGAIN, ENOMEM)

/* What is waited for already is changed and taken away without memory. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	static __typeof__(&epoll_ctl) next;
	int error = what == EPOLL_CTL_ADD ? STRIKES("epoll_ctl", DESCRIPTOR, ENOSPC, ENOMEM) : 0;

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
