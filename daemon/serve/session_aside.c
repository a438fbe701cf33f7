/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_aside: keeps messages that were put aside half done, with the results that are there
 * already. An item that was carried out is never carried out twice. A slice goes on when others had
 * their turn; a message that waits for space is tried again when some was scrubbed or given back.
 * session_job.c carries both on.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/session_internal.h"

#define RECALL_LOOK_US 20000

/* ---- slices ---- */

/*
 * Returns a slice that holds @job. A job that was put aside before is in one already and need not
 * be copied again.
 */
static struct slice *slice_of(const struct job *job)
{
	return (struct slice *)((char *)(uintptr_t)job - offsetof(struct slice, job));
}

static struct slice *keep(const struct job *job, uint64_t since_ns)
{
	size_t room = (job->length + 7) & ~(size_t)7;
	struct slice *slice = malloc(sizeof(*slice) + room + WIRE_MAX);

	if (!slice)
		return NULL;
	slice->job = *job;
	slice->job.is_kept = true;
	slice->since_ns = since_ns;
	memcpy(slice->bytes, job->message, job->length);
	memcpy(slice->bytes + room, job->reply.buf, job->reply.length);
	slice->job.message = slice->bytes;
	slice->job.reply.buf = slice->bytes + room;
	slice->job.rest.at = slice->bytes + (job->rest.at - job->message);
	slice->job.rest.end = slice->bytes + job->length;
	return slice;
}

int session_slice(struct session *session, const struct job *job, uint64_t since_ns)
{
	struct slice *slice = job->is_kept ? slice_of(job) : keep(job, since_ns);

	if (!slice)
		return -ENOMEM;
	slice->session = session;
	TAILQ_INSERT_TAIL(&session->sessions->slices, slice, link);
	session->slice = slice;
	session_update(session);
	sessions_come_back(session->sessions);
	return 0;
}

struct slice *session_take_slice(struct session *session)
{
	struct slice *slice = session->slice;

	if (slice)
		TAILQ_REMOVE(&session->sessions->slices, slice, link);
	session->slice = NULL;
	return slice;
}

void session_forget_slice(struct session *session)
{
	free(session_take_slice(session));
}

/* ---- what waits for space, or for a name ---- */

/*
 * Sets a timer after which the messages that wait for leases or names are tried again. Nothing else
 * wakes them: a small lease that is given back needs no scrubbing, so that no end of a scrub comes,
 * and neither the end of a reservation nor that of a period of waiting is an event.
 */
static void look_again(struct sessions *sessions)
{
	static const struct timeval soon = { 0, RECALL_LOOK_US };

	if (!event_pending(&sessions->recalling, EV_TIMEOUT, NULL))
		event_add(&sessions->recalling, &soon);
}

/* Adds @step (1 or -1) to the counters for messages of @waiting's kind. */
static void count(const struct waiting *waiting, int step)
{
	struct session *session = waiting->session;

	if (!waiting->for_name) {
		session->nr_waiting += step;
		return;
	}
	session->nr_awaiting += step;
	session->party->nr_awaiting += (uint32_t)step;
	/*
	 * Counts the sessions that wait for a name as listeners: an arena keeps events only while
	 * there are some.
	 */
	session->sessions->service->nr_listeners += step;
}

int session_wait(struct session *session, const struct job *job, enum outcome outcome,
		 uint64_t since_ns)
{
	bool for_name = outcome == JOB_WAITS_FOR_NAME;
	struct waiting *waiting;

	if (for_name && (session->nr_awaiting >= SESSION_AWAITING_MAX ||
			 session->party->nr_awaiting >= PARTY_AWAITING_MAX))
		return -EMFILE;
	waiting = malloc(sizeof(*waiting) + job->length + job->reply.length);
	if (!waiting)
		return -ENOMEM;
	waiting->session = session;
	waiting->is_due = false;
	waiting->job = *job;
	waiting->job.message = waiting->bytes;
	waiting->job.reply.buf = job->desk->out;
	waiting->job.slice = 0;
	waiting->job.has_waited = true;
	waiting->job.is_kept = false;
	waiting->for_leases = outcome == JOB_WAITS_FOR_LEASES;
	waiting->for_name = for_name;
	waiting->since_ns = since_ns ? since_ns : service_now_ns();
	memcpy(waiting->bytes, job->message, job->length);
	memcpy(waiting->bytes + job->length, job->reply.buf, job->reply.length);
	TAILQ_INSERT_TAIL(&session->sessions->waiting, waiting, link);
	count(waiting, 1);
	if (outcome != JOB_WAITS_FOR_SPACE)
		look_again(session->sessions);
	session_update(session);
	return 0;
}

void session_take_waiting(struct waiting *waiting)
{
	struct sessions *sessions = waiting->session->sessions;

	TAILQ_REMOVE(waiting->is_due ? &sessions->due : &sessions->waiting, waiting, link);
	count(waiting, -1);
}

/* Is one of the @nr @events about the name that @waiting waits for? */
static bool is_awaited(const struct waiting *waiting, uint32_t arena,
		       const struct arena_event *events, size_t nr)
{
	struct wire_request item;
	struct wire_reader reader;
	const char *name;

	if (!waiting->for_name || wire_open(&reader, waiting->bytes, waiting->job.length) < 0 ||
	    wire_next_request(&reader, &item, &name) != 1 || item.arena != arena)
		return false;
	for (size_t i = 0; i < nr; i++) {
		if (events[i].name_len == item.name_len &&
		    memcmp(events[i].name, name, item.name_len) == 0)
			return true;
	}
	return false;
}

void sessions_wake_awaiting(struct sessions *sessions, uint32_t arena,
			    const struct arena_event *events, size_t nr)
{
	struct waiting *waiting, *next;

	for (waiting = TAILQ_FIRST(&sessions->waiting); waiting; waiting = next) {
		next = TAILQ_NEXT(waiting, link);
		if (!is_awaited(waiting, arena, events, nr))
			continue;
		TAILQ_REMOVE(&sessions->waiting, waiting, link);
		waiting->is_due = true;
		TAILQ_INSERT_TAIL(&sessions->due, waiting, link);
		sessions_come_back(sessions);
	}
}

static void forget_in(struct waiting_list *list, const struct session *session)
{
	struct waiting *waiting, *next;

	for (waiting = TAILQ_FIRST(list);
	     waiting && session->nr_waiting + session->nr_awaiting > 0; waiting = next) {
		next = TAILQ_NEXT(waiting, link);
		if (waiting->session != session)
			continue;
		session_take_waiting(waiting);
		free(waiting);
	}
}

void session_forget_waiting(struct session *session)
{
	forget_in(&session->sessions->due, session);
	forget_in(&session->sessions->waiting, session);
}
