/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: administrators' connections: JSON-RPC 2.0, one object a line.
 */
#ifndef PMEMARENA_ADMIN_H
#define PMEMARENA_ADMIN_H

#include "daemon/service.h"
#include "daemon/session.h"

struct event_base;
struct admin;

/* All are borrowed. -ENOMEM. */
int admin_new(struct admin **out, struct event_base *base, struct service *service, const struct sessions *sessions);
void admin_free(struct admin *admin);           /* hangs up on all; NULL is fine */

void admin_accept(struct admin *admin, int sock);       /* takes sock */

#endif
