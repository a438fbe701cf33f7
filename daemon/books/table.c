/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table: writes records into slots on media, in two steps: *stage* stores their bodies, *settle*
 * makes them valid by their words. table_read.c reads them. This file decides which slot a record
 * gets, and in which order its stores become durable; it does not know what a record is for.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/table_slot.h"
#include "daemon/media/crc.h"

/*
 * The last step of the random number generator splitmix64: every bit of the input reaches every bit
 * of the output, so the words of neighbouring slots have nothing in common.
 */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t slot_live_word(const struct table *table, uint32_t number)
{
	return mix(table->word_seed + SLOT_WORD_STEP * (number + UINT64_C(1)));
}

uint32_t slot_crc(const struct table *table, uint32_t number, const uint8_t *body)
{
	uint32_t le = htole32(number);
	uint32_t crc = crc32c(table->crc_seed, &le, sizeof(le));

	return crc32c(crc, body + SLOT_CRC_FROM, TABLE_SLOT_SIZE - SLOT_CRC_FROM);
}

uint64_t slot_off(const struct table *table, int copy, uint32_t number)
{
	return table->sb->table_off[copy] + (uint64_t)number * TABLE_SLOT_SIZE;
}

int table_new(struct table **out, struct media *media, struct superblock *sb)
{
	struct table *table = calloc(1, sizeof(*table));
	uint64_t half[2];

	if (!table)
		return -ENOMEM;
	memcpy(half, sb->uuid, sizeof(half));
	table->media = media;
	table->sb = sb;
	table->nr_slots = (uint32_t)sb->nr_slots;
	table->word_seed = mix(le64toh(half[0])) ^ le64toh(half[1]);
	table->crc_seed = crc32c(0, sb->uuid, sizeof(sb->uuid));
	table->used = calloc(table->nr_slots / 64 + 1, sizeof(uint64_t));
	if (!table->used) {
		free(table);
		return -ENOMEM;
	}
	*out = table;
	return 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	free(table->used);
	free(table->free_slots);
	free(table->fresh);
	free(table->retired);
	free(table->redo);
	free(table);
}

uint32_t table_nr_used(const struct table *table) { return table->nr_used; }
uint32_t table_nr_slots(const struct table *table) { return table->nr_slots; }

bool table_is_staged(const struct table *table)
{
	return table->nr_fresh || table->nr_retired;
}

/* Returns at which byte of a record's payload the attributes begin. */
static uint32_t attributes_at(uint8_t name_len, uint32_t nr_extents)
{
	return (name_len + 7u) / 8 * 8 + nr_extents * 16;
}

static uint32_t payload_len(uint8_t name_len, uint32_t nr_extents, uint16_t attributes_len)
{
	return attributes_at(name_len, nr_extents) + (attributes_len + 7u) / 8 * 8;
}

uint32_t table_slots_for(uint8_t name_len, uint32_t nr_extents, uint16_t attributes_len)
{
	uint32_t len, nr;

	if (nr_extents > TABLE_PAYLOAD_MAX / 16)
		return 0;
	len = payload_len(name_len, nr_extents, attributes_len);
	if (len <= TABLE_FIRST_PAYLOAD)
		return 1;
	nr = 1 + (len - TABLE_FIRST_PAYLOAD + TABLE_NEXT_PAYLOAD - 1) / TABLE_NEXT_PAYLOAD;
	return nr <= TABLE_MAX_PIECES ? nr : 0;
}

/* ---- slots that are free ---- */

static bool is_used(const struct table *table, uint32_t number)
{
	return table->used[number / 64] >> (number % 64) & 1;
}

static void set_used(struct table *table, uint32_t number, bool used)
{
	uint64_t bit = UINT64_C(1) << (number % 64);

	if (used == is_used(table, number))
		return;
	if (used)
		table->used[number / 64] |= bit;
	else
		table->used[number / 64] &= ~bit;
	table->nr_used += used ? 1 : -1;
}

void table_claim(struct table *table, const uint32_t *slots, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		set_used(table, slots[i], true);
}

/*
 * Gives a growing array of slot numbers room for @nr in all, by doubling. -ENOMEM: nothing changed.
 */
