/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relink: a connection that was lost, and what becomes of the calls that were under way. The rule of the dead
 * connection, when the daemon is back:
 *
 *	                             session goes on                 session is new
 *	not sent yet                 sent                            sent
 *	sent, only looks or is       sent again                      sent again
 *	  the same done twice
 *	sent after the last that     sent again: it was not done     -ESTALE
 *	  may have had an effect
 *	sent before                  sent again as a repeat          -ESTALE; sent again if idempotent
 *
 * Everything sent again has a new tag, in the old order: tags only ever grow. A repeat says under which tag it was sent first, and
 * the daemon does not do it twice; one that does not remember what it did makes it -ESTALE too.
 */
#include <config.h>

#include "lib/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/error.h"

#define MS INT64_C(1000000)
#define FIRST_BACKOFF_NS (1 * MS)
#define LAST_BACKOFF_NS  (200 * MS)
/* A daemon that took the connection gets so long to answer, even if the call itself would not wait. */
#define WELCOME_MS 1000
#define CONNECT_MS 5000
#define MAX_SENT   3

static bool is_repeatable(uint16_t opcode)
{
	switch (opcode) {
	case WIRE_ATTACH:
	case WIRE_OPEN:
	case WIRE_CLOSE:
	case WIRE_STAT:
	case WIRE_EXTENTS:
	case WIRE_LIST:
	case WIRE_SUBSCRIBE:
		return true;
	default:
		return false;
	}
}

/* ---- down ---- */

