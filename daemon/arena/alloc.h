/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alloc: one allocation: an object that a record of the table describes, that a name and a handle
 * lead to, and that sessions have open. Its states:
 *
 *            publish                 free
 * RESERVED ------------> PUBLISHED ----------> FREEING ---> gone, its space is scrubbed
 *     | |  carve: a part      ^                   ^  stays until nobody holds or maps it
 *     | +---------------------+                   |
 *     +--------- abort, session over -------------+
 */
#ifndef PMEMARENA_ALLOC_H
#define PMEMARENA_ALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/books/ledger.h"
#include "daemon/books/table.h"
#include "daemon/memmap/memmap.h"
#include "daemon/space/extent.h"

#define ALLOC_MAX_NAME    255
#define ALLOC_MAX_EXTENTS 4096
#define ALLOC_MODE_MASK   0666u     /* the bits of a mode that mean something */
#define ALLOC_MAX_ATTRIBUTES TABLE_MAX_ATTRIBUTES

enum alloc_state { ALLOC_RESERVED, ALLOC_PUBLISHED, ALLOC_FREEING };

struct clock;
struct holder;

/* A hold: one session has one allocation open, or closed it and may still have it mapped. */
struct hold {
	TAILQ_ENTRY(hold) by_alloc;     /* on alloc.holds */
	TAILQ_ENTRY(hold) by_holder;    /* on holder.holds */
	struct alloc  *alloc;           /* borrowed; outlives its holds */
	struct holder *holder;          /* borrowed; outlives its holds */
	bool read_only;
	/*
	 * The holder's user is charged for the freed allocation, and this hold carries the charge.
	 * Of all holds of one user on one allocation at most one does.
	 */
	bool is_charged;
	/* the session said that it is done; it may still have it mapped */
	bool closed;
	/*
	 * Processes whose mappings the session does not know may have the allocation mapped. When
	 * the session says that it unmapped it, the space is not free yet.
	 */
	bool lent;
	uint32_t entry;                 /* its item in the ledger */
};
TAILQ_HEAD(hold_list, hold);

struct alloc {
	uint64_t id;                    /* never used for a second allocation */
	uint32_t slot;                  /* its place in arena.objects and in the validity plane */
	enum alloc_state state;
	uint32_t uid, gid, mode;
	uint64_t nr_pfns;               /* its size in base pages, all extents together */
	uint32_t version;
	uint64_t created_ns;
	/*
	 * the number under which its owner created the allocation; 0: none. Nobody else is told it
	 */
	uint64_t token;
	/* owned; in base pages of the data area, in the order in which clients see them */
	struct extent *extents;
	/* used in place of an array on the heap if there is one extent, as nearly always */
	struct extent one_extent;
	uint32_t nr_extents;
	/* it is one run of base pages inside a split compound page */
	bool     is_run;
	bool     is_lease;              /* it was taken ahead, and counts as leased bytes */
	/*
	 * reserved: what its user has not written since is what the same user left there earlier
	 */
	bool     has_contents;
	/* on arena.carved: parts were carved off since the last settle */
	bool     is_carved;
	/*
	 * FREEING only: arena.hides at the moment when the allocation left the catalog, or its last
	 * holder closed it. Only a reading of the pins that began later can prove that nobody has
	 * the allocation pinned.
	 */
	uint64_t hidden;
	/*
	 * the last reading of all pins (a number as in arena.pin_scan) that found the allocation
	 * pinned
	 */
	uint64_t pin_scan;
	/* the lowest version that the reading @pin_scan found pinned */
	uint32_t pin_version;
	/* the user of one window that had it pinned in that reading */
	uint32_t pin_uid;
	/*
	 * of a part that was cut off (cut_from): its pins name this slot, in versions up to this
	 * limit
	 */
	uint32_t pin_slot, pin_limit;
	/* if is_pin_charged: the user who is charged for the pins */
	uint32_t pin_payer;
	bool     is_pin_charged;
	/* it is being copied to another arena: nobody opens, pins or changes it, see transfer.c */
	bool     is_moving;
	/* on arena.uncataloged: the settle enters the allocation in the catalog */
	bool     is_uncataloged;
	bool     is_poisoned;
	/*
	 * Recovery took its name away, in memory only; a repair writes the record anew. Until then
	 * the record on media stays as it was found.
	 */
	bool     wants_record;
	/* its record says that it may be freed to make room for others, see evict.c */
	bool     is_evictable;
	/* evictable: somebody asked for it by message since the hand passed, see evictable.c */
	bool     is_used;
	/* its record says that it took its name from another allocation, see replace.c */
	bool     is_successor;
	/* owned; NULL: none. It stays until the settle that retires the record */
	char    *name;
	uint8_t  name_len;
	uint16_t attributes_len;
	void    *attributes;            /* owned; its owner's own bytes; NULL: none */
	RB_ENTRY(alloc) by_name;        /* in arena.names, while it has a name */
	/*
	 * on arena.freeing, arena.retiring, or, reserved and carved, arena.carved; or, while
	 * `clock` is not NULL, on that
	 */
	TAILQ_ENTRY(alloc) link;
	/* borrowed; published and evictable: the clock that it is on; NULL: none */
	struct clock *clock;
	struct hold_list holds;
	uint32_t *records;              /* owned; the table slots of its current record */
	/*
	 * what `records` leads to as long as the allocation never had more than one slot, as most
	 * have: it needs no array on the heap then
	 */
	uint32_t one_record;
	uint16_t nr_records, room_records;
	/* its item in the ledger, while it is reserved or freeing; 0: none */
	uint32_t entry;
	uint64_t session;               /* the session that reserved it, while it is reserved */
	/* it was cut off the allocation with this id by a shrink; 0: it was not */
	uint64_t cut_from;
	/* the transaction (arena.txn) in which its record was changed last */
	uint64_t staged;
};

