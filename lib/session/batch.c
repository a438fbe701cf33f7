/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * batch: encodes operations into a message and decodes their results. Everything that can fail for
 * want of memory is done before the message is sent (spare holdings are allocated ahead): once the
 * daemon has done something, the library must be able to record it. Otherwise an allocation would
 * be open of which this process knows nothing.
 */
#include <config.h>

#include "lib/session/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/session/call.h"
#include "lib/session/client.h"
#include "lib/error.h"

/* After a successful request of this opcode the session has the allocation open. */
static bool opens(uint16_t opcode)
{
	return opcode == WIRE_RESERVE || opcode == WIRE_OPEN || opcode == WIRE_CARVE;
}

/*
 * After a successful request of this opcode the session does not have the allocation open any more.
 */
static bool closes(uint16_t opcode)
{
	return opcode == WIRE_ABORT || opcode == WIRE_FREE || opcode == WIRE_CLOSE;
}

/*
 * Does this operation end a holding (this session's record of an open allocation)? OP_UNMAPPED and
 * OP_LENT do not, although they travel as WIRE_CLOSE: a cache reports with them about an allocation
 * that was closed earlier. If it was opened again since, its new holding must stay. Neither does a
 * free by name: what this session has open of it stays so until it is closed, as when somebody else
 * frees it.
 */
static bool changes_holding(uint16_t opcode, const struct pma_op *op)
{
	return closes(opcode) && op->opcode != OP_UNMAPPED && op->opcode != OP_LENT &&
	       !op->name;
}

/* ---- the message ---- */

/* Does the program want to know what attributes there are? */
static bool wants_attributes(const struct batch *batch, const struct pma_op *op)
{
	uint16_t opcode = batch->call.opcode;

	return op->stat && batch->pma->link.attributes &&
	       (opcode == WIRE_STAT || opcode == WIRE_OPEN || opcode == WIRE_WAIT);
}

/* The results of requests of this opcode have the name of what they describe. */
static bool tells_name(uint16_t opcode)
{
	return opcode == WIRE_STAT || opcode == WIRE_WAIT;
}

/*
 * The most bytes that the result of @op can take in the reply. A stat's result has the name; the
 * results of other opcodes have no text that must be whole.
 */
static size_t reply_size_of(const struct batch *batch, const struct pma_op *op)
{
	return sizeof(struct wire_result) +
	       (tells_name(batch->call.opcode) ? WIRE_MAX_NAME + 1 : 0) +
	       (wants_attributes(batch, op) ? WIRE_MAX_ATTRIBUTES +
						      WIRE_MAX_INLINE_EXTENTS *
							      sizeof(struct wire_extent)
					    : 0);
}

static int add_spare(struct batch *batch)
{
	struct holding *spare = malloc(sizeof(*spare));

	if (!spare)
		return error_memory();
	SLIST_INSERT_HEAD(&batch->spares, spare, spare);
	return 0;
}

static struct holding *take_spare(struct batch *batch)
{
	struct holding *spare = SLIST_FIRST(&batch->spares);

	SLIST_REMOVE_HEAD(&batch->spares, spare);
	return spare;
}

/*
 * Marks the allocation as being closed: until the answer is there no thread of this process may map
 * it, since the daemon may give its space to others at any moment. Tells the daemon in *flags
 * whether the allocation is lent (somebody outside of this session may have it mapped) or unmapped;
 * WIRE_DONE, the program's own word, says more than either. -EBUSY: it is mapped.
 */
static int begin_closing(struct batch *batch, struct pma_handle handle, uint32_t *flags)
{
	struct holding *holding = holding_recall(&batch->pma->holdings, handle);
	bool is_done = *flags & WIRE_DONE;

	if (is_done && !batch->pma->link.windows)
		return error_set(-EOPNOTSUPP, "the daemon is too old: it does not know PMA_DONE");
	if (!holding)
		return 0;
	if (is_done && holding->is_leased)
		return error_set(-EBUSY, "it is a piece of a cache's lease, which is still mapped: "
					 "nobody can be done with it before the cache is closed");
	if (holding->nr_maps > 0)
		return error_set(
			-EBUSY, "it is still mapped through this connection: pma_unmap() it first");
	holding->nr_closing++;
	if (is_done)
		return 0;
	if (holding->is_lent && batch->pma->link.lends)
		*flags |= WIRE_LENT;
	else if (holding_is_unmapped(holding))
		*flags |= WIRE_UNMAPPED;
	return 0;
}

static void end_closing(struct batch *batch, struct pma_handle handle)
{
	struct holding *holding = holding_recall(&batch->pma->holdings, handle);

	if (!holding || holding->nr_closing == 0)
		return;
	holding->nr_closing--;
	holding_settle(&batch->pma->holdings, holding);
}

