/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch: memory that somebody has mapped and looks at again and again. Each block of it is zero or
 * has the stamp of its origin, and one that was seen with a stamp keeps it: what was freed, cut off
 * or published meanwhile does not change what a map shows.
 */
#ifndef TESTS_STORM_WATCH_H
#define TESTS_STORM_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_BLOCKS 4096u      /* of at most so many it remembers what it saw */

struct watch {
	const char *base;               /* borrowed */
	uint64_t len;                   /* bytes */
	uint64_t off;                   /* of its first byte in the allocation */
	uint64_t origin;
	uint64_t id;                    /* 0: unknown */
	uint32_t arena;
	uint32_t stride;                /* every so many blocks have a stamp */
	/* any thing of this maker may be there: a cache uses its pieces again */
	bool by_maker;
	const char *who;                /* borrowed; for the evidence */
	uint8_t  seen[WATCH_BLOCKS / 8];
};

/* All but who and by_maker. @filled: the bytes from its begin that have stamps by now. */
void watch_init(struct watch *watch, const void *base, uint64_t len, uint64_t origin,
		uint64_t filled, uint32_t stride);
/* False: it found something, and said so. */
bool watch_check(struct watch *watch);

#endif
