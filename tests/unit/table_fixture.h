/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_fixture: a table over media that records, records to put into it, and what a scan of it
 * finds.
 */
#ifndef PMEMARENA_TESTS_TABLE_FIXTURE_H
#define PMEMARENA_TESTS_TABLE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/table_slot.h"
#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB         (UINT64_C(1) << 20)
#define SIZE        (8 * MiB)
#define MAX_RECORDS 64
#define MAX_STATES  20000

static struct recorder *rec;
static struct device *device;
static struct media *media;
static struct table *table;
static struct superblock sb;

/* What a scan finds, put together. */
struct found {
	struct record record;
	char name[256];
	uint8_t attributes[TABLE_MAX_ATTRIBUTES];
	struct extent extents[600];
	uint32_t slots[TABLE_MAX_PIECES];
	uint32_t nr_slots;
};

static struct found found[MAX_RECORDS];
static unsigned nr_found, nr_damaged, nr_halves;
static struct table_scan_result result;

static struct {
	struct piece piece;
	uint32_t number;
	uint8_t body[TABLE_SLOT_SIZE];
} pieces[4096];
static unsigned nr_pieces;

static inline void setup(void)
{
	rec = recorder_new();
	fake_device_add(DEVICE_FILE, "dev", SIZE, 0);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = "dev" }, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, SIZE, NULL), 0);
	image_scribble(recorder_image(rec), 0, 0, SIZE, 3);
	sb = (struct superblock){
		.role = SUPERBLOCK_WHOLE,
		.data_device_size = UINT64_C(1) << 30,
		.meta_device_size = SIZE,
		.data_off = SIZE,
		.nr_pages = 8,
		.order = 9,
		.nr_slots = 2048,
		.slots_per_chunk = 1024,
		.poison_unit = 2 * MiB,
		.id_limit = 1000,
		.zero_off = { 2 * MiB + 4096, 4096 },
		.table_off = { 2 * MiB + 8192, 8192 },
		.uuid = "a uuid of an are",
	};
	ck_assert_int_eq(table_new(&table, media, &sb), 0);
	ck_assert_int_eq(table_ready(table), 0);
}

static inline void teardown(void)
{
	table_free(table);
	media_close(media);
	device_close(device);
	recorder_free(rec);
	fake_device_reset();
}

/* ---- scan ---- */

static inline int see(void *arg, const struct slot *slot, const struct piece *piece)
{
	(void)arg;
	if (slot->state == SLOT_DAMAGED) {
		table_claim(table, &slot->number, 1);
		nr_damaged++;
	}
	if (slot->state != SLOT_LIVE)
		return 0;
	table_claim(table, &slot->number, 1);
	pieces[nr_pieces].piece = *piece;
	pieces[nr_pieces].number = slot->number;
	memcpy(pieces[nr_pieces++].body, slot->body, TABLE_SLOT_SIZE);
	return 0;
}

static inline int by_piece(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return (int)x->index - (int)y->index;
}

static inline void gather(unsigned from, unsigned nr)
{
	static uint8_t payload[TABLE_PAYLOAD_MAX] __attribute__((aligned(8)));
	const uint8_t *bodies[TABLE_MAX_PIECES];
	struct found *f = &found[nr_found];

	if (nr != pieces[from].piece.count) {
		nr_halves++;
		return;
	}
	for (unsigned i = 0; i < nr; i++) {
		bodies[i] = pieces[from + i].body;
		f->slots[i] = pieces[from + i].number;
	}
	ck_assert_int_eq(table_decode(&f->record, payload, bodies, nr), 0);
	if (f->record.name_len)
		memcpy(f->name, f->record.name, f->record.name_len);
	memcpy(f->extents, f->record.extents, f->record.nr_extents * sizeof(struct extent));
	if (f->record.attributes_len)
		memcpy(f->attributes, f->record.attributes, f->record.attributes_len);
	f->nr_slots = nr;
	ck_assert_uint_lt(++nr_found, MAX_RECORDS);
}

