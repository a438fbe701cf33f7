/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scenario: what is recorded, and then explored: one operation alone after a short prelude, a
 * random history, a format, a table or a set of ids that runs full. A scenario's number says which,
 * on which flavour, and what its seed is.
 */
#ifndef PMEMARENA_SCENARIO_H
#define PMEMARENA_SCENARIO_H

#include "tests/crash/explorer.h"

struct scenario_params {
	uint64_t seed, number;
	/* NULL: by the number. what: an operation, "random", "format", "table", "ids" */
	const char *flavour, *what;
	uint64_t bound, sample;
	unsigned again;
	const char *only;
	bool stop, print;
	struct tally *tally;
};

/* After so many numbers every kind was there on every flavour. */
unsigned scenario_round(void);

/* Returns how many states failed. */
uint64_t scenario_run(const struct scenario_params *params);

#endif
