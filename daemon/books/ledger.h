/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: what one arena must not forget when its daemon dies while the machine runs on. It has
 * five kinds of items: the sessions (a *holder* is a session that takes part in the arena), what
 * each session has open (a *hold*), reserved or quarantined space that no record covers (a
 * *range*), changes whose answer a client may not have received (a *deed*), and the mappings of the
 * whole arena that processes have (a *window*). Quarantined space was freed and may still be mapped
 * by somebody.
 *
 * The ledger is a mapped file <dir>/<uuid>.ledger. ledger_open() empties one that an earlier boot
 * wrote: a reboot ended all mappings.
 *
 * One 8-byte store makes an item appear, and one makes it disappear, so a SIGKILL at any
 * instruction leaves it whole or absent. Writing costs a few stores to memory; only growing makes a
 * system call. An item is named by its *entry*, a number > 0 that the item keeps as long as it
 * exists, also when another daemon opens the file. All calls are for one thread.
 *
 * After a kill the ledger and the table (the records on media) may both claim the same space. The
 * caller decides which is right: the ledger does not know the table.
 */
#ifndef PMEMARENA_LEDGER_H
#define PMEMARENA_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/command.h"
#include "daemon/space/extent.h"
#include "lib/wire/why.h"

#define LEDGER_MAX_NAME    255
#define LEDGER_MAX_EXTENTS 4096

enum ledger_kind { LEDGER_HOLDER = 1, LEDGER_HOLD, LEDGER_RANGE, LEDGER_DEED, LEDGER_WINDOW };

enum ledger_state { LEDGER_RESERVED = 1, LEDGER_FREEING };

/* LEDGER_HOLDER: a session takes part in the arena. */
struct ledger_holder {
	uint64_t session;
	uint32_t uid;
	/*
	 * the number of the window through which it maps, 0: none; ledger_set_window() changes this
	 */
	uint64_t window;
};

/*
 * Of a LEDGER_HOLDER: the process that connected, for people to read. All zero: ledger_introduce()
 * was not called, or by a daemon that was killed in the middle of it.
 */
struct ledger_who {
	/* CLOCK_REALTIME, kept in whole seconds; not 0 where the rest counts */
	uint64_t since_ns;
	int32_t  pid;                   /* 0: not known */
	char     command[COMMAND_SIZE];
};

/* LEDGER_HOLD: the session has the allocation @id open. */
struct ledger_hold {
	uint64_t session;
	uint64_t id;                    /* of the allocation */
	uint32_t slot;
	bool     read_only;
	/* the session said that it unmapped it; ledger_set_closed() changes this */
	bool     closed;
	/* others may have it mapped too; ledger_set_lent() changes this */
	bool     lent;
};

/*
 * LEDGER_RANGE: space of an allocation that no record covers: the allocation is reserved and not
 * published yet (LEDGER_RESERVED), or freed and not given back yet (LEDGER_FREEING).
 */
struct ledger_range {
	uint64_t id;
	uint64_t session;               /* the session that reserved it; 0: no session */
	uint64_t created_ns;
	uint32_t slot;
	uint32_t uid, gid, mode;
	enum ledger_state state;        /* ledger_set_state() changes this */
	bool     is_run;
	bool     is_lease;
	/* of the caller; the ledger keeps them and gives them no meaning */
	uint8_t  flags;
};

/*
 * How the next daemon finds out, from what it finds at its start, whether a change was made before
 * the last one died.
 */
enum ledger_proof {
	PROOF_EXISTS = 1,               /* it was made if the allocation exists */
	PROOF_PUBLISHED,                /* it was made if the allocation is published */
	PROOF_VERSION,                  /* it was made if the allocation has at least `version` */
	PROOF_GONE,                     /* it was made if the allocation does not exist */
};

/*
 * LEDGER_DEED: the daemon began a change of the allocation @id that the session asked for. It is
 * written before the change, and removed when the answer is in the socket.
 */
struct ledger_deed {
	uint64_t session;
	/* the session's number for the request; it uses no number twice */
	uint64_t key;
	uint64_t id;                    /* of the allocation */
	uint32_t slot;
	uint32_t version;               /* the version that the change makes; for PROOF_VERSION */
	enum ledger_proof proof;
};

/*
 * LEDGER_WINDOW: a process has the whole arena mapped, and keeps its pins in a file in memory that
 * only it can hand in again after the daemon died. The device and inode numbers tell that file from
 * all others.
 */
struct ledger_window {
	uint64_t number;                /* windows and sessions together never use one twice */
	uint8_t  secret[16];
	uint64_t ino;
	uint32_t dev;
	uint32_t uid;
	uint32_t nr_words;
	bool     read_only;
};

struct ledger;

/*
 * Opens the ledger of the arena @uuid in the directory @dir, or creates it with mode 0600. Items
 * that a killed daemon left half written are finished or removed. On success the caller owns *out.
 * On failure *out is not written, and *why says what was found and what to do.
 *
 * -EUCLEAN: the file is no ledger, or another arena's. -EPROTONOSUPPORT: in this boot, a daemon
 * with an unknown version of the ledger wrote it. Neither is overwritten, since the file may say
 * which space is still mapped. -EBUSY: somebody else has it open, for an arena of the same UUID.
 * -ENOSPC, -ENOMEM, and the errors of open() and mmap().
 *
 * A ledger of an older version that this daemon knows is converted. Versions below 3 did not record
 * which holds were lent; each of theirs counts as lent, since to take a lent one for unlent would
 * give mapped space to somebody else. Versions below 4 know no windows.
 */
