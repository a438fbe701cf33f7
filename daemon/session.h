/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: the connected clients: their sockets, what is on its way to them, and the messages of theirs that wait for
 * space. Bounded memory for each, whatever it does.
 */
#ifndef PMEMARENA_SESSION_H
#define PMEMARENA_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/service.h"

struct event_base;
struct sessions;

/* Both are borrowed. -ENOMEM. */
int sessions_new(struct sessions **out, struct event_base *base, struct service *service);
/* Hangs up on all. Their sessions stay in the roster: the clients may take them up with the next daemon. NULL is fine. */
void sessions_free(struct sessions *sessions);

/* A new connection; takes @sock. -EMFILE: no more, until some end: descriptors are left for all else. */
int sessions_accept(struct sessions *sessions, int sock);
/* A connection that an earlier daemon left with the service manager; takes @sock. Is over if its session is not known any more. */
void sessions_adopt(struct sessions *sessions, int sock, uint64_t number);
/* There is more clean space: those who wait for it try again. */
void sessions_retry(struct sessions *sessions);
/* Upkeep: what has to be tried again by time, connections that never say hello. true: again in 100 ms, please. */
bool sessions_tick(struct sessions *sessions);

/* No more requests are taken; what is under way goes on. */
void sessions_stop(struct sessions *sessions);
bool sessions_are_quiet(const struct sessions *sessions);       /* nothing waits, all that was said is sent */

/* For people: each greeted session. */
struct session_info {
	uint64_t number;
	uint32_t uid, gid;
	int32_t  pid;
	uint64_t connected_ns;          /* ago */
	uint64_t messages;
	uint32_t nr_waiting;            /* messages that wait for space */
	bool     is_blocked;            /* does not read its replies */
};
void sessions_each(const struct sessions *sessions, void (*each)(void *arg, const struct session_info *info), void *arg);

#endif
