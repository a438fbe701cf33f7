/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: calls on the admin socket. A call is JSON-RPC 2.0: the library sends one line, which is a
 * JSON object, and the daemon answers with one line; a method that goes on sending adds a line for
 * each event. This is the only file of the library that knows JSON. It does not know what a method
 * does: it hands the parameters and the result through as text.
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

#include "lib/wire/conn.h"
#include "lib/error.h"

#define DEFAULT_SOCKET "/run/pmemarena/admin.sock"
/* A longer line is a mistake, and to read it would use up the memory of this process. */
#define MAX_LINE ((size_t)256 << 20)
/*
 * So many callers may wait for the daemon to accept them that the kernel refuses another one. Then
 * connecting is tried again after BUSY_MS, BUSY_TRIES times.
 */
#define BUSY_MS  10
#define BUSY_TRIES 500

/* One call: its socket, and the bytes that arrived. */
struct admin {
	int    sock;                    /* owned; -1: not connected */
	char  *buf;                     /* owned; @capacity bytes, of which @len arrived */
	size_t len, capacity;
	/*
	 * How many bytes at the front of buf are the line that was handed out last. They are
	 * dropped when the next line is asked for.
	 */
	size_t used;
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
		return error_set(err, "no daemon at %s: %s; is pmemarenad running?", path,
				 strerror(-err));
	case -EACCES:
		return error_set(err, "not allowed to connect to %s", path);
	case -EAGAIN:
		return error_set(-ENOTCONN, "the daemon at %s does not answer", path);
	default:
		return error_set(err == -ENOBUFS ? -ENOMEM : err, "%s: %s", path, error_text(err));
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
		return error_set(-errno, "%s: %s", path, error_text(-errno));
	return 0;
}

/* A call on the socket failed with @err: the daemon hung up, or it is about this process. */
static int explain_transfer(int err)
{
	switch (err) {
	case -EPIPE:
	case -ECONNRESET:
		return error_set(-ENOTCONN, "the daemon hung up");
	default:
		return error_set(err == -ENOBUFS ? -ENOMEM : err, "the admin socket: %s",
				 error_text(err));
	}
}

/* The socket blocks: this waits until the daemon took all of @text. */
static int send_all(int sock, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(sock, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return explain_transfer(-errno);
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes room for at least one byte more in admin->buf. */
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
		return error_memory();
	admin->buf = buf;
	admin->capacity = capacity;
	return 0;
}

/* Waits for more bytes, and appends them to admin->buf. */
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
		return explain_transfer(-errno);
	if (n == 0)
		return error_set(-ENOTCONN, "the daemon hung up");
	admin->len += (size_t)n;
	return 0;
}

/*
 * Waits for the next line. *line points into admin->buf, ends in a NUL in the place of the line
 * feed, and is valid until the next call.
 */
static int receive_line(struct admin *admin, char **line)
{
	size_t searched = 0;            /* this many bytes were searched and have no line feed */
	char *end;
	int r;

	admin->len -= admin->used;
	if (admin->used)
		memmove(admin->buf, admin->buf + admin->used, admin->len);
	admin->used = 0;
	while (admin->len == searched ||
	       !(end = memchr(admin->buf + searched, '\n', admin->len - searched))) {
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

/*
 * json-c (0.16) does not report all allocations that fail: a text may end too early, or an object
 * lack a member. What it does leave is ENOMEM in errno. So each use of it begins with errno = 0, and
 * ends with this question. Without it the daemon would be blamed for what is missing.
 */
static bool is_out_of_memory(void)
{
	return errno == ENOMEM;
}

/* Adds a member; takes @value. That it failed is in errno. */
static void add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) < 0)
		json_object_put(value);
}

/*
 * Makes a request, and takes @params over. The caller gives the request back with
 * json_object_put(). It may lack a member if memory is short.
 */
static struct json_object *make_request(const char *method, struct json_object *params)
{
	struct json_object *request = json_object_new_object();

	if (!request) {
		json_object_put(params);
		return NULL;
	}
	add(request, "jsonrpc", json_object_new_string("2.0"));
	add(request, "id", json_object_new_int(1));
	add(request, "method", json_object_new_string(method));
	add(request, "params", params);
	return request;
}

/*
 * Reads the parameters of a call into *out, which the caller gives back with json_object_put(); it
 * is NULL if there are none. -EINVAL: the text is no JSON object.
 */
