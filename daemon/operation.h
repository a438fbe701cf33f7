/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation: one item of a request, carried out: the table of opcodes and what each asks of an arena. It decides and stages;
 * making it durable and answering is request.c's.
 */
#ifndef PMEMARENA_OPERATION_H
#define PMEMARENA_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/client.h"
#include "daemon/service.h"
#include "lib/why.h"
#include "lib/wire.h"

struct operation {
	struct service *service;        /* borrowed, as all below */
	struct client  *client;
	uint16_t opcode;
	struct wire_request item;
	const char     *name;           /* item.name_len bytes, not terminated */
	uint64_t        deed;           /* client_deed() of the item */
	bool            is_repeat;      /* it may have been done already */
	struct arena   *arena;          /* filled in by operation_run() */
	struct caller   caller;
	bool            was_done;       /* by an earlier request of this user, under the same token */
	struct alloc   *alloc;          /* what the item is about; after success: what the result describes, NULL nothing */
	struct why     *why;
};

/* May such a request change something? Then the session's last tag says so before it is carried out, and a settle follows. */
bool operation_changes(uint16_t opcode);

/*
 * 0, or -errno with a sentence, and nothing has changed; -EAGAIN: there is room, but it is being scrubbed: run it again later.
 */
int operation_run(struct operation *op);

/* Is it published, or the client's own? What others have reserved does not exist yet. */
bool operation_may_see(const struct client *client, uint32_t arena, const struct alloc *alloc);

/* What such a result says of @alloc, extents and name aside. */
void operation_describe(struct wire_result *result, uint32_t arena, const struct alloc *alloc);

#endif
