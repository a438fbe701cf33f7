/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info: shows one allocation. It asks the administrators' socket or, if that is closed to this
 * user, the clients' socket, which tells less.
 */
#include <config.h>

#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

static const char help[] = "NAME as it is shown: \\xHH is a byte, \\\\ a backslash.\n"
			   "\n"
			   "      --arena NAME          by name or UUID; default: the first\n"
			   "      --offset N            the allocation that covers byte N of the "
			   "arena's device, as a memory error reports it\n"
			   "      --slot N --id N       the allocation with this handle\n";

/*
 * Shows the attributes, which are bytes that the owner chose: as hexadecimal digits, and as text
 * too if they are text.
 */
static void show_attributes(struct json_object *alloc)
{
	const char *hex = ctl_get_string(alloc, "attributes_hex");
	uint8_t bytes[PMA_MAX_ATTRIBUTES];
	char text[CTL_TEXT];
	size_t nr;

	if (!json_object_is_type(ctl_get(alloc, "attributes_hex"), json_type_string))
		return;
	nr = ctl_from_hex(bytes, hex);
	printf("%-22s %s (%zu bytes)\n", "attributes", hex, nr);
	printf("%-22s %s\n", "  as text", ctl_shown(text, (const char *)bytes, nr));
}

/*
 * The layout is NULL when a client was asked: the daemon tells extents only to administrators and
 * to those who have the allocation open.
 */
static void show(const struct ctl *ctl, struct json_object *alloc)
{
	static const char *const columns[] = { ">EXTENT", ">OFFSET", ">SIZE", NULL };
	struct json_object *layout = ctl_get(alloc, "layout");
	struct ctl_table *table;
	char text[CTL_TEXT];

	ctl_line("name", ctl_name(text, alloc));
	ctl_line("arena", ctl_get_string(alloc, "arena"));
	snprintf(text, sizeof(text), "slot %s, id %s", ctl_get_string(alloc, "slot"),
		 ctl_get_string(alloc, "id"));
	ctl_line("handle", text);
	ctl_line("state", ctl_get_string(alloc, "state"));
	ctl_line("size", ctl_size(text, ctl, ctl_get_u64(alloc, "size")));
	snprintf(text, sizeof(text), "uid %s, gid %s", ctl_get_string(alloc, "uid"),
		 ctl_get_string(alloc, "gid"));
	ctl_line("owner", text);
	ctl_line("mode", ctl_mode(text, ctl_get_u64(alloc, "mode")));
	ctl_line("created", ctl_time(text, ctl_get_u64(alloc, "created_ns")));
	ctl_line("version", ctl_get_string(alloc, "version"));
	ctl_line("open in sessions", ctl_get_string(alloc, "open_by"));
	ctl_line("poisoned", ctl_get_bool(alloc, "poisoned") ? "yes" : "no");
	ctl_line("evictable", ctl_get_bool(alloc, "evictable") ? "yes" : "no");
	show_attributes(alloc);
	if (!layout)
		return;
	table = ctl_table_new(columns);
	for (size_t i = 0; i < json_object_array_length(layout); i++) {
		ctl_table_row(table);
		ctl_table_cell(table, ctl_number(text, i));
		ctl_table_cell(table, ctl_get_string(ctl_at(layout, i), "offset"));
		ctl_table_cell(table, ctl_size(text, ctl, ctl_get_u64(ctl_at(layout, i), "size")));
	}
	ctl_table_print(table);
}

/*
 * Which allocation is asked for: one of name, offset, and slot with id. Borrowed from argv; NULL:
 * it was not given.
 */
struct wish {
	const char *name, *arena, *offset, *slot, *id;
	struct ctl_bytes bytes;         /* the name, as bytes */
};

static struct json_object *params_for(const struct wish *wish)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", wish->arena);
	if (wish->name)
		ctl_put_bytes(params, "name", &wish->bytes);
	ctl_put(params, "offset", wish->offset);
	ctl_put(params, "slot", wish->slot);
	ctl_put(params, "id", wish->id);
	return params;
}

/*
 * Asks for what any client is told of an allocation. Its extents are told only to those who have it
 * open.
 */
static int stat_as_client(struct pma_info *stat, struct pma_arena *arena, struct pma *pma,
			  const struct wish *wish)
{
	int r = ctl_client_arena(arena, pma, wish->arena);

	if (r < 0)
		return r;
	if (wish->name)
		return pma_stat_name(stat, pma, arena->index, wish->bytes.bytes);
	return pma_stat(stat, pma,
			(struct pma_handle){ arena->index, (uint32_t)strtoul(wish->slot, NULL, 0),
					     strtoull(wish->id, NULL, 0) });
}

/*
 * Puts what a client is told into the shape of the administrators' answer, so that it is shown by
 * the same code, and a script reads one format.
 */
static int ask_as_client(struct json_object **result, struct ctl *ctl, const struct wish *wish)
{
	struct json_object *shape;
	struct pma_arena arena;
	struct pma_info stat;
	struct pma *pma;
	int r, status;

	if (wish->offset) {
		ctl_say("what covers an offset of the device only administrators are told");
		return CTL_FAILED;
	}
	status = ctl_connect(&pma, ctl);
	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	r = stat_as_client(&stat, &arena, pma, wish);
	ctl_await_no_more();
	status = r < 0 ? ctl_refused(r) : CTL_DONE;
	pma_disconnect(pma);
	if (status != CTL_DONE)
		return status;
	shape = ctl_shape_of(&stat, arena.name);
	json_object_object_add(shape, "layout", NULL);
	*result = ctl_params();
	json_object_object_add(*result, "schema", json_object_new_int(1));
	json_object_object_add(*result, "allocation", shape);
	return CTL_DONE;
}

/*
 * Asks for the allocation. Administrators are told more, so their socket is asked first; if this
 * user may not use it, the clients' socket is asked.
 */
static int ask(struct json_object **result, struct ctl *ctl, const struct wish *wish)
{
	int code, r = ctl_call_quiet(result, &code, ctl, "info", params_for(wish));

	if (ctl_is_not_admin(r, code))
		return ask_as_client(result, ctl, wish);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { .name = NULL };
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL }, { "offset", &wish.offset, NULL },
		{ "slot", &wish.slot, NULL },	{ "id", &wish.id, NULL },
		{ NULL, NULL, NULL },
	};
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_info, argc, argv, options, 0, 1))
		return status;
	wish.name = argv[1];
	if (!wish.name && !wish.offset && !wish.id && !wish.slot)
		return ctl_usage(&ctl_info,
				 "say which allocation: NAME, --offset N, or --slot N --id N");
	if (!ctl_check_handle(&ctl_info, wish.name, wish.slot, wish.id) ||
	    (wish.name && !ctl_read_name(&wish.bytes, wish.name)))
		return CTL_USAGE;
	status = ask(&result, ctl, &wish);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, ctl_get(result, "allocation"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_info = { "info", "NAME | --offset N | --slot N --id N",
				      "Show one allocation", help, run };
