/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_stage: a catalog in a folder of its own, and what a reader must find there.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "tests/unit/catalog_stage.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const uint8_t catalog_uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
			   1,	 2,    3,    4,	   5,	 6,    7,    8 };
static const char file_name[] = "12345678-9abc-def0-0102-030405060708.catalog";

bool is_full;
int nr_allocated, nr_callocs, failing_calloc;

int __real_posix_fallocate(int fd, off_t off, off_t len);
int __wrap_posix_fallocate(int fd, off_t off, off_t len);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

int __wrap_posix_fallocate(int fd, off_t off, off_t len)
{
	nr_allocated++;
	return is_full ? ENOSPC : __real_posix_fallocate(fd, off, len);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return ++nr_callocs == failing_calloc ? NULL : __real_calloc(nr, size);
}

char catalog_dir[64], catalog_path[128];
struct catalog *catalog;
const void *map;                        /* as a process with a window has it */
uint64_t map_bytes;
struct why catalog_why;

void catalog_open_again(const uint8_t id[16], uint64_t nr_slots)
{
	catalog_close(catalog);
	catalog = NULL;
	if (map)
		munmap((void *)(uintptr_t)map, map_bytes);
	catalog_why.text[0] = '\0';
	if (catalog_open(&catalog, catalog_dir, id, nr_slots, &catalog_why) < 0)
		ck_abort_msg("%s", catalog_why.text);
	map_bytes = catalog_bytes(catalog);
	map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, catalog_fd(catalog), 0);
	ck_assert(map != MAP_FAILED);
}

void catalog_stage_begin(void)
{
	is_full = false;
	failing_calloc = 0;
	catalog = NULL;
	map = NULL;
	strcpy(catalog_dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_catalog.XXXXXX"
						  : "/tmp/test_catalog.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(catalog_dir));
	snprintf(catalog_path, sizeof(catalog_path), "%s/%s", catalog_dir, file_name);
	catalog_open_again(catalog_uuid, NR_SLOTS);
	catalog_ready(catalog);
}

void catalog_stage_end(void)
{
	catalog_close(catalog);
	unlink(catalog_path);
	ck_assert_int_eq(rmdir(catalog_dir), 0);
}

const struct catalog_header *header(void)
{
	return map;
}

uint64_t changes(void)
{
	return le64toh(header()->changes);
}

void expect_found(const struct catalog_item *item)
{
	struct seen seen;
	const char *wrong;

	ck_assert_int_eq(read_slot(&seen, map, item->slot, item->id), FOUND);
	wrong = differs(&seen, item);
	ck_assert_msg(!wrong, "by handle, slot %u: another %s", item->slot, wrong);
	if (!item->name_len)
		return;
	ck_assert_int_eq(read_name(&seen, map, item->name, item->name_len), FOUND);
	wrong = differs(&seen, item);
	ck_assert_msg(!wrong, "by name, slot %u: another %s", item->slot, wrong);
}

enum answer answer_to(const char *name, uint8_t len)
{
	struct seen seen;

	return read_name(&seen, map, name, len);
}

void expect_none(uint32_t slot)
{
	struct seen seen;

	ck_assert_int_eq(read_any(&seen, map, slot), UNKNOWN);
}

void expect_gone(const struct catalog_item *item)
{
	struct seen seen;

	ck_assert_int_eq(read_slot(&seen, map, item->slot, item->id), UNKNOWN);
	if (item->name_len)
		ck_assert_int_eq(answer_to(item->name, item->name_len), ABSENT);
}

void put_plain(struct made *made, uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(made, slot, id, version);
	made->item.attributes_len = 0;
	ck_assert_int_eq(catalog_put(catalog, &made->item), 0);
}

void put_made(struct made *made, uint32_t slot, uint64_t id, uint32_t version)
{
	make_item(made, slot, id, version);
	ck_assert_int_eq(catalog_put(catalog, &made->item), 0);
}

static struct extent one_extent = { 4096, 8192 };

struct catalog_item named(uint32_t slot, const char *name, size_t len)
{
	return (struct catalog_item){
		.slot = slot, .version = 1, .id = slot + 1, .uid = 1, .gid = 2, .mode = 0600,
		.name = name, .name_len = (uint8_t)len, .extents = &one_extent, .nr_extents = 1,
	};
}

void put_numbers(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		char name[16];
		struct catalog_item item =
			named(i, name, (size_t)snprintf(name, sizeof(name), "n%u", i));

		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
}

/* How many of the names from @from to @to are answered with @answer. */
uint32_t count_numbers(uint32_t from, uint32_t to, enum answer answer)
{
	uint32_t nr = 0;

	for (uint32_t i = from; i < to; i++) {
		char name[16];
		struct catalog_item item =
			named(i, name, (size_t)snprintf(name, sizeof(name), "n%u", i));
		struct seen seen;
		enum answer got = read_name(&seen, map, name, item.name_len);

		nr += got == answer && (got != FOUND || !differs(&seen, &item));
	}
	return nr;
}
