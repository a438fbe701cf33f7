/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault: the handler of SIGBUS and who waits for it. It knows nothing of nbdkit or allocations.
 */
#include "nbd/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

struct catcher {
	sigjmp_buf env;
	uintptr_t begin, len;
	volatile uintptr_t off;         /* written by the handler, before it jumps */
};

/*
 * The catcher of this thread. The TLS model initial-exec lets the handler read it without help of
 * the loader, which could allocate memory.
 */
static __thread struct catcher *volatile waiting __attribute__((tls_model("initial-exec")));

/* The action that SIGBUS had before fault_init(). */
static struct sigaction previous;

/*
 * A SIGBUS for which nobody waits has the action of before, which is put back: a fault repeats
 * itself, and what kill() sent is sent again. Memory that failed and that nobody touched
 * (BUS_MCEERR_AO) is no reason for anything yet: whoever touches it gets a SIGBUS of its own.
 */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct catcher *catcher = waiting;

	(void)context;
	if (info->si_code == BUS_MCEERR_AO)
		return;
	if (info->si_code > 0 && catcher &&
	    (uintptr_t)info->si_addr - catcher->begin < catcher->len) {
		catcher->off = (uintptr_t)info->si_addr - catcher->begin;
		waiting = NULL;
		siglongjmp(catcher->env, 1);
	}
	sigaction(sig, &previous, NULL);
	if (info->si_code <= 0 || info->si_code == BUS_MCEERR_AR)
		raise(sig);
}

/* SA_NODEFER: the jump leaves the handler, and a blocked SIGBUS would end the process next time. */
int fault_init(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, &previous) < 0 ? -errno : 0;
}

int fault_catch(size_t *off, const void *begin, size_t len, int (*work)(void *arg), void *arg)
{
	struct catcher catcher = { .begin = (uintptr_t)begin, .len = len };
	int r;

	/* The mask of signals is not saved, which would be a system call for each request. */
	if (sigsetjmp(catcher.env, 0) != 0) {
		*off = catcher.off;
		return -EFAULT;
	}
	waiting = &catcher;
	r = work(arg);
	waiting = NULL;
	return r;
}
