/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper: the thread of a cache. It sleeps until the daemon asks for leases back, or until it is woken because there are leases to end, and
 * calls back. It listens on a session of its own: replies to others do not wake it, and its wake-ups cost them nothing.
 */
#ifndef PMEMARENA_KEEPER_H
#define PMEMARENA_KEEPER_H

#include <pmemarena.h>
#include <stdbool.h>

struct keeper;

/*
 * @work is called on the thread: @recalled when leases are asked back, else because of keeper_wake(). The errors of pma_connect(), -EMFILE, -EAGAIN
 * no thread.
 */
int keeper_new(struct keeper **out, struct pma *pma, uint32_t arena, void (*work)(void *arg, bool recalled), void *arg);
/* Waits for the thread. @work is not called any more. NULL is fine. In a child of fork() there is no thread, and it only frees. */
void keeper_free(struct keeper *keeper);
void keeper_wake(struct keeper *keeper);        /* one system call; from any thread */

#endif