/* So that a caller's event loop comes back by itself; 0 disarms. */
static void set_timer(struct link *link, int64_t at_ns)
{
	struct itimerspec spec = { .it_value = { at_ns / 1000000000, at_ns % 1000000000 } };

	if (link->timer_fd >= 0)
		timerfd_settime(link->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void close_socket(struct link *link)
{
	if (link->sock >= 0)
		close(link->sock);      /* and leaves the epoll set */
	link->sock = -1;
	link->state = LINK_DOWN;
}

/* Wait longer each time, and not all clients at the same instant. */
static void back_off(struct link *link)
{
	int64_t now = link_now(), backoff = link->backoff_ns * 2;

	if (backoff < FIRST_BACKOFF_NS)
		backoff = FIRST_BACKOFF_NS;
	if (backoff > LAST_BACKOFF_NS)
		backoff = LAST_BACKOFF_NS;
	link->backoff_ns = backoff;
	link->retry_ns = now + backoff - (now / 1000 + getpid()) % 256 * (backoff / 1024);
	set_timer(link, link->retry_ns);
}

void relink_down(struct link *link, int err, const char *what)
{
	bool was_up = link->state == LINK_UP;
	int64_t now = link_now();
	struct call *call;

	close_socket(link);
	link->error = why_set(&link->why, err, "%s", what);
	/* At once the first time; a daemon that goes away again without having answered anything is not worth the hurry. */
	if (was_up && link->backoff_ns == 0) {
		link->retry_ns = now;
		set_timer(link, now);
	} else {
		back_off(link);
	}
	if (!was_up)
		return;
	TAILQ_FOREACH(call, &link->calls, link) {
		if (call->waiter)
			call->deadline_ns = now + link->params.reconnect_ms * MS;
	}
}

void relink_broken(struct link *link)
{
	struct call *call, *next;

	TAILQ_FOREACH_SAFE(call, &link->calls, link, next) {
		if (call->is_sent)
			link_finish(link, call, -EPROTO);
	}
	relink_down(link, -EPROTO, "the daemon does not keep the protocol");
}

static void fail_all(struct link *link, int err)
{
	struct call *call, *next;

	TAILQ_FOREACH_SAFE(call, &link->calls, link, next)
		link_finish(link, call, err);
}

/* ---- up again ---- */

static int say_hello(struct link *link)
{
	struct wire_hello hello = { .min_version = WIRE_VERSION, .max_version = WIRE_VERSION, .features = WIRE_REPEATS | WIRE_CARVES, .session = link->session };
	uint8_t message[sizeof(struct wire_header) + sizeof(hello)] __attribute__((aligned(8)));
	struct wire_writer writer;
	int r;

	memcpy(hello.token, link->token, sizeof(hello.token));
	/* One item of known size: the message is smaller than what the writer may assume. */
	wire_begin(&writer, message, WIRE_HELLO, 0);
	r = wire_add_raw(&writer, &hello, sizeof(hello));
	if (r < 0)
		return r;
	return conn_send(link->sock, message, wire_end(&writer), NULL, 0);
}

static int use_socket(struct link *link, int sock)
{
	struct epoll_event event = { .events = EPOLLIN };

	link->sock = sock;
	/* Blocking, so that waiting for a reply is one call; everything that must not block says so itself. */
	if (fcntl(sock, F_SETFL, 0) < 0)
		return -errno;
	if (link->epoll_fd >= 0 && epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, sock, &event) < 0)
		return -errno;
	return say_hello(link);
}

int relink_try(struct link *link)
{
	int r = conn_connect(link->params.path, SOCK_SEQPACKET);

	if (r >= 0)
		r = use_socket(link, r);
	if (r < 0) {
		close_socket(link);
		back_off(link);
		link->error = why_set(&link->why, r, "%s", strerror(-r));
		return r;
	}
	link->state = LINK_HELLO;
	link->hello_ns = link_now();
	set_timer(link, 0);
	return 0;
}

/* Sent again, it must not be done again. A repeat that was not received is a repeat all the same. */
static void make_repeat(struct call *call)
{
	if (!call->repeats)
		call->repeats = call->tag;
}

/* The rule at the top: 0, or what becomes of the call. @last_tag is 0 in a new session. */
static int fate(const struct link *link, struct call *call, bool resumed, uint64_t last_tag)
{
	/* The owner's own errands: it sends them anew. And what three daemons did not survive is not for a fourth. */
	if (!call->waiter || call->nr_sent >= MAX_SENT)
		return -ENOTCONN;
	if (is_repeatable(call->opcode))
		return 0;
	if (!call->is_sent && (resumed || !call->repeats))
		return 0;
	if (resumed && call->tag > last_tag)
		return 0;
	if (resumed && link->repeats && call->is_remembered) {
		make_repeat(call);
		return 0;
	}
	call->repeats = 0;
	return call->is_idempotent ? 0 : -ESTALE;
}

/*
 * Another daemon took over this very connection: what the old one received up to @read_tag is judged as above, what is behind it is still
 * in the socket and will be answered.
 */
static void sort_out_received(struct link *link, uint64_t last_tag, uint64_t read_tag)
{
	struct call_list again = TAILQ_HEAD_INITIALIZER(again);
	struct call *call, *next;

	TAILQ_FOREACH_SAFE(call, &link->calls, link, next) {
		int r;

		if (!call->is_sent || call->tag > read_tag)
			break;
		r = fate(link, call, true, last_tag);
		if (r < 0) {
			link_finish(link, call, r);
			continue;
		}
		TAILQ_REMOVE(&link->calls, call, link);
		TAILQ_INSERT_TAIL(&again, call, link);
		call->is_sent = false;
	}
	/* Behind all that was sent, and in front of what was not. */
	while ((call = TAILQ_LAST(&again, call_list))) {
		TAILQ_REMOVE(&again, call, link);
		if (link->unsent)
			TAILQ_INSERT_BEFORE(link->unsent, call, link);
		else
			TAILQ_INSERT_TAIL(&link->calls, call, link);
		link->unsent = call;
	}
}

static void sort_out_calls(struct link *link, bool resumed, uint64_t last_tag)
{
	struct call *call, *next;

	TAILQ_FOREACH_SAFE(call, &link->calls, link, next) {
		int r = fate(link, call, resumed, last_tag);

		call->is_sent = false;
		if (r < 0)
			link_finish(link, call, r);
	}
	link->unsent = TAILQ_FIRST(&link->calls);
}

static void renumber_unsent(struct link *link)
{
	struct call *call;

	for (call = link->unsent; call; call = TAILQ_NEXT(call, link)) {
		call->tag = link->next_tag++;
		wire_set_tag(call->message, call->tag, call->repeats);
	}
}

static const char *refusal(int err)
{
	switch (err) {
	case -EDQUOT:
		return "this user has as many sessions as it may have";
	case -EPROTONOSUPPORT:
		return "the daemon and this library have no protocol version in common";
	case -EBUSY:
		return "the daemon has as many sessions as it can serve";
	default:
		return strerror(-err);
	}
}

/* The owner cannot go on with what this daemon serves, however often we connect. */
static int give_up(struct link *link, int err)
{
	close_socket(link);
	set_timer(link, 0);
	link->is_dead = true;
	link->error = err;
	fail_all(link, err);
	return 0;
}

/* Down again, with the owner's or the daemon's reason; calls go on waiting. */
static int refuse(struct link *link, int err, const char *what)
{
	struct why why;

	why_set(&why, err, "%s", what);
	relink_down(link, err, why.text);
	return 0;
}

/* The calls are sorted out: the owner takes its session up again, and what is left is to be sent. */
static int let_in(struct link *link, const struct wire_welcome *welcome, struct wire_reader *reader)
{
	int r = link->owner->welcomed(link->owner, welcome, reader, &link->why);

	if (r == -ENOMEM)
		return refuse(link, r, "no memory to take up the session again");
	if (r < 0)
		return r == -EPROTO ? r : give_up(link, r);
	renumber_unsent(link);
	link->state = LINK_UP;
	return 0;
}

static void take_features(struct link *link, const struct wire_welcome *welcome)
{
	link->repeats = welcome->features & WIRE_REPEATS;
	link->carves = welcome->features & WIRE_CARVES;
}

/* The session goes on; nobody noticed but us. */
int relink_taken_over(struct link *link, struct wire_reader *reader)
{
	struct wire_welcome welcome;

	if (wire_next_raw(reader, &welcome, sizeof(welcome)) != 1 || welcome.result != 0 || welcome.version != WIRE_VERSION ||
	    !welcome.resumed || welcome.session != link->session || welcome.nr_arenas != reader->left)
		return -EPROTO;
	take_features(link, &welcome);
	sort_out_received(link, welcome.last_tag, welcome.read_tag);
	return let_in(link, &welcome, reader);
}

int relink_welcome(struct link *link, struct wire_reader *reader)
{
	struct wire_welcome welcome;
	bool resumed;

	if (reader->header.opcode != WIRE_WELCOME || wire_next_raw(reader, &welcome, sizeof(welcome)) != 1)
		return -EPROTO;
	if (welcome.result < 0)
		return refuse(link, welcome.result, refusal(welcome.result));
	if (welcome.version != WIRE_VERSION || welcome.session == 0 || welcome.nr_arenas != reader->left)
		return -EPROTO;
	resumed = link->session != 0 && welcome.resumed && welcome.session == link->session;
	welcome.resumed = resumed;
	take_features(link, &welcome);
	sort_out_calls(link, resumed, resumed ? welcome.last_tag : 0);
	link->session = welcome.session;
	memcpy(link->token, welcome.token, sizeof(link->token));
	if (resumed && link->next_tag <= welcome.last_tag)
		link->next_tag = welcome.last_tag + 1;
	return let_in(link, &welcome, reader);
}

/* ---- time ---- */

/* Until when a call of the given deadline is kept now. */
static int64_t patience(const struct link *link, int64_t deadline_ns)
{
	int64_t grace = link->hello_ns + WELCOME_MS * MS;

	return link->state == LINK_HELLO && deadline_ns < grace ? grace : deadline_ns;
}

int64_t relink_tick(struct link *link)
{
	int64_t now = link_now(), next;
	struct call *call, *following;

	if (link->state == LINK_DOWN && now >= link->retry_ns && !link->is_dead) {
		relink_try(link);
		now = link_now();
	}
	next = link->state == LINK_DOWN ? link->retry_ns : INT64_MAX;
	TAILQ_FOREACH_SAFE(call, &link->calls, link, following) {
		int64_t until = patience(link, call->deadline_ns);

		if (until <= now)
			link_finish(link, call, -ENOTCONN);
		else if (until < next)
			next = until;
	}
	return next;
}

/* ---- from the first connection to the last ---- */

static int explain_connect(const struct link *link, int err)
{
	const char *path = link->params.path;

	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return error_set(err, "no daemon at %s: %s; is pmemarenad running?", path, strerror(-err));
	case -EACCES:
		return error_set(err, "not allowed to connect to %s: is this user in the group pmemarena?", path);
	case -EAGAIN:
	case -ETIMEDOUT:
		return error_set(-ENOTCONN, "the daemon at %s does not answer", path);
	case -ECONNRESET:
		return error_set(-ENOTCONN, "the daemon at %s hung up", path);
	default:
		return error_set(err, "%s: %s", path, link->why.text);
	}
}

