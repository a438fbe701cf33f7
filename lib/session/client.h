/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: the inside of a struct pma, for the files of the library. One lock, that of the link,
 * protects all of it. A thread holds the lock for moments and never while it waits.
 */
#ifndef PMEMARENA_CLIENT_H
#define PMEMARENA_CLIENT_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>
#include <stdatomic.h>

#include "lib/session/holding.h"
#include "lib/session/link.h"
#include "lib/process.h"
#include "lib/session/site.h"

struct event;
TAILQ_HEAD(event_queue, event);

/*
 * A thing that outlives its connection and must learn that the connection is gone. Today these are
 * mappings and windows.
 */
struct client_tie {
	LIST_ENTRY(client_tie) link;    /* in pma.ties, while pma is not NULL */
	/* borrowed; NULL: the program has called pma_disconnect() */
	struct pma *pma;
};
LIST_HEAD(client_tie_list, client_tie);

/*
 * A thing that must be restored whenever a session is there again, before any other request goes
 * out. Today these are windows.
 */
struct client_revival {
	LIST_ENTRY(client_revival) link;        /* in pma.revivals */
	/*
	 * Submits (call_submit_first()) what restores it. Runs under link.lock, on the thread that
	 * leads. 0, or -ENOMEM: the link goes down and connects anew.
	 */
	int (*revive)(struct client_revival *revival);
};
LIST_HEAD(client_revival_list, client_revival);

struct pma {
	/* the functions that the link calls when a session is there or an event came */
	struct link_owner owner;
	struct link link;
	/* number of the process that connected (process.h); a forked child has another */
	uint32_t process;
	struct holdings holdings;       /* owned; what this session has open or reserved */
	/*
	 * The reply to a carve was lost: a lease of this session may show an allocation whose
	 * handle is not known here. Whatever is opened from now on may be that one, and is treated
	 * as lent.
	 */
	bool has_lost_parts;
	struct sites sites;
	/* owned; events that arrived and were not given to the program yet */
	struct event_queue events;
	uint32_t nr_events;
	/* borrowed; of mappings that are not unmapped yet, and of windows */
	struct client_tie_list ties;
	struct client_revival_list revivals;    /* borrowed; of windows */
};

static inline void client_lock(struct pma *pma)
{
	pthread_mutex_lock(&pma->link.lock);
}

static inline void client_unlock(struct pma *pma)
{
	pthread_mutex_unlock(&pma->link.lock);
}

/*
 * Checks that this process may use @pma. 0; -EINVAL @pma is NULL; -EPERM it belongs to the parent
 * of this forked child. Sets the thread's message.
 */
int client_check(struct pma *pma);

/* Does the daemon know attributes? Takes the lock. */
bool client_knows_attributes(struct pma *pma);

/*
 * Sends @call and waits until it is finished. Returns 0 or the call's error, for which the thread
 * has a message. Takes the lock.
 */
int client_call(struct pma *pma, struct call *call);

#endif
