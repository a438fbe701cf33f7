/* SPDX-License-Identifier: BSD-3-Clause */
/* claim: the space of a new allocation, taken and put back. In memory only. */
#ifndef PMEMARENA_CLAIM_H
#define PMEMARENA_CLAIM_H

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_internal.h"

/*
 * Claims @nr_pfns base pages for what @ask says, and makes *out of them, which nothing else knows
 * of. Errors of evict_claim(), with a sentence.
 */
int claim_space(struct alloc **out, struct arena *arena, const struct caller *caller,
		uint64_t nr_pfns, const struct arena_ask *ask, struct why *why);
/* Puts the space of @alloc back, which @uid claimed and nobody has seen. @alloc stays. */
void claim_undo(struct arena *arena, const struct alloc *alloc, uint32_t uid);

#endif
