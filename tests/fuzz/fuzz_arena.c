/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_arena: an arena's superblocks, table and zero map, written over by the input. The input is a
 * list of edits; what it touched may be given right checksums again, so that what lies behind them
 * is reached, too. Whatever opens must be without contradiction, serve, be repaired, and open
 * again.
 *
 *	byte 0    which arena; bit 7: checksums of superblocks, bit 6: of slots are made right
 *	edits     kind (2 bits: what; copies), 2 bytes where, 1 byte how long, bytes
 *	0xff      the end of the edits; the rest says what is done to the arena
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/books/table_slot.h"
#include "daemon/media/crc.h"
#include "tests/crash/injury.h"
#include "tests/crash/judge.h"

#define NR_PATIENTS 2
#define MAX_EDITS   64

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[NR_PATIENTS] = { "dax-2m", "dax-apart-2m" };
static struct patient patients[NR_PATIENTS];

struct input {
	const uint8_t *data;
	size_t size, at;
};

static uint8_t take(struct input *in)
{
	return in->at < in->size ? in->data[in->at++] : 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < NR_PATIENTS; i++) {
		struct world world;

		world_init(&world, find_flavour(names[i]), 1024);
		patient_init(&patients[i], &world, 4 + i);
		world_fini(&world);
	}
	return 0;
}

static void fail(const char *what, const struct verdict *verdict)
{
	fprintf(stderr, "%s: %s\n", what, verdict ? verdict->text : "");
	abort();
}

/* ---- edits ---- */

enum what { SUPERBLOCK, SLOT, ZERO_MAP, LABEL };

static void seal_superblock(struct image *image, unsigned device, uint64_t off)
{
	uint8_t page[SUPERBLOCK_SIZE];
	uint32_t crc;

	image_read(image, device, off, page, sizeof(page));
	crc = htole32(crc32c(0, page + 12, sizeof(page) - 12));
	memcpy(page + 8, &crc, sizeof(crc));
	image_write(image, device, off, page, sizeof(page));
}

static void seal_slot(struct image *image, const struct patient *p, int copy, uint32_t slot)
{
	struct superblock sb = p->sb;
	uint8_t body[TABLE_SLOT_SIZE];
	struct table *table;
	uint64_t off = sb.table_off[copy] + (uint64_t)slot * TABLE_SLOT_SIZE, word;
	uint32_t crc;

	if (table_new(&table, NULL, &sb) < 0)
		abort();
	image_read(image, p->meta_device, off, body, sizeof(body));
	word = htole64(slot_live_word(table, slot));
	memcpy(body, &word, sizeof(word));
	crc = htole32(slot_crc(table, slot, body));
	memcpy(body + 8, &crc, sizeof(crc));
	image_write(image, p->meta_device, off, body, sizeof(body));
	table_free(table);
}

static void edit_copy(struct image *image, const struct patient *p, enum what what, int copy,
		      uint16_t where, const uint8_t *bytes, uint8_t len, uint8_t flags)
{
	unsigned device = what == LABEL ? (unsigned)image_find(image, "dev") : p->meta_device;
	uint64_t base = copy ? p->sb.poison_unit : 0, at = where % (SUPERBLOCK_SIZE - 256);

	if (what == SLOT) {
		base = p->sb.table_off[copy] + (uint64_t)(where >> 7) % 128 * TABLE_SLOT_SIZE;
		at = where % TABLE_SLOT_SIZE;
		len = at + len > TABLE_SLOT_SIZE ? (uint8_t)(TABLE_SLOT_SIZE - at) : len;
	} else if (what == ZERO_MAP) {
		base = p->sb.zero_off[copy];
		at = where % 8;
		len = len % 8;
	}
	image_write(image, device, base + at, bytes, len);
	if (what == SLOT && flags & 0x40)
		seal_slot(image, p, copy, (where >> 7) % 128);
	if ((what == SUPERBLOCK || what == LABEL) && flags & 0x80)
		seal_superblock(image, device, base);
}

