/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_read: reads the table from media. A *slot* is 128 bytes of the table, kept in two copies; a
 * *piece* is a slot's part of a record. It decides for every slot, from its two copies, whether it
 * is free, live or damaged, mends a copy that is wrong, and puts records together from their
 * pieces.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/table_slot.h"

/*
 * Judges one copy by itself: COPY_FREE if its word says FREE; COPY_GOOD if its word says LIVE, and
 * its checksum is right and its counts are possible; else COPY_BAD.
 */
enum copy_state slot_judge(const struct table *table, uint32_t number, const uint8_t *body)
{
	uint64_t live = slot_live_word(table, number), word;
	struct slot_head head;

	memcpy(&head, body, sizeof(head));
	word = le64toh(head.word);
	if (word == ~live)
		return COPY_FREE;
	if (word != live || le32toh(head.crc) != slot_crc(table, number, body))
		return COPY_BAD;
	if (le16toh(head.count) == 0 || le16toh(head.index) >= le16toh(head.count) ||
	    le16toh(head.count) > TABLE_MAX_PIECES)
		return COPY_BAD;
	return COPY_GOOD;
}

/*
 *	           copy 1: FREE           GOOD                    BAD
 *	copy 0
 *	FREE       free                   live (cut in a commit   free (what is acknowledged
 *	                                  or a retirement)        has two words)
 *	GOOD       live                   same: live; else damage live
 *	BAD        free                   live                    damage
 *
 * The drawing says what a slot is, by its two copies. Of FREE and GOOD together nobody was told,
 * neither that the record is there nor that it is gone, so both answers are right; live keeps a
 * record whole of which only some words arrived. Zeroes (a cleared bad block) are BAD, since FREE
 * is a word of 64 bits too.
 */
static void decide(struct slot *slot, const struct table *table, const uint8_t *const copy[2])
{
	enum copy_state state[2];
	int from = 0;

	for (int i = 0; i < 2; i++)
		state[i] = copy[i] ? slot_judge(table, slot->number, copy[i]) : COPY_BAD;
	if (state[0] == COPY_GOOD && state[1] == COPY_GOOD)
		slot->state =
			memcmp(copy[0], copy[1], TABLE_SLOT_SIZE) == 0 ? SLOT_LIVE : SLOT_DAMAGED;
	else if (state[0] == COPY_GOOD || state[1] == COPY_GOOD)
		slot->state = SLOT_LIVE;
	else if (state[0] == COPY_FREE || state[1] == COPY_FREE)
		slot->state = SLOT_FREE;
	else
		slot->state = SLOT_DAMAGED;

	from = state[0] != COPY_GOOD;
	if (slot->state == SLOT_LIVE)
		memcpy(slot->body, copy[from], TABLE_SLOT_SIZE);
	for (int i = 0; i < 2; i++)
		slot->copy_bad[i] = (slot->state == SLOT_LIVE && state[i] != COPY_GOOD) ||
				    (slot->state == SLOT_FREE && state[i] != COPY_FREE);
}

static void decode_piece(struct piece *piece, const uint8_t *body)
{
	struct slot_head head;

	memcpy(&head, body, sizeof(head));
	*piece = (struct piece){
		.id = le64toh(head.id),
		.version = le32toh(head.version),
		.index = le16toh(head.index),
		.count = le16toh(head.count),
	};
}

/*
 * Mends one copy as a commit writes it: FREE first, then the body, then the word, each durable
 * before the next. A cut in the middle so leaves a copy that says FREE or is whole.
 */
static int mend_copy(struct table *table, const struct slot *slot, int copy)
{
	uint64_t off = slot_off(table, copy, slot->number);
	uint64_t live = slot_live_word(table, slot->number);
	int r;

	if (slot->state == SLOT_FREE) {
		r = media_store64(table->media, off, htole64(~live));
		return r < 0 ? r : media_flush(table->media, off, sizeof(live));
	}
	r = media_store64(table->media, off, htole64(~live));
	if (r == 0)
		r = media_persist(table->media, off, sizeof(live));
	if (r == 0)
		r = media_store(table->media, off + 8, slot->body + 8, TABLE_SLOT_SIZE - 8);
	if (r == 0)
		r = media_persist(table->media, off, TABLE_SLOT_SIZE);
	if (r == 0)
		r = media_store64(table->media, off, htole64(live));
	return r < 0 ? r : media_flush(table->media, off, sizeof(live));
}

static int mend(struct table *table, const struct slot *slot)
{
	int nr = 0, r;

	for (int copy = 0; copy < 2; copy++) {
		if (!slot->copy_bad[copy])
			continue;
		r = mend_copy(table, slot, copy);
		/*
		 * -EIO: a page that cannot be written is one good copy less, and no reason to
		 * refuse the arena.
		 */
		if (r < 0 && r != -EIO)
			return r;
		nr++;
	}
	return nr;
}

