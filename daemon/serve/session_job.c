/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_job: carries out one message, in one go or in several, and sends its reply.
 *
 * Slices: a message of many items is carried out some items per round of the loop, so that clients
 * which ask for little are answered in between. Each slice is made durable before others have their
 * turn, since they may see what it did. A session has at most one message in slices and is not read
 * from meanwhile: else a later message would be carried out before an earlier one.
 *
 * Waiting: a message whose item finds no clean space waits. The message that has waited longest is
 * tried first. One that must go on waiting does not block those behind it: scrubbing (zeroing of
 * freed space) ends, and then it gets its space or a refusal. For leases (space that other clients
 * reserved ahead and were asked to give back) a message waits two seconds only, as those clients
 * may be busy. A WAIT waits for a name in the same way, as long as it says; an event of that name
 * wakes it at once.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/session_internal.h"

/* A message waits this long, in nanoseconds, for leases to be given back; then it is refused. */
#define RECALL_NS UINT64_C(2000000000)

/*
 * Lets @job wait for space or for a name. Returns false when there is no memory for the copy, or
 * the session waits for too many names; then the caller must finish the job without waiting.
 */
static bool park(struct session *session, const struct job *job, enum outcome outcome,
		 uint64_t since_ns)
{
	if (session_wait(session, job, outcome, since_ns) < 0)
		return false;
	if (outcome != JOB_WAITS_FOR_NAME)
		session->sessions->service->counters.parked += !job->has_waited;
	request_tell(job);
	return true;
}

int session_run(struct session *session, struct job *job, uint64_t since_ns)
{
	/*
	 * A job for which memory is short cannot be put aside as a slice, nor wait. Each failure
	 * forbids one of these for the next attempt, so that the third attempt ends with JOB_DONE.
	 */
	for (;;) {
		enum outcome outcome = request_run(job);

		switch (outcome) {
		case JOB_DONE:
			return session_answer(session, job, since_ns);
		case JOB_BROKEN:
			return -EPROTO;
		case JOB_SLICED:
			if (session_slice(session, job, since_ns) == 0) {
				request_tell(job);
				return 0;
			}
			break;
		case JOB_WAITS_FOR_SPACE:
		case JOB_WAITS_FOR_LEASES:
		case JOB_WAITS_FOR_NAME:
			if (park(session, job, outcome, since_ns))
				return 0;
			job->must_not_wait = true;
			break;
		}
		job->slice = 0;
	}
}

/* ---- slices ---- */

/*
 * Carries out the next part of @slice, and frees it when nothing is left. The session may have been
 * freed when this returns.
 */
static void go_on(struct slice *slice)
{
	struct session *session = slice->session;
	int r;

	session_take_slice(session);
	r = session_run(session, &slice->job, slice->since_ns);
	if (session->slice != slice)
		free(slice);
	if (r < 0)
		session_end(session, r);
	else
		session_update(session);
}

/* Carries out the next part of @slice and charges its user with the time. */
static void run_slice(struct slice *slice)
{
	struct sessions *sessions = slice->session->sessions;
	struct party *party = slice->session->party;
	uint64_t begun_ns = turn_begin(sessions);

	/*
	 * Counts this function as a user of the account: else it would be freed with the session,
	 * and turn_end() below still uses it.
	 */
	party->nr++;
	go_on(slice);
	turn_end(sessions, party, begun_ns);
	party_put(&sessions->parties, party);
}

void sessions_run_slices(struct sessions *sessions)
{
	struct slice *slice;
	size_t nr = 0;

	TAILQ_FOREACH(slice, &sessions->slices, link)
		nr++;
	/*
	 * Each slice has one turn. nr is the number at the start; when a session ends, it takes its
	 * slice off the list, so the list can be empty earlier.
	 */
	while (nr-- > 0 && !TAILQ_EMPTY(&sessions->slices)) {
		slice = TAILQ_FIRST(&sessions->slices);
		if (session_has_turn(slice->session)) {
			run_slice(slice);
			continue;
		}
		TAILQ_REMOVE(&sessions->slices, slice, link);
		TAILQ_INSERT_TAIL(&sessions->slices, slice, link);
	}
}

/* ---- what waited for space ---- */

/*
 * Carries out @waiting once more and frees it; if it must go on waiting, a new copy is in the list.
 * The session may have been freed when this returns.
 */
static void retry(struct waiting *waiting)
{
	struct session *session = waiting->session;
	struct job *job = &waiting->job;
	int r;

	memcpy(job->desk->out, waiting->bytes + job->length, job->reply.length);
	job->must_not_wait =
		waiting->for_leases && service_now_ns() - waiting->since_ns > RECALL_NS;
	r = session_run(session, job, waiting->since_ns);
	free(waiting);
	if (r < 0)
		session_end(session, r);
	else
		session_update(session);
}

/*
 * Tries @waiting again and charges its user with the time. The session may have been freed when
 * this returns.
 */
static void retry_in_turn(struct waiting *waiting)
{
	struct sessions *sessions = waiting->session->sessions;
	struct party *party = waiting->session->party;
	uint64_t begun_ns = turn_begin(sessions);

	/*
	 * Counts this function as a user of the account: else it would be freed with the session,
	 * and turn_end() below still uses it.
	 */
	party->nr++;
	session_take_waiting(waiting);
	retry(waiting);
	turn_end(sessions, party, begun_ns);
	party_put(&sessions->parties, party);
}

void sessions_run_due(struct sessions *sessions)
{
	struct waiting *waiting;
	size_t nr = 0;

	TAILQ_FOREACH(waiting, &sessions->due, link)
		nr++;
	/*
	 * Each message has one attempt. Those that must go on waiting join sessions.waiting, not
	 * this list; a session that ends takes its messages off, so the list can be empty earlier.
	 */
	while (nr-- > 0 && !TAILQ_EMPTY(&sessions->due)) {
		waiting = TAILQ_FIRST(&sessions->due);
		if (session_has_turn(waiting->session)) {
			retry_in_turn(waiting);
			continue;
		}
		TAILQ_REMOVE(&sessions->due, waiting, link);
		TAILQ_INSERT_TAIL(&sessions->due, waiting, link);
	}
}

void sessions_retry(struct sessions *sessions)
{
	struct waiting *waiting;

	TAILQ_FOREACH(waiting, &sessions->waiting, link)
		waiting->is_due = true;
	TAILQ_CONCAT(&sessions->due, &sessions->waiting, link);
	sessions_run_due(sessions);
	if (!TAILQ_EMPTY(&sessions->due))
		sessions_come_back(sessions);
}

static void on_recalling(evutil_socket_t fd, short what, void *arg)
{
	sessions_retry(arg);
}

void sessions_init_waiting(struct sessions *sessions)
{
	TAILQ_INIT(&sessions->waiting);
	TAILQ_INIT(&sessions->due);
	event_assign(&sessions->recalling, sessions->base, -1, 0, on_recalling, sessions);
}
