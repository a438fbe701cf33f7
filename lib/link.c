/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link: calls, waiting and leading. A thread that waits does so in one receive of its own if nobody else does: a
 * round trip is two system calls. What happens when the connection is lost is told in relink.c.
 */
#include <config.h>

#include "lib/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 2       /* device and plane */
#define SPIN_MISSES 8   /* in a row, and busy polling rests for a while */
#define SPIN_REST   64  /* calls */

int64_t link_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- sending ---- */

void link_finish(struct link *link, struct call *call, int result)
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

void link_flush(struct link *link)
{
	while (link->state == LINK_UP && link->unsent) {
		struct call *call = link->unsent;
		int r = conn_send(link->sock, call->message, call->length, NULL, 0);

		if (r == -EAGAIN)
			return;
		if (r == -ENOMEM || r == -ENOBUFS || r == -EMSGSIZE) {
			link_finish(link, call, r == -ENOBUFS ? -ENOMEM : r);
			continue;
		}
		if (r < 0) {
			/* The leader finds out by itself, if the other end only closed one direction too. */
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
		call->deadline_ns = link_now() + link->params.reconnect_ms * INT64_C(1000000);
}

void link_submit(struct link *link, struct call *call)
{
	enqueue(link, call);
	call->tag = link->next_tag++;
	wire_set_tag(call->message, call->tag, 0);
	TAILQ_INSERT_TAIL(&link->calls, call, link);
	if (!link->unsent)
		link->unsent = call;
	if (link->is_dead)
		link_finish(link, call, link->error);
	else
		link_flush(link);
}

void link_submit_first(struct link *link, struct call *call)
{
	enqueue(link, call);
	if (link->unsent)
		TAILQ_INSERT_BEFORE(link->unsent, call, link);
	else
		TAILQ_INSERT_TAIL(&link->calls, call, link);
	link->unsent = call;
}

/* ---- receiving ---- */

/*
 * The next packet into inbuf. Room for descriptors, which costs, is only there when some are awaited; should they come to a receive that
 * began before, they are dropped, and asked for again.
 */
static ssize_t next_packet(struct link *link, int sock, int *fds, int *nr_fds, bool waits)
{
	if (!link->had_room)
		return conn_recv_plain(sock, link->inbuf, WIRE_MAX, waits ? 0 : MSG_DONTWAIT);
	if (waits)
		return conn_recv_wait(sock, link->inbuf, WIRE_MAX, fds, MAX_FDS, nr_fds);
	return conn_recv(sock, link->inbuf, WIRE_MAX, fds, MAX_FDS, nr_fds);
}

/* Under the lock, before a receive. */
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

	/* A late answer to a call that was given up is fine; one to a call that never was is not. */
	if (!call)
		return reader->header.tag < link->next_tag ? 0 : -EPROTO;
	if (reader->header.opcode != (call->opcode | WIRE_REPLY))
		return -EPROTO;
	r = call->absorb(call, reader, fds, nr_fds);
	if (r < 0)
		return r;
	link->backoff_ns = 0;
	link_finish(link, call, 0);
	return 0;
}

static int handle_message(struct link *link, size_t length, int *fds, int nr_fds)
{
	struct wire_reader reader;
	int r;

	r = wire_open(&reader, link->inbuf, length);
	if (r < 0)
		return r;
	if (nr_fds > 0 && reader.header.opcode != WIRE_ATTACHED)
		return -EPROTO;
	if (link->state == LINK_HELLO)
		return relink_welcome(link, &reader);
	if (reader.header.opcode == WIRE_WELCOME)
		return relink_taken_over(link, &reader);
	if (reader.header.opcode == WIRE_EVENT)
		return link->owner->event(link->owner, &reader);
	return handle_reply(link, &reader, fds, nr_fds);
}

int link_handle(struct link *link, size_t length, int *fds, int nr_fds)
{
	int r = handle_message(link, length, fds, nr_fds);

	for (int i = 0; i < nr_fds; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	link_flush(link);
	return r;
}

/*
 * What the other end said before it went away is still there, behind the error, and may say what was done. The daemon counts on it: what it
 * handed to the socket it forgets.
 */
static int drain(struct link *link)
{
	int fds[CONN_MAX_FDS], nr_fds = 0;
	ssize_t n;

	prepare(link);
	while ((n = next_packet(link, link->sock, fds, &nr_fds, false)) > 0) {
		if (link_handle(link, (size_t)n, fds, nr_fds) == -EPROTO)
			return -EPROTO;
		nr_fds = 0;
	}
	return n == -EPROTO || n == -EMSGSIZE ? -EPROTO : 0;
}

/* A packet arrived, or what came instead. */
static void take_packet(struct link *link, ssize_t n, int *fds, int nr_fds)
{
	if (n == -EAGAIN)
		return;
	if (n == -EPROTO || n == -EMSGSIZE || (n > 0 && link_handle(link, (size_t)n, fds, nr_fds) == -EPROTO) ||
	    (n <= 0 && drain(link) == -EPROTO))
		relink_broken(link);
	else if (n == 0)
		relink_down(link, -ECONNRESET, "the daemon hung up");
	else if (n < 0)
		relink_down(link, (int)n, "receiving failed");
}

/*
 * Look for a reply for a while before sleeping. Where that is in vain, because the answers take longer or because the other end
 * needs this very processor, it is left off for a while.
 */
static ssize_t spin(struct link *link, int sock, int *fds, int *nr_fds)
{
	int64_t end;
	ssize_t n;

	if (link->nr_missed >= SPIN_MISSES && ++link->nr_missed < SPIN_MISSES + SPIN_REST)
		return -EAGAIN;
	end = link_now() + (int64_t)link->spin_ns;
	do {
		n = next_packet(link, sock, fds, nr_fds, false);
	} while (n == -EAGAIN && link_now() < end);
	if (n != -EAGAIN)
		link->nr_missed = 0;
	else
		link->nr_missed = link->nr_missed >= SPIN_MISSES ? SPIN_MISSES : link->nr_missed + 1;
	return n;
}

/* Until the socket has something for us, or takes what waits to be sent, or it is @until_ns. */
static void wait_for_socket(int sock, bool wants_to_send, int64_t until_ns)
{
	struct pollfd poller = { .fd = sock, .events = wants_to_send ? POLLIN | POLLOUT : POLLIN };
	struct timespec timeout = { 0, 0 };
	int64_t left;

	if (until_ns == INT64_MAX) {
		ppoll(&poller, 1, NULL, NULL);
		return;
	}
	left = until_ns - link_now();
	if (left > 0) {
		timeout.tv_sec = left / 1000000000;
		timeout.tv_nsec = left % 1000000000;
	}
	ppoll(&poller, sock >= 0, &timeout, NULL);
}

/* Without the lock: the leader alone closes the socket, and it is us. */
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
	link_flush(link);
	take_packet(link, n, fds, nr_fds);
}

void link_step(struct link *link, struct waiter *waiter, int64_t until_ns)
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

/* Our turn is over: whoever sleeps and still waits takes the next. */
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
			link_step(link, waiter, INT64_MAX);
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

/* ---- for a caller's event loop ---- */

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

static int watch(struct link *link, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return fd < 0 || epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_fds(struct link *link)
{
	int r;

	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	link->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->epoll_fd < 0 || link->timer_fd < 0 || link->event_fd < 0)
		return -errno;
	r = watch(link, link->timer_fd);
	if (r == 0)
		r = watch(link, link->event_fd);
	if (r == 0)
		r = watch(link, link->sock);
	return r;
}

int link_fd(struct link *link)
{
	int r;

	if (link->epoll_fd < 0) {
		r = open_fds(link);
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
