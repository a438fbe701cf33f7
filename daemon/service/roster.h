/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster: which sessions there are, in a mapped file of the runtime directory. Sessions outlive the
 * daemon by it: a client that comes back with the number and the secret of its session takes it up
 * again. A seat appears and disappears by one 8-byte store, so that a SIGKILL at any instruction
 * leaves it whole or absent. The file is also the lock that keeps a second daemon out of the
 * runtime directory. What a session holds is written in the ledgers of the arenas.
 */
#ifndef PMEMARENA_ROSTER_H
#define PMEMARENA_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"

#define ROSTER_SECRET 16

/* The entry of one session in the file, 64 bytes. */
struct seat {
	/* of the session; 0: the seat is free. Not used again before a reboot */
	uint64_t number;
	/* of the last request that may have had an effect; stored before it is carried out */
	uint64_t last_tag;
	uint8_t  secret[ROSTER_SECRET];
	uint32_t uid;
	/* the features of the session; 0: a daemon that knew of none made the seat */
	uint32_t features;
	/* of the last request that was received, whatever became of it */
	uint64_t read_tag;
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct seat) == 64, "a seat is one cache line");

struct roster;

/*
 * Opens or creates <dir>/sessions, mode 0600, with room for at least @nr_seats. A file of an
 * earlier boot, or one that is not understood, is begun anew; the sessions in it cannot be resumed.
 * -EBUSY: another daemon has it; errors of open() and mmap().
 */
int roster_open(struct roster **out, const char *dir, uint32_t nr_seats, struct why *why);
void roster_close(struct roster *roster);       /* The file and its seats stay. NULL is fine. */

/*
 * Takes a number that no session has or will have, for a session that need not outlive the daemon.
 */
uint64_t roster_take_number(struct roster *roster);

/*
 * Gives a new session of @uid a seat. -EBUSY: all seats are taken; -ENOSPC: the runtime directory
 * is full; -EIO: there are no random numbers for its secret.
 */
int roster_enter(struct seat **out, struct roster *roster, uint32_t uid);
/*
 * Finds the seat of a session that a client wants to resume; NULL: there is none, or the secret or
 * the user is wrong.
 */
struct seat *roster_resume(struct roster *roster, uint64_t number,
			   const uint8_t secret[ROSTER_SECRET], uint32_t uid);
/*
 * As roster_resume(), for a connection that outlived the daemon: who has it proves by that who it
 * is, and needs no secret. -ENOENT: no such session, or the user is wrong; -EBUSY: another
 * connection has it already.
 */
int roster_adopt(struct seat **out, struct roster *roster, uint64_t number, uint32_t uid);
/* The session is over for good: its seat becomes free. NULL is fine. */
void roster_leave(struct roster *roster, struct seat *seat);

/* Returns how many seats of the daemon before nobody has resumed yet. */
uint32_t roster_orphans(const struct roster *roster);
/*
 * Frees the seats that roster_orphans() counts, and returns how many there were. Call it once,
 * after arena_drop_orphans() of every arena: if a seat went first, and the daemon were killed in
 * between, the reservations of its session would be there and nobody would end them.
 */
uint32_t roster_drop_orphans(struct roster *roster);

#endif
