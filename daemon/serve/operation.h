/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation: one item of a request, carried out: the table of opcodes and what each asks of an
 * arena. It decides and stages; making it durable and answering is request.c's.
 */
#ifndef PMEMARENA_OPERATION_H
#define PMEMARENA_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena_holder.h"
#include "daemon/serve/client.h"
#include "daemon/service/service.h"
#include "lib/wire/why.h"
#include "lib/wire/wire.h"

struct operation {
	struct service *service;        /* borrowed, as all below */
	struct client  *client;
	uint16_t opcode;
	struct wire_request item;
	const char     *name;           /* item.name_len bytes, not terminated */
	uint64_t        deed;           /* client_deed() of the item */
	/* the request may have been carried out already, before the connection was lost */
	bool            is_repeat;
	/* it is one of the changes between arena_bundle_begin() and the end of the bundle */
	bool            is_bundled;
	struct arena   *arena;          /* filled in by operation_run() */
	struct caller   caller;
	/* an earlier request of this user, under the same token, has done it */
	bool            was_done;
	/* what the item is about; after success what the result describes; NULL: nothing */
	struct alloc   *alloc;
	struct why     *why;
};

/*
 * Can a request with @opcode change something? Then the tag of its message is stored in the
 * session's seat before it is carried out, and the arena is settled (made durable) afterwards.
 */
bool operation_changes(uint16_t opcode);

/*
 * The right that a request with @opcode and @flags needs in its arena. An opcode that this function
 * does not name needs the right to write.
 */
enum access operation_needs(uint16_t opcode, uint32_t flags);

/*
 * Carries out op->item. Returns 0; or -errno with a sentence in op->why, and nothing has changed;
 * -EAGAIN if there is room that is still being scrubbed (zeroed), -EALREADY
 * if what it waits for is not there yet, and -EINPROGRESS if others were
 * asked to give space back: run it again later.
 */
int operation_run(struct operation *op);

/* Was what the RESERVE asks for made by an earlier request with the same token? */
bool operation_was_made(const struct operation *op);

/*
 * Is @alloc published, or does this client hold it? To all others, what a client has reserved does
 * not exist yet.
 */
bool operation_may_see(const struct client *client, uint32_t arena, const struct alloc *alloc);

/* Fills @result with all that it says of @alloc but extents, name and attributes. */
void operation_describe(struct wire_result *result, uint32_t arena, const struct alloc *alloc);

/*
 * Returns @r if doc/PROTOCOL.md lists it as an answer. What the kernel has no room or no memory for
 * at the moment (locks, buffers, mappings) is -ENOMEM: as -EIO it would look like a device that
 * failed. Anything else is -EIO, with a line in the log: it comes from the daemon's own trouble and
 * a client could do nothing with it.
 */
int operation_status(int r);

#endif
