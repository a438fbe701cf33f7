/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc: one allocation and its states. The object that the table's records describe, that names lead to, and that
 * sessions hold open.
 *
 *	            publish                 free
 *	RESERVED ------------> PUBLISHED ----------> FREEING ---> (gone: its extents are dirty free space)
 *	    | |  carve: a part      ^                   ^  nobody holds or maps it any more
 *	    | +---------------------+                   |
 *	    +--------- abort, session gone -------------+
 */
#ifndef PMEMARENA_ALLOC_H
#define PMEMARENA_ALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/arena/extent.h"

#define ALLOC_MAX_NAME    255
#define ALLOC_MAX_EXTENTS 4096
#define ALLOC_MODE_MASK   0666u     /* bits that mean something */

enum alloc_state { ALLOC_RESERVED, ALLOC_PUBLISHED, ALLOC_FREEING };

struct holder;

/* One session has one allocation open. */
struct hold {
	TAILQ_ENTRY(hold) by_alloc;     /* alloc.holds */
	TAILQ_ENTRY(hold) by_holder;    /* holder.holds */
	struct alloc  *alloc;           /* borrowed; outlives its holds */
	struct holder *holder;          /* borrowed; outlives its holds */
	bool read_only;
	bool closed;                    /* the session said it is done, but may still have it mapped */
	uint32_t entry;                 /* in the ledger */
};
TAILQ_HEAD(hold_list, hold);

struct alloc {
	uint64_t id;                    /* never used twice */
	uint32_t slot;                  /* in the arena's object array and the validity plane */
	enum alloc_state state;
	uint32_t uid, gid, mode;
	uint64_t nr_pfns;               /* base pages, all extents */
	uint32_t version;
	uint64_t created_ns;
	uint64_t token;                 /* its owner's, under which it was created; 0: none */
	struct extent *extents;         /* owned; in pfns of the data area, in the order of the allocation */
	struct extent one_extent;       /* where they are when there is one: nearly always */
	uint32_t nr_extents;
	bool     is_run;                /* one run of base pages inside a split compound page */
	bool     is_lease;              /* taken ahead: counts as leased */
	bool     is_carved;             /* on arena.carved: parts of it went in this transaction */
	bool     is_poisoned;
	bool     wants_record;          /* recovered with a change that only repair may make durable */
	char    *name;                  /* owned; NULL: none. Stays until the retirement is durable */
	uint8_t  name_len;
	RB_ENTRY(alloc) by_name;        /* arena.names, while it has a name */
	TAILQ_ENTRY(alloc) link;        /* arena.freeing, in that state; reserved and is_carved: arena.carved */
	struct hold_list holds;
	uint32_t *records;              /* owned; table slots of its current record, nr_records of them */
	uint32_t one_record;            /* where they are when there never was more than one */
	uint16_t nr_records, room_records;
	uint32_t entry;                 /* reserved or freeing: in the ledger; 0 none */
	uint64_t session;               /* who reserved it, in that state */
	uint64_t cut_from;              /* freeing: the id of what was shrunk; 0: nothing */
	uint64_t staged;                /* the table transaction that its last change is part of */
};

/* As files have: does @uid (in @groups, his primary one among them) have @want (4 read, 2 write)? uid 0 always has. */
bool alloc_allows(const struct alloc *alloc, uint32_t uid, const uint32_t *groups, int nr_groups, uint32_t want);

int alloc_new(struct alloc **out, uint32_t nr_extents);
void alloc_free(struct alloc *alloc);           /* NULL and half-built are fine */

/* Room for @nr table slots; those that are there stay. -ENOMEM. */
int alloc_make_room(struct alloc *alloc, uint32_t nr);
/* They become a copy of @numbers, for which there is room. */
void alloc_set_records(struct alloc *alloc, const uint32_t *numbers, uint32_t nr);
/* An extent array that was @alloc's and has been replaced. */
void alloc_drop_extents(struct alloc *alloc, struct extent *old);

#endif
