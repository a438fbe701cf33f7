/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_rpc: JSON-RPC 2.0: one request in, one response out. The codes of the standard for what is wrong with a request; for what
 * the daemon refuses, the errno as a positive number, and its name under "data".
 */
#include <config.h>

#include "daemon/admin_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_ERROR      (-32700)
#define INVALID_REQUEST  (-32600)
#define METHOD_NOT_FOUND (-32601)
#define INVALID_PARAMS   (-32602)

/* A request deeper than any that makes sense. */
#define MAX_DEPTH 16

static char *to_text(struct json_object *response)
{
	const char *text = json_object_to_json_string_ext(response, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *copy = text ? strdup(text) : NULL;

	json_object_put(response);
	return copy;
}

/* Takes @id. */
static struct json_object *new_response(struct json_object *id)
{
	struct json_object *response = json_object_new_object();

	admin_put_string(response, "jsonrpc", "2.0");
	json_object_object_add(response, "id", id);
	return response;
}

static char *fail(struct json_object *id, int code, const char *name, const char *message)
{
	struct json_object *response = new_response(id), *error = json_object_new_object(), *data = admin_shape();

	admin_put_i64(error, "code", code);
	admin_put_string(error, "message", message);
	admin_put_string(data, "errno", name);
	json_object_object_add(error, "data", data);
	json_object_object_add(response, "error", error);
	return to_text(response);
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

	return method ? method : find_in(admin_changes, name);
}

static bool knows(const struct admin_method *method, const char *key)
{
	for (const char *const *param = method->params; *param; param++) {
		if (strcmp(*param, key) == 0)
			return true;
	}
	return false;
}

/* A misspelt parameter would silently be a default. */
static int check_params(struct admin_call *call, const struct admin_method *method)
{
	json_object_object_foreach(call->params, key, value) {
		(void)value;
		if (!knows(method, key))
			return why_set(&call->why, -EBADMSG, "%s has no parameter \"%s\"", method->name, key);
	}
	return 0;
}

static int run(struct json_object **result, struct admin_call *call, const struct admin_method *method)
{
	int r = check_params(call, method);

	if (r < 0)
		return r;
	if (method->changes && !call->is_admin)
		return why_set(&call->why, -EPERM, "%s changes something: for root and the admin group (%s) only; you are uid %u", method->name,
			       call->service->config.daemon.admin_group, call->uid);
	return method->run(result, call);
}

static char *answer(struct admin_call *call, struct json_object *id, const char *name)
{
	const struct admin_method *method = find_method(name);
	struct json_object *result = NULL, *response;
	int r;

	if (!method) {
		why_set(&call->why, 0, "there is no method \"%s\"", name);
		return fail(id, METHOD_NOT_FOUND, NULL, call->why.text);
	}
	r = run(&result, call, method);
	if (r == -EBADMSG)
		return fail(id, INVALID_PARAMS, NULL, call->why.text);
	if (r < 0)
		return fail(id, -r, strerrorname_np(-r), call->why.text[0] ? call->why.text : strerror(-r));
	response = new_response(id);
	json_object_object_add(response, "result", result);
	return to_text(response);
}

static bool is_id(const struct json_object *id)
{
	return !id || json_object_is_type(id, json_type_string) || json_object_is_type(id, json_type_int) ||
	       json_object_is_type(id, json_type_double);
}

static char *answer_request(struct admin_call *call, struct json_object *request)
{
	struct json_object *version = NULL, *method = NULL, *params = NULL, *id = NULL;
	bool has_id = json_object_object_get_ex(request, "id", &id);
	char *text;

	if (!is_id(id))
		return fail(NULL, INVALID_REQUEST, NULL, "\"id\" must be a number, a string or null");
	json_object_object_get_ex(request, "jsonrpc", &version);
	json_object_object_get_ex(request, "method", &method);
	if (!json_object_is_type(version, json_type_string) || strcmp(json_object_get_string(version), "2.0") != 0 ||
	    !json_object_is_type(method, json_type_string))
		return fail(json_object_get(id), INVALID_REQUEST, NULL, "a request has \"jsonrpc\": \"2.0\" and a \"method\"");
	if (!json_object_object_get_ex(request, "params", &params) || !params)
		call->params = json_object_new_object();
	else if (json_object_is_type(params, json_type_object))
		call->params = json_object_get(params);
	else
		return fail(json_object_get(id), INVALID_PARAMS, NULL, "\"params\" must be an object");
	text = answer(call, json_object_get(id), json_object_get_string(method));
	json_object_put(call->params);
	if (has_id)
		return text;
	/* A notification gets no answer. */
	free(text);
	return NULL;
}

char *admin_rpc(struct admin_call *call, const char *line, size_t length)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *request;
	enum json_tokener_error error;
	size_t end;
	char *text;

	if (!tokener)
		return fail(NULL, ENOMEM, "ENOMEM", "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	request = json_tokener_parse_ex(tokener, line, (int)length);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	/* Only what follows tells where a number ends. */
	if (error == json_tokener_continue) {
		request = json_tokener_parse_ex(tokener, "\n", 1);
		error = json_tokener_get_error(tokener);
		end = length;
	}
	json_tokener_free(tokener);
	/* The line ends where it ends: there is no NUL behind it. */
	while (end < length && strchr(" \t\r", line[end]) && line[end])
		end++;
	if (error == json_tokener_success && end != length)
		error = json_tokener_error_parse_unexpected;
	if (error != json_tokener_success)
		text = fail(NULL, PARSE_ERROR, NULL, error == json_tokener_continue ? "the object does not end on its line" : json_tokener_error_desc(error));
	else if (!json_object_is_type(request, json_type_object))
		text = fail(NULL, INVALID_REQUEST, NULL, "a request is one object on a line; there are no batches");
	else
		text = answer_request(call, request);
	json_object_put(request);
	return text;
}
