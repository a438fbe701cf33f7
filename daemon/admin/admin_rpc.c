/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_rpc: JSON-RPC 2.0: one request in, one response out. What is wrong with a request is said
 * by the codes of the standard; what the daemon refuses, by the errno as a positive number, whose
 * name is under "data".
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_ERROR      (-32700)
#define INVALID_REQUEST  (-32600)
#define METHOD_NOT_FOUND (-32601)
#define INVALID_PARAMS   (-32602)

/* Makes a response without its result or error; takes over @id, which is NULL for null. */
static struct json_object *new_response(struct json_object *id)
{
	struct json_object *response = shape_object();

	shape_put_string(response, "jsonrpc", "2.0");
	if (id)
		shape_put(response, "id", id);
	else
		shape_put_null(response, "id");
	return response;
}

/*
 * Makes the text of a response that is an error; takes over @id and @errors (NULL: none). NULL:
 * there is no memory.
 */
static char *fail_for(struct json_object *id, int code, const char *name, const char *message,
		      struct json_object *errors)
{
	struct json_object *response = new_response(id), *error = shape_object(),
			   *data = admin_shape();

	shape_put_i64(error, "code", code);
	shape_put_string(error, "message", message);
	shape_put_string(data, "errno", name);
	if (errors)
		shape_put(data, "errors", errors);
	shape_put(error, "data", data);
	shape_put(response, "error", error);
	return shape_text(response);
}

static char *fail(struct json_object *id, int code, const char *name, const char *message)
{
	return fail_for(id, code, name, message, NULL);
}

static const struct admin_method *find_in(const struct admin_method *methods, const char *name)
{
	for (; methods->name; methods++) {
		if (strcmp(methods->name, name) == 0)
			return methods;
	}
	return NULL;
}

static const struct admin_method *find_method(const char *name)
{
	const struct admin_method *method = find_in(admin_methods, name);

	if (!method)
		method = find_in(admin_changes, name);
	return method ? method : find_in(admin_arenas, name);
}

static bool knows(const struct admin_method *method, const char *key)
{
	for (const char *const *param = method->params; *param; param++) {
		if (strcmp(*param, key) == 0)
			return true;
	}
	return false;
}

/*
 * Refuses a parameter that the method does not know: misspelt, it would silently have its default.
 */
static int check_params(struct admin_call *call, const struct admin_method *method)
{
	if (!call->params)
		return 0;
	json_object_object_foreach(call->params, key, value) {
		(void)value;
		if (!knows(method, key))
			return why_set(&call->why, -EBADMSG, "%s has no parameter \"%s\"",
				       method->name, key);
	}
	return 0;
}

static int run(struct json_object **result, struct admin_call *call,
	       const struct admin_method *method)
{
	int r = check_params(call, method);

	if (r < 0)
		return r;
	if (method->changes && !call->is_admin)
		return why_set(&call->why, -EPERM,
			       "%s is for root and the admin group (%s) only; you are uid %u",
			       method->name, call->service->config.daemon.admin_group, call->uid);
	return method->run(result, call);
}

/* Runs the method and makes the response of what came of it; takes over @id. */
static char *answer_run(struct admin_call *call, struct json_object *id,
			const struct admin_method *method)
{
	struct json_object *result = NULL, *response;
	int r = run(&result, call, method);

	if (r == -EBADMSG)
		return fail(id, INVALID_PARAMS, NULL, call->why.text);
	if (r < 0)
		return fail_for(id, -r, strerrorname_np(-r),
				call->why.text[0] ? call->why.text : strerror(-r),
				json_object_get(call->errors));
	response = new_response(id);
	shape_put(response, "result", result);
	return shape_text(response);
}

/* The answer is lost, and with it the news that events or steps will be sent: they are not. */
static void take_back(struct admin_call *call)
{
	call->watch = false;
	admin_trace_free(call->trace);
	call->trace = NULL;
}

/*
 * Runs the method @name; takes over @id. The answer for the case that there is no memory is made
 * before anything is done: afterwards there may be none for it either, and a caller without an
 * answer would wait for ever. NULL: nothing was done.
 */
static char *answer(struct admin_call *call, struct json_object *id, const char *name)
{
	const struct admin_method *method = find_method(name);
	char *poor, *text;

	if (!method) {
		why_set(&call->why, 0, "there is no method \"%s\"", name);
		return fail(id, METHOD_NOT_FOUND, NULL, call->why.text);
	}
	poor = fail(json_object_get(id), ENOMEM, "ENOMEM",
		    method->changes ? "out of memory for the answer; look whether it was done"
				    : "out of memory for the answer");
	text = poor ? answer_run(call, id, method) : NULL;
	if (!poor)
		json_object_put(id);
	if (text) {
		free(poor);
		return text;
	}
	take_back(call);
	return poor;
}

static bool is_id(const struct json_object *id)
{
	return !id || json_object_is_type(id, json_type_string) ||
	       json_object_is_type(id, json_type_int) || json_object_is_type(id, json_type_double);
}

/* Carries out a request; false: no answer is due, since it has no id. */
static bool answer_request(char **text, struct admin_call *call, struct json_object *request)
{
	struct json_object *version = NULL, *method = NULL, *params = NULL, *id = NULL;
	bool has_id = json_object_object_get_ex(request, "id", &id);

	if (!is_id(id)) {
		*text = fail(NULL, INVALID_REQUEST, NULL,
			     "\"id\" must be a number, a string or null");
		return true;
	}
	json_object_object_get_ex(request, "jsonrpc", &version);
	json_object_object_get_ex(request, "method", &method);
	if (!json_object_is_type(version, json_type_string) ||
	    strcmp(json_object_get_string(version), "2.0") != 0 ||
	    !json_object_is_type(method, json_type_string)) {
		*text = fail(json_object_get(id), INVALID_REQUEST, NULL,
			     "a request has \"jsonrpc\": \"2.0\" and a \"method\"");
		return true;
	}
	if (json_object_object_get_ex(request, "params", &params) && params &&
	    !json_object_is_type(params, json_type_object)) {
		*text = fail(json_object_get(id), INVALID_PARAMS, NULL,
			     "\"params\" must be an object");
		return true;
	}
	call->params = params;
	*text = answer(call, json_object_get(id), json_object_get_string(method));
	json_object_put(call->errors);
	return has_id;
}

int admin_rpc(char **text, struct admin_call *call, const char *line, size_t length)
{
	struct json_object *request;
	const char *why;
	bool is_due = true;
	int r = shape_parse(&request, line, length, &why);

	if (r == -ENOMEM)
		*text = NULL;
	else if (r < 0)
		*text = fail(NULL, PARSE_ERROR, NULL, why);
	else if (!json_object_is_type(request, json_type_object))
		*text = fail(NULL, INVALID_REQUEST, NULL,
			     "a request is one object on a line; there are no batches");
	else
		is_due = answer_request(text, call, request);
	json_object_put(request);
	if (!is_due) {
		free(*text);
		*text = NULL;
	}
	return is_due && !*text ? -ENOMEM : 0;
}
