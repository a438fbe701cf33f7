/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_slice: messages of many items, a slice a turn of the loop, so that whoever asks for little is answered in between. Each
 * slice is durable before others have their turn. A session has at most one, and is not read from meanwhile: its messages are
 * carried out in their order.
 */
#include <config.h>

#include "daemon/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slice {
	TAILQ_ENTRY(slice) link;        /* sessions.slices */
	struct session *session;        /* borrowed; owns this */
	struct job job;
	uint64_t since_ns;
	uint8_t  bytes[] __attribute__((aligned(8)));   /* the message, padded to 8, then WIRE_MAX for the reply */
};

/* A timer that is due: the loop looks at all sockets before it comes back to us, and sleeps on none. */
static void come_back(struct sessions *sessions)
{
	static const struct timeval now = { 0, 0 };

	if (!TAILQ_EMPTY(&sessions->slices))
		event_add(&sessions->slicing, &now);
}

int session_slice(struct session *session, const struct job *job, uint64_t since_ns)
{
	size_t room = (job->length + 7) & ~(size_t)7;
	struct slice *slice = malloc(sizeof(*slice) + room + WIRE_MAX);

	if (!slice)
		return -ENOMEM;
	slice->session = session;
	slice->job = *job;
	slice->since_ns = since_ns;
	memcpy(slice->bytes, job->message, job->length);
	memcpy(slice->bytes + room, job->reply.buf, job->reply.length);
	slice->job.message = slice->bytes;
	slice->job.reply.buf = slice->bytes + room;
	slice->job.rest.at = slice->bytes + (job->rest.at - job->message);
	slice->job.rest.end = slice->bytes + job->length;
	TAILQ_INSERT_TAIL(&session->sessions->slices, slice, link);
	session->slice = slice;
	session_update(session);
	come_back(session->sessions);
	return 0;
}

static struct slice *take_slice(struct session *session)
{
	struct slice *slice = session->slice;

	if (slice)
		TAILQ_REMOVE(&session->sessions->slices, slice, link);
	session->slice = NULL;
	return slice;
}

void session_forget_slice(struct session *session)
{
	free(take_slice(session));
}

/* The session may be gone afterwards. */
static void run_slice(struct slice *slice)
{
	struct session *session = slice->session;
	int r = request_run(&slice->job);

	if (r == 1) {
		request_tell(&slice->job);
		TAILQ_REMOVE(&session->sessions->slices, slice, link);
		TAILQ_INSERT_TAIL(&session->sessions->slices, slice, link);
		return;
	}
	take_slice(session);
	r = session_conclude(session, &slice->job, slice->since_ns, r);
	free(slice);
	if (r < 0)
		session_end(session);
	else
		session_update(session);
}

static void on_slices(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *sessions = arg;
	struct slice *slice;
	size_t nr = 0;

	TAILQ_FOREACH(slice, &sessions->slices, link)
		nr++;
	/* One each; a session that ends takes its own with it. */
	while (nr-- > 0 && !TAILQ_EMPTY(&sessions->slices))
		run_slice(TAILQ_FIRST(&sessions->slices));
	come_back(sessions);
}

void sessions_init_slices(struct sessions *sessions)
{
	TAILQ_INIT(&sessions->slices);
	event_assign(&sessions->slicing, sessions->base, -1, 0, on_slices, sessions);
}
