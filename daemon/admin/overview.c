/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overview: one page without a script, which the browser asks for again every ten seconds. It shows
 * what /metrics and `pmemarenactl map` show, and follows the browser's choice of dark or light.
 */
#include <config.h>

#include "daemon/admin/overview.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/admin/page.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/service/service.h"
#include "lib/wire/escape.h"

/* ---- text ---- */

/* Writes @text so that no sign of it is read as markup. */
static void put_text(struct page *page, const char *text)
{
	for (; *text; text++) {
		if (strchr("<>&\"'", *text))
			put(page, "&#%d;", *text);
		else
			put(page, "%c", *text);
	}
}

/* Writes a name that another host may have chosen: what is not printable is escaped first. */
static void put_foreign(struct page *page, const char *name, size_t size)
{
	char shown[ESCAPE_SIZE(HOST_NAME)];

	escape_name(shown, sizeof(shown), name, strnlen(name, size), escape_shows_ascii);
	put_text(page, shown);
}

/* Writes a number of bytes, rounded to three digits: "1.25 TiB", "36 MiB", "512 B". */
static void put_bytes(struct page *page, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1000 && unit < sizeof(units) / sizeof(*units) - 1) {
		value /= 1024;
		unit++;
	}
	put(page, "%.3g %s", value, units[unit]);
}

/* ---- the head ---- */

static const char style[] =
	":root{color-scheme:light dark;--ink:#1d2730;--dim:#5b6873;--back:#fbfcfd;--line:#d9e0e6;"
	"--never:#eef1f4;--empty:#d3dce4;--used:#2f7dbf;--reserved:#57a773;--leased:#3aa6a0;"
	"--split:#d98a1c;--scrub:#8e6cc0;--quarantined:#8e6cc0;--withheld:#7c8791;--bad:#c0392b}"
	"@media(prefers-color-scheme:dark){:root{--ink:#e3e9ee;--dim:#9aa7b2;--back:#14191d;"
	"--line:#2c353d;--never:#1e252b;--empty:#323d47;--used:#4b9be0;--reserved:#6cc08a;"
	"--leased:#4fc1bb;--split:#e8a33d;--scrub:#a98be0;--quarantined:#a98be0;--withheld:#8b97a2;"
	"--bad:#e5584a}}"
	"body{margin:0 auto;padding:1.5rem;max-width:62rem;background:var(--back);color:var(--ink);"
	"font:15px/1.5 system-ui,sans-serif}h1{font-size:1.3rem;margin:0}h2{font-size:1.1rem;"
	"margin:2rem 0 0}p{margin:.2rem 0 .8rem;color:var(--dim)}.wrong{color:var(--bad)}"
	".bar{display:flex;height:1rem;background:var(--empty);border-radius:3px;overflow:hidden}"
	"svg{display:block;width:100%;height:auto;margin:.8rem 0}ul{list-style:none;display:flex;"
	"flex-wrap:wrap;gap:.2rem 1.2rem;margin:.5rem 0;padding:0;color:var(--dim)}"
	"li i{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.4rem}"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
	"td,th{text-align:left;font-weight:normal;padding:.2rem .6rem .2rem 0;"
	"border-bottom:1px solid var(--line)}th{color:var(--dim)}td+td,th+th{text-align:right}"
	"a{color:inherit}"
	".two{columns:2 20rem;column-gap:2rem}.two table{break-inside:avoid}"
	".used{background:var(--used);fill:var(--used)}.reserved{background:var(--reserved)}"
	".leased{background:var(--leased)}.quarantined{background:var(--quarantined)}"
	".withheld{background:var(--withheld)}.split{background:var(--split);fill:var(--split)}"
	".scrub{background:var(--scrub);fill:var(--scrub)}"
	".bad{background:var(--bad);fill:var(--bad)}.never{background:var(--never);"
	"fill:var(--never)}.empty{background:var(--empty);fill:var(--empty)}";

static void write_head(struct page *page, const struct service *service)
{
	uint64_t up = (service_now_ns() - service->started_mono_ns) / UINT64_C(1000000000);

	put(page,
	    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'unsafe-inline'\">\n<meta http-equiv=\"refresh\" content=\"10\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>pmemarena on ");
	put_foreign(page, service->host.name, HOST_NAME);
	put(page, "</title>\n<style>%s</style></head><body>\n<h1>pmemarena on ", style);
	put_foreign(page, service->host.name, HOST_NAME);
	put(page,
	    "</h1>\n<p>pmemarenad %s, up %" PRIu64 " d %" PRIu64 " h %" PRIu64 " min, %" PRIu32
	    " session%s. For a monitoring system: <a href=\"/metrics\">/metrics</a></p>\n",
	    PACKAGE_VERSION, up / 86400, up / 3600 % 24, up / 60 % 60, service->nr_sessions,
	    service->nr_sessions == 1 ? "" : "s");
}

