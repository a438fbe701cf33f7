/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * others: a process beside those that are measured: one client that floods the daemon with batches, or many that are connected and ask for nothing.
 */
#ifndef PMEMARENA_BENCH_SERVE_OTHERS_H
#define PMEMARENA_BENCH_SERVE_OTHERS_H

#include <sys/types.h>

/* Returns when they are at it: the process, or -errno. @nr 0: one that floods; else so many that are idle. */
pid_t others_start(const char *socket, unsigned nr);
void others_stop(pid_t pid);                    /* < 0 is fine */

#endif
