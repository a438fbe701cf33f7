/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper: the thread of a cache. It sleeps until the daemon asks for leases back, or until it is
 * woken because there are leases to end, and calls back. It listens on a session of its own:
 * replies to others do not wake it, and its wake-ups cost them nothing.
 */
#ifndef PMEMARENA_KEEPER_H
#define PMEMARENA_KEEPER_H

#include <pmemarena.h>
#include <stdbool.h>

struct keeper;

/*
 * Starts a cache's thread. @work is called on it with @arg: @recalled is true when the daemon asks
 * for leases back, false after keeper_wake(). *out is ended with keeper_free(). The errors of
 * pma_connect(), -EMFILE, or -EAGAIN when no thread can be made.
 */
int keeper_new(struct keeper **out, struct pma *pma, uint32_t arena,
	       void (*work)(void *arg, bool recalled), void *arg);
/*
 * Ends the thread and waits for it; afterwards @work is not called any more. NULL is fine. A child
 * of fork() has no such thread, and there it only frees memory.
 */
void keeper_free(struct keeper *keeper);
void keeper_wake(struct keeper *keeper);        /* one system call; from any thread */

#endif
