/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace: one line for each step that the daemon takes: to the log while its level is debug, and to
 * whoever follows. A layer has its steps in one file of its own (arena/arena_trace.c and the like),
 * which turns objects into fields.
 *
 * A step that nobody wants to know of costs one branch: its caller asks trace_is_on() inline, and
 * builds the fields behind that. Loop thread only.
 */
#ifndef PMEMARENA_TRACE_H
#define PMEMARENA_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/log.h"
#include "daemon/probe.h"

/* Everything in it is borrowed, and must stay until trace_write() returns. */
struct trace_field {
	const char *key;                        /* NULL: the field is left out */
	/* any bytes, not terminated; NULL: the field is a number */
	const char *text;
	uint64_t number;
	size_t   len;                           /* of the text */
};

#define TRACE_NUMBER(name, value) { .key = (name), .number = (uint64_t)(value) }
#define TRACE_STRING(name, string) { .key = (name), .text = (string), .len = strlen(string) }
#define TRACE_BYTES(name, bytes, length) { .key = (name), .text = (bytes), .len = (length) }

/* One step: "arena.reserve" is the layer and what it did. */
struct trace_step {
	const char *what;
	const struct trace_field *fields;
	size_t nr;
};

static inline bool trace_is_on(void)
{
	return __builtin_expect(log_steps.any != 0, 0);
}

void trace_write(const char *what, const struct trace_field *fields, size_t nr)
	__attribute__((cold));

/* Used as trace_fields("arena.reserve", TRACE_NUMBER("id", alloc->id), ...). */
#define trace_fields(what, ...) \
	do { \
		const struct trace_field fields_[] = { __VA_ARGS__ }; \
		trace_write(what, fields_, sizeof(fields_) / sizeof(*fields_)); \
	} while (0)

/* Returns the field named @key; NULL: there is none. */
const struct trace_field *trace_find(const struct trace_step *step, const char *key);

/*
 * Writes the step as one line of text of at most @size bytes with the NUL: `arena.reserve id=1
 * name="a b"`. Bytes of a text that are not printable ASCII, quotes and backslashes are written as
 * \xNN, so that no name can look like another field. What does not fit is cut off; the line then
 * ends with "...".
 */
void trace_text(char *line, size_t size, const struct trace_step *step);

/*
 * Has @follow told of each step from now on; NULL: nobody is. There is one follower, the
 * administrators' side. It is kept here because the layers that take steps have no pointer to what
 * stands above them.
 */
typedef void trace_follow_fn(void *arg, const struct trace_step *step);
void trace_follow(trace_follow_fn *follow, void *arg);

#endif
