/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table: records on media. A *record* describes one allocation, or one bad page. It takes one or
 * more *slots* of 128 bytes, its *pieces*, which agree on id, version and count. Each slot is kept
 * twice.
 *
 * The first 8 bytes of a slot, its *word*, say FREE or LIVE. Both values are made of the arena's
 * UUID and the slot's number, so neither a slot of an earlier arena nor a zeroed page can be taken
 * for one. A record is written in two steps: both copies of its bodies, fence; both copies of its
 * words, fence. So a body is whole before its slot gets the word, and a LIVE slot with a wrong
 * checksum is damage and not the trace of a power cut.
 *
 * Changes are staged one by one, and table_settle() makes them durable together:
 *
 *	bodies of new records | fence | their words | fence |
 *	words of what they replace, and of what was freed | fence
 *
 * What a record means, and which changes may be settled together, the arena decides.
 */
#ifndef PMEMARENA_TABLE_H
#define PMEMARENA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/space/extent.h"
#include "daemon/media/media.h"
#include "daemon/media/superblock.h"

#define TABLE_SLOT_SIZE       128u
#define TABLE_SLOTS_PER_CHUNK 1024u
/* bytes of name, extents and attributes in a record's first slot, and in each further one */
#define TABLE_FIRST_PAYLOAD   64u
#define TABLE_NEXT_PAYLOAD    96u
#define TABLE_MAX_PIECES      1024u
#define TABLE_TOKEN_MAX       ((UINT64_C(1) << 48) - 1)
#define TABLE_MAX_ATTRIBUTES  256u

/* RECORD_BUNDLE: its extents are runs of slots, see table_bundle(). */
enum record_kind { RECORD_ALLOC = 1, RECORD_POISON, RECORD_BUNDLE = 4 };

struct record {
	enum record_kind kind;
	uint64_t id;
	uint32_t version;
	uint32_t uid, gid, mode;
	/*
	 * object slot: in handles and in the plane. Of a bundle: how many of its extents, from the
	 * first on, get LIVE; the others get FREE
	 */
	uint32_t object;
	uint64_t created_ns;
	/* the client's number under which it was created, <= TABLE_TOKEN_MAX; 0: none */
	uint64_t token;
	const char *name;                       /* borrowed; not terminated; NULL: none */
	uint8_t  name_len;
	/*
	 * It took its name over from another record, of a lower version, which goes with the same
	 * settle. If both are there after a cut, this one counts.
	 */
	bool     is_successor;
	const struct extent *extents;           /* borrowed; in base pages of the data area */
	uint32_t nr_extents;
	/* borrowed; the owner's own bytes, at most TABLE_MAX_ATTRIBUTES; NULL: none */
	const void *attributes;
	uint16_t attributes_len;
	/* it may be freed to make room for others */
	bool     is_evictable;
};

struct table;

/*
 * Makes a table in memory; it reads nothing yet. @media and @sb are borrowed and outlive it; the
 * table changes sb->nr_chunks when it grows. -ENOMEM.
 */
int table_new(struct table **out, struct media *media, struct superblock *sb);
void table_free(struct table *table);

/* Returns how many slots a record takes; 0: more than TABLE_MAX_PIECES. */
uint32_t table_slots_for(uint8_t name_len, uint32_t nr_extents, uint16_t attributes_len);
uint32_t table_nr_used(const struct table *table);
uint32_t table_nr_slots(const struct table *table);

/*
 * Stages a new record: takes @nr slots, which table_slots_for() returned, writes their numbers to
 * @slots, and stores the bodies. -ENFILE: the table is full; -ENOSPC, -ENOMEM, -EIO. On failure no
 * slot is taken.
 */
int table_stage(struct table *table, const struct record *record, uint32_t *slots, uint32_t nr);
/* Makes sure that table_retire() of @nr more slots cannot fail. -ENOMEM. */
int table_make_room(struct table *table, uint32_t nr);
/* Stages the end of a record: the next settle frees its slots. -ENOMEM: nothing is staged. */
int table_retire(struct table *table, const uint32_t *slots, uint32_t nr);
bool table_is_staged(const struct table *table);
/*
 * Makes a *bundle* of all that is staged: the next settle makes it durable whole, or a cut leaves
 * nothing of it. For that a record with the number @id, which was never used, is staged too. It
 * lists the slots that get another word; once it is durable a start finishes what it says
 * (table_redo()). After this nothing is staged before the settle. -EMSGSIZE: it is too much for one
 * record; -ENFILE, -ENOSPC, -ENOMEM, -EIO. On failure all is staged as before.
 */