/*
 * Reads one copy into @body. NULL: it cannot be read. *err is written when the error is not -EIO.
 */
static const uint8_t *read_copy(struct table *table, int copy, uint32_t number, uint8_t *body,
				int *err)
{
	int r = media_read(table->media, body, slot_off(table, copy, number), TABLE_SLOT_SIZE);

	if (r < 0 && r != -EIO)
		*err = r;
	return r < 0 ? NULL : body;
}

int table_look(struct table *table, struct slot *slot, struct piece *piece, uint32_t number)
{
	uint8_t body[2][TABLE_SLOT_SIZE];
	const uint8_t *copy[2];
	int err = 0;

	slot->number = number;
	for (int i = 0; i < 2; i++)
		copy[i] = read_copy(table, i, number, body[i], &err);
	if (err < 0)
		return err;
	decide(slot, table, copy);
	if (slot->state == SLOT_LIVE)
		decode_piece(piece, slot->body);
	return 0;
}

struct scan {
	struct table *table;
	bool mend;
	int (*each)(void *arg, const struct slot *slot, const struct piece *piece);
	void *arg;
	struct table_scan_result *result;
	uint8_t *chunk[2];                      /* owned; one chunk of each copy */
};

static int scan_slot(struct scan *scan, struct slot *slot, const uint8_t *const copy[2])
{
	struct piece piece = { 0 };
	int r;

	decide(slot, scan->table, copy);
	if (slot->state == SLOT_FREE && !slot->copy_bad[0] && !slot->copy_bad[1])
		return 0;
	if (slot->state == SLOT_LIVE)
		decode_piece(&piece, slot->body);
	scan->result->nr_live += slot->state == SLOT_LIVE;
	scan->result->nr_damaged += slot->state == SLOT_DAMAGED;
	r = scan->each(scan->arg, slot, &piece);
	if (r < 0)
		return r;
	if (!scan->mend || slot->state == SLOT_DAMAGED) {
		scan->result->nr_mended +=
			slot->state != SLOT_DAMAGED && (slot->copy_bad[0] || slot->copy_bad[1]);
		return 0;
	}
	r = mend(scan->table, slot);
	if (r > 0)
		scan->result->nr_mended++;
	return r < 0 ? r : 0;
}

/*
 * Flushes what the scan believes. A daemon that was killed in a settle leaves words that are in a
 * cache and not on the device: the scan reads them, and a power cut could still take them back. A
 * page that cannot be written is one good copy less.
 */
static int make_durable(struct table *table, uint32_t from, uint32_t to)
{
	int r = 0;

	for (int copy = 0; copy < 2 && (r == 0 || r == -EIO); copy++)
		r = media_flush(table->media, slot_off(table, copy, from),
				(uint64_t)(to - from) * TABLE_SLOT_SIZE);
	return r == -EIO ? 0 : r;
}

/* Gives a copy in memory the word that a bundle says, where table_redo() did not store it. */
static void redo(const struct table *table, uint32_t number, uint8_t *body)
{
	uint64_t live = slot_live_word(table, number), word;

	if (!table->redo || table->redo[number] == REDO_NOTHING)
		return;
	word = htole64(table->redo[number] == REDO_LIVE ? live : ~live);
	memcpy(body, &word, sizeof(word));
}

/*
 * Reads a chunk at a time, since each read is a guarded copy; it reads slot by slot only where a
 * page of the chunk is poisoned.
 */
static int scan_chunk(struct scan *scan, uint32_t from, uint32_t to)
{
	struct table *table = scan->table;
	struct slot slot;
	bool whole[2];
	int r = 0, err = 0;

	for (int i = 0; i < 2; i++) {
		r = media_read(table->media, scan->chunk[i], slot_off(table, i, from),
			       (uint64_t)(to - from) * TABLE_SLOT_SIZE);
		if (r < 0 && r != -EIO)
			return r;
		whole[i] = r == 0;
	}
	r = 0;
	for (uint32_t n = from; n < to && r == 0; n++) {
		const uint8_t *copy[2];

		slot.number = n;
		for (int i = 0; i < 2; i++) {
			uint8_t *at = scan->chunk[i] + (size_t)(n - from) * TABLE_SLOT_SIZE;

			copy[i] = whole[i] ? at : read_copy(table, i, n, at, &err);
			redo(table, n, at);
		}
		r = err < 0 ? err : scan_slot(scan, &slot, copy);
	}
	return r < 0 || !scan->mend ? r : make_durable(table, from, to);
}

