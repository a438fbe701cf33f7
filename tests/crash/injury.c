/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes only: nothing here opens an arena, but the patient's own making. */
#include <config.h>

#include "tests/crash/injury.h"

#include <endian.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/books/table_slot.h"
#include "daemon/books/zeromap.h"
#include "tests/crash/history.h"

#define PRELUDE 60u

/* ---- the patient ---- */

static void live(struct history *h, unsigned nr)
{
	static const enum history_op tame[] = { OP_CREATE,  OP_CREATE, OP_CREATE, OP_WRITE,
						OP_WRITE,   OP_FREE,   OP_RENAME, OP_SHRINK,
						OP_SETATTR, OP_SETTLE, OP_SCRUB };

	for (unsigned i = 0; i < nr; i++)
		history_step(h, tame[history_random(&h->seed, sizeof(tame) / sizeof(tame[0]))]);
	history_step(h, OP_POISON);
	/* Somebody's secrets are in what is free now: it must be scrubbed before anybody has it. */
	history_close_all(h);
	for (unsigned i = 0; i < 4; i++)
		history_step(h, OP_FREE);
	history_settle(h);
}

static void map_slots(struct patient *p, const struct world *world)
{
	p->nr_slots = p->sb.nr_chunks * SUPERBLOCK_SLOTS_PER_CHUNK;
	p->object_of_slot = calloc(p->nr_slots, sizeof(*p->object_of_slot));
	if (!p->object_of_slot)
		errx(2, "out of memory");
	for (uint32_t slot = 0; slot < p->nr_slots; slot++)
		p->object_of_slot[slot] = -1;
	for (size_t i = 0; i < p->model.nr_objects; i++) {
		const struct alloc *alloc =
			arena_find(world->arena, p->model.objects[i].slot, p->model.objects[i].id);

		for (uint32_t r = 0;
		     alloc && alloc->state == ALLOC_PUBLISHED && r < alloc->nr_records; r++)
			p->object_of_slot[alloc->records[r]] = (int32_t)i;
	}
}

static void read_superblock_of(struct patient *p)
{
	uint8_t page[SUPERBLOCK_SIZE];
	int meta = image_find(p->image, "meta");

	p->meta_device = (unsigned)(meta >= 0 ? meta : image_find(p->image, "dev"));
	image_read(p->image, p->meta_device, 0, page, sizeof(page));
	if (superblock_decode(&p->sb, page, NULL) != SUPERBLOCK_GOOD)
		errx(2, "a healthy arena has a bad superblock");
}

static void must_open(struct world *world)
{
	if (world_open(world) < 0)
		errx(2, "a healthy arena does not open: %s", world->why.text);
}

void patient_init(struct patient *p, struct world *world, uint64_t seed)
{
	struct history h = { .world = world, .model = &p->model, .seed = seed };
	struct arena_params params = world->params;

	*p = (struct patient){ 0 };
	params.force = true;
	must_open(world);
	live(&h, PRELUDE);
	world_close(world);
	world_unmap(world);
	p->older = image_copy(recorder_image(world->rec));
	if (arena_format(&params, &world->why) < 0)
		errx(2, "format: %s", world->why.text);
	model_fini(&p->model);
	history_fini(&h);
	must_open(world);
	live(&h, PRELUDE);
	history_fini(&h);
	if (h.nr_failures)
		errx(2, "a healthy arena fails");
	p->image = image_copy(recorder_image(world->rec));
	read_superblock_of(p);
	map_slots(p, world);
	world_close(world);
	image_free(p->image);
	p->image = image_copy(recorder_image(world->rec));
	read_superblock_of(p);
	p->now = world_mark(world);
}

void patient_fini(struct patient *p)
{
	image_free(p->image);
	image_free(p->older);
	model_fini(&p->model);
	free(p->object_of_slot);
}

/* ---- injuries ---- */

static uint64_t rnd(uint64_t *seed, uint64_t n)
{
	return history_random(seed, n);
}

/* Something that is kept twice: where its copies begin, and how much of it there is. */
struct target {
	unsigned device;
	uint64_t off[2], len;
};

