/* SPDX-License-Identifier: BSD-3-Clause */
/* ending: how a session ends, and how the space that it held becomes free. */
#ifndef PMEMARENA_ENDING_H
#define PMEMARENA_ENDING_H

#include "daemon/arena/arena_internal.h"

/*
 * @alloc, which is reserved, becomes FREEING: no name or handle finds it any more, and its space is
 * kept until nobody holds it. Cannot fail.
 */
void ending_begin(struct arena *arena, struct alloc *alloc);
/*
 * One round, at each tick: asks the kernel which of the sessions that are over, and of those that
 * closed something, still have a mapping; frees what nobody can have mapped any more. The number of
 * questions and the time they take are bounded; the next round goes on with the rest.
 */
void ending_look(struct arena *arena);
/*
 * @alloc is FREEING and nobody holds it: gives its space to the scrubber, removes it from the
 * ledger and frees it. When memory is short, @alloc stays with what is left; a later round of
 * ending_look() goes on.
 */
void ending_release(struct arena *arena, struct alloc *alloc);
/*
 * For a request that found no room: releases what was freed, is held by nobody, and was kept only
 * for a pin that is put by now. Without it a process that puts its pin and asks for space at once
 * would be refused until the next round. Returns true if something was released; its space is there
 * once it is scrubbed.
 */
bool ending_release_unpinned(struct arena *arena);

#endif
