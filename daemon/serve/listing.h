/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: which allocations a page of a listing has. Used by clients' and administrators' lists
 * alike.
 */
#ifndef PMEMARENA_LISTING_H
#define PMEMARENA_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/serve/client.h"
#include "lib/wire/wire.h"
#include "lib/wire/why.h"

/* An iteration over published allocations: all by slot, or those with a prefix by name. */
struct listing {
	const struct arena *arena;      /* borrowed */
	const char *prefix;             /* borrowed; not terminated */
	uint8_t  prefix_len;
	uint32_t slot;                  /* without a prefix: where to go on */
	/* with a prefix: the entry listed last; NULL: begin at `name` */
	struct alloc *at;
	const char *name;               /* borrowed */
	uint8_t  name_len;
	bool     after;                 /* begin behind `name`, not at it */
};

void listing_begin(struct listing *listing, const struct arena *arena, const char *prefix,
		   uint8_t prefix_len);
/* Make the listing go on in a slot, or behind a name. */
void listing_resume_slot(struct listing *listing, uint32_t slot);
void listing_resume_name(struct listing *listing, const char *name, uint8_t name_len);
/* Returns the next allocation; NULL: the end. */
struct alloc *listing_next(struct listing *listing);

/*
 * Writes the items of a WIRE_LISTED, for a WIRE_LIST request. Returns 0, or -errno with a sentence,
 * and nothing was added: -ESTALE the cursor leads nowhere; -EIO the arena is offline.
 */
int listing_run(struct wire_writer *reply, struct client *client, const struct arena *arena,
		const struct wire_request *item,
		const char *prefix, struct why *why);

#endif
