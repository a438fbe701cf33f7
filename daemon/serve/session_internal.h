/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_internal: the state of one connection and of all connections, shared by the files
 * session*.c of this folder and by serve_trace. No other file includes this header.
 *
 * Words. A session is what one program has with the daemon from its first message until it ends; it
 * can outlive a connection. Its seat is its entry in the roster, the file in which the daemon keeps
 * all sessions across its own restarts. A holder is a session's part in one arena: what it has open
 * or reserved there. A stranger is a connection whose program has not sent its first message
 * (HELLO) yet; a greeted session has. A party is one user with all of its connections. A desk is
 * the one set of message buffers that all sessions use in turn. A slice is a message of many items
 * that is carried out a few items at a time. A lease is space that one program reserved ahead of
 * need and that others may ask back.
 */
#ifndef PMEMARENA_SESSION_INTERNAL_H
#define PMEMARENA_SESSION_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <bsd/sys/queue.h>

#include "daemon/serve/client.h"
#include "daemon/serve/outbox.h"
#include "daemon/serve/party.h"
#include "daemon/serve/request.h"
#include "daemon/serve/session.h"

/*
 * A session may have this many messages that wait for space. The daemon does not read from a
 * session that has reached the number: its memory would grow with what a client sends.
 */
#define SESSION_WAITING_MAX 4
/*
 * A session may wait for so many names at a time. It is read from meanwhile, as a wait may be long,
 * and further ones are refused.
 */
#define SESSION_AWAITING_MAX 32
/*
 * A user may wait for so many names at a time, in all of its sessions: every change is compared
 * with all of them, so that without a bound one user could make all others slow.
 */
#define PARTY_AWAITING_MAX   256

struct session;

/*
 * A message of many items of which some have been carried out. It lies in sessions.slices until it
 * is its turn again.
 */
struct slice {
	TAILQ_ENTRY(slice) link;        /* link in sessions.slices */
	struct session *session;        /* borrowed; the session owns this slice */
	struct job job;
	uint64_t since_ns;
	/* The message, padded to a multiple of 8, then WIRE_MAX bytes in which the reply grows. */
	uint8_t  bytes[] __attribute__((aligned(8)));
};

/*
 * A message of which an item needs space that is not clean, or not given back, yet; or a name that
 * is not published yet.
 */
struct waiting {
	/* link in sessions.due if is_due, else in sessions.waiting */
	TAILQ_ENTRY(waiting) link;
	struct session *session;        /* borrowed; frees this when the session ends */
	struct job job;
	uint64_t since_ns;
	bool     is_due;
	/* The space is asked back from the holders of leases; it waits a bounded time only. */
	bool     for_leases;
	/* It waits until the name of its only item is published. */
	bool     for_name;
	/* the message, then the part of the reply that is written */
	uint8_t  bytes[];
};

struct session {
	/* link in sessions.greeted if is_greeted, else in sessions.strangers */
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) by_turn;   /* link in sessions.deferred, while is_deferred */
	struct sessions *sessions;      /* borrowed */
	struct event readable, writable;
	int      sock;                  /* owned; the connection */
	/* The client's process when it connected: shown to people, nothing is decided by it. */
	pid_t    pid;
	uint64_t since_ns;
	uint64_t nr_messages;
	struct client client;
	/* counted reference to the account of this session's user; NULL only while it is made */
	struct party *party;
	struct outbox outbox;
	/* 0, or the -errno with which the HELLO of this connection will be refused */
	int      unwelcome;
	/* Its uid cannot be told (it has no number here), so that it is always refused. */
	bool     is_unknown;
	/* one QUOTA_SESSIONS of its user is taken, and returned at the end */
	bool     is_charged;
	bool     is_greeted;
	/* the event `readable` is added, or will be when is_deferred ends */
	bool     is_reading;
	/*
	 * its socket has something to read, but it is not read from until its user has a share
	 * again
	 */
	bool     is_deferred;
	/* Events were dropped since its outbox was full; the client must be told that. */
	bool     has_lost;
	/* The next tick looks at this session again, since no event of its socket would. */
	bool     is_resting;
	struct slice *slice;            /* owned; its message in slices, or NULL */
	uint8_t  nr_waiting;            /* for space, at most SESSION_WAITING_MAX and a few */
	uint8_t  nr_awaiting;           /* for names, at most SESSION_AWAITING_MAX */
	uint8_t  nr_singles;
};

