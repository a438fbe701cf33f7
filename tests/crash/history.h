/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history: what the clients of one arena do, drawn from a seed, and written into a model as it
 * happens. Everything that a request can change is done, alone or in batches, with scrubs, kills
 * and restarts of the daemon in between.
 */
#ifndef PMEMARENA_HISTORY_H
#define PMEMARENA_HISTORY_H

#include "tests/crash/mapped.h"
#include "tests/crash/model.h"
#include "tests/crash/world.h"

enum history_op {
	OP_RESERVE,
	OP_CREATE,
	OP_PUBLISH,
	OP_ABORT,
	OP_FREE,
	OP_RENAME,
	OP_GROW,
	OP_SHRINK,
	OP_SETATTR,
	OP_POISON,
	OP_CARVE,
	OP_WRITE,
	OP_CLOSE,
	OP_SCRUB,
	OP_SETTLE,
	OP_TICK,
	OP_RESTART,
	OP_KILL,
	/* Alone only. In random histories they would change what all numbers mean. */
	OP_REPLACE,
	OP_ATTRIBUTES,
	OP_EVICT,
	OP_BUNDLE,
	OP_CONTENTS,
	NR_OPS
};

const char *history_op_name(enum history_op op);

struct history {
	struct world *world;            /* borrowed; open */
	struct model *model;            /* borrowed */
	uint64_t seed;
	bool print;                     /* each step, to stdout */
	uint8_t  released_len;          /* the name that was last given up, and how many bytes */
	char     released[ALLOC_MAX_NAME];
	uint64_t released_bytes;
	struct mapped mapped;           /* owned; history_fini() */
	unsigned nr_failures;           /* the daemon did what it must not; said on stderr */
};

/* One allocation takes most of the space. */
void history_crowd(struct history *history);
/*
 * A new allocation as large, and with the name, as what was last released; small when there is no
 * room. false: refused.
 */
bool history_reuse(struct history *history);
/* @nr steps of all kinds, settled at the end. */
void history_run(struct history *history, unsigned nr);
/* One operation; false when there is nothing it could be done to. Not settled. */
bool history_step(struct history *history, enum history_op op);
/* The client has nothing open any more. */
void history_close_all(struct history *history);
/* What was staged is durable, and everybody is told. */
void history_settle(struct history *history);

void history_fini(struct history *history);

uint64_t history_random(uint64_t *seed, uint64_t n);    /* < n */

#endif
