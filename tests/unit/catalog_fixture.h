/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the catalog share: a reader, as a process with a window would be, written from
 * lib/wire/window.h alone (it loads everything by acquire, so that ThreadSanitizer follows it), and
 * items of which every part follows from id and version, so that a mix of two shows.
 */
#ifndef PMEMARENA_TESTS_CATALOG_FIXTURE_H
#define PMEMARENA_TESTS_CATALOG_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/books/catalog.h"
#include "lib/wire/window.h"

struct seen {
	uint64_t word, id;
	uint32_t uid, gid;
	uint16_t mode;
	uint8_t name_len, flags;
	uint32_t nr_extents;
	char name[256];                 /* padded with zeroes */
	struct extent extents[1 + CATALOG_EXTRA_EXTENTS];       /* more than fit: the first */
	uint64_t attributes_len;
	uint8_t attributes[CATALOG_NOTE];
};

enum answer { FOUND, ABSENT, UNKNOWN };

/* UNKNOWN: there is no entry with this id, or it is being changed. */
enum answer read_slot(struct seen *seen, const void *map, uint32_t slot, uint64_t id);
/* ABSENT: nothing with this name was published at some instant of the call. */
enum answer read_name(struct seen *seen, const void *map, const char *name, uint8_t len);
/* Whatever is in the slot. */
enum answer read_any(struct seen *seen, const void *map, uint32_t slot);

uint32_t tag_of_name(const void *map, const char *name, uint8_t len);

struct made {
	struct catalog_item item;       /* its pointers lead to what follows; an id of 0: nothing */
	char name[256];
	struct extent extents[1 + CATALOG_EXTRA_EXTENTS + 1];
	uint8_t attributes[CATALOG_NOTE];
};

/* How many kinds of items there are: ids that differ by less are of different kinds. */
#define NR_KINDS 28u

/* Names of different ids differ. Some have none; some do not fit into an entry, or not at all. */
void make_item(struct made *made, uint32_t slot, uint64_t id, uint32_t version);
/* What of @seen is not as in @item, or NULL. */
const char *differs(const struct seen *seen, const struct catalog_item *item);

#endif
