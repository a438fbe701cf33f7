/* SPDX-License-Identifier: BSD-3-Clause */
/* sweeper_calls: each call has two errors that it may have; a sweep takes now one, now the other. */
#include <config.h>

#include "tests/system/sweeper_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/mman.h>
#include <libpmem2.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef SWEEP_HEAP
#include <memkind.h>
#endif

static _Atomic bool is_armed;
static enum calls_mode mode;
static long nth;
static bool is_second;
static _Atomic long nr_calls, nr_blocks, nr_mapped;
static _Atomic(const char *) struck;
static _Atomic int struck_error;

void calls_arm(enum calls_mode how, long which, bool second)
{
	mode = how;
	nth = which;
	is_second = second;
	atomic_store(&nr_calls, 0);
	atomic_store(&struck, NULL);
	atomic_store(&is_armed, true);
}

long calls_disarm(struct calls_struck *out)
{
	atomic_store(&is_armed, false);
	*out = (struct calls_struck){ atomic_load(&struck), atomic_load(&struck_error) };
	return atomic_load(&nr_calls);
}

long calls_blocks(void)
{
	return atomic_load(&nr_blocks);
}

long calls_mapped(void)
{
	return atomic_load(&nr_mapped);
}

/* 0: the call is made; else the error that it fails with, which is in errno too. */
static int strikes(const char *name, int first, int second)
{
	const char *before;
	long number;

	if (!atomic_load(&is_armed))
		return 0;
	number = atomic_fetch_add(&nr_calls, 1);
	before = atomic_load(&struck);
	if (mode == CALLS_COUNT ||
	    (number != nth && (mode == CALLS_ONCE || !before || strcmp(before, name) != 0)))
		return 0;
	errno = is_second ? second : first;
	if (!before) {
		atomic_store(&struck_error, errno);
		atomic_store(&struck, name);
	}
	return errno;
}

#define WRAPPED(type, name, params, args, first, second, failure)	\
	type __real_##name params;					\
	type __wrap_##name params;					\
	type __wrap_##name params					\
	{								\
		return strikes(#name, first, second) ? failure : __real_##name args; \
	}

/* ---- memory ---- */

#define ALLOCATING(name, params, args)					\
	void *__real_##name params;					\
	void *__wrap_##name params;					\
	void *__wrap_##name params					\
	{								\
		void *got = strikes(#name, ENOMEM, ENOMEM) ? NULL : __real_##name args; \
									\
		nr_blocks += got != NULL;				\
		return got;						\
	}

#define GROWING(name, params, args)					\
	void *__real_##name params;					\
	void *__wrap_##name params;					\
	void *__wrap_##name params					\
	{								\
		bool is_new = !old;					\
		void *got = strikes(#name, ENOMEM, ENOMEM) ? NULL : __real_##name args; \
									\
		nr_blocks += got && is_new;				\
		return got;						\
	}

ALLOCATING(malloc, (size_t size), (size))
ALLOCATING(calloc, (size_t nr, size_t size), (nr, size))
ALLOCATING(aligned_alloc, (size_t align, size_t size), (align, size))
ALLOCATING(strdup, (const char *text), (text))
GROWING(realloc, (void *old, size_t size), (old, size))
GROWING(reallocarray, (void *old, size_t nr, size_t size), (old, nr, size))

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	nr_blocks -= block != NULL;
	__real_free(block);
}

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	bool is_sync = (flags & MAP_SYNC) && (flags & MAP_SHARED_VALIDATE) == MAP_SHARED_VALIDATE;
	void *got = strikes(is_sync ? CALLS_MAP_SYNC : "mmap", ENOMEM, EAGAIN)
			    ? MAP_FAILED
			    : __real_mmap(at, len, prot, flags, fd, off);

	/* What takes the place of a mapping is no new one. */
	if (got != MAP_FAILED && !(flags & MAP_FIXED))
		nr_mapped += (long)len;
	return got;
}

int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len)
{
	int r = strikes("munmap", ENOMEM, ENOMEM) ? -1 : __real_munmap(at, len);

	if (r == 0)
		nr_mapped -= (long)len;
	return r;
}

WRAPPED(int, madvise, (void *at, size_t len, int what), (at, len, what), ENOMEM, EINVAL, -1)
WRAPPED(int, msync, (void *at, size_t len, int flags), (at, len, flags), EIO, ENOSPC, -1)

/* ---- descriptors ---- */

WRAPPED(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, ENOMEM, -1)
WRAPPED(int, fstat, (int fd, struct stat *out), (fd, out), ENOMEM, EIO, -1)
WRAPPED(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, ENFILE,
	-1)
WRAPPED(int, epoll_create1, (int flags), (flags), EMFILE, ENOMEM, -1)
WRAPPED(int, epoll_ctl, (int set, int what, int fd, struct epoll_event *event),
	(set, what, fd, event), ENOSPC, ENOMEM, -1)
WRAPPED(int, eventfd, (unsigned value, int flags), (value, flags), EMFILE, ENFILE, -1)
WRAPPED(int, timerfd_create, (clockid_t clock, int flags), (clock, flags), EMFILE, ENOMEM, -1)

/* Nobody here passes these two more than one argument behind the named ones. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list rest;
	int creation;

	va_start(rest, flags);
	creation = va_arg(rest, int);
	va_end(rest);
	return strikes("open", EMFILE, ENFILE) ? -1 : __real_open(path, flags, creation);
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, what);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (strikes("fcntl", what == F_SETFL ? ENOMEM : ENOLCK, ENOMEM))
		return -1;
	return __real_fcntl(fd, what, argument);
}

/* ---- messages ---- */

