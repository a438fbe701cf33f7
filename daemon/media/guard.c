/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard: the handler of SIGBUS behind struct guard. It has the only state of the process that
 * cannot hang off an object, since a signal handler has no argument. It knows nothing of devices.
 */
#include <config.h>

#include "daemon/media/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>

/*
 * The guard that is armed in this thread. The TLS model initial-exec lets the handler read it
 * without help of the loader, which could allocate memory.
 */
static __thread struct guard *volatile armed __attribute__((tls_model("initial-exec")));

/* The action that SIGBUS had before guard_install(). */
static struct sigaction previous;

/*
 * Reports of failed memory, from the handler to guard_take_poison(), which may run in another
 * thread. The state of each is atomic: a handler can take no lock.
 */
enum notice_state { NOTICE_EMPTY, NOTICE_WRITING, NOTICE_FULL };
static struct notice {
	atomic_int  state;
	const char *addr;
	unsigned    shift;              /* log2 of the length of what failed */
} notices[64];
#define NR_NOTICES (sizeof(notices) / sizeof(notices[0]))

/* Called in the handler. When all places are taken, the report is dropped. */
static void keep_notice(const siginfo_t *info)
{
	int empty;

	for (size_t i = 0; i < NR_NOTICES; i++) {
		empty = NOTICE_EMPTY;
		if (!atomic_compare_exchange_strong(&notices[i].state, &empty, NOTICE_WRITING))
			continue;
		notices[i].addr = info->si_addr;
		notices[i].shift = info->si_addr_lsb > 0 && info->si_addr_lsb < 48
					   ? (unsigned)info->si_addr_lsb
					   : 12;
		atomic_store_explicit(&notices[i].state, NOTICE_FULL, memory_order_release);
		return;
	}
}

/* Takes the part of a report that lies in [base, base + len); false: it is empty or elsewhere. */
static bool take(struct notice *notice, size_t *off, size_t *piece, const char *base, size_t len)
{
	uintptr_t span, begin, end, first = (uintptr_t)base, last = first + len;

	if (atomic_load_explicit(&notice->state, memory_order_acquire) != NOTICE_FULL)
		return false;
	span = (uintptr_t)1 << notice->shift;
	begin = (uintptr_t)notice->addr & ~(span - 1);
	end = begin + span;
	if (end <= first || begin >= last)
		return false;
	begin = begin < first ? first : begin;
	*off = begin - first;
	*piece = (end < last ? end : last) - begin;
	atomic_store_explicit(&notice->state, NOTICE_EMPTY, memory_order_release);
	return true;
}

bool guard_take_poison(size_t *off, size_t *piece, const void *base, size_t len)
{
	for (size_t i = 0; i < NR_NOTICES; i++)
		if (take(&notices[i], off, piece, base, len))
			return true;
	return false;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const char *addr = info->si_addr;
	struct guard *guard = armed;

	(void)context;
	if (info->si_code == BUS_MCEERR_AO || info->si_code == BUS_MCEERR_AR)
		keep_notice(info);
	/*
	 * Memory has failed that nobody has touched yet. That is no reason to stop: who touches it
	 * later gets a SIGBUS of its own.
	 */
	if (info->si_code == BUS_MCEERR_AO)
		return;
	if (info->si_code > 0 && guard && addr >= guard->begin && addr < guard->end) {
		armed = guard->outer;
		siglongjmp(guard->env, 1);
	}
	/*
	 * This SIGBUS is not for a guard: the action of before is put back. A fault then repeats
	 * itself. A signal that kill() sent, or that madvise() raised, does not, and is sent again.
	 */
	sigaction(sig, &previous, NULL);
	if (info->si_code <= 0 || info->si_code == BUS_MCEERR_AR)
		raise(sig);
}

static int install_result;

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART };

	sigemptyset(&action.sa_mask);
	install_result = sigaction(SIGBUS, &action, &previous) < 0 ? -errno : 0;
	/* A kernel that does not handle memory failures refuses this, and has nothing to report. */
	(void)prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
}

int guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	return install_result;
}

/*
 * The fences keep the compiler from moving accesses out of the guarded part; the processor needs
 * none, since all happens in one thread.
 */
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
