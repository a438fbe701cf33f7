/* SPDX-License-Identifier: BSD-3-Clause */
/* call: messages under way on a link. All functions need link.lock. */
#ifndef PMEMARENA_CALL_H
#define PMEMARENA_CALL_H

#include "lib/session/link.h"

void call_submit(struct link *link, struct call *call);
/*
 * Puts the call before everything that is not sent yet. For link_owner.welcomed(), which restores a
 * session before other requests use it.
 */
void call_submit_first(struct link *link, struct call *call);
/*
 * Ends @call with @result (0 or a negative errno): removes it from the link, wakes its waiter if
 * that was its last call, and calls call.finished(), which may free it.
 */
void call_finish(struct link *link, struct call *call, int result);
/* Sends as much of what was submitted as the socket takes. */
void call_flush(struct link *link);
int64_t call_now(void);                 /* monotonic clock, in ns */

#endif
