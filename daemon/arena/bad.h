/* SPDX-License-Identifier: BSD-3-Clause */
/* bad: base pages (4 KiB) whose memory failed are marked, recorded and never handed out again. */
#ifndef PMEMARENA_BAD_H
#define PMEMARENA_BAD_H

#include "daemon/arena/arena_internal.h"

/*
 * At a start: takes the platform's list of bad pages of the device and marks each that is new.
 * Does nothing for a read-only arena. 0, or -errno: the start fails.
 */
int bad_read(struct arena *arena);
/*
 * At each tick of a running daemon: marks the pages of which the kernel told that they failed, and
 * logs each. On device-dax it also reads a slice of the device, so that the kernel tells this
 * process of failures at all. A failure to record them is logged; the pages stay marked in memory.
 */
void bad_take(struct arena *arena);
/* Has bad_take() more of the device to read before the kernel tells of failures in all of it? */
bool bad_is_busy(const struct arena *arena);

#endif
