/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link: the connection of one session, the calls under way on it, and what becomes of them when the
 * daemon goes away. The link knows messages and sessions, not what a request means.
 *
 *	             connect()               WELCOME
 *	LINK_DOWN ------------> LINK_HELLO --------> LINK_UP
 *	    ^                        |                  |
 *	    +------------------------+------------------+
 *	             hang-up, broken protocol
 *
 * The library has no thread of its own for this. Of the threads that wait for replies one *leads*:
 * it alone receives, connects and closes the socket, and hands each reply to the call that it
 * belongs to. The others sleep until their calls are finished or until they are woken to lead.
 * Every thread sends its own messages, and sending never blocks: what a full socket does not take
 * is sent by the leader later.
 *
 * A *call* is one message under way. A *waiter* is a thread that waits for one or several calls.
 * The *owner* is the part of the client (client.h) that the link informs of sessions and events.
 */
#ifndef PMEMARENA_LINK_H
#define PMEMARENA_LINK_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/conn.h"
#include "lib/wire/why.h"
#include "lib/wire/wire.h"

enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP };

struct link;

/* One thread that waits for its calls. It lives on the stack of that thread. */
struct waiter {
	pthread_cond_t cond;
	/* how many of its calls are not finished; under link.lock */
	uint32_t nr_pending;
	bool     is_asleep;             /* it sleeps on cond, and may be woken to lead */
};

#define WAITER_INIT { .cond = PTHREAD_COND_INITIALIZER }

/*
 * One message under way. Its sender provides the memory, and must not touch it between
 * call_submit() and its finish. The members from `tag` on belong to the link.
 */
struct call {
	TAILQ_ENTRY(call) link;         /* in link.calls */
	struct waiter *waiter;          /* borrowed; NULL: no thread waits for this call */
	uint8_t *message;               /* borrowed; aligned to 8 */
	uint32_t length;
	uint16_t opcode;
	bool     has_fd;                /* set by the sender: `fd` goes with the message */
	int      fd;                    /* borrowed until the call is finished */
	/*
	 * set by the sender: if this request is done twice, also in another session, the second
	 * time changes nothing
	 */
	bool     is_idempotent;
	bool     is_sent;
	uint8_t  nr_sent;               /* how many times it was sent, over all connections */
	/*
	 * Reads the reply. Runs under link.lock on the thread that leads. To keep a descriptor it
	 * puts -1 in its place in @fds; the link closes the others. Returns 0, or -EPROTO when the
	 * reply does not fit the request. Not called when no reply comes.
	 */
	int (*absorb)(struct call *call, struct wire_reader *reader, int *fds, int nr_fds);
	/*
	 * Called when the call is finished, under link.lock; may free the call. NULL: not wanted.
	 */
	void (*finished)(struct call *call);
	uint64_t tag;                   /* the tag under which it was sent last */
	/* the tag under which an earlier daemon may have done it; 0: it was certainly not done */
	uint64_t repeats;
	/* the daemon that it was sent to can tell whether it was done */
	bool     is_remembered;
	int64_t  deadline_ns;           /* when it is given up, if the link is not up by then */
	/*
	 * valid after its finish: 0 a reply came; -ENOTCONN, -ESTALE, -EPROTO, -ENOMEM or -EMFILE
	 * none
	 */
	int      result;
};
TAILQ_HEAD(call_list, call);

/*
 * Functions by which the link informs its owner. Both run under link.lock, on the thread that
 * leads.
 */
struct link_owner {
	/*
	 * A session is there; the arenas follow in @reader. Returns 0, or a negative errno.
	 * -ENOMEM: the link goes down and connects anew. -EPROTO: the message violates the
	 * protocol, and the connection is closed. Any other error, with the reason in @why, ends
	 * the link for good.
	 */
	int (*welcomed)(struct link_owner *owner, const struct wire_welcome *welcome,
			struct wire_reader *reader, struct why *why);
	/* A message of events arrived. 0; -EPROTO it violates the protocol. */
	int (*event)(struct link_owner *owner, struct wire_reader *reader);
};

