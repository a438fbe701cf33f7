/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: one connected client. It receives a message, has it carried out (session_job.c), and the
 * reply is sent (session_reply.c). It does not know what a message asks for.
 *
 * A client that does not read its replies, or has too many messages waiting for space, is not read
 * from: its own socket fills up and it blocks, instead of the daemon's memory growing. A seat is a
 * session's entry in the roster, the file of sessions that outlives the daemon.
 */
#include <config.h>

#include "daemon/serve/session_internal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/serve/greeting.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/serve/operation.h"
#include "daemon/serve/serve_trace.h"
#include "daemon/serve/stranger.h"

/*
 * The most that one wake-up of one session may do, in messages plus their items. TURN_SHARED holds
 * when other sessions exist, which wait meanwhile; TURN_ALONE when this is the only one, and bounds
 * only how long timers and administrators wait.
 */
#define TURN_SHARED   32
#define TURN_ALONE    256
/*
 * With other sessions connected, a message is carried out so many items at a time, which takes some
 * microseconds. Else a message of many items would stop everybody else for its whole length.
 */
#define SLICE_ITEMS   16
/*
 * After a wake-up that found exactly one message, the next SINGLES wake-ups read one message only.
 * A client that waits for each reply has no second message, and looking for one costs a system call
 * for each request.
 */
#define SINGLES       16

/* ---- hello ---- */

int session_charge(struct session *session)
{
	struct why why;
	int r;

	if (session->is_charged)
		return 0;
	r = quota_charge(session->sessions->service->quota, session->client.uid, QUOTA_SESSIONS, 1,
			 &why);
	if (r < 0) {
		if (service_may_log(session->sessions->service, LOG_KIND_REFUSED,
				    session->client.uid))
			log_info("a session of uid %" PRIu32 " is refused: %s", session->client.uid,
				 why.text);
		return r;
	}
	session->is_charged = true;
	return 0;
}

/* Admits @session: counts it among the welcome connections instead of the unwelcome. */
static void welcome(struct session *session)
{
	session->unwelcome = 0;
	session->sessions->nr_unwelcome--;
	session->sessions->nr++;
}

/*
 * Tries once more to admit a connection that was over a limit when it connected: by the time of its
 * HELLO another session may have ended.
 */
static void welcome_if_possible(struct session *session)
{
	int r;

	if (!session->unwelcome)
		return;
	r = sessions_have_room(session->sessions) ? session_charge(session) : -EBUSY;
	if (r == 0)
		welcome(session);
	else
		session->unwelcome = r;
}

/*
 * A session that comes back was admitted before and holds things here: it is admitted also over the
 * quota and over max-sessions, since a refusal would lose what it holds.
 */
static void welcome_back(struct session *session)
{
	if (!session->is_charged)
		session->is_charged =
			quota_charge_anyway(session->sessions->service->quota, session->client.uid,
					    QUOTA_SESSIONS, 1) == 0;
	if (session->unwelcome)
		welcome(session);
}

/*
 * Lets @session take up the seat that @hello names. Returns false when the roster has no such seat,
 * the secret is wrong or the user is another one: then the client gets a new session.
 */
static bool resume(struct session *session, const struct wire_hello *hello)
{
	struct seat *seat = roster_resume(session->sessions->service->roster, hello->session,
					  hello->secret, session->client.uid);

	if (!seat)
		return false;
	sessions_take_over(session, seat);
	session->client.seat = seat;
	welcome_back(session);
	return true;
}

static void tell_greeted(const struct session *session, bool resumed)
{
	if (resumed)
		serve_trace_resumed(session, false);
	else
		serve_trace_begun(session);
}

/* A client is told a number; why this daemon cannot serve it is for whoever runs the daemon. */
static void complain_of_refusal(const struct session *session, int r)
{
	if (!session->is_unknown && r != -EPROTONOSUPPORT && r != -EDQUOT && r != -EBUSY &&
	    service_may_log(session->sessions->service, LOG_KIND_REFUSED, session->client.uid))
		log_warning("a session of uid %" PRIu32 " cannot be begun: %s", session->client.uid,
			    strerror(-r));
}

/*
 * Answers the first message (HELLO) of a connection. Returns 1 when the session is greeted; -errno
 * when the connection must end: -EPROTO it was no HELLO, -ECONNREFUSED it was refused and told so,
 * -ECONNRESET the answer could not be sent.
 */
