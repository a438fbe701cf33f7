/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relink: what happens when a connection is lost, and what becomes of the calls that were under
 * way. This table is the rule. It says what happens to a call when a daemon answers again:
 *
 *	the call was                 session goes on             session is new
 *	---------------------------  --------------------------  --------------------------------
 *	not sent yet                 sent                        sent
 *	sent; it only looks, or can  sent again                  sent again
 *	  be done twice without harm
 *	sent, and certainly not done sent again                  -ESTALE; if idempotent sent again
 *	  (tag above last_tag)
 *	sent, and perhaps done       sent again as a repeat      -ESTALE; if idempotent sent again
 *
 * A call that is sent again gets a new tag, in the old order: tags only grow. A *repeat* names the
 * tag under which the call was sent first, and the daemon, which remembers what it did, does not do
 * it twice. If the daemon does not remember, the call ends with -ESTALE too: nobody can tell
 * whether it was done. A PIN is never a repeat: what it did stands in the window's pins, and its
 * sender asks anew.
 */
#include <config.h>

#include "lib/session/relink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/session/call.h"

#define MS INT64_C(1000000)
#define FIRST_BACKOFF_NS (1 * MS)
#define LAST_BACKOFF_NS  (200 * MS)
/*
 * A daemon that accepted the connection gets this long to send its WELCOME, even if the call's own
 * time is over.
 */
#define WELCOME_MS 1000

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
	case WIRE_WINDOW:
		return true;
	default:
		return false;
	}
}

/* ---- down ---- */

/*
 * Makes the descriptor of link_fd() readable at @at_ns, so that a program's event loop comes back
 * when it is time to connect again. 0: no timer.
 */
