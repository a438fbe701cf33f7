/* SPDX-License-Identifier: BSD-3-Clause */
/* memmap_trace: turns pages of descriptors into fields of the trace. */
#include <config.h>

#include "daemon/memmap/memmap_trace.h"

#include <string.h>

void memmap_trace_pages(const char *what, const struct memmap *mm, uint64_t page, uint64_t nr,
			int result)
{
	trace_fields(
		what, TRACE_STRING("arena", mm->p.name ? mm->p.name : ""),
		TRACE_NUMBER("page", page), TRACE_NUMBER("pages", nr),
		TRACE_STRING(result < 0 ? "error" : NULL, result < 0 ? strerror(-result) : ""));
}
