/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room: says in words why an arena has no room for a request, and asks clients for leases back.
 * A lease is space that a client has taken ahead, to carve allocations from without asking.
 */
#ifndef PMEMARENA_ROOM_H
#define PMEMARENA_ROOM_H

#include "daemon/arena/arena_internal.h"

/*
 * Returns how many bytes are leased, reserved and quarantined; they are counted anew when the count
 * is older than 0.1 s.
 */
const struct room *room_look(struct arena *arena);
/* Turns @r, a failure of space_claim(), into a sentence in *why; returns @r. */
int room_explain(struct arena *arena, int r, uint64_t nr_pfns, bool contiguous, struct why *why);
/*
 * There is no room for @nr_pfns base pages. -EINPROGRESS: clients have leases and were asked to
 * give them back; ask again for a while. -ENOSPC: there are no leases.
 */
int room_recall_leases(struct arena *arena, uint64_t nr_pfns, struct why *why);
/*
 * Says why the table or the ledger has no place for a record or an entry, if @r is such a failure
 * and *why has no sentence yet; returns @r.
 */
int room_explain_books(const struct arena *arena, int r, struct why *why);

#endif
