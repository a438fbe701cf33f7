/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link: the connection of one session, any number of calls under way on it, and what becomes of them when the other end goes
 * away. It knows messages and sessions, not what is asked for.
 *
 *	            connect()              WELCOME
 *	LINK_DOWN ------------> LINK_HELLO --------> LINK_UP
 *	    ^                        |                  |
 *	    +------------------------+------------------+   hang-up, broken protocol
 *
 * There is no thread of its own. Of the threads that wait, one leads: it alone receives, connects and closes, and
 * hands each reply to the call that it belongs to. The others sleep until their calls are finished or until it is their turn to lead. Sending is
 * done by whoever has something to send and never blocks; what a full socket does not take waits for the leader.
 */
#ifndef PMEMARENA_LINK_H
#define PMEMARENA_LINK_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/conn.h"
#include "lib/why.h"
#include "lib/wire.h"

enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP };

struct link;

/* One thread that waits for its calls. Lives on its stack. */
struct waiter {
	pthread_cond_t cond;
	uint32_t nr_pending;            /* calls under way; under link.lock */
	bool     is_asleep;             /* on cond: may be asked to lead */
};

#define WAITER_INIT { .cond = PTHREAD_COND_INITIALIZER }

/* One message under way. Lives where its sender wants; not to be touched between link_submit() and its finish. */
struct call {
	TAILQ_ENTRY(call) link;         /* link.calls */
	struct waiter *waiter;          /* borrowed; NULL: nobody waits */
	uint8_t *message;               /* borrowed; 8-aligned */
	uint32_t length;
	uint16_t opcode;
	bool     is_idempotent;         /* the sender's: asked again, in another session too, it is not done again */
	bool     is_sent;
	uint8_t  nr_sent;               /* how often, over all connections */
	/*
	 * Takes the reply apart, under link.lock, on whichever thread leads. Takes a descriptor by putting -1 in its place. -EPROTO: the
	 * reply is no answer to this call. Not called when there is no reply.
	 */
	int (*absorb)(struct call *call, struct wire_reader *reader, int *fds, int nr_fds);
	/* Told after the end, under link.lock; NULL: nobody. May free the call. */
	void (*finished)(struct call *call);
	uint64_t tag;                   /* the link's */
	uint64_t repeats;               /* the link's: the tag under which it may have been done; 0: it was not */
	bool     is_remembered;         /* the link's: who it was sent to can tell whether it was done */
	int64_t  deadline_ns;           /* the link's: while it is not up */
	int      result;                /* at its finish: 0 answered; -ENOTCONN, -ESTALE, -EPROTO, -ENOMEM */
};
TAILQ_HEAD(call_list, call);

/* What the link tells its owner; both under link.lock, on the thread that leads. */
struct link_owner {
	/* A session is there. The arenas follow in @reader. -errno: cannot be used; the text says why. */
	int (*welcomed)(struct link_owner *owner, const struct wire_welcome *welcome, struct wire_reader *reader, struct why *why);
	/* -EPROTO: not an event. */
	int (*event)(struct link_owner *owner, struct wire_reader *reader);
};

struct link_params {
	char     path[108];
	uint32_t reconnect_ms;
	uint32_t busy_poll_us;
};

struct link {
	pthread_mutex_t lock;           /* all below, and what the owner says */
	struct link_params params;      /* constant */
	struct link_owner *owner;       /* borrowed */
	enum link_state state;
	int      sock;                  /* owned; -1 when down */
	bool     is_led;                /* some thread receives, or is about to */
	struct call_list calls;         /* under way, in the order in which they are (to be) sent */
	struct call *unsent;            /* the first in calls that was not sent; NULL: none */
	uint64_t next_tag;
	uint64_t session;               /* 0: none yet */
	uint8_t  token[16];
	bool     repeats;               /* the session remembers what it did: WIRE_REPEATS */
	bool     carves;                /* the daemon knows leases: WIRE_CARVES */
	int64_t  hello_ns;              /* LINK_HELLO: since when */
	int64_t  retry_ns;              /* LINK_DOWN: when to try again */
	int64_t  backoff_ns;
	int      error;                 /* why it is down, -errno */
	struct why why;                 /* the same in words */
	bool     is_dead;               /* for good: calls fail with error at once */
	int      epoll_fd, timer_fd, event_fd;  /* owned; -1 until link_fd() */
	uint32_t nr_awaiting_fds;       /* calls whose reply brings descriptors, from before they are sent */
	bool     had_room;              /* the leader's: its last receive had room for descriptors */
	uint64_t spin_ns;               /* the leader's: how long to look before it sleeps */
	uint32_t nr_missed;             /* the leader's: looked in vain, in a row */
	uint8_t *inbuf;                 /* owned; WIRE_MAX bytes; the leader's */
};

/*
 * Connect and wait for a session. The errors of pma_connect(), with a message. Whatever it returns, link_fini() is due.
 */
int link_init(struct link *link, const struct link_params *params, struct link_owner *owner);
/* Closes; calls under way must be none, but for those that nobody waits for: they are finished with -ENOTCONN. */
void link_fini(struct link *link);

/* All under link.lock; link_wait() lets go of it meanwhile. */
void link_submit(struct link *link, struct call *call);
/* Until all calls of @waiter are finished. */
void link_wait(struct link *link, struct waiter *waiter);
/* Submit before all that was not sent; for link_owner.welcomed(). */
void link_submit_first(struct link *link, struct call *call);
/* Receive what is there, without waiting. 0 up, else -ENOTCONN. */
int link_poll(struct link *link);
/* For a caller's event loop: readable when link_poll() has something to do or link_signal() was called. -errno. */
int link_fd(struct link *link);
void link_signal(struct link *link, bool on);

/* The message of @err, as left by a call with that result; returns it. Under link.lock. */
int link_error(struct link *link, int err);

/* ---- between link.c and relink.c ---- */

int64_t link_now(void);
/* One wait while not up, until @until_ns at most. @waiter (may be NULL) no longer waits if its time is over. */
void link_step(struct link *link, struct waiter *waiter, int64_t until_ns);
void link_finish(struct link *link, struct call *call, int result);
void link_flush(struct link *link);
/* One packet's worth; -EPROTO: the connection is broken. */
int link_handle(struct link *link, size_t length, int *fds, int nr_fds);
/* Connect and say hello; 0 or -errno, and then down. */
int relink_try(struct link *link);
/* The connection is gone; its calls wait for another. */
void relink_down(struct link *link, int err, const char *what);
/* The other end does not keep the protocol: what it was asked fails. */
void relink_broken(struct link *link);
int relink_welcome(struct link *link, struct wire_reader *reader);
/* A WELCOME while up: another daemon goes on with this connection. */
int relink_taken_over(struct link *link, struct wire_reader *reader);
/* Time passed: try again, give up calls whose time is over. Returns when to look next. */
int64_t relink_tick(struct link *link);

#endif
