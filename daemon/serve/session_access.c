/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_access: what a reload of the configuration takes from sessions: an arena that they may
 * not use any more, or may only read; and what is left of an arena that goes. The connection stays,
 * and so does what they have in other arenas.
 */
#include <config.h>

#include "daemon/serve/session_internal.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/log.h"

/*
 * Tells the client that events were lost. A client that listens to the arena would wait for ever;
 * told of a loss it looks at the arenas again, and finds that this one is not there.
 */
static void tell_lost(struct session *session)
{
	session->has_lost = true;
	if (outbox_is_empty(&session->outbox) && event_add(&session->writable, NULL) < 0)
		session_rest(session);
}

static void lose(struct session *session, uint32_t arena)
{
	struct service *service = session->sessions->service;
	struct client *client = &session->client;

	if (client_listens(client, arena))
		tell_lost(session);
	if (client_lose(client, service, arena))
		log_notice("session %" PRIu64 " of uid %" PRIu32
			   " (pid %d) is over in arena %s, which it may %s; what it has mapped "
			   "stays mapped until it unmaps",
			   client->seat->number, client->uid, session->pid,
			   service->arenas[arena].name,
			   client->access[arena] == ACCESS_READ ? "only read from now on"
								: "not use any more");
}

static void review(struct session *session)
{
	struct service *service = session->sessions->service;
	uint8_t before[SERVICE_MAX_ARENAS];

	memcpy(before, session->client.access, sizeof(before));
	client_admit(&session->client, service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (session->client.access[i] < before[i])
			lose(session, i);
	}
}

void sessions_review(struct watcher *watcher)
{
	struct sessions *sessions =
		(struct sessions *)((char *)watcher - offsetof(struct sessions, watcher));
	struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link)
		review(session);
	TAILQ_FOREACH(session, &sessions->strangers, link)
		review(session);
	/*
	 * Messages that wait for space are tried again: one that waits in an arena that its session
	 * lost gets its refusal, and what that session had reserved may be what another message
	 * waits for.
	 */
	sessions_retry(sessions);
}

void sessions_part(struct watcher *watcher, uint32_t arena)
{
	struct sessions *sessions =
		(struct sessions *)((char *)watcher - offsetof(struct sessions, watcher));
	struct session *session;

	TAILQ_FOREACH(session, &sessions->greeted, link)
		client_part(&session->client, arena);
}
