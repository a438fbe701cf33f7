/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard: turns the SIGBUS of one access into a return value. While a guard is armed, a SIGBUS of
 * this thread at an address in the guard's range jumps back to guard_trips(). Any other SIGBUS
 * keeps the action that it had before.
 *
 *         guard_arm(&guard, base, len);
 *         if (guard_trips(&guard))
 *                 return -EIO;            // disarmed already
 *         ... touch base[0..len) ...
 *         guard_disarm(&guard);
 *
 * Local variables that change between guard_trips() and the access are undefined after a trip, as
 * with setjmp(). What is called in between must hold no lock and own nothing. A thread that blocks
 * SIGBUS is killed by the first bad page.
 */
#ifndef PMEMARENA_GUARD_H
#define PMEMARENA_GUARD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

struct guard {
	sigjmp_buf    env;
	const char   *begin, *end;
	struct guard *outer;            /* the guard that was armed in this thread before */
};

/*
 * Installs the handler, once for the process; later calls do nothing. The kernel tells the thread
 * that calls first of memory that fails anywhere in the process's mappings, before anybody touches
 * it. 0 or -errno.
 */
int guard_install(void);

/*
 * Takes one piece of memory inside [base, base + len) that has failed since the last call; false:
 * there is none. Of more than 64 pieces between two calls the rest is forgotten; each is met again
 * when it is touched.
 */
bool guard_take_poison(size_t *off, size_t *piece, const void *base, size_t len);

void guard_arm(struct guard *guard, const void *base, size_t len);
void guard_disarm(struct guard *guard);

/*
 * The signal mask is not saved: that would be a system call for each access, and the handler blocks
 * no signal.
 */
#define guard_trips(guard) (sigsetjmp((guard)->env, 0) != 0)

#endif
