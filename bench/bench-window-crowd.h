/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd: very many sessions that have windows and pins, and do nothing; and what a free costs
 * beside them.
 */
#ifndef PMEMARENA_BENCH_WINDOW_CROWD_H
#define PMEMARENA_BENCH_WINDOW_CROWD_H

#include <pmemarena.h>

#include "bench/bench-window-peer.h"

#define CROWD_SESSIONS 1000u
#define CROWD_PINS     8u       /* of each */
#define CROWD_FREES    256u     /* timed together, as the mean of one */

/* 0 or -errno, which it has printed. */
int window_connect(struct pma **pma, const char *socket);

/*
 * Starts a process with CROWD_SESSIONS sessions, each with a window of its own that pins CROWD_PINS
 * of the first names of @job. It returns when all pins are there. Returns its pid, or -errno.
 */
pid_t window_crowd_start(const char *socket, const struct window_job *job);
void window_crowd_end(pid_t pid);       /* 0 and -errno are fine */

struct window_frees {
	const char *socket;
	bool in_one;                    /* all in one message; else a message each */
};
/*
 * For window_crew(), with a struct window_frees: publishes CROWD_FREES allocations of 4 KiB, and
 * notes what it takes to free one of them, again and again.
 */
int window_frees_open(void **context, const void *arg, unsigned index);
void window_frees_close(void *context);
int window_frees(struct turn *turn, void *context, const void *arg);

#endif
