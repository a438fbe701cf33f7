/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_view: edits of a catalog, as a daemon that was killed, or is wrong, could leave it, and
 * lookups in it. Nothing is read behind the end of the file, every walk ends, and what is found has
 * the name or the id that was asked for.
 */
#include <config.h>

#include "lib/window/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NR_SLOTS 30u
#define SIZE     8192u
#define HEADS    192u
#define ENTRIES  256u
#define EXTRAS   (ENTRIES + NR_SLOTS * 128u)    /* 4096 */

#define must(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In words of 8 bytes: where, and what. */
struct edit {
	uint16_t at;
	uint8_t value[8];
};

static const char *name_of(uint32_t slot)
{
	static char name[100];
	size_t len = slot % 2 ? 70 : 9;

	memset(name, 'a' + (int)slot, len);
	name[len] = '\0';
	return name;
}

static void enter(char *file, uint32_t slot)
{
	struct catalog_header *header = (void *)file;
	struct catalog_entry *entry = (void *)(file + ENTRIES + slot * 128);
	struct catalog_extra *extras = (void *)(file + EXTRAS);
	uint32_t *heads = (void *)(file + HEADS), *head;
	const char *name = name_of(slot);

	*entry = (struct catalog_entry){ .word = pins_word(slot, 1),
					 .id = slot + 100,
					 .name_len = (uint8_t)strlen(name),
					 .nr_extents = slot % 3 + 1,
					 .off = slot * UINT64_C(4096),
					 .len = 4096 };
	entry->tag = (uint32_t)XXH3_64bits_withSeed(name, strlen(name), header->seed);
	if (strlen(name) > CATALOG_INLINE_NAME) {
		entry->extra = slot % 8 + 1;
		strcpy(extras[entry->extra - 1].name, name);
	} else {
		memcpy(entry->name, name, strlen(name));
	}
	head = &heads[catalog_bucket(entry->tag, header->nr_buckets)];
	entry->next = *head;
	*head = slot + 1;
}

static void fill(char *file)
{
	memset(file, 0, SIZE);
	*(struct catalog_header *)(void *)file = (struct catalog_header){
		.magic = CATALOG_MAGIC,
		.layout = CATALOG_LAYOUT,
		.entry_bytes = sizeof(struct catalog_entry),
		.nr_slots = NR_SLOTS,
		.heads_off = HEADS,
		.entries_off = ENTRIES,
		.extras_off = EXTRAS,
		.nr_extras = 8,
		.seed = 3,
		.nr_buckets = 5,
		.nr_backed = NR_SLOTS,
	};
	for (uint32_t slot = 0; slot < 8; slot++)
		enter(file, slot);
}

static bool has_name(const struct view *view, const struct sight *sight, const char *name)
{
	const struct catalog_entry *entry = &view->entries[sight->slot];
	size_t len = strlen(name);

	if (entry->name_len != len)
		return false;
	return memcmp(len > CATALOG_INLINE_NAME ? view->extras[entry->extra - 1].name
						: entry->name,
		      name, len) == 0;
}

static void check(const struct view *view, const struct sight *sight)
{
	struct wire_extent more[CATALOG_EXTRA_EXTENTS];

	must(sight->slot < view->nr_slots && sight->id != 0);
	must(sight->word >> 32 == (uint64_t)sight->slot + 1);
	must(view_is_same(view, sight));
	if (sight->nr_extents > 1)
		(void)view_more_extents(more, view, sight);
}

static void look_up(const struct view *view)
{
	struct sight sight;

	for (uint32_t slot = 0; slot < 10; slot++) {
		const char *name = name_of(slot);
		uint32_t tag = view_tag(view, name, strlen(name));

		view_fetch_head(view, tag);
		view_fetch_entry(view, tag);
		if (view_find_name(&sight, view, tag, name, strlen(name)) == VIEW_FOUND) {
			check(view, &sight);
			must(has_name(view, &sight, name));
		}
	}
	for (uint32_t slot = 0; slot < NR_SLOTS + 2; slot++) {
		if (view_find_id(&sight, view, slot, slot + 100) == VIEW_FOUND) {
			check(view, &sight);
			must(sight.id == slot + 100);
		}
	}
}

static void edit(char *file, const uint8_t *data, size_t size)
{
	struct edit one;

	for (; size >= 10; data += 10, size -= 10) {
		memcpy(&one.at, data, 2);
		memcpy(one.value, data + 2, 8);
		memcpy(file + one.at % (SIZE / 8) * 8, one.value, 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why;
	struct view *view;
	char *file;
	int fd = memfd_create("catalog", MFD_CLOEXEC);
	size_t half = size / 20 * 10;

	must(fd >= 0 && ftruncate(fd, SIZE) == 0);
	file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(file != MAP_FAILED);
	fill(file);
	/* One half before it is mapped, and the other one while it is. */
	edit(file, data, half);
	if (view_new(&view, fd, &why) == 0) {
		look_up(view);
		edit(file, data + half, size - half);
		look_up(view);
		view_free(view);
	}
	munmap(file, SIZE);
	close(fd);
	return 0;
}
