/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abroad: the table of hosts in the superblock, of those on which processes may have space of the
 * arena mapped, and what follows for free space.
 */
#ifndef PMEMARENA_ABROAD_H
#define PMEMARENA_ABROAD_H

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/moves.h"

/* Is there an entry for a host, and which is it? The entry of another host than @host counts. */
bool abroad_is_other(const struct superblock_host *entry, const struct host *host);
/* Was the arena not closed in order, by another host than @host? */
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
/* Tells the space what it must withhold. Call it before recovery. */
void abroad_withhold(struct arena *arena);
/*
 * Before the superblock says that the arena was closed: enters this host if any process has a
 * descriptor or a mapping left, or if that cannot be told. -EUSERS: the table is full.
 */
int abroad_leave(struct arena *arena);
/*
 * Nobody on this host has @extent of @alloc any more: gives it to the scrubber, or withholds it if
 * another host may have it mapped. Errors of space_release().
 */
int abroad_release(struct arena *arena, const struct alloc *alloc, struct extent extent);
/* Makes the feature bit agree with the table. */
void abroad_set_feature(struct superblock *sb);
void abroad_list(struct moves_hosts *out, const struct superblock_host *host);

#endif
