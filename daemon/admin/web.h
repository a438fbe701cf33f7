/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * web: what is served over HTTP, over TCP or a Unix socket: /metrics for a monitoring system, / for
 * a person with a browser. Both only show.
 */
#ifndef PMEMARENA_WEB_H
#define PMEMARENA_WEB_H

#include "daemon/service/service.h"
#include "lib/wire/why.h"

struct event_base;
struct web;

/*
 * Listens where the configuration says (metrics-listen, which is not ""). @base and @service are
 * borrowed.
 */
int web_new(struct web **out, struct event_base *base, const struct service *service,
	    struct why *why);
/* Closes all connections and frees @web, which may be NULL. */
void web_free(struct web *web);
/* Call it every few seconds: closes connections whose time is over. @web may be NULL. */
void web_tick(struct web *web);

#endif
