/* SPDX-License-Identifier: BSD-3-Clause */
/* list: allocations, page after page. With --json all pages are one object. */
#include <config.h>

#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --prefix TEXT         those whose names begin with TEXT, in the order of names; without: all, in no order\n";

static void show(const struct ctl *ctl, struct json_object *list)
{
	static const char *const columns[] = { "NAME", ">SIZE", ">UID", ">GID", "MODE", ">EXTENTS", ">OPEN", ">ID", "CREATED", NULL };
	struct ctl_table *table = ctl_table_new(columns);
	char text[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *alloc = ctl_at(list, i);

		ctl_table_row(table);
		ctl_table_cell(table, ctl_name(text, alloc));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(alloc, "size")));
		ctl_table_cell(table, ctl_get_string(alloc, "uid"));
		ctl_table_cell(table, ctl_get_string(alloc, "gid"));
		ctl_table_cell(table, ctl_mode(text, ctl_get_u64(alloc, "mode")));
		ctl_table_cell(table, ctl_get_string(alloc, "extents"));
		ctl_table_cell(table, ctl_get_string(alloc, "open_by"));
		ctl_table_cell(table, ctl_get_string(alloc, "id"));
		ctl_table_cell(table, ctl_time(text, ctl_get_u64(alloc, "created_ns")));
	}
	ctl_table_print(table);
}

static struct json_object *params_for(const char *arena, const char *prefix, const char *cursor)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", arena);
	ctl_put(params, "prefix", prefix);
	ctl_put(params, "cursor", cursor);
	return params;
}

/* The next page behind what @all has; takes @page. */
static void append(struct json_object *all, struct json_object *page)
{
	struct json_object *to = ctl_get(all, "allocations"), *from = ctl_get(page, "allocations");

	for (size_t i = 0; i < json_object_array_length(from); i++)
		json_object_array_add(to, json_object_get(ctl_at(from, i)));
	json_object_object_add(all, "cursor", json_object_get(ctl_get(page, "cursor")));
	json_object_put(page);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *arena = NULL, *prefix = NULL;
	const struct ctl_option options[] = { { "arena", &arena, NULL }, { "prefix", &prefix, NULL }, { NULL, NULL, NULL } };
	struct json_object *all, *page;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_list, argc, argv, options, 0, 0))
		return status;
	status = ctl_call(&all, ctl, "list", params_for(arena, prefix, NULL));
	while (status == CTL_DONE && ctl_get(all, "cursor")) {
		status = ctl_call(&page, ctl, "list", params_for(arena, prefix, ctl_get_string(all, "cursor")));
		if (status == CTL_DONE)
			append(all, page);
		else
			json_object_put(all);
	}
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, all))
		show(ctl, ctl_get(all, "allocations"));
	json_object_put(all);
	return CTL_DONE;
}

const struct ctl_command ctl_list = { "list", "[--prefix TEXT] [--arena NAME]", "List allocations", help, run };
