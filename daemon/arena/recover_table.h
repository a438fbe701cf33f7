/* SPDX-License-Identifier: BSD-3-Clause */
/* recover_table: what a start finds in the table on media. */
#ifndef PMEMARENA_RECOVER_TABLE_H
#define PMEMARENA_RECOVER_TABLE_H

#include "daemon/arena/arena_internal.h"

struct found;

struct recovery {
	struct arena *arena;
	struct found *found;                    /* owned */
	uint32_t nr_found, room_found;
	/* owned; numbers of table slots that will be retired */
	uint32_t *stale;
	uint32_t nr_stale, room_stale;
	uint8_t *payload;                       /* owned; TABLE_PAYLOAD_MAX bytes, aligned to 8 */
	uint64_t nr_damaged;
	bool     has_successors;                /* a record says that it replaced another one */
	/* the bundle that a cut left; its extents are owned; NULL: none was found */
	struct record bundle;
	bool     is_redone;                     /* what the bundle says was done */
};

/*
 * Reads all records into rec->arena, those of bad pages too, and collects in rec->stale the slots
 * that are to be retired. The copies that are bad alone are mended, unless the arena is read only.
 * Space is not marked yet. -ENOMEM, or what reading the media returns; the caller frees what @rec
 * owns.
 */
int recover_table(struct recovery *rec);
/*
 * Notes that the @nr table slots @numbers will be retired at the end of the start. Without that the
 * next start would find them once more. -ENOMEM.
 */
int recover_make_stale(struct recovery *rec, const uint32_t *numbers, uint32_t nr);
/*
 * Counts a record whose checksum is right and whose contents no version of this program writes, or
 * which contradicts another record. It stays on media until a repair, and its space is unknown.
 */
int recover_damage(struct recovery *rec, const struct record *record, const char *what);
/* Tells arena->complain of one difference, as printf(); nothing happens where that is NULL. */
void recover_complain(struct arena *arena, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
