/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_methods: the methods that change nothing, which everybody may call who can connect to the
 * socket.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <sys/utsname.h>
#include <unistd.h>

static int run_ping(struct json_object **result, struct admin_call *call)
{
	*result = admin_shape();
	shape_put_bool(*result, "pong", true);
	shape_put_string(*result, "version", PACKAGE_VERSION);
	shape_put_i64(*result, "pid", getpid());
	return 0;
}

/* Lists the arenas that the caller may see. */
static struct json_object *all_arenas(const struct admin_call *call)
{
	struct json_object *list = shape_array();

	for (uint32_t i = 0; i < call->service->nr_arenas; i++) {
		if (admin_shows(call, i))
			shape_append(list, admin_shape_arena(call->service, i));
	}
	return list;
}

static int run_list_arenas(struct json_object **result, struct admin_call *call)
{
	*result = admin_shape();
	shape_put(*result, "arenas", all_arenas(call));
	return 0;
}

/* Is every arena of the configuration online? */
static bool is_all_well(const struct service *service)
{
	const char *reason;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].is_gone)
			continue;
		if (!service->arenas[i].arena ||
		    arena_state(service->arenas[i].arena, &reason) != ARENA_ONLINE)
			return false;
	}
	return true;
}

static void put_times(struct json_object *to, const struct service *service)
{
	shape_put_u64(to, "started_ns", service->started_ns);
	shape_put_u64(to, "uptime_ns", service_now_ns() - service->started_mono_ns);
}

static void put_sessions(struct json_object *to, const struct service *service)
{
	const struct counters *counters = &service->counters;
	struct json_object *sessions = shape_object();

	shape_put_u64(sessions, "now", service->nr_sessions);
	shape_put_u64(sessions, "limit", service->config.daemon.max_sessions);
	shape_put_u64(sessions, "begun", counters->sessions_begun);
	shape_put_u64(sessions, "resumed", counters->sessions_resumed);
	shape_put_u64(sessions, "refused", counters->sessions_refused);
	shape_put_u64(sessions, "orphaned", counters->sessions_orphaned);
	shape_put_u64(sessions, "awaited", roster_orphans(service->roster));
	shape_put(to, "sessions", sessions);
}

/* Adds what a user may have who has no section in the configuration; null: there is no limit. */
static void put_limit(struct json_object *to, const char *key, uint64_t value)
{
	if (value == CONFIG_SHARE)
		shape_put_string(to, key, "share");
	else if (value)
		shape_put_u64(to, key, value);
	else
		shape_put_null(to, key);
}

/* Section 0 of the quotas is the default: it holds for each user without a section. */
static void put_default_quota(struct json_object *to, const struct service *service)
{
	const struct config_quota *quota = &service->config.quotas[0];
	struct json_object *limits = shape_object();

	put_limit(limits, "bytes", quota->bytes);
	put_limit(limits, "allocations", quota->allocations);
	put_limit(limits, "sessions", quota->sessions);
	put_limit(limits, "leased_bytes", quota->leased_bytes);
	shape_put(to, "default_quota", limits);
}

static int run_status(struct json_object **result, struct admin_call *call)
{
	const struct service *service = call->service;
	struct utsname host;

	*result = admin_shape();
	shape_put_string(*result, "state", is_all_well(service) ? "ok" : "degraded");
	shape_put_string(*result, "version", PACKAGE_VERSION);
	shape_put_i64(*result, "pid", getpid());
	shape_put_string(*result, "kernel", uname(&host) == 0 ? host.release : NULL);
	put_times(*result, service);
	shape_put_string(*result, "socket", service->config.daemon.socket);
	shape_put_string(*result, "runtime_directory", service->config.daemon.runtime_directory);
	shape_put_string(*result, "log_level", log_level_name(log_level()));
	put_sessions(*result, service);
	put_default_quota(*result, service);
	shape_put(*result, "arenas", all_arenas(call));
	return 0;
}

static int run_stats(struct json_object **result, struct admin_call *call)
{
	const struct service *service = call->service;
	struct json_object *list = shape_array();

	*result = admin_shape();
	put_times(*result, service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (admin_shows(call, i))
			shape_append(list, admin_shape_arena_stats(service, i));
	}
	shape_put(*result, "arenas", list);
	put_sessions(*result, service);
	shape_put(*result, "requests", admin_shape_counters(&service->counters));
	return 0;
}

