/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener: a listening socket in the loop. When descriptors run out it rests for a second instead
 * of spinning.
 */
#ifndef PMEMARENA_LISTENER_H
#define PMEMARENA_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <event2/event_struct.h>

#include "lib/wire/why.h"

struct event_base;

struct listener {
	struct event event;
	int      sock;                  /* owned; -1: none */
	uint64_t resting_since_ns;      /* 0: it is awake */
	/*
	 * Takes the connection @sock, and owns it. Returns 0, or -errno: then no connection is
	 * accepted for a second.
	 */
	int    (*accepted)(void *arg, int sock);
	void    *arg;
};

/*
 * Listens at @path (or @NAME, an abstract socket) unless *sock is a socket already; a daemon that
 * runs as root gives it to @group. -EADDRINUSE: another process listens there; -errno, with a
 * sentence. The caller owns *sock.
 */
int listener_bind(int *sock, const char *path, int type, mode_t mode, const char *group,
		  struct why *why);
/* Takes @sock, which listens and does not block. -errno: it is closed. */
int listener_init(struct listener *listener, struct event_base *base, int sock,
		  int (*accepted)(void *arg, int sock), void *arg);
void listener_fini(struct listener *listener);
/* Returns true while the listener rests; then it must be called again in 100 ms. */
bool listener_tick(struct listener *listener);

#endif
