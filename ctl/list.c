/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list: shows allocations. Each page is printed when it arrives: of a million, the first line is
 * there at once, and no more than a page is kept in memory. With --json all pages are one object.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --prefix TEXT         those whose names begin with TEXT, in the order of names; "
	"without: all, in no order\n"
	"      --state STATE         published (the default), reserved, freeing or all: freeing is "
	"what was freed, and\n"
	"                            somebody may still have mapped\n"
	"\n"
	"Names are shown so that they can be typed back: \\xHH is a byte that cannot be seen, \\\\ "
	"a backslash; TEXT is read in the same way. A - stands\n"
	"for no name: such an allocation is found by its SLOT and ID.\n";

/* Where the entries of the list are printed to: a table, or JSON. */
struct sheet {
	const struct ctl *ctl;
	struct ctl_table *table;        /* owned; NULL: the output is JSON */
	bool has_some;
};

/*
 * The JSON is one object, as other commands print it, but it is written page by page: a list of
 * millions would not fit into memory. So its brackets are written by hand, here and in end().
 */
static void begin(struct sheet *sheet)
{
	static const char *const columns[] = { ">SIZE", "STATE",    ">UID",	">GID",
					       "MODE",	">EXTENTS", ">OPEN",	">SLOT",
					       ">ID",	"CREATED",  "NAME",	NULL };

	if (!sheet->ctl->json)
		sheet->table = ctl_table_new(columns);
	else
		fputs("{\"schema\":1,\"allocations\":[", stdout);
}

/*
 * Says the state of an allocation in one word. 'poisoned' wins over 'published': until somebody has
 * looked at it, the allocation is of no use.
 */
static const char *state_of(struct json_object *alloc)
{
	const char *state = ctl_get_string(alloc, "state");

	return ctl_get_bool(alloc, "poisoned") && strcmp(state, "published") == 0 ? "poisoned"
										   : state;
}

/*
 * Adds a row. Slot and id are in it because an allocation without a name can be named by nothing
 * else.
 */
static void add_row(struct sheet *sheet, struct json_object *alloc)
{
	char text[CTL_TEXT];

	ctl_table_row(sheet->table);
	ctl_table_cell(sheet->table, ctl_size(text, sheet->ctl, ctl_get_u64(alloc, "size")));
	ctl_table_cell(sheet->table, state_of(alloc));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "uid"));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "gid"));
	ctl_table_cell(sheet->table, ctl_mode(text, ctl_get_u64(alloc, "mode")));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "extents"));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "open_by"));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "slot"));
	ctl_table_cell(sheet->table, ctl_get_string(alloc, "id"));
	ctl_table_cell(sheet->table, ctl_time(text, ctl_get_u64(alloc, "created_ns")));
	/* The name is the last column: a long one makes no other line longer. */
	ctl_table_cell(sheet->table, ctl_name(text, alloc));
}

/*
 * Writes an entry as JSON. The comma stands before each entry but the first, since it is not known
 * which is the last.
 */
static void add_json(struct sheet *sheet, struct json_object *alloc)
{
	if (sheet->has_some)
		putchar(',');
	ctl_put_json(json_object_to_json_string_ext(alloc, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* Shows one page. Returns false when nobody reads the output any more. */
static bool add_page(struct sheet *sheet, struct json_object *page)
{
	for (size_t i = 0; i < json_object_array_length(page); i++) {
		if (sheet->table)
			add_row(sheet, ctl_at(page, i));
		else
			add_json(sheet, ctl_at(page, i));
		sheet->has_some = true;
	}
	if (sheet->table)
		ctl_table_flush(sheet->table);
	return ctl_flush() == 0;
}

/*
 * Ends the list. After a failure the JSON is left open on purpose: a script must not take half of a
 * list for all of it.
 */
static void end(struct sheet *sheet, int status)
{
	if (sheet->table)
		ctl_table_print(sheet->table);
	else if (status == CTL_DONE)
		fputs("],\"cursor\":null}\n", stdout);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_listing listing = { .ctl = ctl };
	const char *prefix = NULL;
	const struct ctl_option options[] = { { "arena", &listing.arena, NULL },
					      { "prefix", &prefix, NULL },
					      { "state", &listing.state, NULL },
					      { NULL, NULL, NULL } };
	struct sheet sheet = { .ctl = ctl };
	struct json_object *page;
	bool goes_on = true;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_list, argc, argv, options, 0, 0))
		return status;
	if (prefix && !ctl_read_name(&listing.prefix, prefix))
		return CTL_USAGE;
	if (prefix && listing.state)
		return ctl_usage(&ctl_list, "--prefix and --state exclude each other");
	status = ctl_listing_next(&page, &listing);
	if (status == CTL_DONE)
		begin(&sheet);
	while (status == CTL_DONE && page && goes_on) {
		goes_on = add_page(&sheet, page);
		json_object_put(page);
		page = NULL;
		if (goes_on)
			status = ctl_listing_next(&page, &listing);
	}
	if (sheet.table || sheet.has_some || status == CTL_DONE)
		end(&sheet, status);
	ctl_listing_end(&listing);
	return status;
}

const struct ctl_command ctl_list = { "list", "[--prefix TEXT | --state STATE] [--arena NAME]",
				      "List allocations", help, run };
