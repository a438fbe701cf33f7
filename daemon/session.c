/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: one connected client. Receives a message, has it carried out, sends the reply. It knows nothing of what a message
 * asks for.
 *
 * A session whose replies do not fit into its socket is not read from until they do; one with too many messages that wait for
 * space neither.
 */
#include <config.h>

#include "daemon/session_internal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/greeting.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/operation.h"

/* A share of one wake-up, messages and items: then the others have their turn. Alone there is nobody to wait for us. */
#define TURN_SHARED   32
#define TURN_ALONE    256
/* Items of one message at a time, when there are others: some microseconds. */
#define SLICE_ITEMS   16
/* For so many wake-ups a client that sends one message at a time is not looked at for a second one: that look is a system call. */
#define SINGLES       16

/* ---- sending ---- */

void session_update(struct session *session)
{
	bool wanted = outbox_is_empty(&session->outbox) && session->nr_waiting < SESSION_WAITING_MAX && !session->slice &&
		      !session->sessions->is_stopping;

	if (wanted == session->is_reading)
		return;
	session->is_reading = wanted;
	if (wanted)
		event_add(&session->readable, NULL);
	else
		event_del(&session->readable);
}

/* ETOOMANYREFS and the like come from a socket that is writable: waiting for that would spin. */
static void await_room(struct session *session)
{
	if (session->outbox.full == -EAGAIN) {
		event_add(&session->writable, NULL);
	} else if (!session->is_resting) {
		session->is_resting = true;
		session->sessions->nr_resting++;
	}
}

/* 0: sent, or will be. -errno: the other end is gone. Takes the descriptors. */
static int send_reply(struct session *session, const uint8_t *buf, size_t length, const int *fds, int nr_fds)
{
	int r = -EAGAIN;

	if (nr_fds == 0 && outbox_is_empty(&session->outbox))
		r = conn_send_plain(session->sock, buf, length);
	if (r < 0)
		r = outbox_send(&session->outbox, session->sock, buf, length, fds, nr_fds);
	if (r <= 0)
		return r;
	await_room(session);
	session_update(session);
	return 0;
}

static int send_lost(struct session *session)
{
	struct desk *desk = session->sessions->desk;
	int r;

	if (!session->has_lost)
		return 0;
	r = outbox_try(&session->outbox, session->sock, desk->spare, request_encode_lost(desk->spare));
	if (r == 0)
		session->has_lost = false;
	return r;
}

/*
 * What was handed to the socket the client has, also if this daemon is killed now: it need not be remembered. What waits here, in the
 * daemon's memory, would be lost.
 */
static void forget_told(struct session *session, const struct job *job)
{
	struct service *service = session->sessions->service;
	bool has_untold = session->nr_waiting > 0 || session->slice;

	if (!outbox_is_empty(&session->outbox))
		return;
	if (!has_untold)
		client_forget_told(&session->client, service);
	if (job && (has_untold || job->is_repeat))
		client_forget(&session->client, service, job->first_tag);
}

int session_flush(struct session *session)
{
	int r;

	r = outbox_flush(&session->outbox, session->sock);
	if (r == 0)
		forget_told(session, NULL);
	if (r == 0)
		r = send_lost(session);
	if (r > 0)
		await_room(session);
	session_update(session);
	return r < 0 ? r : 0;
}

int session_answer(struct session *session, const struct job *job, uint64_t since_ns)
{
	struct counters *counters = &session->sessions->service->counters;
	int r;

	r = send_reply(session, job->reply.buf, job->reply.length, job->fds, job->nr_fds);
	if (operation_changes(job->opcode))
		forget_told(session, job);
	if (since_ns)
		histogram_add(&counters->latency[job->opcode], service_now_ns() - since_ns);
	request_tell(job);
	return r;
}

/* ---- hello ---- */

int session_charge(struct session *session)
{
	struct why why;
	int r;

	if (session->is_charged)
		return 0;
	r = quota_charge(session->sessions->service->quota, session->client.uid, QUOTA_SESSIONS, 1, &why);
	if (r < 0) {
		log_info("a session of uid %" PRIu32 " is refused: %s", session->client.uid, why.text);
		return r;
	}
	session->is_charged = true;
	return 0;
}

