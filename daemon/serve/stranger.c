/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stranger: a descriptor that a client sent may be of any file. To close one of a file system that
 * is served by a process (FUSE) or by another host waits for those; a client that serves its own
 * would stop the daemon with it. So only a file in memory is closed here, and all others by a
 * thread each that nobody waits for. The threads are few: when they all wait, no descriptor is
 * received any more, and a client that sends one is hung up on.
 */
#include <config.h>

#include "daemon/serve/stranger.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "daemon/log.h"

#define CLOSING_MAX 8

/* how many threads are closing a descriptor */
static atomic_int nr_closing;
/* Descriptors that no thread was free to close; only the loop thread uses the list. */
static int left[CLOSING_MAX], nr_left;

static void *close_it(void *arg)
{
	close((int)(intptr_t)arg);
	atomic_fetch_sub(&nr_closing, 1);
	return NULL;
}

/* Hands @fd to a thread that closes it; false: there is no thread for it. */
static bool hand_over(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	atomic_fetch_add(&nr_closing, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, close_it, (void *)(intptr_t)fd);
	pthread_attr_destroy(&attr);
	if (r != 0)
		atomic_fetch_sub(&nr_closing, 1);
	return r == 0;
}

bool stranger_is_welcome(void)
{
	/*
	 * Hands over what was left before. Else, once eight descriptors were left, none would ever
	 * be received again.
	 */
	while (nr_left > 0 && hand_over(left[nr_left - 1]))
		nr_left--;
	return atomic_load_explicit(&nr_closing, memory_order_relaxed) + nr_left < CLOSING_MAX;
}

void stranger_close(int fd)
{
	/* Only files in memory know seals; asking for them asks no file system. */
	if (fcntl(fd, F_GET_SEALS) >= 0) {
		close(fd);
		return;
	}
	if (hand_over(fd))
		return;
	left[nr_left++] = fd;
	log_warning("a descriptor that a client sent stays open until there is a thread to close "
		    "it");
}
