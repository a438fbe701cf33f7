/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_frame: one picture of `top`: the arenas, what the daemon was asked for in the time between
 * two moments, and the users, the largest first.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/top.h"

struct row {
	uint64_t uid, bytes, quarantined, allocations, sessions, leased, fds;
	int64_t growth;                 /* of bytes, a second */
};

enum { BYTES, GROWTH, QUARANTINED, ALLOCATIONS, SESSIONS, LEASED, FDS, UID };

/* In the order in which a narrow terminal keeps them, behind the uid. */
static const struct {
	const char *name, *title;
	unsigned width;
} columns[] = {
	{ "bytes", "BYTES", 8 },	       { "growth", "GROWTH/s", 9 },
	{ "quarantined", "QUARANT", 8 },       { "allocations", "ALLOCS", 9 },
	{ "sessions", "SESSIONS", 9 },	       { "leased", "LEASED", 8 },
	{ "fds", "FDS", 6 },		       { "uid", NULL, 0 },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(*columns))
#define UID_WIDTH 10

static const struct ctl human = { .human = true };

bool top_read_sort(size_t *sort, const char *name)
{
	for (size_t i = 0; i < NR_COLUMNS; i++) {
		if (strcmp(columns[i].name, name) == 0) {
			*sort = i;
			return true;
		}
	}
	return false;
}

bool top_key_sort(size_t *sort, char key)
{
	for (size_t i = 0; i < NR_COLUMNS; i++) {
		if (columns[i].name[0] == key) {
			*sort = i;
			return true;
		}
	}
	return false;
}

/* ---- lines ---- */

struct page {
	unsigned rows, width;           /* that are left; of a line */
	bool is_screen;
};

/* Writes a line and clears what the frame before had behind it. */
static void put_line(struct page *page, const char *line)
{
	if (page->rows == 0)
		return;
	page->rows--;
	/* No newline behind the last line: the terminal would scroll. */
	printf("%.*s%s%s", (int)page->width, line, page->is_screen ? "\033[K" : "",
	       page->rows ? "\n" : "");
}

static double seconds_between(const struct top_moment *now, const struct top_moment *last)
{
	return last->stats ? (double)(now->at_ns - last->at_ns) / 1e9 : 0;
}

static void put_arenas(struct page *page, struct json_object *stats)
{
	struct json_object *arenas = ctl_get(stats, "arenas");
	char line[CTL_TEXT], size[CTL_TEXT], used[CTL_TEXT], free_text[CTL_TEXT], held[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(arenas) && page->rows > 6; i++) {
		struct json_object *arena = ctl_at(arenas, i);
		uint64_t all = ctl_get_u64(arena, "size"), has = ctl_get_u64(arena, "used");

		ctl_size(size, &human, all);
		ctl_size(used, &human, has);
		ctl_size(free_text, &human, ctl_get_u64(arena, "free"));
		ctl_size(held, &human, ctl_get_u64(arena, "quarantined"));
		snprintf(line, sizeof(line), "%.20s %s: %.8s, used %.8s (%.0f %%), free %.8s, "
			 "quarantined %.8s", ctl_get_string(arena, "name"),
			 ctl_get_string(arena, "state"), size, used,
			 all ? 100 * (double)has / (double)all : 0, free_text, held);
		put_line(page, line);
	}
}

static uint64_t items_of(struct json_object *stats, const char *name)
{
	struct json_object *list = ctl_get(ctl_get(stats, "requests"), "operations");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		if (strcmp(ctl_get_string(ctl_at(list, i), "operation"), name) == 0)
			return ctl_get_u64(ctl_at(list, i), "items");
	}
	return 0;
}

static void put_rates(struct page *page, const struct top_moment *now,
		      const struct top_moment *last)
{
	static const char *const shown[] = { "open", "reserve", "publish", "free", "stat", NULL };
	struct json_object *sessions = ctl_get(now->stats, "sessions");
	double seconds = seconds_between(now, last);
	char line[CTL_TEXT];
	int n = snprintf(line, sizeof(line), "sessions %s, a second:",
			 ctl_get_string(sessions, "now"));

	for (size_t i = 0; shown[i]; i++) {
		uint64_t was = last->stats ? items_of(last->stats, shown[i]) : 0;
		uint64_t is = items_of(now->stats, shown[i]);

		/* A daemon that was restarted counts anew. */
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %s %.0f", shown[i],
			      seconds > 0 && is > was ? (double)(is - was) / seconds : 0);
	}
	put_line(page, line);
}

/* ---- users ---- */

