/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: how much of its limits a user has used. Administrators see all users; for others it asks
 * the clients' socket for the caller's own.
 */
#include <config.h>

#include <pmemarena.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --uid N               of this user; for administrators\n"
	"      --all                 also what has no limit\n"
	"\n"
	"The line with - for an arena is of all arenas together.\n";

struct sheet {
	const struct ctl *ctl;
	struct ctl_table *table;
	bool all;
};

static const char *const columns[] = { ">UID", "ARENA", "WHAT", ">USED", ">LIMIT", ">%", NULL };

static void add_row(struct sheet *sheet, struct json_object *charge, const char *uid,
		    const char *arena, const char *what, bool is_bytes)
{
	uint64_t used = ctl_get_u64(charge, "used"), limit = ctl_get_u64(charge, "limit");
	char text[CTL_TEXT];

	if (!charge || (!limit && !sheet->all))
		return;
	ctl_table_row(sheet->table);
	ctl_table_cell(sheet->table, uid);
	ctl_table_cell(sheet->table, arena);
	ctl_table_cell(sheet->table, what);
	ctl_table_cell(sheet->table,
		       is_bytes ? ctl_size(text, sheet->ctl, used) : ctl_number(text, used));
	ctl_table_cell(sheet->table, !limit	? "-"
				     : is_bytes ? ctl_size(text, sheet->ctl, limit)
						: ctl_number(text, limit));
	snprintf(text, sizeof(text), limit ? "%.0f" : "-", 100 * (double)used / (double)limit);
	ctl_table_cell(sheet->table, text);
}

static void add_rows(struct sheet *sheet, struct json_object *from, const char *uid)
{
	const char *arena = ctl_get_string(from, "arena");

	add_row(sheet, ctl_get(from, "bytes"), uid, arena, "bytes", true);
	add_row(sheet, ctl_get(from, "allocations"), uid, arena, "allocations", false);
	add_row(sheet, ctl_get(from, "sessions"), uid, arena, "sessions", false);
	add_row(sheet, ctl_get(from, "leased_bytes"), uid, arena, "leased bytes", true);
}

static void show(struct sheet *sheet, struct json_object *users)
{
	char uid[CTL_TEXT];

	sheet->table = ctl_table_new(columns);
	for (size_t i = 0; i < json_object_array_length(users); i++) {
		struct json_object *user = ctl_at(users, i), *arenas = ctl_get(user, "arenas");

		ctl_number(uid, ctl_get_u64(user, "uid"));
		add_rows(sheet, user, uid);
		for (size_t j = 0; j < json_object_array_length(arenas); j++)
			add_rows(sheet, ctl_at(arenas, j), uid);
	}
	ctl_table_print(sheet->table);
}

/* ---- as a client ---- */

static void put_charge(struct json_object *to, const char *key, const struct pma_charge *charge)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "used", json_object_new_uint64(charge->used));
	json_object_object_add(object, "limit",
			       charge->limit ? json_object_new_uint64(charge->limit) : NULL);
	json_object_object_add(to, key, object);
}

/* The caller's own use, in the shape in which administrators get it. */
static struct json_object *ask_own(struct pma *pma)
{
	struct json_object *result = json_object_new_object(), *user = json_object_new_object();
	struct json_object *users = json_object_new_array(), *arenas = json_object_new_array();
	uint32_t nr = pma_arena_count(pma);

	json_object_object_add(result, "schema", json_object_new_int(1));
	json_object_object_add(result, "users", users);
	json_object_array_add(users, user);
	json_object_object_add(user, "uid", json_object_new_uint64(getuid()));
	json_object_object_add(user, "arenas", arenas);
	for (uint32_t i = 0; i < nr; i++) {
		struct json_object *to;
		struct pma_arena arena;
		struct pma_usage usage;

		if (pma_arena_get(&arena, pma, i) < 0 || pma_usage_get(&usage, pma, i) < 0)
			continue;
		to = json_object_new_object();
		json_object_object_add(to, "arena", json_object_new_string(arena.name));
		put_charge(to, "bytes", &usage.bytes);
		put_charge(to, "allocations", &usage.allocations);
		put_charge(to, "leased_bytes", &usage.leased_bytes);
		json_object_array_add(arenas, to);
	}
	return result;
}

static int ask_as_client(struct json_object **result, struct ctl *ctl)
{
	struct pma *pma;
	int status = ctl_connect(&pma, ctl);

	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	*result = ask_own(pma);
	ctl_await_no_more();
	pma_disconnect(pma);
	return CTL_DONE;
}

static int ask(struct json_object **result, struct ctl *ctl, const char *uid)
{
	struct json_object *params = ctl_params();
	int code, r;

	ctl_put(params, "uid", uid);
	r = ctl_call_all_quiet(result, &code, ctl, "users", "users", params);
	if (ctl_is_not_admin(r, code) && !uid)
		return ask_as_client(result, ctl);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct sheet sheet = { .ctl = ctl };
	const char *uid = NULL;
	const struct ctl_option options[] = { { "uid", &uid, NULL },
					      { "all", NULL, &sheet.all },
					      { NULL, NULL, NULL } };
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_quota, argc, argv, options, 0, 0))
		return status;
	status = ask(&result, ctl, uid);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(&sheet, ctl_get(result, "users"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_quota = { "quota", "[--uid N] [--all]",
				       "Show limits beside what is used of them", help, run };
