/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_changes: what administrators may change, and the checks, which may mend. The daemon itself is the caller, on behalf of whoever
 * asked.
 */
#include <config.h>

#include "daemon/admin_internal.h"

#include <errno.h>
#include <string.h>

#include "daemon/log.h"

/* What a check found, for the answer; beyond it they are only counted. */
#define FINDINGS_MAX 1000

/* ---- create and rm ---- */

static int get_id(uint32_t *out, struct admin_call *call, const char *key)
{
	uint64_t value = *out;
	int r = admin_get_size(&value, call, key);

	if (r > 0 && value >= UINT32_MAX)
		return why_set(&call->why, -EBADMSG, "\"%s\" is no user or group id", key);
	*out = (uint32_t)value;
	return r;
}

static int read_ask(struct arena_ask *ask, uint32_t *uid, uint32_t *gid, struct admin_call *call)
{
	bool contiguous = false;
	uint64_t mode = 0600;
	const char *name = NULL;
	int r;

	r = admin_get_string(&name, call, "name");
	if (r >= 0 && (!name || !name[0] || strlen(name) > ALLOC_MAX_NAME))
		return why_set(&call->why, -EINVAL, "a name of 1 to %d bytes is needed", ALLOC_MAX_NAME);
	if (r >= 0)
		r = admin_get_size(&ask->len, call, "size");
	if (r == 0)
		return why_set(&call->why, -EBADMSG, "\"size\" is needed");
	if (r > 0)
		r = admin_get_size(&mode, call, "mode");
	if (r >= 0 && (mode & ~UINT64_C(0666)))
		return why_set(&call->why, -EINVAL, "mode 0%llo has bits that mean nothing here; 0666 are the ones that do", (unsigned long long)mode);
	if (r >= 0)
		r = admin_get_bool(&contiguous, call, "contiguous");
	if (r >= 0)
		r = get_id(uid, call, "uid");
	if (r >= 0)
		r = get_id(gid, call, "gid");
	if (r < 0)
		return r;
	ask->name = name;
	ask->name_len = (uint8_t)strlen(name);
	ask->mode = (uint32_t)mode;
	ask->contiguous = contiguous;
	return 0;
}

static int run_create(struct json_object **result, struct admin_call *call)
{
	struct arena_ask ask = { .publish = true };
	uint32_t index, uid = call->uid, gid = call->gid;
	struct caller caller;
	struct arena *arena;
	struct alloc *alloc;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r == 0)
		r = read_ask(&ask, &uid, &gid, call);
	if (r == 0)
		r = service_own_caller(&caller, call->service, index, uid, gid, &call->why);
	if (r == 0)
		r = arena_reserve(&alloc, arena, &caller, &ask, &call->why);
	if (r == -EAGAIN)
		return why_set(&call->why, r, "there is room, but it is still being scrubbed; ask again");
	if (r == -EINPROGRESS) {
		service_settle(call->service, index);
		service_tell(call->service, index);
		return why_set(&call->why, -EAGAIN, "there is no room but for what is leased to clients; they were asked for it now: ask again");
	}
	if (r < 0)
		return r;
	r = service_settle(call->service, index);
	if (r < 0)
		return why_set(&call->why, -EIO, "the arena went offline: what became of this is not known");
	*result = admin_shape();
	json_object_object_add(*result, "allocation", admin_shape_alloc(call->service, index, alloc));
	service_tell(call->service, index);
	return 0;
}

static int run_rm(struct json_object **result, struct admin_call *call)
{
	struct json_object *shape;
	struct caller caller;
	struct alloc *alloc;
	uint32_t index;
	int r;

	r = admin_alloc(&alloc, &index, call);
	if (r < 0)
		return r;
	if (alloc->state != ALLOC_PUBLISHED)
		return why_set(&call->why, -EBUSY, "it is reserved by a session and not published: it goes when that session does");
	/* Administrators free what is anybody's. */
	r = service_own_caller(&caller, call->service, index, 0, 0, &call->why);
	if (r < 0)
		return r;
	shape = admin_shape_alloc(call->service, index, alloc);
	r = arena_free_alloc(call->service->arenas[index].arena, &caller, alloc, true, &call->why);
	if (r == 0 && service_settle(call->service, index) < 0)
		r = why_set(&call->why, -EIO, "the arena went offline: what became of this is not known");
	if (r < 0) {
		json_object_put(shape);
		return r;
	}
	service_tell(call->service, index);
	*result = admin_shape();
	json_object_object_add(*result, "freed", shape);
	return 0;
}

