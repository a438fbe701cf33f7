/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * space_trace: the steps of free space, each as a USDT probe and as a line of the trace.
 * doc/TRACING.md says what each step means.
 */
#ifndef PMEMARENA_SPACE_TRACE_H
#define PMEMARENA_SPACE_TRACE_H

#include "daemon/space/space_internal.h"
#include "daemon/trace.h"

void space_trace_range(const char *what, const struct space *space, struct extent range,
		       bool is_run, int result) __attribute__((cold));

/* @range goes to the scrubber. */
static inline void space_trace_scrub(const struct space *space, struct extent range, bool is_run)
{
	if (!trace_is_on())
		return;
	PROBE(scrub, byte_of(range.off), byte_of(range.len), is_run);
	space_trace_range("space.scrub", space, range, is_run, 0);
}

/* @range is kept as its last user left it, for that user alone. */
static inline void space_trace_left(const struct space *space, struct extent range)
{
	if (!trace_is_on())
		return;
	PROBE(left, byte_of(range.off), byte_of(range.len));
	space_trace_range("space.left", space, range, false, 0);
}

/*
 * The scrubber is done with @range. @result < 0: it could not be made zero, and its bad base pages
 * are set aside.
 */
static inline void space_trace_scrubbed(const struct space *space, struct extent range, bool is_run,
					int result)
{
	if (!trace_is_on())
		return;
	PROBE(scrubbed, byte_of(range.off), byte_of(range.len), is_run, result);
	space_trace_range("space.scrubbed", space, range, is_run, result);
}

#endif
