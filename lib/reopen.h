/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reopen: in a new session, open again what was open in the one that is lost. All under link.lock.
 */
#ifndef PMEMARENA_REOPEN_H
#define PMEMARENA_REOPEN_H

struct pma;

/* The session is lost: so are its reservations, and everything else is to be opened again. */
void reopen_mark(struct pma *pma);
/* Ask for all that is marked, before anything else is sent. -ENOMEM: some remain marked, for the next time. */
int reopen_send(struct pma *pma);

#endif
