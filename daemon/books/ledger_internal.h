/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger_internal: the layout of the ledger's file, for its three sources: ledger.c writes
 * items, ledger_read.c reads them, ledger_open.c finds out which of them are whole.
 *
 *	page 0      header: magic, version, boot, arena
 *	entry 64    64 bytes each; their number is their place in the file, counted from its start
 *	   ...
 *
 * An item is its head entry and, for a range, a chain of further entries (pieces) with the extents
 * and the name. A chain is reached from its head only, and the head's word is written last: one
 * store of it makes the whole item appear or disappear.
 *
 * Entries that no head reaches are free, whatever is in them. Free entries below `fresh` are linked
 * into a list in the file itself; those from there on were never used since the file was opened.
 */
#ifndef PMEMARENA_LEDGER_INTERNAL_H
#define PMEMARENA_LEDGER_INTERNAL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/books/ledger.h"
#include "daemon/books/runfile.h"

#define LEDGER_MAGIC    "PMALEDGR"
#define LEDGER_VERSION  4
/* from this version on a hold says whether it was lent */
#define LEDGER_LENDS    3
/* from this version on there are windows, and a holder says which is its */
#define LEDGER_WINDOWS  4
/* version 1 has no deeds; all else is as in version 2 */
#define LEDGER_OLDEST   1
#define LEDGER_CHUNK    (UINT64_C(256) << 10)   /* bytes by which the file grows */
/* bytes of addresses that are mapped; memory is taken a chunk at a time */
#define LEDGER_MAX_SIZE (UINT64_C(4) << 30)
/*
 * Entries that are kept for when the file cannot grow, since its file system is full. Only a change
 * that gives something back (a free, an abort, a close) and a session that begins may use them:
 * else nobody could give space back. The first chunk of the file has them, so that they are there
 * before the arena is online.
 */
#define LEDGER_KEPT     2048
#define LEDGER_BOOT_ID  RUNFILE_BOOT_ID
/* bytes of extents or name in one entry of a chain */
#define LEDGER_PIECE    48

/*
 * The first page of the file. magic, version and boot_id have these places in every version, so
 * that each daemon can tell whose file it is.
 */
struct header {
	/* stored last: a file without it was never finished */
	uint64_t magic;
	uint32_t version;
	uint32_t entry_size;
	char     boot_id[40];
	uint8_t  uuid[16];
	/* the last change that was finished, and begun; 0: of a version without these numbers */
	uint64_t from, to;
};

struct range {
	uint64_t id, session, created_ns;
	uint32_t slot, uid, gid, mode;
	uint32_t nr_extents;
	uint8_t  name_len;
	uint8_t  reserved[3];
};

struct entry {
	/* see make_word(); 0: no item begins in this entry */
	uint64_t word;
	/* next entry of the item's chain, or of the free list; 0: none */
	uint32_t next;
	union {
		/* in the head of a range: the entry of the range that this one replaces; 0: none */
		uint32_t replaces;
		uint32_t head;                  /* in a piece: the entry of its item's head */
	};
	union {
		/* since_s and what follows it count only if the word has FLAG_INTRODUCED */
		struct {
			uint64_t session;
			uint32_t uid, since_s;
			uint64_t window;
			int32_t  pid;
			char     command[COMMAND_SIZE];
		} holder;
		struct { uint64_t session, id; uint32_t slot; } hold;
		struct range range;
		struct { uint64_t session, key, id; uint32_t slot, version; } deed;
		struct {
			uint64_t number, ino;
			uint8_t  secret[16];
			uint32_t dev, uid, nr_words;
		} window;
		char piece[LEDGER_PIECE];
	};
};
_Static_assert(sizeof(struct entry) == 64, "an entry is one cache line");
_Static_assert(LEDGER_PIECE % sizeof(struct extent) == 0, "no extent is cut");

#define LEDGER_FIRST 64                         /* entries 0 to 63 are the page of the header */

struct ledger {
	int fd;                                 /* owned */
	union {
		/*
		 * owned mapping of LEDGER_MAX_SIZE bytes; those beyond nr_entries have no memory: a
		 * SIGBUS
		 */
		struct header *header;
		/*
		 * points at the same mapping as `header`; the first LEDGER_FIRST entries are the
		 * header
		 */
		struct entry  *entries;
	};
	uint32_t nr_entries;
	/* entries from here on were never used since the ledger was opened */
	uint32_t fresh;
	/* list of free entries below `fresh`, linked by `next` */
	uint32_t free_head, nr_free;
	uint32_t nr_dropped;
	uint64_t nr_changes;
	/* the buffers that ledger_next() fills and lends to its caller */
	struct extent extents[LEDGER_MAX_EXTENTS];
	char name[LEDGER_MAX_NAME];
};

