/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_stage: what the tests of one catalog share: the catalog in a folder of its own, a mapping
 * of it as a process with a window has it, and what a reader must find there. The file system can
 * be made full and memory short: a test links with --wrap=posix_fallocate,--wrap=calloc.
 */
#ifndef PMEMARENA_TESTS_CATALOG_STAGE_H
#define PMEMARENA_TESTS_CATALOG_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/books/catalog.h"
#include "lib/wire/why.h"
#include "tests/unit/catalog_fixture.h"

#define NR_SLOTS 200000u

extern const uint8_t catalog_uuid[16];          /* of the arena */
extern bool is_full;                    /* posix_fallocate() fails with ENOSPC */
extern int nr_allocated, nr_callocs;    /* calls of posix_fallocate() and calloc() */
extern int failing_calloc;              /* the number of the calloc() that fails; 0: none */

extern char catalog_dir[64], catalog_path[128];         /* the folder, and the file in it */
extern struct catalog *catalog;
extern const void *map;
extern uint64_t map_bytes;
extern struct why catalog_why;                  /* of the last catalog_open() */

/* Before and after each case: a catalog that is ready. */
void catalog_stage_begin(void);
void catalog_stage_end(void);
/* The daemon closes the catalog, and the next one opens it for an arena @id of @nr_slots slots. */
void catalog_open_again(const uint8_t id[16], uint64_t nr_slots);

const struct catalog_header *header(void);
uint64_t changes(void);                 /* how many there were, as the header says */

/* A reader finds @item, by handle and by name, as it is. */
void expect_found(const struct catalog_item *item);
/* A reader finds @item neither by its handle nor by its name. */
void expect_gone(const struct catalog_item *item);
/* No reader finds anything in @slot. */
void expect_none(uint32_t slot);
enum answer answer_to(const char *name, uint8_t len);

/* Both put an item as make_item() makes it; put_plain() one without attributes. */
void put_plain(struct made *made, uint32_t slot, uint64_t id, uint32_t version);
void put_made(struct made *made, uint32_t slot, uint64_t id, uint32_t version);
/* An item of one extent, with a name. */
struct catalog_item named(uint32_t slot, const char *name, size_t len);
/* Puts a named item into each slot from @from to @to - 1; counts those with that answer. */
void put_numbers(uint32_t from, uint32_t to);
uint32_t count_numbers(uint32_t from, uint32_t to, enum answer answer);

#endif