static int greet(struct session *session, size_t length)
{
	struct desk *desk = session->sessions->desk;
	struct wire_hello hello;
	bool resumed = false;
	int refusal, r;

	r = greeting_read(&hello, session->sessions->service->inbox->message, length);
	if (r < 0)
		return r;
	if (session->is_unknown) {
		refusal = session->unwelcome;
	} else if (greeting_is_understood(&hello)) {
		resumed = resume(session, &hello);
		welcome_if_possible(session);
		refusal = session->unwelcome;
	} else {
		refusal = -EPROTONOSUPPORT;
	}
	length = greeting_answer(&r, desk->out, session->sessions->service, &session->client,
				 &hello, resumed, refusal);
	if (r == 0) {
		sessions_move_to_greeted(session);
		tell_greeted(session, resumed);
		/*
		 * The service manager may hold a copy of the session's earlier connection: it drops
		 * that before it gets the new one.
		 */
		if (resumed)
			notify_forget(session->client.seat->number);
		notify_store(session->client.seat->number, session->sock);
	} else {
		serve_trace_refused(session, r);
		complain_of_refusal(session, r);
	}
	if (session_send(session, desk->out, length, NULL, 0) < 0)
		return -ECONNRESET;
	/* The client gets its refusal as a reply; then this error ends the connection. */
	return r < 0 ? -ECONNREFUSED : 1;
}

int session_go_on(struct session *session, struct seat *seat)
{
	struct desk *desk = session->sessions->desk;
	uint64_t taken = inbox_taken(session->sessions->service->inbox, seat->number);
	size_t length;
	int r;

	/* The daemon before may have been killed between taking a message and noting it. */
	if (taken > seat->read_tag)
		__atomic_store_n(&seat->read_tag, taken, __ATOMIC_RELEASE);
	session->client.seat = seat;
	welcome_back(session);
	length = greeting_answer(&r, desk->out, session->sessions->service, &session->client, NULL,
				 true, 0);
	if (r < 0)
		return r;
	sessions_move_to_greeted(session);
	serve_trace_resumed(session, true);
	r = session_send(session, desk->out, length, NULL, 0);
	session_update(session);
	return r;
}

/* ---- messages ---- */

static bool is_alone(const struct session *session)
{
	return session->sessions->service->nr_sessions <= 1;
}

static struct job job_of(struct session *session, size_t length, int stranger_fd)
{
	struct sessions *sessions = session->sessions;

	return (struct job){
		.service = sessions->service,
		.client = &session->client,
		.desk = sessions->desk,
		.message = sessions->service->inbox->message,
		.length = length,
		.slice = is_alone(session) ? 0 : SLICE_ITEMS,
		.stranger_fd = stranger_fd,
	};
}

/*
 * Stores the tag (the client's number for the message) in the session's seat before the message is
 * carried out. If the daemon is killed now, the next daemon goes on with the same connection and
 * must know up to which message the stream was read.
 */
static void note_read(struct session *session, const struct job *job)
{
	const struct wire_header *header = (const struct wire_header *)(const void *)job->message;

	if (job->length >= sizeof(*header))
		__atomic_store_n(&session->client.seat->read_tag, le64toh(header->tag),
				 __ATOMIC_RELEASE);
}

/*
 * Carries out the message of @length bytes in the inbox. Returns the number of items done plus one
 * for the message, or -errno: then the session must end.
 */
static int handle(struct session *session, size_t length, int stranger_fd)
{
	struct job job = job_of(session, length, stranger_fd);
	bool is_timed = session->sessions->service->counters.messages % COUNTERS_TIMED_EACH == 0;
	uint64_t since_ns = is_timed ? service_now_ns() : 0;
	int r;

	session->nr_messages++;
	note_read(session, &job);
	r = session_run(session, &job, since_ns);
	return r < 0 ? r : (int)job.nr_done + 1;
}

/*
 * Receives a message. A session that may take up a window may send a descriptor with that request.
 * For all others the kernel drops descriptors, and the session ends.
 */
static ssize_t receive_message(struct session *session, int *stranger_fd)
{
	struct inbox *inbox = session->sessions->service->inbox;
	void *in = inbox->message;
	ssize_t length;
	int nr = 0;

	*stranger_fd = -1;
	inbox_expect(inbox, session->is_greeted ? session->client.seat->number : 0);
	if (!session->is_greeted || !(session->client.seat->features & WIRE_WINDOWS))
		return conn_recv_none(session->sock, in, WIRE_MAX, MSG_DONTWAIT);
	if (!stranger_is_welcome()) {
		length = conn_recv_none(session->sock, in, WIRE_MAX, MSG_DONTWAIT);
		/*
		 * The process is out of descriptors, so that the client's could not be received:
		 * that is no fault of the client.
		 */
		return length == -EPROTO ? -EMFILE : length;
	}
	return conn_recv(session->sock, in, WIRE_MAX, stranger_fd, 1, &nr);
}

/*
 * Reads one message and handles it. Returns a number > 0 of items handled; 0 when there is no
 * message, or the session is not to be read from; -errno: then the session must end.
 */
