/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: all connected clients, as the rest of the daemon sees them: their sockets, the replies
 * that are on their way, and the messages that wait for space. The memory of each is bounded,
 * whatever its program does.
 *
 * A session is what one program has with the daemon. It ends when the program hangs up or says so;
 * a daemon that stops leaves it in the roster (a file that outlives the daemon), so that the
 * program can go on with the next daemon.
 */
#ifndef PMEMARENA_SESSION_H
#define PMEMARENA_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/service/service.h"

struct event_base;
struct sessions;

/*
 * Makes an empty set of sessions. @base and @service are borrowed and must outlive it. Returns 0,
 * or -ENOMEM: *out is untouched. The caller frees it by sessions_free().
 */
int sessions_new(struct sessions **out, struct event_base *base, struct service *service);
/*
 * Closes all connections and frees @sessions. The sessions themselves stay in the roster: their
 * programs may take them up with the next daemon. NULL does nothing.
 */
void sessions_free(struct sessions *sessions);

/*
 * Takes a new connection, and closes @sock if it cannot (with a line in the log). Returns 0, also
 * for a connection that was closed; -EMFILE when no more connections fit, so that descriptors are
 * left for devices and administrators: then the caller accepts none until some end.
 */
int sessions_accept(struct sessions *sessions, int sock);
/*
 * Takes the connection @sock of session @number, which an earlier daemon left with the service
 * manager. Owns @sock. If the session is not in the roster, or its user is another one, the
 * connection is closed and the service manager told to forget it; if it went on with another
 * connection already, this one is closed.
 */
void sessions_adopt(struct sessions *sessions, int sock, uint64_t number);
/* Tries again all messages that wait for space. Call it when space became clean or came back. */
void sessions_retry(struct sessions *sessions);
/* Counts one round of the loop: each user has a new share of the daemon's time. */
void sessions_next_round(struct sessions *sessions);
/*
 * Call it when an arena has opened after sessions existed (its device came back). Each greeted
 * session takes part in the arena again, so that what it held there is its own again. A session for
 * which memory is short is logged and left out.
 */
void sessions_take_part(struct sessions *sessions);
/*
 * Does what no event asks for: flushes sessions that rest, hangs up on connections that sent no
 * HELLO within 10 seconds. Returns true if it must be called again in 100 ms, since something still
 * rests.
 */
bool sessions_tick(struct sessions *sessions);

/* Takes no more requests from now on; those under way go on, and their replies are sent. */
void sessions_stop(struct sessions *sessions);
/* Does no message wait, and are all replies in the sockets? Then the daemon may exit. */
bool sessions_are_quiet(const struct sessions *sessions);

/* One greeted session, for people. */
struct session_info {
	uint64_t number;
	uint32_t uid, gid;
	int32_t  pid;
	uint64_t connected_ns;          /* time since it connected */
	uint64_t messages;
	uint32_t nr_waiting;            /* messages that wait for space */
	bool     is_blocked;            /* true: it does not read its replies */
};
/*
 * Calls @each with @arg for each greeted session. @each must not begin or end a session: the list
 * must not change meanwhile. *info is valid only during the call.
 */
void sessions_each(const struct sessions *sessions,
		   void (*each)(void *arg, const struct session_info *info), void *arg);

#endif
