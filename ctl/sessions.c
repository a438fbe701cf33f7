/* SPDX-License-Identifier: BSD-3-Clause */
/* sessions: who is connected. */
#include <config.h>

#include "ctl/ctl.h"

static void show(struct json_object *sessions)
{
	static const char *const columns[] = { ">SESSION", ">UID", ">PID", ">CONNECTED", ">MESSAGES", ">WAITING", "BLOCKED", NULL };
	struct ctl_table *table = ctl_table_new(columns);
	char text[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(sessions); i++) {
		struct json_object *session = ctl_at(sessions, i);

		ctl_table_row(table);
		ctl_table_cell(table, ctl_get_string(session, "session"));
		ctl_table_cell(table, ctl_get_string(session, "uid"));
		ctl_table_cell(table, ctl_get_string(session, "pid"));
		ctl_table_cell(table, ctl_duration(text, ctl_get_u64(session, "connected_ns")));
		ctl_table_cell(table, ctl_get_string(session, "messages"));
		ctl_table_cell(table, ctl_get_string(session, "waiting"));
		ctl_table_cell(table, ctl_get_bool(session, "blocked") ? "yes" : "no");
	}
	ctl_table_print(table);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_sessions, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "sessions", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl_get(result, "sessions"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_sessions = { "sessions", "", "List who is connected", NULL, run };
