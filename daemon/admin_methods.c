/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_methods: what anyone who can reach the socket may look at, and how parameters are read.
 */
#include <config.h>

#include "daemon/admin_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/listing.h"
#include "lib/size.h"

#define LIST_DEFAULT 1000
#define LIST_MAX     10000

/* ---- parameters ---- */

int admin_get_string(const char **out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_string) || strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return why_set(&call->why, -EBADMSG, "\"%s\" must be a text without zero bytes", key);
	*out = json_object_get_string(value);
	return 1;
}

int admin_get_size(uint64_t *out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0) {
		*out = json_object_get_uint64(value);
		return 1;
	}
	if (json_object_is_type(value, json_type_string)) {
		if (size_parse(out, json_object_get_string(value)) == 0)
			return 1;
		return why_set(&call->why, -EINVAL, "\"%s\" is not a size: a number of bytes, or one with K, M, G or T behind it (powers of 1024)",
			       json_object_get_string(value));
	}
	return why_set(&call->why, -EBADMSG, "\"%s\" must be a number that is not negative, or a text like \"2M\"", key);
}

int admin_get_bool(bool *out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return why_set(&call->why, -EBADMSG, "\"%s\" must be true or false", key);
	*out = json_object_get_boolean(value);
	return 1;
}

int admin_arena(uint32_t *index, struct arena **arena, struct admin_call *call)
{
	const char *name = NULL;
	int r;

	*index = 0;
	r = admin_get_string(&name, call, "arena");
	if (r > 0)
		r = service_find_arena(index, call->service, name, &call->why);
	if (r < 0)
		return r;
	*arena = service_arena(&r, call->service, *index, &call->why);
	return r;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* "name", or "name_hex" for names that are no UTF-8. 1, 0 absent, -errno. */
static int get_name(char name[ALLOC_MAX_NAME + 1], uint8_t *len, struct admin_call *call)
{
	const char *text = NULL, *hex = NULL;
	int r;

	r = admin_get_string(&text, call, "name");
	if (r > 0 && strlen(text) > ALLOC_MAX_NAME)
		return why_set(&call->why, -ENAMETOOLONG, "a name has at most %d bytes", ALLOC_MAX_NAME);
	if (r > 0) {
		*len = (uint8_t)strlen(text);
		memcpy(name, text, strlen(text) + 1);
		return 1;
	}
	if (r == 0)
		r = admin_get_string(&hex, call, "name_hex");
	if (r <= 0)
		return r;
	if (strlen(hex) % 2 || strlen(hex) > 2 * ALLOC_MAX_NAME || strspn(hex, "0123456789abcdefABCDEF") != strlen(hex))
		return why_set(&call->why, -EBADMSG, "\"name_hex\" must be at most %d pairs of hexadecimal digits", ALLOC_MAX_NAME);
	*len = (uint8_t)(strlen(hex) / 2);
	for (uint8_t i = 0; i < *len; i++)
		name[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	return 1;
}

static int find_handle(struct alloc **alloc, const struct arena *arena, struct admin_call *call, uint64_t id)
{
	uint64_t slot = 0;
	int r = admin_get_size(&slot, call, "slot");

	if (r < 0)
		return r;
	*alloc = slot <= UINT32_MAX ? arena_find(arena, (uint32_t)slot, id) : NULL;
	return *alloc ? 0 : why_set(&call->why, -ENOENT, "there is no allocation with id %" PRIu64 " in slot %" PRIu64, id, slot);
}

int admin_alloc(struct alloc **alloc, uint32_t *index, struct admin_call *call)
{
	char name[ALLOC_MAX_NAME + 1];
	struct arena *arena;
	uint64_t number;
	uint8_t len = 0;
	int r;

	r = admin_arena(index, &arena, call);
	if (r < 0)
		return r;
	r = get_name(name, &len, call);
	if (r > 0) {
		*alloc = arena_find_name(arena, name, len);
		return *alloc ? 0 : why_set(&call->why, -ENOENT, "there is no allocation named \"%.*s\" in arena %s", len, name,
					    call->service->arenas[*index].name);
	}
	if (r == 0)
		r = admin_get_size(&number, call, "id");
	if (r > 0)
		return find_handle(alloc, arena, call, number);
	if (r == 0)
		r = admin_get_size(&number, call, "offset");
	if (r > 0) {
		*alloc = arena_find_offset(arena, number);
		return *alloc ? 0 : why_set(&call->why, -ENOENT, "no allocation covers offset %" PRIu64 " of the device of arena %s", number,
					    call->service->arenas[*index].name);
	}
	return r < 0 ? r : why_set(&call->why, -EBADMSG, "say which allocation: \"name\", \"offset\", or \"slot\" and \"id\"");
}

/* ---- methods ---- */

static int run_ping(struct json_object **result, struct admin_call *call)
{
	*result = admin_shape();
	admin_put_bool(*result, "pong", true);
	admin_put_string(*result, "version", PACKAGE_VERSION);
	admin_put_i64(*result, "pid", getpid());
	return 0;
}

static struct json_object *all_arenas(const struct service *service)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < service->nr_arenas; i++)
		json_object_array_add(list, admin_shape_arena(service, i));
	return list;
}

