/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: one sentence for each thread. The function that returns an error to the program sets it,
 * on the program's thread. A sentence that another thread received is copied and not pointed at,
 * since that thread may replace it.
 */
#include <config.h>

#include "lib/error.h"

#include <errno.h>
#include <pmemarena.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static _Thread_local struct why last;

const char *pma_message(void)
{
	return last.text;
}

/* Sets the sentence. An argument may be the sentence that is there. */
__attribute__((format(printf, 1, 0)))
static void set(const char *fmt, va_list ap)
{
	char text[sizeof(last.text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	memcpy(last.text, text, sizeof(text));
}

int error_set(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(fmt, ap);
	va_end(ap);
	return err;
}

int pmemarena_error_set(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(fmt, ap);
	va_end(ap);
	return err;
}

int error_copy(int err, const char *text, size_t len)
{
	if (len == 0)
		return error_set(err, "%s", strerror(-err));
	if (len >= sizeof(last.text))
		len = sizeof(last.text) - 1;
	memcpy(last.text, text, len);
	last.text[len] = '\0';
	return err;
}

const char *error_text(int err)
{
	switch (err) {
	case -ENOMEM:
		return "no memory is left for this process: free some, or raise its limit "
		       "(ulimit -v, memory.max of its cgroup)";
	case -ENOBUFS:
		return "the kernel has no memory for a message: ask again later";
	case -EMFILE:
		return "no descriptor is free in this process: close some, or raise RLIMIT_NOFILE "
		       "(ulimit -n)";
	case -ENFILE:
		return "no descriptor is free on this host: close some, or raise fs.file-max "
		       "(sysctl)";
	default:
		return strerror(-err);
	}
}

int error_memory(void)
{
	return error_set(-ENOMEM, "%s", error_text(-ENOMEM));
}

int error_map_why(struct why *why, int err, uint64_t size)
{
	struct rlimit limit = { 0, 0 };

	if (err == -ENOMEM)
		return why_set(why, err,
			       "mapping %llu bytes failed: no memory or address space is left for "
			       "this process: unmap some, or raise its limits (ulimit -v, "
			       "vm.max_map_count)",
			       (unsigned long long)size);
	if (err != -EAGAIN)
		return why_set(why, err, "mapping %llu bytes failed: %s", (unsigned long long)size,
			       error_text(err));
	/*
	 * mmap() says EAGAIN to a process that locks all it maps (mlockall(MCL_FUTURE)) and has
	 * reached its limit. Address space without memory behind it counts too.
	 */
	getrlimit(RLIMIT_MEMLOCK, &limit);
	return why_set(why, err,
		       "mapping %llu bytes failed: this process locks all it maps (mlockall), and "
		       "may lock %llu bytes: raise RLIMIT_MEMLOCK (ulimit -l), or do not lock what "
		       "is mapped later",
		       (unsigned long long)size, (unsigned long long)limit.rlim_cur);
}

int error_map(int err, uint64_t size)
{
	struct why why;

	error_map_why(&why, err, size);
	return error_set(err, "%s", why.text);
}

const char *pma_version(void)
{
	return PACKAGE_VERSION;
}