static int make_room(uint32_t **array, uint32_t *room, uint32_t nr)
{
	uint32_t want = *room ? *room : 256;
	uint32_t *grown;

	if (nr <= *room)
		return 0;
	while (want < nr)
		want *= 2;
	grown = reallocarray(*array, want, sizeof(**array));
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = want;
	return 0;
}

uint32_t table_nr_ready(const struct table *table)
{
	uint64_t nr = (uint64_t)table->sb->nr_chunks * TABLE_SLOTS_PER_CHUNK;

	return nr < table->nr_slots ? (uint32_t)nr : table->nr_slots;
}

/*
 * Puts the free slots of [from, to) on the stack, the lowest on top. Old slots are used before
 * new ones: a start reads only as many chunks as were ever needed.
 */
static int push_free(struct table *table, uint32_t from, uint32_t to)
{
	/* Room for every slot that exists, so that slot_unclaim() never needs any. */
	int r = make_room(&table->free_slots, &table->room_free, to);

	if (r < 0)
		return r;
	for (uint32_t i = to; i > from; i--)
		if (!is_used(table, i - 1))
			table->free_slots[table->nr_free++] = i - 1;
	return 0;
}

int table_ready(struct table *table)
{
	return push_free(table, 0, table_nr_ready(table));
}

/*
 * Writes FREE into both copies of every slot in [from, to), durably. It is done before the
 * superblock counts the chunk: so a start never sees what lay there before, of an older arena or of
 * somebody's file.
 */
static int init_chunk(struct table *table, uint32_t from, uint32_t to)
{
	uint64_t len = (uint64_t)(to - from) * TABLE_SLOT_SIZE;
	int r = media_zero(table->media, slot_off(table, 0, from), len);

	if (r == 0)
		r = media_zero(table->media, slot_off(table, 1, from), len);
	/*
	 * media_zero() stores around the caches, and without a fence its zeroes could arrive after
	 * the words
	 */
	if (r == 0)
		r = media_fence(table->media);
	for (int copy = 0; copy < 2 && r == 0; copy++) {
		for (uint32_t i = from; i < to && r == 0; i++)
			r = media_store64(table->media, slot_off(table, copy, i),
					  htole64(~slot_live_word(table, i)));
		if (r == 0)
			r = media_flush(table->media, slot_off(table, copy, from), len);
	}
	return r < 0 ? r : media_fence(table->media);
}

static uint32_t chunk_end(const struct table *table, uint32_t from)
{
	return table->nr_slots - from < TABLE_SLOTS_PER_CHUNK ? table->nr_slots
							      : from + TABLE_SLOTS_PER_CHUNK;
}

/*
 * Allocates the file's blocks of both copies first. Otherwise they would come with the first store,
 * and a full file system would be a SIGBUS, which looks like a device that failed.
 */
static int take_blocks(struct table *table, uint32_t from, uint32_t to)
{
	uint64_t len = (uint64_t)(to - from) * TABLE_SLOT_SIZE;
	int r = media_allocate(table->media, slot_off(table, 0, from), len);

	return r < 0 ? r : media_allocate(table->media, slot_off(table, 1, from), len);
}

int table_reserve(struct table *table)
{
	uint32_t from = table_nr_ready(table);

	return from == table->nr_slots ? 0 : take_blocks(table, from, chunk_end(table, from));
}

/*
 * Initialises one more chunk of slots and counts it in the superblock, in this order: a cut in
 * between leaves a chunk that nobody counts. -ENFILE: the table is full; errors of the media: the
 * superblock in memory is as before.
 */
static int grow(struct table *table)
{
	uint32_t from = table_nr_ready(table), to;
	int r;

	if (from == table->nr_slots)
		return -ENFILE;
	to = chunk_end(table, from);
	r = make_room(&table->free_slots, &table->room_free, to);
	if (r == 0)
		r = take_blocks(table, from, to);
	if (r == 0)
		r = init_chunk(table, from, to);
	if (r < 0)
		return r;
	table->sb->nr_chunks++;
	r = superblock_write(table->sb, table->media);
	if (r < 0) {
		table->sb->nr_chunks--;
		return r;
	}
	/*
	 * Takes the blocks of the chunk after this one too, while the file system has some. If it
	 * has none, the next growth asks again.
	 */
	(void)table_reserve(table);
	return push_free(table, from, to);
}

