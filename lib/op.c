/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op: operations as requests, one or many. Many travel as batches, several of which are under way at a time; an operation
 * that may depend on an earlier one is not sent before that one is answered.
 */
#include <config.h>

#include "lib/op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/client.h"
#include "lib/error.h"

/* ---- what is asked ---- */

static const uint16_t wire_opcodes[] = {
	[PMA_OP_RESERVE] = WIRE_RESERVE, [PMA_OP_CREATE] = WIRE_RESERVE, [PMA_OP_PUBLISH] = WIRE_COMMIT, [PMA_OP_ABORT] = WIRE_ABORT,
	[PMA_OP_FREE] = WIRE_FREE, [PMA_OP_OPEN] = WIRE_OPEN, [PMA_OP_CLOSE] = WIRE_CLOSE, [PMA_OP_RESIZE] = WIRE_RESIZE,
	[PMA_OP_RENAME] = WIRE_RENAME, [PMA_OP_STAT] = WIRE_STAT, [OP_LEASE] = WIRE_RESERVE, [OP_CARVE] = WIRE_CARVE, [OP_UNMAPPED] = WIRE_CLOSE,
};

/* 0: no operation that this library knows. */
static uint16_t wire_opcode(const struct pma_op *op)
{
	size_t i = (size_t)op->opcode;

	return i < sizeof(wire_opcodes) / sizeof(*wire_opcodes) ? wire_opcodes[i] : 0;
}

static uint32_t allowed_flags(enum pma_opcode opcode)
{
	if (opcode == PMA_OP_RESERVE || opcode == PMA_OP_CREATE)
		return PMA_CONTIGUOUS;
	return opcode == PMA_OP_OPEN ? PMA_READ_ONLY : 0;
}

static bool may_have_name(enum pma_opcode opcode)
{
	return opcode == PMA_OP_RESERVE || opcode == PMA_OP_CREATE || opcode == PMA_OP_OPEN || opcode == PMA_OP_RENAME ||
	       opcode == PMA_OP_STAT || opcode == OP_CARVE;
}

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return error_set(-EINVAL, "the name is empty; NULL is how to say that there is none");
	if (len > PMA_MAX_NAME)
		return error_set(-EINVAL, "the name has %zu bytes; at most %d are possible", len, PMA_MAX_NAME);
	return 0;
}

static bool may_have_token(enum pma_opcode opcode)
{
	return opcode == PMA_OP_RESERVE || opcode == PMA_OP_CREATE || opcode == PMA_OP_PUBLISH;
}

static int check_token(const struct pma_op *op)
{
	if (!may_have_token(op->opcode))
		return error_set(-EINVAL, "a token means nothing here");
	if (op->token > PMA_MAX_TOKEN)
		return error_set(-EINVAL, "the token has more than 48 bits");
	if (op->opcode != PMA_OP_PUBLISH && !op->name)
		return error_set(-EINVAL, "a token is of no use without a name: what it made is found again by that");
	return 0;
}

static int check_op(const struct pma_op *op)
{
	if (!wire_opcode(op))
		return error_set(-EINVAL, "there is no operation %d", (int)op->opcode);
	if (op->flags & ~allowed_flags(op->opcode))
		return error_set(-EINVAL, "flags %#x mean nothing here", op->flags & ~allowed_flags(op->opcode));
	if (op->name && !may_have_name(op->opcode))
		return error_set(-EINVAL, "this operation takes a handle, not a name (%s)", op->name);
	if (op->token && op->opcode != OP_CARVE && check_token(op) < 0)
		return -EINVAL;
	return op->name ? check_name(op->name) : 0;
}

static uint32_t wire_flags(const struct pma_op *op)
{
	uint32_t flags = 0;

	if (op->flags & PMA_CONTIGUOUS)
		flags |= WIRE_CONTIGUOUS;
	if (op->flags & PMA_READ_ONLY)
		flags |= WIRE_READ_ONLY;
	if (op->opcode == PMA_OP_CREATE)
		flags |= WIRE_PUBLISH | WIRE_KEEP_OPEN;
	if (op->opcode == OP_LEASE)
		flags |= WIRE_LEASE | WIRE_CONTIGUOUS;
	if (op->opcode == OP_CARVE)
		flags |= WIRE_KEEP_OPEN;
	if (op->opcode == OP_UNMAPPED)
		flags |= WIRE_UNMAPPED;
	return flags;
}

static int make_request(struct wire_request *request, const struct pma_op *op)
{
	bool is_new = op->opcode == PMA_OP_RESERVE || op->opcode == PMA_OP_CREATE || op->opcode == OP_LEASE;
	bool is_part = op->opcode == OP_CARVE;
	bool has_length = is_new || is_part || op->opcode == PMA_OP_RESIZE;
	bool has_handle = !is_new && (!op->name || is_part || op->opcode == PMA_OP_RENAME);
	int r = check_op(op);

	if (r < 0)
		return r;
	*request = (struct wire_request){
		.arena = op->handle.arena, .flags = wire_flags(op), .len = has_length ? op->len : 0,
		.slot = has_handle ? op->handle.slot : 0, .id = has_handle ? op->handle.id : 0, .mode = is_new || is_part ? op->mode : 0,
		.arg = op->token,
	};
	return 0;
}

/* ---- one ---- */

