/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_list: all connections: which of them may stay, who is told of events, and what is done at
 * each tick.
 */
#include <config.h>

#include "daemon/serve/session_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/serve/event_message.h"

/*
 * This many connections over a limit are kept until they have said HELLO, to be told why they
 * cannot stay. More are closed without a word.
 */
#define UNWELCOME_MAX 64
/* A connection that has not said HELLO within ten seconds is closed. */
#define HELLO_NS      UINT64_C(10000000000)

/*
 * Descriptors that connections of clients do not get. The daemon needs them for devices, the
 * memmap, administrators and replies under way; with none left it could not even refuse politely.
 */
#define KEPT_BACK     192

/* ---- events ---- */

static void tell_one(struct session *session, uint32_t arena, const struct arena_event *events,
		     size_t nr)
{
	struct sessions *sessions = session->sessions;
	struct counters *counters = &sessions->service->counters;
	uint8_t *buf = sessions->desk->spare;
	size_t nr_told, length;

	length = event_message_encode(buf, &nr_told, &session->client, arena, events, nr);
	if (length == 0)
		return;
	/*
	 * Once an event was lost, no other is sent before the client is told of the loss: it would
	 * take what it hears for complete.
	 */
	if (!session->has_lost && outbox_try(&session->outbox, session->sock, buf, length) == 0) {
		counters->events_sent += nr_told;
		return;
	}
	counters->events_lost += nr_told;
	session->has_lost = true;
	/*
	 * The event on_writable() flushes the session, and ends it if its connection is gone. It
	 * must not end here: the caller walks the list of sessions.
	 */
	if (outbox_is_empty(&session->outbox) && event_add(&session->writable, NULL) < 0)
		session_rest(session);
}

static void tell(struct watcher *watcher, uint32_t arena, const struct arena_event *events,
		 size_t nr)
{
	struct sessions *sessions =
		(struct sessions *)((char *)watcher - offsetof(struct sessions, watcher));
	struct session *session;

	sessions_wake_awaiting(sessions, arena, events, nr);
	TAILQ_FOREACH(session, &sessions->greeted, link) {
		if (!SLIST_EMPTY(&session->client.subscriptions))
			tell_one(session, arena, events, nr);
	}
}

/* ---- begin and end ---- */

/*
 * The most connections of clients: each needs a descriptor. It is the limit of descriptors less
 * KEPT_BACK, which the daemon needs itself, or half of the limit if that is small.
 */
static uint32_t max_connections(void)
{
	struct rlimit limit = { 1024, 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= UINT32_MAX)
		return UINT32_MAX;
	return (uint32_t)limit.rlim_cur - (limit.rlim_cur / 2 < KEPT_BACK
					   ? (uint32_t)limit.rlim_cur / 2 : KEPT_BACK);
}

/*
 * libevent keeps room for as many timers as were ever set at once. The timers of @sessions are set
 * once here, so that setting one later never fails for lack of memory. Otherwise a session that
 * waits for its turn could wait for ever.
 */
static int reserve_timers(struct sessions *sessions)
{
	static const struct timeval later = { 3600, 0 };
	bool is_reserved = event_add(&sessions->turning, &later) == 0 &&
			   event_add(&sessions->recalling, &later) == 0;

	event_del(&sessions->turning);
	event_del(&sessions->recalling);
	return is_reserved ? 0 : -ENOMEM;
}

int sessions_new(struct sessions **out, struct event_base *base, struct service *service)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));
	int r;

	if (!sessions)
		return -ENOMEM;
	sessions->desk = calloc(1, sizeof(*sessions->desk));
	if (!sessions->desk) {
		free(sessions);
		return -ENOMEM;
	}
	sessions->base = base;
	sessions->service = service;
	sessions->max = max_connections();
	TAILQ_INIT(&sessions->greeted);
	TAILQ_INIT(&sessions->strangers);
	sessions_init_waiting(sessions);
	sessions_init_turns(sessions);
	sessions->watcher.tell = tell;
	sessions->watcher.reloaded = sessions_review;
	sessions->watcher.leaving = sessions_part;
	TAILQ_INSERT_TAIL(&service->watchers, &sessions->watcher, link);
	r = reserve_timers(sessions);
	if (r < 0) {
		sessions_free(sessions);
		return r;
	}
	*out = sessions;
	return 0;
}

void sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return;
	while (!TAILQ_EMPTY(&sessions->greeted))
		session_free(TAILQ_FIRST(&sessions->greeted));
	while (!TAILQ_EMPTY(&sessions->strangers))
		session_free(TAILQ_FIRST(&sessions->strangers));
	event_del(&sessions->turning);
	event_del(&sessions->recalling);
	TAILQ_REMOVE(&sessions->service->watchers, &sessions->watcher, link);
	free(sessions->desk);
	free(sessions);
}

/* Makes the session; frees what @peer owns in each case. */
static int new_session(struct session **out, struct sessions *sessions, int sock,
		       struct conn_peer *peer)
{
	int r = session_new(out, sessions, sock, peer);

	conn_peer_fini(peer);
	return r;
}

