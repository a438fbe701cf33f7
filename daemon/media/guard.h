/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard: turns the SIGBUS of one access into a return value. While a guard is armed, a SIGBUS of this thread at an
 * address in the guard's range jumps back to guard_trips(); any other SIGBUS keeps the action it had before.
 *
 *         guard_arm(&guard, base, len);
 *         if (guard_trips(&guard))
 *                 return -EIO;            // disarmed already
 *         ... touch base[0..len) ...
 *         guard_disarm(&guard);
 *
 * Locals that change between guard_trips() and the access are undefined after a trip, as with setjmp. What is called
 * in between must hold no lock and own nothing. A thread that blocks SIGBUS is killed by the first bad page.
 */
#ifndef PMEMARENA_GUARD_H
#define PMEMARENA_GUARD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

struct guard {
	sigjmp_buf    env;
	const char   *begin, *end;
	struct guard *outer;            /* the one that was armed before on this thread */
};

/*
 * Install the handler, once for the process; later calls do nothing. The thread that calls first is the one the kernel
 * tells of memory that fails anywhere in the process's mappings, before anybody touches it. 0 or -errno.
 */
int guard_install(void);

/*
 * Memory that failed inside of [base, base + len) since it was last asked, one piece a call; false: none. Of more than 64
 * pieces between two calls the rest is forgotten: it is met again when it is touched.
 */
bool guard_take_poison(size_t *off, size_t *piece, const void *base, size_t len);

void guard_arm(struct guard *guard, const void *base, size_t len);
void guard_disarm(struct guard *guard);

/* No signal mask is saved: that would be a system call for every access, and the handler blocks nothing. */
#define guard_trips(guard) (sigsetjmp((guard)->env, 0) != 0)

#endif
