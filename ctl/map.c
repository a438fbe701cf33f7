/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: draws an arena, a cell for each section (128 MiB) or, of a large arena, for several: how
 * full it is, and what its descriptors are. In the terminal, or as an SVG file.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

#define COLUMNS   64
#define CELLS_MAX 2048

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --svg FILE            write the picture to FILE\n";

/* Numbers of sections and of pages, summed over the sections of a cell. */
struct cell {
	uint64_t sections, active, pages, used, split, poisoned, scrubbing;
};

/*
 * The whole arena in at most CELLS_MAX cells of equal size, so that one of 16 TiB fits on a screen
 * too.
 */
struct picture {
	struct cell *cells;             /* owned */
	size_t   nr;
	uint64_t per_cell;              /* how many sections a cell stands for */
};

/*
 * Adds one section to @cell. @run describes the section, and also those beside it that are like it.
 */
static void add(struct cell *cell, struct json_object *run)
{
	cell->sections++;
	cell->active += ctl_get_bool(run, "active");
	cell->pages += ctl_get_u64(run, "pages");
	cell->used += ctl_get_u64(run, "used");
	cell->split += ctl_get_u64(run, "split");
	cell->poisoned += ctl_get_u64(run, "poisoned");
	cell->scrubbing += ctl_get_u64(run, "scrubbing");
}

/*
 * Counts the sections in @runs. The daemon sends runs of equal sections, since most of an arena
 * looks alike.
 */
static uint64_t count_sections(struct json_object *runs)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < json_object_array_length(runs); i++)
		nr += ctl_get_u64(ctl_at(runs, i), "count");
	return nr;
}

/* Spreads the runs over the cells. false: no memory. */
static bool make(struct picture *picture, struct json_object *runs)
{
	uint64_t nr = count_sections(runs), at = 0;

	picture->per_cell = (nr + CELLS_MAX - 1) / CELLS_MAX;
	if (picture->per_cell == 0)
		picture->per_cell = 1;
	picture->nr = (size_t)((nr + picture->per_cell - 1) / picture->per_cell);
	picture->cells = calloc(picture->nr + 1, sizeof(*picture->cells));
	if (!picture->cells)
		return false;
	for (size_t i = 0; i < json_object_array_length(runs); i++) {
		struct json_object *run = ctl_at(runs, i);

		for (uint64_t n = ctl_get_u64(run, "count"); n > 0; n--)
			add(&picture->cells[at++ / picture->per_cell], run);
	}
	return true;
}

/* ---- in the terminal ---- */

/* Returns how full the cell is: 0 (empty) to 4 (full). */
static unsigned fill_of(const struct cell *cell)
{
	if (cell->used == 0 || cell->pages == 0)
		return 0;
	return cell->used == cell->pages ? 4 : 1 + (unsigned)(cell->used * 3 / cell->pages);
}

/*
 * Chooses the sign for a cell. What needs somebody's attention wins: one bad page among many
 * sections would otherwise not be seen.
 */
static const char *sign_of(const struct cell *cell, bool is_utf8)
{
	static const char *const shades[] = { "_", "\u2591", "\u2592", "\u2593", "\u2588" };
	static const char *const letters[] = { "_", "-", "+", "%", "#" };

	if (cell->poisoned)
		return "X";
	if (cell->split)
		return "s";
	if (cell->scrubbing)
		return "~";
	if (!cell->active)
		return ".";
	return is_utf8 ? shades[fill_of(cell)] : letters[fill_of(cell)];
}

/*
 * Prints the picture. The number at the beginning of a line says, in GiB, at which place of the
 * data area the line begins.
 */
static void print(const struct picture *picture, struct json_object *result)
{
	uint64_t section = ctl_get_u64(result, "section_size") >> 20;
	bool is_utf8 = ctl_text_is_utf8();

	printf("arena %s, %" PRIu64 " MiB a cell\n", ctl_get_string(result, "arena"),
	       section * picture->per_cell);
	for (size_t i = 0; i < picture->nr; i++) {
		if (i % COLUMNS == 0)
			printf("%s%8" PRIu64 "G ", i ? "\n" : "",
			       i * picture->per_cell * section >> 10);
		fputs(sign_of(&picture->cells[i], is_utf8), stdout);
	}
	printf("\n\n. never used   _ empty   %s   s with small allocations   ~ being scrubbed   X "
	       "with a bad page\n",
	       is_utf8 ? "\u2591 \u2592 \u2593 \u2588 fuller and full" : "- + % # fuller and full");
}

/* ---- as SVG ---- */

