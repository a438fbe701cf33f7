/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_reply: what a session sends, and whether it is read from meanwhile. A reply that the
 * socket does not take waits in the outbox, and until it is sent no request of this session is
 * read: a client that does not read its replies fills its own socket, and not the daemon's memory.
 */
#include <config.h>

#include <errno.h>

#include "daemon/serve/event_message.h"
#include "daemon/serve/operation.h"
#include "daemon/serve/session_internal.h"

void session_update(struct session *session)
{
	bool wanted = outbox_is_empty(&session->outbox) &&
		      session->nr_waiting < SESSION_WAITING_MAX && !session->slice &&
		      !session->sessions->is_stopping;

	if (wanted == session->is_reading)
		return;
	/* The loop does not watch a deferred session; it is read from when its user has a turn. */
	if (session->is_deferred) {
		session->is_reading = wanted;
		return;
	}
	if (!wanted)
		event_del(&session->readable);
	else if (event_add(&session->readable, NULL) < 0) {
		session_rest(session);
		return;
	}
	session->is_reading = wanted;
}

void session_rest(struct session *session)
{
	if (session->is_resting)
		return;
	session->is_resting = true;
	session->sessions->nr_resting++;
}

void session_pause(struct session *session)
{
	if (!session->is_deferred)
		event_del(&session->readable);
	session->is_reading = false;
	session_rest(session);
}

void session_await_room(struct session *session)
{
	if (session->outbox.full != -EAGAIN || event_add(&session->writable, NULL) < 0)
		session_rest(session);
}

int session_send(struct session *session, const uint8_t *buf, size_t length, const int *fds,
		 int nr_fds)
{
	int r = -EAGAIN;

	if (nr_fds == 0 && outbox_is_empty(&session->outbox))
		r = conn_send_plain(session->sock, buf, length);
	if (r < 0)
		r = outbox_send(&session->outbox, session->sock, buf, length, fds, nr_fds);
	if (r <= 0)
		return r;
	session_await_room(session);
	session_update(session);
	return 0;
}

/* Tells the client that events were lost, if any were. */
static int send_lost(struct session *session)
{
	struct desk *desk = session->sessions->desk;
	int r;

	if (!session->has_lost)
		return 0;
	r = outbox_try(&session->outbox, session->sock, desk->spare,
		       event_message_lost(desk->spare));
	if (r == 0)
		session->has_lost = false;
	return r;
}

/*
 * Forgets the changes whose replies the client has. A reply in the socket reaches the client even
 * if the daemon is killed now; a reply in the outbox, which is the daemon's memory, would be lost,
 * and the client would ask for it again.
 */
static void forget_told(struct session *session, const struct job *job)
{
	struct service *service = session->sessions->service;
	bool has_untold = session->nr_waiting > 0 || session->slice;

	if (!outbox_is_empty(&session->outbox))
		return;
	if (!has_untold)
		client_forget_told(&session->client, service);
	if (job && (has_untold || job->is_repeat))
		client_forget(&session->client, service, job->first_tag);
}

int session_flush(struct session *session)
{
	int r;

	r = outbox_flush(&session->outbox, session->sock);
	if (r == 0)
		forget_told(session, NULL);
	if (r == 0)
		r = send_lost(session);
	if (r > 0)
		session_await_room(session);
	session_update(session);
	return r < 0 ? r : 0;
}

int session_answer(struct session *session, const struct job *job, uint64_t since_ns)
{
	struct counters *counters = &session->sessions->service->counters;
	int r;

	r = session_send(session, job->reply.buf, job->reply.length, job->fds, job->nr_fds);
	if (operation_changes(job->opcode))
		forget_told(session, job);
	if (since_ns)
		histogram_add(&counters->latency[job->opcode], service_now_ns() - since_ns);
	request_tell(job);
	return r;
}
