/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uses: tells the daemon which evictable allocations this process gets, by the touches of the arena
 * (lib/wire/window.h): a byte a slot. A hit reads the byte, and stores it only where it is 0, so
 * that what is hot costs no store and its cache line stays shared.
 */
#ifndef PMEMARENA_USES_H
#define PMEMARENA_USES_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/window.h"

/* The touches of one daemon. */
struct touched {
	SLIST_ENTRY(touched) link;      /* in uses.all */
	uint8_t *bytes;                 /* owned mapping of nr bytes */
	size_t   nr;
};

/* All zeroes is a valid state: there are no touches, and no use is noted. */
struct uses {
	/* borrowed from @all: the touches of the daemon that runs now; NULL: none */
	_Atomic(struct touched *) now;
	/*
	 * Owned, the touches of all daemons since the window was opened: another thread may be
	 * about to store into an older one, so none is unmapped before the window is closed.
	 */
	SLIST_HEAD(, touched) all;
};

/*
 * Notes uses in the touches of @fd from here on; @fd stays the caller's. Where they cannot be
 * mapped no use is noted: then the daemon may evict what this process uses often.
 */
void uses_take(struct uses *uses, int fd);
void uses_fini(struct uses *uses);

/*
 * Notes that this process got the allocation in @slot. Else the daemon would take the allocation
 * for unused, and evict it early.
 */
static inline void uses_note(struct uses *uses, uint32_t slot)
{
	struct touched *touches = atomic_load_explicit(&uses->now, memory_order_acquire);

	if (touches && slot < touches->nr &&
	    __atomic_load_n(&touches->bytes[slot], __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&touches->bytes[slot], TOUCHED, __ATOMIC_RELAXED);
}

#endif