/* ---- checks ---- */

struct findings {
	struct json_object *list;       /* owned until it is put into an answer */
};

static void note(void *arg, const char *what)
{
	struct findings *findings = arg;

	if (json_object_array_length(findings->list) < FINDINGS_MAX)
		json_object_array_add(findings->list, json_object_new_string(what));
}

static int answer_check(struct json_object **result, struct admin_call *call, uint32_t index, struct findings *findings, int64_t nr)
{
	if (nr < 0) {
		json_object_put(findings->list);
		return (int)nr;
	}
	*result = admin_shape();
	admin_put_string(*result, "arena", call->service->arenas[index].name);
	admin_put_bool(*result, "clean", nr == 0);
	admin_put_i64(*result, "differences", nr);
	json_object_object_add(*result, "findings", findings->list);
	return 0;
}

static int run_check_with(struct json_object **result, struct admin_call *call,
			  int64_t (*check)(struct arena *arena, arena_complain_fn *complain, void *arg))
{
	struct findings findings;
	struct arena *arena;
	uint32_t index;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r < 0)
		return r;
	findings.list = json_object_new_array();
	return answer_check(result, call, index, &findings, check(arena, note, &findings));
}

static int run_check(struct json_object **result, struct admin_call *call)
{
	return run_check_with(result, call, arena_check);
}

static int run_check_memmap(struct json_object **result, struct admin_call *call)
{
	return run_check_with(result, call, arena_check_memmap);
}

static int run_repair(struct json_object **result, struct admin_call *call)
{
	struct findings findings;
	struct arena *arena;
	bool dry_run = false;
	uint32_t index;
	int64_t nr;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r == 0)
		r = admin_get_bool(&dry_run, call, "dry_run");
	if (r < 0)
		return r;
	findings.list = json_object_new_array();
	nr = arena_repair(arena, dry_run, note, &findings);
	r = answer_check(result, call, index, &findings, nr);
	if (r < 0)
		return r;
	admin_put_bool(*result, "dry_run", dry_run);
	if (!dry_run && nr > 0)
		log_notice("arena %s was repaired by uid %u: %lld records were given up", call->service->arenas[index].name, call->uid,
			   (long long)nr);
	service_tell(call->service, index);
	return 0;
}

/* ---- the daemon ---- */

static int run_reload(struct json_object **result, struct admin_call *call)
{
	char kept[512];
	int r;

	r = service_reload(call->service, kept, sizeof(kept), &call->why);
	if (r < 0)
		return r;
	log_info("the configuration was reloaded by uid %u%s%s", call->uid, kept[0] ? "; these change with a restart only: " : "", kept);
	*result = admin_shape();
	admin_put_string(*result, "needs_restart", kept[0] ? kept : NULL);
	return 0;
}

static int run_log_level(struct json_object **result, struct admin_call *call)
{
	enum log_level level;
	const char *name = NULL;
	int r;

	r = admin_get_string(&name, call, "level");
	if (r < 0)
		return r;
	if (name && log_level_parse(&level, name) < 0)
		return why_set(&call->why, -EINVAL, "\"%s\" is none of: error, warning, notice, info, debug", name);
	if (name)
		log_set_level(level);
	*result = admin_shape();
	admin_put_string(*result, "level", log_level_name(log_level()));
	return 0;
}

static const char *const no_params[] = { NULL };
static const char *const level_params[] = { "level", NULL };
static const char *const arena_params[] = { "arena", NULL };
static const char *const repair_params[] = { "arena", "dry_run", NULL };
static const char *const create_params[] = { "arena", "name", "size", "mode", "uid", "gid", "contiguous", NULL };
static const char *const rm_params[] = { "arena", "name", "name_hex", "offset", "slot", "id", NULL };

const struct admin_method admin_changes[] = {
	{ "create",       run_create,       true, create_params },
	{ "rm",           run_rm,           true, rm_params },
	{ "check",        run_check,        true, arena_params },
	{ "check-memmap", run_check_memmap, true, arena_params },
	{ "repair",       run_repair,       true, repair_params },
	{ "reload",       run_reload,       true, no_params },
	{ "log-level",    run_log_level,    true, level_params },
	{ NULL, NULL, false, NULL },
};
