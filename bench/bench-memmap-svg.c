/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap-svg: three panels for compound pages of 2 MiB, by size of the device, both axes
 * logarithmic. A line that ends in a cross stopped there. The kernel's line is what was published
 * for it, on other hardware and for an array with head pointers.
 */
#include <config.h>

#include "bench/bench-memmap-svg.h"

#include <math.h>
#include <stdio.h>

#include "bench/bench-memmap-array.h"

#define ORDER    9
#define WIDTH    300.0                  /* of a panel's plot */
#define HEIGHT   230.0
#define LEFT     64.0
#define TOP      56.0
#define STRIDE   (WIDTH + 92.0)
#define MIN_GIB  12.0
#define MAX_GIB  2048.0

struct panel {
	const char *title;
	double lowest, highest;
	double (*value)(const struct result *result);
	const char *(*label)(double value);
};

static const char *const colors[NR_LAYOUTS] = { "#8a8a8a", "#b3541e", "#b8860b", "#0b6e4f" };
static const char *const dashes[NR_LAYOUTS] = { "2 3", "7 3", "7 3 2 3", "none" };

/* ---- values and their labels ---- */

/* Of one that stopped, what it had come to by then. */
static double memory_of(const struct result *result)
{
	return isnan(result->stopped_at_gib) ? result->quiet.memory_bytes : result->stop_bytes;
}
static double start_of(const struct result *result)
{
	return isnan(result->stopped_at_gib) ? result->quiet.cold_ms : result->stop_ms;
}
static double maps_of(const struct result *result)
{
	return isnan(result->stopped_at_gib) ? result->quiet.vmas : result->stop_vmas;
}

static char label_text[32];

static const char *label_bytes(double bytes)
{
	const char *unit = bytes < (1 << 30) ? "MiB" : "GiB";

	snprintf(label_text, sizeof(label_text), "%g %s",
		 bytes / (bytes < (1 << 30) ? 1 << 20 : 1 << 30), unit);
	return label_text;
}

static const char *label_ms(double ms)
{
	snprintf(label_text, sizeof(label_text), ms < 1000 ? "%g ms" : "%g s",
		 ms < 1000 ? ms : ms / 1000);
	return label_text;
}

static const char *label_count(double nr)
{
	snprintf(label_text, sizeof(label_text), nr < 1000 ? "%g" : "%g k",
		 nr < 1000 ? nr : nr / 1000);
	return label_text;
}

static const struct panel panels[] = {
	{ "memory", 1 << 20, 17179869184.0, memory_of, label_bytes },
	{ "time until all is populated", 0.1, 10000, start_of, label_ms },
	{ "mappings", 1, 100000, maps_of, label_count },
};

/* ---- drawing ---- */

static double x_of(double gib)
{
	return WIDTH * log(gib / MIN_GIB) / log(MAX_GIB / MIN_GIB);
}

static double y_of(const struct panel *panel, double value)
{
	double part = log(value / panel->lowest) / log(panel->highest / panel->lowest);

	return HEIGHT * (1 - fmin(fmax(part, 0), 1));
}

static void draw_axes(FILE *f, const struct panel *panel)
{
	static const unsigned ticks[] = { 16, 128, 1024, 1536 };

	fprintf(f, "<text x='0' y='-14' font-weight='bold'>%s</text>\n", panel->title);
	for (double v = panel->lowest; v <= panel->highest * 1.01;
	     v *= panel->value == memory_of ? 16 : 10)
		fprintf(f,
			"<path d='M0 %.1fH%.0f' stroke='#e2e2e2'/><text x='-6' y='%.1f' "
			"text-anchor='end'>%s</text>\n",
			y_of(panel, v), WIDTH, y_of(panel, v) + 4, panel->label(v));
	for (unsigned i = 0; i < sizeof(ticks) / sizeof(*ticks); i++)
		fprintf(f, "<path d='M%.1f %.0fv5' stroke='#555'/>", x_of(ticks[i]), HEIGHT);
	fprintf(f,
		"<text x='%.1f' y='%.0f' text-anchor='middle'>16 GiB</text><text x='%.1f' y='%.0f' "
		"text-anchor='middle'>128 GiB</text>"
		"<text x='%.1f' y='%.0f' text-anchor='middle'>1</text><text x='%.1f' y='%.0f'>1.5 "
		"TiB</text>\n",
		x_of(16), HEIGHT + 18, x_of(128), HEIGHT + 18, x_of(1024), HEIGHT + 18,
		x_of(1536) - 4, HEIGHT + 18);
	fprintf(f, "<path d='M0 0V%.0fH%.0f' fill='none' stroke='#555'/>\n", HEIGHT, WIDTH);
}