static void choose_target(struct target *t, const struct patient *p, uint64_t *seed)
{
	uint32_t slot = (uint32_t)rnd(seed, p->nr_slots);

	*t = (struct target){ .device = p->meta_device };
	switch (rnd(seed, 8)) {
	case 0:
	case 1:                                 /* also of the label, when that is apart */
		t->device = (unsigned)rnd(seed, image_nr_devices(p->image));
		t->off[1] = p->sb.poison_unit;
		t->len = SUPERBLOCK_SIZE;
		return;
	case 2:
		memcpy(t->off, p->sb.zero_off, sizeof(t->off));
		t->len = zeromap_bytes(p->sb.nr_pages);
		return;
	default:
		break;
	}
	/* Most slots are free. */
	for (unsigned i = 0; i < 64 && rnd(seed, 8) && p->object_of_slot[slot] < 0; i++)
		slot = (uint32_t)rnd(seed, 96);
	for (int copy = 0; copy < 2; copy++)
		t->off[copy] = p->sb.table_off[copy] + (uint64_t)slot * TABLE_SLOT_SIZE;
	t->len = TABLE_SLOT_SIZE;
}

enum wound { FLIP, GARBAGE, ZEROES, STALE, SHIFTED, MOVED, NR_WOUNDS };

static void wound(struct image *image, const struct patient *p, enum wound kind, unsigned device,
		  uint64_t off, uint64_t len, uint64_t *seed)
{
	uint8_t bytes[4096];

	switch (kind) {
	case FLIP:
		image_read(image, device, off, bytes, 1);
		bytes[0] ^= (uint8_t)(1u << rnd(seed, 8));
		image_write(image, device, off, bytes, 1);
		return;
	case GARBAGE:
		image_scribble(image, device, off, len, *seed);
		return;
	case ZEROES:
		image_zero(image, device, off, len);
		return;
	case STALE:                             /* what was there before the format */
		image_read(p->older, device, off, bytes, len);
		break;
	case SHIFTED:                           /* its own, some words late */
		image_read(image, device, off + 8 * (1 + rnd(seed, 15)), bytes, len);
		break;
	default:                                /* something else's */
		image_read(image, device, off + 128 * (1 + rnd(seed, 40)), bytes, len);
		break;
	}
	image_write(image, device, off, bytes, len);
}

unsigned injure(struct image *image, const struct patient *p, uint64_t *seed)
{
	static const uint64_t lens[] = { 8, 64, 128, 512, 4096 };
	enum wound kind = rnd(seed, 3) ? FLIP : (enum wound)rnd(seed, NR_WOUNDS);
	uint64_t len = lens[rnd(seed, 5)], at, again = *seed;
	unsigned copies = rnd(seed, 4) ? 1u << rnd(seed, 2) : 3u;
	struct target t;

	choose_target(&t, p, seed);
	at = kind == FLIP ? rnd(seed, t.len) : rnd(seed, t.len) / len * len;
	if (t.len == SUPERBLOCK_SIZE && kind != FLIP)
		at = 0;
	if (t.len == SUPERBLOCK_SIZE && kind == STALE && copies == 3)
		copies = 1;                     /* both would just be the older arena */
	for (int copy = 0; copy < 2; copy++) {
		/* both copies lose the same, or each something else */
		uint64_t same = again;
		uint64_t end = p->sb.table_off[copy] + (uint64_t)p->nr_slots * TABLE_SLOT_SIZE,
			 off = t.off[copy] + at;

		if (t.len == TABLE_SLOT_SIZE && end - off < len)        /* not the data behind */
			len = end - off;
		if (copies & 1u << copy)
			wound(image, p, kind, t.device, off, len,
			      copies == 3 && len % 128 ? &same : seed);
	}
	return kind != FLIP ? 0 : copies == 3 ? 2 : 1;
}

/* ---- forgeries ---- */

static uint64_t odd_value(uint64_t *seed)
{
	static const uint64_t odd[] = { 0,
					1,
					2,
					511,
					512,
					513,
					1023,
					1024,
					4095,
					4096,
					UINT32_MAX,
					UINT32_MAX - 1,
					UINT64_C(1) << 31,
					UINT64_C(1) << 32,
					UINT64_C(1) << 52,
					UINT64_C(1) << 63,
					UINT64_MAX,
					UINT64_MAX - 1,
					UINT64_MAX - 511,
					65537,
					7,
					100 };

	return odd[rnd(seed, sizeof(odd) / sizeof(odd[0]))];
}

