/* SPDX-License-Identifier: BSD-3-Clause */
/* release: an allocation ends by request. The requests are in arena_change.h. */
#ifndef PMEMARENA_RELEASE_H
#define PMEMARENA_RELEASE_H

#include "daemon/arena/arena_internal.h"

/*
 * The last step of a free, which cannot be undone: @alloc, whose record is staged to go, is freed
 * in memory too. @unmapped as in arena_free_alloc(). In a bundle it is left for the end of that.
 */
void release_leave(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		   bool unmapped);

#endif