struct sessions {
	struct event_base *base;        /* borrowed */
	struct service *service;        /* borrowed */
	struct desk *desk;              /* owned; the message buffers that all sessions share */
	struct watcher watcher;
	TAILQ_HEAD(, session) greeted;
	TAILQ_HEAD(, session) strangers;
	/* messages in the order of their arrival, oldest first */
	TAILQ_HEAD(waiting_list, waiting) waiting;
	/* Messages taken from `waiting` that are to be tried again, and have not been tried yet. */
	struct waiting_list due;
	TAILQ_HEAD(, slice) slices;     /* the one whose turn is next comes first */
	TAILQ_HEAD(, session) deferred; /* the one that has waited longest comes first */
	struct parties parties;
	/* A timer that is due at once, added while something waits for its turn. */
	struct event turning;
	/* A timer that is added while a message waits for leases to come back, or for a name. */
	struct event recalling;
	uint32_t nr, nr_unwelcome;
	/* Most connections, greeted or not: the limit of descriptors less what others need. */
	uint32_t max;
	uint32_t nr_resting;
	bool     is_stopping;
};

/*
 * The declarations follow in the order of calls: a function in a file calls only functions of its
 * own file and of the files named above it.
 */

/* ---- session_reply.c ---- */

/*
 * Starts or stops reading from @session as its state asks: the daemon reads while the outbox is
 * empty, no slice is under way and few messages wait. If libevent has no memory to start, the
 * session rests (session_rest()) and the next tick tries again.
 */
void session_update(struct session *session);
/*
 * Marks @session so that the next tick flushes it and updates it again. For states that end without
 * any event of the socket, and when libevent has no memory to wait for one. Idempotent.
 */
void session_rest(struct session *session);
/*
 * Reads nothing from @session until the next tick: the kernel has no memory to hand over what the
 * socket has. The session would lose its reservations if it was ended for that.
 */
void session_pause(struct session *session);
/*
 * Waits until the socket of @session takes more bytes. If the kernel refused for another reason
 * than a full socket (ETOOMANYREFS, ENOBUFS, ENOMEM), the socket counts as writable all the time
 * and an event would spin: then the session rests until the next tick.
 */
void session_await_room(struct session *session);
/*
 * Sends @length bytes of @buf with @nr_fds descriptors, behind what is in the outbox; a full socket
 * puts them into the outbox. Owns and closes the descriptors in every case. Returns 0 when the
 * bytes are sent or are in the outbox; -errno when the other end is gone or memory is short: then
 * the caller must end the session.
 */
int session_send(struct session *session, const uint8_t *buf, size_t length, const int *fds,
		 int nr_fds);
/*
 * Sends what the outbox holds, as far as the socket takes it, then the notice of lost events.
 * Returns 0, or -errno when the other end is gone: then the caller must end the session.
 */
int session_flush(struct session *session);
/*
 * Sends the reply of @job, forgets what the client now knows, counts the time since @since_ns (0:
 * this one is not timed), and tells others of the events that the job caused. Returns 0 when the
 * reply is sent or in the outbox, or -errno: then the caller must end the session.
 */
int session_answer(struct session *session, const struct job *job, uint64_t since_ns);

/* ---- session_turn.c ---- */

/*
 * Makes the loop run on_turning() (session_round.c) after it has looked at all sockets once. Call
 * it when something waits for its turn; without it that would wait until some other event.
 * Idempotent.
 */
void sessions_come_back(struct sessions *sessions);
/*
 * turn_begin() returns the clock in nanoseconds if several users compete, else 0, which saves the
 * system call. turn_end() charges @party with the time since @begun_ns; 0 charges nothing.
 */
uint64_t turn_begin(const struct sessions *sessions);
void turn_end(struct sessions *sessions, struct party *party, uint64_t begun_ns);
/* Has the user of @session some of its share of this round left, or is it the only user? */
bool session_has_turn(struct session *session);
/* Puts @session at the end of sessions.deferred and does not read from it until its turn. */
void session_defer(struct session *session);
/* Takes @session off sessions.deferred, if it is there, and reads from its socket again. */
void session_undefer(struct session *session);

/* ---- session_aside.c ---- */

/*
 * Copies the message of @job and its reply so far and puts them at the end of sessions.slices.
 * Returns 0, or -ENOMEM: nothing is kept then, and the caller still has the job.
 */
int session_slice(struct session *session, const struct job *job, uint64_t since_ns);
/*
 * Takes the slice of @session off the list and gives it to the caller, who frees it. NULL: it has
 * none.
 */
