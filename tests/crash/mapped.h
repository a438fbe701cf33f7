/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapped: space that is no allocation's any more, and that a client which is alive still has
 * mapped. Nobody else may be given it.
 */
#ifndef PMEMARENA_MAPPED_H
#define PMEMARENA_MAPPED_H

#include "daemon/arena/arena.h"

struct mapped_range {
	uint64_t id;                    /* of the allocation that it was */
	struct extent bytes;
};

struct mapped {
	struct mapped_range *ranges;    /* owned; mapped_fini() */
	size_t nr, room;
};

/* Byte @from of @alloc, and what is behind it, are about to go. */
void mapped_add(struct mapped *mapped, const struct arena *arena, const struct alloc *alloc,
		uint64_t from);
/* The client has closed allocation @id. */
void mapped_drop(struct mapped *mapped, uint64_t id);
/* Whose it was; 0: nobody has it mapped. */
uint64_t mapped_find(const struct mapped *mapped, struct extent bytes);
void mapped_fini(struct mapped *mapped);

#endif
