/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener: a listening socket in the loop. When descriptors run out it rests for a second instead of spinning.
 */
#ifndef PMEMARENA_LISTENER_H
#define PMEMARENA_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/event_struct.h>

struct event_base;

struct listener {
	struct event event;
	int      sock;                  /* owned; -1: none */
	uint64_t resting_since_ns;      /* 0: it is awake */
	int    (*accepted)(void *arg, int sock);        /* takes sock; -errno: no more for now */
	void    *arg;
};

/* Takes @sock, which listens and does not block. */
void listener_init(struct listener *listener, struct event_base *base, int sock, int (*accepted)(void *arg, int sock), void *arg);
void listener_fini(struct listener *listener);
/* true: it rests; call again in 100 ms. */
bool listener_tick(struct listener *listener);

#endif
