/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start-peer: as many objects kept by somebody else, and how long until all of them are known
 * again.
 */
#ifndef PMEMARENA_BENCH_START_PEER_H
#define PMEMARENA_BENCH_START_PEER_H

#include <stdint.h>

/*
 * Makes @nr objects in @dir, then goes over all of them @rounds times, each as a program that was
 * just started. ms[rounds]. 0, -errno, -EOPNOTSUPP.
 */
/* pmemobj_open(), each object and its name */
int start_peer_pmemobj(double *ms, unsigned rounds, const char *dir, uint64_t nr);
/* readdir() and fstatat() of files of a tmpfs */
int start_peer_files(double *ms, unsigned rounds, const char *dir, uint64_t nr);

#endif
