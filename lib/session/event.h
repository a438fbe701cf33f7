/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: what the daemon sends without a request, kept until the program calls pma_dispatch(). All
 * functions that do not say otherwise need link.lock.
 */
#ifndef PMEMARENA_EVENT_H
#define PMEMARENA_EVENT_H

#include <pmemarena.h>

struct wire_reader;

/* Appends the events of a message to the queue. -EPROTO: the message violates the protocol. */
int event_arrived(struct pma *pma, struct wire_reader *reader);
/*
 * A new connection is there: subscribes again and queues PMA_EVENT_LOST for each subscription,
 * since events may have been missed. -ENOMEM: some are not subscribed; the link connects anew.
 */
int event_resubscribe(struct pma *pma);
/*
 * Subscribes to PMA_EVENT_RECALL (the daemon asks for leases back) and PMA_EVENT_LOST alone. The
 * errors of pma_subscribe(). Takes the lock itself.
 */
int event_subscribe_recalls(struct pma *pma, uint32_t arena,
			    void (*callback)(const struct pma_event *event, void *arg), void *arg);
void event_drop_all(struct pma *pma);

#endif
