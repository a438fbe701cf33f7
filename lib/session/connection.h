/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection: how a struct pma begins and ends.
 */
#ifndef PMEMARENA_CONNECTION_H
#define PMEMARENA_CONNECTION_H

struct pma;

/*
 * Opens another session of this user with the same daemon. *out belongs to the caller, who ends it
 * with pma_disconnect(). The errors of pma_connect(), with a message.
 */
int connection_twin(struct pma **out, struct pma *pma);

#endif