static const struct { uint32_t at, len;
} slot_fields[] = {
	{ 12, 2 }, { 14, 2 }, { 16, 8 }, { 24, 4 }, { 32, 4 },	{ 36, 4 }, { 40, 4 },
	{ 44, 4 }, { 48, 8 }, { 56, 4 }, { 60, 1 }, { 61, 1 },	{ 64, 8 }, { 72, 8 },
	{ 64, 8 }, { 72, 8 }, { 80, 8 }, { 88, 8 }, { 120, 8 },
};

static void forge_slot(struct image *image, const struct patient *p, const struct table *table,
		       uint32_t from, uint32_t to, uint64_t *seed)
{
	uint64_t value = odd_value(seed), word = htole64(slot_live_word(table, to));
	unsigned field = (unsigned)rnd(seed, sizeof(slot_fields) / sizeof(slot_fields[0]));
	uint8_t body[TABLE_SLOT_SIZE];
	uint32_t crc;

	image_read(image, p->meta_device, p->sb.table_off[0] + (uint64_t)from * TABLE_SLOT_SIZE,
		   body, sizeof(body));
	if (rnd(seed, 4) == 0)                  /* near what it was */
		memcpy(&value, body + slot_fields[field].at, slot_fields[field].len),
			value += rnd(seed, 5) - 2;
	value = htole64(value);
	memcpy(body, &word, sizeof(word));
	memcpy(body + slot_fields[field].at, &value, slot_fields[field].len);
	crc = htole32(slot_crc(table, to, body));
	memcpy(body + 8, &crc, sizeof(crc));
	for (int copy = 0; copy < 2; copy++)
		image_write(image, p->meta_device,
			    p->sb.table_off[copy] + (uint64_t)to * TABLE_SLOT_SIZE, body,
			    sizeof(body));
}

static void forge_superblock(struct image *image, const struct patient *p, uint64_t *seed)
{
	struct superblock sb = p->sb;
	uint64_t value = odd_value(seed), *const fields[] = {
		&sb.data_device_size, &sb.meta_device_size, &sb.data_off,     &sb.nr_pages,
		&sb.nr_slots,	      &sb.table_off[0],	    &sb.table_off[1], &sb.zero_off[0],
		&sb.zero_off[1],      &sb.memmap_off,	    &sb.memmap_len,   &sb.poison_unit,
		&sb.id_limit,
	};
	uint8_t page[SUPERBLOCK_SIZE];

	switch (rnd(seed, 4)) {
	case 0:  sb.nr_chunks = (uint32_t)value; break;
	case 1:  sb.order = (uint32_t)value; break;
	default:
		*fields[rnd(seed, sizeof(fields) / sizeof(fields[0]))] =
			rnd(seed, 2) ? value : value * 4096;
	}
	superblock_encode(page, &sb);
	image_write(image, p->meta_device, 0, page, sizeof(page));
	image_write(image, p->meta_device, p->sb.poison_unit, page, sizeof(page));
}

void forge(struct image *image, const struct patient *p, uint64_t *seed)
{
	struct superblock sb = p->sb;
	struct table *table;
	uint32_t from = 0;

	if (rnd(seed, 8) == 0) {
		forge_superblock(image, p, seed);
		return;
	}
	if (table_new(&table, NULL, &sb) < 0)
		errx(2, "out of memory");
	for (unsigned i = 0; i < 1000 && p->object_of_slot[from] < 0; i++)
		from = (uint32_t)rnd(seed, 96);
	/* In its place, or a second one of it. */
	forge_slot(image, p, table, from, rnd(seed, 3) ? from : (uint32_t)rnd(seed, p->nr_slots),
		   seed);
	table_free(table);
}

/* ---- what must be left ---- */

static bool same_bytes(const struct image *a, const struct image *b, unsigned device, uint64_t off,
		       uint64_t len)
{
	uint8_t x[SUPERBLOCK_SIZE], y[SUPERBLOCK_SIZE];

	image_read(a, device, off, x, len);
	image_read(b, device, off, y, len);
	return memcmp(x, y, len) == 0;
}

