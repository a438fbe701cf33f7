/* SPDX-License-Identifier: BSD-3-Clause */
/* info: one allocation. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --offset N            the allocation that covers byte N of the arena's device, as a memory error reports it\n"
	"      --slot N --id N       the allocation with this handle\n";

static void show(const struct ctl *ctl, struct json_object *alloc)
{
	static const char *const columns[] = { ">EXTENT", ">OFFSET", ">SIZE", NULL };
	struct json_object *layout = ctl_get(alloc, "layout");
	struct ctl_table *table;
	char text[CTL_TEXT];

	ctl_line("name", ctl_name(text, alloc));
	ctl_line("arena", ctl_get_string(alloc, "arena"));
	snprintf(text, sizeof(text), "slot %s, id %s", ctl_get_string(alloc, "slot"), ctl_get_string(alloc, "id"));
	ctl_line("handle", text);
	ctl_line("state", ctl_get_string(alloc, "state"));
	ctl_line("size", ctl_size(text, ctl, ctl_get_u64(alloc, "size")));
	snprintf(text, sizeof(text), "uid %s, gid %s", ctl_get_string(alloc, "uid"), ctl_get_string(alloc, "gid"));
	ctl_line("owner", text);
	ctl_line("mode", ctl_mode(text, ctl_get_u64(alloc, "mode")));
	ctl_line("created", ctl_time(text, ctl_get_u64(alloc, "created_ns")));
	ctl_line("version", ctl_get_string(alloc, "version"));
	ctl_line("open in sessions", ctl_get_string(alloc, "open_by"));
	ctl_line("poisoned", ctl_get_bool(alloc, "poisoned") ? "yes" : "no");
	table = ctl_table_new(columns);
	for (size_t i = 0; i < json_object_array_length(layout); i++) {
		ctl_table_row(table);
		ctl_table_cell(table, ctl_number(text, i));
		ctl_table_cell(table, ctl_get_string(ctl_at(layout, i), "offset"));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(ctl_at(layout, i), "size")));
	}
	ctl_table_print(table);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *arena = NULL, *offset = NULL, *slot = NULL, *id = NULL;
	const struct ctl_option options[] = {
		{ "arena", &arena, NULL }, { "offset", &offset, NULL }, { "slot", &slot, NULL }, { "id", &id, NULL }, { NULL, NULL, NULL },
	};
	struct json_object *params, *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_info, argc, argv, options, 0, 1))
		return status;
	if (!argv[1] && !offset && !id)
		return ctl_usage(&ctl_info, "say which allocation: NAME, --offset N, or --slot N --id N");
	params = ctl_params();
	ctl_put(params, "arena", arena);
	if (argv[1])
		ctl_put_name(params, argv[1]);
	ctl_put(params, "offset", offset);
	ctl_put(params, "slot", slot);
	ctl_put(params, "id", id);
	status = ctl_call(&result, ctl, "info", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, ctl_get(result, "allocation"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_info = { "info", "NAME | --offset N | --slot N --id N", "Show one allocation", help, run };