static size_t sort_by;

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	const int64_t left[] = { (int64_t)x->bytes,	  x->growth,
				 (int64_t)x->quarantined, (int64_t)x->allocations,
				 (int64_t)x->sessions,	  (int64_t)x->leased,
				 (int64_t)x->fds,	  -(int64_t)x->uid };
	const int64_t right[] = { (int64_t)y->bytes,	   y->growth,
				  (int64_t)y->quarantined, (int64_t)y->allocations,
				  (int64_t)y->sessions,	   (int64_t)y->leased,
				  (int64_t)y->fds,	   -(int64_t)y->uid };

	if (left[sort_by] != right[sort_by])
		return left[sort_by] < right[sort_by] ? 1 : -1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static uint64_t used_of(struct json_object *user, const char *what)
{
	return ctl_get_u64(ctl_get(user, what), "used");
}

static void take_user(struct row *row, struct json_object *user)
{
	struct json_object *arenas = ctl_get(user, "arenas");

	*row = (struct row){
		.uid = ctl_get_u64(user, "uid"),
		.bytes = used_of(user, "bytes"),
		.quarantined = ctl_get_u64(ctl_get(user, "bytes"), "given_up"),
		.allocations = used_of(user, "allocations"),
		.sessions = used_of(user, "sessions"),
		.leased = used_of(user, "leased_bytes"),
	};
	for (size_t i = 0; i < json_object_array_length(arenas); i++)
		row->fds += ctl_get_u64(ctl_at(arenas, i), "descriptors");
}

/* Both lists are in the order of uids; *at is how far the older one was read. */
static uint64_t bytes_before(size_t *at, struct json_object *users, uint64_t uid)
{
	size_t nr = users ? json_object_array_length(users) : 0;

	while (*at < nr && ctl_get_u64(ctl_at(users, *at), "uid") < uid)
		(*at)++;
	return *at < nr && ctl_get_u64(ctl_at(users, *at), "uid") == uid
		       ? used_of(ctl_at(users, *at), "bytes") : 0;
}

static void put_row(struct page *page, const struct row *row)
{
	uint64_t growth = (uint64_t)(row->growth < 0 ? -row->growth : row->growth);
	char line[CTL_TEXT], cell[CTL_TEXT], size[CTL_TEXT];
	int n = snprintf(line, sizeof(line), "%*" PRIu64, UID_WIDTH, row->uid);
	const uint64_t values[] = { row->bytes,	   growth,	row->quarantined, row->allocations,
				    row->sessions, row->leased, row->fds };

	for (size_t i = 0; i < UID && (unsigned)n + columns[i].width < page->width; i++) {
		bool is_size = i == BYTES || i == GROWTH || i == QUARANTINED || i == LEASED;

		snprintf(cell, sizeof(cell), "%s%s", i == GROWTH && row->growth < 0 ? "-" : "",
			 is_size ? ctl_size(size, &human, values[i]) : ctl_number(size, values[i]));
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %*s", (int)columns[i].width,
			      cell);
	}
	put_line(page, line);
}

static void put_titles(struct page *page)
{
	char line[CTL_TEXT];
	int n = snprintf(line, sizeof(line), "%*s", UID_WIDTH, sort_by == UID ? "UID*" : "UID");

	for (size_t i = 0; i < UID && (unsigned)n + columns[i].width < page->width; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %*s%s",
			      (int)columns[i].width - (sort_by == i), columns[i].title,
			      sort_by == i ? "*" : "");
	put_line(page, line);
}

static void put_users(struct page *page, const struct top_moment *now,
		      const struct top_moment *last)
{
	size_t nr = json_object_array_length(now->users), at = 0;
	struct row *rows = calloc(nr + 1, sizeof(*rows));
	double seconds = seconds_between(now, last);

	if (!rows)
		return;
	for (size_t i = 0; i < nr; i++) {
		uint64_t was;

		take_user(&rows[i], ctl_at(now->users, i));
		was = bytes_before(&at, last->users, rows[i].uid);
		if (seconds > 0)
			rows[i].growth =
				(int64_t)(((double)rows[i].bytes - (double)was) / seconds);
	}
	qsort(rows, nr, sizeof(*rows), compare);
	for (size_t i = 0; i < nr && page->rows > 0; i++)
		put_row(page, &rows[i]);
	free(rows);
}

void top_frame_print(const struct top_moment *now, const struct top_moment *last, size_t sort,
		     unsigned rows, unsigned width, bool is_screen)
{
	struct page page = { .rows = rows, .width = width, .is_screen = is_screen };

	sort_by = sort;
	put_arenas(&page, now->stats);
	put_rates(&page, now, last);
	put_titles(&page);
	put_users(&page, now, last);
}
