/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explorer: walks along a recorded log, has every state that a power cut may leave judged, and
 * sometimes cuts the recovery itself. What to expect is the judge's business.
 */
#ifndef PMEMARENA_EXPLORER_H
#define PMEMARENA_EXPLORER_H

#include <stdatomic.h>

#include "tests/crash/judge.h"
#include "tests/crash/world.h"

/* Shared by all processes of a campaign. */
struct tally {
	/* again: states of recoveries that were cut */
	atomic_ullong histories, points, states, again, failures;
	bool leaks;                     /* the process lost memory to kills: no leak check */
	char where[320];                /* of the process that is at work: to be said if it dies */
};

/* Boot the world with @image, look, leave it open or not. @seen as in judge(). */
typedef void judge_fn(struct verdict *verdict, void *arg, uint64_t now, const size_t *seen,
		      const struct image *image);

struct explorer {
	struct world *world;            /* borrowed, as all else */
	judge_fn *judge;
	void *arg;
	uint64_t seed;
	uint64_t bound, sample;         /* states.h */
	unsigned again;                 /* one recovery in so many is cut, too; 0: none */
	/* "POINT:STATE" or "POINT:STATE/POINT:STATE": this one, in words; NULL: all */
	const char *only;
	const char *title;
	bool stop;                      /* at the first failure */
	bool keeps_copies;              /* a cut is all that happens: no copy is lost besides */
	struct tally *tally;
};

/*
 * Judge the world's log from entry @from on. The arena was closed or killed. The log is lost.
 * Returns how many states failed; they are described on stderr.
 */
uint64_t explore(struct explorer *explorer, size_t from);

#endif
