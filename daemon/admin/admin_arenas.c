/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_arenas: the methods by which arenas come and go while the daemon runs. What they change is
 * in no file: each answer says what a file would have to say.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_drain.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/log.h"

/* The file in which the daemon looks for sections. */
static const char *config_file(const struct service *service)
{
	return service->sources->file ? service->sources->file : PMEMARENA_CONF;
}

/* ---- add ---- */

#define SETTINGS_MAX 64         /* more than there are keys: one given twice is told of */

/* Reads the parameter "settings", an array of texts KEY=VALUE; without it there are none. */
static int get_settings(const char *settings[SETTINGS_MAX], size_t *nr, struct admin_call *call)
{
	struct json_object *list, *each;

	*nr = 0;
	if (!json_object_object_get_ex(call->params, "settings", &list) || !list)
		return 0;
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > SETTINGS_MAX)
		return why_set(&call->why, -EBADMSG,
			       "\"settings\" must be an array of at most %d texts KEY=VALUE",
			       SETTINGS_MAX);
	for (; *nr < json_object_array_length(list); (*nr)++) {
		each = json_object_array_get_idx(list, *nr);
		if (!json_object_is_type(each, json_type_string) ||
		    strlen(json_object_get_string(each)) !=
			    (size_t)json_object_get_string_len(each))
			return why_set(&call->why, -EBADMSG,
				       "each of \"settings\" must be a text without zero bytes");
		settings[*nr] = json_object_get_string(each);
	}
	return 0;
}

static int run_add(struct json_object **result, struct admin_call *call)
{
	const char *settings[SETTINGS_MAX], *name = NULL;
	char *section;
	uint32_t index;
	size_t nr;
	int r = admin_get_string(&name, call, "name");

	if (r == 0)
		return why_set(&call->why, -EBADMSG, "\"name\" is needed");
	if (r > 0)
		r = get_settings(settings, &nr, call);
	if (r == 0)
		r = service_add(call->service, &index, &section, name, settings, nr, &call->why);
	if (r < 0)
		return r;
	log_notice("arena %s was added by uid %u; no file has it", name, call->uid);
	*result = admin_shape();
	shape_put(*result, "arena", admin_shape_arena(call->service, index));
	shape_put_string(*result, "section", section);
	shape_put_string(*result, "file", config_file(call->service));
	free(section);
	return 0;
}

/* ---- drain and remove ---- */

/* Finds the arena that the parameter "arena" names, open or not. */
static int find(uint32_t *index, struct admin_call *call)
{
	const char *name = NULL;
	int r = admin_get_string(&name, call, "arena");

	if (r == 0)
		return why_set(&call->why, -EBADMSG, "\"arena\" is needed");
	return r < 0 ? r : service_find_arena(index, call->service, name, &call->why);
}

/* Adds how much is there, and in words who holds something; null: nobody does. */
static void put_held(struct json_object *to, const struct arena *arena)
{
	struct arena_stats stats = { .nr_published = 0 };
	struct why why = { "" };

	if (arena)
		arena_stats(arena, &stats);
	shape_put_u64(to, "published_allocations", stats.nr_published);
	shape_put_u64(to, "used", stats.used);
	shape_put_string(to, "held", arena && arena_is_held(arena, &why) ? why.text : NULL);
}

static int run_drain(struct json_object **result, struct admin_call *call)
{
	bool undo = false;
	uint32_t index;
	int r = find(&index, call);

	if (r == 0)
		r = admin_get_bool(&undo, call, "undo");
	if (r >= 0)
		r = service_drain(call->service, index, !undo, &call->why);
	if (r < 0)
		return r;
	log_info("uid %u asked for that", call->uid);
	if (call->service->arenas[index].arena) {
		service_settle(call->service, index);
		service_tell(call->service, index);
	}
	*result = admin_shape();
	shape_put(*result, "arena", admin_shape_arena(call->service, index));
	put_held(*result, call->service->arenas[index].arena);
	return 0;
}

static int run_remove(struct json_object **result, struct admin_call *call)
{
	char name[CONFIG_NAME_MAX];
	uint64_t published = 0;
	bool was_added;
	uint32_t index;
	int r = find(&index, call);

	if (r < 0)
		return r;
	was_added = call->service->arenas[index].is_added;
	memcpy(name, call->service->arenas[index].name, sizeof(name));
	r = service_remove(call->service, index, &published, &call->why);
	if (r < 0)
		return r;
	log_info("uid %u asked for that", call->uid);
	*result = admin_shape();
	shape_put_string(*result, "arena", name);
	shape_put_u64(*result, "published_allocations", published);
	/* Whose section is there still comes back with the next start or reload. */
	shape_put_string(*result, "file", was_added ? NULL : config_file(call->service));
	return 0;
}

const struct admin_method admin_arenas[] = {
	{ "add-arena", run_add, true, ADMIN_PARAMS("name", "settings") },
	{ "drain", run_drain, true, ADMIN_PARAMS("arena", "undo") },
	{ "remove-arena", run_remove, true, ADMIN_PARAMS("arena") },
	{ "move", admin_move_run, true,
	  ADMIN_PARAMS("arena", "name", "name_hex", "offset", "slot", "id", "to") },
	{ NULL, NULL, false, NULL },
};