void batch_begin(struct batch *batch, struct pma *pma, uint16_t opcode, void *buf,
		 struct waiter *waiter)
{
	memset(batch, 0, offsetof(struct batch, why.text[1]));
	SLIST_INIT(&batch->spares);
	batch->pma = pma;
	batch->call.opcode = opcode;
	batch->call.message = buf;
	batch->call.waiter = waiter;
	wire_begin(&batch->writer, buf, opcode, 0);
	batch->reply_size = sizeof(struct wire_header);
}

static bool is_full(const struct batch *batch, const struct pma_op *op)
{
	return batch->nr == WIRE_MAX_ITEMS ||
	       batch->reply_size + reply_size_of(batch, op) > WIRE_MAX;
}

/* Does the daemon know what @op asks for? */
static int check_known(const struct batch *batch, const struct pma_op *op, uint32_t flags)
{
	const struct link *link = &batch->pma->link;

	if (!link->replaces && (flags & WIRE_REPLACE))
		return error_set(-EOPNOTSUPP,
				 "the daemon is too old: it does not know PMA_REPLACE");
	if (!link->bundles && (flags & WIRE_ALL_OR_NONE))
		return error_set(-EOPNOTSUPP,
				 "the daemon is too old: it does not know pma_run_together()");
	if (!link->replaces && batch->call.opcode == WIRE_FREE && op->name)
		return error_set(-EOPNOTSUPP, "the daemon is too old: it frees by handle only");
	if (!link->waits && batch->call.opcode == WIRE_WAIT)
		return error_set(-EOPNOTSUPP, "the daemon is too old: it does not know pma_wait()");
	if (!link->attributes && (flags & WIRE_WITH_ATTRIBUTES))
		return error_set(-EOPNOTSUPP,
				 "the daemon is too old: it does not know attributes");
	if (!link->evicts && ((flags & WIRE_EVICTABLE) || batch->call.opcode == WIRE_TOUCH))
		return error_set(-EOPNOTSUPP,
				 "the daemon is too old: it evicts nothing");
	return 0;
}

static int append(struct batch *batch, struct pma_op *op, const struct wire_request *request)
{
	struct wire_request item = *request;
	uint16_t opcode = batch->call.opcode;
	size_t name_len = op->name ? strlen(op->name) : 0;
	int r = check_known(batch, op, item.flags);

	if (r < 0)
		return r;
	if (batch->writer.length + sizeof(item) + name_len + item.attributes_len + 7 > WIRE_MAX)
		return -EMSGSIZE;
	if (wants_attributes(batch, op))
		item.flags |= WIRE_WITH_ATTRIBUTES;
	/* Zeroes are contents too: a daemon that knows no others gives those. */
	if (!batch->pma->link.contents)
		item.flags &= ~(uint32_t)WIRE_ANY_CONTENTS;
	if (opens(opcode))
		r = add_spare(batch);
	if (r == 0 && changes_holding(opcode, op))
		r = begin_closing(batch, op->handle, &item.flags);
	if (r == 0)
		r = wire_add_request_with(&batch->writer, &item, op->name, name_len,
					  op->attributes);
	return r;
}

int batch_add(struct batch *batch, struct pma_op *op, const struct wire_request *request)
{
	int r = is_full(batch, op) ? -EMSGSIZE : append(batch, op, request);

	if (r == -EMSGSIZE)
		return r;
	op->result = r < 0 ? r : OP_UNDER_WAY;
	if (r < 0)
		return r;
	if (batch->nr++ == 0)
		batch->first = op;
	batch->nr_kept +=
		op->token && (op->opcode == PMA_OP_CREATE || op->opcode == PMA_OP_PUBLISH);
	batch->end = op + 1;
	batch->reply_size += reply_size_of(batch, op);
	return 0;
}

/* ---- the reply ---- */

void batch_fill_stat(struct pma_info *stat, const struct wire_result *result, const char *name)
{
	*stat = (struct pma_info){
		.handle = { result->arena, result->slot, result->id },
		.len = result->len,
		.uid = result->uid,
		.gid = result->gid,
		.mode = result->mode,
		.nr_extents = result->nr_extents,
		.version = result->version,
		.created_ns = result->created_ns,
		.is_reserved = result->flags & WIRE_IS_RESERVED,
		.is_poisoned = result->flags & WIRE_IS_POISONED,
		.is_evictable = result->flags & WIRE_IS_EVICTABLE,
	};
	memcpy(stat->name, name, result->text_len);
	stat->attributes_len = result->attributes_len;
	memcpy(stat->attributes, name + result->text_len, result->attributes_len);
}

/*
 * The daemon did @op: changes the session's holdings accordingly. @was_lent, of a carve: the lease
 * that the part comes from was lent, and so the part is.
 */
