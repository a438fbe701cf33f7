/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places: which arena has which number, in a mapped file of the runtime directory. Handles of
 * clients name an arena by its number alone, so a number that an arena had (known by its UUID) is
 * never given to another one while the machine runs: neither when arenas come and go, nor when the
 * daemon that comes next has them in another order. An arena whose UUID is not known yet, since its
 * device was never there, goes by its name.
 */
#ifndef PMEMARENA_PLACES_H
#define PMEMARENA_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"

#define PLACES_MAX      128     /* as many as fit into one WELCOME */
#define PLACES_NONE     UINT32_MAX
#define PLACES_NAME_MAX 64      /* with the NUL */

struct places;

/*
 * Opens or creates <dir>/arenas, mode 0600. Call it after roster_open(), whose lock keeps other
 * daemons out. With @is_unknown, when no session is left that could have a handle, numbers are
 * given out anew, except those of arenas that are drained. A file of an earlier boot, or one that
 * is not understood, is begun anew. Errors of runfile_open_named() and mmap(); -ENOSPC.
 */
int places_open(struct places **out, const char *dir, bool is_unknown, struct why *why);
void places_close(struct places *places);       /* The file stays. NULL is fine. */

/* One more than the highest number that was given out. */
uint32_t places_nr(const struct places *places);
/* Finds the number of an arena; PLACES_NONE: it has none. */
uint32_t places_find_uuid(const struct places *places, const uint8_t uuid[16]);
uint32_t places_find_name(const struct places *places, const char *name);
/* Does the arena with this number have a UUID, or the place no arena at all? */
bool places_has_uuid(const struct places *places, uint32_t place);
const char *places_name(const struct places *places, uint32_t place);

/* Gives an arena without a known UUID a number. -ENOSPC with a sentence: all were given out. */
int places_take(uint32_t *place, struct places *places, const char *name, struct why *why);
/* Is @uuid that of the arena with this number? */
bool places_is_of(const struct places *places, uint32_t place, const uint8_t uuid[16]);
/* Notes the UUID of the arena that has @place from now on. */
void places_set_uuid(struct places *places, uint32_t place, const uint8_t uuid[16]);
/* The arena is called @name from now on. */
void places_rename(struct places *places, uint32_t place, const char *name);
/* The arena goes without ever having been on line: nobody has a handle, the number can be taken. */
void places_give_up(struct places *places, uint32_t place);

/* Is the arena drained? It stays so over a restart of the daemon. */
bool places_is_drained(const struct places *places, uint32_t place);
void places_set_drained(struct places *places, uint32_t place, bool is_drained);

#endif
