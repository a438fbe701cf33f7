/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * batch: one message of operations and what came of them. What the operations do to the session's holdings happens as
 * the reply is read, so that it is in order with whatever else the connection brings.
 */
#ifndef PMEMARENA_BATCH_H
#define PMEMARENA_BATCH_H

#include <pmemarena.h>

#include "lib/link.h"
#include "lib/why.h"

/* The largest message of one operation, for a buffer on the stack. */
#define BATCH_ONE (sizeof(struct wire_header) + sizeof(struct wire_request) + WIRE_MAX_NAME + 1)

/* pma_op.result while it is in a message: neither success nor an error. */
#define OP_UNDER_WAY 1

struct holding;

struct batch {
	struct call call;
	struct wire_writer writer;
	struct pma *pma;                /* borrowed */
	struct pma_op *first;           /* borrowed; those from here to .. */
	struct pma_op *end;             /* .. here that are OP_UNDER_WAY are in the message, in this order */
	uint32_t nr;
	size_t reply_size;              /* at most */
	uint32_t nr_kept;               /* operations that the daemon knows again by their tokens, as long as what they made is there */
	struct holding *spares;         /* owned; one for each operation that opens something; linked by node.rbe_left */
	struct why why;                 /* of the first operation that was refused */
};

/* @buf: WIRE_MAX bytes (or BATCH_ONE for one operation), 8-aligned, borrowed until batch_end(). @waiter: whoever will wait. */
void batch_begin(struct batch *batch, struct pma *pma, uint16_t opcode, void *buf, struct waiter *waiter);
/*
 * Append @op, which follows those that are in it; under link.lock. 0; -EMSGSIZE: full, nothing changed; else op->result is what this
 * returns and it has a message.
 */
int batch_add(struct batch *batch, struct pma_op *op, const struct wire_request *request);
void batch_send(struct batch *batch);           /* under link.lock */
/* After its call is finished, or if it never was sent: every operation has a result. Not under link.lock. */
void batch_end(struct batch *batch);

void batch_fill_stat(struct pma_stat *stat, const struct wire_result *result, const char *name);

#endif
