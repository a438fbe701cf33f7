/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer: what somebody could use instead for the same job. Each does in its `there` what gives an
 * object of @size bytes, and in its `back` what takes it away again.
 */
#ifndef PMEMARENA_BENCH_SERVE_PEER_H
#define PMEMARENA_BENCH_SERVE_PEER_H

#include "bench/bench-serve-crew.h"

struct peer {
	const char *dir;                /* where its files go */
	uint64_t size;
	enum placement placement;       /* of those that have two processes */
	double seconds;
};

/* 0, or -errno; -EOPNOTSUPP: not built in, or not possible here. */

/* A file an object: open(O_CREAT), fallocate and mmap; munmap, close, unlink. */
int peer_run_file(struct timing timings[NR_PHASES], const struct peer *peer);
/*
 * memfd_create, fallocate, passed over a socket to a server that keeps it, answered; munmap and
 * close at both ends.
 */
int peer_run_memfd(struct timing timings[NR_PHASES], const struct peer *peer);
/* pmemobj_alloc(), pmemobj_free(): atomic, durable, within this process. */
int peer_run_pmemobj(struct timing timings[NR_PHASES], const struct peer *peer);
/* pmemobj_reserve() and pmemobj_publish(); pmemobj_free(). */
int peer_run_pmemobj_publish(struct timing timings[NR_PHASES], const struct peer *peer);
/* memkind_malloc() of a kind made by memkind_create_pmem(): volatile, within this process. */
int peer_run_memkind(struct timing timings[NR_PHASES], const struct peer *peer);

#endif
