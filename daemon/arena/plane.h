/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane: which id lives in which slot, one 64-bit little-endian number a slot (0: none), in a file <dir>/<uuid>.plane that
 * clients map read-only: a handle is checked without a round trip, also while the daemon is away. Mode 0600, so that nobody can
 * reopen what he was given for writing.
 *
 * The file is sparse; what a client reads in a part that was never prepared is 0.
 */
#ifndef PMEMARENA_PLANE_H
#define PMEMARENA_PLANE_H

#include <stdint.h>

#include "lib/why.h"

struct plane;

/*
 * Open or create, with room for slots 0 .. nr_slots - 1. What an earlier daemon wrote stays, so that handles stay valid over a
 * restart: the caller sets every slot to what the table says. -ENOMEM, errors of open() and ftruncate().
 */
int plane_open(struct plane **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots, struct why *why);
void plane_close(struct plane *plane);          /* the file stays; NULL is fine */

/* O_RDONLY, for clients; borrowed. */
int plane_fd(const struct plane *plane);
uint64_t plane_bytes(const struct plane *plane);        /* to map */

/* Afterwards plane_set() of this slot cannot fail for want of space. Cheap when it is prepared already. -ENOSPC. */
int plane_prepare(struct plane *plane, uint32_t slot);
/* Seen by clients at once. An @id other than 0 needs a prepared slot. */
void plane_set(struct plane *plane, uint32_t slot, uint64_t id);
uint64_t plane_get(const struct plane *plane, uint32_t slot);

#endif
