/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: calls on the admin socket: JSON-RPC 2.0, one object a line. The only file of the library that knows JSON; what a
 * method means is for the caller and the daemon.
 */
#include <config.h>

#include <pmemarena.h>

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/conn.h"
#include "lib/error.h"

#define DEFAULT_SOCKET "/run/pmemarena/admin.sock"
#define MAX_LINE ((size_t)256 << 20)    /* more is no answer but a mistake */
#define BUSY_MS  10                     /* a full backlog: look again */
#define BUSY_TRIES 500

/* One call: its socket, and what arrived on it and was not used. */
struct admin {
	int    sock;                    /* owned; -1: none */
	char  *buf;                     /* owned */
	size_t len, capacity;
	size_t used;                    /* of the front: the line that was given out last */
};

#define ADMIN_INIT { .sock = -1 }

static void admin_fini(struct admin *admin)
{
	if (admin->sock >= 0)
		close(admin->sock);
	free(admin->buf);
}

/* ---- the socket ---- */

static int explain_connect(int err, const char *path)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return error_set(err, "no daemon at %s: %s; is pmemarenad running?", path, strerror(-err));
	case -EACCES:
		return error_set(err, "not allowed to connect to %s", path);
	default:
		return error_set(err, "%s: %s", path, strerror(-err));
	}
}

