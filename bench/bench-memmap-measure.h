/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap-measure: one layout, one region, one order: all figures, in a process of its own so
 * that what is counted is the array's.
 */
#ifndef PMEMARENA_BENCH_MEMMAP_MEASURE_H
#define PMEMARENA_BENCH_MEMMAP_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#define NR_ORDERS 2

/* A figure that there is not is NAN. */
struct figures {
	double usable_ms, boot_ms, cold_ms;
	double memory_bytes, empty_bytes, vmas;
	double restore_p50, restore_p99, dedup_p50, dedup_p99;  /* us */
	double batch_us, scattered_us;                          /* a page of 64 */
	double write_us;                                        /* restore and write each tail */
	double read_ns;
};

struct result {
	unsigned layout;                        /* in layouts[] */
	unsigned region_gib, order;
	double stopped_at_gib;                  /* NAN: it did not */
	/* what it had come to by then; NAN: it was not tried */
	double stop_ms, stop_bytes, stop_vmas;
	char   stopped_by[64];
	struct figures quiet, hot;              /* hot: a reader is busy on the other core */
};

struct effort {
	unsigned boots, singles, batches, reads;
};

extern const struct effort full_effort, quick_effort;

/* Measure in a child. What does not fit says where it stopped; false: the child died. */
bool measure(struct result *result, unsigned layout, unsigned region_gib, unsigned order,
	     const struct effort *effort);

#endif
