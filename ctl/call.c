/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call: makes one call of the administrators' socket, and says in words and as an exit status what
 * became of it.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "lib/wire/escape.h"

struct json_object *ctl_params(void)
{
	return json_object_new_object();
}

/*
 * A member that was not given on the command line is left out, and not sent as null: the daemon
 * then takes its default, and says what is missing if there is none.
 */
void ctl_put(struct json_object *params, const char *key, const char *value)
{
	if (value)
		json_object_object_add(params, key, json_object_new_string(value));
}

/*
 * JSON strings are UTF-8. Bytes that are anything travel as two digits each, so that they arrive as
 * they were.
 */
void ctl_put_hex(struct json_object *to, const char *key, const char *bytes, size_t len)
{
	char hex[2 * PMA_MAX_ATTRIBUTES + 1] = "";

	for (size_t i = 0; i < len && i < PMA_MAX_ATTRIBUTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
	ctl_put(to, key, hex);
}

/*
 * Reads pairs of digits up to the first that is no pair. What comes from the daemon is whole, and
 * what a user typed was checked before, so that nothing is lost.
 */
size_t ctl_from_hex(uint8_t bytes[PMA_MAX_ATTRIBUTES], const char *hex)
{
	size_t nr = 0;

	while (hex && nr < PMA_MAX_ATTRIBUTES && sscanf(hex + 2 * nr, "%2hhx", &bytes[nr]) == 1)
		nr++;
	return nr;
}

/*
 * Adds a name, for which the daemon takes two keys. One that is text goes as text, so that a
 * request can be read in a log or by strace; any other goes in hexadecimal digits.
 */
void ctl_put_bytes(struct json_object *params, const char *key, const struct ctl_bytes *bytes)
{
	char hex_key[32];

	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	if (escape_is_utf8(bytes->bytes, bytes->len))
		ctl_put(params, key, bytes->bytes);
	else
		ctl_put_hex(params, hex_key, bytes->bytes, bytes->len);
}

/*
 * Adds both "name" and "name_hex", each null where it does not apply, so that a script finds the
 * keys in any case.
 */
void ctl_put_shape_name(struct json_object *to, const char *name, size_t len)
{
	bool is_text = len > 0 && escape_is_utf8(name, len);

	json_object_object_add(to, "name", is_text ? json_object_new_string(name) : NULL);
	json_object_object_add(to, "name_hex", NULL);
	if (len > 0 && !is_text)
		ctl_put_hex(to, "name_hex", name, len);
}

/*
 * Refuses a slot without an id, and an id without a slot. A slot alone would name whatever lies
 * there by now, and an id alone would make the daemon search; together they name one allocation for
 * ever.
 */
bool ctl_check_handle(const struct ctl_command *command, const char *name, const char *slot,
		      const char *id)
{
	if (!slot != !id)
		return ctl_usage(command, "--slot and --id belong together: "
					  "an id says what, the slot where"), false;
	if (name && id)
		return ctl_usage(command, "say which by NAME, or by --slot N --id N, not by both"),
		       false;
	return true;
}

/*
 * Does @r mean that no daemon answers? -EAGAIN does too: so many callers wait that the daemon
 * accepts none.
 */
static bool is_no_daemon(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTCONN || r == -ECONNRESET ||
	       r == -EAGAIN;
}

/*
 * Says why a call failed before it reached the daemon. Here -ENOENT and the like come from
 * connect(), are about the socket, and mean that there is no daemon.
 */
int ctl_explain(int r)
{
	ctl_say("%s", pma_message()[0] ? pma_message() : strerror(-r));
	return is_no_daemon(r) ? CTL_NO_DAEMON : CTL_FAILED;
}

/* Says why the daemon refused. It has answered, so only a lost connection means that it is gone. */
int ctl_refused(int r)
{
	ctl_say("%s", pma_message()[0] ? pma_message() : strerror(-r));
	return r == -ENOTCONN || r == -ESTALE ? CTL_NO_DAEMON : CTL_FAILED;
}

/*
 * Keeps the sentences of a call that was refused for several reasons, for the command to print one
 * by one. They belong to @ctl until the next call.
 */
static void keep_errors(struct ctl *ctl, const char *data)
{
	struct json_object *object = data ? json_tokener_parse(data) : NULL;

	ctl->errors = json_object_get(ctl_get(object, "errors"));
	json_object_put(object);
}

/*
 * Makes a call and prints nothing. ctl->errors is emptied first, else a caller could print the
 * sentences of an earlier call. A reply that is not JSON is a fault of the daemon (-EPROTO).
 */
int ctl_call_quiet(struct json_object **result, int *code, struct ctl *ctl, const char *method,
		   struct json_object *params)
{
	char *text = NULL;
	int r;

	*code = 0;
	ctl_await(ctl);
	r = pma_admin_call(&text, code, ctl->admin_socket, method,
			   params ? json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN)
				  : NULL);
	ctl_await_no_more();
	json_object_put(params);
	json_object_put(ctl->errors);
	ctl->errors = NULL;
	if (r < 0) {
		keep_errors(ctl, text);
		free(text);
		return r;
	}
	*result = json_tokener_parse(text);
	free(text);
	return *result ? 0 : -EPROTO;
}

/* Makes a call and, if it fails, says why: for commands that have nothing else to try. */
int ctl_call(struct json_object **result, struct ctl *ctl, const char *method,
	     struct json_object *params)
{
	int code, r = ctl_call_quiet(result, &code, ctl, method, params);

	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

/*
 * Is the call refused because this user is not an administrator? -EACCES: the mode of the socket
 * keeps the user out. EPERM in a reply: the socket let the user in, and the daemon does not take it
 * for an administrator.
 */
bool ctl_is_not_admin(int r, int code)
{
	return r == -EACCES || (r == -EREMOTE && code == EPERM);
}

/*
 * Connects to the clients' socket. The library copies the options, so they are freed here whether
 * the connection was made or not.
 */
int ctl_connect(struct pma **pma, const struct ctl *ctl)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return ctl_explain(r);
	if (ctl->socket)
		r = pma_options_set_socket(options, ctl->socket);
	ctl_await(ctl);
	if (r == 0)
		r = pma_connect(pma, options);
	ctl_await_no_more();
	pma_options_free(options);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

bool ctl_print_json(const struct ctl *ctl, struct json_object *result)
{
	if (!ctl->json)
		return false;
	ctl_put_json(json_object_to_json_string_ext(
		result, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	putchar('\n');
	return true;
}
