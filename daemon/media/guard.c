/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SIGBUS handler behind struct guard. It holds the process's only state that cannot hang off an object: a signal
 * has no argument. It knows nothing of devices.
 */
#include <config.h>

#include "daemon/media/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* initial-exec: the handler may read it without the loader's help, which may allocate. */
static __thread struct guard *volatile armed __attribute__((tls_model("initial-exec")));

static struct sigaction previous;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const char *addr = info->si_addr;
	struct guard *guard = armed;

	(void)context;
	/* Poison somewhere in what we have mapped, which nobody touched yet. Whoever does gets a SIGBUS of its own. */
	if (info->si_code == BUS_MCEERR_AO)
		return;
	if (info->si_code > 0 && guard && addr >= guard->begin && addr < guard->end) {
		armed = guard->outer;
		siglongjmp(guard->env, 1);
	}
	/* A fault repeats itself when we return; what kill() sent must be sent again. */
	sigaction(sig, &previous, NULL);
	if (info->si_code <= 0)
		raise(sig);
}

static int install_result;

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigemptyset(&action.sa_mask);
	install_result = sigaction(SIGBUS, &action, &previous) < 0 ? -errno : 0;
}

int guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	return install_result;
}

/* The fences keep the compiler, not the processor, from moving accesses out of the guarded stretch. */
void guard_arm(struct guard *guard, const void *base, size_t len)
{
	guard->begin = base;
	guard->end = guard->begin + len;
	guard->outer = armed;
	armed = guard;
	atomic_signal_fence(memory_order_seq_cst);
}

void guard_disarm(struct guard *guard)
{
	atomic_signal_fence(memory_order_seq_cst);
	armed = guard->outer;
}
