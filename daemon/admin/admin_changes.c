/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_changes: the methods that change something, and the checks, which may repair. The daemon
 * itself is the caller of the arena, on behalf of the administrator.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/arena/moves.h"

#include <errno.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/log.h"

/* At most this many findings of a check are in the answer; all are counted. */
#define FINDINGS_MAX 1000

/* ---- create and rm ---- */

/* Reads a uid or gid; without the parameter *out stays as it is. */
static int get_id(uint32_t *out, struct admin_call *call, const char *key)
{
	uint64_t value = *out;
	int r = admin_get_size(&value, call, key);

	if (r > 0 && value >= UINT32_MAX)
		return why_set(&call->why, -EBADMSG, "\"%s\" is no user or group id", key);
	*out = (uint32_t)value;
	return r;
}

/* Reads what shall be created, and for whom. */
static int read_ask(struct arena_ask *ask, struct admin_bytes *name, uint32_t *uid, uint32_t *gid,
		    struct admin_call *call)
{
	bool contiguous = false;
	uint64_t mode = 0600;
	int r;

	r = admin_get_bytes(name, call, "name");
	if (r == -ENAMETOOLONG || r == 0 || (r > 0 && name->len == 0))
		return why_set(&call->why, -EINVAL, "a name of 1 to %d bytes is needed",
			       ALLOC_MAX_NAME);
	if (r >= 0)
		r = admin_get_size(&ask->len, call, "size");
	if (r == 0)
		return why_set(&call->why, -EBADMSG, "\"size\" is needed");
	if (r > 0)
		r = admin_get_size(&mode, call, "mode");
	if (r >= 0 && (mode & ~UINT64_C(0666)))
		return why_set(
			&call->why, -EINVAL,
			"mode 0%llo has bits that mean nothing here; 0666 are the ones that do",
			(unsigned long long)mode);
	if (r >= 0)
		r = admin_get_bool(&contiguous, call, "contiguous");
	if (r >= 0)
		r = get_id(uid, call, "uid");
	if (r >= 0)
		r = get_id(gid, call, "gid");
	if (r < 0)
		return r;
	ask->name = name->bytes;
	ask->name_len = name->len;
	ask->mode = (uint32_t)mode;
	ask->contiguous = contiguous;
	return 0;
}

/* Reads the attributes that it shall have into @bytes, of ALLOC_MAX_ATTRIBUTES. */
static int read_attributes(struct arena_ask *ask, uint8_t *bytes, struct admin_call *call)
{
	size_t len = 0;
	int r = admin_get_hex(bytes, &len, ALLOC_MAX_ATTRIBUTES, call, "attributes_hex");

	ask->attributes = bytes;
	ask->attributes_len = (uint16_t)len;
	return r < 0 ? r : 0;
}

/*
 * Creates and publishes an allocation for a user, and settles at once: the answer says that it is
 * durable.
 */
static int run_create(struct json_object **result, struct admin_call *call)
{
	struct arena_ask ask = { .publish = true };
	uint8_t attributes[ALLOC_MAX_ATTRIBUTES];
	uint32_t index, uid = call->uid, gid = call->gid;
	struct admin_bytes name;
	struct caller caller;
	struct arena *arena;
	struct alloc *alloc;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r == 0)
		r = read_ask(&ask, &name, &uid, &gid, call);
	if (r == 0)
		r = admin_get_bool(&ask.evictable, call, "evictable");
	if (r >= 0)
		r = read_attributes(&ask, attributes, call);
	if (r == 0)
		r = service_own_caller(&caller, call->service, index, uid, gid, &call->why);
	if (r == 0)
		r = arena_reserve(&alloc, arena, &caller, &ask, &call->why);
	if (r == -EAGAIN)
		return why_set(&call->why, r,
			       "there is room, but it is still being scrubbed; ask again");
	if (r == -EINPROGRESS) {
		service_settle(call->service, index);
		service_tell(call->service, index);
		return why_set(&call->why, -EAGAIN,
			       "there is no room but for what is leased to clients or evictable; "
			       "some of it was asked for or freed now: ask again");
	}
	if (r < 0)
		return r;
	r = service_settle(call->service, index);
	if (r < 0)
		return why_set(&call->why, -EIO,
			       "the arena went offline: what became of this is not known");
	*result = admin_shape();
	shape_put(*result, "allocation", admin_shape_alloc(call->service, index, alloc));
	service_tell(call->service, index);
	return 0;
}

/* The answer shows the allocation as it was, and is made before it is freed. */
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
	if (alloc->state == ALLOC_RESERVED)
		return why_set(&call->why, -EBUSY,
			       "it is reserved by a session and not published: it goes when that "
			       "session does");
	if (alloc->state == ALLOC_FREEING)
		return why_set(&call->why, -EBUSY,
			       "it was freed already; its space is used again when nobody has it "
			       "open or mapped any more: `pmemarenactl holders` says who has");
	/* An administrator may free the allocation of any user: root asks. */
	r = service_own_caller(&caller, call->service, index, 0, 0, &call->why);
	if (r < 0)
		return r;
	shape = admin_shape_alloc(call->service, index, alloc);
	r = arena_free_alloc(call->service->arenas[index].arena, &caller, alloc, true, &call->why);
	if (r == 0 && service_settle(call->service, index) < 0)
		r = why_set(&call->why, -EIO,
			    "the arena went offline: what became of this is not known");
	if (r < 0) {
		json_object_put(shape);
		return r;
	}
	service_tell(call->service, index);
	*result = admin_shape();
	shape_put(*result, "freed", shape);
	return 0;
}

/* ---- checks ---- */

