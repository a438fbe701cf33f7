/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faulty: loaded before libc (LD_PRELOAD), it lets system calls and allocations of a process fail
 * at random, with an error that the real one could have had, and nothing done. It never fails what
 * ends something: close(), munmap(), exit().
 *
 * FAULTY_CONTROL is a file that all processes of a storm share: how many calls in a million fail,
 * and of which kinds; both may change at any time, and how many did fail is counted there.
 * FAULTY_SEED settles what a process draws, FAULTY_NEVER has the kinds that never fail in it
 * (bits).
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* tests/storm/faults.py has the same */
enum kind { MMAP, FILES, OPEN, FCNTL, SOCKETS, MEMORY, EVENTS, THREADS, MAP_CHANGES, NR_KINDS };

#define LAST 512u

/* For whoever reads the evidence. */
struct failure {
	uint32_t pid;
	int32_t  error;
	char     call[24];
};

struct control {
	uint32_t per_million;
	uint32_t kinds;                 /* bits */
	uint64_t nr_failed[NR_KINDS];
	uint64_t nr;                    /* of all */
	struct failure last[LAST];      /* a ring */
};

#define CONTROL_SIZE 20480u             /* whole pages */
_Static_assert(sizeof(struct control) <= CONTROL_SIZE, "tests/storm/faults.py has the same size");

static struct control *control;
static uint64_t seed;
static uint32_t never;                 /* kinds, bits */
static __thread uint64_t state;

/* ---- a process that aborts ---- */

#define DEPTH 40

static void say(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));

	(void)n;
}

/*
 * An assertion, or a library that has no other way to say that something failed. Nobody would know
 * which one: an exit status has no place for it.
 */
static void on_abort(int number)
{
	void *frames[DEPTH];
	char line[64];
	uint64_t nr = control ? control->nr : 0;

	(void)number;
	snprintf(line, sizeof(line), "pid %d aborts; what failed in it last:", getpid());
	say(line);
	for (uint64_t i = nr > LAST ? nr - LAST : 0; i < nr; i++) {
		const struct failure *failure = &control->last[i % LAST];

		if (failure->pid != (uint32_t)getpid())
			continue;
		snprintf(line, sizeof(line), " %s: %d;", failure->call, failure->error);
		say(line);
	}
	say("\n");
	backtrace_symbols_fd(frames, backtrace(frames, DEPTH), STDERR_FILENO);
}

static void tell_of_aborts(void)
{
	struct sigaction action = { .sa_handler = on_abort, .sa_flags = SA_RESETHAND };
	void *frame;

	/* The first one loads a library, which an abort has no time for. */
	backtrace(&frame, 1);
	sigaction(SIGABRT, &action, NULL);
}

/* With bare system calls: the libc's own would come back here. */
__attribute__((constructor))
static void begin(void)
{
	const char *path = getenv("FAULTY_CONTROL"), *number = getenv("FAULTY_SEED"),
		   *kinds = getenv("FAULTY_NEVER");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	tell_of_aborts();
	page = (void *)syscall(SYS_mmap, NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       0);
	syscall(SYS_close, fd);
	seed = number ? strtoull(number, NULL, 0) : 1;
	never = kinds ? (uint32_t)strtoul(kinds, NULL, 0) : 0;
	if (page != MAP_FAILED)
		control = page;
}

static uint64_t draw(void)
{
	if (!state)
		state = (seed ^ (uint64_t)syscall(SYS_gettid) << 32) * 0x9e3779b97f4a7c15u | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

/*
 * libpmem2, the loader and the C library abort a process when an allocation of their own fails,
 * libpmem2 when it has no memory for the sentence about the first one: that says nothing about us.
 */
static bool is_spared(const void *caller)
{
	const char *object;
	Dl_info info;

	if (!dladdr(caller, &info) || !info.dli_fname)
		return false;
	object = strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
	return strncmp(object, "libpmem2", 8) == 0 || strncmp(object, "ld-linux", 8) == 0 ||
	       strncmp(object, "libc.so", 7) == 0;
}

/* 0: go on; else the error, one of those that are given. */
static int fails(enum kind kind, const char *call, const void *caller, const int *errors,
		 unsigned nr)
{
	struct failure *failure;
	int error;

	if (!control || !control->per_million || !(control->kinds & ~never & 1u << kind) ||
	    draw() % 1000000 >= control->per_million || (kind == MEMORY && is_spared(caller)))
		return 0;
	__atomic_add_fetch(&control->nr_failed[kind], 1, __ATOMIC_RELAXED);
	error = errors[draw() % nr];
	failure = &control->last[__atomic_fetch_add(&control->nr, 1, __ATOMIC_RELAXED) % LAST];
	failure->pid = (uint32_t)getpid();
	failure->error = error;
	for (unsigned i = 0; i < sizeof(failure->call) && (i == 0 || call[i - 1]); i++)
		failure->call[i] = call[i];
	return error;
}

#define ONE_OF(kind, ...)                                   \
	fails(kind, __func__, __builtin_return_address(0), (const int[]){ __VA_ARGS__ }, \
	      sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))
#define FAIL_WITH(value, kind, ...)                 \
	do {                                        \
		int e_ = ONE_OF(kind, __VA_ARGS__); \
		if (e_) {                           \
			errno = e_;                 \
			return value;               \
		}                                   \
	} while (0)
#define REAL(name)                     \
	static __typeof__(&name) real; \
	if (!real)                     \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
	FAIL_WITH(NULL, MEMORY, ENOMEM);
	return __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	FAIL_WITH(NULL, MEMORY, ENOMEM);
	return __libc_calloc(nr, size);
}