/*
 * Kinds of pieces. They share the kind's byte of the word with enum ledger_kind, which has the
 * kinds of heads.
 */
enum { KIND_EXTENTS = 16, KIND_NAME };

/*
 * A word has 32 bits of magic, 24 bits that depend on the entry, and 8 bits of kind. In a piece the
 * 24 bits are its place in the chain, so that a piece of another chain is recognised.
 */
#define WORD_MAGIC UINT64_C(0x504d4c45)

static inline uint64_t make_word(unsigned kind, uint32_t rest)
{
	return WORD_MAGIC << 32 | (uint64_t)(rest & 0xffffff) << 8 | kind;
}

/*
 * In a head the 24 bits are 8 bits of state, 8 of these flags, and 8 of the caller's. All that may
 * change about an item is in its word, so that one store makes the change too.
 */
enum {
	FLAG_READ_ONLY = 1,
	FLAG_CLOSED = 2,
	FLAG_RUN = 4,
	FLAG_LEASE = 8,
	FLAG_LENT = 16,
	/*
	 * ledger_introduce() was called for the holder; daemons that do not know this flag leave it
	 * as it is, and add holders without it
	 */
	FLAG_INTRODUCED = 32,
};

static inline uint64_t with_flag(uint64_t word, unsigned flag)
{
	return word | (uint64_t)flag << 16;
}

static inline unsigned kind_of(uint64_t word)
{
	return word >> 32 == WORD_MAGIC ? word & 0xff : 0;
}

static inline unsigned state_of(uint64_t word)
{
	return word >> 8 & 0xff;
}

static inline unsigned flags_of(uint64_t word)
{
	return word >> 16 & 0xff;
}

static inline uint8_t callers_of(uint64_t word)
{
	return word >> 24 & 0xff;
}

/*
 * Stores an entry's word. All stores before it in the program are made before it, all after it
 * after it. Only the process may die and not the machine: what was stored is seen by the next
 * daemon, so the order of instructions counts and not that of caches, and it is enough to tell the
 * compiler.
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

	return kind >= LEDGER_HOLDER && kind <= LEDGER_WINDOW;
}

/*
 * Returns the entry at @index; a caller that passes anything but the head of an item of @kind has a
 * bug, and the assertion stops the daemon before it changes somebody else's item.
 */
static inline struct entry *head_at(const struct ledger *ledger, uint32_t index,
				    enum ledger_kind kind)
{
	assert(index >= LEDGER_FIRST && index < ledger->fresh &&
	       kind_of(at(ledger, index)->word) == kind);
	return at(ledger, index);
}

static inline uint32_t nr_extent_pieces(const struct range *range)
{
	return (uint32_t)((range->nr_extents * sizeof(struct extent) + LEDGER_PIECE - 1) /
			  LEDGER_PIECE);
}

/* Returns how many entries the item at @head has, the head included. */
static inline uint32_t nr_entries_of(const struct entry *head)
{
	if (kind_of(head->word) != LEDGER_RANGE)
		return 1;
	return 1 + nr_extent_pieces(&head->range) +
	       (head->range.name_len + LEDGER_PIECE - 1) / LEDGER_PIECE;
}

/* How many bytes the piece has that begins @done bytes into something @len bytes long. */
static inline uint32_t rest_of(uint32_t len, uint32_t done)
{
	return len - done < LEDGER_PIECE ? len - done : LEDGER_PIECE;
}

/* Makes the entry at @index free. The caller has made sure that no item has it. */
static inline void put_entry(struct ledger *ledger, uint32_t index)
{
	at(ledger, index)->next = ledger->free_head;
	ledger->free_head = index;
	ledger->nr_free++;
}

/*
 * Ends the replacement of a range. While both the new range and the old one are in the file, the
 * new one's head names the old one in `replaces`, and only the new one counts. First the old one's
 * word is cleared, then `replaces`: in the other order a kill in between would leave two ranges
 * with the same space.
 */
static inline void settle_replacement(struct ledger *ledger, struct entry *head)
{
	store_word(at(ledger, head->replaces), 0);
	__atomic_store_n(&head->replaces, 0, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
