/* SPDX-License-Identifier: BSD-3-Clause */
/* link_error: the sentences for what goes wrong with a connection. They change nothing. */
#ifndef PMEMARENA_LINK_ERROR_H
#define PMEMARENA_LINK_ERROR_H

#include "lib/session/link.h"

/*
 * Sets the thread's message for @err, with which the first connection failed. Returns @err, or
 * -ENOTCONN where a daemon is there and does not answer.
 */
int link_error_connect(const struct link *link, int err);
/*
 * Sets the thread's message for @err, the result of a call that had no reply, and returns @err.
 * Under link.lock.
 */
int link_error(struct link *link, int err);
/* As link_error(), for -ENOTCONN of link_poll(): no request is under way. Returns -ENOTCONN. */
int link_error_down(struct link *link);

#endif
