/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * others: a process beside those that are measured: one client that floods the daemon with batches
 * or keeps it zeroing, many that are connected and ask for nothing, or a user that does its worst.
 */
#ifndef PMEMARENA_BENCH_SERVE_OTHERS_H
#define PMEMARENA_BENCH_SERVE_OTHERS_H

#include <sys/types.h>

enum others {
	OTHERS_FLOOD,                   /* one, batches of 256 without a pause */
	OTHERS_CHURN,                   /* one, a gigabyte comes and goes, and is zeroed */
	OTHERS_IDLE,                    /* @nr */
	/* Another user, where this program is root's, that does its worst within its quota. */
	OTHERS_BATCHES,                 /* many, batches of 256 without a pause */
	/* one after the other, each hangs up with thousands of reservations */
	OTHERS_HANG_UPS,
	/* one after the other, each hangs up and stays mapped, as many as are allowed */
	OTHERS_MARKS,
	OTHERS_CONNECTS,                /* one after the other, each asks for nothing */
};

/* Returns when they are at it: the process, or -errno. */
pid_t others_start(const char *socket, enum others what, unsigned nr);
void others_stop(pid_t pid);                    /* < 0 is fine */

#endif