int table_bundle(struct table *table, uint64_t id);
/* Takes back all that is staged: nothing of it was durable. */
void table_unstage(struct table *table);
/*
 * Makes all that is staged durable. @fence_first: the first fence is made also when no body was
 * staged, because it orders something else of the caller (cleared zero bits). -EIO: nobody knows
 * how much of it is durable, and the arena must go offline.
 */
int table_settle(struct table *table, bool fence_first);

/* ---- start: what is on media ---- */

enum slot_state {
	SLOT_FREE,
	SLOT_LIVE,
	/* neither copy is good: nobody knows what it held */
	SLOT_DAMAGED,
};

/* A slot as the two copies show it; `body` is that of a good copy. */
struct slot {
	uint32_t number;
	enum slot_state state;
	bool     copy_bad[2];                   /* this copy is not as it should be */
	uint8_t  body[TABLE_SLOT_SIZE];
};

/* The head of a live slot's body. */
struct piece {
	uint64_t id;
	uint32_t version;
	uint16_t index, count;
};

struct table_scan_result {
	uint64_t nr_live, nr_damaged, nr_mended;
};

/*
 * Looks at every slot of every initialised chunk, in order. @each gets all but those that are free
 * in both copies; the first value < 0 that it returns ends the scan and is returned. With @mend,
 * bad copies are rewritten from the good ones, and all that was found is durable at the end.
 * -ENOMEM, errors of the media other than -EIO: a part that cannot be read is a bad copy.
 */
int table_scan(struct table *table, bool mend,
	       int (*each)(void *arg, const struct slot *slot, const struct piece *piece),
	       void *arg, struct table_scan_result *result);
/*
 * Finishes @bundle, a record that a scan has found whole. With @store it gives the slots their
 * words, durably; without, the next scan reads them as if it had. A copy that cannot be written is
 * one good copy less. -ENOMEM, errors of the media other than -EIO.
 */
int table_redo(struct table *table, const struct record *bundle, bool store);
/* Forgets which slots are used, so that the caller can scan once more. */
void table_forget(struct table *table);
/* Reads one slot again from media. *piece is written when it is live. */
int table_look(struct table *table, struct slot *slot, struct piece *piece, uint32_t number);

/* Marks slots as used that the scan found; before table_ready(). */
void table_claim(struct table *table, const uint32_t *slots, uint32_t nr);
/*
 * Allocates the file's blocks of the next chunk ahead, so that the table can still grow when the
 * file system is full. -ENOSPC, -EDQUOT: there are none; growing will ask again.
 */
int table_reserve(struct table *table);
/* Makes all other initialised slots available to table_stage(). -ENOMEM. */
int table_ready(struct table *table);
/* Frees a damaged slot in both copies, durably. What it held is lost. */
int table_give_up(struct table *table, uint32_t number);

/*
 * Puts a record together from the bodies of its pieces, in order of index. *record points into
 * @payload, which has TABLE_PAYLOAD_MAX bytes and belongs to the caller. -EUCLEAN: the pieces do
 * not fit together.
 */
#define TABLE_PAYLOAD_MAX (TABLE_FIRST_PAYLOAD + (TABLE_MAX_PIECES - 1) * TABLE_NEXT_PAYLOAD)
int table_decode(struct record *record, uint8_t *payload, const uint8_t *const *bodies,
		 uint32_t nr);

/*
 * Writes every slot of @from anew as one of @to, durably. The two tables lie in the same place, and
 * their superblocks differ in the UUID alone. After a cut the caller does it again; until it
 * returned 0 neither table can be used. -EIO and other errors of the media.
 */
int table_renew(const struct table *to, const struct table *from);
/*
 * Do the bytes at @off look like two neighbouring slots of a table, of whatever arena? @off is a
 * multiple of TABLE_SLOT_SIZE. false also when they cannot be read.
 */
bool table_has_trace(struct media *media, uint64_t off);

/*
 * Compares both copies of a record's slots with what they must hold, and with @mend rewrites those
 * that differ. Returns how many slots differed, or -errno.
 */
int table_verify(struct table *table, const struct record *record, const uint32_t *slots,
		 uint32_t nr, bool mend);

#endif
