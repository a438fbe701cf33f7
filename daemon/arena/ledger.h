/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: what one arena must not forget while the machine runs, though the daemon dies: sessions, what each has open, what
 * each changed and was not told of yet, and space that is reserved or quarantined. A mapped file <dir>/<uuid>.ledger; a ledger of an earlier boot is emptied.
 *
 * Each item appears by one 8-byte store and disappears by one, so a SIGKILL at any instruction leaves it whole or absent.
 * Writing is memory speed; a system call is made only to grow. An item is named by its entry, a number > 0 that it
 * keeps as long as it exists, across openings too. Not for threads.
 *
 * What the ledger and the table both hold is for the caller to settle: the ledger does not know the table.
 */
#ifndef PMEMARENA_LEDGER_H
#define PMEMARENA_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/extent.h"
#include "lib/why.h"

#define LEDGER_MAX_NAME    255
#define LEDGER_MAX_EXTENTS 4096

enum ledger_kind { LEDGER_HOLDER = 1, LEDGER_HOLD, LEDGER_RANGE, LEDGER_DEED };

enum ledger_state { LEDGER_RESERVED = 1, LEDGER_FREEING };

/* A session takes part in the arena. */
struct ledger_holder {
	uint64_t session;
	uint32_t uid;
};

/* It has an allocation open. */
struct ledger_hold {
	uint64_t session;
	uint64_t id;                    /* of the allocation */
	uint32_t slot;
	bool     read_only;
	bool     closed;                /* may change: ledger_set_closed() */
};

/* Space of an allocation that the table does not have (yet, or any more). */
struct ledger_range {
	uint64_t id;
	uint64_t session;               /* who reserved it; 0: nobody in particular */
	uint64_t created_ns;
	uint32_t slot;
	uint32_t uid, gid, mode;
	enum ledger_state state;        /* may change: ledger_set_state() */
	bool     is_run;
	bool     is_lease;
	uint8_t  flags;                 /* the caller's */
};

/* What tells, of what is there after a start, whether it was done. */
enum ledger_proof {
	PROOF_EXISTS = 1,               /* the allocation is there */
	PROOF_PUBLISHED,                /* it is no longer reserved */
	PROOF_VERSION,                  /* it has this version, or a later one */
	PROOF_GONE,                     /* it is not there */
};

/* A session began to change an allocation. */
struct ledger_deed {
	uint64_t session;
	uint64_t key;                   /* what the session calls it; never used twice */
	uint64_t id;                    /* of the allocation */
	uint32_t slot;
	uint32_t version;               /* that it will have: PROOF_VERSION */
	enum ledger_proof proof;
};

struct ledger;

/*
 * Open or create, mode 0600. @uuid is the arena's. -EUCLEAN: the file is no ledger of this arena; -EPROTONOSUPPORT: another version's, of
 * this boot (both are left alone: what it says about mapped space is needed), unless it is an older one that this daemon knows: that one is
 * taken over; -ENOSPC, -ENOMEM, errors of open().
 */
int ledger_open(struct ledger **out, const char *dir, const uint8_t uuid[16], struct why *why);
void ledger_close(struct ledger *ledger);       /* the file stays; NULL is fine */

/* One item after another, from *cursor 0 on. What ledger_next() gave may be removed before it is called again. */
struct ledger_item {
	enum ledger_kind kind;
	uint32_t entry;
	struct ledger_holder holder;    /* by kind, the others are zero */
	struct ledger_hold   hold;
	struct ledger_range  range;
	struct ledger_deed   deed;
	const struct extent *extents;   /* of the range, in its order; valid until the next call */
	uint32_t nr_extents;
	const char *name;               /* of the range; not terminated; valid until the next call */
	uint8_t  name_len;
};
bool ledger_next(struct ledger_item *item, struct ledger *ledger, uint32_t *cursor);

/* Afterwards, additions of @nr entries in all cannot fail. -ENOSPC, -ENOMEM: nothing changed. */
int ledger_reserve(struct ledger *ledger, uint32_t nr);
/* How many entries a range takes; all others take one. */
uint32_t ledger_range_entries(uint32_t nr_extents, uint8_t name_len);

/* Each writes *entry. -ENOSPC, -ENOMEM when growing failed (nothing changed). */
int ledger_add_holder(uint32_t *entry, struct ledger *ledger, const struct ledger_holder *holder);
int ledger_add_hold(uint32_t *entry, struct ledger *ledger, const struct ledger_hold *hold);
int ledger_add_deed(uint32_t *entry, struct ledger *ledger, const struct ledger_deed *deed);
int ledger_add_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range, const struct extent *extents,
		     uint32_t nr_extents, const char *name, uint8_t name_len);
/* The range in *entry becomes this one, which gets an entry of its own (other extents, another name): at any instant one of the two. */
int ledger_replace_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range, const struct extent *extents,
			 uint32_t nr_extents, const char *name, uint8_t name_len);

void ledger_set_state(struct ledger *ledger, uint32_t entry, enum ledger_state state);  /* of a range */
void ledger_set_closed(struct ledger *ledger, uint32_t entry, bool closed);             /* of a hold */
void ledger_remove(struct ledger *ledger, uint32_t entry);      /* the whole item; 0 is fine */

/* The deed in @entry. */
struct ledger_deed ledger_deed(const struct ledger *ledger, uint32_t entry);

/* Entries in use. */
uint32_t ledger_used(const struct ledger *ledger);
/* Items that were not whole when it was opened, and are gone: none, unless somebody else wrote to the file. */
uint32_t ledger_dropped(const struct ledger *ledger);

#endif
