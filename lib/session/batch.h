/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * batch: one message of several operations of the same opcode, and their results. The reply changes
 * the session's holdings (holding.h) in the moment it is read, under the lock. So the changes
 * happen in the order in which replies and events come in.
 */
#ifndef PMEMARENA_BATCH_H
#define PMEMARENA_BATCH_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>

#include "lib/session/link.h"
#include "lib/wire/why.h"

/* The size of a buffer for a message of one operation; it fits on the stack. */
#define BATCH_ONE                                                                         \
	(sizeof(struct wire_header) + sizeof(struct wire_request) + WIRE_MAX_NAME + 1 + \
	 WIRE_MAX_ATTRIBUTES)

/*
 * The value of pma_op.result while the operation is in a message that is not answered: it is
 * neither success (0) nor an error (negative).
 */
#define OP_UNDER_WAY 1

/*
 * Operations of the library's own, which a cache needs. A program that uses these numbers in
 * pma_run() is refused.
 */
/* RESERVE a lease: space taken ahead, in one extent */
#define OP_LEASE    ((enum pma_opcode)(PMA_OP_TOUCH + 1))
/*
 * Make a part of a reservation an allocation. handle: in the reservation, out the part; token:
 * where the part begins on the device.
 */
#define OP_CARVE    ((enum pma_opcode)(PMA_OP_TOUCH + 2))
/*
 * Report that an allocation which was closed or freed before is not mapped any more. Only for a
 * daemon that knows WIRE_LENT (link.lends).
 */
#define OP_UNMAPPED ((enum pma_opcode)(PMA_OP_TOUCH + 3))
/* the same report as OP_UNMAPPED, but others may have the allocation mapped */
#define OP_LENT     ((enum pma_opcode)(PMA_OP_TOUCH + 4))

struct holding;

struct batch {
	struct call call;
	struct wire_writer writer;
	struct pma *pma;                /* borrowed */
	/*
	 * Borrowed. The operations from `first` to before `end` whose result is OP_UNDER_WAY are in
	 * the message, in this order; the others were refused here.
	 */
	struct pma_op *first;
	/* one behind the last operation of the message */
	struct pma_op *end;
	uint32_t nr;
	size_t reply_size;              /* an upper bound for the bytes of the reply */
	/*
	 * How many operations the daemon knows by a token as long as the allocation lives: asked
	 * twice, they are done once. If all are, the message is idempotent.
	 */
	uint32_t nr_kept;
	/* owned; a holding for each operation that opens something, allocated before it is sent */
	SLIST_HEAD(, holding) spares;
	struct why why;                 /* the message of the first operation that was refused */
};

/*
 * Begins an empty batch of @opcode. @buf has WIRE_MAX bytes (BATCH_ONE are enough for one
 * operation), is aligned to 8 and borrowed until batch_end(). @waiter belongs to the thread that
 * will wait for the reply. After this batch_end() is due.
 */
void batch_begin(struct batch *batch, struct pma *pma, uint16_t opcode, void *buf,
		 struct waiter *waiter);
/*
 * Appends @op, which must stand behind the operations that are in the batch already. Under
 * link.lock. 0; -EMSGSIZE: the batch is full and nothing has changed, send it first; another error
 * is also stored in op->result, and the thread has a message for it.
 */
int batch_add(struct batch *batch, struct pma_op *op, const struct wire_request *request);
/* Of a batch that is not sent after all: its operations have the result @r. Takes link.lock. */
void batch_take_back(struct batch *batch, int r);
/* Submits the message; under link.lock. Then link_wait() for the waiter. */
void batch_send(struct batch *batch);
/*
 * Frees what the batch owns, after its call is finished or if it was never sent. Afterwards each
 * operation has a result: without a reply that is the error of the call. Takes link.lock, so the
 * caller must not have it.
 */
void batch_end(struct batch *batch);

void batch_fill_stat(struct pma_info *stat, const struct wire_result *result, const char *name);

#endif
