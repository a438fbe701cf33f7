/* SPDX-License-Identifier: BSD-3-Clause */
/* request_result: the result of one item, as it goes into the reply of its message. */
#include <config.h>

#include "daemon/serve/request_result.h"

#include <string.h>

#include "daemon/arena/arena_find.h"

static bool carries_extents(uint16_t opcode)
{
	return opcode == WIRE_RESERVE || opcode == WIRE_CARVE || opcode == WIRE_OPEN ||
		opcode == WIRE_RESIZE || opcode == WIRE_STAT || opcode == WIRE_PIN ||
		opcode == WIRE_WAIT;
}

/*
 * Copies up to @max extents (pieces of space) of @alloc, from number @first on, to desk.extents.
 * Returns how many.
 */
static uint16_t gather_extents(struct desk *desk, const struct arena *arena,
			       const struct alloc *alloc, uint64_t first, uint32_t max)
{
	uint16_t nr = 0;

	for (uint64_t i = first; i < alloc->nr_extents && nr < max; i++, nr++) {
		struct extent extent = arena_extent(arena, alloc, (uint32_t)i);

		desk->extents[nr] = (struct wire_extent){ extent.off, extent.len };
	}
	return nr;
}

static bool carries_attributes(uint16_t opcode)
{
	return opcode == WIRE_STAT || opcode == WIRE_OPEN || opcode == WIRE_PIN ||
	       opcode == WIRE_WAIT;
}

void result_success(struct job *job, const struct operation *op, uint32_t nr_after)
{
	struct wire_result result = { .arena = op->item.arena,
				      .slot = op->item.slot,
				      .id = op->item.id };
	const struct alloc *alloc = op->alloc;
	size_t text_len = 0;

	if (alloc) {
		operation_describe(&result, op->item.arena, alloc);
		if (op->was_done)
			result.flags |= WIRE_WAS_DONE;
		if ((job->opcode == WIRE_STAT || job->opcode == WIRE_WAIT) && alloc->name)
			text_len = alloc->name_len;
		if (job->opcode == WIRE_EXTENTS)
			result.nr_inline = gather_extents(job->desk, op->arena, alloc, op->item.arg,
							  ALLOC_MAX_EXTENTS);
		else if (carries_extents(job->opcode))
			result.nr_inline = gather_extents(job->desk, op->arena, alloc, 0,
							  WIRE_MAX_INLINE_EXTENTS);
	}
	if (alloc && carries_attributes(job->opcode) && (op->item.flags & WIRE_WITH_ATTRIBUTES))
		result.attributes_len = alloc->attributes_len;
	text_len = wire_fit_result(&job->reply, &result, text_len, nr_after);
	wire_add_result_with(&job->reply, &result, job->desk->extents,
			     text_len ? alloc->name : NULL, text_len,
			     result.attributes_len ? alloc->attributes : NULL);
}

void result_refusal(struct job *job, const struct wire_request *item, int r, const char *text,
		    uint32_t nr_after)
{
	struct wire_result result = {
		.result = operation_status(r),
		.arena = item->arena,
		.slot = item->slot,
		.id = item->id,
	};
	size_t text_len;

	/*
	 * An error without a sentence is of a plain kind, such as no memory: its usual text will
	 * do.
	 */
	if (!text[0])
		text = strerror(-r);
	text_len = strnlen(text, WIRE_MAX_TEXT);
	job->service->counters.refused[job->opcode]++;
	text_len = wire_fit_result(&job->reply, &result, text_len, nr_after);
	wire_add_result(&job->reply, &result, NULL, text, text_len);
}