static int parse_params(struct json_object **out, const char *params)
{
	struct json_object *object;

	*out = NULL;
	if (!params)
		return 0;
	errno = 0;
	object = json_tokener_parse(params);
	if (json_object_is_type(object, json_type_object) && !is_out_of_memory()) {
		*out = object;
		return 0;
	}
	json_object_put(object);
	return is_out_of_memory()
		       ? error_memory()
		       : error_set(-EINVAL, "the parameters are no JSON object: %.100s", params);
}

static int send_request(struct admin *admin, const char *method, const char *params)
{
	struct json_object *request, *object;
	const char *text = NULL;
	int r = parse_params(&object, params);

	if (r < 0)
		return r;
	errno = 0;
	request = make_request(method, object);
	if (request)
		text = json_object_to_json_string_ext(request,
						      JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	r = text && !is_out_of_memory() ? send_all(admin->sock, text, strlen(text))
					: error_memory();
	if (r == 0)
		r = send_all(admin->sock, "\n", 1);
	json_object_put(request);
	return r;
}

static int not_the_protocol(const char *line)
{
	return error_set(-EPROTO, "the daemon's answer is no JSON-RPC 2.0: %.100s", line);
}

/* Writes @object as JSON text. The caller frees *out. */
static int copy_text(char **out, struct json_object *object)
{
	const char *text;

	errno = 0;
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	*out = text && !is_out_of_memory() ? strdup(text) : NULL;
	return *out ? 0 : error_memory();
}

/*
 * The daemon answered with an error. Its message becomes the thread's message, and its number *code;
 * *data gets what else it says, as JSON text. @code and @data may be NULL. -EREMOTE.
 */
static int take_error(char **data, int *code, struct json_object *error)
{
	struct json_object *number, *text, *more;

	if (!json_object_object_get_ex(error, "code", &number) ||
	    !json_object_object_get_ex(error, "message", &text))
		return error_set(-EPROTO, "the daemon's answer is an error that says nothing");
	if (code)
		*code = json_object_get_int(number);
	if (data && json_object_object_get_ex(error, "data", &more) && copy_text(data, more) < 0)
		return -ENOMEM;
	return error_copy(-EREMOTE, json_object_get_string(text),
			  (size_t)json_object_get_string_len(text));
}

/*
 * Waits for a line and parses it. *message is an object of JSON-RPC, which the caller gives back
 * with json_object_put().
 */
static int receive_message(struct admin *admin, struct json_object **message)
{
	struct json_object *version;
	char *line;
	int r = receive_line(admin, &line);

	if (r < 0)
		return r;
	errno = 0;
	*message = json_tokener_parse(line);
	if (is_out_of_memory()) {
		json_object_put(*message);
		return error_memory();
	}
	if (!json_object_is_type(*message, json_type_object) ||
	    !json_object_object_get_ex(*message, "jsonrpc", &version)) {
		json_object_put(*message);
		return not_the_protocol(line);
	}
	return 0;
}

/*
 * Waits for the reply to the one request of this call. The caller frees *result, the result or the
 * error's data as JSON text; @result may be NULL.
 */
static int receive_reply(struct admin *admin, char **result, int *code)
{
	struct json_object *message, *part;
	int r = receive_message(admin, &message);

	if (r < 0)
		return r;
	if (json_object_object_get_ex(message, "error", &part))
		r = take_error(result, code, part);
	else if (!json_object_object_get_ex(message, "result", &part))
		r = error_set(-EPROTO, "the daemon's answer has neither a result nor an error");
	else if (result)
		r = copy_text(result, part);
	json_object_put(message);
	return r;
}

int pma_admin_call(char **result, int *code, const char *socket, const char *method,
		   const char *params)
{
	struct admin admin = ADMIN_INIT;
	int r = admin_connect(&admin, socket);

	if (result)
		*result = NULL;
	if (r == 0)
		r = send_request(&admin, method, params);
	if (r == 0)
		r = receive_reply(&admin, result, code);
	admin_fini(&admin);
	return r;
}

/*
 * Waits for the next event and hands it to @line. 1: @line wants more of them; 0: it has enough; or
 * a negative errno.
 */
static int receive_notification(struct admin *admin, bool (*line)(const char *json, void *arg),
				void *arg)
{
	struct json_object *message, *params;
	char *text;
	int r = receive_message(admin, &message);

	if (r < 0)
		return r;
	r = json_object_object_get_ex(message, "params", &params)
		    ? copy_text(&text, params)
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
