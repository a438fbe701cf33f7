/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * first-fit: free space of which a claim takes the first range, by address, that is long enough.
 */
#ifndef PMEMARENA_BENCH_EXTENT_FIRST_FIT_H
#define PMEMARENA_BENCH_EXTENT_FIRST_FIT_H

#include "daemon/space/extent.h"

/* @units, a power of two, are free. -ENOMEM. */
int first_fit_begin(uint64_t units);
void first_fit_reset(void);              /* all units are free again */
void first_fit_end(void);
/* -ENOSPC: no range is long enough. */
int first_fit_claim(struct extent *out, uint64_t want);
void first_fit_release(struct extent range);
uint64_t first_fit_largest(void);

#endif
