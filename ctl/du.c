/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * du: adds up what allocations take: by owner, by the beginnings of their names, or by the sessions
 * that have them open. It keeps a sum for each, and no list of allocations.
 */
#include <config.h>

#include <inttypes.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --by owner            a line a user; the default\n"
	"      --by prefix           a line for what is in front of the first / of a name\n"
	"      --by session          a line a session: what it reserved, has open or holds back; "
	"for administrators\n"
	"      --depth N             with --by prefix: in front of the N-th /\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"\n"
	"The largest first. What two sessions have open counts for both.\n";

/* Sums by key: an object {key: {"bytes": N, "allocations": N}}. */
static void add(struct json_object *sums, const char *key, uint64_t bytes)
{
	struct json_object *sum = ctl_get(sums, key);

	if (!sum) {
		sum = json_object_new_object();
		json_object_object_add(sum, "key", json_object_new_string(key));
		json_object_object_add(sums, key, sum);
	}
	json_object_object_add(sum, "bytes",
			       json_object_new_uint64(ctl_get_u64(sum, "bytes") + bytes));
	json_object_object_add(sum, "allocations",
			       json_object_new_uint64(ctl_get_u64(sum, "allocations") + 1));
}

/* What of the name is in front of the @depth-th slash, with it; "-": it has no such. */
static void beginning_of(char text[CTL_TEXT], struct json_object *alloc, uint64_t depth)
{
	struct ctl_bytes name;
	size_t len = 0;

	strcpy(text, "-");
	if (!ctl_get_name(&name, alloc))
		return;
	for (size_t i = 0; i < name.len && depth > 0; i++) {
		if (name.bytes[i] != '/')
			continue;
		len = i + 1;
		depth--;
	}
	if (len)
		ctl_shown(text, name.bytes, len);
}

static int sum_listed(struct json_object *sums, struct ctl *ctl, const char *arena, uint64_t depth)
{
	struct ctl_listing listing = { .ctl = ctl, .arena = arena };
	struct json_object *page;
	char key[CTL_TEXT];
	int status;

	while ((status = ctl_listing_next(&page, &listing)) == CTL_DONE && page) {
		for (size_t i = 0; i < json_object_array_length(page); i++) {
			struct json_object *alloc = ctl_at(page, i);

			if (depth)
				beginning_of(key, alloc, depth);
			else
				ctl_number(key, ctl_get_u64(alloc, "uid"));
			add(sums, key, ctl_get_u64(alloc, "size"));
		}
		json_object_put(page);
	}
	ctl_listing_end(&listing);
	return status;
}

static int sum_held(struct json_object *sums, struct ctl *ctl, const char *arena)
{
	struct json_object *params = ctl_params(), *result, *holders;
	int status;

	ctl_put(params, "arena", arena);
	status = ctl_call_all(&result, ctl, "holders", "holders", params);
	if (status != CTL_DONE)
		return status;
	holders = ctl_get(result, "holders");
	for (size_t i = 0; i < json_object_array_length(holders); i++) {
		struct json_object *row = ctl_at(holders, i);
		char key[CTL_TEXT];

		snprintf(key, sizeof(key), "%s %s uid %s", ctl_get_string(row, "session"),
			 ctl_get_string(row, "command"), ctl_get_string(row, "uid"));
		add(sums, key, ctl_get_u64(row, "size"));
	}
	json_object_put(result);
	return CTL_DONE;
}

static int by_bytes(const void *a, const void *b)
{
	uint64_t left = ctl_get_u64(*(struct json_object *const *)a, "bytes");
	uint64_t right = ctl_get_u64(*(struct json_object *const *)b, "bytes");

	return left < right ? 1 : left > right ? -1 : 0;
}

static void show(const struct ctl *ctl, struct json_object *list, const char *title)
{
	const char *columns[] = { ">SIZE", ">ALLOCATIONS", title, NULL };
	struct ctl_table *table = ctl_table_new(columns);
	uint64_t bytes = 0, allocations = 0;
	char text[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *sum = ctl_at(list, i);

		ctl_table_row(table);
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(sum, "bytes")));
		ctl_table_cell(table, ctl_get_string(sum, "allocations"));
		ctl_table_cell(table, ctl_get_string(sum, "key"));
		bytes += ctl_get_u64(sum, "bytes");
		allocations += ctl_get_u64(sum, "allocations");
	}
	ctl_table_row(table);
	ctl_table_cell(table, ctl_size(text, ctl, bytes));
	ctl_table_cell(table, ctl_number(text, allocations));
	ctl_table_cell(table, "total");
	ctl_table_print(table);
}

/* The sums, the largest first. */
static struct json_object *sort(struct json_object *sums, const char *by)
{
	struct json_object *result = json_object_new_object(), *list = json_object_new_array();

	json_object_object_foreach(sums, key, sum) {
		(void)key;
		json_object_array_add(list, json_object_get(sum));
	}
	json_object_array_sort(list, by_bytes);
	json_object_object_add(result, "schema", json_object_new_int(1));
	json_object_object_add(result, "by", json_object_new_string(by));
	json_object_object_add(result, "sums", list);
	return result;
}

static bool read_depth(uint64_t *depth, const char *text)
{
	char *end;

	*depth = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *depth > 0 && *depth <= PMA_MAX_NAME;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *by = "owner", *arena = NULL, *depth_text = NULL;
	const struct ctl_option options[] = { { "by", &by, NULL },
					      { "arena", &arena, NULL },
					      { "depth", &depth_text, NULL },
					      { NULL, NULL, NULL } };
	struct json_object *sums, *result;
	uint64_t depth = 1;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_du, argc, argv, options, 0, 0))
		return status;
	if (strcmp(by, "owner") != 0 && strcmp(by, "prefix") != 0 && strcmp(by, "session") != 0)
		return ctl_usage(&ctl_du, "--by is owner, prefix or session");
	if (depth_text && (*by != 'p' || !read_depth(&depth, depth_text)))
		return ctl_usage(&ctl_du, "--depth is a number from 1 on, and goes with --by "
					  "prefix");
	sums = json_object_new_object();
	status = *by == 's' ? sum_held(sums, ctl, arena)
			    : sum_listed(sums, ctl, arena, *by == 'p' ? depth : 0);
	result = sort(sums, by);
	if (status == CTL_DONE && !ctl_print_json(ctl, result))
		show(ctl, ctl_get(result, "sums"),
		     *by == 'o' ? "UID" : *by == 'p' ? "PREFIX" : "SESSION");
	json_object_put(sums);
	json_object_put(result);
	return status;
}

const struct ctl_command ctl_du = { "du", "[--by owner|prefix|session] [--depth N] [--arena NAME]",
				    "Add up what allocations take", help, run };
