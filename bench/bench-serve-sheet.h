/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sheet: the figures of one run, each with its floor and, where somebody else does the same job,
 * with that peer; as a table, as JSON and as a drawing.
 */
#ifndef PMEMARENA_BENCH_SERVE_SHEET_H
#define PMEMARENA_BENCH_SERVE_SHEET_H

#include <stdint.h>
#include <stdio.h>

#include "bench/bench-serve-crew.h"

#define SHEET_ROWS 192

struct row {
	const char *op;                 /* borrowed, as all texts: constants */
	uint64_t size;                  /* 0: of no meaning */
	unsigned clients;
	const char *mode, *placement;
	struct timing timing;
	/* of as many round trips as the operation has messages; 0: has none */
	double floor_p50_us;
	const char *peer;               /* NULL: none */
	double peer_p50_us;
};

struct sheet {
	const char *bench;              /* in JSON; NULL: "serve" */
	struct row rows[SHEET_ROWS];
	unsigned nr;
	const char *missing[16];        /* what was not measured, in words */
	unsigned nr_missing;
};

void sheet_add(struct sheet *sheet, const struct row *row);
void sheet_miss(struct sheet *sheet, const char *what);
/*
 * Each row of @op, @size and @mode with one client is compared with @peer too: as a row of its own
 * from the second peer on.
 */
void sheet_compare(struct sheet *sheet, const char *op, uint64_t size, const char *mode,
		   const char *peer, double peer_p50_us);

void sheet_print(const struct sheet *sheet, FILE *out);
void sheet_print_json(const struct sheet *sheet, FILE *out);
void sheet_draw(const struct sheet *sheet, FILE *out);          /* bench-serve-svg.c */
const char *sheet_size_text(char buf[16], uint64_t size);

#endif
