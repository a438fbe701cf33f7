/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_internal: what the files of this folder that know JSON share; nobody else includes it. From
 * the top: admin.c (connections), admin_rpc.c (requests and errors), admin_methods.c,
 * admin_changes.c and admin_arenas.c (what can be asked), admin_list.c, admin_users.c,
 * admin_holders.c and admin_trace.c (a method each), admin_params.c (what was asked for) and
 * admin_shapes.c (how things look).
 */
#ifndef PMEMARENA_ADMIN_INTERNAL_H
#define PMEMARENA_ADMIN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/service/service.h"
#include "daemon/serve/session.h"
#include "daemon/shape.h"
#include "daemon/trace.h"
#include "lib/wire/why.h"

/* Goes up when a key changes its meaning or is removed; a key that is new does not change it. */
#define ADMIN_SCHEMA 1

/* One request: what it may use, and what it leaves behind for its connection. */
struct admin_call {
	struct service *service;        /* borrowed, as all pointers here */
	const struct sessions *sessions;
	uint32_t uid, gid;              /* of the caller */
	const struct conn_peer *peer;   /* the caller, with all groups */
	bool     is_admin;              /* may call methods that change something */
	struct json_object *params;     /* an object; NULL: there are none */
	/*
	 * set by the method "trace": the steps that the connection follows from now on; NULL: it
	 * was not called
	 */
	struct admin_trace *trace;
	/* set by the method "watch": the connection gets events from now on */
	bool     watch;
	struct why why;
	/*
	 * set by a method that is refused for several reasons: an array of sentences; NULL: there
	 * is one
	 */
	struct json_object *errors;
};

/* ---- admin_rpc.c ---- */

/*
 * Carries out the request in the @length bytes at @line. 0: *text is the answer, a line with its
 * newline, which the caller free()s; NULL: none is due. -ENOMEM: an answer is due, there is no
 * memory for it nor for one that says so, and nothing was done.
 */
int admin_rpc(char **text, struct admin_call *call, const char *line, size_t length);

/* ---- admin_methods.c, admin_changes.c ---- */

typedef int admin_method_fn(struct json_object **result, struct admin_call *call);

struct admin_method {
	const char *name;
	/*
	 * returns 0 with *result, or -errno with a sentence in call->why; -EBADMSG: the parameters
	 * are wrong
	 */
	admin_method_fn *run;
	bool changes;                   /* only administrators may call it */
	const char *const *params;      /* the names of its parameters, ending with NULL */
};

#define ADMIN_PARAMS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ADMIN_NO_PARAMS   ((const char *const[]){ NULL })

extern const struct admin_method admin_methods[];       /* the methods that change nothing */
/* the methods that change something: allocations and more; arenas. Each ends with a name NULL. */
extern const struct admin_method admin_changes[], admin_arenas[];

/* ---- admin_params.c ---- */

/*
 * May @peer see arena @index? Administrators see every arena; other users see those that they may
 * use or read as clients.
 */
bool admin_may_see(const struct service *service, const struct conn_peer *peer, bool is_admin,
		   uint32_t index);
/* As admin_may_see(), for the caller of the method. */
bool admin_shows(const struct admin_call *call, uint32_t index);
/*
 * Finds the arena that the parameter "arena" names (by name or UUID); without it the first one. An
 * arena that the caller may not see does not exist for it.
 */
int admin_arena(uint32_t *index, struct arena **arena, struct admin_call *call);
/*
 * Finds the allocation that the parameters "name", "name_hex", "offset", or "slot" and "id" name.
 */
int admin_alloc(struct alloc **alloc, uint32_t *index, struct admin_call *call);
/*
 * Read a parameter. 1: it is there; 0: it is absent; -EBADMSG: it is of another type. A size may be
 * a text, as "2M".
 */
int admin_get_string(const char **out, struct admin_call *call, const char *key);
int admin_get_size(uint64_t *out, struct admin_call *call, const char *key);
int admin_get_bool(bool *out, struct admin_call *call, const char *key);
/*
 * A name or the beginning of one, from the parameter "KEY" or, where it is no UTF-8, "KEY_hex".
 * admin_get_bytes() may also return -ENAMETOOLONG.
 */