int op_ask(struct pma *pma, uint16_t opcode, struct wire_request *request, struct pma_op *op)
{
	uint8_t buf[BATCH_ONE] __attribute__((aligned(8)));
	struct waiter waiter = WAITER_INIT;
	struct batch batch;
	int r;

	batch_begin(&batch, pma, opcode, buf, &waiter);
	client_lock(pma);
	r = batch_add(&batch, op, request);
	if (r == 0) {
		batch_send(&batch);
		link_wait(&pma->link, &waiter);
	}
	if (batch.call.result < 0)
		link_error(&pma->link, batch.call.result);
	client_unlock(pma);
	batch_end(&batch);
	return r < 0 ? r : op->result;
}

int op_run(struct pma *pma, struct pma_op *op)
{
	struct wire_request request;
	int r = client_check(pma);

	if (r == 0)
		r = make_request(&request, op);
	if (r < 0) {
		op->result = r;
		return r;
	}
	return op_ask(pma, wire_opcode(op), &request, op);
}

/* ---- many ---- */

#define WINDOW 8        /* messages under way */

/* One message of the window, with a waiter of its own so that the oldest can be waited for. */
struct frame {
	struct batch  batch;
	struct waiter waiter;
	void *buf;                      /* owned; NULL: the frame is free */
};

struct run {
	struct pma *pma;
	bool is_ours;                   /* operations may be the library's own */
	struct frame frames[WINDOW];    /* a ring: those under way are [first, first + nr) */
	uint32_t first, nr;
	int      error;                 /* of the connection */
};

static void wait_oldest(struct run *run)
{
	struct frame *frame = &run->frames[run->first];
	struct pma *pma = run->pma;

	client_lock(pma);
	link_wait(&pma->link, &frame->waiter);
	if (frame->batch.call.result < 0)
		run->error = link_error(&pma->link, frame->batch.call.result);
	client_unlock(pma);
	batch_end(&frame->batch);
	free(frame->buf);
	frame->buf = NULL;
	run->first = (run->first + 1) % WINDOW;
	run->nr--;
}

static void wait_all(struct run *run)
{
	while (run->nr > 0)
		wait_oldest(run);
}

/* Does an operation of @opcode have to wait for what is under way? A reserve or resize may be overtaken by what comes later. */
static bool must_wait(const struct run *run, uint16_t opcode)
{
	uint16_t last;

	if (run->nr == 0)
		return false;
	last = run->frames[(run->first + run->nr - 1) % WINDOW].batch.call.opcode;
	return (last == WIRE_RESERVE || last == WIRE_RESIZE) && last != opcode;
}

/* NULL: no memory. */
static struct frame *next_frame(struct run *run)
{
	struct frame *frame;

	if (run->nr == WINDOW)
		wait_oldest(run);
	frame = &run->frames[(run->first + run->nr) % WINDOW];
	frame->buf = aligned_alloc(8, WIRE_MAX);
	if (!frame->buf)
		return NULL;
	frame->waiter = (struct waiter)WAITER_INIT;
	return frame;
}

/* 0: not for this run. */
static uint16_t opcode_in(const struct run *run, const struct pma_op *op)
{
	return op->opcode > PMA_OP_STAT && !run->is_ours ? 0 : wire_opcode(op);
}

/* Fill a frame from @op on; returns how many operations are done with: in it, or refused here. */
static size_t fill_frame(struct run *run, struct frame *frame, uint16_t opcode, struct pma_op *ops, size_t nr)
{
	struct wire_request request;
	size_t i;

	batch_begin(&frame->batch, run->pma, opcode, frame->buf, &frame->waiter);
	client_lock(run->pma);
	for (i = 0; i < nr && opcode_in(run, &ops[i]) == opcode; i++) {
		int r = make_request(&request, &ops[i]);

		if (r < 0)
			ops[i].result = r;
		else if (batch_add(&frame->batch, &ops[i], &request) == -EMSGSIZE)
			break;
	}
	client_unlock(run->pma);
	return i;
}

static void send_frame(struct run *run, struct frame *frame)
{
	if (frame->batch.nr == 0) {
		batch_end(&frame->batch);
		free(frame->buf);
		frame->buf = NULL;
		return;
	}
	client_lock(run->pma);
	batch_send(&frame->batch);
	client_unlock(run->pma);
	run->nr++;
}

/* Neighbours of one opcode from ops[0] on; returns how many are done with, or -ENOMEM. */
static ssize_t run_some(struct run *run, struct pma_op *ops, size_t nr)
{
	uint16_t opcode = opcode_in(run, &ops[0]);
	struct frame *frame;
	size_t done;

	if (!opcode) {
		ops[0].result = error_set(-EINVAL, "there is no operation %d", (int)ops[0].opcode);
		return 1;
	}
	if (must_wait(run, opcode))
		wait_all(run);
	frame = next_frame(run);
	if (!frame)
		return error_set(-ENOMEM, "out of memory");
	done = fill_frame(run, frame, opcode, ops, nr);
	send_frame(run, frame);
	return (ssize_t)done;
}

static int run_all(struct run *run, struct pma_op *ops, size_t nr)
{
	size_t i = 0;
	int r = client_check(run->pma);

	if (r < 0)
		return r;
	while (i < nr && run->error == 0) {
		ssize_t done = run_some(run, ops + i, nr - i);

		if (done < 0)
			run->error = (int)done;
		else
			i += (size_t)done;
	}
	wait_all(run);
	/* Never sent. */
	for (; i < nr; i++)
		ops[i].result = run->error;
	return run->error;
}

int op_run_all(struct pma *pma, struct pma_op *ops, size_t nr)
{
	struct run run = { .pma = pma, .is_ours = true };

	return run_all(&run, ops, nr);
}

int pma_run(struct pma *pma, struct pma_op *ops, size_t nr)
{
	struct run run = { .pma = pma };

	return run_all(&run, ops, nr);
}
