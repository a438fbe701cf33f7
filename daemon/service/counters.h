/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters: what happened since the daemon was started, for `stats` and /metrics. It does no input
 * or output and reads no clock.
 */
#ifndef PMEMARENA_COUNTERS_H
#define PMEMARENA_COUNTERS_H

#include <stdint.h>

#include "lib/wire/wire.h"

/*
 * Bucket i counts what took less than 2^i microseconds and did not fit into the bucket before. The
 * last one takes everything that took longer.
 */
#define HISTOGRAM_BUCKETS 24

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, sum_ns;
};

struct counters {
	uint64_t messages;
	uint64_t items[WIRE_OPCODES];           /* by opcode */
	/* by opcode: items that were answered with an error */
	uint64_t refused[WIRE_OPCODES];
	/*
	 * By opcode. Only one message in COUNTERS_TIMED_EACH is timed, and each that waited for
	 * space: to read the clock twice costs a tenth of a round trip.
	 */
	struct histogram latency[WIRE_OPCODES];
	uint64_t sessions_begun, sessions_resumed, sessions_refused, sessions_orphaned;
	uint64_t protocol_errors;
	uint64_t parked;                        /* messages that waited for space to be scrubbed */
	uint64_t events_sent, events_lost;
};

#define COUNTERS_TIMED_EACH 8

/* Counts something that took @ns nanoseconds. */
void histogram_add(struct histogram *histogram, uint64_t ns);
/*
 * Returns the upper bound, in nanoseconds, of the bucket with the @percent-th percentile; 0:
 * nothing was counted.
 */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned percent);
/* Returns the upper bound of a bucket in nanoseconds; UINT64_MAX for the last one. */
uint64_t histogram_bound(unsigned bucket);

#endif
