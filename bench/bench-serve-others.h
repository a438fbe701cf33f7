/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * others: a process beside those that are measured: one client that floods the daemon with batches or keeps it zeroing, or many that are connected and
 * ask for nothing.
 */
#ifndef PMEMARENA_BENCH_SERVE_OTHERS_H
#define PMEMARENA_BENCH_SERVE_OTHERS_H

#include <sys/types.h>

enum others {
	OTHERS_FLOOD,                   /* one, batches of 256 without a pause */
	OTHERS_CHURN,                   /* one, a gigabyte comes and goes, and is zeroed */
	OTHERS_IDLE,                    /* @nr */
};

/* Returns when they are at it: the process, or -errno. */
pid_t others_start(const char *socket, enum others what, unsigned nr);
void others_stop(pid_t pid);                    /* < 0 is fine */

#endif
