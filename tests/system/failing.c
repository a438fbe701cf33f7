/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failing: a library for LD_PRELOAD in which system calls and allocations fail, nothing done, with an error that the real one could have had: the
 * n-th, the n-th and all of its name after it, or some at random. What is to fail stands in a file that test and programs have mapped (struct
 * failing; tests/system/failing.py has its other side), so that a test can arm it while they run. It knows no program: what a failure must lead to
 * is for the test to say. It never fails what ends something: close(), exit().
 *
 * FAILING is that file; for calls that fail at random, FAILING_SEED settles what a process draws, FAILING_NEVER has the kinds that never fail in it
 * (bits), and calls of the object FAILING_SPARED do not fail.
 */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/system/failing.h"

enum mode { COUNT, ONE, FROM, RANDOM };

#define NR_LAST 128u
#define SIZE    8192u

/* For whoever reads what happened. */
struct struck {
	uint32_t pid;
	int32_t  error;
	char     name[24];
};

struct failing {
	uint32_t mode;
	uint32_t nth;                   /* ONE, FROM: which counted call, from 0 */
	uint32_t count;                 /* calls so far */
	uint32_t struck;                /* how many failed */
	uint32_t kinds;                 /* of which kinds are counted; 0: all */
	uint32_t chance;                /* RANDOM: of a million */
	uint32_t second;                /* the second error of each call that has two */
	uint32_t error;                 /* that the first one to fail had */
	char     name[28];              /* of the first one to fail */
	char     object[64];            /* that called it */
	uint64_t at;                    /* the place in that object */
	struct struck last[NR_LAST];    /* a ring: the first one to fail is the first */
};

_Static_assert(sizeof(struct failing) <= SIZE, "failing.py has the same size");

static struct failing *failing;
static uint64_t seed;
static uint32_t never;
static const char *spared;
/* What a look-up itself calls does not count. Initial-exec: the loader may allocate before it tells where another one is. */
static __thread bool is_inside __attribute__((tls_model("initial-exec")));

/* ---- a process that aborts ---- */

#define DEPTH 40

static void say(const char *text)
{
	(void)!write(STDERR_FILENO, text, strlen(text));
}

/*
 * An assertion, or a library that has no other way to say that something failed. Nobody would know which one: an exit status has no place for it.
 */
static void on_abort(int number)
{
	uint32_t nr = failing ? failing->struck : 0;
	void *frames[DEPTH];
	char line[64];

	(void)number;
	is_inside = true;
	snprintf(line, sizeof(line), "pid %d aborts; what failed in it last:", getpid());
	say(line);
	for (uint32_t i = nr > NR_LAST ? nr - NR_LAST : 0; i < nr; i++) {
		const struct struck *one = &failing->last[i % NR_LAST];

		if (one->pid != (uint32_t)getpid())
			continue;
		snprintf(line, sizeof(line), " %s: %d;", one->name, one->error);
		say(line);
	}
	say("\n");
	backtrace_symbols_fd(frames, backtrace(frames, DEPTH), STDERR_FILENO);
}

static void tell_of_aborts(void)
{
	struct sigaction action = { .sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND };
	void *frame;

	/* The first one loads a library, which an abort has no time for. */
	backtrace(&frame, 1);
	sigaction(SIGABRT, &action, NULL);
}

__attribute__((constructor))
static void open_control(void)
{
	const char *path = getenv("FAILING"), *number = getenv("FAILING_SEED"), *kinds = getenv("FAILING_NEVER");
	long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	tell_of_aborts();
	map = (void *)syscall(SYS_mmap, NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	seed = number ? strtoull(number, NULL, 0) : 1;
	never = kinds ? (uint32_t)strtoul(kinds, NULL, 0) : 0;
	spared = getenv("FAILING_SPARED");
	if (map != MAP_FAILED)
		failing = map;
}

/* ---- who fails ---- */

/*
 * When an allocation of their own fails, libseccomp 2.5 loops for ever, libpmem2 and the loader of the C library abort, and its look-up of groups
 * crashes; libsystemd cannot tell READY=1 when it gets no socket for good, and the daemon says so and tries again: what becomes of their calls says
 * nothing about us. What we call of the C library fails as a whole.
 */
static bool is_spared(const char *object, enum kind kind)
{
	static const char *const others[] = { "libseccomp", "ld-linux", "libc.so", "libsystemd" };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strncmp(object, others[i], strlen(others[i])) == 0)
			return true;
	return (kind == MEMORY && strncmp(object, "libpmem2", 8) == 0) || (spared && strcmp(object, spared) == 0);
}

static void remember(uint32_t number, const char *name, int error)
{
	struct struck *one = &failing->last[number % NR_LAST];

	one->pid = (uint32_t)getpid();
	one->error = error;
	strncpy(one->name, name, sizeof(one->name));
}

/* false: whose call it is is spared. */
static bool note(const char *name, enum kind kind, int error, const void *caller)
{
	const char *object = "?";
	uint64_t at = 0;
	uint32_t number;
	Dl_info info;

	is_inside = true;
	if (dladdr(caller, &info) && info.dli_fname) {
		object = strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
		at = (uint64_t)((const char *)caller - (const char *)info.dli_fbase);
	}
	is_inside = false;
	if (is_spared(object, kind))
		return false;
	number = __atomic_fetch_add(&failing->struck, 1, __ATOMIC_RELAXED);
	remember(number, name, error);
	if (number > 0)
		return true;
	failing->error = (uint32_t)error;
	failing->at = at;
	snprintf(failing->name, sizeof(failing->name), "%s", name);
	snprintf(failing->object, sizeof(failing->object), "%s", object);
	return true;
}

static uint64_t draw(void)
{
	static __thread uint64_t state __attribute__((tls_model("initial-exec")));

	if (!state)
		state = (seed ^ (uint64_t)syscall(SYS_gettid) << 32) * 0x9e3779b97f4a7c15u | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

static bool is_due(const char *name)
{
	uint32_t number = __atomic_fetch_add(&failing->count, 1, __ATOMIC_RELAXED);

	switch (failing->mode) {
	case ONE:
		return number == failing->nth;
	case FROM:
		return number == failing->nth || (failing->struck && strncmp(failing->name, name, sizeof(failing->name) - 1) == 0);
	case RANDOM:
		return draw() % 1000000 < failing->chance;
	default:
		return false;
	}
}

int strikes(const char *name, enum kind kind, const int *errors, uint32_t nr, const void *caller)
{
	uint32_t which;
	int error;

	if (!failing || is_inside || (failing->kinds && !(failing->kinds & kind)) || never & kind || !is_due(name))
		return 0;
	which = failing->mode == RANDOM ? (uint32_t)draw() : failing->second;
	error = errors[which % nr];
	return note(name, kind, error, caller) ? error : 0;
}

void *next_of(const char *name)
{
	bool was = is_inside;
	void *found;

	is_inside = true;
	found = dlsym(RTLD_NEXT, name);
	is_inside = was;
	return found;
}
