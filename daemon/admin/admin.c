/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: the connections of administrators: lines in, lines out. It knows neither the methods nor
 * JSON, except for the events and steps that a connection asked for.
 *
 * A line has a longest length, and so has what is kept for a connection that does not read its
 * answers. A connection's next line is answered when the answer before was taken, one line in a
 * wake-up, so that clients have their turn in between.
 */
#include <config.h>

#include "daemon/admin/admin.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/admin/stream.h"
#include "daemon/arena/arena_event.h"
#include "daemon/log.h"
#include "lib/wire/conn.h"

#define LINE_MAX_BYTES  65536
/*
 * Bytes that are kept for a connection that watches and does not read. Beyond that it loses events.
 */
#define EVENTS_MAX      (1 << 20)
#define CONNECTIONS_MAX 64
#define CONNECTIONS_A_USER 24
/*
 * A connection that has asked nothing for so long, or has not taken its answer, is closed: it takes
 * a place that others need. One that watches may be silent.
 */
#define IDLE_NS UINT64_C(60000000000)

struct connection {
	TAILQ_ENTRY(connection) link;   /* on admin.connections */
	struct admin *admin;            /* borrowed */
	struct stream stream;
	struct conn_peer peer;          /* owned */
	/* owned; NULL: this connection does not follow the steps of the daemon */
	struct admin_trace *trace;
	bool is_admin, watches, has_lost;
	uint64_t nr_lost;               /* steps that it was not told of, since it did not read */
	uint64_t since_ns;              /* when its last request was whole, or when it connected */
};

struct admin {
	struct event_base *base;        /* borrowed, as the next two */
	struct service *service;
	const struct sessions *sessions;
	struct watcher watcher;
	TAILQ_HEAD(, connection) connections;
	uint32_t nr;
	uint32_t nr_following;          /* how many connections follow steps */
};

/* ---- connections ---- */

static trace_follow_fn tell_step;

static bool is_watching(const struct connection *connection)
{
	return connection->watches || connection->trace;
}

/*
 * Takes over @trace; NULL: the connection follows no steps any more. While no connection follows, a
 * step costs nothing.
 */
static void set_trace(struct connection *connection, struct admin_trace *trace)
{
	struct admin *admin = connection->admin;

	admin->nr_following += (trace != NULL) - (connection->trace != NULL);
	admin_trace_free(connection->trace);
	connection->trace = trace;
	trace_follow(admin->nr_following ? tell_step : NULL, admin);
}

static void connection_free(struct connection *connection)
{
	struct admin *admin = connection->admin;

	TAILQ_REMOVE(&admin->connections, connection, link);
	admin->nr--;
	admin->service->nr_listeners -= connection->watches;
	set_trace(connection, NULL);
	stream_close(&connection->stream);
	conn_peer_fini(&connection->peer);
	free(connection);
}

/* Closes a connection that did not ask for it, and logs why. */
static void hang_up(struct connection *connection, const char *why)
{
	if (service_may_log(connection->admin->service, LOG_KIND_ADMIN, connection->peer.uid))
		log_info("an administrator's connection of uid %" PRIu32 " is hung up on: %s",
			 connection->peer.uid, why);
	connection_free(connection);
}

static const char no_memory[] =
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":12,\"message\":\"out of memory; "
	"nothing was done\",\"data\":{\"schema\":1,\"errno\":\"ENOMEM\"}}}\n";

/* Sends all of @text, or nothing: half a line would be read together with the next one. -ENOMEM. */
static int send_line(struct connection *connection, const char *text)
{
	return stream_send(&connection->stream, text, strlen(text));
}

/*
 * Carries out one request and sends its answer. -ENOMEM: there is no memory for an answer, nor for
 * one that says so.
 */
static int answer_line(struct connection *connection, const char *line, size_t length)
{
	struct admin_call call = {
		.service = connection->admin->service,
		.sessions = connection->admin->sessions,
		.uid = connection->peer.uid,
		.gid = connection->peer.gid,
		.peer = &connection->peer,
		.is_admin = connection->is_admin,
	};
	char *text;
	int r = admin_rpc(&text, &call, line, length);

	connection->since_ns = service_now_ns();
	if (r == -ENOMEM)
		r = send_line(connection, no_memory);
	else if (text)
		r = send_line(connection, text);
	free(text);
	if (call.watch && !connection->watches)
		connection->admin->service->nr_listeners++;
	connection->watches |= call.watch;
	if (call.trace)
		set_trace(connection, call.trace);
	return r;
}

/*
 * Finds the next whole line or, at the end of the input, what is left of it. *length is without its
 * newline, *used with it. false: there is none.
 */
