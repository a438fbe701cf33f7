/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp: a number that grows with each change, written into every part of an arena that somebody
 * could put back from a backup by itself. At the next start belong.c finds out, by these stamps,
 * that one part is older. A run is the time from one start of the daemon to the next.
 */
#ifndef PMEMARENA_STAMP_H
#define PMEMARENA_STAMP_H

#include "daemon/arena/arena_internal.h"

/* Begins a run in *stamp, with a number that lies a random leap above @from. */
void stamp_random(struct stamp *stamp, uint64_t from);
/*
 * Begins a run: writes its number to both devices and into the ledger, before a start stores
 * anything else. The caller ends it with stamp_end(). -errno when a device fails.
 */
int stamp_run(struct arena *arena);
/*
 * Around each change: stamp_begin() before its first store, stamp_end() after its last. @settles:
 * the next fence makes the change durable. -errno when a device fails.
 */
int stamp_begin(struct arena *arena, bool settles);
/* As stamp_begin(), where the change is that scrubbed pages are noted as known to be zero. */
int stamp_scrub(struct arena *arena);
int stamp_end(struct arena *arena);
/* Has the ledger changed since the last stamp_end(), so that the next settle must stamp? */
bool stamp_is_due(const struct arena *arena);
/* At the end of a run: makes the stamp durable on the data device. -errno when that fails. */
int stamp_close(struct arena *arena);
/*
 * Now and then while the daemon runs: makes the stamps on the data device durable, and notes in
 * memory that they are; the next settle writes that note. After a failure the next call tries
 * again.
 */
void stamp_upkeep(struct arena *arena);

#endif