static int run_list_arenas(struct json_object **result, struct admin_call *call)
{
	*result = admin_shape();
	json_object_object_add(*result, "arenas", all_arenas(call->service));
	return 0;
}

static bool is_all_well(const struct service *service)
{
	const char *reason;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena || arena_state(service->arenas[i].arena, &reason) != ARENA_ONLINE)
			return false;
	}
	return true;
}

static void put_times(struct json_object *to, const struct service *service)
{
	admin_put_u64(to, "started_ns", service->started_ns);
	admin_put_u64(to, "uptime_ns", service_now_ns() - service->started_mono_ns);
}

static void put_sessions(struct json_object *to, const struct service *service)
{
	const struct counters *counters = &service->counters;
	struct json_object *sessions = json_object_new_object();

	admin_put_u64(sessions, "now", service->nr_sessions);
	admin_put_u64(sessions, "limit", service->config.daemon.max_sessions);
	admin_put_u64(sessions, "begun", counters->sessions_begun);
	admin_put_u64(sessions, "resumed", counters->sessions_resumed);
	admin_put_u64(sessions, "refused", counters->sessions_refused);
	admin_put_u64(sessions, "orphaned", counters->sessions_orphaned);
	admin_put_u64(sessions, "awaited", roster_orphans(service->roster));
	json_object_object_add(to, "sessions", sessions);
}

static int run_status(struct json_object **result, struct admin_call *call)
{
	const struct service *service = call->service;
	struct utsname host;

	*result = admin_shape();
	admin_put_string(*result, "state", is_all_well(service) ? "ok" : "degraded");
	admin_put_string(*result, "version", PACKAGE_VERSION);
	admin_put_i64(*result, "pid", getpid());
	admin_put_string(*result, "kernel", uname(&host) == 0 ? host.release : NULL);
	put_times(*result, service);
	admin_put_string(*result, "socket", service->config.daemon.socket);
	admin_put_string(*result, "runtime_directory", service->config.daemon.runtime_directory);
	admin_put_string(*result, "log_level", log_level_name(log_level()));
	put_sessions(*result, service);
	json_object_object_add(*result, "arenas", all_arenas(service));
	return 0;
}

static int run_stats(struct json_object **result, struct admin_call *call)
{
	const struct service *service = call->service;
	struct json_object *list = json_object_new_array();

	*result = admin_shape();
	put_times(*result, service);
	for (uint32_t i = 0; i < service->nr_arenas; i++)
		json_object_array_add(list, admin_shape_arena_stats(service, i));
	json_object_object_add(*result, "arenas", list);
	put_sessions(*result, service);
	json_object_object_add(*result, "requests", admin_shape_counters(&service->counters));
	return 0;
}

static void add_session(void *arg, const struct session_info *info)
{
	struct json_object *to = json_object_new_object();

	admin_put_u64(to, "session", info->number);
	admin_put_u64(to, "uid", info->uid);
	admin_put_u64(to, "gid", info->gid);
	json_object_object_add(to, "pid", info->pid > 0 ? json_object_new_int(info->pid) : NULL);
	admin_put_u64(to, "connected_ns", info->connected_ns);
	admin_put_u64(to, "messages", info->messages);
	admin_put_u64(to, "waiting", info->nr_waiting);
	admin_put_bool(to, "blocked", info->is_blocked);
	json_object_array_add(arg, to);
}

static int run_sessions(struct json_object **result, struct admin_call *call)
{
	struct json_object *list = json_object_new_array();

	sessions_each(call->sessions, add_session, list);
	*result = admin_shape();
	json_object_object_add(*result, "sessions", list);
	return 0;
}

/* A cursor is "s" and the slot to go on in, or "n" and the last name in hexadecimal digits. */
static struct json_object *cursor_of(const struct listing *listing, const struct alloc *last)
{
	char text[2 * ALLOC_MAX_NAME + 2] = "n";

	if (listing->prefix_len == 0) {
		snprintf(text, sizeof(text), "s%" PRIu32, last->slot + 1);
		return json_object_new_string(text);
	}
	for (size_t i = 0; i < last->name_len; i++)
		snprintf(text + 1 + 2 * i, 3, "%02x", (unsigned char)last->name[i]);
	return json_object_new_string(text);
}

