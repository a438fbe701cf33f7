/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log: writes one line to stderr. A line is one write(2), so that lines of several threads, or of a
 * daemon and its successor, never mix. A message with newlines in it (a client's name, a path)
 * still makes one line: what cannot be seen is escaped. It knows of the journal only the prefix
 * `<n>`.
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

#include "lib/wire/escape.h"

#define MESSAGE_MAX 1024
#define LINE_BYTES  4096              /* the most that a pipe takes in one piece */

static _Atomic(enum log_level) level_now = LOG_LEVEL_INFO;

static const char *const names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/*
 * The kernel counts the tracers of a probe in memory that comes from the program's file. Memory of
 * .bss does not, so this word has a section of its own.
 */
__attribute__((section(".probes"))) union log_steps log_steps = { 0 };

static void set_steps(uint16_t bit, bool on)
{
	if (on)
		__atomic_or_fetch(&log_steps.wanted, bit, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&log_steps.wanted, (uint16_t)~bit, __ATOMIC_RELAXED);
}

void log_set_level(enum log_level level)
{
	level_now = level;
	set_steps(LOG_STEPS_LOGGED, level >= LOG_LEVEL_DEBUG);
}

void log_set_followed(bool followed)
{
	set_steps(LOG_STEPS_FOLLOWED, followed);
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

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char message[MESSAGE_MAX], line[LINE_BYTES];
	size_t prefix, len;
	ssize_t written;
	va_list ap;

	if (level > level_now)
		return;
	prefix = is_for_a_terminal() ? 0 : (size_t)snprintf(line, sizeof(line), "<%d>", level);
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	/*
	 * A newline in a message would let a client write lines of its own into the log; other
	 * control characters could hide lines.
	 */
	len = prefix + escape_sentence(line + prefix, sizeof(line) - prefix - 1, message,
				       strlen(message), escape_shows_text);
	line[len] = '\n';
	written = write(STDERR_FILENO, line, len + 1);
	/* If the log is gone, that cannot be told to anybody; the daemon goes on without a log. */
	(void)written;
	errno = saved_errno;
}
