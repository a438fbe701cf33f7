/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list: shows allocations. Each page is printed when it arrives: of a million, the first line is
 * there at once, and no more than a page is kept in memory. With --json all pages are one object.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "ctl/list.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --prefix TEXT         those whose names begin with TEXT, in the order of names; "
	"without: all, in no order\n"
	"      --state STATE         published (the default), reserved, freeing or all: freeing is "
	"what was freed, and\n"
	"                            somebody may still have mapped\n"
	"      --owner USER[:GROUP]  this user's, or :GROUP a group's\n"
	"      --sort COLUMN         in this order, or -COLUMN downwards; nothing is shown before "
	"all is known\n"
	"      --columns LIST        some of size,state,uid,gid,mode,extents,open,slot,id,created,"
	"name\n"
	"\n"
	"Names are shown so that they can be typed back: \\xHH is a byte that cannot be seen, \\\\ "
	"a backslash; TEXT is read in the same way. A - stands\n"
	"for no name: such an allocation is found by its SLOT and ID.\n";

/* Where the entries of the list are printed to: a table, or JSON. */
struct sheet {
	const struct ctl *ctl;
	struct ctl_table *table;        /* owned; NULL: the output is JSON */
	const struct list_column *columns[LIST_COLUMNS_MAX + 1];
	struct ctl_owner owner;         /* whose; without has_uid: everybody's */
	struct json_object *all;        /* owned: kept to be sorted; NULL: nothing is */
	bool has_some;
};

/*
 * The JSON is one object, as other commands print it, but it is written page by page: a list of
 * millions would not fit into memory. So its brackets are written by hand, here and in end().
 */
static void begin(struct sheet *sheet)
{
	const char *titles[LIST_COLUMNS_MAX + 1];
	size_t nr = 0;

	for (; sheet->columns[nr]; nr++)
		titles[nr] = sheet->columns[nr]->title;
	titles[nr] = NULL;
	if (!sheet->ctl->json)
		sheet->table = ctl_table_new(titles);
	else
		fputs("{\"schema\":1,\"allocations\":[", stdout);
}

static void add_row(struct sheet *sheet, struct json_object *alloc)
{
	char text[CTL_TEXT];

	ctl_table_row(sheet->table);
	for (size_t i = 0; sheet->columns[i]; i++) {
		const struct list_column *column = sheet->columns[i];

		if (column->show)
			column->show(text, sheet->ctl, alloc);
		ctl_table_cell(sheet->table,
			       column->show ? text : ctl_get_string(alloc, column->key));
	}
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

static bool is_wanted(const struct sheet *sheet, struct json_object *alloc)
{
	return (!sheet->owner.has_uid || ctl_get_u64(alloc, "uid") == sheet->owner.uid) &&
	       (!sheet->owner.has_gid || ctl_get_u64(alloc, "gid") == sheet->owner.gid);
}

/* Shows one page. Returns false when nobody reads the output any more. */
static bool add_page(struct sheet *sheet, struct json_object *page)
{
	for (size_t i = 0; i < json_object_array_length(page); i++) {
		if (!is_wanted(sheet, ctl_at(page, i)))
			continue;
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

/* Keeps one page until all are there. */
static void keep_page(struct sheet *sheet, struct json_object *page)
{
	for (size_t i = 0; i < json_object_array_length(page); i++) {
		if (is_wanted(sheet, ctl_at(page, i)))
			json_object_array_add(sheet->all, json_object_get(ctl_at(page, i)));
	}
}

static int show_pages(struct sheet *sheet, struct ctl_listing *listing)
{
	struct json_object *page;
	bool goes_on = true;
	int status = ctl_listing_next(&page, listing);

	if (status == CTL_DONE)
		begin(sheet);
	while (status == CTL_DONE && page && goes_on) {
		if (sheet->all)
			keep_page(sheet, page);
		else
			goes_on = add_page(sheet, page);
		json_object_put(page);
		page = NULL;
		if (goes_on)
			status = ctl_listing_next(&page, listing);
	}
	if (status == CTL_DONE && sheet->all) {
		list_sort(sheet->all);
		add_page(sheet, sheet->all);
	}
	return status;
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
	const char *prefix = NULL, *sort = NULL, *owner = NULL, *columns = NULL;
	const struct ctl_option options[] = {
		{ "arena", &listing.arena, NULL }, { "prefix", &prefix, NULL },
		{ "state", &listing.state, NULL }, { "sort", &sort, NULL },
		{ "owner", &owner, NULL },	   { "columns", &columns, NULL },
		{ NULL, NULL, NULL },
	};
	struct sheet sheet = { .ctl = ctl };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_list, argc, argv, options, 0, 0))
		return status;
	if ((prefix && !ctl_read_name(&listing.prefix, prefix)) ||
	    !list_read_columns(sheet.columns, columns) || (sort && !list_read_order(sort)) ||
	    (owner && !ctl_read_owner(&sheet.owner, owner)))
		return CTL_USAGE;
	if (prefix && listing.state)
		return ctl_usage(&ctl_list, "--prefix and --state exclude each other");
	if (sort)
		sheet.all = json_object_new_array();
	status = show_pages(&sheet, &listing);
	if (sheet.table || sheet.has_some || status == CTL_DONE)
		end(&sheet, status);
	json_object_put(sheet.all);
	ctl_listing_end(&listing);
	return status;
}

const struct ctl_command ctl_list = {
	"list",
	"[--prefix TEXT | --state STATE] [--owner USER] [--sort COLUMN] [--columns LIST]",
	"List allocations", help, run
};