static void edit(struct image *image, const struct patient *p, struct input *in, uint8_t flags)
{
	for (unsigned i = 0; i < MAX_EDITS && in->at < in->size; i++) {
		uint8_t kind = take(in), bytes[256], len;
		uint16_t where;

		if (kind == 0xff)
			return;
		where = (uint16_t)(take(in) << 8);
		where |= take(in);
		len = take(in) % 64;
		for (unsigned b = 0; b < len; b++)
			bytes[b] = take(in);
		for (int copy = 0; copy < 2; copy++)
			if (kind >> 2 & (1 << copy))
				edit_copy(image, p, (enum what)(kind & 3), copy, where, bytes, len,
					  flags);
	}
}

/* ---- what is done to it ---- */

static void use(struct world *world, struct input *in)
{
	struct caller caller = { .uid = 0, .holder = world->holder };
	struct alloc *a = arena_next_slot(world->arena, take(in)), *fresh;
	uint8_t op = take(in);
	char name[4] = { (char)('a' + op / 64), 'x', 'y', 'z' };
	uint64_t len = (uint64_t)take(in) << (12 + op % 12);

	if (op % 6 == 5)
		arena_reserve(
			&fresh, world->arena, &caller,
			&(struct arena_ask){
				.len = len + 1, .publish = op & 32, .name = name, .name_len = 2 },
			NULL);
	else if (op % 6 == 4)
		world_scrub_all(world);
	else if (a && op % 6 == 3)
		arena_free_alloc(world->arena, &caller, a, true, NULL);
	else if (a && op % 6 == 2)
		arena_resize(world->arena, &caller, a, len + 1, NULL);
	else if (a && op % 6 == 1)
		arena_setattr(world->arena, &caller, a,
			      &(struct arena_attrs){ op / 6 & 7, 1000 + op % 2, 5, 0600 }, NULL);
	else if (a)
		arena_rename(world->arena, &caller, a, name, op % 5, NULL);
	if (op & 128)
		arena_settle(world->arena);
}

static bool is_online(const struct world *world)
{
	const char *reason;

	return arena_state(world->arena, &reason) == ARENA_ONLINE;
}

/* @trusted: the superblocks say where the zero map is. */
static void live(struct world *world, struct input *in, bool trusted)
{
	struct verdict verdict = { 0 };

	while (in->at < in->size)
		use(world, in);
	if (arena_settle(world->arena) < 0)
		fail("a settle failed", NULL);
	if (arena_check_memmap(world->arena, NULL, NULL) != 0)
		fail("two have the same space", NULL);
	if (!is_online(world) && arena_repair(world->arena, false, NULL, NULL) < 0)
		fail("a repair failed", NULL);
	if (!is_online(world))
		fail("a repair repaired nothing", NULL);
	arena_verify_step(world->arena, UINT32_MAX);    /* bytes that mean nothing are taken away */
	judge_check(&verdict, world);
	if (!verdict.failed && trusted)
		judge_free(&verdict, world, NULL, 0);
	if (verdict.failed)
		fail("after a repair", &verdict);
	verdict_fini(&verdict);
}

static void open_again(struct world *world)
{
	struct verdict verdict = { 0 };

	world_close(world);
	if (world_open(world) < 0)
		fail("it does not open again", NULL);
	if (!is_online(world))
		fail("it is damaged again", NULL);
	judge_check(&verdict, world);
	if (verdict.failed)
		fail("when it was opened again", &verdict);
	verdict_fini(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size, 0 };
	uint8_t flags = take(&in);
	const struct patient *p = &patients[flags % NR_PATIENTS];
	struct image *image = image_copy(p->image);
	struct world world;

	edit(image, p, &in, flags);
	spare_zero_map(image, p);
	world_init(&world, find_flavour(names[flags % NR_PATIENTS]), 1024);
	world.params.format = ARENA_FORMAT_NEVER;
	world_boot(&world, image);
	arena_check_device(&world.params, false, NULL, NULL, NULL, NULL);
	if (!image_equal(image, recorder_image(world.rec)))
		fail("an offline check has changed something", NULL);
	if (world_open(&world) == 0) {
		live(&world, &in, !(flags & 0x80));
		open_again(&world);
	}
	world_fini(&world);
	image_free(image);
	return 0;
}
