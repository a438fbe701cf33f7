/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relink: makes a lost connection again. All functions need link.lock and run on the thread that
 * leads.
 */
#ifndef PMEMARENA_RELINK_H
#define PMEMARENA_RELINK_H

#include "lib/session/link.h"

/* A call that was sent to this many daemons, each of which ended, is given up. */
#define RELINK_MAX_SENT 3

/* Connects and sends a hello. 0: the link is in LINK_HELLO; or a negative errno, and it is down. */
int relink_try(struct link *link);
/*
 * Makes the descriptor of link_fd(), if there is one, readable when @fd is. 0, or a negative errno
 * with the reason in @why.
 */
int relink_watch(struct link *link, int fd, struct why *why);
/*
 * Records that the connection is lost, with the reason @err and its sentence @what. Calls go on
 * waiting for the next connection.
 */
void relink_down(struct link *link, int err, const char *what);
/*
 * The daemon violated the protocol: all calls that were sent fail with -EPROTO, and the connection
 * is closed.
 */
void relink_broken(struct link *link);
int relink_welcome(struct link *link, struct wire_reader *reader);
/*
 * Handles a WELCOME on a link that is up: another daemon goes on with this connection. 0, or
 * -EPROTO.
 */
int relink_taken_over(struct link *link, struct wire_reader *reader);
/*
 * Does what is due by now: connects again, and ends calls whose time is over with -ENOTCONN.
 * Returns when it must be called next (monotonic ns).
 */
int64_t relink_tick(struct link *link);
void relink_close_socket(struct link *link);

#endif
