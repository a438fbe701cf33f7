/* SPDX-License-Identifier: BSD-3-Clause */
/* admin: the connections of administrators: JSON-RPC 2.0, one object in a line. */
#ifndef PMEMARENA_ADMIN_H
#define PMEMARENA_ADMIN_H

#include "daemon/service/service.h"
#include "daemon/serve/session.h"

struct event_base;
struct admin;

/*
 * Makes the administrators' side without a connection. @base, @service and @sessions are borrowed.
 * -ENOMEM.
 */
int admin_new(struct admin **out, struct event_base *base, struct service *service,
	      const struct sessions *sessions);
void admin_free(struct admin *admin);           /* Closes all connections. NULL is fine. */

void admin_accept(struct admin *admin, int sock);       /* Takes over @sock. */

/* Call it every few seconds: closes connections that neither ask nor watch. */
void admin_tick(struct admin *admin);

#endif
