/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log: one line to stderr with a level. A line is one write(2), so that lines of several threads, or of a daemon and
 * its successor, never mix; a message with newlines in it (a client's name, a path) still makes one line. It does not
 * know the journal beyond the `<n>` prefix.
 */
#include <config.h>

#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic(enum log_level) level_now = LOG_LEVEL_INFO;

static const char *const names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
	level_now = level;
}

enum log_level log_level(void)
{
	return level_now;
}

int log_level_parse(enum log_level *out, const char *name)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

static bool is_for_a_terminal(void)
{
	return isatty(STDERR_FILENO) && !getenv("JOURNAL_STREAM");
}

/* A newline in a message would let a client forge a line of its own. */
static void flatten(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[1024];
	size_t prefix, len;
	ssize_t written;
	va_list ap;

	if (level > level_now)
		return;
	prefix = is_for_a_terminal() ? 0 : (size_t)snprintf(line, sizeof(line), "<%d>", level);
	va_start(ap, fmt);
	vsnprintf(line + prefix, sizeof(line) - prefix, fmt, ap);
	va_end(ap);
	len = strlen(line);
	flatten(line + prefix, len - prefix);
	/* The terminating NUL makes room for the newline. */
	line[len] = '\n';
	written = write(STDERR_FILENO, line, len + 1);
	/* There is nobody to tell that the log is gone, and the daemon lives on without it. */
	(void)written;
	errno = saved_errno;
}