static void set_timer(struct link *link, int64_t at_ns)
{
	struct itimerspec spec = { .it_value = { at_ns / 1000000000, at_ns % 1000000000 } };

	if (link->timer_fd >= 0)
		timerfd_settime(link->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void relink_close_socket(struct link *link)
{
	if (link->sock >= 0)
		close(link->sock);      /* close() also removes the socket from the epoll set */
	link->sock = -1;
	link->state = LINK_DOWN;
}

/*
 * Chooses when to connect again: each wait is twice the last one, and differs a little from client
 * to client. Otherwise all clients would connect at the same instant when a daemon comes back.
 */
static void back_off(struct link *link)
{
	int64_t now = call_now(), backoff = link->backoff_ns * 2;

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
	int64_t now = call_now();
	struct call *call;

	relink_close_socket(link);
	link->error = why_set(&link->why, err == -ENOBUFS ? -ENOMEM : err, "%s", what);
	/*
	 * The first time the link connects again at once. If the daemon was lost again before it
	 * answered any call (backoff_ns is not 0), the link waits, or it would connect in a busy
	 * loop.
	 */
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
			call_finish(link, call, -EPROTO);
	}
	relink_down(link, -EPROTO, "the daemon does not keep the protocol");
}

static void fail_all(struct link *link, int err)
{
	struct call *call, *next;

	TAILQ_FOREACH_SAFE(call, &link->calls, link, next)
		call_finish(link, call, err);
}

/* ---- up again ---- */

static int say_hello(struct link *link)
{
	struct wire_hello hello = { .min_version = WIRE_VERSION,
				    .max_version = WIRE_VERSION,
				    .session = link->session,
				    .features = WIRE_REPEATS | WIRE_CARVES | WIRE_LENDS |
						WIRE_WINDOWS | WIRE_USAGES |
						WIRE_REPLACES | WIRE_ATTRIBUTES |
						WIRE_EVICTS | WIRE_CONTENTS |
						WIRE_WAITS | WIRE_BUNDLES |
						WIRE_SURVEYS };
	uint8_t message[sizeof(struct wire_header) + sizeof(hello)] __attribute__((aligned(8)));
	struct wire_writer writer;
	int r;

	memcpy(hello.secret, link->secret, sizeof(hello.secret));
	/*
	 * The buffer is smaller than WIRE_MAX, which the writer assumes. That is safe because this
	 * message has exactly one item of known size.
	 */
	wire_begin(&writer, message, WIRE_HELLO, 0);
	r = wire_add_raw(&writer, &hello, sizeof(hello));
	if (r < 0)
		return r;
	return conn_send(link->sock, message, wire_end(&writer), NULL, 0);
}

int relink_watch(struct link *link, int fd, struct why *why)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (link->epoll_fd < 0 || epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return why_set(why, -errno, "%s",
		       errno == ENOSPC
			       ? "this user watches as many descriptors with epoll(7) as it may: "
				 "close some, or raise fs.epoll.max_user_watches (sysctl)"
			       : error_text(-errno));
}

/*
 * Begins to talk on @sock, which was just connected. 0, or a negative errno with the reason in
 * @why.
 */
static int use_socket(struct link *link, int sock, struct why *why)
{
	int r;

	link->sock = sock;
	/*
	 * Makes the socket blocking, so that a wait for a reply is one system call. Calls that must
	 * not block pass MSG_DONTWAIT.
	 */
	if (fcntl(sock, F_SETFL, 0) < 0)
		return why_set(why, -errno, "%s", error_text(-errno));
	r = relink_watch(link, sock, why);
	if (r < 0)
		return r;
	r = say_hello(link);
	return r < 0 ? why_set(why, r, "%s", error_text(r)) : 0;
}

int relink_try(struct link *link)
{
	int r = conn_connect(link->params.path, SOCK_SEQPACKET);

	if (r >= 0)
		r = use_socket(link, r, &link->why);
	else
		why_set(&link->why, r, "%s", error_text(r));
	if (r < 0) {
		relink_close_socket(link);
		back_off(link);
		link->error = r == -ENOBUFS ? -ENOMEM : r;
		return link->error;
	}
	link->state = LINK_HELLO;
	link->hello_ns = call_now();
	set_timer(link, 0);
	return 0;
}

/*
 * The call may have been done under its tag: it is sent again as a repeat of that tag. If it was a
 * repeat already, it keeps the tag of its first sending, since only that one may have been done.
 */
static void make_repeat(struct call *call)
{
	if (!call->repeats)
		call->repeats = call->tag;
}

/*
 * Applies the rule at the head of this file. 0: send the call again; or the error with which it
 * ends. @last_tag: the highest tag that may have had an effect, 0 in a new session.
 */
static int fate(const struct link *link, struct call *call, bool resumed, uint64_t last_tag)
{
	/*
	 * Calls without a waiter are made by the library to restore a session; the owner makes new
	 * ones for each connection. And a call that RELINK_MAX_SENT daemons did not survive is not
	 * sent to another: perhaps it was the cause.
	 */
	if (!call->waiter || call->nr_sent >= RELINK_MAX_SENT)
		return -ENOTCONN;
	if (is_repeatable(call->opcode))
		return 0;
	if (!call->is_sent && (resumed || !call->repeats))
		return 0;
	if (resumed && call->tag > last_tag)
		return 0;
	if (resumed && link->repeats && call->is_remembered && call->opcode != WIRE_PIN) {
		make_repeat(call);
		return 0;
	}
	call->repeats = 0;
	return call->is_idempotent ? 0 : -ESTALE;
}

/*
 * A new daemon took over this very connection. Calls that the old daemon had received (tag up to
 * @read_tag) are treated by the rule at the head of this file. Later ones are still in the socket,
 * and the new daemon will answer them.
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
			call_finish(link, call, r);
			continue;
		}
		TAILQ_REMOVE(&link->calls, call, link);
		TAILQ_INSERT_TAIL(&again, call, link);
		call->is_sent = false;
	}
	/*
	 * The calls to be sent again go behind all that is sent, and before what is not sent yet.
	 * The list is read backwards so that their order stays.
	 */
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
			call_finish(link, call, r);
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
	case -EOVERFLOW:
		return "the daemon runs in a user namespace in which this user or its group has no "
		       "number, so that it cannot tell it from others: map it "
		       "there (subuid(5), subgid(5)), or run the daemon where it has one";
	case -EBUSY:
		return "the daemon has as many sessions as it can serve";
	default:
		return strerror(-err);
	}
}

/*
 * The owner cannot use what this daemon serves (other arenas), and connecting again would not
 * change that: ends the link and all its calls with @err.
 */
static int give_up(struct link *link, int err)
{
	relink_close_socket(link);
	set_timer(link, 0);
	link->is_dead = true;
	link->error = err;
	fail_all(link, err);
	return 0;
}

