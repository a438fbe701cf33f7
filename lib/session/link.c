/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link: calls, waiting and leading. A thread that waits for its reply receives it itself if no
 * other thread receives, so that a round trip is two system calls. What happens when the connection
 * is lost is told in relink.c.
 */
#include <config.h>

#include "lib/session/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/session/call.h"
#include "lib/session/link_error.h"
#include "lib/session/relink.h"

#define MS INT64_C(1000000)
#define CONNECT_MS 5000
/* A WIRE_WINDOWED brings up to this many descriptors, a WIRE_ATTACHED two. */
#define MAX_FDS 4
/*
 * After SPIN_MISSES replies in a row that busy polling did not catch, it is left out for SPIN_REST
 * calls.
 */
#define SPIN_MISSES 8
#define SPIN_REST   64

/* ---- receiving ---- */

/*
 * Receives the next packet into inbuf. A buffer for descriptors, which costs time, is prepared only
 * when some reply will bring them. A receive that began before such a request was sent has no
 * buffer: then the kernel drops the descriptors, and door.c asks for them again.
 */
static ssize_t next_packet(struct link *link, int sock, int *fds, int *nr_fds, bool waits)
{
	if (!link->had_room)
		return conn_recv_plain(sock, link->inbuf, WIRE_MAX, waits ? 0 : MSG_DONTWAIT);
	if (waits)
		return conn_recv_wait(sock, link->inbuf, WIRE_MAX, fds, MAX_FDS, nr_fds);
	return conn_recv(sock, link->inbuf, WIRE_MAX, fds, MAX_FDS, nr_fds);
}

/*
 * Notes whether the next receive expects descriptors. Called with the lock, before a receive
 * without the lock.
 */
static void prepare(struct link *link)
{
	link->had_room = link->nr_awaiting_fds > 0;
}

static struct call *find_call(struct link *link, uint64_t tag)
{
	struct call *call;

	TAILQ_FOREACH(call, &link->calls, link) {
		if (!call->is_sent)
			break;
		if (call->tag == tag)
			return call;
	}
	return NULL;
}

static int handle_reply(struct link *link, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct call *call = find_call(link, reader->header.tag);
	int r;

	/*
	 * An answer to a call that was given up because its time was over is fine: its tag was
	 * given out once. A tag that was never given out is an error of the daemon.
	 */
	if (!call)
		return reader->header.tag < link->next_tag ? 0 : -EPROTO;
	if (reader->header.opcode != (call->opcode | WIRE_REPLY))
		return -EPROTO;
	r = call->absorb(call, reader, fds, nr_fds);
	if (r < 0)
		return r;
	link->backoff_ns = 0;
	call_finish(link, call, 0);
	return 0;
}

static int handle_message(struct link *link, size_t length, int *fds, int nr_fds)
{
	struct wire_reader reader;
	int r;

	r = wire_open(&reader, link->inbuf, length);
	if (r < 0)
		return r;
	if (nr_fds > 0 && reader.header.opcode != WIRE_ATTACHED &&
	    reader.header.opcode != WIRE_WINDOWED)
		return -EPROTO;
	if (link->state == LINK_HELLO)
		return relink_welcome(link, &reader);
	if (reader.header.opcode == WIRE_WELCOME)
		return relink_taken_over(link, &reader);
	if (reader.header.opcode == WIRE_EVENT)
		return link->owner->event(link->owner, &reader);
	return handle_reply(link, &reader, fds, nr_fds);
}

