/* SPDX-License-Identifier: BSD-3-Clause */
/* space_trace: turns a range of free space into fields of the trace. */
#include <config.h>

#include "daemon/space/space_trace.h"

#include <string.h>

void space_trace_range(const char *what, const struct space *space, struct extent range,
		       bool is_run, int result)
{
	trace_fields(
		what, TRACE_STRING("arena", space->p.name ? space->p.name : ""),
		TRACE_NUMBER("offset", byte_of(range.off)),
		TRACE_NUMBER("bytes", byte_of(range.len)), TRACE_NUMBER("base_pages", is_run),
		TRACE_STRING(result < 0 ? "error" : NULL, result < 0 ? strerror(-result) : ""));
}
