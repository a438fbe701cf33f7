/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * users: who has how much of what is charged for, and how much each may have; a page at a time.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --uid N               of this user\n"
	"\n"
	"The line with - for an arena is the user's use of all of them. USED/LIMIT; without a\n"
	"limit only what is used. MARKS are sessions that have, or may have, a descriptor or a\n"
	"mapping; OVER of the sessions are over and have one. QUARANTINED is part of BYTES:\n"
	"freed, and still held by a session of the user.\n";

/* Adds one cell: what is used and, behind a slash, the limit. */
static void add_charge(const struct ctl *ctl, struct ctl_table *table, struct json_object *from,
		       const char *key, bool is_bytes)
{
	struct json_object *charge = ctl_get(from, key);
	uint64_t used = ctl_get_u64(charge, "used"), limit = ctl_get_u64(charge, "limit");
	char text[2 * CTL_TEXT], used_text[CTL_TEXT], limit_text[CTL_TEXT];

	ctl_number(used_text, used);
	ctl_number(limit_text, limit);
	if (is_bytes) {
		ctl_size(used_text, ctl, used);
		ctl_size(limit_text, ctl, limit);
	}
	snprintf(text, sizeof(text), "%s%s%s", used_text, limit ? "/" : "",
		 limit ? limit_text : "");
	ctl_table_cell(table, text);
}

/*
 * Adds a row from @from, which is the user as a whole or the user's part of one arena: both have
 * the same members.
 */
static void add_row(const struct ctl *ctl, struct ctl_table *table, const char *uid,
		    struct json_object *from)
{
	char text[CTL_TEXT];

	ctl_table_row(table);
	ctl_table_cell(table, uid);
	ctl_table_cell(table, ctl_get_string(from, "arena"));
	add_charge(ctl, table, from, "sessions", false);
	ctl_table_cell(table, ctl_get_string(ctl_get(from, "sessions"), "given_up"));
	ctl_table_cell(table, ctl_get_string(from, "marks"));
	ctl_table_cell(table, ctl_get_string(from, "descriptors"));
	add_charge(ctl, table, from, "allocations", false);
	add_charge(ctl, table, from, "bytes", true);
	ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(ctl_get(from, "bytes"), "given_up")));
	add_charge(ctl, table, from, "leased_bytes", true);
}

/* Prints the table. The rows of a user follow each other, the sum first. */
static void show(const struct ctl *ctl, struct json_object *users)
{
	static const char *const columns[] = { ">UID",	       "ARENA",	 ">SESSIONS",	 ">OVER",
					       ">MARKS",       ">FDS",	 ">ALLOCATIONS", ">BYTES",
					       ">QUARANTINED", ">LEASED", NULL };
	struct ctl_table *table = ctl_table_new(columns);

	for (size_t i = 0; i < json_object_array_length(users); i++) {
		struct json_object *user = ctl_at(users, i), *arenas = ctl_get(user, "arenas");
		char uid[CTL_TEXT];

		ctl_number(uid, ctl_get_u64(user, "uid"));
		add_row(ctl, table, uid, user);
		for (size_t j = 0; j < json_object_array_length(arenas); j++)
			add_row(ctl, table, uid, ctl_at(arenas, j));
	}
	ctl_table_print(table);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *uid = NULL;
	const struct ctl_option options[] = { { "uid", &uid, NULL }, { NULL, NULL, NULL } };
	struct json_object *params, *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_users, argc, argv, options, 0, 0))
		return status;
	params = ctl_params();
	ctl_put(params, "uid", uid);
	status = ctl_call_all(&result, ctl, "users", "users", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, ctl_get(result, "users"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_users = {
	"users", "[--uid N]", "Show what each user is charged for, and its limits", help, run
};