static void welcome(struct session *session)
{
	session->unwelcome = 0;
	session->sessions->nr_unwelcome--;
	session->sessions->nr++;
}

/* What was over a limit when it connected may fit now. */
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

/* A session that was admitted once is not refused when it comes back: it has things here. */
static void welcome_back(struct session *session)
{
	if (!session->is_charged)
		session->is_charged = quota_charge_anyway(session->sessions->service->quota, session->client.uid, QUOTA_SESSIONS, 1) == 0;
	if (session->unwelcome)
		welcome(session);
}

static bool resume(struct session *session, const struct wire_hello *hello)
{
	struct seat *seat = roster_resume(session->sessions->service->roster, hello->session, hello->token, session->client.uid);

	if (!seat)
		return false;
	sessions_take_over(session, seat);
	session->client.seat = seat;
	welcome_back(session);
	return true;
}

static int greet(struct session *session, size_t length)
{
	struct desk *desk = session->sessions->desk;
	struct wire_hello hello;
	bool resumed = false;
	int refusal, r;

	r = greeting_read(&hello, desk->in, length);
	if (r < 0)
		return r;
	if (greeting_is_understood(&hello)) {
		resumed = resume(session, &hello);
		welcome_if_possible(session);
		refusal = session->unwelcome;
	} else {
		refusal = -EPROTONOSUPPORT;
	}
	length = greeting_answer(&r, desk->out, session->sessions->service, &session->client, &hello, resumed, refusal);
	if (r == 0) {
		sessions_move_to_greeted(session);
		if (resumed)            /* its earlier connection, if that was kept */
			notify_forget(session->client.seat->number);
		notify_store(session->client.seat->number, session->sock);
	}
	if (send_reply(session, desk->out, length, NULL, 0) < 0)
		return -ECONNRESET;
	/* A refusal is a reply; after it the connection ends. */
	return r < 0 ? -ECONNREFUSED : 1;
}

int session_go_on(struct session *session, struct seat *seat)
{
	struct desk *desk = session->sessions->desk;
	size_t length;
	int r;

	session->client.seat = seat;
	welcome_back(session);
	length = greeting_answer(&r, desk->out, session->sessions->service, &session->client, NULL, true, 0);
	if (r < 0)
		return r;
	sessions_move_to_greeted(session);
	r = send_reply(session, desk->out, length, NULL, 0);
	session_update(session);
	return r;
}

/* ---- messages ---- */

static bool is_alone(const struct session *session)
{
	return session->sessions->service->nr_sessions <= 1;
}

static struct job job_of(struct session *session, size_t length)
{
	struct sessions *sessions = session->sessions;

	return (struct job){
		.service = sessions->service,
		.client = &session->client,
		.desk = sessions->desk,
		.message = sessions->desk->in,
		.length = length,
		.slice = is_alone(session) ? 0 : SLICE_ITEMS,
	};
}

/* Before anything comes of it: whoever goes on with this connection knows where in the stream it is. */
static void note_read(struct session *session, const struct job *job)
{
	const struct wire_header *header = (const struct wire_header *)(const void *)job->message;

	if (job->length >= sizeof(*header))
		__atomic_store_n(&session->client.seat->read_tag, le64toh(header->tag), __ATOMIC_RELEASE);
}

/* There is no space yet: it waits, or is told so where it cannot. */
static int wait_or_refuse(struct session *session, struct job *job, uint64_t since_ns)
{
	if (session_wait(session, job, since_ns) == 0) {
		session->sessions->service->counters.parked++;
		request_tell(job);
		return -EAGAIN;
	}
	job->must_not_wait = true;
	job->slice = 0;
	return request_run(job);
}

int session_conclude(struct session *session, struct job *job, uint64_t since_ns, int r)
{
	if (r == 1 && session_slice(session, job, since_ns) == 0) {
		request_tell(job);
		return 0;
	}
	if (r == 1) {           /* no memory to put it aside */
		job->slice = 0;
		r = request_run(job);
	}
	if (r == -EAGAIN)
		r = wait_or_refuse(session, job, since_ns);
	if (r == 0)
		return session_answer(session, job, since_ns);
	return r == -EAGAIN ? 0 : r;
}

