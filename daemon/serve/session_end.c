/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_end: how a session moves among the others: it is greeted, a new connection takes it over,
 * it ends.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "daemon/serve/serve_trace.h"
#include "daemon/serve/session_internal.h"

bool sessions_have_room(const struct sessions *sessions)
{
	return sessions->nr < sessions->service->config.daemon.max_sessions;
}

void sessions_move_to_greeted(struct session *session)
{
	struct sessions *sessions = session->sessions;

	session->is_greeted = true;
	TAILQ_REMOVE(&sessions->strangers, session, link);
	TAILQ_INSERT_TAIL(&sessions->greeted, session, link);
	sessions->service->nr_sessions++;
}

static void remove_from_list(struct session *session)
{
	struct sessions *sessions = session->sessions;

	if (session->is_greeted) {
		TAILQ_REMOVE(&sessions->greeted, session, link);
		sessions->service->nr_sessions--;
	} else {
		TAILQ_REMOVE(&sessions->strangers, session, link);
	}
	if (session->unwelcome)
		sessions->nr_unwelcome--;
	else
		sessions->nr--;
}

void session_free(struct session *session)
{
	struct sessions *sessions = session->sessions;

	session_undefer(session);
	event_del(&session->readable);
	event_del(&session->writable);
	close(session->sock);
	remove_from_list(session);
	session_forget_waiting(session);
	session_forget_slice(session);
	outbox_fini(&session->outbox);
	if (session->is_resting)
		sessions->nr_resting--;
	if (session->is_charged)
		quota_return(sessions->service->quota, session->client.uid, QUOTA_SESSIONS, 1);
	client_fini(&session->client);
	party_put(&sessions->parties, session->party);
	free(session);
}

void session_end(struct session *session, int r)
{
	struct sessions *sessions = session->sessions;
	struct service *service = sessions->service;
	struct client client;

	if (!session->is_greeted) {
		/*
		 * A stranger holds nothing. If it came back for a seat and could not take it, the
		 * seat is untouched: the client may try again.
		 */
		session_free(session);
		return;
	}
	serve_trace_over(session, r);
	/*
	 * The service manager may hold a copy of the socket: close() alone would not end the
	 * connection.
	 */
	shutdown(session->sock, SHUT_RDWR);
	notify_forget(session->client.seat->number);
	/*
	 * Takes the session off all lists first: client_leave() tells every session on them of
	 * events, and would write to this one, which is being freed.
	 */
	client = session->client;
	memset(&session->client, 0, sizeof(session->client));
	session->client.uid = client.uid;
	session_free(session);
	client_leave(&client, service);
	client_fini(&client);
	if (service_is_ending(service))
		sessions_come_back(sessions);
}

/*
 * Moves what the old connection of @seat holds to the new one. Requests that were under way on the
 * old one get no answer; the client knows that.
 */
void sessions_take_over(struct session *session, const struct seat *seat)
{
	struct session *old;

	TAILQ_FOREACH(old, &session->sessions->greeted, link) {
		if (old->client.seat != seat)
			continue;
		session->client.holders = old->client.holders;
		session->client.nr_holders = old->client.nr_holders;
		old->client.holders = NULL;
		old->client.nr_holders = 0;
		/*
		 * The service manager may hold a copy of the old connection. If it never learns
		 * that it is to drop it, the next daemon would get two connections of one session.
		 */
		shutdown(old->sock, SHUT_RDWR);
		session_free(old);
		return;
	}
}
