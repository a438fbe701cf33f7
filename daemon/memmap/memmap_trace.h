/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_trace: the steps of the memmap, each as a USDT probe and as a line of the trace.
 * doc/TRACING.md says what each step means.
 */
#ifndef PMEMARENA_MEMMAP_TRACE_H
#define PMEMARENA_MEMMAP_TRACE_H

#include "daemon/memmap/memmap_internal.h"
#include "daemon/trace.h"

void memmap_trace_pages(const char *what, const struct memmap *mm, uint64_t page, uint64_t nr,
			int result) __attribute__((cold));

/* The tails of @page are its own from now on; @result < 0: there was no memory for that. */
static inline void memmap_trace_split(const struct memmap *mm, uint64_t page, int result)
{
	if (!trace_is_on())
		return;
	PROBE(split, page, result);
	memmap_trace_pages("memmap.split", mm, page, 1, result);
}

/* The tails of @nr pages from @page on are shared again. */
static inline void memmap_trace_dedup(const struct memmap *mm, uint64_t page, uint64_t nr)
{
	if (!trace_is_on())
		return;
	PROBE(dedup, page, nr);
	memmap_trace_pages("memmap.dedup", mm, page, nr, 0);
}

/* The tails of @nr pages could not be shared now; they will be later. */
static inline void memmap_trace_put_off(const struct memmap *mm, uint64_t page, uint64_t nr,
					int result)
{
	if (!trace_is_on())
		return;
	PROBE(put_off, page, nr, result);
	memmap_trace_pages("memmap.put_off", mm, page, nr, result);
}

#endif
