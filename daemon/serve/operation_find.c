/* SPDX-License-Identifier: BSD-3-Clause */
/* operation_find: the allocation that an item is about, by its name or its handle. */
#include <config.h>

#include "daemon/serve/operation_find.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/arena/arena_find.h"
#include "lib/wire/escape.h"

/*
 * A reservation is seen only by those who hold it: its name and size are nobody else's business
 * yet.
 */
bool operation_may_see(const struct client *client, uint32_t arena, const struct alloc *alloc)
{
	return alloc->state == ALLOC_PUBLISHED || client_holds(client, arena, alloc);
}

int operation_take(struct operation *op, struct alloc *alloc, int r)
{
	struct why why = { "" };
	int known = arena_check_known(op->arena, alloc, &why);

	/* What is known keeps the sentence of @r that was set before. */
	if (known < 0) {
		*op->why = why;
		return known;
	}
	op->alloc = alloc;
	return alloc ? 0 : r;
}

int operation_find_handle(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct alloc *alloc = arena_find(op->arena, item->slot, item->id);

	if (alloc && operation_may_see(op->client, item->arena, alloc))
		return operation_take(op, alloc, 0);
	return operation_take(op, NULL,
			      why_set(op->why, -ENOENT,
				      "there is no allocation with id %" PRIu64 " (any more)",
				      item->id));
}

int operation_find_name(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct alloc *alloc = arena_find_name(op->arena, op->name, (uint8_t)item->name_len);
	char text[ESCAPE_SIZE(WIRE_MAX_NAME)];

	if (alloc && operation_may_see(op->client, item->arena, alloc))
		return operation_take(op, alloc, 0);
	escape_name(text, sizeof(text), op->name, item->name_len, escape_shows_text);
	return operation_take(op, NULL,
			      why_set(op->why, -ENOENT,
				      "in arena %s there is no allocation named \"%s\"",
				      op->service->arenas[item->arena].name, text));
}

int operation_find_either(struct operation *op)
{
	return op->item.name_len ? operation_find_name(op) : operation_find_handle(op);
}
