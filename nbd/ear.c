/* SPDX-License-Identifier: BSD-3-Clause */
/* ear: waits for what a session has to do, and does it. It knows nothing of nbdkit. */
#include "nbd/ear.h"

#include <errno.h>
#include <pmemarena.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ear {
	struct pma *pma;                /* borrowed */
	int session_fd;                 /* the library's */
	int end_fd;                     /* owned; readable: the thread is to end */
	pthread_t thread;
};

/*
 * While the connection is lost, a timer makes the descriptor readable when it is time to connect
 * again, and pma_dispatch() does that.
 */
static void *listen_on(void *arg)
{
	struct ear *ear = arg;
	struct pollfd pollers[] = { { .fd = ear->end_fd, .events = POLLIN },
				    { .fd = ear->session_fd, .events = POLLIN } };

	while (!pollers[0].revents) {
		if (poll(pollers, 2, -1) > 0 && pollers[1].revents)
			pma_dispatch(ear->pma);
	}
	return NULL;
}

/* Signals are for the threads of the server, which know what they mean. */
static int start(struct ear *ear)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&ear->thread, NULL, listen_on, ear);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int ear_new(struct ear **out, struct pma *pma)
{
	struct ear *ear = calloc(1, sizeof(*ear));
	int r;

	if (!ear)
		return -ENOMEM;
	ear->pma = pma;
	ear->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ear->session_fd = r = ear->end_fd < 0 ? -errno : pma_get_fd(pma);
	if (r >= 0)
		r = start(ear);
	if (r < 0) {
		if (ear->end_fd >= 0)
			close(ear->end_fd);
		free(ear);
		return r;
	}
	*out = ear;
	return 0;
}

void ear_free(struct ear *ear)
{
	if (!ear)
		return;
	eventfd_write(ear->end_fd, 1);
	pthread_join(ear->thread, NULL);
	close(ear->end_fd);
	free(ear);
}