struct slice *session_take_slice(struct session *session);
/* Frees the slice of @session, if it has one. What its items did so far stays done. */
void session_forget_slice(struct session *session);
/*
 * Copies the message of @job and its reply so far and puts them at the end of sessions.waiting.
 * @outcome says what it waits for. Returns 0; -ENOMEM, -EMFILE it waits for too many names: nothing
 * is kept then, and the caller still has the job.
 */
int session_wait(struct session *session, const struct job *job, enum outcome outcome,
		 uint64_t since_ns);
/*
 * Lets those messages be tried again that wait for a name of arena @arena which is one of the @nr
 * @events. What has no event (a reservation that is given back, a time that is over) is found by
 * the timer.
 */
void sessions_wake_awaiting(struct sessions *sessions, uint32_t arena,
			    const struct arena_event *events, size_t nr);
/* Takes @waiting off its list; the caller frees it. */
void session_take_waiting(struct waiting *waiting);
/* Frees all messages of @session that wait for space, in both lists. */
void session_forget_waiting(struct session *session);

/* ---- session_end.c ---- */

/* Has the daemon fewer sessions than max-sessions of its configuration? */
bool sessions_have_room(const struct sessions *sessions);
/* Moves @session from the strangers to the greeted sessions: its HELLO was accepted. */
void sessions_move_to_greeted(struct session *session);
/*
 * Moves the holders of the connection that @seat had before to @session, and frees that connection.
 * A client may come back before the daemon has seen its old connection go; without this the session
 * would exist twice.
 */
void sessions_take_over(struct session *session, const struct seat *seat);
/*
 * Closes the connection and frees @session. The seat and all that the session holds stay, so that
 * the client can come back, with this daemon or with its successor.
 */
void session_free(struct session *session);
/*
 * Ends @session for good and frees it: what it holds is given back, and its seat is free. @r is the
 * -errno with which the connection, or a call for it, failed; only the trace uses it. A stranger
 * has no seat, and is only freed.
 */
void session_end(struct session *session, int r);

/* ---- session_job.c ---- */

/*
 * Carries out @job. Its reply is sent, or the rest of it waits as a slice or for space. A job that
 * cannot be put aside, since memory is short, is carried out in one go, or refused. Returns 0, or
 * -errno: then the caller must end the session. @since_ns: service_now_ns() of its arrival, 0 if it
 * is not timed.
 */
int session_run(struct session *session, struct job *job, uint64_t since_ns);
/* Makes the lists of waiting messages empty and assigns the timer for leases. */
void sessions_init_waiting(struct sessions *sessions);
/* Carries out one part of each slice whose user has a turn. */
void sessions_run_slices(struct sessions *sessions);
/* Tries again each message in sessions.due whose user has a turn. */
void sessions_run_due(struct sessions *sessions);

/* ---- session.c ---- */

/*
 * Closes a connection that no session has. The service manager may hold a copy of @sock, and may
 * not learn that it is to drop it: close() alone would leave the client waiting for ever.
 */
void session_hang_up(int sock);
/*
 * Makes a connection of @peer on @sock, in no list yet. Owns @sock in every case; copies what it
 * needs of @peer. Returns 0, or -ENOMEM: @sock is closed then.
 */
int session_new(struct session **out, struct sessions *sessions, int sock,
		const struct conn_peer *peer);
/*
 * Lets @session take up @seat on a connection that an earlier daemon left open, and tells the
 * client so. Returns 0, or -errno: it cannot go on, and the caller must end it.
 */
int session_go_on(struct session *session, struct seat *seat);
/*
 * Reads and carries out messages of @session until its user's share of this round is used up.
 * @session may have been freed when this returns.
 */
void session_serve(struct session *session);
/*
 * Takes one QUOTA_SESSIONS of the user of @session, once. Returns 0, or -errno (with a line in the
 * log) when the user has as many sessions as its quota allows.
 */
int session_charge(struct session *session);

/* ---- session_round.c ---- */

/* Makes the lists of slices and deferred sessions empty and assigns the timer for turns. */
void sessions_init_turns(struct sessions *sessions);

/* ---- session_access.c ---- */

/*
 * Takes from sessions what a reload of the configuration took from their users: ends, arena by
 * arena, what they have where the right to it is lost. Other arenas are untouched. It is the
 * function watcher.reloaded.
 */
void sessions_review(struct watcher *watcher);
/*
 * Forgets what sessions have to do with arena @arena, which is closed in a moment. It is the
 * function watcher.leaving.
 */
void sessions_part(struct watcher *watcher, uint32_t arena);

#endif
