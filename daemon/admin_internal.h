/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_internal: what admin.c (connections), admin_rpc.c (requests and errors), admin_methods.c and admin_changes.c (what can be asked)
 * and admin_shapes.c (how things look in JSON) share; nobody else includes it.
 */
#ifndef PMEMARENA_ADMIN_INTERNAL_H
#define PMEMARENA_ADMIN_INTERNAL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "lib/why.h"

/* Goes up when a key changes its meaning or goes; keys may be added without. */
#define ADMIN_SCHEMA 1

/* What a request needs to know. */
struct admin_call {
	struct service *service;        /* borrowed, as all pointers here */
	const struct sessions *sessions;
	uint32_t uid, gid;              /* of who asks */
	bool     is_admin;              /* may change things */
	struct json_object *params;     /* an object; never NULL */
	bool     watch;                 /* out: send events from now on */
	struct why why;
};

/* ---- admin_rpc.c ---- */

/* The answer to one line as JSON text, or NULL: none is due. The caller free()s it. */
char *admin_rpc(struct admin_call *call, const char *line, size_t length);

/* ---- admin_methods.c, admin_changes.c ---- */

typedef int admin_method_fn(struct json_object **result, struct admin_call *call);

struct admin_method {
	const char *name;
	admin_method_fn *run;           /* 0 and *result, or -errno with call->why; -EBADMSG: the params are wrong */
	bool changes;                   /* for administrators only */
	const char *const *params;      /* those that it knows */
};

extern const struct admin_method admin_methods[];       /* what looks */
extern const struct admin_method admin_changes[];       /* what changes; both end with a NULL name */

/* The arena that "arena" names (by name or UUID); the first when it is absent. */
int admin_arena(uint32_t *index, struct arena **arena, struct admin_call *call);
/* The allocation that "name", "name_hex", "offset", or "slot" and "id" name. */
int admin_alloc(struct alloc **alloc, uint32_t *index, struct admin_call *call);
/* A parameter: 1 there, 0 absent, -EBADMSG of another type. Sizes may be texts: "2M". */
int admin_get_string(const char **out, struct admin_call *call, const char *key);
int admin_get_size(uint64_t *out, struct admin_call *call, const char *key);
int admin_get_bool(bool *out, struct admin_call *call, const char *key);

/* ---- admin_shapes.c: the caller owns what is returned; NULL: no memory ---- */

struct json_object *admin_shape(void);                  /* {"schema": 1} */
void admin_put_u64(struct json_object *to, const char *key, uint64_t value);
void admin_put_i64(struct json_object *to, const char *key, int64_t value);
void admin_put_string(struct json_object *to, const char *key, const char *value);
void admin_put_bool(struct json_object *to, const char *key, bool value);
/* "name" is null when there is none or it is no UTF-8; then "name_hex" has it. */
void admin_put_name(struct json_object *to, const char *name, size_t len);

struct json_object *admin_shape_arena(const struct service *service, uint32_t index);
struct json_object *admin_shape_alloc(const struct service *service, uint32_t index, const struct alloc *alloc);
struct json_object *admin_shape_extents(const struct arena *arena, const struct alloc *alloc);
struct json_object *admin_shape_event(const struct service *service, uint32_t index, const struct arena_event *event);
struct json_object *admin_shape_arena_stats(const struct service *service, uint32_t index);
struct json_object *admin_shape_counters(const struct counters *counters);
struct json_object *admin_shape_map(const struct arena *arena);

#endif
