/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_holder: who takes part in an arena. A session does so as a holder; a caller is who asks for
 * a change; a deed is a change whose answer the session may not have got.
 */
#ifndef PMEMARENA_ARENA_HOLDER_H
#define PMEMARENA_ARENA_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"

/*
 * Lets the session @session of user @uid take part in this arena. The number is < 2^60 and is not
 * used for another session on this host until it reboots. A session that is resumed gets the holder
 * that it had, with its reservations and opens. -ENOMEM.
 */
int arena_join(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid);
/*
 * The session is over: its reservations are given up and what it has open is closed. Space that
 * somebody may still have mapped through its descriptor is kept until the kernel says that nobody
 * has.
 */
void arena_leave(struct holder *holder);
/*
 * As arena_leave(), for a session that goes on in other arenas and may take part here again: it
 * then finds nothing open. What it had open counts as closed, and is kept until nobody can have it
 * mapped.
 */
void arena_expel(struct holder *holder);
/* Returns the holder of @session; NULL: the session takes no part in this arena. */
struct holder *arena_find_holder(const struct arena *arena, uint64_t session);
/*
 * Has the session left, while arena_step() has not given up all of its reservations yet? If it took
 * part again now, it would find the rest of them: the caller waits.
 */
bool arena_holder_is_leaving(const struct holder *holder);
/* Does the session have a reservation, or anything open for writing? */
bool arena_holder_writes(const struct holder *holder);
/*
 * Ends, as arena_leave() does, all sessions of the daemon before that nobody resumed. Call it once,
 * at the end of the grace time.
 */
void arena_drop_orphans(struct arena *arena);
/*
 * Does one slice of the work that arena_leave(), arena_expel() or arena_drop_orphans() began: a
 * session may have held a hundred thousand allocations, and other sessions must not wait for all of
 * them. Returns true if there is more.
 */
bool arena_step(struct arena *arena);
bool arena_is_ending(const struct arena *arena);        /* Would arena_step() find work? */
/*
 * Opens the device once more for the session to keep, and puts the session's mark on the new
 * description: a lock that lasts as long as somebody has the descriptor or a mapping made through
 * it. The caller owns *fd. -EMFILE: the session has had some of this mode already, and they are
 * still open or mapped somewhere.
 */
int arena_attach(int *fd, struct holder *holder, bool read_only);

/* Who asks for a change. */
struct caller {
	uint32_t uid, gid;
	const gid_t *groups;            /* borrowed */
	int nr_groups;
	/* of this arena; NULL: an administrator, who has no session */
	struct holder *holder;
	/*
	 * The number under which the session may ask later whether this change was done; it uses a
	 * number once. 0: it will not ask, and nothing is written into the ledger for it.
	 */
	uint64_t deed;
	/* the session calls arena_lend() before it lends an allocation */
	bool lends;
};

/* ---- deeds: changes whose answer a session may not have got ---- */

struct arena_deed {
	uint64_t id;
	uint32_t slot;
	struct alloc *alloc;            /* what was changed, as it is now; NULL: it is gone */
};

/*
 * Was the change with the number caller->deed carried out? Then *out says on what, and the request,
 * which is a repetition, must not be carried out again.
 */
bool arena_find_deed(struct arena_deed *out, const struct arena *arena,
		     const struct caller *caller);
/* The session has the answers to the deeds @key to @key + @nr - 1: the ledger forgets them. */
void arena_forget_deeds(struct holder *holder, uint64_t key, uint64_t nr);
/*
 * The session has all its answers, except those of an earlier connection, for which it may still
 * ask: the ledger forgets the deeds of all others.
 */
void arena_forget_told_deeds(struct holder *holder);
/*
 * The connection of the session was lost: it may ask for any deed that the ledger has now, until
 * arena_forget_deeds() names it.
 */
void arena_await_deeds(struct holder *holder);

/* ---- who the holders are, for people ---- */

/* What is known of the session behind a hold. */
enum arena_holder_state {
	ARENA_HOLDER_CONNECTED,         /* the session goes on */
	/* the daemon was restarted, and the session has not come back yet */
	ARENA_HOLDER_AWAITED,
	/* the session is over, and what it held is being given up */
	ARENA_HOLDER_ENDING,
	/* it is over, and somebody has its descriptor or a mapping made through it */
	ARENA_HOLDER_MARK,
};
struct arena_holder {
	enum arena_holder_state state;
	uint64_t session;
	uint32_t uid;
	/* of the process that connected last; 0: not known */
	int      pid;
	char     command[COMMAND_SIZE];       /* the name of that process then; "": not known */
	/* when the session took part in the arena first (CLOCK_REALTIME); 0: not known */
	uint64_t since_ns;
};
void arena_describe_holder(struct arena_holder *out, const struct holder *holder);
/*
 * Notes who connected, as the kernel says, for arena_describe_holder(): in the ledger too, so that
 * the next daemon knows it.
 */
void arena_introduce(struct holder *holder, int pid, const char *command);
/* Calls @each for each session that is over while something of it may still be mapped. */
struct arena_ended {
	uint64_t session, holds;
	/* the byte of its mark; the next byte is the mark of its read-only descriptors */
	uint64_t mark;
	uint32_t uid;
};
void arena_each_ended(const struct arena *arena,
		      void (*each)(void *arg, const struct arena_ended *ended), void *arg);

/*
 * Calls @each for each session that has, or may have, a descriptor of the device or a mapping
 * through it. @descriptors: how many it was given since it was seen without any; 0 where a daemon
 * before gave them.
 */
void arena_each_marked(const struct arena *arena,
		       void (*each)(void *arg, uint32_t uid, unsigned descriptors), void *arg);

#endif
