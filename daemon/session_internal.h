/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_internal: what session.c (one of them), session_list.c (all of them) and session_wait.c (those that wait for
 * space) share; nobody else includes it.
 */
#ifndef PMEMARENA_SESSION_INTERNAL_H
#define PMEMARENA_SESSION_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <bsd/sys/queue.h>

#include "daemon/client.h"
#include "daemon/outbox.h"
#include "daemon/request.h"
#include "daemon/session.h"

/* Messages of one session that may wait for space; with as many it is not read from. */
#define SESSION_WAITING_MAX 4

struct slice;

struct session {
	TAILQ_ENTRY(session) link;      /* sessions.greeted or sessions.strangers */
	struct sessions *sessions;      /* borrowed */
	struct event readable, writable;
	int      sock;                  /* owned */
	pid_t    pid;                   /* for people */
	uint64_t since_ns;
	uint64_t nr_messages;
	struct client client;
	struct outbox outbox;
	int      unwelcome;             /* 0, or why it cannot stay */
	bool     is_charged;            /* to its user's quota */
	bool     is_greeted;
	bool     is_reading;            /* `readable` is added */
	bool     has_lost;              /* events; to be told */
	bool     is_resting;            /* the outbox is tried again by time */
	struct slice *slice;            /* owned; NULL: no message of it is half done */
	uint8_t  nr_waiting;
	uint8_t  nr_singles;
};

struct waiting;

struct sessions {
	struct event_base *base;        /* borrowed */
	struct service *service;        /* borrowed */
	struct desk *desk;              /* owned */
	struct watcher watcher;
	TAILQ_HEAD(, session) greeted;
	TAILQ_HEAD(, session) strangers;
	TAILQ_HEAD(, waiting) waiting;  /* the longest first */
	TAILQ_HEAD(, slice) slices;     /* whose turn it is next first */
	struct event slicing;           /* added while there are some */
	struct event recalling;         /* added while some wait for leases */
	uint32_t nr, nr_unwelcome;
	uint32_t max;                   /* connections of any kind, by the limit of descriptors */
	uint32_t nr_resting;
	bool     is_stopping;
};

/* ---- session.c ---- */

/* Takes @sock and what @client owns. -ENOMEM: both are gone. */
int session_new(struct session **out, struct sessions *sessions, int sock, const struct conn_peer *peer);
/* The connection goes; the seat and what it holds stay. */
void session_free(struct session *session);
/* It goes on where an earlier daemon left it: says so to its client. -errno: it cannot, and must end. */
int session_go_on(struct session *session, struct seat *seat);
/* The session is over for good. */
void session_end(struct session *session);
/* Read from it, or not, as its state wants. */
void session_update(struct session *session);
/* The reply is on its way, or -errno: the session must end. @since_ns 0: it is not timed. */
int session_answer(struct session *session, const struct job *job, uint64_t since_ns);
/*
 * What request_run() said of @job was @r: the reply is on its way, or the job is kept until it can go on. -errno: the session must
 * end.
 */
int session_conclude(struct session *session, struct job *job, uint64_t since_ns, int r);
/* What waits in the outbox. -errno: the session must end. */
int session_flush(struct session *session);
/* 0, or why its user may not have one more. Idempotent. */
int session_charge(struct session *session);

/* ---- session_list.c ---- */

bool sessions_have_room(const struct sessions *sessions);
void sessions_move_to_greeted(struct session *session);
/* The client came back before its old connection was seen to go. */
void sessions_take_over(struct session *session, const struct seat *seat);

/* ---- session_wait.c ---- */

void sessions_init_waiting(struct sessions *sessions);
/* Keeps a copy of the message and of the reply so far. -ENOMEM. */
int session_wait(struct session *session, const struct job *job, uint64_t since_ns);
void session_forget_waiting(struct session *session);

/* ---- session_slice.c ---- */

void sessions_init_slices(struct sessions *sessions);
/* Keeps a copy of the message and of the reply so far; goes on with it when others had their turn. -ENOMEM. */
int session_slice(struct session *session, const struct job *job, uint64_t since_ns);
void session_forget_slice(struct session *session);

#endif
