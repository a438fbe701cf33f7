/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * touches: a byte for each slot of an arena, in memory that the processes with a window share with
 * the daemon: who gets something evictable says so there, since a hit sends no message.
 * lib/wire/window.h has the layout. The memory goes with the daemon; a process gets that of the
 * next one when it takes its window up again.
 *
 * Whoever has the descriptor may store anything, so nothing is believed but that a byte is 0 or is
 * not. The file is sealed: it can neither grow nor shrink, or a process could take the memory away
 * from under the daemon.
 */
#ifndef PMEMARENA_TOUCHES_H
#define PMEMARENA_TOUCHES_H

#include <stdbool.h>
#include <stdint.h>

struct touches;

/*
 * Makes touches for slots 0 to @nr_slots - 1. The caller owns *out. -ENOMEM; errors of
 * memfd_create().
 */
int touches_new(struct touches **out, uint64_t nr_slots);
void touches_free(struct touches *touches);     /* Frees @touches, which may be NULL. */
/* Returns the descriptor to send to clients. @touches keeps it. */
int touches_fd(const struct touches *touches);
/* Was @slot touched since the last call for it? @touches may be NULL: then no slot was. */
bool touches_take(struct touches *touches, uint32_t slot);

#endif
