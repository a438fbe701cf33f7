/* SPDX-License-Identifier: BSD-3-Clause */
/* list-arenas: shows the arenas and their devices. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

const char *ctl_arena_state(char text[CTL_TEXT], struct json_object *arena)
{
	snprintf(text, CTL_TEXT, "%s%s%s", ctl_get_string(arena, "state"),
		 ctl_get_bool(arena, "drained") ? ", drained" : "",
		 ctl_get_bool(arena, "leaving") ? ", leaving" : "");
	return text;
}

static void show(const struct ctl *ctl, struct json_object *arenas)
{
	static const char *const columns[] = { "ARENA", "STATE",  ">SIZE", ">PAGE", "DEVICE",
					       "MODE",	">ALIGN", ">NODE", "UUID",  NULL };
	struct ctl_table *table = ctl_table_new(columns);
	char text[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(arenas); i++) {
		struct json_object *arena = ctl_at(arenas, i), *device = ctl_get(arena, "device");

		ctl_table_row(table);
		ctl_table_cell(table, ctl_get_string(arena, "name"));
		ctl_table_cell(table, ctl_arena_state(text, arena));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(arena, "size")));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(arena, "page_size")));
		ctl_table_cell(table, ctl_get_string(device, "path"));
		ctl_table_cell(table, ctl_get_string(device, "mode"));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(device, "align")));
		ctl_table_cell(table, ctl_get_string(device, "target_node"));
		ctl_table_cell(table, ctl_get_string(arena, "uuid"));
	}
	ctl_table_print(table);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_list_arenas, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "list-arenas", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, ctl_get(result, "arenas"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_list_arenas = { "list-arenas", "", "List the arenas and their devices",
					     NULL, run };