WRAPPED(int, connect, (int sock, const struct sockaddr *address, socklen_t size),
	(sock, address, size), ENOMEM, ENOBUFS, -1)
WRAPPED(ssize_t, send, (int sock, const void *bytes, size_t nr, int flags),
	(sock, bytes, nr, flags), ENOBUFS, ENOMEM, -1)
WRAPPED(ssize_t, recv, (int sock, void *bytes, size_t nr, int flags), (sock, bytes, nr, flags),
	ENOMEM, ENOBUFS, -1)
WRAPPED(int, poll, (struct pollfd *all, nfds_t nr, int ms), (all, nr, ms), ENOMEM, EINTR, -1)
WRAPPED(int, ppoll,
	(struct pollfd *all, nfds_t nr, const struct timespec *wait, const sigset_t *mask),
	(all, nr, wait, mask), ENOMEM, EINTR, -1)

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/*
 * Receives as a kernel does that finds no free number for the descriptors of the packet: the packet
 * is there, they are not.
 */
static long receive_without_fds(long sock, struct msghdr *msg, long flags)
{
	long n = __real_syscall(SYS_recvmsg, sock, msg, flags);
	struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(msg) : NULL;
	int fds[4];

	if (!cmsg)
		return n;
	memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	for (size_t i = 0; i < (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
		close(fds[i]);
	msg->msg_controllen = 0;
	msg->msg_flags |= MSG_CTRUNC;
	return n;
}

/* lib/wire/conn.h sends and receives packets by it. */
long __wrap_syscall(long number, ...)
{
	const char *name = number == SYS_sendto || number == SYS_sendmsg ? "send a packet"
									 : "receive a packet";
	va_list rest;
	long a[6];
	int error;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (number == SYS_recvmsg)
		error = strikes("receive descriptors", EMFILE, ENOMEM);
	else
		error = strikes(name, ENOBUFS, ENOMEM);
	if (error == EMFILE)
		return receive_without_fds(a[0], (struct msghdr *)a[1], a[2]); /* NOLINT */
	return error ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- threads ---- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	int error = strikes("pthread_create", EAGAIN, EAGAIN);

	return error ? error : __real_pthread_create(thread, attr, run, arg);
}

int __real_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	int error = strikes("pthread_atfork", ENOMEM, ENOMEM);

	return error ? error : __real_pthread_atfork(before, parent, child);
}

/* ---- other libraries: what they say when an allocation of their own fails ---- */

int __real_pmem2_source_from_anon(struct pmem2_source **out, size_t size);
int __wrap_pmem2_source_from_anon(struct pmem2_source **out, size_t size);
int __wrap_pmem2_source_from_anon(struct pmem2_source **out, size_t size)
{
	int error = strikes("pmem2_source_from_anon", ENOMEM, ENOMEM);

	return error ? -error : __real_pmem2_source_from_anon(out, size);
}

int __real_pmem2_map_from_existing(struct pmem2_map **out, const struct pmem2_source *source,
				   void *at, size_t len, enum pmem2_granularity granularity);
int __wrap_pmem2_map_from_existing(struct pmem2_map **out, const struct pmem2_source *source,
				   void *at, size_t len, enum pmem2_granularity granularity);
int __wrap_pmem2_map_from_existing(struct pmem2_map **out, const struct pmem2_source *source,
				   void *at, size_t len, enum pmem2_granularity granularity)
{
	int error = strikes("pmem2_map_from_existing", ENOMEM, ENOMEM);

	return error ? -error
		     : __real_pmem2_map_from_existing(out, source, at, len, granularity);
}

WRAPPED(struct json_object *, json_object_new_object, (void), (), ENOMEM, ENOMEM, NULL)
WRAPPED(struct json_object *, json_object_new_string, (const char *text), (text), ENOMEM, ENOMEM,
	NULL)
WRAPPED(struct json_object *, json_object_new_int, (int32_t number), (number), ENOMEM, ENOMEM, NULL)
WRAPPED(int, json_object_object_add,
	(struct json_object *object, const char *key, struct json_object *value),
	(object, key, value), ENOMEM, ENOMEM, -1)
WRAPPED(const char *, json_object_to_json_string_ext, (struct json_object *object, int flags),
	(object, flags), ENOMEM, ENOMEM, NULL)

/*
 * Version 0.16 returns NULL, or an object in which something is missing, and leaves ENOMEM in
 * errno: here the one and the other.
 */
struct json_object *__real_json_tokener_parse(const char *text);
struct json_object *__wrap_json_tokener_parse(const char *text);
struct json_object *__wrap_json_tokener_parse(const char *text)
{
	if (!strikes("json_tokener_parse", ENOMEM, ENOMEM))
		return __real_json_tokener_parse(text);
	return is_second ? __real_json_tokener_parse("{}") : NULL;
}

#ifdef SWEEP_HEAP
int __real_memkind_create_fixed(void *at, size_t size, memkind_t *out);
int __wrap_memkind_create_fixed(void *at, size_t size, memkind_t *out);
int __wrap_memkind_create_fixed(void *at, size_t size, memkind_t *out)
{
	if (strikes("memkind_create_fixed", ENOMEM, EMFILE))
		return is_second ? MEMKIND_ERROR_ARENAS_CREATE : MEMKIND_ERROR_MALLOC;
	return __real_memkind_create_fixed(at, size, out);
}
#endif