struct admin_bytes {
	char    bytes[ALLOC_MAX_NAME + 1];
	uint8_t len;
};
int admin_get_bytes(struct admin_bytes *bytes, struct admin_call *call, const char *key);
/*
 * Reads the parameter @key as pairs of hexadecimal digits: at most @max bytes to @to, their number
 * to *len. 1: it is there; 0: it is not; -EBADMSG with a sentence.
 */
int admin_get_hex(void *to, size_t *len, size_t max, struct admin_call *call, const char *key);
/* Writes to @to the @nr bytes that the 2 * @nr hexadecimal digits at @hex mean. */
void admin_unhex(char *to, const char *hex, size_t nr);

/* ---- admin_list.c, admin_holders.c ---- */

admin_method_fn admin_list_run;                         /* the method "list" */
admin_method_fn admin_holders_run;                      /* the method "holders" */

/* ---- admin_transfer.c ---- */

admin_method_fn admin_move_run;                         /* the method "move" */

/* ---- admin_windows.c ---- */

struct admin_windows {
	const struct alloc *only;       /* windows that pin this one; NULL: all windows */
	uint64_t uid, session;
	bool     has_uid, has_session;  /* of them alone */
};
/*
 * Appends the windows of an arena that is there to the array @to, with what each pins. -ENOMEM:
 * none was appended.
 */
int admin_put_windows(struct json_object *to, struct served *served,
		      const struct admin_windows *wanted);

/* ---- admin_users.c ---- */

admin_method_fn admin_users_run;                        /* the method "users" */

/* ---- admin_trace.c: the steps that a connection follows ---- */

struct admin_trace;
admin_method_fn admin_trace_run;                        /* the method "trace" */
bool admin_trace_wants(struct admin_trace *trace, const struct trace_step *step);
/* The caller owns what is returned. */
struct json_object *admin_trace_shape(const struct trace_step *step);
void admin_trace_free(struct admin_trace *trace);       /* NULL is fine. */

/* ---- admin_shapes.c: the caller owns what is returned; NULL: no memory ---- */

/* Returns {"schema": 1}, to which an answer is added. */
struct json_object *admin_shape(void);
/*
 * Adds a name: as "name" or, where it is no UTF-8, in hexadecimal digits as "name_hex"; the other
 * one is null.
 */
void admin_put_name(struct json_object *to, const char *name, size_t len);

/*
 * Shows an arena, also one that is offline: without the reason in it nobody could tell from outside
 * why the arena refuses what it is asked for.
 */
struct json_object *admin_shape_arena(const struct service *service, uint32_t index);
/*
 * Shows an allocation in any state. Its arena goes by its name: the index is another one when the
 * configuration has changed.
 */
struct json_object *admin_shape_alloc(const struct service *service, uint32_t index,
				      const struct alloc *alloc);
/* An array, in the order of the allocation and not of the device: the first is its beginning. */
struct json_object *admin_shape_extents(const struct arena *arena, const struct alloc *alloc);
/*
 * Shows an event as it was noted when it happened. The allocation is not looked at: it may be gone,
 * and another one may have its slot. Of one that was moved it says where it is, or if not
 * @tells_place that it was freed.
 */
struct json_object *admin_shape_event(const struct service *service, uint32_t index,
				      const struct arena_event *event, bool tells_place);
struct json_object *admin_shape_arena_stats(const struct service *service, uint32_t index);
/* Adds what the last start found wrong, and when something was mended last. */
void admin_put_start(struct json_object *to, const struct arena_stats *stats);
/* Adds what waits for other hosts, and for which; and who owns an arena that hosts share. */
void admin_put_withheld(struct json_object *to, const struct arena *arena);
struct json_object *admin_shape_counters(const struct counters *counters);
/*
 * Shows the sections of an arena. Neighbours that look alike are one entry: an arena of terabytes
 * would fill the answer with equal lines otherwise.
 */
struct json_object *admin_shape_map(const struct arena *arena);

#endif
