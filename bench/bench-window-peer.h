/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer: who else finds a value by its name for several processes of a host. Each is asked for the
 * names that bench-window asks for, in the same order.
 */
#ifndef PMEMARENA_BENCH_WINDOW_PEER_H
#define PMEMARENA_BENCH_WINDOW_PEER_H

#include "bench/bench-serve-crew.h"

#define WINDOW_NAME 32          /* bytes of a name with its NUL */
#define WINDOW_HOT  1000u       /* so many are asked for over and over */
/* Gets that are timed together: a look at the clock costs as much as one. */
#define WINDOW_RUN  64u

struct window_job {
	const char (*names)[WINDOW_NAME];
	uint64_t nr;                    /* of names */
	bool     is_random;             /* all of them; else WINDOW_HOT */
	unsigned nr_processes;
	uint64_t value;                 /* bytes of a value, of those that send it; 4096 or 2 MiB */
	const char *dir;                /* on a tmpfs */
	double   seconds;
};

/* The next name to be asked for; *state is the caller's, 0 at first. */
static inline uint64_t window_next(uint64_t *state, const struct window_job *job)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	if (job->is_random)
		return (*state >> 33) % job->nr;
	return (*state >> 33) % WINDOW_HOT * (job->nr / WINDOW_HOT);
}

/* Each process on any processor. */
int window_crew(struct timing *timing, const struct window_job *job,
		int (*open)(void **context, const void *arg, unsigned index),
		void (*close)(void *context),
		int (*work)(struct turn *turn, void *context, const void *arg), const void *arg);

/* 0, or -errno; -EOPNOTSUPP: not built in, or not installed. */

/*
 * An LMDB environment on the tmpfs with all names and values of 32 bytes, so that it copies nothing
 * and fits where ours does: a read transaction that is renewed, and a get.
 */
int window_peer_lmdb(struct timing *timing, const struct window_job *job);
/* A file a name: open, mmap, munmap, close. */
int window_peer_file(struct timing *timing, const struct window_job *job);
/* GET from a server of its own over a unix socket, which sends the value; hot names alone. */
int window_peer_redis(struct timing *timing, const struct window_job *job);
int window_peer_memcached(struct timing *timing, const struct window_job *job);

#endif