static int admin_connect(struct admin *admin, const char *path)
{
	int tries = 0;

	if (!path)
		path = secure_getenv("PMEMARENA_ADMIN_SOCKET");
	if (!path || !*path)
		path = DEFAULT_SOCKET;
	while ((admin->sock = conn_connect(path, SOCK_STREAM)) == -EAGAIN && ++tries < BUSY_TRIES)
		poll(NULL, 0, BUSY_MS);
	if (admin->sock < 0)
		return explain_connect(admin->sock, path);
	if (fcntl(admin->sock, F_SETFL, 0) < 0)
		return error_set(-errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int send_all(int sock, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(sock, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(errno == EPIPE ? -ENOTCONN : -errno, "the daemon does not take the request: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int grow(struct admin *admin)
{
	size_t capacity = admin->capacity ? admin->capacity * 2 : 4096;
	char *buf;

	if (admin->len < admin->capacity)
		return 0;
	if (capacity > MAX_LINE)
		return error_set(-EPROTO, "the daemon's answer has no end");
	buf = realloc(admin->buf, capacity);
	if (!buf)
		return error_set(-ENOMEM, "out of memory");
	admin->buf = buf;
	admin->capacity = capacity;
	return 0;
}

static int receive_some(struct admin *admin)
{
	ssize_t n;
	int r = grow(admin);

	if (r < 0)
		return r;
	do {
		n = recv(admin->sock, admin->buf + admin->len, admin->capacity - admin->len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(-errno, "no answer from the daemon: %s", strerror(errno));
	if (n == 0)
		return error_set(-ENOTCONN, "the daemon hung up");
	admin->len += (size_t)n;
	return 0;
}

/* The next line, terminated, in admin->buf until the next call. */
static int receive_line(struct admin *admin, char **line)
{
	size_t searched = 0;
	char *end;
	int r;

	admin->len -= admin->used;
	if (admin->used)
		memmove(admin->buf, admin->buf + admin->used, admin->len);
	admin->used = 0;
	while (admin->len == searched || !(end = memchr(admin->buf + searched, '\n', admin->len - searched))) {
		searched = admin->len;
		r = receive_some(admin);
		if (r < 0)
			return r;
	}
	*end = '\0';
	admin->used = (size_t)(end - admin->buf) + 1;
	*line = admin->buf;
	return 0;
}

/* ---- JSON-RPC ---- */

static int make_request(struct json_object **out, const char *method, const char *params)
{
	struct json_object *object, *request = json_object_new_object();

	if (!request)
		return error_set(-ENOMEM, "out of memory");
	json_object_object_add(request, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "method", json_object_new_string(method));
	if (params) {
		object = json_tokener_parse(params);
		if (!json_object_is_type(object, json_type_object)) {
			json_object_put(object);
			json_object_put(request);
			return error_set(-EINVAL, "the parameters are no JSON object: %.100s", params);
		}
		json_object_object_add(request, "params", object);
	}
	*out = request;
	return 0;
}

static int send_request(struct admin *admin, const char *method, const char *params)
{
	struct json_object *request = NULL;
	const char *text;
	int r = make_request(&request, method, params);

	if (r < 0)
		return r;
	text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	r = text ? send_all(admin->sock, text, strlen(text)) : error_set(-ENOMEM, "out of memory");
	if (r == 0)
		r = send_all(admin->sock, "\n", 1);
	json_object_put(request);
	return r;
}

static int not_the_protocol(const char *line)
{
	return error_set(-EPROTO, "the daemon's answer is no JSON-RPC 2.0: %.100s", line);
}

/* The daemon refused: its words become ours. */
static int take_error(int *code, struct json_object *error)
{
	struct json_object *number, *text;

	if (!json_object_object_get_ex(error, "code", &number) || !json_object_object_get_ex(error, "message", &text))
		return error_set(-EPROTO, "the daemon's answer is an error that says nothing");
	if (code)
		*code = json_object_get_int(number);
	return error_copy(-EREMOTE, json_object_get_string(text), (size_t)json_object_get_string_len(text));
}

/* One line: the caller owns *message. */
static int receive_message(struct admin *admin, struct json_object **message)
{
	struct json_object *version;
	char *line;
	int r = receive_line(admin, &line);

	if (r < 0)
		return r;
	*message = json_tokener_parse(line);
	if (!json_object_is_type(*message, json_type_object) || !json_object_object_get_ex(*message, "jsonrpc", &version)) {
		json_object_put(*message);
		return not_the_protocol(line);
	}
	return 0;
}

static int copy_text(char **out, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	*out = text ? strdup(text) : NULL;
	return *out ? 0 : error_set(-ENOMEM, "out of memory");
}

/* The reply to our one request; *result (may be NULL) is the caller's. */
static int receive_reply(struct admin *admin, char **result, int *code)
{
	struct json_object *message, *part;
	int r = receive_message(admin, &message);

	if (r < 0)
		return r;
	if (json_object_object_get_ex(message, "error", &part))
		r = take_error(code, part);
	else if (!json_object_object_get_ex(message, "result", &part))
		r = error_set(-EPROTO, "the daemon's answer has neither a result nor an error");
	else if (result)
		r = copy_text(result, part);
	json_object_put(message);
	return r;
}

int pma_admin_call(char **result, int *code, const char *socket, const char *method, const char *params)
{
	struct admin admin = ADMIN_INIT;
	int r = admin_connect(&admin, socket);

	if (r == 0)
		r = send_request(&admin, method, params);
	if (r == 0)
		r = receive_reply(&admin, result, code);
	admin_fini(&admin);
	return r;
}

/* 1: go on; 0: @line has enough. */
static int receive_notification(struct admin *admin, bool (*line)(const char *json, void *arg), void *arg)
{
	struct json_object *message, *params;
	char *text;
	int r = receive_message(admin, &message);

	if (r < 0)
		return r;
	r = json_object_object_get_ex(message, "params", &params) ? copy_text(&text, params)
								  : error_set(-EPROTO, "the daemon sent something that is no event");
	json_object_put(message);
	if (r < 0)
		return r;
	r = line(text, arg);
	free(text);
	return r;
}

int pma_admin_watch(const char *socket, const char *method, const char *params,
		    bool (*line)(const char *json, void *arg), void *arg)
{
	struct admin admin = ADMIN_INIT;
	int r = admin_connect(&admin, socket);

	if (r == 0)
		r = send_request(&admin, method, params);
	if (r == 0)
		r = receive_reply(&admin, NULL, NULL);
	if (r == 0) {
		do {
			r = receive_notification(&admin, line, arg);
		} while (r == 1);
	}
	admin_fini(&admin);
	return r;
}
