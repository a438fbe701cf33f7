/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load: what clients of the daemon do, over and over: an allocation comes and goes.
 */
#ifndef PMEMARENA_BENCH_SERVE_LOAD_H
#define PMEMARENA_BENCH_SERVE_LOAD_H

#include "bench/bench-serve-crew.h"

enum load_mode {
	LOAD_SINGLE,            /* one message, one reply */
	LOAD_BATCH64,           /* 64 operations a message */
	LOAD_PIPELINED,         /* eight threads of one process over one connection */
	LOAD_BUSY_POLL,         /* as single, and nobody sleeps */
	LOAD_LEASED,            /* 64 pieces of a cache come and go, with no message */
	LOAD_LEASED_PUBLISH,    /* 64 pieces of a cache, published in one message */
	LOAD_CONTENTS,          /* as single, with PMA_ANY_CONTENTS */
};
const char *load_mode_name(enum load_mode mode);

#define LOAD_BUSY_POLL_US 200

struct load {
	const char *socket;
	/* wait there, outside of what is timed, until freed space is zero; NULL: over and over */
	const char *admin;
	enum load_mode mode;
	enum placement placement;
	unsigned nr_clients;
	uint64_t size;
	double seconds;
};

/*
 * There: reserve and publish in one message. Back: free. Both: not with @admin in mode single. 0 or
 * -errno.
 */
int load_run(struct timing timings[NR_PHASES], const struct load *load);

#endif