/* Alone with the link: nobody else has it yet. A full backlog is a busy daemon; anything else is an answer. */
static int connect_first(struct link *link)
{
	uint32_t patience_ms = link->params.reconnect_ms > CONNECT_MS ? link->params.reconnect_ms : CONNECT_MS;
	int64_t until = link_now() + patience_ms * MS;

	relink_try(link);
	while (link->state == LINK_HELLO || (link->state == LINK_DOWN && link->error == -EAGAIN)) {
		if (link_now() >= until)
			return -ETIMEDOUT;
		link_step(link, NULL, until);
	}
	return link->state == LINK_UP ? 0 : link->error;
}

int link_init(struct link *link, const struct link_params *params, struct link_owner *owner)
{
	int r;

	*link = (struct link){ .params = *params, .owner = owner, .sock = -1, .next_tag = 1, .epoll_fd = -1, .timer_fd = -1,
			       .event_fd = -1, .spin_ns = params->busy_poll_us * UINT64_C(1000) };
	pthread_mutex_init(&link->lock, NULL);
	TAILQ_INIT(&link->calls);
	link->inbuf = aligned_alloc(8, WIRE_MAX);
	if (!link->inbuf)
		return error_set(-ENOMEM, "out of memory");
	pthread_mutex_lock(&link->lock);
	r = connect_first(link);
	pthread_mutex_unlock(&link->lock);
	return r < 0 ? explain_connect(link, r) : 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void link_fini(struct link *link)
{
	struct call *call, *next;

	close_socket(link);
	/* After a fork, the calls of the parent's other threads are in the list too: they are none of ours. */
	TAILQ_FOREACH_SAFE(call, &link->calls, link, next) {
		if (!call->waiter)
			link_finish(link, call, -ENOTCONN);
	}
	close_fd(link->epoll_fd);
	close_fd(link->timer_fd);
	close_fd(link->event_fd);
	free(link->inbuf);
	pthread_mutex_destroy(&link->lock);
}

int link_error(struct link *link, int err)
{
	const char *path = link->params.path;

	if (link->is_dead)
		return error_set(err, "%s", link->why.text);
	if (err == -ENOTCONN)
		return error_set(err, "the connection to %s is lost (%s) and could not be made again in %u ms, or %d daemons in a row "
				      "ended while they had this request: whether it was done is not known", path, link->why.text,
				 link->params.reconnect_ms, MAX_SENT);
	if (err == -ESTALE)
		return error_set(err, "the daemon at %s was replaced while this request was under way and cannot tell "
				      "what became of it: look, and ask again if need be", path);
	if (err == -EPROTO)
		return error_set(err, "%s does not keep the protocol of this library (version %d)", path, WIRE_VERSION);
	return error_set(err, "%s: %s", path, strerror(-err));
}
