/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * display: puts the answers of the daemon into the words and tables that people read. libsmartcols
 * draws the tables.
 */
#include <config.h>

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"

/* ---- reading answers; what is absent reads as 0, false or "-" ---- */

/*
 * Returns member @key of @from, which keeps owning it. NULL: there is no such member, it is null,
 * or @from is NULL, so that calls may be nested without a test in between.
 */
struct json_object *ctl_get(struct json_object *from, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(from, key, &value);
	return value;
}

struct json_object *ctl_at(struct json_object *list, size_t i)
{
	return json_object_array_get_idx(list, i);
}

/*
 * Returns member @key as text, which lives as long as @from. A number comes as its digits, so that
 * a table needs no types.
 */
const char *ctl_get_string(struct json_object *from, const char *key)
{
	struct json_object *value = ctl_get(from, key);

	return value ? json_object_get_string(value) : "-";
}

uint64_t ctl_get_u64(struct json_object *from, const char *key)
{
	return json_object_get_uint64(ctl_get(from, key));
}

bool ctl_get_bool(struct json_object *from, const char *key)
{
	return json_object_get_boolean(ctl_get(from, key));
}

/* ---- numbers ---- */

const char *ctl_number(char text[CTL_TEXT], uint64_t number)
{
	snprintf(text, CTL_TEXT, "%" PRIu64, number);
	return text;
}

const char *ctl_mode(char text[CTL_TEXT], uint64_t mode)
{
	snprintf(text, CTL_TEXT, "%04o", (unsigned)mode);
	return text;
}

/*
 * Writes a size with three digits or so: 1.25G, 12.5G, 125G. Without --human it writes the number
 * of bytes, for scripts.
 */
const char *ctl_size(char text[CTL_TEXT], const struct ctl *ctl, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	int unit = 0;

	if (!ctl->human)
		return ctl_number(text, bytes);
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	snprintf(text, CTL_TEXT,
		 value < 10 && unit > 0	   ? "%.2f%c"
		 : value < 100 && unit > 0 ? "%.1f%c"
					   : "%.0f%c",
		 value, units[unit]);
	return text;
}

/*
 * Reads a size. A fraction is allowed if whole bytes come out: 1.5K is, 0.3 is not. 2^63 bytes and
 * more are refused.
 */
bool ctl_parse_size(uint64_t *out, const char *text)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	double value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	value = strtod(text, &end);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit && end[1] == '\0') {
		for (long i = unit - units; i >= 0; i--)
			value *= 1024;
	} else if (*end) {
		return false;
	}
	if (value >= 0x1p63 || value != (double)(uint64_t)value)
		return false;
	*out = (uint64_t)value;
	return true;
}

/*
 * Writes a duration as exactly as a person needs it: latencies in us and ms, days without seconds.
 */
const char *ctl_duration(char text[CTL_TEXT], uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (ns < 1000000)
		snprintf(text, CTL_TEXT, "%.0f us", (double)ns / 1e3);
	else if (s == 0)
		snprintf(text, CTL_TEXT, "%.0f ms", (double)ns / 1e6);
	else if (s < 60)
		snprintf(text, CTL_TEXT, "%" PRIu64 " s", s);
	else if (s < 86400)
		snprintf(text, CTL_TEXT, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
			 s / 60 % 60, s % 60);
	else
		snprintf(text, CTL_TEXT, "%" PRIu64 " days %02" PRIu64 ":%02" PRIu64, s / 86400,
			 s / 3600 % 24, s / 60 % 60);
	return text;
}

/* Writes a time in the user's time zone; --json has the nanoseconds since 1970. */
const char *ctl_time(char text[CTL_TEXT], uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / 1000000000);
	struct tm when;

	if (!localtime_r(&seconds, &when) ||
	    strftime(text, CTL_TEXT, "%Y-%m-%d %H:%M:%S", &when) == 0)
		snprintf(text, CTL_TEXT, "-");
	return text;
}

/*
 * Reads hexadecimal digits into @name. The daemon sends whole pairs only. More bytes than a name
 * can have are refused, since @name has no room for them.
 */
