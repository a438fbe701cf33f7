/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op: runs operations, one or many, as requests. Many are packed into messages (batch.h), several
 * of which are under way at a time. An operation that might depend on an earlier one is sent only
 * after that one is answered, so that a program sees its operations done in order.
 */
#include <config.h>

#include "lib/session/op.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/session/batch.h"
#include "lib/session/client.h"
#include "lib/session/link_error.h"
#include "lib/error.h"

/* ---- operations as requests ---- */

static const uint16_t wire_opcodes[] = {
	[PMA_OP_RESERVE] = WIRE_RESERVE, [PMA_OP_CREATE] = WIRE_RESERVE,
	[PMA_OP_PUBLISH] = WIRE_PUBLISH, [PMA_OP_ABORT] = WIRE_ABORT,
	[PMA_OP_FREE] = WIRE_FREE,	 [PMA_OP_OPEN] = WIRE_OPEN,
	[PMA_OP_CLOSE] = WIRE_CLOSE,	 [PMA_OP_RESIZE] = WIRE_RESIZE,
	[PMA_OP_RENAME] = WIRE_RENAME,	 [PMA_OP_STAT] = WIRE_STAT,
	[PMA_OP_TOUCH] = WIRE_TOUCH,
	[OP_LEASE] = WIRE_RESERVE,	 [OP_CARVE] = WIRE_CARVE,
	[OP_UNMAPPED] = WIRE_CLOSE,	 [OP_LENT] = WIRE_CLOSE,
};

uint16_t op_wire_opcode(const struct pma_op *op)
{
	size_t i = (size_t)op->opcode;

	return i < sizeof(wire_opcodes) / sizeof(*wire_opcodes) ? wire_opcodes[i] : 0;
}

static uint32_t allowed_flags(enum pma_opcode opcode)
{
	if (opcode == PMA_OP_RESERVE || opcode == PMA_OP_CREATE)
		return PMA_CONTIGUOUS | PMA_ANY_CONTENTS |
		       (opcode == PMA_OP_CREATE ? PMA_REPLACE | PMA_EVICTABLE : 0u);
	if (opcode == PMA_OP_PUBLISH)
		return PMA_REPLACE | PMA_EVICTABLE;
	if (opcode == PMA_OP_RENAME)
		return PMA_REPLACE;
	if (opcode == PMA_OP_ABORT || opcode == PMA_OP_FREE || opcode == PMA_OP_CLOSE)
		return PMA_DONE;
	return opcode == PMA_OP_OPEN ? PMA_READ_ONLY : 0;
}

/* May @op have a name? A publish may only if it takes that name over from another allocation. */
static bool may_have_name(const struct pma_op *op)
{
	enum pma_opcode opcode = op->opcode;

	if (opcode == PMA_OP_PUBLISH)
		return op->flags & PMA_REPLACE;
	return opcode == PMA_OP_RESERVE || opcode == PMA_OP_CREATE || opcode == PMA_OP_OPEN ||
	       opcode == PMA_OP_RENAME || opcode == PMA_OP_STAT || opcode == PMA_OP_FREE ||
	       opcode == PMA_OP_TOUCH || opcode == OP_CARVE;
}

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return error_set(-EINVAL,
				 "the name is empty; NULL is how to say that there is none");
	if (len > PMA_MAX_NAME)
		return error_set(-EINVAL, "the name has %zu bytes; at most %d are possible", len,
				 PMA_MAX_NAME);
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
		return error_set(
			-EINVAL,
			"a token is of no use without a name: what it made is found again by that");
	return 0;
}

static int check_attributes(const struct pma_op *op)
{
	if (op->opcode != PMA_OP_CREATE && op->opcode != PMA_OP_PUBLISH && op->opcode != OP_CARVE)
		return error_set(-EINVAL,
				 "attributes mean nothing here: give them to what publishes it");
	if (op->attributes_len > PMA_MAX_ATTRIBUTES || !op->attributes)
		return error_set(-EINVAL, "%zu bytes of attributes: at most %d are possible",
				 op->attributes_len, PMA_MAX_ATTRIBUTES);
	return 0;
}

static int check_op(const struct pma_op *op)
{
	if (!op_wire_opcode(op))
		return error_set(-EINVAL, "there is no operation %d", (int)op->opcode);
	if (op->flags & ~allowed_flags(op->opcode))
		return error_set(-EINVAL, "flags %#x mean nothing here",
				 op->flags & ~allowed_flags(op->opcode));
	if (op->name && !may_have_name(op))
		return error_set(-EINVAL, "this operation takes a handle, not a name (%s)",
				 op->name);
	if ((op->flags & PMA_REPLACE) && !op->name)
		return error_set(-EINVAL, "PMA_REPLACE needs a name: that which is taken over");
	if ((op->flags & PMA_DONE) && op->name)
		return error_set(-EINVAL, "PMA_DONE needs the handle of what is done with");
	if (op->token && op->opcode != OP_CARVE && check_token(op) < 0)
		return -EINVAL;
	if (op->attributes_len && check_attributes(op) < 0)
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
	if (op->flags & PMA_DONE)
		flags |= WIRE_DONE;
	if (op->flags & PMA_REPLACE)
		flags |= WIRE_REPLACE;
	if (op->flags & PMA_EVICTABLE)
		flags |= WIRE_EVICTABLE;
	if (op->flags & PMA_ANY_CONTENTS)
		flags |= WIRE_ANY_CONTENTS;
	if (op->attributes_len)
		flags |= WIRE_WITH_ATTRIBUTES;
	if (op->opcode == PMA_OP_CREATE)
		flags |= WIRE_AND_PUBLISH | WIRE_KEEP_OPEN;
	if (op->opcode == OP_LEASE)
		flags |= WIRE_LEASE | WIRE_CONTIGUOUS;
	if (op->opcode == OP_CARVE)
		flags |= WIRE_KEEP_OPEN;
	if (op->opcode == OP_UNMAPPED)
		flags |= WIRE_UNMAPPED | WIRE_IF_CLOSED;
	if (op->opcode == OP_LENT)
		flags |= WIRE_LENT | WIRE_IF_CLOSED;
	return flags;
}