static inline void scan(bool mend)
{
	nr_pieces = nr_found = nr_damaged = nr_halves = 0;
	ck_assert_int_eq(table_scan(table, mend, see, NULL, &result), 0);
	qsort(pieces, nr_pieces, sizeof(pieces[0]), by_piece);
	for (unsigned from = 0, to; from < nr_pieces; from = to) {
		for (to = from + 1;
		     to < nr_pieces && pieces[to].piece.id == pieces[from].piece.id &&
		     pieces[to].piece.version == pieces[from].piece.version;
		     to++)
			;
		gather(from, to - from);
	}
}

/* As at a start: nothing is known but the superblock. */
static inline void rescan(void)
{
	table_free(table);
	ck_assert_int_eq(table_new(&table, media, &sb), 0);
	scan(true);
	ck_assert_int_eq(table_ready(table), 0);
}

/* ---- records ---- */

static char long_name[256];
static struct extent many[600];

static inline struct record make(uint64_t id, uint32_t version, uint8_t name_len, uint32_t nr_extents)
{
	memset(long_name, 'n', sizeof(long_name));
	for (unsigned i = 0; i < 600; i++)
		many[i] = (struct extent){ 512 * (2 * i + id), 512 };
	return (struct record){
		.kind = RECORD_ALLOC,
		.id = id,
		.version = version,
		.uid = 1000,
		.gid = 100,
		.mode = 0640,
		.object = (uint32_t)id,
		.created_ns = 77,
		.token = UINT64_C(0xfedcba987654) - id,
		.name = name_len ? long_name : NULL,
		.name_len = name_len,
		.extents = many,
		.nr_extents = nr_extents,
	};
}

static inline uint32_t stage(uint32_t *slots, const struct record *record)
{
	uint32_t nr = table_slots_for(record->name_len, record->nr_extents, record->attributes_len);

	ck_assert_uint_gt(nr, 0);
	ck_assert_int_eq(table_stage(table, record, slots, nr), 0);
	return nr;
}

static inline void commit(uint32_t *slots, const struct record *record)
{
	stage(slots, record);
	ck_assert_int_eq(table_settle(table, false), 0);
}

static inline void assert_same(const struct found *f, const struct record *record)
{
	ck_assert_uint_eq(f->record.id, record->id);
	ck_assert_uint_eq(f->record.version, record->version);
	ck_assert_uint_eq(f->record.uid, record->uid);
	ck_assert_uint_eq(f->record.gid, record->gid);
	ck_assert_uint_eq(f->record.mode, record->mode);
	ck_assert_uint_eq(f->record.object, record->object);
	ck_assert_uint_eq(f->record.created_ns, record->created_ns);
	ck_assert_uint_eq(f->record.token, record->token);
	ck_assert_uint_eq(f->record.name_len, record->name_len);
	if (record->name_len)
		ck_assert_mem_eq(f->name, record->name, record->name_len);
	ck_assert_uint_eq(f->record.nr_extents, record->nr_extents);
	ck_assert_mem_eq(f->extents, record->extents, record->nr_extents * sizeof(struct extent));
	ck_assert_uint_eq(f->record.attributes_len, record->attributes_len);
	if (record->attributes_len)
		ck_assert_mem_eq(f->attributes, record->attributes, record->attributes_len);
}

/* ---- one of the two copies of a slot ---- */

enum copy { FREE, GOOD, BAD, ZERO, UNREADABLE, NR_COPIES };

static inline void make_copy(int copy, uint32_t number, enum copy what)
{
	uint64_t off = slot_off(table, copy, number), live = slot_live_word(table, number),
		 zero[TABLE_SLOT_SIZE / 8] = { 0 };
	uint8_t byte;

	switch (what) {
	case FREE:
		media_store64(media, off, ~live);
		break;
	case GOOD:
		break;
	case BAD:
		media_read(media, &byte, off + 40, 1);
		byte ^= 1;
		media_store(media, off + 40, &byte, 1);
		break;
	case ZERO:
		media_store(media, off, zero, sizeof(zero));
		break;
	default:
		recorder_poison(rec, "dev", off, TABLE_SLOT_SIZE);
	}
}

#endif
