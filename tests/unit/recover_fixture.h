/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover_fixture: an arena on a device-dax with its metadata on it, which the power may leave; and
 * what is on the device, byte by byte.
 */
#ifndef PMEMARENA_TESTS_RECOVER_FIXTURE_H
#define PMEMARENA_TESTS_RECOVER_FIXTURE_H

#include <endian.h>
#include <errno.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/books/ledger.h"
#include "daemon/books/table_slot.h"
#include "daemon/memmap/memmap.h"
#include "tests/unit/arena_fixture.h"

static inline void setup(void)
{
	setup_arena();
	fake_device_add(DEVICE_DAX, "dev", 64 * MiB, 2 * MiB);
	params = arena_params_for("device", 1024);
}

static inline void close_arena(void)
{
	arena_close(arena);
	arena = NULL;
	renew_quota();
}

/* The power goes, with nothing under way. */
static inline void boot(void)
{
	struct image *image = image_copy(recorder_image(rec));

	if (arena) {
		recorder_fail_from(rec, 0);
		close_arena();
	}
	recorder_load(rec, image);
	image_free(image);
	clear_dir();
}

static inline void rename_to(const char *from, const char *to)
{
	struct caller caller = caller_of(0);

	ck_assert_int_eq(arena_rename(arena, &caller, find(from), to, (uint8_t)strlen(to), &why),
			 0);
	ck_assert_int_eq(arena_settle(arena), 0);
}

static inline enum arena_state state(void)
{
	const char *reason;

	return arena_state(arena, &reason);
}

static inline void assert_repairs(void)
{
	struct alloc *alloc;

	ck_assert_int_eq(state(), ARENA_DAMAGED);
	ck_assert_int_eq(reserve(&alloc, "no", 4096, true), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why.text, "repair"));
	ck_assert_int_gt(arena_repair(arena, true, NULL, NULL), 0);
	ck_assert_int_eq(state(), ARENA_DAMAGED);
	ck_assert_int_gt(arena_repair(arena, false, NULL, NULL), 0);
	ck_assert_int_eq(state(), ARENA_ONLINE);
	assert_clean();
	ck_assert_int_eq(reserve(&alloc, "yes", 4096, true), 0);
	ck_assert_int_eq(arena_settle(arena), 0);
	boot();
	open_arena();
	ck_assert_int_eq(state(), ARENA_ONLINE);
	ck_assert_ptr_nonnull(find("yes"));
	assert_clean();
}

/* ---- bytes ---- */

static inline struct superblock superblock(void)
{
	uint8_t page[SUPERBLOCK_SIZE];
	struct superblock sb;

	image_read(recorder_image(rec), 0, 0, page, sizeof(page));
	ck_assert_int_eq(superblock_decode(&sb, page, NULL), SUPERBLOCK_GOOD);
	return sb;
}

static inline void put_superblock(const struct superblock *sb)
{
	uint8_t page[SUPERBLOCK_SIZE];

	superblock_encode(page, sb);
	image_write(recorder_image(rec), 0, 0, page, sizeof(page));
	image_write(recorder_image(rec), 0, sb->poison_unit, page, sizeof(page));
}

static inline void read_slot(uint8_t body[TABLE_SLOT_SIZE], uint32_t slot)
{
	image_read(recorder_image(rec), 0,
		   superblock().table_off[0] + (uint64_t)slot * TABLE_SLOT_SIZE, body,
		   TABLE_SLOT_SIZE);
}

/* Both copies, whole. */
static inline void write_slot(uint8_t body[TABLE_SLOT_SIZE], uint32_t slot)
{
	struct superblock sb = superblock();
	struct table *table;
	uint64_t word;
	uint32_t crc;

	ck_assert_int_eq(table_new(&table, NULL, &sb), 0);
	word = htole64(slot_live_word(table, slot));
	memcpy(body, &word, sizeof(word));
	crc = htole32(slot_crc(table, slot, body));
	memcpy(body + 8, &crc, sizeof(crc));
	for (int copy = 0; copy < 2; copy++)
		image_write(recorder_image(rec), 0, slot_off(table, copy, slot), body,
			    TABLE_SLOT_SIZE);
	table_free(table);
}

static inline void damage_slot(uint32_t slot)
{
	struct superblock sb = superblock();

	for (int copy = 0; copy < 2; copy++)
		image_zero(recorder_image(rec), 0,
			   sb.table_off[copy] + (uint64_t)slot * TABLE_SLOT_SIZE, TABLE_SLOT_SIZE);
}

static inline void put(uint8_t *body, unsigned at, unsigned len, uint64_t value)
{
	value = htole64(value);
	memcpy(body + at, &value, len);
}

#endif
