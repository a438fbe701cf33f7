/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table: records on media. Each slot is kept twice; a record (one allocation, or one bad page) is one slot or several that
 * agree on id, version and count.
 *
 * A slot on media is FREE or LIVE by its 8-byte word; the words are made of the arena's UUID and the slot's number, so that
 * neither an earlier arena nor a zeroed page can be taken for either. Committing is two steps: both bodies, fence; both words,
 * fence. So whatever has its word was whole before it got it, and a slot with its word and a wrong checksum is damage, never
 * a power cut.
 *
 * Changes are staged and made durable together by table_settle():
 *
 *	bodies of new records | fence | their words | fence | words of what they replace, and of what was freed | fence
 *
 * The table knows media and records; what they mean, and when they may be staged together, is the arena's.
 */
#ifndef PMEMARENA_TABLE_H
#define PMEMARENA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/extent.h"
#include "daemon/media/media.h"
#include "daemon/media/superblock.h"

#define TABLE_SLOT_SIZE       128u
#define TABLE_SLOTS_PER_CHUNK 1024u
#define TABLE_FIRST_PAYLOAD   64u       /* bytes of name and extents in a record's first slot, */
#define TABLE_NEXT_PAYLOAD    96u       /* and in each further one */
#define TABLE_MAX_PIECES      1024u
#define TABLE_TOKEN_MAX       ((UINT64_C(1) << 48) - 1)

enum record_kind { RECORD_ALLOC = 1, RECORD_POISON };

struct record {
	enum record_kind kind;
	uint64_t id;
	uint32_t version;
	uint32_t uid, gid, mode;
	uint32_t object;                        /* slot of the handle and of the validity plane */
	uint64_t created_ns;
	uint64_t token;                         /* under which it was created, <= TABLE_TOKEN_MAX; 0: none */
	const char *name;                       /* borrowed; not terminated; NULL: none */
	uint8_t  name_len;
	const struct extent *extents;           /* borrowed; pfns of the data area */
	uint32_t nr_extents;
};

struct table;

/* The two copies' words and checksums of an arena are seeded by its UUID: *sb is borrowed and outlives the table. */
int table_new(struct table **out, struct media *media, struct superblock *sb);
void table_free(struct table *table);

/* How many slots a record takes; 0: it does not fit into TABLE_MAX_PIECES. */
uint32_t table_slots_for(uint8_t name_len, uint32_t nr_extents);
uint32_t table_nr_used(const struct table *table);
uint32_t table_nr_slots(const struct table *table);

/*
 * Stage a new record: claims @nr = table_slots_for() slots into @slots and stores the bodies. -ENFILE the table is full; -EIO.
 */
int table_stage(struct table *table, const struct record *record, uint32_t *slots, uint32_t nr);
/* Afterwards, retiring @nr slots cannot fail. -ENOMEM. */
int table_make_room(struct table *table, uint32_t nr);
/* Stage the retirement of a record's slots. -ENOMEM. They can be claimed again after the settle. */
int table_retire(struct table *table, const uint32_t *slots, uint32_t nr);
bool table_is_staged(const struct table *table);
/*
 * Make it all durable. @fence_first: the first fence orders something else as well (cleared zero bits) and is wanted even when no
 * body was staged. -EIO: unknown how far it got.
 */
int table_settle(struct table *table, bool fence_first);

/* ---- start: what is on media ---- */

enum slot_state {
	SLOT_FREE,
	SLOT_LIVE,
	SLOT_DAMAGED,                           /* neither copy is good: what it held is unknown */
};

/* A slot as recovery sees it: the body is the good copy's. */
struct slot {
	uint32_t number;
	enum slot_state state;
	bool     copy_bad[2];                   /* this copy differs from what was decided, and wants mending */
	uint8_t  body[TABLE_SLOT_SIZE];
};

/* Decoded head of a live slot's body. */
struct piece {
	uint64_t id;
	uint32_t version;
	uint16_t index, count;
};

struct table_scan_result {
	uint64_t nr_live, nr_damaged, nr_mended;
};

/*
 * Look at every slot of every initialised chunk, in order. @each gets those that are not SLOT_FREE or have a bad copy; what it
 * returns < 0 ends the scan. @mend: bad copies are rewritten from the good one, and everything that was found is durable at the end.
 */
int table_scan(struct table *table, bool mend, int (*each)(void *arg, const struct slot *slot, const struct piece *piece), void *arg,
	       struct table_scan_result *result);
/* One slot read again from media. */
int table_look(struct table *table, struct slot *slot, struct piece *piece, uint32_t number);

/* Slots that recovery found to be in use (claimed) or not; called before anything is staged. */
void table_claim(struct table *table, const uint32_t *slots, uint32_t nr);
/* All other initialised slots can be used from now on. -ENOMEM. */
int table_ready(struct table *table);
/* A damaged slot is given up: both copies become free, fenced. */
int table_give_up(struct table *table, uint32_t number);

/*
 * Put a record together from its pieces' bodies, in order of index. The record's name and extents point into @payload, which has room
 * for all of it (TABLE_PAYLOAD_MAX). -EUCLEAN the pieces do not fit together.
 */
#define TABLE_PAYLOAD_MAX (TABLE_FIRST_PAYLOAD + (TABLE_MAX_PIECES - 1) * TABLE_NEXT_PAYLOAD)
int table_decode(struct record *record, uint8_t *payload, const uint8_t *const *bodies, uint32_t nr);

/* Compare a record's slots on media with what they must be; rewrite copies that differ. Returns how many were mended, or -errno. */
int table_verify(struct table *table, const struct record *record, const uint32_t *slots, uint32_t nr, bool mend);

#endif
