/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_fixture: media that records, a superblock that may be written to it, and forgeries of
 * one.
 */
#ifndef PMEMARENA_TESTS_SUPERBLOCK_FIXTURE_H
#define PMEMARENA_TESTS_SUPERBLOCK_FIXTURE_H

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/media/crc.h"
#include "daemon/media/superblock.h"
#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB  (UINT64_C(1) << 20)
#define GiB  (UINT64_C(1) << 30)
#define SIZE (64 * MiB)

/* Where FORMAT.md says that they are. */
enum {
	AT_MAGIC = 0,
	AT_CRC = 8,
	AT_VERSION = 12,
	AT_INCOMPAT = 16,
	AT_COMPAT = 32,
	AT_UUID = 40,
	AT_ORDER = 132,
	AT_DATA_OFF = 152,
	AT_NR_PAGES = 160,
	AT_NR_SLOTS = 168,
	AT_PER_CHUNK = 176,
	AT_NR_CHUNKS = 180,
	AT_TABLE = 184,
	AT_ZERO = 200,
	AT_MEMMAP = 216,
	AT_SEQ = 120,
	AT_UNIT = 232,
	AT_ID_LIMIT = 248,
	AT_WORDS = 320,
	AT_UNUSED = 384
};

static struct recorder *rec;
static struct device *device;
static struct media *media;
static struct superblock sb;
static struct why why;

static inline void open_media(uint64_t size, uint64_t align)
{
	const char *path = size == SIZE ? "dev" : "large";

	fake_device_add(align > 4096 ? DEVICE_DAX : DEVICE_FILE, path, size, align);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = path }, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, size, NULL), 0);
}

static inline void setup(void)
{
	rec = recorder_new();
	open_media(SIZE, 4096);
	sb = (struct superblock){
		.role = SUPERBLOCK_WHOLE,
		.name = "test",
		.seq = 41,
		.data_device_size = SIZE,
		.meta_device_size = SIZE,
		.data_off = 8 * MiB,
		.nr_pages = 28,
		.order = 9,
		.nr_slots = 2048,
		.slots_per_chunk = 1024,
		.nr_chunks = 1,
		.poison_unit = 2 * MiB,
		.id_limit = 7,
		.zero_off = { 2 * MiB + 4096, 4096 },
		.table_off = { 2 * MiB + 8192, 8192 },
		.unsafe_shutdowns = -1,
		.formatted_ns = 5,
	};
	memset(sb.uuid, 0xa5, sizeof(sb.uuid));
	why.text[0] = '\0';
}

static inline void close_media(void)
{
	media_close(media);
	device_close(device);
	fake_device_reset();
}

static inline void teardown(void)
{
	close_media();
	recorder_free(rec);
}

static inline int read_again(struct superblock *found, int *mended)
{
	return superblock_read(found, mended, media, 4096, false, &why);
}

static inline void flip(uint64_t off)
{
	uint8_t byte;

	ck_assert_int_eq(media_read(media, &byte, off, 1), 0);
	byte ^= 0x10;
	ck_assert_int_eq(media_store(media, off, &byte, 1), 0);
}

/* A whole page with a right checksum, and @value in it. */
static inline void forge(uint8_t page[SUPERBLOCK_SIZE], unsigned at, uint64_t value, unsigned len)
{
	uint64_t le = htole64(value);
	uint32_t crc;

	memcpy(page + at, &le, len);
	crc = htole32(crc32c(0, page + AT_VERSION, SUPERBLOCK_SIZE - AT_VERSION));
	memcpy(page + AT_CRC, &crc, sizeof(crc));
}

#endif
