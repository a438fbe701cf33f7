/* SPDX-License-Identifier: BSD-3-Clause */
/* clock: reads a clock of the kernel as one number of nanoseconds. */
#ifndef PMEMARENA_CLOCK_H
#define PMEMARENA_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
