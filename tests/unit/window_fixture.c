/* SPDX-License-Identifier: BSD-3-Clause */
/* window_fixture: the layout of lib/wire/window.h, with room for a few. */
#include <config.h>

#include "tests/unit/window_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static void *new_file(int *fd, const char *name, size_t size)
{
	void *memory;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(*fd, 0);
	ck_assert_int_eq(ftruncate(*fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

void paper_init(struct paper *paper, uint64_t nr_buckets)
{
	size_t heads = 4096, entries = heads + PAPER_HEADS * sizeof(uint32_t),
	       extras = entries + PAPER_SLOTS * sizeof(struct catalog_entry);
	char *memory;

	paper->size = extras + PAPER_EXTRAS * sizeof(struct catalog_extra);
	memory = new_file(&paper->fd, "catalog", paper->size);
	paper->header = (void *)memory;
	paper->heads = (void *)(memory + heads);
	paper->entries = (void *)(memory + entries);
	paper->extras = (void *)(memory + extras);
	*paper->header = (struct catalog_header){
		.magic = CATALOG_MAGIC,
		.layout = CATALOG_LAYOUT,
		.entry_bytes = sizeof(struct catalog_entry),
		.nr_slots = PAPER_SLOTS,
		.heads_off = heads,
		.entries_off = entries,
		.extras_off = extras,
		.nr_extras = PAPER_EXTRAS,
		.seed = 4711,
		.nr_buckets = nr_buckets,
		.nr_backed = PAPER_SLOTS,
	};
}

void paper_fini(struct paper *paper)
{
	munmap(paper->header, paper->size);
	close(paper->fd);
}

uint32_t paper_tag(const struct paper *paper, const char *name)
{
	return (uint32_t)XXH3_64bits_withSeed(name, strlen(name), paper->header->seed);
}

void paper_chain(struct paper *paper, uint32_t slot)
{
	struct catalog_entry *entry = &paper->entries[slot];
	uint32_t *head = &paper->heads[catalog_bucket(entry->tag, paper->header->nr_buckets)];

	entry->next = *head;
	*head = slot + 1;
}

struct catalog_entry *paper_put(struct paper *paper, uint32_t slot, uint64_t id, const char *name)
{
	struct catalog_entry *entry = &paper->entries[slot];
	size_t len = name ? strlen(name) : 0;

	*entry = (struct catalog_entry){
		.word = pins_word(slot, 1),
		.id = id,
		.tag = name ? paper_tag(paper, name) : 0,
		.mode = 0644,
		.name_len = (uint8_t)len,
		.nr_extents = 1,
		.off = slot % 32 * PAPER_PAGE,
		.len = PAPER_PAGE,
	};
	if (len > CATALOG_INLINE_NAME) {
		entry->extra = slot % PAPER_EXTRAS + 1;
		memset(&paper->extras[entry->extra - 1], 0, sizeof(*paper->extras));
		memcpy(paper->extras[entry->extra - 1].name, name, len);
	} else if (name) {
		memcpy(entry->name, name, len);
	}
	if (name)
		paper_chain(paper, slot);
	return entry;
}

size_t pins_size(uint32_t nr_words)
{
	return PINS_HEADER + nr_words * sizeof(uint64_t);
}

int pins_new(struct pins_header **out, uint32_t nr_words, uint64_t window)
{
	struct pins_header *pins;
	int fd;

	pins = new_file(&fd, "pins", pins_size(nr_words));
	pins->magic = PINS_MAGIC;
	pins->layout = PINS_LAYOUT;
	pins->nr_words = nr_words;
	pins->window = window;
	pins->state = PINS_ALL_GROUPS;
	*out = pins;
	return fd;
}
