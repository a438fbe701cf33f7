/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics: GET /metrics in OpenMetrics, over TCP or a Unix socket.
 */
#ifndef PMEMARENA_METRICS_H
#define PMEMARENA_METRICS_H

#include "daemon/service.h"
#include "lib/why.h"

struct event_base;
struct metrics;

/* Listens where the configuration says (metrics-listen, not ""). Both are borrowed. */
int metrics_new(struct metrics **out, struct event_base *base, const struct service *service, struct why *why);
void metrics_free(struct metrics *metrics);     /* NULL is fine */

#endif
