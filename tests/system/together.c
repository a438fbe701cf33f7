/* SPDX-License-Identifier: BSD-3-Clause */
/* pma_run_together() through the library, with the real daemon. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

#include "tests/system/check.h"

#define PAGE (UINT64_C(2) << 20)
#define NR   8

static const char *const names[NR] = { "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7" };

/* A checkpoint in shards takes the place of the one before it, all of them at once. */
static void checkpoint(struct pma *pma, enum pma_opcode first)
{
	struct pma_op ops[NR] = { 0 };
	struct pma_info info;

	for (unsigned i = 0; i < NR; i++)
		ops[i] = (struct pma_op){ .opcode = first,
					  .len = PAGE,
					  .name = first == PMA_OP_CREATE ? names[i] : NULL };
	OK(pma_run_together(pma, ops, NR));
	for (unsigned i = 0; i < NR && first == PMA_OP_RESERVE; i++) {
		ops[i].opcode = PMA_OP_PUBLISH;
		ops[i].name = names[i];
		ops[i].flags = PMA_REPLACE;
	}
	if (first == PMA_OP_RESERVE)
		OK(pma_run_together(pma, ops, NR));
	for (unsigned i = 0; i < NR; i++) {
		CHECK(ops[i].result == 0);
		OK(pma_stat_name(&info, pma, 0, names[i]));
		CHECK(info.handle.id == ops[i].handle.id && !info.is_reserved);
		OK(pma_close(pma, ops[i].handle));
	}
}

/* The one that is to blame has the error and the sentence, and nothing was done. */
static void refusals(struct pma *pma)
{
	char messages[3][PMA_MAX_MESSAGE];
	struct pma_op ops[3] = { { .opcode = PMA_OP_FREE, .name = "s0" },
				 { .opcode = PMA_OP_FREE, .name = "nothing" },
				 { .opcode = PMA_OP_FREE, .name = "s1" } };
	struct pma_info info;

	for (unsigned i = 0; i < 3; i++)
		ops[i].message = messages[i];
	CHECK(pma_run_together(pma, ops, 3) == -ENOENT);
	CHECK(ops[0].result == -ECANCELED && ops[1].result == -ENOENT &&
	      ops[2].result == -ECANCELED);
	CHECK(strstr(messages[1], "\"nothing\"") && strstr(messages[2], "item 1"));
	OK(pma_stat_name(&info, pma, 0, "s0"));
	ops[1].flags = PMA_REPLACE;
	CHECK(pma_run_together(pma, ops, 3) == -EINVAL && ops[0].result == -ECANCELED);
	CHECK(strstr(messages[1], "mean nothing here"));
	ops[1] = (struct pma_op){ .opcode = PMA_OP_STAT, .name = "s0" };
	CHECK(pma_run_together(pma, ops, 3) == -EINVAL && strstr(pma_message(), "kind"));
	ops[0].opcode = PMA_OP_STAT;
	CHECK(pma_run_together(pma, ops, 3) == -EINVAL && strstr(pma_message(), "reserve"));
	OK(pma_run_together(pma, ops, 0));
}

/* What is too much is refused before anything is sent. */
static void too_many(struct pma *pma)
{
	struct pma_op *ops = calloc(PMA_MAX_BATCH + 1, sizeof(*ops));
	char attributes[PMA_MAX_ATTRIBUTES] = "x";

	CHECK(ops);
	for (unsigned i = 0; i <= PMA_MAX_BATCH; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_CREATE,
					  .len = 4096,
					  .attributes = attributes,
					  .attributes_len = sizeof(attributes) };
	CHECK(pma_run_together(pma, ops, PMA_MAX_BATCH + 1) == -EINVAL);
	CHECK(pma_run_together(pma, ops, PMA_MAX_BATCH) == -EMSGSIZE);
	CHECK(ops[0].result == -ECANCELED && strstr(pma_message(), "one message"));
	OK(pma_run_together(pma, ops, 100));
	for (unsigned i = 0; i < 100; i++) {
		ops[i].opcode = PMA_OP_FREE;
		ops[i].attributes_len = 0;
	}
	OK(pma_run_together(pma, ops, 100));
	free(ops);
}

/* All are closed with the free, as by pma_free(). */
static void end(struct pma *pma)
{
	struct pma_op ops[NR] = { 0 };

	for (unsigned i = 0; i < NR; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_FREE, .name = names[i] };
	OK(pma_run_together(pma, ops, NR));
}

int main(void)
{
	struct pma *pma;

	OK(pma_connect(&pma, NULL));
	checkpoint(pma, PMA_OP_CREATE);
	for (unsigned i = 0; i < 3; i++)
		checkpoint(pma, PMA_OP_RESERVE);
	refusals(pma);
	too_many(pma);
	end(pma);
	pma_disconnect(pma);
	return 0;
}