/*
 * Chooses the colour of a cell, by the same rules and in the same order as sign_of(): else the SVG
 * file and the terminal would show different things.
 */
static const char *colour_of(const struct cell *cell)
{
	if (cell->poisoned)
		return "#c0392b";
	if (cell->split)
		return "#e39b2e";
	if (cell->scrubbing)
		return "#8e6cc0";
	return "#2f7dbf";
}

/*
 * A cell is a square whose colour is the fuller the more of it is used, with the numbers as a tool
 * tip. Even a little use is painted so that it can be seen.
 */
static void draw_cell(FILE *to, const struct cell *cell, size_t i)
{
	double fill = cell->pages ? (double)cell->used / (double)cell->pages : 0;
	unsigned x = 10 + (unsigned)(i % COLUMNS) * 12, y = 40 + (unsigned)(i / COLUMNS) * 12;

	fprintf(to,
		"<g><title>section %zu: %" PRIu64 " of %" PRIu64 " pages used, %" PRIu64
		" split, %" PRIu64 " being scrubbed, %" PRIu64 " poisoned</title>",
		i, cell->used, cell->pages, cell->split, cell->scrubbing, cell->poisoned);
	fprintf(to, "<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\"/>", x, y,
		cell->active ? "#d5dde5" : "#f1f3f5");
	if (cell->used || cell->split || cell->scrubbing || cell->poisoned)
		fprintf(to,
			"<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\" "
			"fill-opacity=\"%.2f\"/>",
			x, y, colour_of(cell), fill < 0.15 ? 0.15 : fill);
	fputs("</g>\n", to);
}

static void draw_legend(FILE *to, unsigned y)
{
	static const struct { const char *colour, *text;
	} entries[] = {
		{ "#f1f3f5", "never used" },	 { "#d5dde5", "empty" },
		{ "#2f7dbf", "used" },		 { "#e39b2e", "small allocations" },
		{ "#8e6cc0", "being scrubbed" }, { "#c0392b", "bad page" },
	};

	for (unsigned i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		fprintf(to,
			"<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\"/><text "
			"x=\"%u\" y=\"%u\">%s</text>\n",
			10 + i * 125, y, entries[i].colour, 24 + i * 125, y + 9, entries[i].text);
}

/*
 * Writes the picture. A file that could not be written whole is a failure, though the part that was
 * written stays.
 */
static int draw(const char *path, const struct picture *picture, struct json_object *result)
{
	unsigned rows = (unsigned)((picture->nr + COLUMNS - 1) / COLUMNS);
	FILE *to = fopen(path, "w");
	bool has_failed;

	if (!to) {
		ctl_say("%s: %s", path, strerror(errno));
		return CTL_FAILED;
	}
	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		COLUMNS * 12 + 20, rows * 12 + 80);
	fprintf(to,
		"<text x=\"10\" y=\"24\" font-size=\"14\">arena %s, %" PRIu64
		" MiB a cell</text>\n",
		ctl_get_string(result, "arena"),
		(ctl_get_u64(result, "section_size") >> 20) * picture->per_cell);
	for (size_t i = 0; i < picture->nr; i++)
		draw_cell(to, &picture->cells[i], i);
	draw_legend(to, rows * 12 + 54);
	fputs("</svg>\n", to);
	/*
	 * An error of an earlier write is noted in the stream; one of the last write shows at the
	 * close.
	 */
	has_failed = ferror(to);
	if (fclose(to) != 0 || has_failed) {
		ctl_say("%s: %s", path,
			has_failed ? "it could not be written whole" : strerror(errno));
		return CTL_FAILED;
	}
	return CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *arena = NULL, *svg = NULL;
	const struct ctl_option options[] = { { "arena", &arena, NULL },
					      { "svg", &svg, NULL },
					      { NULL, NULL, NULL } };
	struct json_object *params, *result;
	struct picture picture = { 0 };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_map, argc, argv, options, 0, 0))
		return status;
	params = ctl_params();
	ctl_put(params, "arena", arena);
	status = ctl_call(&result, ctl, "map", params);
	if (status != CTL_DONE)
		return status;
	if (!make(&picture, ctl_get(result, "sections")))
		status = CTL_FAILED;
	else if (svg)
		status = draw(svg, &picture, result);
	if (!ctl_print_json(ctl, result) && status == CTL_DONE && !svg)
		print(&picture, result);
	free(picture.cells);
	json_object_put(result);
	return status;
}

const struct ctl_command ctl_map = { "map", "[--svg FILE] [--arena NAME]", "Draw an arena", help,
				     run };