static bool find_line(const struct stream *stream, size_t *length, size_t *used)
{
	const char *end = memchr(stream->in, '\n', stream->in_len);

	if (!end && (!stream->has_ended || stream->in_len == 0))
		return false;
	*length = end ? (size_t)(end - stream->in) : stream->in_len;
	*used = *length + (end != NULL);
	return true;
}

/*
 * A line is too long: nobody knows where the request behind it begins, so that no more is read from
 * this connection.
 */
static void refuse_endless(struct connection *connection)
{
	/* If there is no memory for this answer, the client sees the connection end instead. */
	(void)send_line(connection, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
				    "\"message\":\"a line has at most 65535 bytes\"}}\n");
	stream_deafen(&connection->stream);
}

/*
 * Answers one line, if all answers before were taken; on_sent() calls this again for the next one.
 * The connection may be freed when this returns.
 */
static void go_on(void *arg)
{
	struct connection *connection = arg;
	struct stream *stream = &connection->stream;
	size_t length, used;

	if (stream_unsent(stream) > 0)
		return;
	if (find_line(stream, &length, &used)) {
		if (length > 0 && answer_line(connection, stream->in, length) < 0) {
			hang_up(connection, "there is no memory to answer it");
			return;
		}
		stream_use(stream, used);
		/*
		 * A request without an answer causes no on_sent(): the next line is asked for here.
		 */
		if (stream_unsent(stream) == 0)
			stream_call(stream);
	} else if (stream->in_len == LINE_MAX_BYTES) {
		refuse_endless(connection);
	} else if ((stream->has_ended || stream->is_deaf) && !connection->watches) {
		/*
		 * A connection that follows steps is closed too when its other side ends: with a
		 * filter that no step passes, nothing would ever be sent that fails.
		 */
		connection_free(connection);
	}
}

static void on_broken(void *arg, int err)
{
	if (err == -ECONNRESET || err == -EPIPE)
		connection_free(arg);
	else
		hang_up(arg, strerror(-err));
}

/*
 * With `printf '{...}' | socat - UNIX-CONNECT:...` the other side ends its input with the last
 * line, and waits for the answer.
 */
static const struct stream_handler handler = { .on_input = go_on,
					       .on_sent = go_on,
					       .on_broken = on_broken };

/* ---- events ---- */

/* Sends an event; takes over @params. false: there was no memory, and nothing was sent. */
static bool send_event(struct connection *connection, struct json_object *params)
{
	struct json_object *line = shape_object();
	bool is_sent;
	char *text;

	shape_put_string(line, "jsonrpc", "2.0");
	shape_put_string(line, "method", "event");
	shape_put(line, "params", params);
	text = shape_text(line);
	is_sent = text && send_line(connection, text) == 0;
	free(text);
	return is_sent;
}

/* What was moved to an arena that the peer may not see is freed, as far as it is concerned. */
static bool send_event_of(struct connection *connection, uint32_t arena,
			  const struct arena_event *event)
{
	const struct service *service = connection->admin->service;
	bool tells_place = event->kind == ARENA_MOVED &&
			   admin_may_see(service, &connection->peer, connection->is_admin,
					 event->to.arena);

	return send_event(connection, admin_shape_event(service, arena, event, tells_place));
}

/*
 * Sends events of an arena to one connection. One that does not read loses events rather than
 * filling the memory of the daemon.
 */
static void tell_one(struct connection *connection, uint32_t arena,
		     const struct arena_event *events, size_t nr)
{
	if (stream_unsent(&connection->stream) > EVENTS_MAX) {
		connection->has_lost = true;
		return;
	}
	if (connection->has_lost) {
		struct json_object *lost = admin_shape();

		shape_put_string(lost, "event", "lost");
		connection->has_lost = !send_event(connection, lost);
	}
	/*
	 * Once an event was lost, no other is sent before the connection is told of the loss: it
	 * would take what it hears for complete.
	 */
	for (size_t i = 0; i < nr && !connection->has_lost; i++)
		connection->has_lost = !send_event_of(connection, arena, &events[i]);
}

static void tell(struct watcher *watcher, uint32_t arena, const struct arena_event *events,
		 size_t nr)
{
	struct admin *admin = (struct admin *)((char *)watcher - offsetof(struct admin, watcher));
	struct connection *connection;

	TAILQ_FOREACH(connection, &admin->connections, link) {
		if (connection->watches &&
		    admin_may_see(admin->service, &connection->peer, connection->is_admin, arena))
			tell_one(connection, arena, events, nr);
	}
}

/*
 * Tells a step of the daemon to the connections that follow. What a connection does not read is
 * kept up to a bound; beyond that steps are counted, and it is told how many were lost. Whatever
 * took the step is not done with it yet, so nothing may be freed here.
 */
