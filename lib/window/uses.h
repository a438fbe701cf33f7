/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uses: tells the daemon which evictable things this process gets, by the touches of the arena
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

/* For who zeroes it: no touches, and nothing is noted. */
struct uses {
	/* borrowed from `all`: those of the daemon that is there now; NULL: none */
	_Atomic(struct touched *) now;
	/*
	 * Owned; all that ever were: another thread may be about to store into an older one.
	 */
	SLIST_HEAD(, touched) all;
};

/*
 * From here on the touches in @fd, which stays the caller's, count. Where they cannot be mapped
 * nothing is noted: what this process gets may be evicted earlier then.
 */
void uses_take(struct uses *uses, int fd);
void uses_fini(struct uses *uses);

/* What is in @slot was got. */
static inline void uses_note(struct uses *uses, uint32_t slot)
{
	struct touched *touches = atomic_load_explicit(&uses->now, memory_order_acquire);

	if (touches && slot < touches->nr &&
	    __atomic_load_n(&touches->bytes[slot], __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&touches->bytes[slot], TOUCHED, __ATOMIC_RELAXED);
}

#endif
