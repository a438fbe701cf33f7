/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock: the page of 4 KiB that says what a device is. There are two copies, one poison unit
 * apart (2 MiB, or the alignment of the device if that is larger). Format decides the geometry for
 * good. What changes (limit of ids, chunks, clean) is rewritten in place, one copy after the other,
 * each fenced, so that one whole copy exists at any time. doc/FORMAT.md has the bytes.
 */
#ifndef PMEMARENA_SUPERBLOCK_H
#define PMEMARENA_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/media/media.h"
#include "lib/wire/why.h"

#define SUPERBLOCK_SIZE    4096u
#define SUPERBLOCK_VERSION 1u
#define POISON_UNIT        (UINT64_C(2) << 20)

/* These describe the table, as in daemon/books/table.h. */
#define SUPERBLOCK_SLOT_SIZE       128u
#define SUPERBLOCK_SLOTS_PER_CHUNK 1024u
/* Ids end long before 64 bits are used up, so that adding to an id cannot overflow. */
#define SUPERBLOCK_MAX_ID          (UINT64_C(1) << 63)

/*
 * A compatible feature: there are stamps. A version that does not know of stamps keeps the bit and
 * writes zeroes in their place, which is found out by their seq.
 */
#define SUPERBLOCK_COMPAT_STAMPS   UINT64_C(1)
/*
 * An incompatible feature: the records are being written anew for another UUID, and only the
 * program that does that may go on.
 */
#define SUPERBLOCK_INCOMPAT_RENEWING UINT64_C(2)

/*
 * An incompatible feature: records may say that they replaced another one (kind 3 in FORMAT.md). A
 * version that does not know this would find two records with one name after a cut.
 */
#define SUPERBLOCK_INCOMPAT_SUCCESSORS UINT64_C(8)
/*
 * An incompatible feature: records may have attributes. A version that does not know them would
 * find a mode and a number of slots that it takes for damage.
 */
#define SUPERBLOCK_INCOMPAT_ATTRIBUTES UINT64_C(16)
/*
 * An incompatible feature: records may say that they are evictable. A version that does not know
 * this would take their length of attributes for damage.
 */
#define SUPERBLOCK_INCOMPAT_EVICTABLE UINT64_C(32)
/*
 * An incompatible feature: processes of other hosts, those in the table of hosts, may have free
 * space mapped. A version that does not know this would hand that space out.
 */
#define SUPERBLOCK_INCOMPAT_ABROAD UINT64_C(64)
/*
 * An incompatible feature: the arena is shared by hosts, one of which owns it. Who does not know
 * that would store to it beside the owner.
 */
#define SUPERBLOCK_INCOMPAT_HOSTS UINT64_C(128)
/*
 * An incompatible feature: there may be a record of a bundle (kind 4 in FORMAT.md), which says that
 * other slots are free or live whatever their words say. A version that does not know this would
 * find a part of the bundle.
 */
#define SUPERBLOCK_INCOMPAT_BUNDLES UINT64_C(256)
/*
 * As in ext4: an unknown incompatible bit refuses the arena, an unknown read-only bit allows
 * reading, an unknown compatible bit is ignored.
 */
#define SUPERBLOCK_INCOMPAT_KNOWN                                        \
	(SUPERBLOCK_INCOMPAT_RENEWING | SUPERBLOCK_INCOMPAT_SUCCESSORS | \
	 SUPERBLOCK_INCOMPAT_ATTRIBUTES | SUPERBLOCK_INCOMPAT_EVICTABLE | \
	 SUPERBLOCK_INCOMPAT_ABROAD | SUPERBLOCK_INCOMPAT_HOSTS |        \
	 SUPERBLOCK_INCOMPAT_BUNDLES)
#define SUPERBLOCK_RO_COMPAT_KNOWN UINT64_C(0)

enum superblock_role {
	SUPERBLOCK_WHOLE = 1,                   /* data and metadata on one device */
	SUPERBLOCK_DATA,                        /* a label: the metadata is on another device */
	/* the metadata for a data device with the same UUID */
	SUPERBLOCK_METADATA,
};

/*
 * A stamp says how far an arena is, in numbers that only grow: by them a start finds out that one
 * part was put back alone. A run is one start of the daemon. It begins with a leap of random length
 * in `changes`, so that two histories which began with copies of one arena never have the same
 * numbers.
 */
struct stamp {
	/* `changes` after the leap; 0: not known, a version without stamps wrote this */
	uint64_t run;
	uint64_t from;                          /* `changes` before the leap */
	uint64_t changes;                       /* of the devices, the ledger and the plane */
	uint64_t settles;                       /* how many settles became durable */
};

#define SUPERBLOCK_HOSTS     24u
#define SUPERBLOCK_HOST_NAME 44u

/* A host on which processes may have space of the arena mapped. */
struct superblock_host {
	uint8_t  id[16];                        /* machine id, or the identity of the host */
	bool     is_identity;
	uint8_t  boot[16];                      /* zeroes: not known */
	/* allocations that it may have mapped have an id below; 0: the entry is not in use */
	uint64_t id_limit;
	char     name[SUPERBLOCK_HOST_NAME];    /* the host's name, for people */
};

