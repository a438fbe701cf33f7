/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: what the daemon tells unasked, kept until the caller dispatches. All under link.lock.
 */
#ifndef PMEMARENA_EVENT_H
#define PMEMARENA_EVENT_H

#include <pmemarena.h>

struct wire_reader;

/* Keep the events of a message. -EPROTO. */
int event_arrived(struct pma *pma, struct wire_reader *reader);
/* A new connection: subscribe again, and say that events were lost. -ENOMEM. */
int event_resubscribe(struct pma *pma);
/* Nothing but PMA_EVENT_RECALL, and PMA_EVENT_LOST. Errors of pma_subscribe(). */
int event_subscribe_recalls(struct pma *pma, uint32_t arena, void (*callback)(const struct pma_event *event, void *arg), void *arg);
void event_drop_all(struct pma *pma);

#endif
