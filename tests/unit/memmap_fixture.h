/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memmap_fixture: what the tests of the memmap share: one to test, its mappings as /proc tells
 * them, and what a plain page is.
 */
#ifndef PMEMARENA_MEMMAP_FIXTURE_H
#define PMEMARENA_MEMMAP_FIXTURE_H

#include "daemon/memmap/memmap.h"

#define GiB (UINT64_C(1) << 30)
#define MiB (UINT64_C(1) << 20)

struct memmap *new_memmap(uint64_t bytes, uint8_t order, uint32_t max_vmas);

uint64_t count_vmas(void);              /* of this process */
uint64_t count_fds(void);
/* of this process, by the memmap's account */
uint64_t vmas_of(const struct memmap *mm);

/*
 * The mappings of the tail plane one a line, relative to its start: two memmaps in the same state
 * say the same. The caller frees it.
 */
char *plane_text(const struct memmap *mm, uint64_t nr_pfns);
uint64_t count_lines(const char *text);

bool is_plain(const struct desc *desc);
void assert_plain_page(const struct memmap *mm, uint64_t page, uint8_t order);
void reset_tails(struct memmap *mm, uint64_t page, uint8_t order);
void settle(struct memmap *mm);         /* until nothing is left to do off the path */

/* The same numbers from the same seed, everywhere. */
void rnd_seed(uint64_t seed);
uint64_t rnd(uint64_t n);

/* @most, or what MEMMAP_STEPS says. */
uint64_t steps(uint64_t most);

#endif
