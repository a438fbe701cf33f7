/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_calls: the system calls and allocations of the library, counted, and made to fail at
 * will. A program that is linked with --wrap for each of them (tests/Makefile.inc has the list)
 * contains the library's objects, so that only their calls and its own are counted, and not those
 * of the C library or of libraries behind it.
 *
 * Some calls of the library are not here because they cannot fail with the arguments that it
 * gives: clock_gettime() of the monotonic clock, timerfd_settime(), shutdown() and close() of a
 * descriptor that it has, the functions of eventfd(2) that read and write a counter, and the
 * initializers of mutexes and conditions.
 */
#ifndef PMEMARENA_SWEEPER_CALLS_H
#define PMEMARENA_SWEEPER_CALLS_H

#include <stdbool.h>

enum calls_mode {
	CALLS_COUNT,                    /* nothing fails */
	CALLS_ONCE,                     /* one call fails */
	CALLS_FOR_GOOD                  /* and all later ones of its name */
};

/* The name of an mmap() for whose pages the kernel shall keep the file system's metadata durable. */
#define CALLS_MAP_SYNC "mmap with MAP_SYNC"

struct calls_struck {
	const char *name;               /* of the call that failed first; NULL: none did */
	int error;                      /* the errno that it had */
};

/* From here on calls count. Number @nth, from 0, fails; @second: with the other of its errors. */
void calls_arm(enum calls_mode mode, long nth, bool second);
/* Nothing fails any more. Returns how many calls there were, and in *struck what failed. */
long calls_disarm(struct calls_struck *struck);

/* Blocks of memory and bytes of mappings that were had by these calls and not given back. */
long calls_blocks(void);
long calls_mapped(void);

#endif
