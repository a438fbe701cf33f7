/* SPDX-License-Identifier: BSD-3-Clause */
/* door: gets descriptors and the plane of an arena from the daemon. site.h has their structs. */
#ifndef PMEMARENA_DOOR_H
#define PMEMARENA_DOOR_H

#include "lib/session/site.h"

/*
 * Gets a door to the device, from the daemon if there is none yet. The caller returns it with
 * door_close(). -ENOENT no such arena, -EACCES, -EIO, or the errors of a call; with a message.
 * Takes the lock.
 */
int door_open(struct door **out, struct pma *pma, uint32_t arena, bool read_only);
void door_close(struct pma *pma, struct door *door);

/*
 * Gets the plane, from the daemon if need be; borrowed, valid until the end. NULL: it cannot be
 * had.
 */
const struct plane *door_plane(struct pma *pma, uint32_t arena);

#endif
