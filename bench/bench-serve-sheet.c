/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sheet: rows, and two ways to print them.
 */
#include <config.h>

#include "bench/bench-serve-sheet.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

void sheet_add(struct sheet *sheet, const struct row *row)
{
	if (sheet->nr < SHEET_ROWS && row->timing.nr > 0)
		sheet->rows[sheet->nr++] = *row;
}

void sheet_miss(struct sheet *sheet, const char *what)
{
	if (sheet->nr_missing < sizeof(sheet->missing) / sizeof(*sheet->missing))
		sheet->missing[sheet->nr_missing++] = what;
}

static bool is_about(const struct row *row, const char *op, uint64_t size, const char *mode)
{
	return row->clients == 1 && row->size == size && strcmp(row->op, op) == 0 &&
	       strcmp(row->mode, mode) == 0;
}

void sheet_compare(struct sheet *sheet, const char *op, uint64_t size, const char *mode,
		   const char *peer, double peer_p50_us)
{
	unsigned nr = sheet->nr;

	for (unsigned i = 0; i < nr; i++) {
		struct row *row = &sheet->rows[i], more;

		if (!is_about(row, op, size, mode))
			continue;
		if (!row->peer) {
			row->peer = peer;
			row->peer_p50_us = peer_p50_us;
			continue;
		}
		/* One more for each placement, not for each peer that is there already. */
		if (i > 0 && is_about(&sheet->rows[i - 1], op, size, mode) &&
		    strcmp(sheet->rows[i - 1].placement, row->placement) == 0)
			continue;
		if (sheet->nr == SHEET_ROWS)
			return;
		more = *row;
		more.peer = peer;
		more.peer_p50_us = peer_p50_us;
		memmove(row + 1, row, (sheet->nr - i) * sizeof(*row));
		sheet->rows[i + 1] = more;
		sheet->nr++;
		nr++;
	}
}

const char *sheet_size_text(char buf[16], uint64_t size)
{
	static const char *const units[] = { "", "K", "M", "G" };
	unsigned unit = 0;

	while (unit < 3 && size >= 1024 && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	if (size == 0)
		snprintf(buf, 16, "-");
	else
		snprintf(buf, 16, "%u%s", (unsigned)size, units[unit]);
	return buf;
}

/* ---- table ---- */

static void print_row(const struct row *row, FILE *out)
{
	char size[16];

	fprintf(out, "%-23s %4s %3u %-9s %-10s %9.2f %9.2f %9.0f", row->op,
		sheet_size_text(size, row->size), row->clients, row->mode, row->placement,
		row->timing.p50_us, row->timing.p99_us, row->timing.per_s);
	if (row->floor_p50_us > 0)
		fprintf(out, " %8.2f %6.2f", row->floor_p50_us,
			row->timing.p50_us / row->floor_p50_us);
	else
		fprintf(out, " %8s %6s", "-", "-");
	if (row->peer)
		fprintf(out, "  %-22s %9.2f %6.2f", row->peer, row->peer_p50_us,
			row->timing.p50_us / row->peer_p50_us);
	fputc('\n', out);
}

void sheet_print(const struct sheet *sheet, FILE *out)
{
	fprintf(out, "%-23s %4s %3s %-9s %-10s %9s %9s %9s %8s %6s  %-22s %9s %6s\n", "op", "size",
		"cl.", "mode", "placement", "p50 us", "p99 us", "ops/s", "floor us", "ratio",
		"peer", "p50 us", "ratio");
	for (unsigned i = 0; i < sheet->nr; i++)
		print_row(&sheet->rows[i], out);
	for (unsigned i = 0; i < sheet->nr_missing; i++)
		fprintf(out, "not measured: %s\n", sheet->missing[i]);
}

/* ---- JSON ---- */

static void print_number(FILE *out, const char *key, double value, bool is_there)
{
	if (is_there)
		fprintf(out, ", \"%s\": %.4g", key, value);
	else
		fprintf(out, ", \"%s\": null", key);
}

void sheet_print_json(const struct sheet *sheet, FILE *out)
{
	fprintf(out, "[\n");
	for (unsigned i = 0; i < sheet->nr; i++) {
		const struct row *row = &sheet->rows[i];
		double floor = row->floor_p50_us, p50 = row->timing.p50_us;

		fprintf(out,
			"{\"bench\": \"%s\", \"op\": \"%s\", \"size\": %" PRIu64
			", \"clients\": %u, \"mode\": \"%s\", \"placement\": \"%s\"",
			sheet->bench ? sheet->bench : "serve", row->op, row->size, row->clients,
			row->mode, row->placement);
		print_number(out, "p50_us", p50, true);
		print_number(out, "p99_us", row->timing.p99_us, true);
		fprintf(out, ", \"ops_per_s\": %.0f", row->timing.per_s);
		print_number(out, "floor_p50_us", floor, floor > 0);
		print_number(out, "ratio_to_floor", p50 / floor, floor > 0);
		if (row->peer)
			fprintf(out, ", \"peer\": \"%s\"", row->peer);
		else
			fprintf(out, ", \"peer\": null");
		print_number(out, "peer_p50_us", row->peer_p50_us, row->peer != NULL);
		print_number(out, "ratio_to_peer", p50 / row->peer_p50_us, row->peer != NULL);
		fprintf(out, "}%s\n", i + 1 < sheet->nr ? "," : "");
	}
	fprintf(out, "]\n");
}
