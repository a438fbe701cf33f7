/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call: submits, sends and finishes messages. Sending never blocks: what a full socket does not
 * take stays in the list, and the thread that leads (link.h) sends it when the socket has room.
 */
#include <config.h>

#include "lib/session/call.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

/* calls */

int64_t call_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void call_finish(struct link *link, struct call *call, int result)
{
	struct waiter *waiter = call->waiter;

	if (link->unsent == call)
		link->unsent = TAILQ_NEXT(call, link);
	TAILQ_REMOVE(&link->calls, call, link);
	call->result = result;
	if (waiter && --waiter->nr_pending == 0 && waiter->is_asleep)
		pthread_cond_signal(&waiter->cond);
	if (call->finished)
		call->finished(call);
}

void call_flush(struct link *link)
{
	while (link->state == LINK_UP && link->unsent) {
		struct call *call = link->unsent;
		int r = conn_send(link->sock, call->message, call->length, &call->fd,
				  call->has_fd ? 1 : 0);

		/*
		 * Too many descriptors of this user are under way, and the socket does not say when
		 * that is over.
		 */
		if (r == -ETOOMANYREFS) {
			call_finish(link, call, -EMFILE);
			continue;
		}
		if (r == -EAGAIN)
			return;
		if (r == -ENOMEM || r == -ENOBUFS || r == -EMSGSIZE) {
			call_finish(link, call, r == -ENOBUFS ? -ENOMEM : r);
			continue;
		}
		if (r < 0) {
			/*
			 * A send failed: the connection is lost. Only the leader closes the socket,
			 * and it may be asleep in a receive. shutdown() wakes it; without it, a
			 * peer that closed one direction alone would let it sleep on.
			 */
			shutdown(link->sock, SHUT_RDWR);
			return;
		}
		call->is_sent = true;
		call->is_remembered = link->repeats;
		call->nr_sent++;
		link->unsent = TAILQ_NEXT(call, link);
	}
}

static void enqueue(struct link *link, struct call *call)
{
	call->is_sent = false;
	call->nr_sent = 0;
	call->repeats = 0;
	call->deadline_ns = INT64_MAX;
	if (!call->waiter)
		return;
	call->waiter->nr_pending++;
	if (link->state != LINK_UP)
		call->deadline_ns = call_now() + link->params.reconnect_ms * INT64_C(1000000);
}

void call_submit(struct link *link, struct call *call)
{
	enqueue(link, call);
	call->tag = link->next_tag++;
	wire_set_tag(call->message, call->tag, 0);
	TAILQ_INSERT_TAIL(&link->calls, call, link);
	if (!link->unsent)
		link->unsent = call;
	if (link->is_dead)
		call_finish(link, call, link->error);
	else
		call_flush(link);
}

void call_submit_first(struct link *link, struct call *call)
{
	enqueue(link, call);
	if (link->unsent)
		TAILQ_INSERT_BEFORE(link->unsent, call, link);
	else
		TAILQ_INSERT_TAIL(&link->calls, call, link);
	link->unsent = call;
}
