/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * floor: what a round trip costs when there is nothing to be done: two processes, a packet of 64
 * bytes there and one back.
 */
#ifndef PMEMARENA_BENCH_SERVE_FLOOR_H
#define PMEMARENA_BENCH_SERVE_FLOOR_H

#include "bench/bench-serve-crew.h"

/*
 * One client: a bare recv() and send(). More: a server that waits with epoll for all of them. 0 or
 * -errno.
 */
int floor_run(struct timing *timing, enum placement placement, unsigned nr_clients, double seconds);

#endif
