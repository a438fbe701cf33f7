/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_fixture: the loads of a reader, in their order; items.
 */
#include <config.h>

#include "tests/unit/catalog_fixture.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define LOAD_64(at) le64toh(__atomic_load_n(&(at), __ATOMIC_ACQUIRE))
#define LOAD_32(at) le32toh(__atomic_load_n(&(at), __ATOMIC_ACQUIRE))
#define LOAD_16(at) le16toh(__atomic_load_n(&(at), __ATOMIC_ACQUIRE))
#define LOAD_8(at)  __atomic_load_n(&(at), __ATOMIC_ACQUIRE)

typedef const uint64_t __attribute__((may_alias)) text_word;

static void load_text(char *to, const char *from, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		uint64_t part = __atomic_load_n((text_word *)(const void *)(from + at),
						__ATOMIC_ACQUIRE);

		memcpy(to + at, &part, 8);
	}
}

static const struct catalog_entry *entry_of(const void *map, uint32_t slot)
{
	const struct catalog_header *header = map;

	return (const void *)((const char *)map + le64toh(header->entries_off) +
			      (uint64_t)slot * sizeof(struct catalog_entry));
}

/* The extra of an entry, if its number is one that may be followed. */
static const struct catalog_extra *extra_of(const void *map, uint32_t nr)
{
	const struct catalog_header *header = map;

	if (!nr || nr > le64toh(header->nr_extras))
		return NULL;
	return (const void *)((const char *)map + le64toh(header->extras_off) +
			      (uint64_t)(nr - 1) * sizeof(struct catalog_extra));
}

static void load_extents(struct seen *seen, const struct catalog_entry *entry,
			 const struct catalog_extra *extra)
{
	seen->extents[0].off = LOAD_64(entry->off);
	seen->extents[0].len = LOAD_64(entry->len);
	if (!extra || seen->nr_extents > 1 + CATALOG_EXTRA_EXTENTS)
		return;
	for (uint32_t i = 1; i < seen->nr_extents; i++) {
		seen->extents[i].off = LOAD_64(extra->extents[i - 1].off);
		seen->extents[i].len = LOAD_64(extra->extents[i - 1].len);
	}
}

static void load_note(struct seen *seen, const struct catalog_note *note)
{
	uint64_t len = LOAD_64(note->len);

	seen->attributes_len = len;
	for (size_t at = 0; at < len && at < sizeof(seen->attributes); at += 8) {
		uint64_t word = __atomic_load_n(&note->words[at / 8], __ATOMIC_ACQUIRE);

		memcpy(seen->attributes + at, &word, sizeof(word));
	}
}

static enum answer read_entry(struct seen *seen, const void *map,
			      const struct catalog_entry *entry)
{
	const struct catalog_extra *extra, *extra_of_note;

	memset(seen, 0, sizeof(*seen));
	seen->id = LOAD_64(entry->id);
	seen->word = LOAD_64(entry->word);
	seen->uid = LOAD_32(entry->uid);
	seen->gid = LOAD_32(entry->gid);
	seen->mode = LOAD_16(entry->mode);
	seen->name_len = LOAD_8(entry->name_len);
	seen->flags = LOAD_8(entry->flags);
	seen->nr_extents = LOAD_32(entry->nr_extents);
	extra = extra_of(map, LOAD_32(entry->extra));
	load_extents(seen, entry, extra);
	extra_of_note = extra_of(map, LOAD_32(entry->note));
	if (extra_of_note)
		load_note(seen, (const void *)extra_of_note);
	if (seen->name_len <= CATALOG_INLINE_NAME)
		load_text(seen->name, entry->name, CATALOG_INLINE_NAME);
	else if (extra)
		load_text(seen->name, extra->name, CATALOG_EXTRA_NAME);
	return seen->word && LOAD_64(entry->word) == seen->word && LOAD_64(entry->id) == seen->id
		       ? FOUND
		       : UNKNOWN;
}

enum answer read_any(struct seen *seen, const void *map, uint32_t slot)
{
	const struct catalog_header *header = map;

	return slot < LOAD_64(header->nr_backed) ? read_entry(seen, map, entry_of(map, slot))
						 : UNKNOWN;
}

enum answer read_slot(struct seen *seen, const void *map, uint32_t slot, uint64_t id)
{
	return read_any(seen, map, slot) == FOUND && seen->id == id ? FOUND : UNKNOWN;
}