/* ---- how full ---- */

struct state {
	const char *class, *name;
	size_t offset;                  /* in struct arena_stats, a uint64_t of bytes */
};

#define STAT(field) offsetof(struct arena_stats, field)

static const struct state states[] = {
	{ "used", "used", STAT(used) },
	{ "reserved", "reserved", STAT(reserved) },
	{ "leased", "leased", STAT(leased) },
	{ "quarantined", "in quarantine", STAT(quarantined) },
	{ "withheld", "withheld for other hosts", STAT(withheld) },
	{ "bad", "poisoned", STAT(poisoned) },
	{ "empty", "free", STAT(free) },
};
#define NR_STATES (sizeof(states) / sizeof(*states))

static uint64_t bytes_in(const struct arena_stats *stats, const struct state *state)
{
	uint64_t bytes;

	memcpy(&bytes, (const char *)stats + state->offset, sizeof(bytes));
	return bytes;
}

static void write_bar(struct page *page, const struct arena_stats *stats)
{
	put(page, "<div class=\"bar\">");
	for (size_t i = 0; i < NR_STATES; i++) {
		double part = stats->size ? (double)bytes_in(stats, &states[i]) /
						    (double)stats->size
					  : 0;

		if (part > 0)
			put(page, "<div class=\"%s\" style=\"width:%.2f%%\"></div>",
			    states[i].class, part * 100);
	}
	put(page, "</div>\n<ul>");
	for (size_t i = 0; i < NR_STATES; i++) {
		uint64_t bytes = bytes_in(stats, &states[i]);

		if (bytes == 0)
			continue;
		put(page, "<li><i class=\"%s\"></i>", states[i].class);
		put_bytes(page, bytes);
		put(page, " %s</li>", states[i].name);
	}
	put(page, "</ul>\n");
}

/* ---- the picture ---- */

#define COLUMNS   64u
#define CELLS_MAX 512u
/*
 * So many pages of a cell are looked at. Each look is a cache miss, and all clients wait meanwhile:
 * of a large arena the picture is a sample.
 */
#define LOOKS_MAX 8u

/* Chooses the colour by the rules of `pmemarenactl map`: what needs attention wins. */
static const char *class_of(const struct arena_section *cell)
{
	if (cell->nr_poisoned)
		return "bad";
	if (cell->nr_split)
		return "split";
	return cell->nr_scrubbing ? "scrub" : "used";
}

static void write_cell(struct page *page, const struct arena_section *cell, uint64_t i,
		       uint64_t from)
{
	double fill = cell->nr_pages ? (double)cell->nr_used / (double)cell->nr_pages : 0;
	unsigned x = (unsigned)(i % COLUMNS) * 12, y = (unsigned)(i / COLUMNS) * 12;
	bool is_shown = cell->nr_used || cell->nr_split || cell->nr_scrubbing || cell->nr_poisoned;

	put(page, "<g><title>from ");
	put_bytes(page, from);
	put(page, ": of %" PRIu32 " pages looked at %" PRIu32 " used, %" PRIu32 " split, %" PRIu32
		  " being scrubbed, %" PRIu32 " poisoned</title>",
	    cell->nr_pages, cell->nr_used, cell->nr_split, cell->nr_scrubbing, cell->nr_poisoned);
	put(page, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"10\" height=\"10\"/>",
	    cell->active ? "empty" : "never", x, y);
	/* Even a little use is painted so that it can be seen. */
	if (is_shown)
		put(page,
		    "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" "
		    "fill-opacity=\"%.2f\"/>",
		    class_of(cell), x, y, fill < 0.15 ? 0.15 : fill);
	put(page, "</g>\n");
}

static void write_legend(struct page *page, uint64_t bytes_a_cell)
{
	static const char *const entries[][2] = {
		{ "never", "never used" },	{ "empty", "empty" },
		{ "used", "used" },		{ "split", "small allocations" },
		{ "scrub", "being scrubbed" },	{ "bad", "a bad page" },
	};

	put(page, "<ul><li>");
	put_bytes(page, bytes_a_cell);
	put(page, " a cell</li>");
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		put(page, "<li><i class=\"%s\"></i>%s</li>", entries[i][0], entries[i][1]);
	put(page, "</ul>\n");
}

