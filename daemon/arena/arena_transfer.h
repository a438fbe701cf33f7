/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_transfer: an allocation that nobody uses is copied into another arena, piece by piece, and
 * is nobody's to open meanwhile.
 */
#ifndef PMEMARENA_ARENA_TRANSFER_H
#define PMEMARENA_ARENA_TRANSFER_H

#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"
#include "daemon/arena/arena_event.h"
#include "lib/wire/why.h"

/*
 * From here on nobody opens, pins or changes @alloc, until arena_transfer_end() or the end of the
 * daemon; who asks is told -EBUSY. Refused with a sentence: -EBUSY somebody has it open, pinned or
 * perhaps mapped, on this host or another one; -EINVAL it is not published; -EIO a page of it is
 * bad.
 */
int arena_transfer_begin(struct arena *arena, struct alloc *alloc, struct why *why);
void arena_transfer_end(struct arena *arena, struct alloc *alloc);
/*
 * Copies @len bytes at byte @off of @from to the same place of @copy, durably; or compares them.
 * 0; 1 they differ; -EIO a page is bad.
 */
int arena_transfer_copy(struct arena *to, struct alloc *copy, struct arena *from,
			struct alloc *alloc, uint64_t off, uint64_t len);
int arena_transfer_compare(struct arena *to, struct alloc *copy, struct arena *from,
			   struct alloc *alloc, uint64_t off, uint64_t len);
/* -EIO: a page of @alloc or of @copy went bad since; then the copy is no copy. */
int arena_transfer_check(const struct alloc *alloc, const struct alloc *copy, struct why *why);
/*
 * Frees @alloc, of which there is a durable copy at @to, with an event that says so; as
 * arena_free_alloc().
 */
int arena_transfer_free(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			struct arena_place to, struct why *why);

#endif
