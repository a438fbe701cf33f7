/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * together: operations that are done whole or not at all. They travel in one message, whose items
 * say so; the daemon does the rest.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/error.h"
#include "lib/session/batch.h"
#include "lib/session/client.h"
#include "lib/session/link_error.h"
#include "lib/session/op.h"

static bool can_be_together(const struct pma_op *op)
{
	return op->opcode == PMA_OP_RESERVE || op->opcode == PMA_OP_CREATE ||
	       op->opcode == PMA_OP_PUBLISH || op->opcode == PMA_OP_FREE ||
	       op->opcode == PMA_OP_RENAME;
}

/* Can @ops be done together at all? */
static int check(const struct pma_op *ops, size_t nr)
{
	if (!can_be_together(&ops[0]))
		return error_set(-EINVAL,
				 "operation %d is none of those that are done whole or not at all: "
				 "reserve, create, publish, free, rename",
				 (int)ops[0].opcode);
	if (nr > PMA_MAX_BATCH)
		return error_set(-EINVAL, "%zu operations: at most %d are done whole or not at all",
				 nr, PMA_MAX_BATCH);
	for (size_t i = 1; i < nr; i++) {
		if (ops[i].opcode != ops[0].opcode)
			return error_set(-EINVAL,
					 "operation %zu is of another kind than the first: what "
					 "is done whole or not at all is of one",
					 i);
		if (ops[i].handle.arena != ops[0].handle.arena)
			return error_set(-EINVAL,
					 "operation %zu is of another arena than the first: what "
					 "is done whole or not at all is in one",
					 i);
	}
	return 0;
}

/* Gives @op the error @r, and the sentence of this thread. */
static void refuse(struct pma_op *op, int r)
{
	op->result = r;
	if (op->message)
		snprintf(op->message, PMA_MAX_MESSAGE, "%s", pma_message());
}

/* Puts @ops into @batch. On failure *culprit is the one that is to blame. Under link.lock. */
static int fill(struct batch *batch, struct pma_op *ops, size_t nr, size_t *culprit)
{
	struct wire_request request;
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++) {
		*culprit = i;
		r = op_make_request(&request, &ops[i]);
		request.flags |= WIRE_ALL_OR_NONE;
		if (r == 0)
			r = batch_add(batch, &ops[i], &request);
	}
	return r;
}

/* Nothing was sent: the one that is to blame has the error, all others -ECANCELED. */
static int refuse_all(struct batch *batch, struct pma_op *ops, size_t nr, size_t culprit, int r)
{
	if (r == -EMSGSIZE)
		error_set(r, "%zu operations are too much for one message of %u bytes", nr,
			  WIRE_MAX);
	batch_take_back(batch, -ECANCELED);
	for (size_t i = 0; i < nr; i++)
		ops[i].result = -ECANCELED;
	refuse(&ops[culprit], r);
	return r;
}

/* The error of all: that of the one that was refused for itself. */
static int first_error(const struct pma_op *ops, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr; i++)
		if (ops[i].result < 0 && (r == 0 || r == -ECANCELED))
			r = ops[i].result;
	return r;
}

static int run(struct pma *pma, struct pma_op *ops, size_t nr, void *buf)
{
	struct waiter waiter = WAITER_INIT;
	struct batch batch;
	size_t culprit = 0;
	int r;

	batch_begin(&batch, pma, op_wire_opcode(&ops[0]), buf, &waiter);
	client_lock(pma);
	r = fill(&batch, ops, nr, &culprit);
	if (r == 0) {
		batch_send(&batch);
		link_wait(&pma->link, &waiter);
		if (batch.call.result < 0)
			link_error(&pma->link, batch.call.result);
	}
	client_unlock(pma);
	if (r < 0)
		r = refuse_all(&batch, ops, nr, culprit, r);
	batch_end(&batch);
	return r < 0 ? r : first_error(ops, nr);
}

int pma_run_together(struct pma *pma, struct pma_op *ops, size_t nr)
{
	int r = client_check(pma);
	void *buf;

	if (r < 0 || nr == 0)
		return r;
	for (size_t i = 0; i < nr; i++)
		if (ops[i].message)
			ops[i].message[0] = '\0';
	r = check(ops, nr);
	buf = r == 0 ? aligned_alloc(8, WIRE_MAX) : NULL;
	if (r == 0 && !buf)
		r = error_memory();
	if (r == 0)
		r = run(pma, ops, nr, buf);
	else
		for (size_t i = 0; i < nr; i++)
			refuse(&ops[i], r);
	free(buf);
	return r;
}
