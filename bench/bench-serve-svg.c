/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svg: a sheet as bars on a logarithmic scale: each figure, a line where its floor is, and below it the peers.
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
		fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\" stroke=\"#ddd\"/>\n", at(us), at(us), TOP - 8, height);
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#666\">%g</text>\n", at(us), TOP - 14, us);
	}
}

static void draw_bar(FILE *out, double y, double us, const char *colour, const char *label)
{
	fprintf(out, "<rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y, at(us) - LEFT, BAR, colour);
	fprintf(out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + BAR - 3, label);
	fprintf(out, "<text x=\"%.1f\" y=\"%.0f\" fill=\"#333\">%.3g</text>\n", at(us) + 4, y + BAR - 3, us);
}

static bool is_same(const struct row *a, const struct row *b)
{
	return strcmp(a->op, b->op) == 0 && a->size == b->size && a->clients == b->clients && strcmp(a->mode, b->mode) == 0 &&
	       strcmp(a->placement, b->placement) == 0;
}

static double draw_own(FILE *out, double y, const struct row *row)
{
	char label[128], size[16];

	snprintf(label, sizeof(label), "%s %s, %u client%s, %s, %s", row->op, sheet_size_text(size, row->size), row->clients,
		 row->clients == 1 ? "" : "s", row->mode, row->placement);
	draw_bar(out, y, row->timing.p50_us, strcmp(row->op, "ping-pong") == 0 ? "#999" : "#2b6cb0", label);
	if (row->floor_p50_us > 0)
		fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"#c00\" stroke-width=\"2\"/>\n", at(row->floor_p50_us),
			at(row->floor_p50_us), y - 1, y + BAR + 1);
	return y + BAR + GAP;
}

void sheet_draw(const struct sheet *sheet, FILE *out)
{
	double y = TOP, height;
	unsigned nr_bars = sheet->nr;

	for (unsigned i = 0; i < sheet->nr; i++)
		nr_bars += sheet->rows[i].peer != NULL;
	height = TOP + nr_bars * (BAR + GAP) + 8;
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" font-family=\"sans-serif\" font-size=\"11\">\n",
		LEFT + WIDTH + 60, height);
	fprintf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"8\" y=\"18\" font-size=\"14\">"
		"bench-serve: median time in microseconds, logarithmic</text>\n<text x=\"8\" y=\"34\" fill=\"#666\">blue: pmemarena; red line: bare "
		"round trips of the same run; orange: what one could use instead</text>\n");
	draw_scale(out, height);
	for (unsigned i = 0; i < sheet->nr; i++) {
		const struct row *row = &sheet->rows[i];

		if (i == 0 || !is_same(row, row - 1))
			y = draw_own(out, y, row);
		if (!row->peer)
			continue;
		draw_bar(out, y, row->peer_p50_us, "#dd8a3c", row->peer);
		y += BAR + GAP;
	}
	fprintf(out, "</svg>\n");
}
