/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_list: all connections: who may stay, who is told of events, and what is done for them now and then.
 */
#include <config.h>

#include "daemon/session_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"

/* Connections over a limit that are kept until they said hello, to be told why they cannot stay. */
#define UNWELCOME_MAX 64
/* Who has not said hello by then never will. */
#define HELLO_NS      UINT64_C(10000000000)

/* Descriptors that connections of clients do not get: of devices, of the memmap, of administrators, of replies under way. */
#define KEPT_BACK     192

/* ---- events ---- */

static void tell_one(struct session *session, uint32_t arena, const struct arena_event *events, size_t nr)
{
	struct sessions *sessions = session->sessions;
	struct counters *counters = &sessions->service->counters;
	uint8_t *buf = sessions->desk->spare;
	size_t nr_told, length;

	length = request_encode_events(buf, &nr_told, &session->client, arena, events, nr);
	if (length == 0)
		return;
	/* Nothing is told out of turn: behind a loss comes first that there was one. */
	if (!session->has_lost && outbox_try(&session->outbox, session->sock, buf, length) == 0) {
		counters->events_sent += nr_told;
		return;
	}
	counters->events_lost += nr_told;
	session->has_lost = true;
	/* Also how a connection that is gone is noticed: not here, where the list must stay as it is. */
	if (outbox_is_empty(&session->outbox))
		event_add(&session->writable, NULL);
}

static void tell(struct watcher *watcher, uint32_t arena, const struct arena_event *events, size_t nr)
{
	struct sessions *sessions = (struct sessions *)((char *)watcher - offsetof(struct sessions, watcher));
	struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link) {
		if (!SLIST_EMPTY(&session->client.subscriptions))
			tell_one(session, arena, events, nr);
	}
}

/* ---- begin and end ---- */

/* A connection is a descriptor here; all the limit allows, but what the daemon itself may need. */
static uint32_t max_connections(void)
{
	struct rlimit limit = { 1024, 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= UINT32_MAX)
		return UINT32_MAX;
	return (uint32_t)limit.rlim_cur - (limit.rlim_cur / 2 < KEPT_BACK ? (uint32_t)limit.rlim_cur / 2 : KEPT_BACK);
}

int sessions_new(struct sessions **out, struct event_base *base, struct service *service)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

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
	sessions_init_slices(sessions);
	sessions->watcher.tell = tell;
	TAILQ_INSERT_TAIL(&service->watchers, &sessions->watcher, link);
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
	event_del(&sessions->slicing);
	event_del(&sessions->recalling);
	TAILQ_REMOVE(&sessions->service->watchers, &sessions->watcher, link);
	free(sessions->desk);
	free(sessions);
}

bool sessions_have_room(const struct sessions *sessions)
{
	return sessions->nr < sessions->service->config.daemon.max_sessions;
}

int sessions_accept(struct sessions *sessions, int sock)
{
	struct session *session;
	struct conn_peer peer;
	int r;

	r = conn_peer(sock, &peer);
	if (r < 0)
		close(sock);
	else
		r = session_new(&session, sessions, sock, &peer);
	if (r < 0) {
		log_warning("a connection cannot be taken: %s", strerror(-r));
		return 0;
	}
	session->unwelcome = sessions_have_room(sessions) ? session_charge(session) : -EBUSY;
	if (session->unwelcome)
		sessions->nr_unwelcome++;
	else
		sessions->nr++;
	TAILQ_INSERT_TAIL(&sessions->strangers, session, link);
	if (sessions->nr_unwelcome > UNWELCOME_MAX)
		session_free(session);
	else
		session_update(session);
	return sessions->nr + sessions->nr_unwelcome < sessions->max ? 0 : -EMFILE;
}

void sessions_adopt(struct sessions *sessions, int sock, uint64_t number)
{
	struct session *session;
	struct conn_peer peer;
	struct seat *seat;
	int r;

	r = conn_peer(sock, &peer);
	if (r < 0)
		close(sock);
	else
		r = session_new(&session, sessions, sock, &peer);
	if (r < 0) {
		notify_forget(number);
		return;
	}
	TAILQ_INSERT_TAIL(&sessions->strangers, session, link);
	sessions->nr++;
	seat = roster_adopt(sessions->service->roster, number, peer.uid);
	if (seat && session_go_on(session, seat) == 0)
		return;
	shutdown(sock, SHUT_RDWR);
	notify_forget(number);
	session_end(session);
}

void sessions_move_to_greeted(struct session *session)
{
	struct sessions *sessions = session->sessions;

	session->is_greeted = true;
	TAILQ_REMOVE(&sessions->strangers, session, link);
	TAILQ_INSERT_TAIL(&sessions->greeted, session, link);
	sessions->service->nr_sessions++;
}

/*
 * What the old connection took part in goes over to the new one. Its requests that were under way get no answer, as the client
 * knows.
 */
void sessions_take_over(struct session *session, const struct seat *seat)
{
	struct session *old;

	TAILQ_FOREACH(old, &session->sessions->greeted, link) {
		if (old->client.seat != seat)
			continue;
		session->client.holders = old->client.holders;
		old->client.holders = NULL;
		session_free(old);
		return;
	}
}

/* ---- upkeep ---- */

static void flush_resting(struct sessions *sessions)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&sessions->greeted); session && sessions->nr_resting > 0; session = next) {
		next = TAILQ_NEXT(session, link);
		if (!session->is_resting)
			continue;
		session->is_resting = false;
		sessions->nr_resting--;
		if (session_flush(session) < 0)
			session_end(session);
	}
}

/* The oldest comes first. */
static void drop_silent(struct sessions *sessions)
{
	uint64_t now = service_now_ns();
	struct session *session;

	while ((session = TAILQ_FIRST(&sessions->strangers)) && now - session->since_ns > HELLO_NS) {
		log_info("a connection of uid %" PRIu32 " (pid %d) never said hello and is hung up on", session->client.uid, session->pid);
		session_end(session);
	}
}

bool sessions_tick(struct sessions *sessions)
{
	if (sessions->nr_resting > 0)
		flush_resting(sessions);
	drop_silent(sessions);
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

void sessions_each(const struct sessions *sessions, void (*each)(void *arg, const struct session_info *info), void *arg)
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
