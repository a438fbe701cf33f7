/* SPDX-License-Identifier: BSD-3-Clause */
/* windows: shows whose window pins how much; sessions and holders do. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

/* An idle window is of interest to who asks for the sessions, not to who asks whose space is. */
static bool is_shown(struct json_object *window, bool with_idle)
{
	return with_idle || !ctl_get(window, "pins") || ctl_get_u64(window, "pins") > 0;
}

/*
 * Fills in which process has the window: to root as the kernel says it, else who came with it last
 * to this daemon. That process may have died, and a child of it may have the mapping.
 */
static void describe_process(char who[CTL_TEXT], const struct ctl_marks *marks,
			     struct json_object *window)
{
	char name[CTL_TEXT];
	size_t at = 0;
	const struct ctl_mark *mark = ctl_next_mark(&at, marks, window);

	if (mark)
		ctl_describe_process(who, mark->pid);
	else if (ctl_get(window, "pid"))
		snprintf(who, CTL_TEXT, "process %.32s (%.100s), connected last",
			 ctl_get_string(window, "pid"),
			 ctl_sentence(name, ctl_get_string(window, "command")));
	else
		snprintf(who, CTL_TEXT, "-");
}

static void size_cell(struct ctl_table *table, const struct ctl *ctl, struct json_object *window,
		      const char *key)
{
	char text[CTL_TEXT];

	ctl_table_cell(table, ctl_get(window, key)
				      ? ctl_size(text, ctl, ctl_get_u64(window, key))
				      : "all");
}

static void add_row(const struct ctl *ctl, struct ctl_table *table, const struct ctl_marks *marks,
		    struct json_object *window)
{
	char who[CTL_TEXT];

	describe_process(who, marks, window);
	ctl_table_row(table);
	ctl_table_cell(table, ctl_get_string(window, "window"));
	ctl_table_cell(table, ctl_get_string(window, "arena"));
	ctl_table_cell(table, ctl_get_string(window, "holder"));
	ctl_table_cell(table, ctl_get_string(window, "session"));
	ctl_table_cell(table, ctl_get_string(window, "uid"));
	ctl_table_cell(table, ctl_get_string(window, "pins"));
	ctl_table_cell(table, ctl_get_string(window, "allocations"));
	size_cell(table, ctl, window, "size");
	size_cell(table, ctl, window, "freed_size");
	ctl_table_cell(table, who);
}

void ctl_show_windows(const struct ctl *ctl, struct json_object *from, bool with_idle)
{
	static const char *const columns[] = { ">WINDOW", "ARENA", "HOLDER",	   ">SESSION",
					       ">UID",	  ">PINS", ">ALLOCATIONS", ">SIZE",
					       ">FREED",  "PROCESS", NULL };
	struct json_object *windows = ctl_get(from, "windows");
	struct ctl_marks marks = { 0 };
	struct ctl_table *table = NULL;

	for (size_t i = 0; windows && i < json_object_array_length(windows); i++) {
		if (!is_shown(ctl_at(windows, i), with_idle))
			continue;
		if (!table) {
			printf("\nwindows, and what they pin:\n");
			ctl_read_marks(&marks, 0);
			table = ctl_table_new(columns);
		}
		add_row(ctl, table, &marks, ctl_at(windows, i));
	}
	if (table)
		ctl_table_print(table);
	free(marks.list);
}
