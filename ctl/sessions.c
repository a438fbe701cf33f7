/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sessions: shows who is connected, and which sessions are over and may still have something
 * mapped.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

/*
 * Prints the table of sessions. WAITING counts messages that found no clean space. BLOCKED means
 * that the client does not read its replies, and the daemon therefore reads nothing from it.
 */
static void show(struct json_object *sessions)
{
	static const char *const columns[] = { ">SESSION",  ">UID",	">PID",	   ">CONNECTED",
					       ">MESSAGES", ">WAITING", "BLOCKED", NULL };
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

/*
 * Shows sessions that are over while something of them may still be mapped, and, to root, which
 * process has the descriptor for that.
 */
static void show_ended(struct json_object *ended)
{
	static const char *const columns[] = { ">SESSION", ">UID",    "ARENA",
					       ">OPEN",    "HELD BY", NULL };
	struct ctl_marks marks = { 0 };
	struct ctl_table *table;

	if (!ended || json_object_array_length(ended) == 0)
		return;
	ctl_read_marks(&marks, 0);
	printf("\nover, and perhaps still mapped:\n");
	table = ctl_table_new(columns);
	for (size_t i = 0; i < json_object_array_length(ended); i++) {
		struct json_object *session = ctl_at(ended, i);
		size_t at = 0;
		const struct ctl_mark *mark = ctl_next_mark(&at, &marks, session);
		char who[CTL_TEXT] = "-";

		if (mark)
			ctl_describe_process(who, mark->pid);
		ctl_table_row(table);
		ctl_table_cell(table, ctl_get_string(session, "session"));
		ctl_table_cell(table, ctl_get_string(session, "uid"));
		ctl_table_cell(table, ctl_get_string(session, "arena"));
		ctl_table_cell(table, ctl_get_string(session, "holds"));
		ctl_table_cell(table, who);
	}
	ctl_table_print(table);
	free(marks.list);
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
	if (!ctl_print_json(ctl, result)) {
		show(ctl_get(result, "sessions"));
		show_ended(ctl_get(result, "ended"));
		ctl_show_windows(ctl, result, true);
	}
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_sessions = { "sessions", "", "List who is connected", NULL, run };
