/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settle: a request stages its changes (decides them in memory and prepares the stores);
 * arena_settle() then makes everything staged durable at once. Clients are told only afterwards.
 */
#ifndef PMEMARENA_SETTLE_H
#define PMEMARENA_SETTLE_H

#include "daemon/arena/arena_internal.h"

/* Gives out an id that was never used before. -EIO: the arena is offline from now on. */
int settle_take_id(struct arena *arena, uint64_t *id);
/*
 * Stages a record of what @alloc is now, with a new version, and stages that its old record goes.
 * On failure nothing is staged: -ENOSPC, -ENFILE (the table is full), -ENOMEM; -EIO: the arena is
 * offline from now on.
 */
int settle_stage_record(struct arena *arena, struct alloc *alloc);
/*
 * Writes down what @alloc is now: a published one in the table, at the next settle; a reserved one
 * in the ledger, at once. On failure the caller puts the fields of @alloc back.
 */
int settle_new_version(struct arena *arena, struct alloc *alloc);
/* Enters @alloc, which is published and durable, in the catalog, unless it is being moved. */
void settle_catalog(struct arena *arena, const struct alloc *alloc);
/* Enters in the catalog what was taken out since the last settle and is published. */
void settle_catalog_changed(struct arena *arena);
/* The next settle removes @entry from the ledger, once its changes are durable. -ENOMEM. */
int settle_unledger_later(struct arena *arena, uint32_t entry);
/*
 * Settles first if the last change of @alloc (NULL: of none) is only staged, or if @claims_name and
 * a name is being given up in what is staged: the caller's change must not overtake either one.
 * Errors of arena_settle().
 */
int settle_if_staged(struct arena *arena, const struct alloc *alloc, bool claims_name);

#endif
