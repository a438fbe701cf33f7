/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reopen: opens again, in a new session, what was open in the session that is lost. All functions
 * need link.lock.
 */
#ifndef PMEMARENA_REOPEN_H
#define PMEMARENA_REOPEN_H

struct pma;

/* The session is lost: its reservations are ended, and everything else that was open is marked. */
void reopen_mark(struct pma *pma);
/*
 * Sends opens for all that is marked, before any other request. -ENOMEM: some remain marked, and
 * the next call tries them.
 */
int reopen_send(struct pma *pma);

#endif
