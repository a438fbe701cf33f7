/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan: what is measured, in which order, beside which floor and against whom.
 */
#ifndef PMEMARENA_BENCH_SERVE_PLAN_H
#define PMEMARENA_BENCH_SERVE_PLAN_H

#include <stdbool.h>

#include "bench/bench-serve-sheet.h"

struct plan {
	const char *program;            /* pmemarenad */
	const char *dir;                /* on a tmpfs; exists, empty */
	const char *disk_dir;           /* on ext4; NULL: there is none */
	double seconds;                 /* a figure */
	bool   is_quick;                /* no gigabyte */
};

/* 0 or -errno: the daemon could not be measured. What a peer could not do is in the sheet. */
int plan_run(struct sheet *sheet, const struct plan *plan);

#endif