int ledger_open(struct ledger **out, const char *dir, const uint8_t uuid[16], struct why *why);
/* Closes the ledger and frees it; the file stays. NULL is fine. */
void ledger_close(struct ledger *ledger);

/*
 * What ledger_next() says of one item. Only the member of the item's kind is filled; the others are
 * zero.
 */
struct ledger_item {
	enum ledger_kind kind;
	uint32_t entry;
	struct ledger_holder holder;    /* filled when `kind` is LEDGER_HOLDER */
	struct ledger_who    who;       /* filled when `kind` is LEDGER_HOLDER */
	struct ledger_hold   hold;
	struct ledger_range  range;
	struct ledger_deed   deed;
	struct ledger_window window;
	/*
	 * LEDGER_RANGE: in the order of the allocation; valid until the next call of ledger_next()
	 */
	const struct extent *extents;
	uint32_t nr_extents;
	/* LEDGER_RANGE: not terminated; valid until the next call of ledger_next() */
	const char *name;
	uint8_t  name_len;
};
/*
 * Writes the next item to *item and moves *cursor behind it; false when there are no more. A walk
 * begins with a *cursor of 0. The item that was returned last may be removed during the walk.
 */
bool ledger_next(struct ledger_item *item, struct ledger *ledger, uint32_t *cursor);

/*
 * Makes sure that the next additions, @nr entries in all, cannot fail. -ENOSPC, -ENOMEM: it has no
 * room for them, and no item changed.
 */
int ledger_reserve(struct ledger *ledger, uint32_t nr);
/* Returns how many entries a range takes. Items of the other kinds take one. */
uint32_t ledger_range_entries(uint32_t nr_extents, uint8_t name_len);

/*
 * Some entries are kept for what must go on when the file system is full: holders, ranges that are
 * freeing or replace another one, and deeds whose proof is that something is gone.
 *
 * Add one item and write its number to *entry. -ENOSPC, -ENOMEM: the file could not grow; no item
 * was added and *entry is not written. A range has 1 to LEDGER_MAX_EXTENTS extents.
 */
int ledger_add_holder(uint32_t *entry, struct ledger *ledger, const struct ledger_holder *holder);
int ledger_add_hold(uint32_t *entry, struct ledger *ledger, const struct ledger_hold *hold);
int ledger_add_deed(uint32_t *entry, struct ledger *ledger, const struct ledger_deed *deed);
int ledger_add_window(uint32_t *entry, struct ledger *ledger, const struct ledger_window *window);
int ledger_add_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range,
		     const struct extent *extents, uint32_t nr_extents, const char *name,
		     uint8_t name_len);
/*
 * Replaces the range in *entry by another one, with other extents or another name, and writes the
 * new one's number to *entry. A kill at any instruction leaves exactly one of the two. Errors as
 * for ledger_add_range(); the old range stays then.
 */
int ledger_replace_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range,
			 const struct extent *extents, uint32_t nr_extents, const char *name,
			 uint8_t name_len);

/*
 * Notes who a holder is, in the place of what was noted before. A kill in the middle leaves a
 * holder of whom nothing is noted.
 */
void ledger_introduce(struct ledger *ledger, uint32_t entry, const struct ledger_who *who);
/* changes a range */
void ledger_set_state(struct ledger *ledger, uint32_t entry, enum ledger_state state);
/* changes a hold */
void ledger_set_closed(struct ledger *ledger, uint32_t entry, bool closed);
/* changes a hold; false only when its program itself said that nobody uses it any more */
void ledger_set_lent(struct ledger *ledger, uint32_t entry, bool lent);
/* changes a holder */
void ledger_set_window(struct ledger *ledger, uint32_t entry, uint64_t window);
/* removes the item; 0: does nothing */
void ledger_remove(struct ledger *ledger, uint32_t entry);

/* Returns the deed in @entry. */
struct ledger_deed ledger_deed(const struct ledger *ledger, uint32_t entry);

/*
 * The arena numbers its changes, to recognise a ledger that does not belong to the rest (restored
 * from elsewhere). *from is the last change that was finished, *to the one that was begun; they are
 * equal at rest. Both are 0 in a new ledger and in one of a version without numbers.
 */
void ledger_stamp(uint64_t *from, uint64_t *to, const struct ledger *ledger);
/*
 * To be called before change @to is written anywhere else: a start then knows that it may have been
 * made.
 */
void ledger_begin(struct ledger *ledger, uint64_t to);
/* To be called when the change that ledger_begin() named is written everywhere else. */
void ledger_end(struct ledger *ledger);
/*
 * Returns the number of changes to items since the ledger was opened. Callers compare two of them.
 */
uint64_t ledger_changes(const struct ledger *ledger);
/*
 * Removes all items. For a ledger that is older than the rest of the arena, when nobody can have
 * anything mapped.
 */
void ledger_clear(struct ledger *ledger);

/* Returns how many entries are in use. */
uint32_t ledger_used(const struct ledger *ledger);
/*
 * Returns how many items ledger_open() removed because they were not whole. It is 0 unless somebody
 * else wrote to the file: what a kill leaves is finished, and not counted.
 */
uint32_t ledger_dropped(const struct ledger *ledger);

#endif
