/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call: one admin call, and what became of it in words and as an exit status.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

struct json_object *ctl_params(void)
{
	return json_object_new_object();
}

void ctl_put(struct json_object *params, const char *key, const char *value)
{
	if (value)
		json_object_object_add(params, key, json_object_new_string(value));
}

/* json-c takes any bytes for a text; the daemon does not. */
static bool is_utf8(const char *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *string = json_object_new_string(text), *back = NULL;
	const char *json = string ? json_object_to_json_string(string) : NULL;
	bool is_good;

	if (tokener && json) {
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		back = json_tokener_parse_ex(tokener, json, -1);
	}
	is_good = back != NULL;
	json_object_put(string);
	if (tokener)
		json_tokener_free(tokener);
	json_object_put(back);
	return is_good;
}

void ctl_put_name(struct json_object *params, const char *name)
{
	char hex[2 * 4096 + 1] = "";
	size_t len = strlen(name);

	if (is_utf8(name)) {
		ctl_put(params, "name", name);
		return;
	}
	for (size_t i = 0; i < len && i < 4096; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
	ctl_put(params, "name_hex", hex);
}

int ctl_explain(int r)
{
	fprintf(stderr, "pmemarenactl: %s\n", pma_message()[0] ? pma_message() : strerror(-r));
	return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTCONN || r == -ECONNRESET ? CTL_NO_DAEMON : CTL_FAILED;
}

int ctl_call_quiet(struct json_object **result, int *code, struct ctl *ctl, const char *method, struct json_object *params)
{
	char *text = NULL;
	int r;

	*code = 0;
	r = pma_admin_call(&text, code, ctl->admin_socket, method, params ? json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN) : NULL);
	json_object_put(params);
	if (r < 0)
		return r;
	*result = json_tokener_parse(text);
	free(text);
	return *result ? 0 : -EPROTO;
}

int ctl_call(struct json_object **result, struct ctl *ctl, const char *method, struct json_object *params)
{
	int code, r = ctl_call_quiet(result, &code, ctl, method, params);

	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

bool ctl_is_not_admin(int r, int code)
{
	return r == -EACCES || (r == -EREMOTE && code == EPERM);
}

int ctl_connect(struct pma **pma, const struct ctl *ctl)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return ctl_explain(r);
	if (ctl->socket)
		r = pma_options_set_socket(options, ctl->socket);
	if (r == 0)
		r = pma_connect(pma, options);
	pma_options_free(options);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

bool ctl_print_json(const struct ctl *ctl, struct json_object *result)
{
	if (!ctl->json)
		return false;
	puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	return true;
}
