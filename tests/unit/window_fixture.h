/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_fixture: a catalog and pins as the daemon makes them, written by hand, so that a test can
 * leave them in any state.
 */
#ifndef PMEMARENA_WINDOW_FIXTURE_H
#define PMEMARENA_WINDOW_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire/window.h"

#define PAPER_SLOTS   256u
#define PAPER_HEADS   256u
#define PAPER_EXTRAS  8u
#define PAPER_PAGE    (UINT64_C(2) << 20)

/* A catalog in a memfd. */
struct paper {
	int fd;                         /* owned */
	size_t size;
	struct catalog_header *header;
	uint32_t *heads;
	struct catalog_entry *entries;
	struct catalog_extra *extras;
};

void paper_init(struct paper *paper, uint64_t nr_buckets);
void paper_fini(struct paper *paper);
uint32_t paper_tag(const struct paper *paper, const char *name);
/*
 * Enters allocation @id in @slot: of uid and gid 0, mode 0644, version 1, one page at slot *
 * PAPER_PAGE; the caller may change that. @name NULL: none.
 */
struct catalog_entry *paper_put(struct paper *paper, uint32_t slot, uint64_t id, const char *name);
/* Puts the entry at the head of the chain of its tag. */
void paper_chain(struct paper *paper, uint32_t slot);

/* Pins in a memfd, sealed; *out is a mapping of it. The caller owns the descriptor and the mapping. */
int pins_new(struct pins_header **out, uint32_t nr_words, uint64_t window);
size_t pins_size(uint32_t nr_words);

static inline uint64_t *pins_words(struct pins_header *pins)
{
	return (uint64_t *)(void *)((char *)pins + PINS_HEADER);
}

#endif
