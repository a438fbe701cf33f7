/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: administrators' connections: lines in, lines out. It knows neither methods nor JSON, but for the events that a connection
 * asked to be sent.
 *
 * A line is bounded, and so is what is kept for a connection that does not read: a line is answered when the answer before it was
 * taken, one a wake-up, so that clients have their turn in between.
 */
#include <config.h>

#include "daemon/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <grp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admin_internal.h"
#include "daemon/log.h"
#include "lib/conn.h"

#define LINE_MAX_BYTES  65536
#define EVENTS_MAX      (1 << 20)       /* bytes kept for one that watches and does not read */
#define CONNECTIONS_MAX 64

struct connection {
	TAILQ_ENTRY(connection) link;   /* admin.connections */
	struct admin *admin;            /* borrowed */
	struct bufferevent *stream;     /* owned, with the socket */
	uint32_t uid, gid;
	bool is_admin, watches, has_lost;
	bool has_ended;                 /* no more input comes than what is here */
};

struct admin {
	struct event_base *base;        /* borrowed, as the next two */
	struct service *service;
	const struct sessions *sessions;
	struct watcher watcher;
	TAILQ_HEAD(, connection) connections;
	uint32_t nr;
};

/* ---- connections ---- */

static void connection_free(struct connection *connection)
{
	struct admin *admin = connection->admin;

	TAILQ_REMOVE(&admin->connections, connection, link);
	admin->nr--;
	admin->service->nr_listeners -= connection->watches;
	bufferevent_free(connection->stream);
	free(connection);
}

static void send_line(struct connection *connection, const char *text)
{
	struct evbuffer *out = bufferevent_get_output(connection->stream);

	evbuffer_add(out, text, strlen(text));
	evbuffer_add(out, "\n", 1);
}

static void answer_line(struct connection *connection, const char *line, size_t length)
{
	struct admin_call call = {
		.service = connection->admin->service,
		.sessions = connection->admin->sessions,
		.uid = connection->uid,
		.gid = connection->gid,
		.is_admin = connection->is_admin,
	};
	char *text = admin_rpc(&call, line, length);

	if (text)
		send_line(connection, text);
	free(text);
	if (call.watch && !connection->watches)
		connection->admin->service->nr_listeners++;
	connection->watches |= call.watch;
}

/* The next whole line, or at the end of the input what is left of it. The caller free()s it. */
static char *take_line(const struct connection *connection, size_t *length)
{
	struct evbuffer *in = bufferevent_get_input(connection->stream);
	char *line = evbuffer_readln(in, length, EVBUFFER_EOL_LF);

	if (line || !connection->has_ended || evbuffer_get_length(in) == 0)
		return line;
	*length = evbuffer_get_length(in);
	line = malloc(*length);
	evbuffer_remove(in, line, line ? *length : 0);
	return line;
}

/* Where the request after an endless line would begin nobody knows. */
static void refuse_endless(struct connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->stream);

	send_line(connection, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"a line has at most 65535 bytes\"}}");
	bufferevent_disable(connection->stream, EV_READ);
	evbuffer_drain(in, evbuffer_get_length(in));
	connection->has_ended = true;
}

static bool has_output(const struct connection *connection)
{
	return evbuffer_get_length(bufferevent_get_output(connection->stream)) > 0;
}

/* The next step, when nothing waits to be taken; on_written() comes when that is so again. The connection may be gone afterwards. */
static void go_on(struct connection *connection)
{
	size_t length;
	char *line;

	if (has_output(connection))
		return;
	line = take_line(connection, &length);
	if (line) {
		if (length > 0)
			answer_line(connection, line, length);
		free(line);
		/* What has no answer has no on_written() either. */
		if (!has_output(connection))
			bufferevent_trigger(connection->stream, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	} else if (evbuffer_get_length(bufferevent_get_input(connection->stream)) >= LINE_MAX_BYTES) {
		refuse_endless(connection);
	} else if (connection->has_ended && !connection->watches) {
		connection_free(connection);
	}
}

static void on_read(struct bufferevent *stream, void *arg)
{
	go_on(arg);
}

static void on_written(struct bufferevent *stream, void *arg)
{
	go_on(arg);
}

/* `printf '{...}' | socat - UNIX-CONNECT:...` ends its last line with its side of the connection, and waits for the answer. */
static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct connection *connection = arg;

	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING)) {
		connection->has_ended = true;
		go_on(connection);
	} else {
		connection_free(connection);
	}
	/* the connection may be gone from here on */
}

