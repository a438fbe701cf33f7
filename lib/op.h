/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op: one operation on an allocation, asked and answered.
 */
#ifndef PMEMARENA_OP_H
#define PMEMARENA_OP_H

#include <pmemarena.h>

#include "lib/wire.h"

/* Do @op. Its result, or the error of the connection, with a message. Takes the lock. */
int op_run(struct pma *pma, struct pma_op *op);
/* The same by a request that enum pma_opcode has no word for. */
int op_ask(struct pma *pma, uint16_t opcode, struct wire_request *request, struct pma_op *op);

#endif