static bool is_free(const struct image *image, const struct patient *p, const struct table *table,
		    uint32_t slot)
{
	uint64_t word;

	image_read(image, p->meta_device, p->sb.table_off[0] + (uint64_t)slot * TABLE_SLOT_SIZE,
		   &word, sizeof(word));
	return word == htole64(~slot_live_word(table, slot));
}

/* A free slot is its word. */
static bool slot_is_damaged(const struct image *image, const struct patient *p,
			    const struct table *table, uint32_t slot)
{
	uint64_t len = is_free(p->image, p, table, slot) ? sizeof(uint64_t) : TABLE_SLOT_SIZE;
	bool bad[2];

	for (int copy = 0; copy < 2; copy++)
		bad[copy] =
			!same_bytes(image, p->image, p->meta_device,
				    p->sb.table_off[copy] + (uint64_t)slot * TABLE_SLOT_SIZE, len);
	return bad[0] && bad[1];
}

void spare_zero_map(struct image *image, const struct patient *p)
{
	for (uint64_t at = 0; at < zeromap_bytes(p->sb.nr_pages); at += 8) {
		uint64_t was, now[2];

		image_read(p->image, p->meta_device, p->sb.zero_off[0] + at, &was, 8);
		for (int copy = 0; copy < 2; copy++)
			image_read(image, p->meta_device, p->sb.zero_off[copy] + at, &now[copy], 8);
		now[1] &= ~(now[0] & now[1] & ~was);
		image_write(image, p->meta_device, p->sb.zero_off[1] + at, &now[1], 8);
	}
}

/* Whole, and of the arena that was there before. */
static bool is_older(const struct image *image, const struct patient *p, unsigned device,
		     uint64_t off)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock sb;

	image_read(image, device, off, page, sizeof(page));
	return superblock_decode(&sb, page, NULL) == SUPERBLOCK_GOOD &&
	       memcmp(sb.uuid, p->sb.uuid, sizeof(sb.uuid)) != 0;
}

/*
 * The older arena's superblock in one place: refused if the right one is in the other, and else
 * there is no telling.
 */
static bool is_mixed(const struct image *image, const struct patient *p)
{
	for (unsigned device = 0; device < image_nr_devices(image); device++)
		if (is_older(image, p, device, 0) || is_older(image, p, device, p->sb.poison_unit))
			return true;
	return false;
}

static bool is_dead(const struct image *image, const struct patient *p)
{
	for (unsigned device = 0; device < image_nr_devices(image); device++)
		if (!same_bytes(image, p->image, device, 0, SUPERBLOCK_SIZE) &&
		    !same_bytes(image, p->image, device, p->sb.poison_unit, SUPERBLOCK_SIZE))
			return true;
	return false;
}

void prognosis_make(struct prognosis *prognosis, struct image *image, const struct patient *p)
{
	struct superblock sb = p->sb;
	struct table *table;
	bool absent;
	size_t first;

	*prognosis = (struct prognosis){ .dead = is_dead(image, p), .mixed = is_mixed(image, p) };
	prognosis->seen = calloc(p->model.nr_objects + 1, sizeof(*prognosis->seen));
	if (!prognosis->seen || table_new(&table, NULL, &sb) < 0)
		errx(2, "out of memory");
	for (size_t i = 0; i < p->model.nr_objects; i++) {
		model_possible(&p->model.objects[i], p->now, &first, &prognosis->seen[i], &absent);
		if (absent)
			prognosis->seen[i] = NEVER;
	}
	for (uint32_t slot = 0; slot < p->nr_slots; slot++) {
		if (!slot_is_damaged(image, p, table, slot))
			continue;
		prognosis->nr_damaged++;
		if (p->object_of_slot[slot] >= 0)
			prognosis->seen[p->object_of_slot[slot]] = NEVER;
		else if (!is_free(p->image, p, table, slot))
			prognosis->forgets_bad = true;
	}
	table_free(table);
	spare_zero_map(image, p);
}

void prognosis_fini(struct prognosis *prognosis)
{
	free(prognosis->seen);
}
