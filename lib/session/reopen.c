/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reopen: sends opens by handle, in batches for which no thread waits (*errands*). An allocation
 * that cannot be opened any more is removed from the holdings: calls for it then say that it is not
 * open.
 */
#include <config.h>

#include "lib/session/reopen.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/session/call.h"
#include "lib/session/client.h"

struct errand {
	struct call call;
	struct pma *pma;                /* borrowed; it lives longer than its calls */
	uint32_t nr;
	struct pma_handle handles[WIRE_MAX_ITEMS];
	uint8_t message[sizeof(struct wire_header) + WIRE_MAX_ITEMS * sizeof(struct wire_request)]
		__attribute__((aligned(8)));
};

void reopen_mark(struct pma *pma)
{
	struct holding *holding, *next;

	/*
	 * Forgets that there are parts with unknown handles (client.h): what was mapped before was
	 * mapped through descriptors of the old session, and the daemon watches those by itself
	 * until they are unmapped.
	 */
	pma->has_lost_parts = false;
	for (holding = holding_first(&pma->holdings); holding; holding = next) {
		next = holding_next(holding);
		/*
		 * A reservation ended with the old session. Its holding is closed, but stays as
		 * long as it is mapped: the mapping belongs to the old session and ends as any
		 * other.
		 */
		if (holding->is_reserved)
			holding_close(&pma->holdings, holding->handle, true);
		else if (holding->is_open)
			holding->is_lost = true;
	}
}

static int absorb(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct errand *errand = (struct errand *)call;
	const struct wire_extent *extents;
	struct wire_result result;
	const char *text;

	for (uint32_t i = 0; i < errand->nr; i++) {
		struct holding *holding = holding_find(&errand->pma->holdings, errand->handles[i]);

		if (wire_next_result(reader, &result, &extents, &text) != 1)
			return -EPROTO;
		if (result.result < 0 && holding && holding->is_lost)
			holding_close(&errand->pma->holdings, errand->handles[i], false);
		else if (holding)
			holding->is_lost = false;
	}
	return 0;
}

static void finished(struct call *call)
{
	free(call);
}

static struct errand *errand_new(struct pma *pma)
{
	struct errand *errand = calloc(1, sizeof(*errand));

	if (!errand)
		return NULL;
	errand->pma = pma;
	errand->call = (struct call){ .opcode = WIRE_OPEN,
				      .message = errand->message,
				      .absorb = absorb,
				      .finished = finished };
	return errand;
}

static void errand_send(struct errand *errand, struct wire_writer *writer)
{
	errand->call.length = (uint32_t)wire_end(writer);
	call_submit_first(&errand->pma->link, &errand->call);
}

/*
 * A program that knows the extents may map them through the new session's descriptor too. So what
 * was lent in the old session is declared as lent in the new one.
 */
static uint32_t open_flags(const struct errand *errand, const struct holding *holding)
{
	return (holding->is_read_only ? WIRE_READ_ONLY : 0) |
	       (holding->is_lent && errand->pma->link.lends ? WIRE_LENT : 0);
}

static void errand_add(struct errand *errand, struct wire_writer *writer,
		       const struct holding *holding)
{
	struct wire_request request = {
		.arena = holding->handle.arena,
		.slot = holding->handle.slot,
		.id = holding->handle.id,
		.flags = open_flags(errand, holding),
	};

	wire_add_request(writer, &request, NULL, 0);
	errand->handles[errand->nr++] = holding->handle;
}

int reopen_send(struct pma *pma)
{
	struct holding *holding;
	struct errand *errand = NULL;
	struct wire_writer writer;

	for (holding = holding_first(&pma->holdings); holding; holding = holding_next(holding)) {
		if (!holding->is_lost)
			continue;
		if (errand && errand->nr == WIRE_MAX_ITEMS) {
			errand_send(errand, &writer);
			errand = NULL;
		}
		if (!errand) {
			errand = errand_new(pma);
			if (!errand)
				return -ENOMEM;
			wire_begin(&writer, errand->message, WIRE_OPEN, 0);
		}
		errand_add(errand, &writer, holding);
	}
	if (errand)
		errand_send(errand, &writer);
	return 0;
}
