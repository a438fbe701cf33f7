/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all tests of the ledger need: one that is open, a place for a copy of its file, items of
 * each kind, and all that a ledger says as a text that can be compared.
 */
#ifndef PMEMARENA_TESTS_LEDGER_FIXTURE_H
#define PMEMARENA_TESTS_LEDGER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/books/ledger.h"

#define TEXT_MAX 8192

#define ENTRY  64                       /* bytes of an entry of the file */
#define HEADER 4096                     /* what is before the first */

static const uint8_t ledger_uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
					 1,    2,    3,	   4,	 5,    6,    7,	   8 };

extern char dir[64], copy_dir[64];              /* copy_dir has no ledger of its own */
extern char path[128], copy_path[128];          /* of the ledgers in them */
extern struct ledger *ledger;                   /* in dir */
extern struct why why;

void setup(void);
void teardown(void);
struct ledger *open_in(const char *where);
void reopen(void);
/* Overwrites a part of the file in dir. */
void patch(uint64_t off, const void *src, size_t len);
off_t size_of(const char *file);

uint32_t add_holder(struct ledger *l, uint64_t session, uint32_t uid);
uint32_t add_hold(struct ledger *l, uint64_t session, uint64_t id, bool read_only);

uint32_t add_deed(struct ledger *l, uint64_t session, uint64_t key, uint64_t id);

/* What a range of this id says of itself; fills `extents` and `name` accordingly. */
struct ledger_range make_range(uint64_t id);
extern struct extent extents[LEDGER_MAX_EXTENTS];
extern char name[LEDGER_MAX_NAME];
uint32_t add_range(struct ledger *l, uint64_t id, uint32_t nr_extents, uint8_t name_len);

bool find_item(struct ledger_item *item, uint32_t entry);        /* false: there is none */
bool is_lent(uint32_t entry);           /* of a hold that is there */

void state_text(char out[TEXT_MAX], struct ledger *l);
void expect_state(const char *expected);

#endif