static int handle(struct link *link, size_t length, int *fds, int nr_fds)
{
	int r = handle_message(link, length, fds, nr_fds);

	for (int i = 0; i < nr_fds; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	call_flush(link);
	return r;
}

/*
 * A reply with descriptors arrived when this process had no free descriptor number, and the kernel
 * dropped them. The oldest call under way that expects some fails with -EMFILE and its caller may
 * ask again; the connection itself is all right.
 */
static void fail_attach(struct link *link)
{
	struct call *call;

	TAILQ_FOREACH(call, &link->calls, link) {
		if (call->is_sent &&
		    (call->opcode == WIRE_ATTACH || call->opcode == WIRE_WINDOW)) {
			call_finish(link, call, -EMFILE);
			return;
		}
	}
}

/*
 * The daemon hung up, or a receive failed. Packets that the daemon sent before may still be in the
 * socket, and may say what was done: reads them all. The daemon relies on this: it forgets a reply
 * once the socket took it, so a reply that is thrown away here could never be asked for again.
 *
 * Returns 0 the daemon hung up; -EAGAIN the socket is empty and works, so that what failed has
 * passed; -EPROTO; or the error with which receiving fails again.
 */
static int drain(struct link *link)
{
	int fds[CONN_MAX_FDS], nr_fds;
	ssize_t n;

	do {
		nr_fds = 0;
		prepare(link);
		n = next_packet(link, link->sock, fds, &nr_fds, false);
		if (n == -EMFILE)
			fail_attach(link);
		else if (n > 0 && handle(link, (size_t)n, fds, nr_fds) == -EPROTO)
			return -EPROTO;
		if (link->state == LINK_DOWN)
			return -EAGAIN;
	} while (n > 0 || n == -EMFILE);
	return n == -EMSGSIZE ? -EPROTO : (int)n;
}

/* Turns the result @n of a receive into one of the results of drain(). */
static int digest(struct link *link, ssize_t n, int *fds, int nr_fds)
{
	if (n > 0)
		return handle(link, (size_t)n, fds, nr_fds) == -EPROTO ? -EPROTO : -EAGAIN;
	if (n == -EMFILE) {
		fail_attach(link);
		return -EAGAIN;
	}
	if (n == -EPROTO || n == -EMSGSIZE)
		return -EPROTO;
	return n == -EAGAIN ? -EAGAIN : drain(link);
}

/*
 * Handles what a receive returned: @n is the length of a packet, 0 for a hang-up, or a negative
 * errno.
 */
static void take_packet(struct link *link, ssize_t n, int *fds, int nr_fds)
{
	int r = digest(link, n, fds, nr_fds);

	if (r == -EPROTO)
		relink_broken(link);
	else if (r == 0)
		relink_down(link, -ECONNRESET, "the daemon hung up");
	else if (r != -EAGAIN)
		relink_down(link, r, error_text(r));
}

/*
 * Looks for a reply again and again for spin_ns before the caller sleeps in a receive. If that was
 * in vain SPIN_MISSES times in a row, it is left out for a number of calls: the replies take
 * longer, or the daemon needs this very processor.
 */
static ssize_t spin(struct link *link, int sock, int *fds, int *nr_fds)
{
	int64_t end;
	ssize_t n;

	if (link->nr_missed >= SPIN_MISSES && ++link->nr_missed < SPIN_MISSES + SPIN_REST)
		return -EAGAIN;
	end = call_now() + (int64_t)link->spin_ns;
	do {
		n = next_packet(link, sock, fds, nr_fds, false);
	} while (n == -EAGAIN && call_now() < end);
	if (n != -EAGAIN)
		link->nr_missed = 0;
	else
		link->nr_missed =
			link->nr_missed >= SPIN_MISSES ? SPIN_MISSES : link->nr_missed + 1;
	return n;
}

/*
 * Waits until @sock is readable, or writable if @wants_to_send, or until @until_ns. @sock may be
 * -1: then only the time counts.
 */
static void wait_for_socket(int sock, bool wants_to_send, int64_t until_ns)
{
	struct pollfd poller = { .fd = sock, .events = wants_to_send ? POLLIN | POLLOUT : POLLIN };
	struct timespec timeout = { 0, 0 };
	int64_t left;

	if (until_ns == INT64_MAX) {
		ppoll(&poller, 1, NULL, NULL);
		return;
	}
	left = until_ns - call_now();
	if (left > 0) {
		timeout.tv_sec = left / 1000000000;
		timeout.tv_nsec = left % 1000000000;
	}
	ppoll(&poller, sock >= 0, &timeout, NULL);
}

/*
 * Receives without the lock. That is safe because only the leader closes the socket, and the
 * calling thread is the leader.
 */
static ssize_t receive(struct link *link, int sock, bool wants_to_send, int *fds, int *nr_fds)
{
	ssize_t n = -EAGAIN;

	if (link->spin_ns)
		n = spin(link, sock, fds, nr_fds);
	if (n != -EAGAIN)
		return n;
	if (!wants_to_send)
		return next_packet(link, sock, fds, nr_fds, true);
	wait_for_socket(sock, true, INT64_MAX);
	return next_packet(link, sock, fds, nr_fds, false);
}

static void lead_up(struct link *link)
{
	bool wants_to_send = link->unsent != NULL;
	int sock = link->sock, nr_fds = 0;
	int fds[CONN_MAX_FDS];
	ssize_t n;

	prepare(link);
	pthread_mutex_unlock(&link->lock);
	n = receive(link, sock, wants_to_send, fds, &nr_fds);
	pthread_mutex_lock(&link->lock);
	call_flush(link);
	take_packet(link, n, fds, nr_fds);
}

static void step(struct link *link, struct waiter *waiter, int64_t until_ns)
{
	int64_t next = relink_tick(link);
	int sock = link->sock, nr_fds = 0;
	int fds[CONN_MAX_FDS];
	ssize_t n = -EAGAIN;

	if (waiter && waiter->nr_pending == 0)
		return;
	prepare(link);
	pthread_mutex_unlock(&link->lock);
	wait_for_socket(sock, false, next < until_ns ? next : until_ns);
	if (sock >= 0)
		n = next_packet(link, sock, fds, &nr_fds, false);
	pthread_mutex_lock(&link->lock);
	take_packet(link, n, fds, nr_fds);
}

/*
 * The calling thread stops leading: wakes one thread that still waits for a reply, which will lead.
 * Without this, all would sleep and none receive.
 */
static void appoint_leader(struct link *link)
{
	struct call *call;

	link->is_led = false;
	TAILQ_FOREACH(call, &link->calls, link) {
		if (call->waiter && call->waiter->is_asleep) {
			pthread_cond_signal(&call->waiter->cond);
			return;
		}
	}
}

static void lead(struct link *link, struct waiter *waiter)
{
	link->is_led = true;
	while (waiter->nr_pending > 0) {
		if (link->state == LINK_UP)
			lead_up(link);
		else
			step(link, waiter, INT64_MAX);
	}
	appoint_leader(link);
}

void link_wait(struct link *link, struct waiter *waiter)
{
	while (waiter->nr_pending > 0) {
		if (!link->is_led) {
			lead(link, waiter);
			return;
		}
		waiter->is_asleep = true;
		pthread_cond_wait(&waiter->cond, &link->lock);
		waiter->is_asleep = false;
	}
}

/* ---- for a program's event loop ---- */

int link_poll(struct link *link)
{
	int fds[CONN_MAX_FDS], nr_fds;
	ssize_t n;

	if (!link->is_led) {
		link->is_led = true;
		do {
			nr_fds = 0;
			n = -EAGAIN;
			if (link->state != LINK_UP)
				relink_tick(link);
			prepare(link);
			if (link->state != LINK_DOWN)
				n = next_packet(link, link->sock, fds, &nr_fds, false);
			take_packet(link, n, fds, nr_fds);
		} while (n != -EAGAIN);
		appoint_leader(link);
	}
	return link->state == LINK_UP ? 0 : -ENOTCONN;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_fds(struct link *link, struct why *why)
{
	int r;

	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->epoll_fd >= 0)
		link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (link->timer_fd >= 0)
		link->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->event_fd < 0)
		return why_set(why, -errno, "%s", error_text(-errno));
	r = relink_watch(link, link->timer_fd, why);
	if (r == 0)
		r = relink_watch(link, link->event_fd, why);
	if (r == 0 && link->sock >= 0)
		r = relink_watch(link, link->sock, why);
	return r;
}

