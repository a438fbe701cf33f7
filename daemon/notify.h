/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify: the door to the service manager: readiness, status, watchdog, sockets that it opened for us. Without one everything
 * here does nothing.
 */
#ifndef PMEMARENA_NOTIFY_H
#define PMEMARENA_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *status);
void notify_watchdog(void);

/* How often notify_watchdog() is expected, half of what kills us, in ms; 0: not at all. */
uint64_t notify_watchdog_ms(void);

/* A client's connection that outlived a daemon, and the session that it is of. */
struct passed_session {
	uint64_t number;
	int      sock;                  /* owned; -1 once it was taken */
};

/* What the service manager passed: listening sockets (-1: none), connections that an earlier daemon left with it. */
struct passed {
	int client, admin;              /* owned; -1 once they were taken */
	struct passed_session *sessions;        /* owned */
	size_t nr_sessions;
};

/*
 * The sockets passed by name ("client", "admin", "session-NUMBER"; without names by their kind). -EINVAL for one that is none of them.
 * passed_fini() is due whatever it returns.
 */
int notify_sockets(struct passed *passed, struct why *why);
void passed_fini(struct passed *passed);

/*
 * Leave a copy of a session's connection with the service manager, for the next daemon; take it back. Nothing happens unless the
 * environment has FDSTORE (systemd 254 and newer set it) or PMEMARENA_FDSTORE (our unit does).
 */
void notify_store(uint64_t number, int sock);
void notify_forget(uint64_t number);

#endif
