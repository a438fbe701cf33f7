/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters: what happened since the daemon started, for `stats` and /metrics. Pure: no I/O, no clock.
 */
#ifndef PMEMARENA_COUNTERS_H
#define PMEMARENA_COUNTERS_H

#include <stdint.h>

#include "lib/wire.h"

/* Bucket i counts what took less than 1 us << i, and not less than the bucket before; the last one has no end. */
#define HISTOGRAM_BUCKETS 24

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, sum_ns;
};

struct counters {
	uint64_t messages;
	uint64_t items[WIRE_OPCODES];           /* by opcode */
	uint64_t refused[WIRE_OPCODES];         /* of them: items answered with an error */
	/* One message in COUNTERS_TIMED_EACH, and each that had to wait for space: a clock costs a tenth of a round trip. */
	struct histogram latency[WIRE_OPCODES];
	uint64_t sessions_begun, sessions_resumed, sessions_refused, sessions_orphaned;
	uint64_t protocol_errors;
	uint64_t parked;                        /* messages that waited for space to be scrubbed */
	uint64_t events_sent, events_lost;
};

#define COUNTERS_TIMED_EACH 8

void histogram_add(struct histogram *histogram, uint64_t ns);
/* The upper bound of the bucket that holds the @percent-th percentile, in ns; 0 when there is nothing. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned percent);
/* The upper bound of a bucket in ns; UINT64_MAX for the last. */
uint64_t histogram_bound(unsigned bucket);

#endif