static int resume(struct listing *listing, char name[ALLOC_MAX_NAME], struct admin_call *call)
{
	const char *cursor = NULL;
	size_t len;
	int r = admin_get_string(&cursor, call, "cursor");

	if (r <= 0)
		return r;
	len = strlen(cursor + (cursor[0] != 0));
	if (cursor[0] == 's' && listing->prefix_len == 0 && len > 0 && strspn(cursor + 1, "0123456789") == len && len <= 10) {
		listing_resume_slot(listing, (uint32_t)strtoul(cursor + 1, NULL, 10));
		return 0;
	}
	if (cursor[0] != 'n' || listing->prefix_len == 0 || len % 2 || len > 2 * ALLOC_MAX_NAME || strspn(cursor + 1, "0123456789abcdef") != len)
		return why_set(&call->why, -EBADMSG, "\"cursor\" must be what the answer before had, with the same prefix");
	for (size_t i = 0; i < len / 2; i++)
		name[i] = (char)(hex_digit(cursor[1 + 2 * i]) << 4 | hex_digit(cursor[2 + 2 * i]));
	listing_resume_name(listing, name, (uint8_t)(len / 2));
	return 0;
}

static int run_list(struct json_object **result, struct admin_call *call)
{
	struct json_object *list, *cursor = NULL;
	const char *prefix = "";
	char name[ALLOC_MAX_NAME];
	uint64_t limit = LIST_DEFAULT;
	struct alloc *alloc, *next;
	struct listing listing;
	struct arena *arena;
	uint32_t index;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r == 0)
		r = admin_get_string(&prefix, call, "prefix");
	if (r >= 0)
		r = admin_get_size(&limit, call, "limit");
	if (r < 0)
		return r;
	if (strlen(prefix) > ALLOC_MAX_NAME || limit == 0 || limit > LIST_MAX)
		return why_set(&call->why, -EBADMSG, "\"prefix\" has at most %d bytes, \"limit\" is from 1 to %d", ALLOC_MAX_NAME, LIST_MAX);
	listing_begin(&listing, arena, prefix, (uint8_t)strlen(prefix));
	r = resume(&listing, name, call);
	if (r < 0)
		return r;
	list = json_object_new_array();
	for (alloc = listing_next(&listing); alloc; alloc = next) {
		json_object_array_add(list, admin_shape_alloc(call->service, index, alloc));
		next = listing_next(&listing);
		if (next && json_object_array_length(list) == limit) {
			cursor = cursor_of(&listing, alloc);
			break;
		}
	}
	*result = admin_shape();
	json_object_object_add(*result, "allocations", list);
	json_object_object_add(*result, "cursor", cursor);
	return 0;
}

static int run_info(struct json_object **result, struct admin_call *call)
{
	struct json_object *shape;
	struct alloc *alloc;
	uint32_t index;
	int r;

	r = admin_alloc(&alloc, &index, call);
	if (r < 0)
		return r;
	shape = admin_shape_alloc(call->service, index, alloc);
	json_object_object_add(shape, "layout", admin_shape_extents(call->service->arenas[index].arena, alloc));
	*result = admin_shape();
	json_object_object_add(*result, "allocation", shape);
	return 0;
}

static int run_map(struct json_object **result, struct admin_call *call)
{
	struct arena *arena;
	uint32_t index;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r < 0)
		return r;
	*result = admin_shape();
	admin_put_string(*result, "arena", call->service->arenas[index].name);
	admin_put_u64(*result, "size", arena_identity(arena)->size);
	admin_put_u64(*result, "page_size", arena_identity(arena)->page_size);
	admin_put_u64(*result, "section_size", UINT64_C(128) << 20);
	json_object_object_add(*result, "sections", admin_shape_map(arena));
	return 0;
}

static int run_watch(struct json_object **result, struct admin_call *call)
{
	call->watch = true;
	*result = admin_shape();
	admin_put_bool(*result, "watching", true);
	return 0;
}

static const char *const no_params[] = { NULL };
static const char *const arena_params[] = { "arena", NULL };
static const char *const list_params[] = { "arena", "prefix", "limit", "cursor", NULL };
static const char *const alloc_params[] = { "arena", "name", "name_hex", "offset", "slot", "id", NULL };

const struct admin_method admin_methods[] = {
	{ "ping",        run_ping,        false, no_params },
	{ "status",      run_status,      false, no_params },
	{ "stats",       run_stats,       false, no_params },
	{ "sessions",    run_sessions,    false, no_params },
	{ "list-arenas", run_list_arenas, false, no_params },
	{ "list",        run_list,        false, list_params },
	{ "info",        run_info,        false, alloc_params },
	{ "map",         run_map,         false, arena_params },
	{ "watch",       run_watch,       false, no_params },
	{ NULL, NULL, false, NULL },
};
