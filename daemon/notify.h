/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify: talks to the service manager: readiness, status, watchdog, and the sockets that it opened
 * for the daemon. Without a service manager every call does nothing.
 */
#ifndef PMEMARENA_NOTIFY_H
#define PMEMARENA_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire/why.h"

/*
 * -errno: the service manager, which waits for this message, did not get it. Then the caller must
 * call again, or the service manager ends the daemon.
 */
int notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *status);
void notify_watchdog(void);

/*
 * How often, in ms, notify_watchdog() must be called: half of the time after which the daemon is
 * killed. 0: it need not be called.
 */
uint64_t notify_watchdog_ms(void);

/* A client's connection that outlived a daemon, and the number of its session. */
struct passed_session {
	uint64_t number;
	int      sock;                  /* owned; -1 once it was taken */
};

/*
 * What the service manager passed to this process: listening sockets (-1: none), and connections
 * that an earlier daemon left with it.
 */
struct passed {
	int client, admin;              /* owned; -1 once they were taken */
	struct passed_session *sessions;        /* owned */
	size_t nr_sessions;
};

/*
 * Sorts the sockets that were passed, by name ("client", "admin", "session-NUMBER") or, without
 * names, by their kind. -EINVAL: one of them is none of these. Call passed_fini() whatever it
 * returns.
 */
int notify_sockets(struct passed *passed, struct why *why);
void passed_fini(struct passed *passed);

/*
 * notify_store() leaves a copy of a session's connection with the service manager, for the next
 * daemon; notify_forget() lets it close the copy. Both do nothing unless the environment has
 * FDSTORE (set by systemd 254 and newer) or PMEMARENA_FDSTORE (set by our unit file).
 */
void notify_store(uint64_t number, int sock);
void notify_forget(uint64_t number);

/* Returns how many connections the service manager keeps; 0: none, or it does not say. */
uint64_t notify_store_size(void);
/*
 * Accepts and closes all connections that wait at these non-blocking listening sockets (-1: none).
 * While one waits, the service manager would start the daemon again at once.
 */
void notify_hang_up(const int *socks, size_t nr);

#endif