/* Draws the arena in at most CELLS_MAX cells, so that one of 16 TiB fits on a page too. */
static void write_picture(struct page *page, const struct arena *arena)
{
	const struct arena_identity *identity = arena_identity(arena);
	uint64_t page_size = UINT64_C(4096) << identity->order, nr = identity->size / page_size;
	uint64_t per_cell = nr > CELLS_MAX ? (nr + CELLS_MAX - 1) / CELLS_MAX : 1;
	uint64_t rows = ((nr + per_cell - 1) / per_cell + COLUMNS - 1) / COLUMNS;
	struct arena_section cell;

	put(page,
	    "<svg role=\"img\" aria-label=\"the arena, from its first page to its last\" "
	    "viewBox=\"0 0 %u %" PRIu64 "\">\n",
	    COLUMNS * 12 - 2, rows * 12);
	for (uint64_t i = 0;
	     arena_sample(arena, i * per_cell, per_cell, LOOKS_MAX, &cell) == 0; i++)
		write_cell(page, &cell, i, i * per_cell * page_size);
	put(page, "</svg>\n");
	write_legend(page, per_cell * page_size);
}

/* ---- the numbers ---- */

static void row(struct page *page, const char *name, uint64_t value)
{
	put(page, "<tr><td>%s</td><td>%" PRIu64 "</td></tr>\n", name, value);
}

static void row_of_bytes(struct page *page, const char *name, uint64_t value)
{
	put(page, "<tr><td>%s</td><td>", name);
	put_bytes(page, value);
	put(page, "</td></tr>\n");
}

static void write_numbers(struct page *page, const struct arena_stats *stats)
{
	put(page, "<div class=\"two\"><table>\n");
	row(page, "allocations, published", stats->nr_published);
	row(page, "allocations, reserved", stats->nr_reserved);
	row(page, "opened by sessions", stats->holds);
	row(page, "sessions that are over and may map something", stats->ended);
	row(page, "windows", stats->windows);
	row(page, "pins", stats->pins);
	row(page, "slots of the table in use", stats->slots_used);
	row(page, "slots of the table", stats->slots_total);
	put(page, "</table><table>\n");
	row_of_bytes(page, "largest free extent", stats->largest_free);
	row_of_bytes(page, "free and known to be zero", stats->known_zero);
	row_of_bytes(page, "evictable", stats->evictable);
	row_of_bytes(page, "evicted since the start", stats->evicted_bytes);
	row_of_bytes(page, "scrubbed since the start", stats->scrubbed_bytes);
	row_of_bytes(page, "memory of descriptors", stats->memmap.bytes_now);
	row(page, "changes made durable together", stats->settles);
	row(page, "records mended by the last start", stats->start.mended);
	put(page, "</table></div>\n");
}

/* ---- an arena ---- */

static const char *state_of(const struct served *served, const char **reason)
{
	*reason = served->reason;
	if (!served->arena)
		return "not there";
	switch (arena_state(served->arena, reason)) {
	case ARENA_ONLINE:
		return "online";
	case ARENA_DAMAGED:
		return "damaged";
	default:
		return "offline";
	}
}

static void write_arena(struct page *page, const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	struct arena_stats stats;
	const char *reason, *state = state_of(served, &reason);
	bool is_well = strcmp(state, "online") == 0;

	put(page, "<h2>");
	put_text(page, served->name);
	put(page, "</h2>\n<p%s>%s", is_well ? "" : " class=\"wrong\"", state);
	if (!is_well) {
		put(page, ": ");
		put_text(page, reason);
	}
	if (service_is_drained(service, index))
		put(page, ", drained: no new space is handed out");
	if (!served->arena) {
		put(page, "</p>\n");
		return;
	}
	arena_stats(served->arena, &stats);
	put(page, ", ");
	put_bytes(page, stats.size);
	put(page, " in pages of ");
	put_bytes(page, UINT64_C(4096) << arena_identity(served->arena)->order);
	put(page, "</p>\n");
	write_bar(page, &stats);
	write_picture(page, served->arena);
	write_numbers(page, &stats);
}

/* ---- requests ---- */

static void write_requests(struct page *page, const struct counters *counters)
{
	put(page, "<h2>Requests since the start</h2>\n<table><tr><th>operation</th><th>asked "
		  "for</th><th>refused</th><th>mean time</th></tr>\n");
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++) {
		const struct histogram *latency = &counters->latency[opcode];

		if (counters->items[opcode] == 0)
			continue;
		put(page, "<tr><td>%s</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>",
		    wire_opcode_name(opcode), counters->items[opcode], counters->refused[opcode]);
		if (latency->count)
			put(page, "%.1f us",
			    (double)latency->sum_ns / (double)latency->count / 1000);
		put(page, "</td></tr>\n");
	}
	put(page, "</table>\n");
}

int overview_write(void *arg, char **text, size_t *length)
{
	const struct service *service = arg;
	struct page page;
	int r = page_begin(&page, text, length);

	if (r < 0)
		return r;
	write_head(&page, service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].is_gone)
			write_arena(&page, service, i);
	}
	write_requests(&page, &service->counters);
	put(&page, "</body></html>\n");
	return page_end(&page, text);
}