/* Which host owns the arena. The first three fields are one line of 64 bytes on media. */
struct superblock_owner {
	uint8_t  id[16];                        /* its identity; zeroes: none owns it */
	uint8_t  boot[16];
	uint64_t term;                          /* one more with each change of owner */
	char     name[SUPERBLOCK_HOST_NAME];
	/* who may own it next; "": every host */
	char     successor[SUPERBLOCK_HOST_NAME];
};

/*
 * In host byte order. Offsets and sizes are in bytes; those of the table and the zero map are of
 * the device with the metadata.
 */
struct superblock {
	enum superblock_role role;
	uint64_t incompat, ro_compat, compat;
	uint8_t  uuid[16];
	char     name[64];
	uint64_t seq;                           /* grows with every rewrite */
	uint64_t data_device_size, meta_device_size;
	/* compound pages of data, from data_off of the data device on */
	uint64_t data_off, nr_pages;
	uint32_t order;
	uint64_t nr_slots;                      /* table slots, whether in use or not */
	uint32_t slots_per_chunk;
	uint64_t table_off[2], zero_off[2];
	uint64_t memmap_off, memmap_len;        /* descriptors on the device; 0: there are none */
	uint64_t poison_unit;                   /* where the second copy is */
	uint64_t formatted_ns;
	/* ---- what changes ---- */
	uint32_t nr_chunks;                     /* chunks of the table that were initialised */
	uint64_t id_limit;                      /* every id that was ever given out is below it */
	uint8_t  machine_id[16];                /* of the host that opened it last */
	bool     clean;                         /* it was closed in order */
	/* the platform's count when it was last opened; -1: not counted */
	int64_t  unsafe_shutdowns;
	struct stamp stamp;                     /* superblock_stamp() writes it */
	/* of the metadata: settles that the data device is known to have durably */
	uint64_t seen;
	/* of a label: seq of the metadata when the run began */
	uint64_t peer_seq;
	/* the UUID that it will have (SUPERBLOCK_INCOMPAT_RENEWING) */
	uint8_t  next_uuid[16];
	/* with SUPERBLOCK_INCOMPAT_ABROAD; else all are zero */
	struct superblock_host hosts[SUPERBLOCK_HOSTS];
	/* with SUPERBLOCK_INCOMPAT_HOSTS, as the next two; else zero */
	struct superblock_owner owner;
	uint32_t heartbeat;                     /* superblock_beat() counts it */
	uint32_t claim;                         /* superblock_claim() stores it */
	/* for superblock.c alone: the stamp at the last rewrite */
	struct stamp base;
	/* for superblock.c alone: `seen` at the last rewrite */
	uint64_t seen_base;
};

/* What is found where a copy should be. */
enum superblock_verdict { SUPERBLOCK_GOOD, SUPERBLOCK_BLANK, SUPERBLOCK_BAD, SUPERBLOCK_NEWER };

void superblock_encode(uint8_t page[SUPERBLOCK_SIZE], const struct superblock *sb);
/*
 * SUPERBLOCK_GOOD: *sb is filled. SUPERBLOCK_NEWER: the page is whole and of a version, or with
 * features, that this program does not know; @why says which.
 */
enum superblock_verdict superblock_decode(struct superblock *sb,
					  const uint8_t page[SUPERBLOCK_SIZE], struct why *why);

/*
 * Reads the best copy: of those that are good, the one with the higher seq. Copies are looked for
 * at 0, and at 2 MiB, 1 GiB and @align. *mended (unless NULL) is how many copies were bad and have
 * been rewritten, or, with @read_only, would be. -ENODATA: both are blank; -EPROTONOSUPPORT: a
 * newer version; -EIO; -EUCLEAN: none is good, and one cannot be read or was a superblock once; or
 * they are of two arenas.
 */
int superblock_read(struct superblock *sb, int *mended, struct media *media, uint64_t align,
		    bool read_only, struct why *why);
/*
 * Rewrites both copies with seq + 1, one after the other, each fenced. -EIO: neither could be
 * written.
 */
int superblock_write(struct superblock *sb, struct media *media);
/*
 * Stores sb->stamp and sb->seen into both copies, by one word each that is never torn, and flushes
 * them; the caller fences. The rest of the page stays, and its checksum stays right. After 2^24
 * changes it is a rewrite. -EIO: neither copy could be written.
 */
int superblock_stamp(struct superblock *sb, struct media *media);
/*
 * Store one more heartbeat, or a claim, into both copies, each by one word that is never torn, and
 * fence. The checksum of the page stays right. -EIO: neither copy could be written.
 */
int superblock_beat(struct superblock *sb, struct media *media);
int superblock_claim(struct superblock *sb, struct media *media, uint32_t claim);
/*
 * Is @owner, by its id, boot and term, still the owner on media? One line is read, past the cache.
 * -ESTALE: another one is; -EIO: it cannot be read.
 */
int superblock_check_owner(const struct superblock *sb, struct media *media);
/*
 * Has a format begun to take an arena away here? Then a page is whole but for its magic. Looks
 * where superblock_read() does.
 */
bool superblock_was_erased(struct media *media, uint64_t align);
/*
 * Takes all superblocks away, fenced: the first step of a format. Looks where superblock_read()
 * does.
 */
int superblock_erase(struct media *media, uint64_t align);

#endif
