/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_slot: the layout of a slot, and what table.c (writes), table_read.c (reads) and
 * table_renew.c (changes the UUID) share. No other file includes it.
 */
#ifndef PMEMARENA_TABLE_SLOT_H
#define PMEMARENA_TABLE_SLOT_H

#include "daemon/books/table.h"

/*
 *	 0  word      8  LIVE or ~LIVE, by UUID and number
 *	 8  crc       4  CRC32C of UUID, number, and bytes 12 to 127
 *	12  index     2
 *	14  count     2
 *	16  id        8
 *	24  version   4
 *	28  token     4  index 0: its lower half; others: 0
 *	32  index 0: attributes (32 bytes), then 64 bytes of payload; others: 96 bytes of payload
 */
struct slot_head {
	uint64_t word;
	uint32_t crc;
	uint16_t index, count;
	uint64_t id;
	uint32_t version, token_low;
};

struct slot_first {
	uint32_t uid, gid;
	uint16_t mode, attributes_len;
	uint32_t object;
	uint64_t created_ns;
	uint32_t nr_extents;
	uint8_t  kind, name_len;
	uint16_t token_high;
};

_Static_assert(TABLE_SLOT_SIZE == SUPERBLOCK_SLOT_SIZE &&
		       TABLE_SLOTS_PER_CHUNK == SUPERBLOCK_SLOTS_PER_CHUNK,
	       "what the superblock checks");

/* a flag in slot_first.attributes_len, whose low bits are the length */
#define SLOT_EVICTABLE         0x8000u
#define SLOT_ATTRIBUTES_LEN    0x1ffu
/* the kind on media of a RECORD_ALLOC that is a successor; others have enum record_kind */
#define SLOT_KIND_SUCCESSOR    3u
#define SLOT_WORD_STEP         UINT64_C(0x9e3779b97f4a7c15)
#define SLOT_CRC_FROM          12u
#define SLOT_NEXT_PAYLOAD_OFF  32u
#define SLOT_FIRST_PAYLOAD_OFF 64u
_Static_assert(sizeof(struct slot_head) == SLOT_NEXT_PAYLOAD_OFF, "FORMAT.md");
_Static_assert(sizeof(struct slot_head) + sizeof(struct slot_first) == SLOT_FIRST_PAYLOAD_OFF,
	       "FORMAT.md");

struct table {
	struct media *media;                    /* borrowed */
	struct superblock *sb;                  /* borrowed; the table advances nr_chunks */
	uint32_t  nr_slots;
	uint64_t  word_seed;
	uint32_t  crc_seed;
	uint64_t *used;                         /* owned; a bit a slot: a record has it */
	uint32_t  nr_used;
	/* owned; a stack of initialised slots that no record has */
	uint32_t *free_slots;
	uint32_t  nr_free, room_free;
	/* owned; staged slots that get LIVE at the settle */
	uint32_t *fresh;
	uint32_t  nr_fresh, room_fresh;
	uint32_t *retired;                      /* owned; slots that get FREE at the settle */
	uint32_t  nr_retired, room_retired;
	/* of the record of the bundle that is staged; 0: what is staged is none */
	uint32_t  bundle[TABLE_MAX_PIECES];
	uint32_t  nr_bundle;
	/* owned; by slot, an enum redo: what a scan takes its word for; NULL: for what it says */
	uint8_t  *redo;
};

enum redo { REDO_NOTHING, REDO_LIVE, REDO_FREE };

/* What one copy of a slot says by itself. */
enum copy_state { COPY_FREE, COPY_GOOD, COPY_BAD };
enum copy_state slot_judge(const struct table *table, uint32_t number, const uint8_t *body);

uint64_t slot_live_word(const struct table *table, uint32_t number);
uint32_t slot_crc(const struct table *table, uint32_t number, const uint8_t *body);
uint64_t slot_off(const struct table *table, int copy, uint32_t number);
void slot_encode(uint8_t body[TABLE_SLOT_SIZE], const struct table *table,
		 const struct record *record, uint32_t number, uint16_t index, uint16_t count);
/* Gives slots that no record has any more to table_stage(), the first one on top of the stack. */
void slot_unclaim(struct table *table, const uint32_t *slots, uint32_t nr);
/* Returns how many slots the initialised chunks have. */
uint32_t table_nr_ready(const struct table *table);

#endif