/* ---- staging ---- */

static void encode_first(uint8_t *body, const struct record *record)
{
	struct slot_first first = {
		.uid = htole32(record->uid),
		.gid = htole32(record->gid),
		.mode = htole16((uint16_t)record->mode),
		.attributes_len = htole16((uint16_t)(record->attributes_len |
						     (record->is_evictable ? SLOT_EVICTABLE : 0))),
		.object = htole32(record->object),
		.created_ns = htole64(record->created_ns),
		.nr_extents = htole32(record->nr_extents),
		.kind = record->is_successor ? SLOT_KIND_SUCCESSOR : (uint8_t)record->kind,
		.name_len = record->name_len,
		.token_high = htole16((uint16_t)(record->token >> 32)),
	};

	memcpy(body + sizeof(struct slot_head), &first, sizeof(first));
}

/* Returns the 8 bytes at @at of a text of @len bytes, padded with zeroes. */
static uint64_t unit_of(const void *text, uint32_t len, uint32_t at)
{
	uint64_t unit = 0;

	len -= at;
	memcpy(&unit, (const uint8_t *)text + at, len < sizeof(unit) ? len : sizeof(unit));
	return unit;
}

/*
 * Copies @len bytes of the record's payload to @dst, from byte @at on. The payload is the name, the
 * extents, and the attributes. Name and attributes are padded with zeroes to a multiple of 8.
 */
static void copy_payload(uint8_t *dst, const struct record *record, uint32_t at, uint32_t len)
{
	uint32_t name_room = attributes_at(record->name_len, 0);
	uint32_t attributes = attributes_at(record->name_len, record->nr_extents);
	uint32_t end = payload_len(record->name_len, record->nr_extents, record->attributes_len);

	/*
	 * Each piece of a record begins at a multiple of 8, so 8 bytes are of the name, of an
	 * extent or of the attributes, never of two of them.
	 */
	for (; len >= 8 && at < end; at += 8, dst += 8, len -= 8) {
		uint64_t unit;

		if (at < name_room) {
			unit = unit_of(record->name, record->name_len, at);
		} else if (at >= attributes) {
			unit = unit_of(record->attributes, record->attributes_len,
				       at - attributes);
		} else {
			const struct extent *e = &record->extents[(at - name_room) / 16];

			unit = htole64((at - name_room) % 16 ? e->len : e->off);
		}
		memcpy(dst, &unit, 8);
	}
}

void slot_encode(uint8_t body[TABLE_SLOT_SIZE], const struct table *table,
		 const struct record *record, uint32_t number, uint16_t index, uint16_t count)
{
	struct slot_head head = {
		.index = htole16(index),
		.count = htole16(count),
		.id = htole64(record->id),
		.version = htole32(record->version),
		.token_low = htole32(index == 0 ? (uint32_t)record->token : 0),
	};

	memset(body, 0, TABLE_SLOT_SIZE);
	if (index == 0) {
		encode_first(body, record);
		copy_payload(body + SLOT_FIRST_PAYLOAD_OFF, record, 0, TABLE_FIRST_PAYLOAD);
	} else {
		copy_payload(body + SLOT_NEXT_PAYLOAD_OFF, record,
			     TABLE_FIRST_PAYLOAD + (index - 1u) * TABLE_NEXT_PAYLOAD,
			     TABLE_NEXT_PAYLOAD);
	}
	memcpy(body, &head, sizeof(head));
	head.crc = htole32(slot_crc(table, number, body));
	memcpy(body, &head, sizeof(head));
}

/* Stores and flushes a slot's body without its word, which stays FREE until the settle. */
static int store_body(struct table *table, int copy, uint32_t number, const uint8_t *body)
{
	uint64_t off = slot_off(table, copy, number) + sizeof(uint64_t);
	int r = media_store(table->media, off, body + sizeof(uint64_t),
			    TABLE_SLOT_SIZE - sizeof(uint64_t));

	return r < 0 ? r : media_flush(table->media, off, TABLE_SLOT_SIZE - sizeof(uint64_t));
}