/*
 * May @uid, who is in @groups (the primary one among them), use @alloc as @want asks (4: read, 2:
 * write)? The rules are those of files; uid 0 may always.
 */
bool alloc_allows(const struct alloc *alloc, uint32_t uid, const uint32_t *groups, int nr_groups,
		  uint32_t want);

static inline uint64_t alloc_bytes(const struct alloc *alloc)
{
	return alloc->nr_pfns << DESC_SHIFT;
}

/*
 * Makes an allocation with room for @nr_extents, all fields zero. -ENOMEM. The caller owns *out and
 * frees it with alloc_free(), which takes NULL and half-built ones too.
 */
int alloc_new(struct alloc **out, uint32_t nr_extents);
void alloc_free(struct alloc *alloc);

/* Makes room for the numbers of @nr table slots; those that are there stay. -ENOMEM. */
int alloc_make_room(struct alloc *alloc, uint32_t nr);
/* Copies the @nr slot numbers at @numbers into @alloc. There must be room for them. */
void alloc_set_records(struct alloc *alloc, const uint32_t *numbers, uint32_t nr);
/* Frees @old, an extent array that @alloc had and has replaced by another one. */
void alloc_drop_extents(struct alloc *alloc, struct extent *old);

/* ---- as an allocation is written down ---- */

/*
 * A flag of ledger_range.flags: the range was cut off an allocation by a shrink. Then
 * ledger_range.session holds the id of that allocation, and not a session; and created_ns holds its
 * slot (the upper half) and the last version that had the range.
 */
enum {
	RANGE_CUT = 1,
	/* alloc.has_contents; a version that does not know it loses that alone */
	RANGE_CONTENTS = 2,
};

/*
 * Fills *record from @alloc. It borrows name, extents and attributes: use it while @alloc is
 * unchanged.
 */
void alloc_record(struct record *record, const struct alloc *alloc);
struct ledger_range alloc_ledger_range(const struct alloc *alloc, enum ledger_state state);
/* Copies @name; an empty one leaves @alloc without a name. What it had is not freed. -ENOMEM. */
int alloc_copy_name(struct alloc *alloc, const char *name, uint8_t name_len);
void alloc_drop_name(struct alloc *alloc);
/* As alloc_copy_name(): copies @len bytes of attributes; 0: @alloc has none. -ENOMEM. */
int alloc_copy_attributes(struct alloc *alloc, const void *attributes, uint16_t len);

#endif
