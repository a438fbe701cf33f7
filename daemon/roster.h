/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster: who has a session, in a mapped file of the runtime directory, so that sessions outlive the daemon: a client that
 * comes back with its number and its secret takes up where it was. A seat appears and disappears by one 8-byte
 * store: a SIGKILL at any instruction leaves it whole or absent. The file is also the lock that keeps a second daemon out of the
 * runtime directory. What a session holds is the arenas' business (their ledgers).
 */
#ifndef PMEMARENA_ROSTER_H
#define PMEMARENA_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/why.h"

#define ROSTER_TOKEN 16

/* One session, in the file. 64 bytes. */
struct seat {
	uint64_t number;                /* of the session; 0: the seat is free. Never used twice until the machine reboots */
	uint64_t last_tag;              /* highest request that may have had an effect: stored before it is carried out */
	uint8_t  token[ROSTER_TOKEN];
	uint32_t uid;
	uint32_t features;              /* of the session; 0 where an older daemon made the seat */
	uint64_t read_tag;              /* of the last request that was received, whatever became of it */
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct seat) == 64, "a seat is one cache line");

struct roster;

/*
 * Open or create <dir>/sessions, mode 0600, with room for at least @nr_seats. -EBUSY another daemon has it; errors of open(), mmap().
 * A file of an earlier boot, or one that is not understood, is begun anew: its sessions cannot be resumed.
 */
int roster_open(struct roster **out, const char *dir, uint32_t nr_seats, struct why *why);
void roster_close(struct roster *roster);       /* the file and its seats stay; NULL is fine */

/* A number that no session has or will have, for one that need not outlive the daemon. */
uint64_t roster_take_number(struct roster *roster);

/* A new session. -EBUSY all seats are taken, -ENOSPC the runtime directory is full. */
int roster_enter(struct seat **out, struct roster *roster, uint32_t uid);
/* The seat of a session that ended without the daemon, or is still there, if the secret and the user are right; else NULL. */
struct seat *roster_resume(struct roster *roster, uint64_t number, const uint8_t token[ROSTER_TOKEN], uint32_t uid);
/* The same for a connection that outlived the daemon: who has it proves by that who it is. */
struct seat *roster_adopt(struct roster *roster, uint64_t number, uint32_t uid);
void roster_leave(struct roster *roster, struct seat *seat);    /* the session is over for good; NULL is fine */

/* Seats that were there when the roster was opened and that nobody resumed. */
uint32_t roster_orphans(const struct roster *roster);
/* They become free. Returns how many there were. Call once, after arena_drop_orphans() of every arena. */
uint32_t roster_drop_orphans(struct roster *roster);

#endif