void *realloc(void *memory, size_t size)
{
	FAIL_WITH(NULL, MEMORY, ENOMEM);
	return __libc_realloc(memory, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	REAL(posix_memalign);
	int error = ONE_OF(MEMORY, ENOMEM);

	return error ? error : real(out, align, size);
}

/* ---- mappings ---- */

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	REAL(mmap);
	FAIL_WITH(MAP_FAILED, MMAP, ENOMEM, EAGAIN);
	return real(at, len, prot, flags, fd, off);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t off)
{
	return mmap(at, len, prot, flags, fd, off);
}

int mprotect(void *at, size_t len, int prot)
{
	REAL(mprotect);
	FAIL_WITH(-1, MAP_CHANGES, ENOMEM);
	return real(at, len, prot);
}

int madvise(void *at, size_t len, int advice)
{
	REAL(madvise);
	FAIL_WITH(-1, MAP_CHANGES, ENOMEM, EAGAIN, EINVAL);
	return real(at, len, advice);
}

int msync(void *at, size_t len, int flags)
{
	REAL(msync);
	FAIL_WITH(-1, MAP_CHANGES, EIO, ENOMEM);
	return real(at, len, flags);
}

/* ---- files ---- */

int fallocate(int fd, int mode, off_t off, off_t len)
{
	REAL(fallocate);
	FAIL_WITH(-1, FILES, ENOSPC, EINTR, EIO);
	return real(fd, mode, off, len);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	return fallocate(fd, mode, off, len);
}

int posix_fallocate(int fd, off_t off, off_t len)
{
	REAL(posix_fallocate);
	int error = ONE_OF(FILES, ENOSPC, EINTR);

	return error ? error : real(fd, off, len);
}

int posix_fallocate64(int fd, off64_t off, off64_t len)
{
	return posix_fallocate(fd, off, len);
}

int ftruncate(int fd, off_t len)
{
	REAL(ftruncate);
	FAIL_WITH(-1, FILES, ENOSPC, EINTR, EIO);
	return real(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
	return ftruncate(fd, len);
}

int fsync(int fd)
{
	REAL(fsync);
	FAIL_WITH(-1, FILES, EIO, ENOSPC);
	return real(fd);
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	FAIL_WITH(-1, FILES, EIO, ENOSPC);
	return real(fd);
}

ssize_t pread(int fd, void *to, size_t len, off_t off)
{
	REAL(pread);
	FAIL_WITH(-1, FILES, EINTR, EIO);
	return real(fd, to, len, off);
}

ssize_t pread64(int fd, void *to, size_t len, off64_t off)
{
	return pread(fd, to, len, off);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t off)
{
	REAL(pwrite);
	FAIL_WITH(-1, FILES, EINTR, EIO, ENOSPC);
	return real(fd, from, len, off);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t off)
{
	return pwrite(fd, from, len, off);
}

int fstat(int fd, struct stat *out)
{
	REAL(fstat);
	FAIL_WITH(-1, FILES, EIO, ENOMEM);
	return real(fd, out);
}

static bool makes(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

int openat(int dir, const char *path, int flags, ...)
{
	REAL(openat);
	mode_t mode = 0;
	va_list ap;

	if (makes(flags)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	FAIL_WITH(-1, OPEN, EMFILE, ENFILE, ENOMEM, EINTR);
	return real(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (makes(flags)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (makes(flags)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return openat(AT_FDCWD, path, flags, mode);
}

int memfd_create(const char *name, unsigned flags)
{
	REAL(memfd_create);
	FAIL_WITH(-1, OPEN, EMFILE, ENFILE, ENOMEM);
	return real(name, flags);
}

int fcntl(int fd, int command, ...)
{
	REAL(fcntl);
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	FAIL_WITH(-1, FCNTL, ENOLCK, EINTR, EAGAIN);
	return real(fd, command, arg);
}

int fcntl64(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl(fd, command, arg);
}

/* ---- sockets, events, threads ---- */

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	FAIL_WITH(-1, SOCKETS, EMFILE, ENFILE, ENOBUFS);
	return real(domain, type, protocol);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	REAL(accept4);
	FAIL_WITH(-1, SOCKETS, EMFILE, ENFILE, ENOMEM, EINTR, ECONNABORTED);
	return real(fd, address, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	FAIL_WITH(-1, SOCKETS, EINTR, EAGAIN, ENOMEM, ENOBUFS, EPIPE, ETOOMANYREFS);
	return real(fd, message, flags);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
	REAL(send);
	FAIL_WITH(-1, SOCKETS, EINTR, EAGAIN, ENOMEM, ENOBUFS, EPIPE);
	return real(fd, from, len, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	FAIL_WITH(-1, SOCKETS, EINTR, EAGAIN, ENOMEM, ECONNRESET);
	return real(fd, message, flags);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	REAL(recv);
	FAIL_WITH(-1, SOCKETS, EINTR, EAGAIN, ENOMEM, ECONNRESET);
	return real(fd, to, len, flags);
}

int eventfd(unsigned initial, int flags)
{
	REAL(eventfd);
	FAIL_WITH(-1, EVENTS, EMFILE, ENFILE, ENOMEM);
	return real(initial, flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	if (op != EPOLL_CTL_DEL)
		FAIL_WITH(-1, EVENTS, ENOMEM, ENOSPC);
	return real(epoll, op, fd, event);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *was)
{
	REAL(timerfd_settime);
	FAIL_WITH(-1, EVENTS, ENOMEM);
	return real(fd, flags, to, was);
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*function)(void *), void *arg)
{
	REAL(pthread_create);
	int error = ONE_OF(THREADS, EAGAIN);

	return error ? error : real(out, attr, function, arg);
}

pid_t fork(void)
{
	REAL(fork);
	FAIL_WITH(-1, THREADS, EAGAIN, ENOMEM);
	return real();
}