int table_scan(struct table *table, bool mend_copies,
	       int (*each)(void *arg, const struct slot *slot, const struct piece *piece),
	       void *arg, struct table_scan_result *result)
{
	size_t len = (size_t)TABLE_SLOTS_PER_CHUNK * TABLE_SLOT_SIZE;
	struct scan scan = {
		.table = table, .mend = mend_copies, .each = each, .arg = arg, .result = result
	};
	uint32_t nr = table_nr_ready(table);
	int r = 0;

	*result = (struct table_scan_result){ 0 };
	scan.chunk[0] = malloc(len);
	scan.chunk[1] = malloc(len);
	if (!scan.chunk[0] || !scan.chunk[1])
		r = -ENOMEM;
	for (uint32_t from = 0; from < nr && r == 0; from += TABLE_SLOTS_PER_CHUNK)
		r = scan_chunk(&scan, from,
			       nr - from < TABLE_SLOTS_PER_CHUNK ? nr
								 : from + TABLE_SLOTS_PER_CHUNK);
	if (r == 0 && mend_copies)
		r = media_fence(table->media);
	free(scan.chunk[0]);
	free(scan.chunk[1]);
	return r;
}

/* ---- records ---- */

static int decode_first(struct record *record, const uint8_t *body)
{
	struct slot_first first;
	struct slot_head head;
	uint16_t attributes;

	memcpy(&head, body, sizeof(head));
	memcpy(&first, body + sizeof(head), sizeof(first));
	attributes = le16toh(first.attributes_len);
	*record = (struct record){
		.kind = first.kind == SLOT_KIND_SUCCESSOR ? RECORD_ALLOC : first.kind,
		.is_successor = first.kind == SLOT_KIND_SUCCESSOR,
		.id = le64toh(head.id),
		.version = le32toh(head.version),
		.uid = le32toh(first.uid),
		.gid = le32toh(first.gid),
		.mode = le16toh(first.mode),
		.attributes_len = attributes & SLOT_ATTRIBUTES_LEN,
		.is_evictable = attributes & SLOT_EVICTABLE,
		.object = le32toh(first.object),
		.created_ns = le64toh(first.created_ns),
		.token = (uint64_t)le16toh(first.token_high) << 32 | le32toh(head.token_low),
		.name_len = first.name_len,
		.nr_extents = le32toh(first.nr_extents),
	};
	if (record->kind != RECORD_ALLOC && record->kind != RECORD_POISON &&
	    record->kind != RECORD_BUNDLE)
		return -EUCLEAN;
	if (record->attributes_len > TABLE_MAX_ATTRIBUTES ||
	    attributes & ~(SLOT_EVICTABLE | SLOT_ATTRIBUTES_LEN))
		return -EUCLEAN;
	return record->nr_extents == 0 || record->nr_extents > TABLE_PAYLOAD_MAX / 16 ? -EUCLEAN
										      : 0;
}

int table_decode(struct record *record, uint8_t *payload, const uint8_t *const *bodies, uint32_t nr)
{
	uint32_t name_room, at = TABLE_FIRST_PAYLOAD;
	struct extent *extents;
	int r = decode_first(record, bodies[0]);

	if (r < 0)
		return r;
	if (table_slots_for(record->name_len, record->nr_extents, record->attributes_len) != nr)
		return -EUCLEAN;
	memcpy(payload, bodies[0] + SLOT_FIRST_PAYLOAD_OFF, TABLE_FIRST_PAYLOAD);
	for (uint32_t i = 1; i < nr; i++, at += TABLE_NEXT_PAYLOAD)
		memcpy(payload + at, bodies[i] + SLOT_NEXT_PAYLOAD_OFF, TABLE_NEXT_PAYLOAD);

	name_room = (record->name_len + 7u) / 8 * 8;
	extents = (struct extent *)(void *)(payload + name_room);
	for (uint32_t i = 0; i < record->nr_extents; i++) {
		extents[i].off = le64toh(extents[i].off);
		extents[i].len = le64toh(extents[i].len);
	}
	record->name = record->name_len ? (const char *)payload : NULL;
	record->extents = extents;
	record->attributes = record->attributes_len ? extents + record->nr_extents : NULL;
	return 0;
}

int table_verify(struct table *table, const struct record *record, const uint32_t *slots,
		 uint32_t nr, bool mend_copies)
{
	uint8_t body[TABLE_SLOT_SIZE];
	int nr_mended = 0, r;

	for (uint32_t i = 0; i < nr; i++) {
		struct slot want = { .number = slots[i], .state = SLOT_LIVE };
		uint64_t word = htole64(slot_live_word(table, slots[i]));
		int err = 0;

		slot_encode(want.body, table, record, slots[i], (uint16_t)i, (uint16_t)nr);
		memcpy(want.body, &word, sizeof(word));
		for (int copy = 0; copy < 2; copy++)
			want.copy_bad[copy] = !read_copy(table, copy, slots[i], body, &err) ||
					      memcmp(body, want.body, TABLE_SLOT_SIZE) != 0;
		if (err < 0)
			return err;
		if (!want.copy_bad[0] && !want.copy_bad[1])
			continue;
		nr_mended++;
		r = mend_copies ? mend(table, &want) : 0;
		if (r < 0)
			return r;
	}
	return nr_mended && mend_copies ? (media_fence(table->media) < 0 ? -EIO : nr_mended)
					: nr_mended;
}
