/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_trace: which steps of the daemon a connection follows, and how a step looks in JSON. It
 * knows no connection.
 *
 * A step has the fields that its layer knows: the scrubber knows no name, and what ends when nobody
 * has it mapped any more has no session. So the id of an allocation is remembered once a step has
 * shown that it belongs to the session or the name that is followed, and steps with that id are
 * followed from then on; the last 64 ids are kept.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"

#define IDS_MAX 64

struct admin_trace {
	bool has_uid, has_session, has_name;
	uint64_t uid, session;
	struct admin_bytes name;
	/*
	 * An id is unique in one arena only, so the arena is noted too. When the array is full, the
	 * oldest entry is overwritten.
	 */
	struct {
		uint64_t arena, id;
	} known[IDS_MAX];
	uint32_t nr_known, next_known;
};

/* ---- what is followed ---- */

static bool is_number(const struct trace_step *step, const char *key, uint64_t number)
{
	const struct trace_field *field = trace_find(step, key);

	return field && !field->text && field->number == number;
}

static bool is_bytes(const struct trace_step *step, const char *key,
		     const struct admin_bytes *bytes)
{
	const struct trace_field *field = trace_find(step, key);

	return field && field->text && field->len == bytes->len &&
	       memcmp(field->text, bytes->bytes, bytes->len) == 0;
}

/*
 * Reads which allocation a step is about. *arena is the address of the arena's name, which stays
 * the same while the arena is open.
 */
static bool find_alloc(uint64_t *arena, uint64_t *id, const struct trace_step *step)
{
	const struct trace_field *of = trace_find(step, "arena"), *number = trace_find(step, "id");

	if (!of || !number)
		return false;
	*arena = (uint64_t)(uintptr_t)of->text;
	*id = number->number;
	return true;
}

static bool is_known(const struct admin_trace *trace, const struct trace_step *step)
{
	uint64_t arena, id;

	if (!find_alloc(&arena, &id, step))
		return false;
	for (uint32_t i = 0; i < trace->nr_known; i++)
		if (trace->known[i].id == id && trace->known[i].arena == arena)
			return true;
	return false;
}

/* Remembers the allocation that a step is about. */
static void learn(struct admin_trace *trace, const struct trace_step *step)
{
	uint64_t arena, id;

	if (!find_alloc(&arena, &id, step) || is_known(trace, step))
		return;
	trace->known[trace->next_known].arena = arena;
	trace->known[trace->next_known].id = id;
	trace->next_known = (trace->next_known + 1) % IDS_MAX;
	trace->nr_known += trace->nr_known < IDS_MAX;
}

/*
 * Does the connection want this step? Without a filter it wants every one. A step must be of the
 * user, if one is followed; session and name may fit by themselves or through an id that was
 * learnt.
 */
bool admin_trace_wants(struct admin_trace *trace, const struct trace_step *step)
{
	bool is_its = (!trace->has_session || is_number(step, "session", trace->session)) &&
		      (!trace->has_name || is_bytes(step, "name", &trace->name));

	if (trace->has_uid && !is_number(step, "uid", trace->uid))
		return false;
	if (!trace->has_session && !trace->has_name)
		return true;
	if (is_its)
		learn(trace, step);
	return is_its || is_known(trace, step);
}

void admin_trace_free(struct admin_trace *trace)
{
	free(trace);
}

/* ---- the method ---- */

static int read_filter(struct admin_trace *trace, struct admin_call *call)
{
	int r = admin_get_size(&trace->uid, call, "uid");

	trace->has_uid = r > 0;
	if (r >= 0) {
		r = admin_get_size(&trace->session, call, "session");
		trace->has_session = r > 0;
	}
	if (r >= 0) {
		r = admin_get_bytes(&trace->name, call, "name");
		trace->has_name = r > 0;
	}
	return r < 0 ? r : 0;
}

int admin_trace_run(struct json_object **result, struct admin_call *call)
{
	struct admin_trace *trace = calloc(1, sizeof(*trace));
	int r = trace ? read_filter(trace, call) : -ENOMEM;

	if (r < 0) {
		admin_trace_free(trace);
		return r;
	}
	call->trace = trace;
	*result = admin_shape();
	shape_put_bool(*result, "following", true);
	return 0;
}

/* ---- in JSON ---- */

static void put_field(struct json_object *to, const struct trace_field *field)
{
	if (!field->text)
		shape_put_u64(to, field->key, field->number);
	else if (strcmp(field->key, "name") == 0)
		admin_put_name(to, field->text, field->len);
	else
		shape_put_bytes(to, field->key, field->text, field->len);
}

struct json_object *admin_trace_shape(const struct trace_step *step)
{
	struct json_object *shape = admin_shape();

	shape_put_string(shape, "event", step->what);
	shape_put_u64(shape, "time_ns", clock_ns(CLOCK_REALTIME));
	for (size_t i = 0; i < step->nr; i++)
		if (step->fields[i].key)
			put_field(shape, &step->fields[i]);
	return shape;
}
