/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * df: how full the arenas are, and what is this user's of them. It asks as a client, so that every
 * user of an arena may.
 */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

/* The columns MINE and LIMIT: bytes that this user is charged for, and how many they may be. */
static const char *const columns[] = { "ARENA", ">SIZE", ">FREE", ">LARGEST", ">MINE", ">LIMIT",
				       NULL };

/* The library has 0 for "no limit"; JSON has null, which nobody takes for a limit of nothing. */
static struct json_object *charge_to_json(const struct pma_charge *charge)
{
	struct json_object *to = json_object_new_object();

	json_object_object_add(to, "used", json_object_new_uint64(charge->used));
	json_object_object_add(to, "limit",
			       charge->limit ? json_object_new_uint64(charge->limit) : NULL);
	return to;
}

/*
 * The clients' socket speaks no JSON, so the object for --json is made here; its members have the
 * names that the administrators' answers have for the same numbers.
 */
static struct json_object *usage_to_json(const char *name, const struct pma_usage *usage)
{
	struct json_object *to = json_object_new_object();

	json_object_object_add(to, "arena", json_object_new_string(name));
	json_object_object_add(to, "size", json_object_new_uint64(usage->size));
	json_object_object_add(to, "free", json_object_new_uint64(usage->free));
	json_object_object_add(to, "largest_free", json_object_new_uint64(usage->largest_free));
	json_object_object_add(to, "leased", json_object_new_uint64(usage->leased));
	json_object_object_add(to, "reserved", json_object_new_uint64(usage->reserved));
	json_object_object_add(to, "quarantined", json_object_new_uint64(usage->quarantined));
	json_object_object_add(to, "bytes", charge_to_json(&usage->bytes));
	json_object_object_add(to, "allocations", charge_to_json(&usage->allocations));
	json_object_object_add(to, "leased_bytes", charge_to_json(&usage->leased_bytes));
	return to;
}

/* Adds the row of one arena. A limit that does not exist is shown as a dash. */
static void add_row(struct ctl_table *table, const struct ctl *ctl, const char *name,
		    const struct pma_usage *usage)
{
	const struct pma_charge *bytes = &usage->bytes;
	char text[CTL_TEXT];

	ctl_table_row(table);
	ctl_table_cell(table, name);
	ctl_table_cell(table, ctl_size(text, ctl, usage->size));
	ctl_table_cell(table, ctl_size(text, ctl, usage->free));
	ctl_table_cell(table, ctl_size(text, ctl, usage->largest_free));
	ctl_table_cell(table, ctl_size(text, ctl, bytes->used));
	ctl_table_cell(table, bytes->limit ? ctl_size(text, ctl, bytes->limit) : "-");
}

/* An arena that is offline, or not for this user, is left out with a line on standard error. */
static int show_all(const struct ctl *ctl, struct pma *pma)
{
	struct json_object *result = json_object_new_object(), *arenas = json_object_new_array();
	struct ctl_table *table = ctl->json ? NULL : ctl_table_new(columns);
	uint32_t nr = pma_arena_count(pma);
	int status = CTL_DONE;

	json_object_object_add(result, "schema", json_object_new_int(1));
	json_object_object_add(result, "arenas", arenas);
	for (uint32_t i = 0; i < nr; i++) {
		struct pma_arena arena;
		struct pma_usage usage;

		if (pma_arena_get(&arena, pma, i) < 0)
			continue;
		if (pma_usage_get(&usage, pma, i) < 0) {
			ctl_say("%s", pma_message());
			status = CTL_FAILED;
			continue;
		}
		json_object_array_add(arenas, usage_to_json(arena.name, &usage));
		if (table)
			add_row(table, ctl, arena.name, &usage);
	}
	if (table)
		ctl_table_print(table);
	else
		ctl_print_json(ctl, result);
	json_object_put(result);
	return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct pma *pma;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_df, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_connect(&pma, ctl);
	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	status = show_all(ctl, pma);
	ctl_await_no_more();
	pma_disconnect(pma);
	return status;
}

const struct ctl_command ctl_df = {
	"df", "", "Show how full the arenas are, and what is yours of them", NULL, run };