static void draw_cross(FILE *f, double x, double y, const char *color)
{
	fprintf(f, "<path d='M%.1f %.1fl8 8m0 -8l-8 8' stroke='%s' stroke-width='2'/>\n", x - 4,
		y - 4, color);
}

/* Where it was not tried (memory) the line ends with what was. */
static void draw_layout(FILE *f, const struct panel *panel, unsigned layout,
			const struct result *results, unsigned nr)
{
	double x = NAN, y = NAN;
	bool stopped = false;

	fprintf(f, "<path fill='none' stroke='%s' stroke-width='2' stroke-dasharray='%s' d='",
		colors[layout], dashes[layout]);
	for (unsigned i = 0; i < nr && !stopped; i++) {
		double value = panel->value(&results[i]);

		if (results[i].layout != layout || results[i].order != ORDER)
			continue;
		stopped = !isnan(results[i].stopped_at_gib);
		if (isnan(value))
			continue;
		fprintf(f, "%c", isnan(x) ? 'M' : 'L');
		x = x_of(stopped ? results[i].stopped_at_gib : results[i].region_gib);
		y = y_of(panel, value);
		fprintf(f, "%.1f %.1f", x, y);
	}
	fprintf(f, "'/>\n");
	if (stopped && !isnan(x))
		draw_cross(f, x, y, colors[layout]);
}

static void draw_kernel(FILE *f, const struct panel *panel)
{
	double per_gib = 4.0 * (1 << 20);       /* 4 GiB per TiB */

	fprintf(f,
		"<path d='M%.1f %.1fL%.1f %.1f' stroke='#777' stroke-width='1.5' "
		"stroke-dasharray='1 3'/><text x='%.1f' y='%.1f' fill='#777'>kernel 2022, published"
		"</text>\n",
		x_of(16), y_of(panel, 16 * per_gib), x_of(1536), y_of(panel, 1536 * per_gib),
		x_of(90), y_of(panel, 700 * per_gib) - 14);
}

static void draw_legend(FILE *f)
{
	static const char *const names[NR_LAYOUTS] = { "none", "literal (a map for each 4 KiB)",
						       "run (a map for each page)",
						       "two planes: pmemarena" };
	static const double at[NR_LAYOUTS] = { 0, 100, 360, 590 };

	for (unsigned i = 0; i < NR_LAYOUTS; i++)
		fprintf(f,
			"<g transform='translate(%.0f %.0f)'><path d='M0 -4h28' stroke='%s' "
			"stroke-width='2' stroke-dasharray='%s'/>"
			"<text x='34'>%s</text></g>\n",
			LEFT + at[i], TOP + HEIGHT + 50, colors[i], dashes[i], names[i]);
	fprintf(f, "<g transform='translate(%.0f %.0f)'>", LEFT + 790, TOP + HEIGHT + 46);
	draw_cross(f, 4, 0, "#555");
	fprintf(f, "<text x='14' y='4'>stopped: vm.max_map_count (none: memory)</text></g>\n");
}

int svg_write(const char *path, const struct result *results, unsigned nr)
{
	unsigned nr_panels = sizeof(panels) / sizeof(*panels);
	FILE *f = fopen(path, "we");

	if (!f) {
		perror(path);
		return 1;
	}
	fprintf(f,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' "
		"font-family='sans-serif' font-size='12' fill='#222'>\n"
		"<title>Descriptors of a device in 2 MiB pages: memory, start and mappings by "
		"size</title>\n"
		"<rect width='100%%' height='100%%' fill='white'/>\n"
		"<text x='%.0f' y='22' font-size='15' font-weight='bold'>64 bytes of descriptor "
		"for each 4 KiB, 2 MiB pages, all populated</text>\n",
		LEFT + STRIDE * nr_panels, TOP + HEIGHT + 70, LEFT);
	for (unsigned i = 0; i < nr_panels; i++) {
		fprintf(f, "<g transform='translate(%.0f %.0f)'>\n", LEFT + STRIDE * i, TOP + 14);
		draw_axes(f, &panels[i]);
		if (panels[i].value == memory_of)
			draw_kernel(f, &panels[i]);
		for (unsigned layout = 0; layout < NR_LAYOUTS; layout++)
			draw_layout(f, &panels[i], layout, results, nr);
		fprintf(f, "</g>\n");
	}
	draw_legend(f);
	fprintf(f, "</svg>\n");
	return fclose(f) != 0;
}