static void take_note(struct batch *batch, const struct pma_op *op,
		      const struct wire_result *result, bool was_lent)
{
	struct holdings *holdings = &batch->pma->holdings;
	uint16_t opcode = batch->call.opcode;
	struct holding *holding;

	if (opcode == WIRE_RESERVE) {
		holding_add(holdings, take_spare(batch), op->handle, false,
			    op->opcode != PMA_OP_CREATE && !op->was_done);
	} else if (opcode == WIRE_CARVE) {
		holding = holding_add(holdings, take_spare(batch), op->handle, false, false);
		holding->is_leased = true;
		holding->is_lent |= was_lent;
	} else if (opcode == WIRE_OPEN) {
		holding = holding_add(holdings, take_spare(batch), op->handle,
				      op->flags & PMA_READ_ONLY, result->flags & WIRE_IS_RESERVED);
		holding->is_lent |= batch->pma->has_lost_parts && !holding->is_leased;
	} else if (changes_holding(opcode, op)) {
		if (op->flags & PMA_DONE)
			holding_return(holdings, op->handle);
		holding_close(holdings, op->handle, opcode != WIRE_CLOSE);
		end_closing(batch, op->handle);
	} else if (opcode == WIRE_PUBLISH) {
		holding = holding_find(holdings, op->handle);
		if (holding)
			holding->is_reserved = false;
	}
}

/* Gives the program the sentence of this operation, if it has a place for it. */
static void say(const struct pma_op *op, const char *text, size_t len)
{
	if (!op->message)
		return;
	if (len >= PMA_MAX_MESSAGE)
		len = PMA_MAX_MESSAGE - 1;
	memcpy(op->message, text, len);
	op->message[len] = '\0';
}

static void take_refusal(struct batch *batch, struct pma_op *op, const struct wire_result *result,
			 const char *text)
{
	if (changes_holding(batch->call.opcode, op))
		end_closing(batch, op->handle);
	if (!result->text_len) {
		text = strerror(-result->result);
		say(op, text, strlen(text));
	} else {
		say(op, text, result->text_len);
	}
	if (batch->why.text[0])
		return;
	if (result->text_len)
		why_set(&batch->why, 0, "%.*s", result->text_len, text);
	else
		why_set(&batch->why, 0, "%s", text);
}

static int take_result(struct batch *batch, struct pma_op *op, const struct wire_result *result,
		       const char *text)
{
	bool names_it = opens(batch->call.opcode) || tells_name(batch->call.opcode) ||
			(batch->call.opcode == WIRE_FREE && op->name);
	const struct holding *whole = batch->call.opcode == WIRE_CARVE
					      ? holding_recall(&batch->pma->holdings, op->handle)
					      : NULL;

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
	take_note(batch, op, result, whole && whole->is_lent);
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
	batch->call.is_idempotent =
		batch->nr_kept == batch->nr || batch->call.opcode == WIRE_WAIT;
	call_submit(&batch->pma->link, &batch->call);
}

/*
 * The call ended without a reply: each operation that has no result gets the error of the call, and
 * the holdings are changed for the worst case.
 */
static void give_up(struct batch *batch)
{
	client_lock(batch->pma);
	for (struct pma_op *op = batch->first; op < batch->end; op++) {
		if (op->result != OP_UNDER_WAY)
			continue;
		op->result = batch->call.result;
		say(op, strerror(-op->result), strlen(strerror(-op->result)));
		/*
		 * The daemon may have closed it, and may give its space to others: a mapping made
		 * now could show their data. So it counts as closed. A program that needs it opens
		 * it again.
		 */
		if (batch->call.opcode == WIRE_CLOSE && batch->call.nr_sent > 0 &&
		    changes_holding(WIRE_CLOSE, op))
			holding_close(&batch->pma->holdings, op->handle, false);
		if (changes_holding(batch->call.opcode, op))
			end_closing(batch, op->handle);
		/*
		 * The daemon may have made an allocation of this part of a lease, which the lease's
		 * mapping still shows, and its handle is not known here. From now on each
		 * allocation that is opened may be that part, and is treated as lent.
		 */
		if (batch->call.opcode == WIRE_CARVE && batch->call.nr_sent > 0)
			batch->pma->has_lost_parts = true;
	}
	client_unlock(batch->pma);
}

void batch_take_back(struct batch *batch, int r)
{
	batch->call.result = r;
	give_up(batch);
	batch->call.result = 0;
}

void batch_end(struct batch *batch)
{
	if (batch->call.result < 0)
		give_up(batch);
	while (!SLIST_EMPTY(&batch->spares))
		free(take_spare(batch));
	if (batch->why.text[0])
		error_set(0, "%s", batch->why.text);
}
