/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journey: end to end: one process gets space, maps it, writes all of it, makes it durable and
 * publishes it; another opens it, maps it and reads all of it. `there` ends when it has been read;
 * `back` takes it away again.
 */
#ifndef PMEMARENA_BENCH_SERVE_JOURNEY_H
#define PMEMARENA_BENCH_SERVE_JOURNEY_H

#include "bench/bench-serve-crew.h"

struct journey {
	const char *socket;             /* NULL: with a file in dir instead of the daemon */
	const char *dir;
	uint64_t size;
	enum placement placement;       /* of writer and daemon; the reader has any processor */
	double seconds;
	/* each side has the whole device mapped; with a socket only */
	bool keeps_mapping;
};

/* 0 or -errno. */
int journey_run(struct timing timings[NR_PHASES], const struct journey *journey);

#endif
