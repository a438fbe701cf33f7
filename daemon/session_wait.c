/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_wait: messages that wait for space to be scrubbed. Each keeps its request and the results that are there already:
 * an item that was done is never done twice. The longest wait is tried first; one that still has to wait holds up nobody
 * behind it, since scrubbing ends and then it gets its space or a refusal. Leases that were asked back are not waited for so long: a client
 * may have other things to do.
 */
#include <config.h>

#include "daemon/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECALL_NS UINT64_C(2000000000)
#define RECALL_LOOK_US 20000

struct waiting {
	TAILQ_ENTRY(waiting) link;      /* sessions.waiting */
	struct session *session;        /* borrowed; forgets it when it ends */
	struct job job;
	uint64_t since_ns;
	uint8_t  bytes[];               /* the message, then the reply so far */
};

/* Leases come back without a word from the scrubber, when they are small. */
static void look_again(struct sessions *sessions)
{
	static const struct timeval soon = { 0, RECALL_LOOK_US };

	if (!event_pending(&sessions->recalling, EV_TIMEOUT, NULL))
		event_add(&sessions->recalling, &soon);
}

static void on_recalling(evutil_socket_t fd, short what, void *arg)
{
	sessions_retry(arg);
}

void sessions_init_waiting(struct sessions *sessions)
{
	TAILQ_INIT(&sessions->waiting);
	event_assign(&sessions->recalling, sessions->base, -1, 0, on_recalling, sessions);
}

int session_wait(struct session *session, const struct job *job, uint64_t since_ns)
{
	struct waiting *waiting = malloc(sizeof(*waiting) + job->length + job->reply.length);

	if (!waiting)
		return -ENOMEM;
	waiting->session = session;
	waiting->job = *job;
	waiting->job.message = waiting->bytes;
	waiting->job.reply.buf = job->desk->out;
	waiting->job.slice = 0;
	waiting->since_ns = since_ns ? since_ns : service_now_ns();
	memcpy(waiting->bytes, job->message, job->length);
	memcpy(waiting->bytes + job->length, job->reply.buf, job->reply.length);
	TAILQ_INSERT_TAIL(&session->sessions->waiting, waiting, link);
	session->nr_waiting++;
	if (job->waits_for_leases)
		look_again(session->sessions);
	session_update(session);
	return 0;
}

static void remove_waiting(struct waiting *waiting)
{
	TAILQ_REMOVE(&waiting->session->sessions->waiting, waiting, link);
	waiting->session->nr_waiting--;
}

void session_forget_waiting(struct session *session)
{
	struct waiting *waiting, *next;

	for (waiting = TAILQ_FIRST(&session->sessions->waiting); waiting && session->nr_waiting > 0; waiting = next) {
		next = TAILQ_NEXT(waiting, link);
		if (waiting->session != session)
			continue;
		remove_waiting(waiting);
		free(waiting);
	}
}

/* Frees @waiting. The session may be gone afterwards. */
static void retry(struct waiting *waiting)
{
	struct session *session = waiting->session;
	struct job *job = &waiting->job;
	int r;

	memcpy(job->desk->out, waiting->bytes + job->length, job->reply.length);
	job->must_not_wait = job->waits_for_leases && service_now_ns() - waiting->since_ns > RECALL_NS;
	r = request_run(job);
	if (r == -EAGAIN && session_wait(session, job, waiting->since_ns) == 0) {
		request_tell(job);
		free(waiting);
		return;
	}
	if (r == -EAGAIN) {
		job->must_not_wait = true;
		r = request_run(job);
	}
	if (r == 0)
		r = session_answer(session, job, waiting->since_ns);
	free(waiting);
	if (r < 0)
		session_end(session);
	else
		session_update(session);
}

void sessions_retry(struct sessions *sessions)
{
	struct waiting *waiting;
	size_t nr = 0;

	TAILQ_FOREACH(waiting, &sessions->waiting, link)
		nr++;
	/* Those that have to go on waiting line up behind; a session that ends takes its own out. */
	while (nr-- > 0 && !TAILQ_EMPTY(&sessions->waiting)) {
		waiting = TAILQ_FIRST(&sessions->waiting);
		remove_waiting(waiting);
		retry(waiting);
	}
}
