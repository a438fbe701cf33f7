/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane: which allocation's id lives in which slot: one 64-bit little-endian number a slot, 0 for
 * none. It is a file <dir>/<uuid>.plane that clients map read-only, so that a client checks a
 * handle (slot and id) without a message, also while the daemon is away. Its mode is 0600: with the
 * descriptor that it was given, a client could otherwise reopen the file for writing.
 *
 * The block behind the ids has the number of the arena's last change, by which a plane that does
 * not belong to the arena's other files is recognised.
 *
 * The file is sparse. A client that reads a slot that was never prepared reads 0.
 */
#ifndef PMEMARENA_PLANE_H
#define PMEMARENA_PLANE_H

#include <stdint.h>

#include "lib/wire/why.h"

struct plane;

/*
 * Opens the plane of the arena @uuid in @dir, or creates it, with room for slots 0 to @nr_slots -
 * 1. What an earlier daemon wrote stays, so that handles stay valid over a restart; the caller then
 * sets every slot to what the table says. On success the caller owns *out. -EINVAL: more slots than
 * 32 bits count; -ENOMEM; errors of open(), ftruncate() and mmap(). On failure *why says what could
 * not be done.
 */
int plane_open(struct plane **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots,
	       struct why *why);
void plane_close(struct plane *plane);          /* frees it; the file stays; NULL is fine */

/*
 * The number of the arena's last change that was written into the plane in this boot. 0: it is new,
 * of an earlier boot, or of a version that did not write the number.
 */
uint64_t plane_stamp(const struct plane *plane);
void plane_set_stamp(struct plane *plane, uint64_t changes);

/* Returns the read-only descriptor for clients, which the plane keeps and closes. */
int plane_fd(const struct plane *plane);
uint64_t plane_bytes(const struct plane *plane);        /* how many bytes of it clients map */

/*
 * Gives the block of @slot memory, so that plane_set() of it cannot meet a full file system. It is
 * cheap when the block has it. -ENOSPC: no memory; nothing changed.
 */
int plane_prepare(struct plane *plane, uint32_t slot);
/*
 * Stores @id; clients see it at once. For an @id other than 0 the caller prepares the slot first:
 * an assertion holds that.
 */
void plane_set(struct plane *plane, uint32_t slot, uint64_t id);
uint64_t plane_get(const struct plane *plane, uint32_t slot);

#endif