/* ---- events ---- */

static void send_event(struct connection *connection, struct json_object *params)
{
	struct json_object *line = json_object_new_object();

	admin_put_string(line, "jsonrpc", "2.0");
	admin_put_string(line, "method", "event");
	json_object_object_add(line, "params", params);
	send_line(connection, json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

static void tell_one(struct connection *connection, uint32_t arena, const struct arena_event *events, size_t nr)
{
	if (evbuffer_get_length(bufferevent_get_output(connection->stream)) > EVENTS_MAX) {
		connection->has_lost = true;
		return;
	}
	if (connection->has_lost) {
		struct json_object *lost = admin_shape();

		admin_put_string(lost, "event", "lost");
		send_event(connection, lost);
		connection->has_lost = false;
	}
	for (size_t i = 0; i < nr; i++)
		send_event(connection, admin_shape_event(connection->admin->service, arena, &events[i]));
}

static void tell(struct watcher *watcher, uint32_t arena, const struct arena_event *events, size_t nr)
{
	struct admin *admin = (struct admin *)((char *)watcher - offsetof(struct admin, watcher));
	struct connection *connection;

	TAILQ_FOREACH(connection, &admin->connections, link) {
		if (connection->watches)
			tell_one(connection, arena, events, nr);
	}
}

/* ---- who may change things ---- */

static bool is_in_group(const struct conn_peer *peer, const char *name)
{
	const struct group *group = getgrnam(name);

	if (!group)
		return false;
	for (int i = 0; i < peer->nr_groups; i++) {
		if (peer->groups[i] == group->gr_gid)
			return true;
	}
	return peer->gid == group->gr_gid;
}

static bool may_change(const struct admin *admin, const struct conn_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid() || is_in_group(peer, admin->service->config.daemon.admin_group);
}

/* ---- begin and end ---- */

static int connection_new(struct admin *admin, int sock, const struct conn_peer *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return -ENOMEM;
	connection->stream = bufferevent_socket_new(admin->base, sock, BEV_OPT_CLOSE_ON_FREE);
	if (!connection->stream) {
		free(connection);
		return -ENOMEM;
	}
	connection->admin = admin;
	connection->uid = peer->uid;
	connection->gid = peer->gid;
	connection->is_admin = may_change(admin, peer);
	TAILQ_INSERT_TAIL(&admin->connections, connection, link);
	admin->nr++;
	bufferevent_setcb(connection->stream, on_read, on_written, on_event, connection);
	bufferevent_setwatermark(connection->stream, EV_READ, 0, LINE_MAX_BYTES);
	bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
	return 0;
}

void admin_accept(struct admin *admin, int sock)
{
	struct conn_peer peer;
	int r = admin->nr >= CONNECTIONS_MAX ? -EBUSY : conn_peer(sock, &peer);

	if (r == 0)
		r = connection_new(admin, sock, &peer);
	if (r < 0) {
		log_warning("an administrator's connection cannot be taken: %s", strerror(-r));
		close(sock);
	}
}

int admin_new(struct admin **out, struct event_base *base, struct service *service, const struct sessions *sessions)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (!admin)
		return -ENOMEM;
	admin->base = base;
	admin->service = service;
	admin->sessions = sessions;
	TAILQ_INIT(&admin->connections);
	admin->watcher.tell = tell;
	TAILQ_INSERT_TAIL(&service->watchers, &admin->watcher, link);
	*out = admin;
	return 0;
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	while (!TAILQ_EMPTY(&admin->connections))
		connection_free(TAILQ_FIRST(&admin->connections));
	TAILQ_REMOVE(&admin->service->watchers, &admin->watcher, link);
	free(admin);
}