int sessions_accept(struct sessions *sessions, int sock)
{
	uint64_t begun_ns = turn_begin(sessions);
	struct session *session;
	struct conn_peer peer;
	int unknown = 0, r;

	r = conn_peer(sock, &peer);
	if (r == 0)
		unknown = idmap_check(&sessions->service->idmap, &peer);
	if (r < 0)
		close(sock);
	else
		r = new_session(&session, sessions, sock, &peer);
	if (r < 0) {
		if (service_may_log(sessions->service, LOG_KIND_CONNECTION, LOG_LIMIT_ANYBODY))
			log_warning("a connection cannot be taken: %s", strerror(-r));
		return 0;
	}
	session->is_unknown = unknown < 0;
	session->unwelcome = unknown < 0		    ? unknown
			     : sessions_have_room(sessions) ? session_charge(session)
							    : -EBUSY;
	if (session->unwelcome)
		sessions->nr_unwelcome++;
	else
		sessions->nr++;
	TAILQ_INSERT_TAIL(&sessions->strangers, session, link);
	turn_end(sessions, session->party, begun_ns);
	if (sessions->nr_unwelcome <= UNWELCOME_MAX)
		session_update(session);
	/*
	 * A stranger has nothing that would be tried again at a tick. If the loop has no memory to
	 * watch its socket it would wait for ever: it is closed.
	 */
	if (!session->is_reading) {
		if (sessions->nr_unwelcome <= UNWELCOME_MAX)
			log_warning("a connection cannot be taken: the loop has no memory for it");
		session_free(session);
	}
	return sessions->nr + sessions->nr_unwelcome < sessions->max ? 0 : -EMFILE;
}

void sessions_adopt(struct sessions *sessions, int sock, uint64_t number)
{
	struct session *session;
	struct conn_peer peer;
	struct seat *seat;
	int r;

	r = conn_peer(sock, &peer);
	if (r == 0) {
		r = idmap_check(&sessions->service->idmap, &peer);
		if (r < 0)
			conn_peer_fini(&peer);
	}
	if (r < 0)
		session_hang_up(sock);
	else
		r = new_session(&session, sessions, sock, &peer);
	if (r < 0) {
		notify_forget(number);
		return;
	}
	TAILQ_INSERT_TAIL(&sessions->strangers, session, link);
	sessions->nr++;
	r = roster_adopt(&seat, sessions->service->roster, number, peer.uid);
	if (r == 0)
		r = session_go_on(session, seat);
	if (r == 0)
		return;
	shutdown(sock, SHUT_RDWR);
	/*
	 * Of two with one name it would forget the one that goes on; what was shut down goes by
	 * itself.
	 */
	if (r != -EBUSY)
		notify_forget(number);
	session_end(session, r);
}

void sessions_take_part(struct sessions *sessions)
{
	struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link) {
		for (uint32_t i = 0; i < sessions->service->nr_arenas; i++) {
			if (sessions->service->arenas[i].arena &&
			    arena_find_holder(sessions->service->arenas[i].arena,
					      session->client.seat->number) &&
			    client_take_part(&session->client, sessions->service, i) < 0)
				log_error("out of memory: a session of uid %" PRIu32
					  " does not take part in arena %s",
					  session->client.uid, sessions->service->arenas[i].name);
		}
	}
}

/* ---- upkeep ---- */

/* Tries again to send for sessions whose socket the loop could not watch. */
static void flush_resting(struct sessions *sessions)
{
	struct session *session, *next;
	int r;

	for (session = TAILQ_FIRST(&sessions->greeted); session &&
	     sessions->nr_resting > 0; session = next) {
		next = TAILQ_NEXT(session, link);
		if (!session->is_resting)
			continue;
		session->is_resting = false;
		sessions->nr_resting--;
		r = session_flush(session);
		if (r < 0)
			session_end(session, r);
	}
}

/* Closes connections that never said HELLO. The oldest is first in the list. */
static void drop_silent(struct sessions *sessions)
{
	uint64_t now = service_now_ns();
	struct session *session;

	while ((session = TAILQ_FIRST(&sessions->strangers)) &&
	       now - session->since_ns > HELLO_NS) {
		if (service_may_log(sessions->service, LOG_KIND_SILENT, session->client.uid))
			log_info("a connection of uid %" PRIu32
				 " (pid %d) never said hello and is hung up on",
				 session->client.uid, session->pid);
		session_end(session, -ETIMEDOUT);
	}
}

bool sessions_tick(struct sessions *sessions)
{
	if (sessions->nr_resting > 0)
		flush_resting(sessions);
	drop_silent(sessions);
	if (service_is_ending(sessions->service))
		sessions_come_back(sessions);
	return sessions->nr_resting > 0;
}

void sessions_stop(struct sessions *sessions)
{
	struct session *session;

	sessions->is_stopping = true;
	TAILQ_FOREACH(session, &sessions->greeted, link)
		session_update(session);
	TAILQ_FOREACH(session, &sessions->strangers, link)
		session_update(session);
}

bool sessions_are_quiet(const struct sessions *sessions)
{
	const struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link) {
		if (!outbox_is_empty(&session->outbox) || session->nr_waiting > 0 || session->slice)
			return false;
	}
	return true;
}

void sessions_each(const struct sessions *sessions,
		   void (*each)(void *arg, const struct session_info *info), void *arg)
{
	uint64_t now = service_now_ns();
	const struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link) {
		struct session_info info = {
			.number = session->client.seat->number,
			.uid = session->client.uid,
			.gid = session->client.gid,
			.pid = session->pid,
			.connected_ns = now - session->since_ns,
			.messages = session->nr_messages,
			.nr_waiting = session->nr_waiting,
			.is_blocked = !outbox_is_empty(&session->outbox),
		};

		each(arg, &info);
	}
}