uint32_t tag_of_name(const void *map, const char *name, uint8_t len)
{
	const struct catalog_header *header = map;

	return (uint32_t)XXH3_64bits_withSeed(name, len, le64toh(header->seed));
}

static bool is_named(const struct seen *seen, const char *name, uint8_t len)
{
	return seen->name_len == len && memcmp(seen->name, name, len) == 0;
}

enum answer read_name(struct seen *seen, const void *map, const char *name, uint8_t len)
{
	const struct catalog_header *header = map;
	const uint32_t *heads = (const void *)((const char *)map + le64toh(header->heads_off));
	uint64_t changes = LOAD_64(header->changes), nr_buckets = LOAD_64(header->nr_buckets);
	uint32_t tag = tag_of_name(map, name, len), link;

	if (!nr_buckets || LOAD_32(header->layout) != CATALOG_LAYOUT)
		return UNKNOWN;
	link = LOAD_32(heads[catalog_bucket(tag, nr_buckets)]);
	for (uint32_t n = 0; link && n < CATALOG_CHAIN; n++) {
		const struct catalog_entry *entry = entry_of(map, link - 1);

		if (LOAD_32(entry->tag) == tag && read_entry(seen, map, entry) == FOUND &&
		    is_named(seen, name, len))
			return FOUND;
		link = LOAD_32(entry->next);
	}
	return !link && changes % 2 == 0 && LOAD_64(header->changes) == changes ? ABSENT : UNKNOWN;
}

/* ---- items ---- */

static const uint8_t name_lens[] = { 17, 0, 24, 63, 64, 65, 255 };
static const uint16_t attributes_lens[] = { 0, 9, 256, 0, 64 };
static const uint32_t nr_extents[] = { 1, 2, 1 + CATALOG_EXTRA_EXTENTS,
				       1 + CATALOG_EXTRA_EXTENTS + 1 };

void make_item(struct made *made, uint32_t slot, uint64_t id, uint32_t version)
{
	uint64_t mixed = id * 31 + version;

	memset(made, 0, sizeof(*made));
	made->item = (struct catalog_item){
		.slot = slot,
		.version = version,
		.id = id,
		.uid = (uint32_t)(mixed * 7),
		.gid = (uint32_t)(mixed * 11),
		.mode = (uint32_t)(mixed * 13) & 0666,
		.is_poisoned = mixed % 5 == 0,
		.name_len = name_lens[id % 7],
		.name = made->name,
		.extents = made->extents,
		.nr_extents = nr_extents[id % 4],
		.attributes = made->attributes,
		.attributes_len = attributes_lens[mixed % 5],
	};
	for (uint32_t i = 0; i < CATALOG_NOTE; i++)
		made->attributes[i] = (uint8_t)(mixed + i * 5);
	for (uint32_t i = 0; i < 255; i++)
		made->name[i] = (char)(1 + (id + i * 3) % 255);
	snprintf(made->name, sizeof(made->name), "%016llx", (unsigned long long)id);
	made->name[16] = (char)(1 + version % 255);
	for (uint32_t i = 0; i < made->item.nr_extents; i++)
		made->extents[i] = (struct extent){ (mixed * 32 + i) << 12, (mixed + i) << 12 };
}

const char *differs(const struct seen *seen, const struct catalog_item *item)
{
	uint32_t nr = item->nr_extents > 1 + CATALOG_EXTRA_EXTENTS ? 1 : item->nr_extents;

	if (seen->word != pins_word(item->slot, item->version))
		return "word";
	if (seen->id != item->id)
		return "id";
	if (seen->uid != item->uid || seen->gid != item->gid || seen->mode != item->mode)
		return "owner and mode";
	if (seen->flags != (item->is_poisoned ? CATALOG_POISONED : 0))
		return "flags";
	if (!is_named(seen, item->name, item->name_len))
		return "name";
	for (uint32_t i = item->name_len; i < sizeof(seen->name); i++)
		if (seen->name[i])
			return "padding";
	if (seen->nr_extents != item->nr_extents)
		return "number of extents";
	if (memcmp(seen->extents, item->extents, nr * sizeof(struct extent)) != 0)
		return "extents";
	if (seen->attributes_len != item->attributes_len)
		return "number of attributes";
	if (item->attributes_len == 0)
		return NULL;
	return memcmp(seen->attributes, item->attributes, item->attributes_len) ? "attributes" : NULL;
}
