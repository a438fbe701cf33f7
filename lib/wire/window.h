/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: what the daemon and the processes that have a *window* on an arena share in memory, as
 * bytes. A window is one mapping of the arena's whole data area, made once. There are three files:
 *
 * The *catalog*, one an arena: what is published, by name and by slot. The daemon writes it, all
 * windows map it read-only. A process finds there, without a message, where an allocation lies.
 *
 * The *pins*, one a window: words by which a process says "I am using this". The process writes
 * them, the daemon reads them before it gives freed space to anybody. They are hazard pointers
 * between processes (M. Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects",
 * 2004).
 *
 * And the *touches*, one an arena: a byte a slot that a process stores 1 to when it gets something
 * evictable, unless it is 1 already. The daemon clears it. So both know what is used though a hit
 * sends no message.
 *
 *	process (a get)                         daemon (a free)
 *	  id = entry.id, then w = entry.word
 *	  read the rest of the entry              entry.word = 0, entry.id = 0
 *	  pin = w                                 fence
 *	  fence                                   settle: the record is durably gone
 *	  entry.word == w && entry.id == id?      is entry's slot in a pin of any window?
 *	    yes: pinned.  no: pin = 0, again        yes: wait.  no: the space is free
 *
 * Both sides store, fence, and then load what the other stores. So either the process sees that the
 * entry is gone, or the daemon sees the pin.
 *
 * The id is read before the word: two allocations that have a slot one after the other may have the
 * same word there. With the word of the first one, the id of the second one and parts of both a
 * process would find word and id as they were.
 *
 * All numbers are little-endian. doc/PROTOCOL.md says the same in words.
 */
#ifndef PMEMARENA_WINDOW_LAYOUT_H
#define PMEMARENA_WINDOW_LAYOUT_H

#include <stdint.h>

/* ---- the catalog ---- */

#define CATALOG_MAGIC   UINT64_C(0x474c544143414d50)    /* "PMACATLG" */
/* Another number means another layout, which this version cannot read. */
#define CATALOG_LAYOUT  1
#define CATALOG_INLINE_NAME     64u
#define CATALOG_EXTRA_NAME      256u
#define CATALOG_EXTRA_EXTENTS   16u
/*
 * No chain is longer than this. An entry that would make it longer, by names that have one hash on
 * purpose or by chance, stays out of the chain, and processes ask for it by message. Else somebody
 * could make the daemon and all readers slow with a list of names.
 */
#define CATALOG_CHAIN           64u

/*
 * The first 4096 bytes. The members up to `seed` are constant as long as `layout` is
 * CATALOG_LAYOUT. The daemon stores 0 in `layout` when a file is no longer the arena's: a process
 * that sees that asks by message, and for a new catalog.
 */
struct catalog_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t entry_bytes;           /* sizeof(struct catalog_entry) */
	uint64_t nr_slots;              /* entries */
	uint64_t heads_off;             /* where uint32_t heads[] begin in the file */
	uint64_t entries_off;           /* where struct catalog_entry entries[nr_slots] begin */
	uint64_t extras_off;            /* where struct catalog_extra extras[nr_extras] begin */
	uint64_t nr_extras;
	/* seed of the hash: XXH3_64bits_withSeed(name, length, seed) */
	uint64_t seed;
	/*
	 * A second cache line: what every lookup by name reads. `changes` is odd while the daemon
	 * changes chains or what is in them, and grows with each change: who walked a chain to its
	 * end and finds `changes` even and as before knows that nothing published has the name;
	 * otherwise it does not know. It stays odd as long as something that has a name is missing,
	 * for want of memory or because its chain is full.
	 */
	uint64_t changes;
	/*
	 * The buckets in use, by linear hashing (W. Litwin, 1980): with m the largest power of two
	 * that is not above nr_buckets, bucket = tag % (2 * m), and if that is >= nr_buckets,
	 * tag % m. 0: there is nothing to be found now.
	 */
	uint64_t nr_buckets;
	uint64_t nr_entries;            /* how many entries are in the chains */
	uint64_t unused[5];
	/*
	 * A third cache line, which seldom changes. Entries from here on have no memory yet: a
	 * process that read one would take memory for it, and meet a SIGBUS where the file system
	 * is full. So it looks here before it follows a handle. It never goes down. What an entry,
	 * a chain or nr_buckets leads to always has memory.
	 */
	uint64_t nr_backed;
	uint64_t unused_too[7];
};

