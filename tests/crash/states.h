/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * states: which of the states that a power cut may leave at one point are looked at. Few open
 * lines: every subset, in all versions. Many: nothing, everything, one line alone, all but one, and
 * a seeded sample. Some of them are torn. And in some, one copy of everything that is kept twice is
 * lost as well.
 */
#ifndef PMEMARENA_STATES_H
#define PMEMARENA_STATES_H

#include "tests/standin/cut.h"

struct states {
	const struct cut *cut;          /* borrowed; stands still meanwhile */
	uint64_t seed;
	uint64_t nr_all;                /* subsets; 0: more than the bound */
	uint64_t nr;                    /* states number 0 .. nr - 1 */
	bool     lose;                  /* the last two of them have lost a copy */
};

/*
 * @bound: so many subsets are few. @sample: how many are drawn beyond, or torn. @lose: two that
 * have lost a copy, too.
 */
void states_init(struct states *states, const struct cut *cut, uint64_t seed, uint64_t bound,
		 uint64_t sample, bool lose);
bool states_has_lost(const struct states *states, uint64_t number);
/* The caller frees it. */
struct image *states_image(const struct states *states, uint64_t number);
/* The choice of lines in words, to stderr. */
void states_print(const struct states *states, uint64_t number);

/*
 * One copy of all metadata of the devices (0 or 1) is lost: zeroes, or junk when @junk. Nothing if
 * the other copy is not whole.
 */
void states_lose_copy(struct image *image, int copy, bool junk);

/* Is it enough to look before this entry? */
bool states_is_point(const struct recorder_entry *next);

#endif