int op_make_request(struct wire_request *request, const struct pma_op *op)
{
	bool is_new = op->opcode == PMA_OP_RESERVE || op->opcode == PMA_OP_CREATE ||
		      op->opcode == OP_LEASE;
	bool is_part = op->opcode == OP_CARVE;
	bool has_length = is_new || is_part || op->opcode == PMA_OP_RESIZE;
	bool has_handle = !is_new && (!op->name || is_part || op->opcode == PMA_OP_RENAME ||
				     op->opcode == PMA_OP_PUBLISH);
	int r = check_op(op);

	if (r < 0)
		return r;
	*request = (struct wire_request){
		.arena = op->handle.arena,
		.flags = wire_flags(op),
		.len = has_length ? op->len : 0,
		.slot = has_handle ? op->handle.slot : 0,
		.id = has_handle ? op->handle.id : 0,
		.mode = is_new || is_part ? op->mode : 0,
		.arg = op->token,
		.attributes_len = (uint16_t)op->attributes_len,
	};
	return 0;
}

/* ---- one operation ---- */

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
		r = op_make_request(&request, op);
	if (r < 0) {
		op->result = r;
		return r;
	}
	return op_ask(pma, op_wire_opcode(op), &request, op);
}

/* ---- many operations ---- */

#define WINDOW 8        /* how many messages may be under way at a time */

/*
 * One message of the window. It has a waiter of its own, so that the oldest message can be waited
 * for alone.
 */
struct frame {
	struct batch  batch;
	struct waiter waiter;
	void *buf;                      /* owned; NULL: the frame is not in use */
};

struct run {
	struct pma *pma;
	/* the caller is the library itself, which may use OP_LEASE and the like */
	bool is_ours;
	struct frame frames[WINDOW];    /* a ring: frames [first, first + nr) are under way */
	uint32_t first, nr;
	/* the first error of the connection; no more is sent then */
	int      error;
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

/*
 * Must an operation of @opcode wait until everything under way is answered? The daemon begins
 * requests in order, but a reserve or a resize may wait for space, and a later request of another
 * opcode would overtake it.
 */
static bool must_wait(const struct run *run, uint16_t opcode)
{
	uint16_t last;

	if (run->nr == 0)
		return false;
	last = run->frames[(run->first + run->nr - 1) % WINDOW].batch.call.opcode;
	return (last == WIRE_RESERVE || last == WIRE_RESIZE) && last != opcode;
}

/*
 * Returns a frame that is not in use, after it waited for the oldest message if all are. NULL: no
 * memory.
 */
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

/* Returns the opcode on the wire for @op; 0: this caller may not use the operation. */
static uint16_t opcode_in(const struct run *run, const struct pma_op *op)
{
	return op->opcode > PMA_OP_TOUCH && !run->is_ours ? 0 : op_wire_opcode(op);
}

/* Gives @op the error @r and a sentence: it was refused here, before any message. */
static void refuse(struct pma_op *op, int r)
{
	op->result = r;
	if (op->message)
		snprintf(op->message, PMA_MAX_MESSAGE, "%s", pma_message());
}

/*
 * Fills a frame with operations of @opcode, from ops[0] on. Returns how many operations need
 * nothing more: they are in the frame, or were refused here and have their result.
 */
static size_t fill_frame(struct run *run, struct frame *frame, uint16_t opcode, struct pma_op *ops,
			 size_t nr)
{
	struct wire_request request;
	size_t i;

	batch_begin(&frame->batch, run->pma, opcode, frame->buf, &frame->waiter);
	client_lock(run->pma);
	for (i = 0; i < nr && opcode_in(run, &ops[i]) == opcode; i++) {
		int r = op_make_request(&request, &ops[i]);

		if (r == 0)
			r = batch_add(&frame->batch, &ops[i], &request);
		if (r == -EMSGSIZE)
			break;
		if (r < 0)
			refuse(&ops[i], r);
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

/*
 * Sends one message with as many operations from ops[0] on as have the same opcode. Returns how
 * many operations need nothing more, or -ENOMEM.
 */
static ssize_t run_some(struct run *run, struct pma_op *ops, size_t nr)
{
	uint16_t opcode = opcode_in(run, &ops[0]);
	struct frame *frame;
	size_t done;

	if (!opcode) {
		refuse(&ops[0],
		       error_set(-EINVAL, "there is no operation %d", (int)ops[0].opcode));
		return 1;
	}
	if (must_wait(run, opcode))
		wait_all(run);
	frame = next_frame(run);
	if (!frame)
		return error_memory();
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
	for (size_t n = 0; n < nr; n++)
		if (ops[n].message)
			ops[n].message[0] = '\0';
	while (i < nr && run->error == 0) {
		ssize_t done = run_some(run, ops + i, nr - i);

		if (done < 0)
			run->error = (int)done;
		else
			i += (size_t)done;
	}
	wait_all(run);
	/* These operations were never sent, because the connection failed before. */
	for (; i < nr; i++)
		refuse(&ops[i], run->error);
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
