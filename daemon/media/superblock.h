/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock: the 4 KiB page that says what a device is, kept twice, the copies one poison unit apart (2 MiB, or the
 * device's alignment when that is larger). Geometry is fixed by format; what changes (id limit, chunks, clean) is rewritten in
 * place, one copy after the other, each fenced, so that one whole copy always exists. doc/FORMAT.md has the bytes.
 */
#ifndef PMEMARENA_SUPERBLOCK_H
#define PMEMARENA_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/media/media.h"
#include "lib/why.h"

#define SUPERBLOCK_SIZE    4096u
#define SUPERBLOCK_VERSION 1u
#define POISON_UNIT        (UINT64_C(2) << 20)

/* Of the table; daemon/arena/table.h. */
#define SUPERBLOCK_SLOT_SIZE       128u
#define SUPERBLOCK_SLOTS_PER_CHUNK 1024u
/* Ids end long before 64 bits do, so that setting some aside never overflows. */
#define SUPERBLOCK_MAX_ID          (UINT64_C(1) << 63)

/* As ext4: an unknown incompatible bit refuses the arena, an unknown read-only one allows looking, a compatible one is ignored. */
#define SUPERBLOCK_INCOMPAT_KNOWN  UINT64_C(0)
#define SUPERBLOCK_RO_COMPAT_KNOWN UINT64_C(0)

enum superblock_role {
	SUPERBLOCK_WHOLE = 1,                   /* data and metadata on one device */
	SUPERBLOCK_DATA,                        /* a label: the metadata is apart */
	SUPERBLOCK_METADATA,                    /* the metadata of a data device of the same UUID */
};

/* In host byte order. Offsets and sizes are bytes; those of the table and the zero map are on the device with the metadata. */
struct superblock {
	enum superblock_role role;
	uint64_t incompat, ro_compat, compat;
	uint8_t  uuid[16];
	char     name[64];
	uint64_t seq;                           /* grows with every rewrite */
	uint64_t data_device_size, meta_device_size;
	uint64_t data_off, nr_pages;            /* compound pages of data from data_off on the data device */
	uint32_t order;
	uint64_t nr_slots;                      /* the table's capacity */
	uint32_t slots_per_chunk;
	uint64_t table_off[2], zero_off[2];
	uint64_t memmap_off, memmap_len;        /* device-resident descriptors; 0: none */
	uint64_t poison_unit;                   /* where the second copy is */
	uint64_t formatted_ns;
	/* what changes */
	uint32_t nr_chunks;                     /* initialised chunks of the table */
	uint64_t id_limit;                      /* no id at or above it was ever given out */
	uint8_t  machine_id[16];                /* of the host that opened it last */
	bool     clean;                         /* closed in order */
	int64_t  unsafe_shutdowns;              /* the platform's count at the last open; -1 not counted */
};

/* Why a copy cannot be used. */
enum superblock_verdict { SUPERBLOCK_GOOD, SUPERBLOCK_BLANK, SUPERBLOCK_BAD, SUPERBLOCK_NEWER };

void superblock_encode(uint8_t page[SUPERBLOCK_SIZE], const struct superblock *sb);
/* GOOD: *sb is filled. NEWER: whole, but of a version or with features we do not know; *sb is not filled, @why says which. */
enum superblock_verdict superblock_decode(struct superblock *sb, const uint8_t page[SUPERBLOCK_SIZE], struct why *why);

/*
 * Read the best copy: the higher seq of those that are good. *mended (may be NULL) is how many copies were bad and have been rewritten
 * (none if @read_only; then it is how many would be). -ENODATA both blank; -EUCLEAN none good, at least one was ours once, or two of two arenas; -EPROTONOSUPPORT newer; -EIO.
 * The copies are looked for at 0 and at 2 MiB, 1 GiB and @align.
 */
int superblock_read(struct superblock *sb, int *mended, struct media *media, uint64_t align, bool read_only, struct why *why);
/* Rewrite both copies with seq + 1, one after the other, each fenced. -EIO when neither could be written. */
int superblock_write(struct superblock *sb, struct media *media);
/* No arena is here any more, fenced: the first step of a format. Copies are looked for where superblock_read() does. */
int superblock_erase(struct media *media, uint64_t align);

#endif
