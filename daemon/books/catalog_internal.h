/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_internal: what the sources of the catalog share: catalog.c writes entries and chains,
 * catalog_extra.c what has no place in an entry; catalog_open.c makes the file, or takes over what
 * an earlier daemon left.
 *
 *	0        4096                              (offsets: in the header)
 *	| header | heads    | entries, one a slot  | extras: long names, further extents,  |
 *	| origin |          |                       | attributes                            |
 *	Each has memory as far as it was used, a block at a time.
 *
 * Everything that a reader loads is stored by a store_...() function. Each is a release, so that a
 * reader sees stores in the order in which the source has them, and a daemon that is killed leaves
 * a beginning of that order.
 *
 * Of what a killed daemon left nothing counts but the entries whose word is there. Chains and the
 * list of free extras are made anew by each daemon.
 */
#ifndef PMEMARENA_CATALOG_INTERNAL_H
#define PMEMARENA_CATALOG_INTERNAL_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/books/catalog.h"
#include "daemon/books/runfile.h"
#include "lib/wire/window.h"

#define BLOCK         UINT64_C(4096)
#define BLOCK_HEADS   (BLOCK / sizeof(uint32_t))
#define BLOCK_ENTRIES (BLOCK / sizeof(struct catalog_entry))
#define BLOCK_EXTRAS  (BLOCK / sizeof(struct catalog_extra))

/* Behind the header, for the daemon alone: which arena's file it is, and of which boot. */
struct catalog_origin {
	uint8_t uuid[16];
	char    boot_id[RUNFILE_BOOT_ID];
};
#define ORIGIN_OFF 1024

union catalog_first_block {
	struct catalog_header header;
	struct {
		char before[ORIGIN_OFF];
		struct catalog_origin origin;
	};
	char bytes[BLOCK];
};

struct catalog {
	int fd, client_fd;                      /* owned; client_fd is read-only */
	union catalog_first_block *first;               /* owned mapping of `bytes` */
	uint32_t *heads;                        /* these three point into the mapping */
	struct catalog_entry *entries;
	struct catalog_extra *extras;
	uint64_t bytes, nr_slots;
	uint64_t nr_heads;                      /* for how many heads there is room */
	/* buckets in use; the header says 0 until the catalog is ready */
	uint64_t nr_buckets;
	uint64_t nr_linked;                     /* entries in chains */
	uint64_t nr_entries;                    /* entries that were put and are there */
	uint64_t nr_backed;                     /* entries from here on have no memory */
	uint32_t most_extras;                   /* how many extras have a place in the file */
	/* Extras from here on were never used, and from nr_backed_extras on have no memory. */
	uint32_t nr_extras, nr_backed_extras;
	/* the number + 1 of the first free extra; 0: none */
	uint32_t free_extra;
	/* owned; a bit for each slot: this daemon has put its entry */
	uint64_t *is_put;
	/*
	 * owned; a bit for each slot: its entry has a name and is not found by it, since memory or
	 * room in a chain was short
	 */
	uint64_t *is_missing;
	uint64_t nr_missing;
	bool is_ready;
};

static inline void store_64(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, htole64(value), __ATOMIC_RELEASE);
}

static inline void store_32(uint32_t *to, uint32_t value)
{
	__atomic_store_n(to, htole32(value), __ATOMIC_RELEASE);
}

static inline uint64_t word_of(const struct catalog_entry *entry)
{
	return le64toh(entry->word);
}

static inline struct catalog_header *header_of(const struct catalog *catalog)
{
	return &catalog->first->header;
}

/* Does an entry with such a name and so many extents have an extra? */
static inline bool catalog_needs_extra(uint8_t name_len, uint32_t nr_extents)
{
	return name_len > CATALOG_INLINE_NAME ||
	       (nr_extents > 1 && nr_extents <= 1 + CATALOG_EXTRA_EXTENTS);
}

/*
 * Takes the entry of @slot, whose block has memory, away from readers and out of its chain. Its
 * extra stays taken.
 */
void catalog_hide(struct catalog *catalog, uint32_t slot);
/* ---- catalog_extra.c ---- */

/*
 * Puts the extra with the number @extra - 1 on the list of free ones; 0 is fine. The caller has
 * stored 0 in the word of the entry that had it.
 */
void catalog_give_extra(struct catalog *catalog, uint32_t extra);
/*
 * Writes the number + 1 of an extra that nobody uses to *extra. -ENOSPC: all are in use, or the
 * file system is full.
 */
int catalog_take_extra(uint32_t *extra, struct catalog *catalog);
/* Writes the attributes of @item into the extra @note - 1, or compares them with it. */
void catalog_write_note(struct catalog *catalog, uint32_t note, const struct catalog_item *item);
bool catalog_is_same_note(const struct catalog *catalog, uint32_t note,
			  const struct catalog_item *item);

#endif
