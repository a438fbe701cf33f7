/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger's file, as its two sources know it: ledger.c reads and writes items, ledger_open.c finds out which are whole.
 *
 *	page 0      header: magic, version, boot, arena
 *	entry 64    64 bytes each; their number is their place in the file, counted from its start
 *	   ...
 *
 * An item is its head entry, followed, for a range, by a chain of entries with its extents and its name. A chain is reached
 * from its head only, and the head is written last: one store of its word makes the whole item appear or disappear.
 *
 * Entries that no head reaches are free, whatever is in them. Those below `fresh` are linked into a list, in the file
 * itself; those from there on were never used since the file was opened.
 */
#ifndef PMEMARENA_LEDGER_INTERNAL_H
#define PMEMARENA_LEDGER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/ledger.h"

#define LEDGER_MAGIC    "PMALEDGR"
#define LEDGER_VERSION  2
#define LEDGER_OLDEST   1                       /* has no deeds, all else is the same */
#define LEDGER_CHUNK    (UINT64_C(256) << 10)   /* the file grows by this */
#define LEDGER_MAX_SIZE (UINT64_C(4) << 30)     /* only addresses; memory is taken a chunk at a time */
#define LEDGER_BOOT_ID  36                      /* characters */
#define LEDGER_PIECE    48                      /* bytes of a chain in one entry */

/* magic, version and boot_id stay where they are in every version. */
struct header {
	uint64_t magic;                         /* stored last */
	uint32_t version;
	uint32_t entry_size;
	char     boot_id[40];
	uint8_t  uuid[16];
};

struct range {
	uint64_t id, session, created_ns;
	uint32_t slot, uid, gid, mode;
	uint32_t nr_extents;
	uint8_t  name_len;
	uint8_t  reserved[3];
};

struct entry {
	uint64_t word;                          /* see make_word(); 0: no item begins here */
	uint32_t next;                          /* of the item's chain, or of the free list; 0: none */
	union {
		uint32_t replaces;              /* head of a range: the one that is void since this one is here; 0: none */
		uint32_t head;                  /* chain: whose */
	};
	union {
		struct ledger_holder holder;
		struct { uint64_t session, id; uint32_t slot; } hold;
		struct range range;
		struct { uint64_t session, key, id; uint32_t slot, version; } deed;
		char piece[LEDGER_PIECE];
	};
};
_Static_assert(sizeof(struct entry) == 64, "an entry is one cache line");
_Static_assert(LEDGER_PIECE % sizeof(struct extent) == 0, "no extent is cut");

#define LEDGER_FIRST 64                         /* the header lies before it */

struct ledger {
	int fd;                                 /* owned */
	union {
		struct header *header;          /* owned mapping of LEDGER_MAX_SIZE, backed up to nr_entries */
		struct entry  *entries;         /* the same: [0, LEDGER_FIRST) is the header */
	};
	uint32_t nr_entries;
	uint32_t fresh;
	uint32_t free_head, nr_free;
	uint32_t nr_dropped;
	struct extent extents[LEDGER_MAX_EXTENTS];      /* what ledger_next() lends out */
	char name[LEDGER_MAX_NAME];
};

/* Kinds that only chains have, besides enum ledger_kind. */
enum { KIND_EXTENTS = 16, KIND_NAME };

/* A word: 32 bits of magic, 24 that may change with the item or tell a piece's place, 8 of kind. */
#define WORD_MAGIC UINT64_C(0x504d4c45)

static inline uint64_t make_word(unsigned kind, uint32_t rest)
{
	return WORD_MAGIC << 32 | (uint64_t)(rest & 0xffffff) << 8 | kind;
}

static inline unsigned kind_of(uint64_t word)
{
	return word >> 32 == WORD_MAGIC ? word & 0xff : 0;
}

/*
 * Everything before it in the program is stored before it, everything after it after it. Only the process may die, not the
 * machine: what counts is the order of the instructions, not of the caches, so that the compiler alone needs to be told.
 */
static inline void store_word(struct entry *entry, uint64_t word)
{
	__atomic_store_n(&entry->word, word, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline struct entry *at(const struct ledger *ledger, uint32_t index)
{
	return &ledger->entries[index];
}

static inline bool is_head(const struct entry *entry)
{
	unsigned kind = kind_of(entry->word);

	return kind == LEDGER_HOLDER || kind == LEDGER_HOLD || kind == LEDGER_RANGE || kind == LEDGER_DEED;
}

static inline uint32_t nr_extent_pieces(const struct range *range)
{
	return (uint32_t)((range->nr_extents * sizeof(struct extent) + LEDGER_PIECE - 1) / LEDGER_PIECE);
}

/* Of the item at @head, itself included. */
static inline uint32_t nr_entries_of(const struct entry *head)
{
	if (kind_of(head->word) != LEDGER_RANGE)
		return 1;
	return 1 + nr_extent_pieces(&head->range) + (head->range.name_len + LEDGER_PIECE - 1) / LEDGER_PIECE;
}

/* An entry that no item has (any more) may be used again. */
static inline void put_entry(struct ledger *ledger, uint32_t index)
{
	at(ledger, index)->next = ledger->free_head;
	ledger->free_head = index;
	ledger->nr_free++;
}

/*
 * A new head says which one it replaces, so that between its appearance and the other's disappearance both are
 * there and only one counts. The word of the old one first, then the remark: while the remark is there, the old entry is
 * not used for anything else.
 */
static inline void settle_replacement(struct ledger *ledger, struct entry *head)
{
	store_word(at(ledger, head->replaces), 0);
	__atomic_store_n(&head->replaces, 0, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
