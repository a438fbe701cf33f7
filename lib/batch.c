/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * batch: encodes operations, decodes their results. What can fail for want of memory is done before the message is sent: when
 * the daemon has done something, the library must be able to take note of it.
 */
#include <config.h>

#include "lib/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/client.h"
#include "lib/error.h"

/* Afterwards the session has it open. */
static bool opens(uint16_t opcode)
{
	return opcode == WIRE_RESERVE || opcode == WIRE_OPEN || opcode == WIRE_CARVE;
}

/* Afterwards it has not. */
static bool closes(uint16_t opcode)
{
	return opcode == WIRE_ABORT || opcode == WIRE_FREE || opcode == WIRE_CLOSE;
}

/* ---- the message ---- */

/* Room for the name in a stat's reply; others have none, or can do without. */
static size_t reply_size_of(uint16_t opcode)
{
	return sizeof(struct wire_result) + (opcode == WIRE_STAT ? WIRE_MAX_NAME + 1 : 0);
}

static int add_spare(struct batch *batch)
{
	struct holding *spare = malloc(sizeof(*spare));

	if (!spare)
		return error_set(-ENOMEM, "out of memory");
	spare->node.rbe_left = batch->spares;
	batch->spares = spare;
	return 0;
}

static struct holding *take_spare(struct batch *batch)
{
	struct holding *spare = batch->spares;

	batch->spares = spare->node.rbe_left;
	return spare;
}

/* From here on nobody maps it any more, until the answer is there. */
static int begin_closing(struct batch *batch, struct pma_handle handle, uint32_t *flags)
{
	struct holding *holding = holding_find(&batch->pma->holdings, handle);

	if (holding && holding->nr_maps > 0)
		return error_set(-EBUSY, "it is still mapped through this connection: pma_unmap() it first");
	if (!holding)
		return 0;
	holding->nr_closing++;
	if (holding_is_unmapped(holding))
		*flags |= WIRE_UNMAPPED;
	return 0;
}

static void end_closing(struct batch *batch, struct pma_handle handle)
{
	struct holding *holding = holding_find(&batch->pma->holdings, handle);

	if (holding && holding->nr_closing > 0)
		holding->nr_closing--;
}

void batch_begin(struct batch *batch, struct pma *pma, uint16_t opcode, void *buf, struct waiter *waiter)
{
	memset(batch, 0, offsetof(struct batch, why.text[1]));
	batch->pma = pma;
	batch->call.opcode = opcode;
	batch->call.message = buf;
	batch->call.waiter = waiter;
	wire_begin(&batch->writer, buf, opcode, 0);
	batch->reply_size = sizeof(struct wire_header);
}

static bool is_full(const struct batch *batch)
{
	return batch->nr == WIRE_MAX_ITEMS || batch->reply_size + reply_size_of(batch->call.opcode) > WIRE_MAX;
}

static int append(struct batch *batch, struct pma_op *op, const struct wire_request *request)
{
	struct wire_request item = *request;
	uint16_t opcode = batch->call.opcode;
	size_t name_len = op->name ? strlen(op->name) : 0;
	int r = 0;

	if (batch->writer.length + sizeof(item) + name_len + 7 > WIRE_MAX)
		return -EMSGSIZE;
	if (opens(opcode))
		r = add_spare(batch);
	if (r == 0 && closes(opcode))
		r = begin_closing(batch, op->handle, &item.flags);
	if (r == 0)
		r = wire_add_request(&batch->writer, &item, op->name, name_len);
	return r;
}

int batch_add(struct batch *batch, struct pma_op *op, const struct wire_request *request)
{
	int r = is_full(batch) ? -EMSGSIZE : append(batch, op, request);

	if (r == -EMSGSIZE)
		return r;
	op->result = r < 0 ? r : OP_UNDER_WAY;
	if (r < 0)
		return r;
	if (batch->nr++ == 0)
		batch->first = op;
	batch->nr_kept += op->token && (op->opcode == PMA_OP_CREATE || op->opcode == PMA_OP_PUBLISH);
	batch->end = op + 1;
	batch->reply_size += reply_size_of(batch->call.opcode);
	return 0;
}

/* ---- the reply ---- */