static int receive(struct session *session)
{
	int stranger_fd, r;
	ssize_t n;

	if (!session->is_reading)
		return 0;
	n = receive_message(session, &stranger_fd);
	if (n == -EAGAIN)
		return 0;
	/*
	 * The message stays in the socket, and the session rests. A connection that is not greeted
	 * ends: it holds nothing, and a tick does not look at it again.
	 */
	if ((n == -ENOMEM || n == -ENOBUFS) && session->is_greeted) {
		session_pause(session);
		return 0;
	}
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return (int)n;
	r = session->is_greeted ? handle(session, (size_t)n, stranger_fd)
				: greet(session, (size_t)n);
	if (stranger_fd >= 0)
		stranger_close(stranger_fd);
	return r;
}

/*
 * Counts and logs why a client is hung up on, where that is the client's fault or the daemon's. A
 * client that hung up by itself is no fault.
 */
static void complain(const struct session *session, int r)
{
	if (r == -EPROTO || r == -EMSGSIZE) {
		session->sessions->service->counters.protocol_errors++;
		if (service_may_log(session->sessions->service, LOG_KIND_PROTOCOL,
				    session->client.uid))
			log_info("a client of uid %" PRIu32
				 " (pid %d) does not keep the protocol and is hung up on",
				 session->client.uid, session->pid);
	} else if (r != -ECONNRESET && r != -EPIPE && r != -ECONNREFUSED) {
		log_error("a client of uid %" PRIu32 " is hung up on: %s", session->client.uid,
			  strerror(-r));
	}
}

/*
 * Reads messages until the socket is empty or the wake-up's share (TURN_SHARED or TURN_ALONE) is
 * used up. Returns what the last receive() returned.
 */
static inline int receive_some(struct session *session)
{
	int messages = 0, items = 0, r = 1, turn = is_alone(session) ? TURN_ALONE : TURN_SHARED;

	if (session->nr_singles > 0) {
		session->nr_singles--;
		turn = 1;
	}
	while (items < turn) {
		r = receive(session);
		if (r <= 0)
			break;
		messages++;
		items += r;
	}
	if (messages == 1 && turn > 1 && r == 0)
		session->nr_singles = SINGLES;
	return r;
}

/*
 * As receive_some(), for when several users compete: looks at the clock after each message, and
 * stops when the user's share of this round is used up.
 */
static int receive_in_turn(struct session *session)
{
	int r = 1;

	for (int i = 0; i < TURN_SHARED && r > 0 && session_has_turn(session); i++) {
		uint64_t begun_ns = turn_begin(session->sessions);

		r = receive(session);
		turn_end(session->sessions, session->party, begun_ns);
	}
	return r;
}

static void end_after(struct session *session, int r)
{
	struct sessions *sessions = session->sessions;
	struct party *party = session->party;
	uint64_t begun_ns = turn_begin(sessions);

	complain(session, r);
	/*
	 * Counts this function as a user of the account: session_end() would else free it with the
	 * user's last connection, and turn_end() below still charges the time to it.
	 */
	party->nr++;
	session_end(session, r);
	turn_end(sessions, party, begun_ns);
	party_put(&sessions->parties, party);
}

void session_serve(struct session *session)
{
	int r = receive_in_turn(session);

	if (r < 0)
		end_after(session, r);  /* frees the session */
	else if (r > 0)
		session_defer(session);
	else
		session_undefer(session);
}

/*
 * flatten: the compiler puts all functions called from here into this one. Each request sleeps in
 * the kernel until the client answers; the client's run replaces the processor's stack of return
 * addresses, so that every return of a nested call afterwards is predicted wrongly and costs time.
 */
__attribute__((flatten)) static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct session *session = arg;
	int r;

	if (parties_compete(&session->sessions->parties)) {
		session_serve(session);
		return; /* the session may have been freed */
	}
	r = receive_some(session);
	if (r < 0)
		end_after(session, r);
	/* The session may have been freed here. */
}

static void on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct session *session = arg;

	int r = session_flush(session);

	if (r < 0) {
		complain(session, r);
		session_end(session, r);
	}
	/* The session may have been freed here. */
}

/* ---- begin and end ---- */

void session_hang_up(int sock)
{
	shutdown(sock, SHUT_RDWR);
	close(sock);
}

int session_new(struct session **out, struct sessions *sessions, int sock,
		const struct conn_peer *peer)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session || client_init(&session->client, peer) < 0) {
		free(session);
		session_hang_up(sock);
		return -ENOMEM;
	}
	if (party_get(&session->party, &sessions->parties, peer->uid) < 0) {
		client_fini(&session->client);
		free(session);
		session_hang_up(sock);
		return -ENOMEM;
	}
	client_admit(&session->client, sessions->service);
	session->sessions = sessions;
	session->sock = sock;
	session->pid = peer->pid;
	session->since_ns = service_now_ns();
	outbox_init(&session->outbox);
	event_assign(&session->readable, sessions->base, sock, EV_READ | EV_PERSIST, on_readable,
		     session);
	event_assign(&session->writable, sessions->base, sock, EV_WRITE, on_writable, session);
	*out = session;
	return 0;
}
