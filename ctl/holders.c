/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holders: shows whose each reserved, leased, open or quarantined byte is, a page of rows at a
 * time.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --offset N            of the allocation that covers byte N of the arena's "
	"device\n"
	"      --uid N               of sessions of this user\n"
	"      --session N           of this session\n"
	"\n"
	"HOLDER is connected; awaited: its daemon was killed, and it may come back within the\n"
	"grace time; ending; mark: the session is over, and somebody has its descriptor or a\n"
	"mapping through it; or nobody. PID and COMMAND are those of who connected.\n"
	"A window of a process that died is held by its mark as well; FREED is what would be free\n"
	"without its pins. A window that is awaited counts as pinning all.\n";

struct wish {
	const char *arena, *name, *offset, *uid, *session;
	struct ctl_bytes bytes;         /* the name, as bytes */
};

/*
 * One row is one holder of one allocation; the same allocation has several rows when several
 * sessions have it open. What the daemon does not know is a dash: after a restart, who connected
 * before may be unknown.
 */
static void add_row(const struct ctl *ctl, struct ctl_table *table, struct json_object *row)
{
	char text[CTL_TEXT];

	ctl_table_row(table);
	ctl_table_cell(table, ctl_get_string(row, "kind"));
	ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(row, "size")));
	ctl_table_cell(table, ctl_get_string(row, "holder"));
	ctl_table_cell(table, ctl_get_string(row, "session"));
	ctl_table_cell(table, ctl_get_string(row, "uid"));
	ctl_table_cell(table, ctl_get_string(row, "pid"));
	ctl_table_cell(table, ctl_get_string(row, "command"));
	ctl_table_cell(table, ctl_get(row, "since_ns")
				      ? ctl_time(text, ctl_get_u64(row, "since_ns"))
				      : "-");
	ctl_table_cell(table, ctl_get_bool(row, "closed") ? "yes" : "no");
	ctl_table_cell(table, ctl_get_bool(row, "lent") ? "yes" : "no");
	ctl_table_cell(table, ctl_get_string(row, "slot"));
	ctl_table_cell(table, ctl_get_string(row, "id"));
	ctl_table_cell(table, ctl_name(text, row));
}

/* The filters are the daemon's: the tool would have to fetch all holders to apply them. */
static struct json_object *params_for(const struct wish *wish)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", wish->arena);
	if (wish->name)
		ctl_put_bytes(params, "name", &wish->bytes);
	ctl_put(params, "offset", wish->offset);
	ctl_put(params, "uid", wish->uid);
	ctl_put(params, "session", wish->session);
	return params;
}

static void show(const struct ctl *ctl, struct json_object *result)
{
	static const char *const columns[] = { "KIND",	 ">SIZE", "HOLDER", ">SESSION",
					       ">UID",	 ">PID",  "COMMAND", "SINCE",
					       "CLOSED", "LENT",  ">SLOT",   ">ID",
					       "NAME",	 NULL };
	struct json_object *rows = ctl_get(result, "holders");
	struct ctl_table *table = ctl_table_new(columns);

	for (size_t i = 0; i < json_object_array_length(rows); i++)
		add_row(ctl, table, ctl_at(rows, i));
	ctl_table_print(table);
	ctl_show_windows(ctl, result, false);
	ctl_show_withheld(ctl, result, "");
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL },	    { "offset", &wish.offset, NULL },
		{ "uid", &wish.uid, NULL },	    { "session", &wish.session, NULL },
		{ NULL, NULL, NULL },
	};
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_holders, argc, argv, options, 0, 1))
		return status;
	wish.name = argv[1];
	if (wish.name && wish.offset)
		return ctl_usage(&ctl_holders, "a name and --offset exclude each other");
	if (wish.name && !ctl_read_name(&wish.bytes, wish.name))
		return CTL_USAGE;
	status = ctl_call_all(&result, ctl, "holders", "holders", params_for(&wish));
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_holders = { "holders",
					 "[NAME | --offset N] [--uid N] [--session N]",
					 "Show whose reserved, open and quarantined space is",
					 help, run };
