/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * judge: the power is back. Opens what is on the devices, and says in which way it breaks a
 * promise: acknowledged is there with its contents, unacknowledged is whole or absent, nothing
 * belongs to two, no id comes back, what is handed out reads as zeroes, check is clean.
 */
#ifndef PMEMARENA_JUDGE_H
#define PMEMARENA_JUDGE_H

#include "tests/crash/model.h"
#include "tests/crash/world.h"

struct verdict {
	bool     failed;
	char     text[640];            /* of the first failure */
	uint64_t opened;                /* the time at which it was open; 0: not yet */
	/* owned; the version of each object; NEVER: absent. NULL: it did not open */
	size_t *seen;
};

/*
 * @model as of @now. @seen (may be NULL): somebody saw these versions already, no others will do.
 * The world is booted with @image, opened and looked at, and left open with everything that was
 * free reserved and written to.
 */
void judge(struct verdict *verdict, struct world *world, const struct model *model, uint64_t now,
	   const size_t *seen, const struct image *image);
void verdict_fini(struct verdict *verdict);
/* Only the first counts. */
void verdict_fail(struct verdict *verdict, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The same in parts, of what is open: allocations and their contents; everything that is free,
 * after scrubbing it.
 */
void judge_objects(struct verdict *verdict, struct world *world, const struct model *model,
		   uint64_t now, const size_t *seen);
void judge_free(struct verdict *verdict, struct world *world, const struct model *model,
		uint64_t now);
/* Memory and media agree in the arena that is open. */
void judge_check(struct verdict *verdict, struct world *world);
/* What is open is an arena without any allocation, and all of it is free and clean. */
void judge_empty(struct verdict *verdict, struct world *world);

#endif
