/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rules: the checks with which every change begins. None changes anything; each that returns int
 * returns 0, or -errno with a sentence in *why.
 */
#ifndef PMEMARENA_RULES_H
#define PMEMARENA_RULES_H

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"

/*
 * Checks the state of the arena. -EIO: it is offline; -EUCLEAN: it is damaged, and @new_space is
 * wanted.
 */
int rules_serving(const struct arena *arena, bool new_space, struct why *why);
/*
 * Does @alloc belong to @caller? A reservation belongs to the session that made it, a published
 * allocation to the user with its uid and to root.
 */
bool rules_is_owner(const struct caller *caller, const struct alloc *alloc);
/*
 * Checks that @uid is not above a limit. -EDQUOT: it has more than a limit of the arenas together,
 * or of its share of this one, allows (the limit was lowered). Such a user keeps what it has and
 * gets nothing new.
 */
int rules_not_above(const struct arena *arena, uint32_t uid, struct why *why);
/*
 * May @caller open @alloc, or pin it? -ENOENT: it is another session's reservation; -EACCES: its
 * mode.
 */
int rules_may_open(const struct caller *caller, const struct alloc *alloc, bool read_only,
		   struct why *why);
/* -EBUSY: @alloc is being copied to another arena, see transfer.c. */
int rules_still(const struct alloc *alloc, struct why *why);
/* Checks that @caller owns @alloc; else -EACCES. @what is the verb for the sentence, as "free". */
int rules_owner(const struct caller *caller, const struct alloc *alloc, const char *what,
		struct why *why);
/*
 * Checks whether an allocation can get @name. -EINVAL: it has a zero byte; -EEXIST: a published
 * allocation has it; -EBUSY: a reservation has it. An empty name is fine.
 */
int rules_name(const struct arena *arena, const char *name, uint8_t name_len, struct why *why);
/* Checks the length of attributes; -EINVAL: @len bytes are too many. */
int rules_attributes(uint16_t len, struct why *why);
/*
 * Rounds @len (bytes) up: to base pages (4 KiB) below a compound page (the arena's page size), else
 * to compound pages; *nr_pfns is in base pages. -EINVAL: 0, or more than the arena.
 */
int rules_round_len(uint64_t *nr_pfns, const struct arena *arena, uint64_t len, struct why *why);
/*
 * Checks that @alloc can be @what (a participle, as "resized"). -EINVAL: it is a reservation of
 * which parts were carved off (became allocations of their own), and what is left is nothing, or
 * base pages in more than one piece.
 */
int rules_uncarved(const struct alloc *alloc, const char *what, struct why *why);

#endif