/*
 * The owner or the daemon refuses this session for now: the link goes down with the reason @what,
 * and calls go on waiting for the next connection.
 */
static int refuse(struct link *link, int err, const char *what)
{
	struct why why;

	why_set(&why, err, "%s", what);
	relink_down(link, err, why.text);
	return 0;
}

/*
 * Lets the owner restore its session, gives new tags to the calls that are to be sent again, and
 * declares the link up. To be called when the calls are sorted out. 0, or -EPROTO.
 */
static int let_in(struct link *link, const struct wire_welcome *welcome, struct wire_reader *reader)
{
	int r = link->owner->welcomed(link->owner, welcome, reader, &link->why);

	if (r == -ENOMEM)
		return refuse(link, r, error_text(r));
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
	link->lends = welcome->features & WIRE_LENDS;
	link->windows = welcome->features & WIRE_WINDOWS;
	link->usages = welcome->features & WIRE_USAGES;
	link->waits = welcome->features & WIRE_WAITS;
	link->replaces = welcome->features & WIRE_REPLACES;
	link->attributes = welcome->features & WIRE_ATTRIBUTES;
	link->evicts = welcome->features & WIRE_EVICTS;
	link->bundles = welcome->features & WIRE_BUNDLES;
	link->surveys = welcome->features & WIRE_SURVEYS;
	link->contents = welcome->features & WIRE_CONTENTS;
}

/*
 * Handles a WELCOME on a link that is up: another daemon has the connection now and goes on with
 * the session. The program notices nothing. 0, or -EPROTO.
 */
int relink_taken_over(struct link *link, struct wire_reader *reader)
{
	struct wire_welcome welcome;

	if (wire_next_raw(reader, &welcome, sizeof(welcome)) != 1 || welcome.result != 0 ||
	    welcome.version != WIRE_VERSION || !welcome.resumed ||
	    welcome.session != link->session || welcome.nr_arenas != reader->left)
		return -EPROTO;
	take_features(link, &welcome);
	why_set(&link->why, 0, "another daemon took over");
	sort_out_received(link, welcome.last_tag, welcome.read_tag);
	return let_in(link, &welcome, reader);
}

int relink_welcome(struct link *link, struct wire_reader *reader)
{
	struct wire_welcome welcome;
	bool resumed;

	if (reader->header.opcode != WIRE_WELCOME ||
	    wire_next_raw(reader, &welcome, sizeof(welcome)) != 1)
		return -EPROTO;
	if (welcome.result < 0)
		return refuse(link, welcome.result, refusal(welcome.result));
	if (welcome.version != WIRE_VERSION || welcome.session == 0 ||
	    welcome.nr_arenas != reader->left)
		return -EPROTO;
	resumed = link->session != 0 && welcome.resumed && welcome.session == link->session;
	welcome.resumed = resumed;
	take_features(link, &welcome);
	sort_out_calls(link, resumed, resumed ? welcome.last_tag : 0);
	link->session = welcome.session;
	memcpy(link->secret, welcome.secret, sizeof(link->secret));
	if (resumed && link->next_tag <= welcome.last_tag)
		link->next_tag = welcome.last_tag + 1;
	return let_in(link, &welcome, reader);
}

/* ---- time ---- */

/* Returns until when a call with the given deadline is kept, in the link's present state. */
static int64_t patience(const struct link *link, int64_t deadline_ns)
{
	int64_t grace = link->hello_ns + WELCOME_MS * MS;

	return link->state == LINK_HELLO && deadline_ns < grace ? grace : deadline_ns;
}

int64_t relink_tick(struct link *link)
{
	int64_t now = call_now(), next;
	struct call *call, *following;

	if (link->state == LINK_DOWN && now >= link->retry_ns && !link->is_dead) {
		relink_try(link);
		now = call_now();
	}
	next = link->state == LINK_DOWN ? link->retry_ns : INT64_MAX;
	TAILQ_FOREACH_SAFE(call, &link->calls, link, following) {
		int64_t until = patience(link, call->deadline_ns);

		if (until <= now)
			call_finish(link, call, -ENOTCONN);
		else if (until < next)
			next = until;
	}
	return next;
}