int link_fd(struct link *link, struct why *why)
{
	int r;

	if (link->epoll_fd < 0) {
		r = open_fds(link, why);
		if (r < 0) {
			close_fd(&link->epoll_fd);
			close_fd(&link->timer_fd);
			close_fd(&link->event_fd);
			return r;
		}
	}
	return link->epoll_fd;
}

void link_signal(struct link *link, bool on)
{
	eventfd_t value;

	if (link->event_fd < 0)
		return;
	if (on)
		(void)eventfd_write(link->event_fd, 1);
	else
		(void)eventfd_read(link->event_fd, &value);
}

/* ---- making and ending a link ---- */

/*
 * Makes the first connection; no other thread has the link yet. A full backlog (-EAGAIN) means that
 * the daemon is busy, and is tried again; any other error is final.
 */
static int connect_first(struct link *link)
{
	uint32_t patience_ms =
		link->params.reconnect_ms > CONNECT_MS ? link->params.reconnect_ms : CONNECT_MS;
	int64_t until = call_now() + patience_ms * MS;

	relink_try(link);
	while (link->state == LINK_HELLO || (link->state == LINK_DOWN && link->error == -EAGAIN)) {
		if (call_now() >= until)
			return -ETIMEDOUT;
		step(link, NULL, until);
	}
	return link->state == LINK_UP ? 0 : link->error;
}

int link_init(struct link *link, const struct link_params *params, struct link_owner *owner)
{
	int r;

	*link = (struct link){ .params = *params,
			       .owner = owner,
			       .sock = -1,
			       .next_tag = 1,
			       .epoll_fd = -1,
			       .timer_fd = -1,
			       .event_fd = -1,
			       .spin_ns = params->busy_poll_us * UINT64_C(1000) };
	pthread_mutex_init(&link->lock, NULL);
	TAILQ_INIT(&link->calls);
	link->inbuf = aligned_alloc(8, WIRE_MAX);
	if (!link->inbuf)
		return error_memory();
	pthread_mutex_lock(&link->lock);
	r = connect_first(link);
	pthread_mutex_unlock(&link->lock);
	return r < 0 ? link_error_connect(link, r) : 0;
}

void link_fini(struct link *link)
{
	struct call *call, *next;

	relink_close_socket(link);
	/*
	 * In a forked child the list also has calls of the parent's other threads. Their memory is
	 * on the stacks of threads that do not exist here, so they are left alone: only calls
	 * without a waiter, which are on the heap, are finished.
	 */
	TAILQ_FOREACH_SAFE(call, &link->calls, link, next) {
		if (!call->waiter)
			call_finish(link, call, -ENOTCONN);
	}
	close_fd(&link->epoll_fd);
	close_fd(&link->timer_fd);
	close_fd(&link->event_fd);
	free(link->inbuf);
	pthread_mutex_destroy(&link->lock);
}