void batch_fill_stat(struct pma_stat *stat, const struct wire_result *result, const char *name)
{
	*stat = (struct pma_stat){
		.handle = { result->arena, result->slot, result->id }, .len = result->len,
		.uid = result->uid, .gid = result->gid, .mode = result->mode,
		.nr_extents = result->nr_extents, .version = result->version, .created_ns = result->created_ns,
		.is_reserved = result->flags & WIRE_IS_RESERVED, .is_poisoned = result->flags & WIRE_IS_POISONED,
	};
	memcpy(stat->name, name, result->text_len);
}

/* The operation was done: what it means for the session's holdings. */
static void take_note(struct batch *batch, const struct pma_op *op, const struct wire_result *result)
{
	struct holdings *holdings = &batch->pma->holdings;
	uint16_t opcode = batch->call.opcode;
	struct holding *holding;

	if (opcode == WIRE_RESERVE) {
		holding_add(holdings, take_spare(batch), op->handle, false, op->opcode != PMA_OP_CREATE && !op->was_done);
	} else if (opcode == WIRE_CARVE) {
		holding_add(holdings, take_spare(batch), op->handle, false, false)->is_leased = true;
	} else if (opcode == WIRE_OPEN) {
		holding_add(holdings, take_spare(batch), op->handle, op->flags & PMA_READ_ONLY, result->flags & WIRE_IS_RESERVED);
	} else if (closes(opcode)) {
		holding_remove(holdings, op->handle);
	} else if (opcode == WIRE_COMMIT) {
		holding = holding_find(holdings, op->handle);
		if (holding)
			holding->is_reserved = false;
	}
}

static void take_refusal(struct batch *batch, struct pma_op *op, const struct wire_result *result, const char *text)
{
	if (closes(batch->call.opcode))
		end_closing(batch, op->handle);
	if (batch->why.text[0])
		return;
	if (result->text_len)
		why_set(&batch->why, 0, "%.*s", result->text_len, text);
	else
		why_set(&batch->why, 0, "%s", strerror(-result->result));
}

static int take_result(struct batch *batch, struct pma_op *op, const struct wire_result *result, const char *text)
{
	bool names_it = opens(batch->call.opcode) || batch->call.opcode == WIRE_STAT;

	if (result->result < 0) {
		op->result = result->result;
		take_refusal(batch, op, result, text);
		return 0;
	}
	if (names_it && (result->arena >= batch->pma->sites.nr || result->id == 0))
		return -EPROTO;
	op->result = 0;
	if (names_it)
		op->handle = (struct pma_handle){ result->arena, result->slot, result->id };
	op->len = result->len;
	op->was_done = result->flags & WIRE_WAS_DONE;
	if (op->stat)
		batch_fill_stat(op->stat, result, text);
	take_note(batch, op, result);
	return 0;
}

static int absorb(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct batch *batch = (struct batch *)call;
	const struct wire_extent *extents;
	struct wire_result result;
	const char *text;
	int r;

	if (reader->header.count != batch->nr)
		return -EPROTO;
	for (struct pma_op *op = batch->first; op < batch->end; op++) {
		if (op->result != OP_UNDER_WAY)
			continue;
		r = wire_next_result(reader, &result, &extents, &text);
		if (r == 1)
			r = take_result(batch, op, &result, text);
		if (r < 0)
			return -EPROTO;
	}
	return wire_next_result(reader, &result, &extents, &text);
}

void batch_send(struct batch *batch)
{
	batch->call.length = (uint32_t)wire_end(&batch->writer);
	batch->call.absorb = absorb;
	batch->call.is_idempotent = batch->nr_kept == batch->nr;
	link_submit(&batch->pma->link, &batch->call);
}

/* What was not answered. */
static void give_up(struct batch *batch)
{
	client_lock(batch->pma);
	for (struct pma_op *op = batch->first; op < batch->end; op++) {
		if (op->result != OP_UNDER_WAY)
			continue;
		op->result = batch->call.result;
		if (closes(batch->call.opcode))
			end_closing(batch, op->handle);
	}
	client_unlock(batch->pma);
}

void batch_end(struct batch *batch)
{
	if (batch->call.result < 0)
		give_up(batch);
	while (batch->spares)
		free(take_spare(batch));
	if (batch->why.text[0])
		error_set(0, "%s", batch->why.text);
}
