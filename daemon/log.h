/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log: one line to stderr, with a level. Under systemd, or into a pipe or a file, each line begins
 * with `<n>`, which the journal turns into a priority; on a terminal it does not.
 */
#ifndef PMEMARENA_LOG_H
#define PMEMARENA_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/*
 * Lines above the level are dropped; at the start it is LOG_LEVEL_INFO. Any thread may log; one
 * thread may set the level.
 */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/*
 * Does anybody want to know each step that the daemon takes (daemon/trace.h)? Nobody does while
 * @any is 0. It is one word, so that a step that nobody wants to know costs one branch.
 * log_set_level() and log_set_followed() write @wanted; the kernel counts in @probed the tracers
 * that are attached.
 */
enum { LOG_STEPS_LOGGED = 1, LOG_STEPS_FOLLOWED = 2 };
union log_steps {
	uint32_t any;
	struct {
		uint16_t wanted, probed;
	};
};
extern union log_steps log_steps __attribute__((visibility("hidden")));
void log_set_followed(bool followed);

/*
 * Parses "error", "warning", "notice", "info" or "debug": 0 or -EINVAL. log_level_name() is the
 * inverse, for any level.
 */
int log_level_parse(enum log_level *out, const char *name);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
