/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_turn: whose turn it is. Turns go round by user, not by session: else a user with a
 * thousand sessions would have a thousand turns for each turn of a user with one. When a session
 * has something to say and its user's share of the round is used up, the session is deferred: the
 * daemon does not read from it until the loop has looked at all sockets once. While only one user
 * is connected, none of this happens and nothing is timed.
 */
#include <config.h>

#include "daemon/serve/session_internal.h"

uint64_t turn_begin(const struct sessions *sessions)
{
	return parties_compete(&sessions->parties) ? service_now_ns() : 0;
}

void turn_end(struct sessions *sessions, struct party *party, uint64_t begun_ns)
{
	if (begun_ns)
		party_spend(party, &sessions->parties, service_now_ns() - begun_ns);
}

bool session_has_turn(struct session *session)
{
	const struct parties *parties = &session->sessions->parties;

	return !parties_compete(parties) || party_has_turn(session->party, parties);
}

/* A session that is deferred already goes to the end of the list. */
void session_defer(struct session *session)
{
	struct sessions *sessions = session->sessions;

	if (session->is_deferred)
		TAILQ_REMOVE(&sessions->deferred, session, by_turn);
	else if (session->is_reading)
		event_del(&session->readable);
	session->is_deferred = true;
	TAILQ_INSERT_TAIL(&sessions->deferred, session, by_turn);
	sessions_come_back(sessions);
}

void session_undefer(struct session *session)
{
	if (!session->is_deferred)
		return;
	session->is_deferred = false;
	TAILQ_REMOVE(&session->sessions->deferred, session, by_turn);
	if (session->is_reading && event_add(&session->readable, NULL) < 0) {
		session->is_reading = false;
		session_rest(session);
	}
}

void sessions_come_back(struct sessions *sessions)
{
	/*
	 * A timer of zero seconds: libevent looks at all sockets once before it runs it, and does
	 * not sleep.
	 */
	static const struct timeval now = { 0, 0 };

	if (!event_pending(&sessions->turning, EV_TIMEOUT, NULL))
		event_add(&sessions->turning, &now);
}