static bool take_hex(struct ctl_bytes *name, const char *hex)
{
	size_t len = strlen(hex) / 2;

	if (len > PMA_MAX_NAME)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		name->bytes[i] = (char)strtoul(pair, NULL, 16);
	}
	name->bytes[len] = '\0';
	name->len = len;
	return true;
}

/*
 * Reads the name. A NUL cannot be in it, since the daemon allows none, so the bytes can end with
 * one.
 */
bool ctl_get_name(struct ctl_bytes *name, struct json_object *shape)
{
	struct json_object *text = ctl_get(shape, "name"), *hex = ctl_get(shape, "name_hex");
	size_t len = text ? (size_t)json_object_get_string_len(text) : 0;

	if (!text)
		return hex && take_hex(name, json_object_get_string(hex));
	if (len > PMA_MAX_NAME)
		return false;
	memcpy(name->bytes, json_object_get_string(text), len + 1);
	name->len = len;
	return true;
}

const char *ctl_name(char text[CTL_TEXT], struct json_object *shape)
{
	struct ctl_bytes name;

	return ctl_get_name(&name, shape) ? ctl_shown(text, name.bytes, name.len) : "-";
}

/* Prints one property; the values stand in one column, so that a list of them can be read down. */
void ctl_line(const char *key, const char *value)
{
	char text[CTL_TEXT];

	printf("%-22s %s\n", key, ctl_sentence(text, value));
}

/* ---- tables ---- */

/* A table that is being filled. Its lines are libsmartcols' own. */
struct ctl_table {
	struct libscols_table *table;
	struct libscols_line *line;
	size_t next;
};

/*
 * Ends the program: a table that lacks rows would be a wrong answer. The cells are copies, and
 * nothing else must be undone.
 */
static void out_of_memory(void)
{
	fputs("pmemarenactl: out of memory\n", stderr);
	exit(CTL_FAILED);
}

/*
 * Makes a table. libsmartcols would escape what is not printable in its own way; every cell has
 * gone through ctl_sentence() already, so that is switched off.
 */
struct ctl_table *ctl_table_new(const char *const *columns)
{
	struct ctl_table *table = calloc(1, sizeof(*table));

	if (table)
		table->table = scols_new_table();
	if (!table || !table->table)
		out_of_memory();
	scols_table_enable_noencoding(table->table, 1);
	for (; *columns; columns++) {
		bool is_right = **columns == '>';

		if (!scols_table_new_column(table->table, *columns + is_right, 0,
					    is_right ? SCOLS_FL_RIGHT : 0))
			out_of_memory();
	}
	return table;
}

void ctl_table_row(struct ctl_table *table)
{
	table->line = scols_table_new_line(table->table, NULL);
	table->next = 0;
	if (!table->line)
		out_of_memory();
}

/*
 * Adds the next cell of the row. @text may hold what a user chose, so it is escaped for the
 * terminal.
 */
void ctl_table_cell(struct ctl_table *table, const char *text)
{
	char shown[CTL_TEXT];

	if (scols_line_set_data(table->line, table->next++, ctl_sentence(shown, text)) < 0)
		out_of_memory();
}

/*
 * Notes how wide the columns were printed: the rows that follow are at least as wide, so that the
 * columns stay in line.
 */
static void keep_widths(struct ctl_table *table)
{
	for (size_t i = 0; i < scols_table_get_ncols(table->table); i++) {
		struct libscols_column *column = scols_table_get_column(table->table, i);

		scols_column_set_whint(column, (double)scols_column_get_width(column));
	}
	scols_table_enable_noheadings(table->table, 1);
}

/*
 * Prints the rows so far and forgets them, for a table that comes in pages: a million rows need no
 * memory, and a reader behind a pipe sees them as they come.
 */
void ctl_table_flush(struct ctl_table *table)
{
	scols_print_table(table->table);
	keep_widths(table);
	scols_table_remove_lines(table->table);
	ctl_flush();
}

/*
 * Prints the rest of the table and frees it. A table that had rows and got none since the last
 * flush prints nothing more; one that never had a row prints its head.
 */
void ctl_table_print(struct ctl_table *table)
{
	if (scols_table_get_nlines(table->table) > 0 || !scols_table_is_noheadings(table->table))
		scols_print_table(table->table);
	scols_unref_table(table->table);
	free(table);
}