void slot_unclaim(struct table *table, const uint32_t *slots, uint32_t nr)
{
	while (nr > 0) {
		set_used(table, slots[--nr], false);
		table->free_slots[table->nr_free++] = slots[nr];
	}
}

/* Takes @nr slots, and grows the table if it has too few. On failure none is taken. */
static int claim_slots(struct table *table, uint32_t *slots, uint32_t nr)
{
	int r = 0;

	while (table->nr_free < nr && r == 0)
		r = grow(table);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nr; i++) {
		slots[i] = table->free_slots[--table->nr_free];
		set_used(table, slots[i], true);
	}
	return 0;
}

int table_stage(struct table *table, const struct record *record, uint32_t *slots, uint32_t nr)
{
	uint8_t body[TABLE_SLOT_SIZE];
	int r;

	r = make_room(&table->fresh, &table->room_fresh, table->nr_fresh + nr);
	if (r == 0)
		r = claim_slots(table, slots, nr);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		slot_encode(body, table, record, slots[i], (uint16_t)i, (uint16_t)nr);
		r = store_body(table, 0, slots[i], body);
		if (r == 0)
			r = store_body(table, 1, slots[i], body);
	}
	/* no word was written: on media the slots are still free */
	if (r < 0) {
		slot_unclaim(table, slots, nr);
		return r;
	}
	memcpy(table->fresh + table->nr_fresh, slots, nr * sizeof(*slots));
	table->nr_fresh += nr;
	return 0;
}

int table_make_room(struct table *table, uint32_t nr)
{
	return make_room(&table->retired, &table->room_retired, table->nr_retired + nr);
}

int table_retire(struct table *table, const uint32_t *slots, uint32_t nr)
{
	int r = table_make_room(table, nr);

	if (r < 0 || nr == 0)
		return r;
	memcpy(table->retired + table->nr_retired, slots, nr * sizeof(*slots));
	table->nr_retired += nr;
	return 0;
}

/* Stores LIVE or FREE into both copies of each slot, and fences once. */
static int store_words(struct table *table, const uint32_t *slots, uint32_t nr, bool live)
{
	int r = 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t word = slot_live_word(table, slots[i]);

		for (int copy = 0; copy < 2 && r == 0; copy++) {
			r = media_store64(table->media, slot_off(table, copy, slots[i]),
					  htole64(live ? word : ~word));
			if (r == 0)
				r = media_flush(table->media, slot_off(table, copy, slots[i]),
						sizeof(uint64_t));
		}
		if (r < 0)
			return r;
	}
	return media_fence(table->media);
}

int table_settle(struct table *table, bool fence_first)
{
	int r = 0;

	/*
	 * Bodies become durable before their words: a slot with its word vouches for its body. The
	 * fence also covers what else the caller stored.
	 */
	if (table->nr_fresh || table->nr_bundle || fence_first)
		r = media_fence(table->media);
	/*
	 * The words of a bundle's record come first, and go last: while it is there, a start gives
	 * all the others the words that it says.
	 */
	if (r == 0 && table->nr_bundle)
		r = store_words(table, table->bundle, table->nr_bundle, true);
	if (r == 0 && table->nr_fresh)
		r = store_words(table, table->fresh, table->nr_fresh, true);
	/*
	 * New words before old ones: version n + 1 of a record is durable before version n goes, so
	 * a cut never loses both.
	 */
	if (r == 0 && table->nr_retired)
		r = store_words(table, table->retired, table->nr_retired, false);
	if (r == 0 && table->nr_bundle)
		r = store_words(table, table->bundle, table->nr_bundle, false);
	if (r < 0)
		return r;
	slot_unclaim(table, table->retired, table->nr_retired);
	slot_unclaim(table, table->bundle, table->nr_bundle);
	table->nr_fresh = table->nr_retired = table->nr_bundle = 0;
	return 0;
}

int table_give_up(struct table *table, uint32_t number)
{
	int r = init_chunk(table, number, number + 1);

	if (r == 0 && is_used(table, number))
		slot_unclaim(table, &number, 1);
	return r;
}