static void tell_step(void *arg, const struct trace_step *step)
{
	struct admin *admin = arg;
	struct connection *connection;

	TAILQ_FOREACH(connection, &admin->connections, link) {
		if (!connection->trace || !admin_trace_wants(connection->trace, step))
			continue;
		if (stream_unsent(&connection->stream) > EVENTS_MAX) {
			connection->nr_lost++;
			continue;
		}
		if (connection->nr_lost) {
			struct json_object *lost = admin_shape();

			shape_put_string(lost, "event", "lost");
			shape_put_u64(lost, "steps", connection->nr_lost);
			if (send_event(connection, lost))
				connection->nr_lost = 0;
		}
		if (connection->nr_lost || !send_event(connection, admin_trace_shape(step)))
			connection->nr_lost++;
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

/*
 * May the peer call methods that change something? Root, the user of the daemon and the members of
 * the configured group may.
 */
static bool may_change(const struct admin *admin, const struct conn_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid() ||
	       is_in_group(peer, admin->service->config.daemon.admin_group);
}

/* ---- begin and end ---- */

/* Takes over @sock in any case, and what @peer owns on success only. */
static int connection_new(struct admin *admin, int sock, const struct conn_peer *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection) {
		close(sock);
		return -ENOMEM;
	}
	r = stream_open(&connection->stream, admin->base, sock, LINE_MAX_BYTES, &handler,
			connection);
	if (r < 0) {
		free(connection);
		return r;
	}
	connection->admin = admin;
	connection->peer = *peer;
	connection->is_admin = may_change(admin, peer);
	connection->since_ns = service_now_ns();
	TAILQ_INSERT_TAIL(&admin->connections, connection, link);
	admin->nr++;
	return 0;
}

/*
 * Returns the connection of @uid (LOG_LIMIT_ANYBODY: of all) that has asked nothing for the longest
 * time, one that does not watch before one that does; NULL: there is none.
 */
static struct connection *find_idlest(struct admin *admin, uint32_t uid)
{
	struct connection *connection, *idlest = NULL;

	TAILQ_FOREACH(connection, &admin->connections, link) {
		if (uid != LOG_LIMIT_ANYBODY && connection->peer.uid != uid)
			continue;
		if (!idlest || is_watching(connection) < is_watching(idlest) ||
		    (is_watching(connection) == is_watching(idlest) &&
		     connection->since_ns < idlest->since_ns))
			idlest = connection;
	}
	return idlest;
}

static uint32_t count_of(const struct admin *admin, uint32_t uid)
{
	const struct connection *connection;
	uint32_t nr = 0;

	TAILQ_FOREACH(connection, &admin->connections, link)
		nr += connection->peer.uid == uid;
	return nr;
}

/*
 * A new connection is always served: when there are too many, one that has asked nothing for long
 * is closed for it, one of the same user first.
 */
static void make_room(struct admin *admin, uint32_t uid)
{
	if (count_of(admin, uid) >= CONNECTIONS_A_USER)
		hang_up(find_idlest(admin, uid),
			"it has too many, and this one asked last the longest ago");
	else if (admin->nr >= CONNECTIONS_MAX)
		hang_up(find_idlest(admin, LOG_LIMIT_ANYBODY),
			"there are too many, and this one asked last the longest ago");
}

void admin_accept(struct admin *admin, int sock)
{
	struct conn_peer peer;
	int r = conn_peer(sock, &peer);

	if (r == 0) {
		r = idmap_check(&admin->service->idmap, &peer);
		if (r == 0) {
			make_room(admin, peer.uid);
			r = connection_new(admin, sock, &peer);
			sock = -1;
		}
		if (r < 0)
			conn_peer_fini(&peer);
	}
	if (r < 0) {
		if (service_may_log(admin->service, LOG_KIND_ADMIN, LOG_LIMIT_ANYBODY))
			log_warning(
				"an administrator's connection cannot be taken: %s",
				r == -EOVERFLOW
					? "its user or group has no number in this user namespace"
					: strerror(-r));
		if (sock >= 0)
			close(sock);
	}
}

void admin_tick(struct admin *admin)
{
	uint64_t now = service_now_ns();
	struct connection *connection, *next;

	TAILQ_FOREACH_SAFE(connection, &admin->connections, link, next) {
		if (!is_watching(connection) && now - connection->since_ns > IDLE_NS)
			hang_up(connection,
				"it asked nothing for a minute, or did not take its answer");
		else
			stream_tick(&connection->stream);
	}
}

int admin_new(struct admin **out, struct event_base *base, struct service *service,
	      const struct sessions *sessions)
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
