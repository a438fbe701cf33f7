/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op: one operation on an allocation, asked and answered.
 */
#ifndef PMEMARENA_OP_H
#define PMEMARENA_OP_H

#include <pmemarena.h>

#include "lib/wire.h"

/* What a cache does, in struct pma_op's terms; no caller's pma_run() knows them. */
#define OP_LEASE    ((enum pma_opcode)(PMA_OP_STAT + 1))        /* RESERVE taken ahead, in one extent */
#define OP_CARVE    ((enum pma_opcode)(PMA_OP_STAT + 2))        /* handle: in the reservation, out the part; token: offset on the device */
#define OP_UNMAPPED ((enum pma_opcode)(PMA_OP_STAT + 3))        /* CLOSE by one who knows better than the holdings that nothing is mapped */

/* Do @op. Its result, or the error of the connection, with a message. Takes the lock. */
int op_run(struct pma *pma, struct pma_op *op);
/* pma_run(), with the above. */
int op_run_all(struct pma *pma, struct pma_op *ops, size_t nr);
/* The same by a request that enum pma_opcode has no word for. */
int op_ask(struct pma *pma, uint16_t opcode, struct wire_request *request, struct pma_op *op);

#endif
