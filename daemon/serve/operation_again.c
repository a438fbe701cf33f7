/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation_again: answers an item that was carried out before. The client did not get the answer
 * and sends it again.
 */
#include <config.h>

#include "daemon/serve/operation_again.h"

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"

bool operation_is_to_be_open(const struct wire_request *item)
{
	return !(item->flags & WIRE_AND_PUBLISH) || (item->flags & WIRE_KEEP_OPEN);
}

/*
 * A daemon that was killed between the change and the notes of what the session has open left those
 * notes out: they are made up for now. To make them twice changes nothing.
 */
static int finish_holds(struct operation *op)
{
	struct alloc *held =
		arena_find_held(op->arena, op->caller.holder, op->item.slot, op->item.id);

	bool opens = op->opcode == WIRE_RESERVE
			     ? operation_is_to_be_open(&op->item)
			     : op->opcode == WIRE_CARVE && (op->item.flags & WIRE_KEEP_OPEN);

	if (opens && op->alloc && !held)
		return arena_open_alloc(op->arena, &op->caller, op->alloc, false, op->why);
	if ((op->opcode == WIRE_ABORT || op->opcode == WIRE_FREE) && held &&
	    (op->item.flags & WIRE_UNMAPPED))
		return arena_close_alloc(op->arena, &op->caller, held, true);
	return 0;
}

int operation_again(struct operation *op, const struct arena_deed *deed)
{
	op->item.slot = deed->slot;
	op->item.id = deed->id;
	op->alloc = deed->alloc;
	return finish_holds(op);
}
