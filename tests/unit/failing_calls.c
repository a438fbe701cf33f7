/* SPDX-License-Identifier: BSD-3-Clause */
/* failing_calls: ENOMEM for all of them, which each of them may say. */
#include <config.h>

#include "tests/unit/failing_calls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

static int left = -1;                   /* counted calls before the one that fails; -1: none does */
static enum failing_mode mode;
static const char *only, *struck;

void failing_from(int n, enum failing_mode how, const char *name)
{
	left = n;
	mode = how;
	only = name;
	struck = NULL;
}

bool failing_stop(void)
{
	left = -1;
	return struck != NULL;
}

const char *failing_name(void)
{
	return struck ? struck : "none";
}

static bool strikes(const char *name)
{
	if (left < 0 || (only && strcmp(only, name) != 0))
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	if (mode == FAIL_ONE)
		left = -1;
	if (!struck)
		struck = name;
	errno = ENOMEM;
	return true;
}

#define WRAPPED(type, name, params, args, failure)		\
	type __real_##name params;				\
	type __wrap_##name params;				\
	type __wrap_##name params				\
	{							\
		return strikes(#name) ? failure : __real_##name args; \
	}

WRAPPED(void *, mmap, (void *a, size_t l, int p, int f, int fd, off_t o), (a, l, p, f, fd, o),
	(void *)-1)
WRAPPED(int, mprotect, (void *a, size_t l, int p), (a, l, p), -1)
WRAPPED(int, madvise, (void *a, size_t l, int v), (a, l, v), -1)
WRAPPED(int, ftruncate, (int fd, off_t l), (fd, l), -1)
WRAPPED(int, fallocate, (int fd, int m, off_t o, off_t l), (fd, m, o, l), -1)
WRAPPED(int, memfd_create, (const char *n, unsigned f), (n, f), -1)
WRAPPED(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), -1)
WRAPPED(int, fchmod, (int fd, mode_t m), (fd, m), -1)
WRAPPED(void *, malloc, (size_t n), (n), NULL)
WRAPPED(void *, calloc, (size_t n, size_t s), (n, s), NULL)
WRAPPED(void *, realloc, (void *p, size_t n), (p, n), NULL)
WRAPPED(void *, reallocarray, (void *p, size_t n, size_t s), (p, n, s), NULL)

/* Nobody here passes them more than one argument behind the named ones. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list rest;
	int creation;

	va_start(rest, flags);
	creation = va_arg(rest, int);
	va_end(rest);
	return strikes("open") ? -1 : __real_open(path, flags, creation);
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
	va_list rest;
	long argument;

	va_start(rest, what);
	argument = va_arg(rest, long);
	va_end(rest);
	return strikes("fcntl") ? -1 : __real_fcntl(fd, what, argument);
}
