/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_round: once in each round of the loop, gives a turn to everything that was set aside:
 * sessions to be read from, slices, messages that waited for space, and sessions that end in steps.
 */
#include <config.h>

#include "daemon/serve/session_internal.h"

static void serve_deferred(struct sessions *sessions)
{
	struct session *session;
	size_t nr = 0;

	TAILQ_FOREACH(session, &sessions->deferred, by_turn)
		nr++;
	/* Each deferred session has one turn; a session that ends takes itself off the list. */
	while (nr-- > 0 && !TAILQ_EMPTY(&sessions->deferred)) {
		session = TAILQ_FIRST(&sessions->deferred);
		if (session_has_turn(session))
			session_serve(session);
		else
			session_defer(session);
	}
}

static void on_turning(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *sessions = arg;

	serve_deferred(sessions);
	sessions_run_slices(sessions);
	sessions_run_due(sessions);
	service_step(sessions->service);
	if (!TAILQ_EMPTY(&sessions->deferred) || !TAILQ_EMPTY(&sessions->slices) ||
	    !TAILQ_EMPTY(&sessions->due) ||
	    service_is_ending(sessions->service))
		sessions_come_back(sessions);
}

void sessions_init_turns(struct sessions *sessions)
{
	parties_init(&sessions->parties);
	TAILQ_INIT(&sessions->slices);
	TAILQ_INIT(&sessions->deferred);
	event_assign(&sessions->turning, sessions->base, -1, 0, on_turning, sessions);
}

void sessions_next_round(struct sessions *sessions)
{
	sessions->parties.round++;
}