/* One message. Returns how many items of it were done, and one for itself, or -errno: the session must end. */
static int handle(struct session *session, size_t length)
{
	struct job job = job_of(session, length);
	bool is_timed = session->sessions->service->counters.messages % COUNTERS_TIMED_EACH == 0;
	uint64_t since_ns = is_timed ? service_now_ns() : 0;
	int r;

	session->nr_messages++;
	note_read(session, &job);
	r = session_conclude(session, &job, since_ns, request_run(&job));
	return r < 0 ? r : (int)job.nr_done + 1;
}

/* > 0: items handled. 0: nothing there (any more), or not to be read from now. -errno: the session must end. */
static int receive(struct session *session)
{
	struct sessions *sessions = session->sessions;
	ssize_t n;

	if (!session->is_reading)
		return 0;
	n = conn_recv_none(session->sock, sessions->desk->in, WIRE_MAX, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return 0;
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return (int)n;
	return session->is_greeted ? handle(session, (size_t)n) : greet(session, (size_t)n);
}

static void complain(const struct session *session, int r)
{
	if (r == -EPROTO || r == -EMSGSIZE) {
		session->sessions->service->counters.protocol_errors++;
		log_info("a client of uid %" PRIu32 " (pid %d) does not keep the protocol and is hung up on", session->client.uid, session->pid);
	} else if (r == -ENOMEM) {
		log_error("out of memory: a client of uid %" PRIu32 " is hung up on", session->client.uid);
	}
}

/* In one piece: once the client has had the processor, each return from a call is mispredicted. */
__attribute__((flatten)) static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct session *session = arg;
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
	if (r < 0) {
		complain(session, r);
		session_end(session);
		return; /* session is gone from here on */
	}
	if (messages == 1 && turn > 1)
		session->nr_singles = SINGLES;
}

static void on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct session *session = arg;

	if (session_flush(session) < 0)
		session_end(session);
	/* session may be gone from here on */
}

/* ---- begin and end ---- */

int session_new(struct session **out, struct sessions *sessions, int sock, const struct conn_peer *peer)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session || client_init(&session->client, peer) < 0) {
		free(session);
		close(sock);
		return -ENOMEM;
	}
	session->sessions = sessions;
	session->sock = sock;
	session->pid = peer->pid;
	session->since_ns = service_now_ns();
	outbox_init(&session->outbox);
	event_assign(&session->readable, sessions->base, sock, EV_READ | EV_PERSIST, on_readable, session);
	event_assign(&session->writable, sessions->base, sock, EV_WRITE, on_writable, session);
	*out = session;
	return 0;
}

static void remove_from_list(struct session *session)
{
	struct sessions *sessions = session->sessions;

	if (session->is_greeted) {
		TAILQ_REMOVE(&sessions->greeted, session, link);
		sessions->service->nr_sessions--;
	} else {
		TAILQ_REMOVE(&sessions->strangers, session, link);
	}
	if (session->unwelcome)
		sessions->nr_unwelcome--;
	else
		sessions->nr--;
}

void session_free(struct session *session)
{
	struct sessions *sessions = session->sessions;

	event_del(&session->readable);
	event_del(&session->writable);
	close(session->sock);
	remove_from_list(session);
	session_forget_waiting(session);
	session_forget_slice(session);
	outbox_fini(&session->outbox);
	if (session->is_resting)
		sessions->nr_resting--;
	if (session->is_charged)
		quota_return(sessions->service->quota, session->client.uid, QUOTA_SESSIONS, 1);
	client_fini(&session->client);
	free(session);
}

void session_end(struct session *session)
{
	struct service *service = session->sessions->service;
	struct client client;

	if (!session->is_greeted) {
		/* It has nothing here; or it came back, could not be taken, and may try again. */
		session_free(session);
		return;
	}
	/* The service manager has a copy until it hears of it: closing ours alone would not be seen. */
	shutdown(session->sock, SHUT_RDWR);
	notify_forget(session->client.seat->number);
	/* Leaving tells others what happened: this one must be off the list by then. */
	client = session->client;
	memset(&session->client, 0, sizeof(session->client));
	session->client.uid = client.uid;
	session_free(session);
	client_leave(&client, service);
	client_fini(&client);
}
