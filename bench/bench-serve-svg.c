/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svg: a part of a sheet as bars on a logarithmic scale: how long until one has an allocation, a
 * line where the floor is, and below it the peers, once. The way back is in the table.
 */
#include <config.h>

#include "bench/bench-serve-sheet.h"

#include <math.h>
#include <string.h>

#define LEFT       340
#define WIDTH      560          /* of the scale */
#define BAR        14
#define GAP        4
#define TOP        60
#define SCALE_FROM 0.05         /* us */
#define SCALE_TO   1e6

static double at(double us)
{
	double x = log10(us / SCALE_FROM) / log10(SCALE_TO / SCALE_FROM);

	return LEFT + WIDTH * (x < 0 ? 0 : x > 1 ? 1 : x);
}

static void draw_scale(FILE *out, double height)
{
	for (double us = 0.1; us <= SCALE_TO; us *= 10) {
		fprintf(out,
			"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\" stroke=\"#ddd\"/>\n",
			at(us), at(us), TOP - 8, height);
		fprintf(out,
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" "
			"fill=\"#666\">%g</text>\n",
			at(us), TOP - 14, us);
	}
}

static void print_time(char *buf, size_t size, double us)
{
	if (us < 1000)
		snprintf(buf, size, "%.3g us", us);
	else
		snprintf(buf, size, "%.3g ms", us / 1000);
}

static void draw_bar(FILE *out, double y, double us, const char *colour, const char *label)
{
	char time[32];

	print_time(time, sizeof(time), us);
	fprintf(out, "<rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT,
		y, at(us) - LEFT, BAR, colour);
	fprintf(out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%s</text>\n", LEFT - 6,
		y + BAR - 3, label);
	fprintf(out, "<text x=\"%.1f\" y=\"%.0f\" fill=\"#333\">%s</text>\n", at(us) + 4,
		y + BAR - 3, time);
}

static bool is_same(const struct row *a, const struct row *b)
{
	return strcmp(a->op, b->op) == 0 && a->size == b->size && a->clients == b->clients &&
	       strcmp(a->mode, b->mode) == 0 && strcmp(a->placement, b->placement) == 0;
}

static bool is_drawn(const struct row *row)
{
	return strncmp(row->op, "free", 4) != 0 && strncmp(row->op, "both", 4) != 0 &&
	       strcmp(row->op, "reserve+publish+free") != 0;
}

static bool has_peer_drawn(const struct row *row)
{
	return row->peer && strcmp(row->placement, "same-core") == 0;
}

static bool is_new(const struct sheet *sheet, unsigned i)
{
	return i == 0 || !is_same(&sheet->rows[i], &sheet->rows[i - 1]);
}

static unsigned count_bars(const struct sheet *sheet)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < sheet->nr; i++)
		if (is_drawn(&sheet->rows[i]))
			nr += is_new(sheet, i) + has_peer_drawn(&sheet->rows[i]);
	return nr;
}

static double draw_own(FILE *out, double y, const struct row *row)
{
	char label[128], size[16];

	snprintf(label, sizeof(label), "%s %s, %u client%s, %s, %s", row->op,
		 sheet_size_text(size, row->size), row->clients, row->clients == 1 ? "" : "s",
		 row->mode, row->placement);
	draw_bar(out, y, row->timing.p50_us, strcmp(row->op, "ping-pong") == 0 ? "#999" : "#2b6cb0",
		 label);
	if (row->floor_p50_us > 0)
		fprintf(out,
			"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"#c00\" "
			"stroke-width=\"2\"/>\n",
			at(row->floor_p50_us), at(row->floor_p50_us), y - 1, y + BAR + 1);
	return y + BAR + GAP;
}

void sheet_draw(const struct sheet *sheet, FILE *out)
{
	double y = TOP, height = TOP + count_bars(sheet) * (BAR + GAP) + 8;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n",
		LEFT + WIDTH + 60, height);
	fprintf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"8\" "
		     "y=\"18\" font-size=\"14\">"
		     "bench-serve: median time in microseconds, logarithmic</text>\n<text x=\"8\" "
		     "y=\"34\" fill=\"#666\">blue: pmemarena; red line: bare "
		     "round trips of the same run; orange: what one could use instead</text>\n");
	draw_scale(out, height);
	for (unsigned i = 0; i < sheet->nr; i++) {
		const struct row *row = &sheet->rows[i];

		if (!is_drawn(row))
			continue;
		if (is_new(sheet, i))
			y = draw_own(out, y, row);
		if (!has_peer_drawn(row))
			continue;
		draw_bar(out, y, row->peer_p50_us, "#dd8a3c", row->peer);
		y += BAR + GAP;
	}
	fprintf(out, "</svg>\n");
}
