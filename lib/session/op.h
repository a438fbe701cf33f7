/* SPDX-License-Identifier: BSD-3-Clause */
/* op: runs one operation, or many, and waits for the results. */
#ifndef PMEMARENA_OP_H
#define PMEMARENA_OP_H

#include <pmemarena.h>

#include "lib/session/batch.h"
#include "lib/wire/wire.h"

/*
 * Runs one operation. Returns its result, or the error of the connection; the thread has a message
 * for either. Takes the lock.
 */
int op_run(struct pma *pma, struct pma_op *op);
/* As pma_run(), and may also use the library's own operations (OP_LEASE, OP_CARVE, ...). */
int op_run_all(struct pma *pma, struct pma_op *ops, size_t nr);
/*
 * Runs one operation whose request the caller has made, because enum pma_opcode has no value for
 * it. Returns as op_run().
 */
int op_ask(struct pma *pma, uint16_t opcode, struct wire_request *request, struct pma_op *op);

/* Returns the opcode on the wire for @op; 0: the library knows no such operation. */
uint16_t op_wire_opcode(const struct pma_op *op);
/* Checks @op and makes a request of it. -EINVAL with a sentence. */
int op_make_request(struct wire_request *request, const struct pma_op *op);

#endif
