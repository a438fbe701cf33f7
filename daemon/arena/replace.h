/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replace: the change that runs takes over the name of an allocation, which gives way. The change
 * calls replace_begin() before it checks the name, and then replace_end() once its record is
 * staged, or replace_cancel() when it failed.
 */
#ifndef PMEMARENA_REPLACE_H
#define PMEMARENA_REPLACE_H

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"

/*
 * If a published allocation other than @by (NULL: the change makes a new one) has @name, it becomes
 * arena->giving_way and loses the name in memory. Settles first what must not be overtaken.
 * -EACCES: @caller may not free it; -ENOSPC: its version cannot grow; -ENOMEM, -EIO.
 */
int replace_begin(struct arena *arena, const struct caller *caller, const char *name,
		  uint8_t name_len, const struct alloc *by, struct why *why);
/*
 * Gives the allocation that would have given way its name back. To be called when nothing was
 * staged.
 */
void replace_cancel(struct arena *arena);
/*
 * Frees the allocation that gives way. To be called when the record of the successor is staged; it
 * cannot fail.
 */
void replace_end(struct arena *arena, const struct caller *caller);
/*
 * The last step of replace_end(), which cannot be undone: @old is freed in memory too. In a bundle
 * it is left for the end of that.
 */
void replace_leave(struct arena *arena, const struct caller *caller, struct alloc *old);

/*
 * At a start, when all records are read and no name is given yet: calls @drop for each allocation
 * that is still there although another one replaced it. @drop takes it out of arena->objects and
 * frees it; the first value < 0 that it returns ends the search. Two with one name of which neither
 * replaced the other are left to the caller.
 */
typedef int replace_drop_fn(void *arg, struct alloc *alloc);
int replace_finish(struct arena *arena, replace_drop_fn *drop, void *arg);

#endif