struct link_params {
	char     path[108];
	uint32_t reconnect_ms;
	uint32_t busy_poll_us;
};

struct link {
	pthread_mutex_t lock;           /* protects everything below, and the owner's members */
	struct link_params params;      /* constant */
	struct link_owner *owner;       /* borrowed */
	enum link_state state;
	int      sock;                  /* owned; -1 when the link is down */
	bool     is_led;                /* some thread leads: it receives, or is about to */
	/* calls under way, in the order in which they were or will be sent */
	struct call_list calls;
	struct call *unsent;            /* the first of `calls` that is not sent; NULL: all are */
	uint64_t next_tag;
	uint64_t session;               /* the session's number; 0: no session yet */
	uint8_t  secret[16];
	/* the daemon remembers what it did for this session (WIRE_REPEATS) */
	bool     repeats;
	bool     carves;                /* the daemon knows leases (WIRE_CARVES) */
	bool     lends;                 /* the daemon knows lent allocations (WIRE_LENDS) */
	bool     windows;               /* the daemon knows windows (WIRE_WINDOWS) */
	bool     usages;                /* the daemon knows WIRE_USAGE */
	bool     surveys;               /* the daemon knows WIRE_SURVEY */
	bool     waits;                 /* the daemon knows WIRE_WAIT */
	bool     replaces;              /* the daemon knows WIRE_REPLACE */
	bool     bundles;               /* the daemon knows WIRE_ALL_OR_NONE */
	bool     attributes;            /* the daemon knows WIRE_WITH_ATTRIBUTES */
	bool     evicts;                /* the daemon knows WIRE_EVICTABLE and WIRE_TOUCH */
	bool     contents;              /* the daemon knows WIRE_ANY_CONTENTS */
	int64_t  hello_ns;              /* LINK_HELLO: since when the link waits for a WELCOME */
	int64_t  retry_ns;              /* LINK_DOWN: when to connect again */
	int64_t  backoff_ns;
	int      error;                 /* why the link is down, a negative errno */
	struct why why;                 /* the same as a sentence */
	/* the link is ended for good: each call fails with `error` at once */
	bool     is_dead;
	int      epoll_fd, timer_fd, event_fd;  /* owned; -1 before the first link_fd() */
	/* how many calls under way expect a reply with descriptors; counted before they are sent */
	uint32_t nr_awaiting_fds;
	/* the leader's alone: its last receive had a buffer for descriptors */
	bool     had_room;
	uint64_t spin_ns;               /* how long the leader looks for a reply before it sleeps */
	/* the leader's alone: how many times in a row it looked in vain */
	uint32_t nr_missed;
	uint8_t *inbuf;                 /* owned; WIRE_MAX bytes; the leader's alone */
};

/*
 * Connects and waits for a session. The errors of pma_connect(), with a message. Whatever it
 * returns, the caller must call link_fini().
 */
int link_init(struct link *link, const struct link_params *params, struct link_owner *owner);
/*
 * Closes the connection and frees what the link owns. No thread may wait for a call any more; calls
 * without a waiter are finished with -ENOTCONN.
 */
void link_fini(struct link *link);

/*
 * This and the following functions need link.lock. Waits until all calls of @waiter are finished;
 * releases the lock while it waits.
 */
void link_wait(struct link *link, struct waiter *waiter);
/* Receives what has arrived, without waiting. 0 the link is up, else -ENOTCONN. */
int link_poll(struct link *link);
/*
 * Returns a descriptor, owned by the link, that is readable when link_poll() has something to do or
 * link_signal(link, true) was called; for a program's event loop. Or a negative errno, with the
 * reason in @why.
 */
int link_fd(struct link *link, struct why *why);
void link_signal(struct link *link, bool on);


#endif
