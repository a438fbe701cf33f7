/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper: one thread of a cache, which waits for two descriptors: the daemon's recall, and a
 * wake-up. The cache decides what is done then.
 */
#include <config.h>

#include "lib/memory/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/session/client.h"
#include "lib/session/connection.h"
#include "lib/error.h"
#include "lib/session/event.h"

struct keeper {
	/* owned; a session of the thread's own, in which it hears that leases are asked back */
	struct pma *ear;
	int ear_fd;                     /* borrowed from it */
	int wake_fd;                    /* owned */
	pthread_t thread;
	bool has_thread;
	uint32_t process;
	_Atomic bool is_over;
	void (*work)(void *arg, bool recalled);
	void *arg;
};

static void heard(const struct pma_event *event, void *arg)
{
	struct keeper *keeper = arg;

	/*
	 * Events were lost, and a recall may have been among them: giving idle leases back is never
	 * wrong.
	 */
	if (event->kind == PMA_EVENT_RECALL || event->kind == PMA_EVENT_LOST)
		keeper->work(keeper->arg, true);
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;
	struct pollfd pollers[] = { { .fd = keeper->wake_fd, .events = POLLIN },
				    { .fd = keeper->ear_fd, .events = POLLIN } };
	eventfd_t value;

	while (!atomic_load(&keeper->is_over)) {
		if (poll(pollers, 2, -1) < 0)
			continue;
		if (eventfd_read(keeper->wake_fd, &value) == 0 && !atomic_load(&keeper->is_over))
			keeper->work(keeper->arg, false);
		/*
		 * If the connection is lost, pma_dispatch() also connects again: a timer makes the
		 * same descriptor readable when it is time to try.
		 */
		pma_dispatch(keeper->ear);
	}
	return NULL;
}

/*
 * The thread blocks all signals. Otherwise a signal handler of the program might run on a thread
 * that the program does not know.
 */
static int start(struct keeper *keeper)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&keeper->thread, NULL, keep, keeper);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return error_set(-r,
				 "no thread for the cache: %s: end some, or raise RLIMIT_NPROC "
				 "(ulimit -u) or pids.max of its cgroup",
				 strerror(r));
	pthread_setname_np(keeper->thread, "pma-cache");
	keeper->has_thread = true;
	return 0;
}

static int open_fds(struct keeper *keeper, struct pma *pma, uint32_t arena)
{
	int r;

	keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (keeper->wake_fd < 0)
		return error_set(-errno, "no descriptor for the cache: %s",
				 error_text(-errno));
	r = connection_twin(&keeper->ear, pma);
	if (r == 0)
		r = event_subscribe_recalls(keeper->ear, arena, heard, keeper);
	if (r == 0)
		r = pma_get_fd(keeper->ear);
	if (r < 0)
		return r;
	keeper->ear_fd = r;
	return 0;
}

int keeper_new(struct keeper **out, struct pma *pma, uint32_t arena,
	       void (*work)(void *arg, bool recalled), void *arg)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return error_memory();
	keeper->wake_fd = -1;
	keeper->work = work;
	keeper->arg = arg;
	keeper->process = process_number();
	r = open_fds(keeper, pma, arena);
	if (r == 0)
		r = start(keeper);
	if (r < 0) {
		keeper_free(keeper);
		return r;
	}
	*out = keeper;
	return 0;
}

void keeper_wake(struct keeper *keeper)
{
	(void)eventfd_write(keeper->wake_fd, 1);
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	if (keeper->has_thread && process_is(keeper->process)) {
		atomic_store(&keeper->is_over, true);
		keeper_wake(keeper);
		pthread_join(keeper->thread, NULL);
	}
	pma_disconnect(keeper->ear);
	if (keeper->wake_fd >= 0)
		close(keeper->wake_fd);
	free(keeper);
}
