/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cut: walks through a recorder's log and tells, at every point, which states of the device a power
 * cut may leave. The model is that of x86 with ADR, in units of a 64-byte line:
 *
 *  - A line that was stored to and not made durable is *open*. It has versions: 0 is what is
 *    certain to be on the device, the others are what it held after each later store, up to what
 *    the processor sees. Any of them may be on the device, flushed or not: caches evict when they
 *    like.
 *  - Lines are independent of each other. Within a line stores arrive in order, and the last one
 *    that did may be torn: any of its aligned 8-byte words may be missing.
 *  - A thread's fence makes certain what that thread flushed (or stored non-temporally) before;
 *    later stores to the same lines stay open. Another thread's flushes are not its business.
 *
 * With page granularity more becomes durable than this model grants, so that what holds here holds
 * there.
 *
 *         cut_new(&cut, rec);
 *         do {
 *                 ... choose a version for each of cut_nr_lines() ...
 *                 state = cut_image(cut, choices);
 *         } while (cut_step(cut));
 *
 * The states at a point include those of every earlier point since the last fence, so it is enough
 * to look before each fence (cut_next() tells what comes) and at the end.
 */
#ifndef PMEMARENA_CUT_H
#define PMEMARENA_CUT_H

#include "tests/standin/recorder.h"

#define CUT_LINE 64

struct cut;

struct cut_line {
	unsigned device;
	uint64_t off;                   /* of the line, on the device */
	uint32_t nr_versions;           /* at least 2: 0 certain .. nr_versions - 1 newest */
};

struct cut_choice {
	uint32_t version;
	/* of the version's store, which 8-byte words arrived: 0xff all; no matter for version 0 */
	uint8_t words;
};

/* Stands before the first entry. The recorder's log must not change while the cut lives. */
struct cut *cut_new(const struct recorder *rec);
void cut_free(struct cut *cut);

size_t cut_point(const struct cut *cut);                        /* entries behind it */
const struct recorder_entry *cut_next(const struct cut *cut);   /* NULL at the end */
/* over the next entry; false at the end */
bool cut_step(struct cut *cut);

size_t cut_nr_lines(const struct cut *cut);
struct cut_line cut_line(const struct cut *cut, size_t i);
/* Which words a version's store changed: only these are worth tearing. */
uint8_t cut_words(const struct cut *cut, size_t i, uint32_t version);

/* One state: a choice for each open line; NULL: only what is certain. The caller frees it. */
struct image *cut_image(const struct cut *cut, const struct cut_choice *choices);
/* All that the processor saw: as if the power had stayed. */
struct image *cut_newest(const struct cut *cut);

#endif
