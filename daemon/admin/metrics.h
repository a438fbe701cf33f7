/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics: serves GET /metrics in the format OpenMetrics, over TCP or a Unix socket. */
#ifndef PMEMARENA_METRICS_H
#define PMEMARENA_METRICS_H

#include "daemon/service/service.h"
#include "lib/wire/why.h"

struct event_base;
struct metrics;

/*
 * Listens where the configuration says (metrics-listen, which is not ""). @base and @service are
 * borrowed.
 */
int metrics_new(struct metrics **out, struct event_base *base, const struct service *service,
		struct why *why);
/* Closes all connections and frees @metrics, which may be NULL. */
void metrics_free(struct metrics *metrics);
/* Call it every few seconds: closes connections whose time is over. @metrics may be NULL. */
void metrics_tick(struct metrics *metrics);

#endif