static void add_session(void *arg, const struct session_info *info)
{
	struct json_object *to = shape_object();

	shape_put_u64(to, "session", info->number);
	shape_put_u64(to, "uid", info->uid);
	shape_put_u64(to, "gid", info->gid);
	shape_put_u64_if(to, "pid", info->pid > 0, (uint64_t)info->pid);
	shape_put_u64(to, "connected_ns", info->connected_ns);
	shape_put_u64(to, "messages", info->messages);
	shape_put_u64(to, "waiting", info->nr_waiting);
	shape_put_bool(to, "blocked", info->is_blocked);
	shape_append(arg, to);
}

struct ended_in {
	const char *arena;
	/* the file whose locks are the marks, as the kernel shows it in /proc/locks */
	char inode[64];
	struct json_object *list;
};

static void add_ended(void *arg, const struct arena_ended *ended)
{
	struct json_object *to = shape_object();
	const struct ended_in *in = arg;

	shape_put_u64(to, "session", ended->session);
	shape_put_u64(to, "uid", ended->uid);
	shape_put_string(to, "arena", in->arena);
	shape_put_u64(to, "holds", ended->holds);
	shape_put_u64(to, "mark", ended->mark);
	shape_put_string(to, "inode", in->inode);
	shape_append(in->list, to);
}

/*
 * Lists the sessions that are over while something of them may still be mapped: what they hold is
 * quarantined when it is freed.
 */
static struct json_object *ended_sessions(const struct admin_call *call)
{
	struct ended_in in = { .list = shape_array() };

	for (uint32_t i = 0; i < call->service->nr_arenas; i++) {
		const struct served *served = &call->service->arenas[i];

		if (!served->arena || !admin_shows(call, i))
			continue;
		in.arena = served->name;
		device_mark_inode(in.inode, arena_device(served->arena));
		arena_each_ended(served->arena, add_ended, &in);
	}
	return in.list;
}

/* Adds the windows of all arenas that the caller may see. */
static int put_windows(struct json_object *to, const struct admin_call *call)
{
	const struct admin_windows all = { .only = NULL };
	struct json_object *list = shape_array();
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < call->service->nr_arenas; i++)
		if (call->service->arenas[i].arena && admin_shows(call, i))
			r = admin_put_windows(list, &call->service->arenas[i], &all);
	shape_put(to, "windows", list);
	return r;
}

static int run_sessions(struct json_object **result, struct admin_call *call)
{
	struct json_object *list = shape_array();
	int r;

	sessions_each(call->sessions, add_session, list);
	*result = admin_shape();
	shape_put(*result, "sessions", list);
	shape_put(*result, "ended", ended_sessions(call));
	r = put_windows(*result, call);
	if (r < 0) {
		json_object_put(*result);
		*result = NULL;
	}
	return r;
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
	shape_put(shape, "layout", admin_shape_extents(call->service->arenas[index].arena, alloc));
	*result = admin_shape();
	shape_put(*result, "allocation", shape);
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
	shape_put_string(*result, "arena", call->service->arenas[index].name);
	shape_put_u64(*result, "size", arena_identity(arena)->size);
	shape_put_u64(*result, "page_size", arena_identity(arena)->page_size);
	shape_put_u64(*result, "section_size", UINT64_C(128) << 20);
	shape_put(*result, "sections", admin_shape_map(arena));
	return 0;
}

/* The connection reads call->watch when the answer is sent, and gets events from then on. */
static int run_watch(struct json_object **result, struct admin_call *call)
{
	call->watch = true;
	*result = admin_shape();
	shape_put_bool(*result, "watching", true);
	return 0;
}

const struct admin_method admin_methods[] = {
	{ "ping", run_ping, false, ADMIN_NO_PARAMS },
	{ "status", run_status, false, ADMIN_NO_PARAMS },
	{ "stats", run_stats, false, ADMIN_NO_PARAMS },
	{ "sessions", run_sessions, false, ADMIN_NO_PARAMS },
	{ "list-arenas", run_list_arenas, false, ADMIN_NO_PARAMS },
	{ "list", admin_list_run, false,
	  ADMIN_PARAMS("arena", "prefix", "prefix_hex", "state", "limit", "cursor") },
	{ "holders", admin_holders_run, false,
	  ADMIN_PARAMS("arena", "name", "name_hex", "offset", "uid", "session", "limit",
		       "cursor") },
	/*
	 * This method is for administrators: what a user has in an arena is no business of those
	 * who may not see the arena.
	 */
	{ "users", admin_users_run, true, ADMIN_PARAMS("uid", "limit", "cursor") },
	{ "info", run_info, false,
	  ADMIN_PARAMS("arena", "name", "name_hex", "offset", "slot", "id") },
	{ "map", run_map, false, ADMIN_PARAMS("arena") },
	{ "watch", run_watch, false, ADMIN_NO_PARAMS },
	{ NULL, NULL, false, NULL },
};
