/* SPDX-License-Identifier: BSD-3-Clause */
/* retire: a published allocation becomes FREEING; its record goes with the next settle. */
#ifndef PMEMARENA_RETIRE_H
#define PMEMARENA_RETIRE_H

#include "daemon/arena/arena_internal.h"

/*
 * Stages the end of @alloc's record. @is_held: somebody may have its space mapped. On failure
 * nothing has changed: -ENOSPC, -EDQUOT the ledger has no room; -ENOMEM.
 */
int retire_record(struct arena *arena, struct alloc *alloc, bool is_held);
/*
 * Hides @alloc, whose record retire_record() has staged away: nobody finds it any more, and its
 * owner is not charged for it any more. This step cannot be undone.
 */
void retire_alloc(struct arena *arena, struct alloc *alloc);
/* Puts @alloc among those that wait to be released: the next settle releases what nobody holds. */
void retire_end(struct arena *arena, struct alloc *alloc);

#endif
