/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abroad: the table of those hosts, in the superblock, on which processes may have the arena
 * mapped; and what free space must be withheld for them.
 */
#ifndef PMEMARENA_ABROAD_H
#define PMEMARENA_ABROAD_H

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/moves.h"

/* Is @entry in use, and of another host than @host? */
bool abroad_is_other(const struct superblock_host *entry, const struct host *host);
/* Was another host than @host the last to open the arena, and did not close it? */
bool abroad_is_left_open(const struct superblock *sb, const struct host *host);
/*
 * Takes the entries of this host off the table, in memory: its own kernel is asked (belong.c), or
 * it was booted since. With @force it enters a host that did not close the arena. -EHOSTDOWN:
 * another host did not close it, and there is no @force; -EUSERS: the table is full. With sentences
 * that say what to do.
 */
int abroad_arrive(struct arena *arena, bool force, struct why *why);
/*
 * The owner of an arena that hosts share did not close it, and it is taken by force: enters that
 * host. -EUSERS: the table is full.
 */
int abroad_enter_owner(struct arena *arena, struct why *why);
/*
 * Tells @arena's space what it must withhold. To be called before recovery, which gives free space
 * to the scrubber.
 */
void abroad_withhold(struct arena *arena);
/*
 * Enters this host into the table if any process still has a descriptor or a mapping, or if that
 * cannot be told. To be called before the superblock says that the arena was closed: a cut in
 * between would lose the entry. -EUSERS: the table is full.
 */
int abroad_leave(struct arena *arena);
/*
 * Nobody on this host has @extent of @alloc any more: gives it to the scrubber, or withholds it if
 * another host may have it mapped. Errors of space_release().
 */
int abroad_release(struct arena *arena, const struct alloc *alloc, struct extent extent);
/*
 * Sets or clears the superblock's feature bit for whether the table has an entry: an older program,
 * which does not know the table, must refuse the arena as long as it has one.
 */
void abroad_set_feature(struct superblock *sb);
void abroad_list(struct moves_hosts *out, const struct superblock_host *host);

#endif
