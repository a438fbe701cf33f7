/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: what stands behind a struct pma, for the files of the library. One lock, the link's, for all of it; it is held for
 * moments, never while a thread waits.
 */
#ifndef PMEMARENA_CLIENT_H
#define PMEMARENA_CLIENT_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>
#include <stdatomic.h>

#include "lib/holding.h"
#include "lib/link.h"
#include "lib/process.h"
#include "lib/site.h"

struct event;
struct pma_map;
TAILQ_HEAD(event_queue, event);
LIST_HEAD(map_list, pma_map);

struct pma {
	struct link_owner owner;        /* the link's view of us */
	struct link link;
	uint32_t process;               /* token of the process that connected */
	struct holdings holdings;       /* owned */
	struct sites sites;
	struct event_queue events;      /* owned; arrived and not dispatched */
	uint32_t nr_events;
	struct map_list maps;           /* borrowed; maps that were not unmapped yet */
};

static inline void client_lock(struct pma *pma)
{
	pthread_mutex_lock(&pma->link.lock);
}

static inline void client_unlock(struct pma *pma)
{
	pthread_mutex_unlock(&pma->link.lock);
}

/* May this process use @pma? -EINVAL NULL, -EPERM it is its parent's. With a message. */
int client_check(struct pma *pma);

/* Send @call and wait until it is finished. 0, or its error with a message. Takes the lock. */
int client_call(struct pma *pma, struct call *call);

/* Another session of this user with the same daemon; the caller pma_disconnect()s it. The errors of pma_connect(). */
int client_twin(struct pma **out, struct pma *pma);

#endif