struct findings {
	struct json_object *list;       /* owned until it is a part of the answer */
};

/* Adds one finding of a check. */
static void note(void *arg, const char *what)
{
	struct findings *findings = arg;

	if (shape_length(findings->list) < FINDINGS_MAX)
		shape_append_string(findings->list, what);
}

/*
 * Makes the answer of a check that found @nr differences; @nr < 0: the check failed. Takes over the
 * list of findings.
 */
static int answer_check(struct json_object **result, struct admin_call *call, uint32_t index,
			struct findings *findings, int64_t nr)
{
	if (nr < 0) {
		json_object_put(findings->list);
		return (int)nr;
	}
	*result = admin_shape();
	shape_put_string(*result, "arena", call->service->arenas[index].name);
	shape_put_bool(*result, "clean", nr == 0);
	shape_put_i64(*result, "differences", nr);
	shape_put(*result, "findings", findings->list);
	return 0;
}

static int run_check_with(struct json_object **result, struct admin_call *call,
			  int64_t (*check)(struct arena *arena, arena_complain_fn *complain,
					   void *arg))
{
	struct findings findings;
	struct arena *arena;
	uint32_t index;
	int r;

	r = admin_arena(&index, &arena, call);
	if (r < 0)
		return r;
	findings.list = shape_array();
	return answer_check(result, call, index, &findings, check(arena, note, &findings));
}

/*
 * The answer also has what the last start found: it mended and dropped records before anybody could
 * look.
 */
static int run_check(struct json_object **result, struct admin_call *call)
{
	struct arena_stats stats;
	struct arena *arena;
	uint32_t index;
	int r = run_check_with(result, call, arena_check);

	if (r == 0)
		r = admin_arena(&index, &arena, call);
	if (r < 0)
		return r;
	arena_stats(arena, &stats);
	admin_put_start(*result, &stats);
	return 0;
}

static int run_check_memmap(struct json_object **result, struct admin_call *call)
{
	return run_check_with(result, call, arena_check_memmap);
}

/*
 * Gives up the records that cannot be read, so that a damaged arena serves again; with "dry_run" it
 * only says which they are.
 */
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
	findings.list = shape_array();
	nr = arena_repair(arena, dry_run, note, &findings);
	r = answer_check(result, call, index, &findings, nr);
	if (r < 0)
		return r;
	shape_put_bool(*result, "dry_run", dry_run);
	if (!dry_run && nr > 0)
		log_notice("arena %s was repaired by uid %u: %lld records were given up",
			   call->service->arenas[index].name, call->uid, (long long)nr);
	service_tell(call->service, index);
	return 0;
}

/* The arena goes offline here, and only that host can start it. */
static int run_hand_over(struct json_object **result, struct admin_call *call)
{
	struct arena *arena;
	const char *host = NULL;
	uint32_t index;
	int r = admin_arena(&index, &arena, call);

	if (r == 0)
		r = admin_get_string(&host, call, "host");
	if (r < 0)
		return r;
	r = arena_hand_over(arena, host ? host : "", &call->why);
	if (r < 0)
		return r;
	log_notice("arena %s was handed over to host %s by uid %u",
		   call->service->arenas[index].name, host, call->uid);
	service_tell(call->service, index);
	*result = admin_shape();
	shape_put_string(*result, "arena", call->service->arenas[index].name);
	shape_put_string(*result, "host", host);
	return 0;
}

/* ---- the daemon ---- */

/* Adds one mistake of the configuration. */
static void add_error(void *arg, const char *what)
{
	shape_append_string(arg, what);
}

/*
 * Reads the configuration again. If it has mistakes, nothing changes, and the answer lists all of
 * them.
 */
static int run_reload(struct json_object **result, struct admin_call *call)
{
	struct service_kept kept;
	int r;

	log_info("uid %u asks for a reload", call->uid);
	call->errors = shape_array();
	r = service_reload(call->service, &kept, add_error, call->errors, &call->why);
	if (r < 0)
		return r;
	*result = admin_shape();
	shape_put_string(*result, "needs_restart",
			 kept.until_restart[0] ? kept.until_restart : NULL);
	shape_put_string(*result, "ignored", kept.for_good[0] ? kept.for_good : NULL);
	shape_put_string(*result, "arenas", kept.arenas[0] ? kept.arenas : NULL);
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
		return why_set(&call->why, -EINVAL,
			       "\"%s\" is none of: error, warning, notice, info, debug", name);
	if (name)
		log_set_level(level);
	*result = admin_shape();
	shape_put_string(*result, "level", log_level_name(log_level()));
	return 0;
}

const struct admin_method admin_changes[] = {
	{ "create", run_create, true,
	  ADMIN_PARAMS("arena", "name", "name_hex", "size", "mode", "uid", "gid", "contiguous",
		       "attributes_hex", "evictable") },
	{ "rm", run_rm, true, ADMIN_PARAMS("arena", "name", "name_hex", "offset", "slot", "id") },
	{ "check", run_check, true, ADMIN_PARAMS("arena") },
	{ "check-memmap", run_check_memmap, true, ADMIN_PARAMS("arena") },
	{ "repair", run_repair, true, ADMIN_PARAMS("arena", "dry_run") },
	{ "hand-over", run_hand_over, true, ADMIN_PARAMS("arena", "host") },
	{ "reload", run_reload, true, ADMIN_NO_PARAMS },
	{ "log-level", run_log_level, true, ADMIN_PARAMS("level") },
	{ "trace", admin_trace_run, true, ADMIN_PARAMS("uid", "session", "name", "name_hex") },
	{ NULL, NULL, false, NULL },
};