/* One slot of the arena. It is found by the slot of a handle, or from a head by the tag. */
struct catalog_entry {
	/*
	 * (slot + 1) << 32 | version. 0: the entry is empty, or is being changed. It is stored
	 * last, and a pin holds a copy of it. For one id each value is stored once only, and never
	 * again after it changed.
	 */
	uint64_t word;
	/* 0: the entry is empty. It is stored after word = 0 and before the rest. */
	uint64_t id;
	uint32_t tag;                   /* the low 32 bits of the hash; without a name 0 */
	/* the next slot + 1 in the chain of this bucket; 0: the last */
	uint32_t next;
	uint32_t uid, gid;
	uint16_t mode;
	uint8_t  name_len;              /* 0: the allocation has no name, and is in no chain */
	uint8_t  flags;                 /* enum catalog_flags */
	uint32_t nr_extents;
	uint64_t off;                   /* where the first extent begins, in bytes of the device */
	uint64_t len;                   /* length of the first extent, in bytes */
	/*
	 * extras[extra - 1] has the name when it is longer than CATALOG_INLINE_NAME, and the
	 * extents after the first. 0: there is none. More than 1 + CATALOG_EXTRA_EXTENTS extents
	 * are asked for by message, and only the first is here.
	 */
	uint32_t extra;
	/*
	 * extras[note - 1] is a struct catalog_note, with the attributes. 0: there are none, or the
	 * daemon is one that does not know them.
	 */
	uint32_t note;
	/* padded with zeroes; all zero when it is in the extra */
	char     name[CATALOG_INLINE_NAME];
};

enum catalog_flags {
	CATALOG_POISONED = 1,           /* a page of it has a media error: ask by message */
	/* a process that gets it stores 1 in its byte of the touches */
	CATALOG_EVICTABLE = 2,
};

struct catalog_extra {
	char     name[CATALOG_EXTRA_NAME];      /* padded with zeroes */
	struct { uint64_t off, len; } extents[CATALOG_EXTRA_EXTENTS];
};

/*
 * An extra that has attributes instead of a name and extents. The daemon may be changing it: a
 * reader must bound `len` by CATALOG_NOTE before it uses it.
 */
#define CATALOG_NOTE 256u
struct catalog_note {
	uint64_t len;
	uint64_t words[CATALOG_NOTE / 8];       /* the attributes' bytes, padded with zeroes */
	uint64_t unused[31];
};

_Static_assert(sizeof(struct catalog_header) == 192, "catalog");
_Static_assert(sizeof(struct catalog_entry) == 128, "catalog");
_Static_assert(sizeof(struct catalog_extra) == 512, "catalog");
_Static_assert(sizeof(struct catalog_note) == sizeof(struct catalog_extra), "catalog");

/* Returns the bucket of @tag when @nr_buckets (not 0) are in use. */
static inline uint64_t catalog_bucket(uint32_t tag, uint64_t nr_buckets)
{
	uint64_t half = UINT64_C(1) << (63 - __builtin_clzll(nr_buckets));
	uint64_t bucket = tag & (2 * half - 1);

	return bucket < nr_buckets ? bucket : tag & (half - 1);
}

/* ---- pins ---- */

#define PINS_MAGIC      UINT64_C(0x534e4950414d50)      /* "PMPINS" */
#define PINS_LAYOUT     1
#define PINS_HEADER     4096u   /* bytes before the words */
#define PINS_WORDS      512u    /* words of a window that does not ask for more */
#define PINS_MAX_WORDS  65536u
#define PINS_MAX_GROUPS 960u

/*
 * The first PINS_HEADER bytes; the words, uint64_t words[nr_words], follow. The daemon writes all
 * but `high`. The file is a memfd that can neither grow nor shrink (sealed), so that a process
 * cannot take memory away from under the daemon.
 */
struct pins_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t nr_words;
	uint64_t window;                /* the daemon's number of this window */
	/*
	 * User and groups of the process, as the kernel told the daemon; they are compared with the
	 * modes in the catalog. If there are more groups than fit, `state` lacks PINS_ALL_GROUPS:
	 * then the process asks by message for everything that the mode gives to a group.
	 */
	uint32_t uid, gid, nr_groups;
	uint32_t state;                 /* enum pins_state, bits */
	/*
	 * All words from this index on are 0: the process stores a higher number here before it
	 * uses the first of them. So the daemon need not read them.
	 */
	uint32_t high;
	uint32_t unused[21];
	uint32_t groups[PINS_MAX_GROUPS];
};

enum pins_state {
	PINS_ALL_GROUPS = 1,
	PINS_WRITES = 2,                /* the window is writable */
	/*
	 * The process must ask by message for everything: its user may not use the arena any more,
	 * or only the daemon can tell what the user may.
	 */
	PINS_ASK = 4,
};

_Static_assert(sizeof(struct pins_header) <= PINS_HEADER, "pins");

/*
 * Makes the pin of a version of the allocation in @slot: the word that its entry has. A pin word of
 * 0 pins nothing.
 */
static inline uint64_t pins_word(uint32_t slot, uint32_t version)
{
	return ((uint64_t)slot + 1) << 32 | version;
}

/*
 * The value of a word that a process has taken for a PIN request, until the daemon stores the pin
 * in it. It pins nothing.
 */
#define PINS_TAKEN UINT64_C(1)

/* ---- touches ---- */

/*
 * The touches: uint8_t touches[nr_slots], in a memfd that can neither grow nor shrink (sealed).
 * Every process with a window of the arena may store anything there, so the daemon uses them only
 * to choose which evictable allocation it frees first.
 */
#define TOUCHED 1u

#endif
