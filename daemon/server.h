/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: the loop, and all that hangs off it: sockets, sessions, the admin side, upkeep, signals.
 */
#ifndef PMEMARENA_SERVER_H
#define PMEMARENA_SERVER_H

#include "daemon/config.h"
#include "daemon/notify.h"
#include "lib/why.h"

struct server;

/*
 * Open everything, go on with the sessions that were @passed, and listen. Listening sockets that were not passed are made where @config says.
 * Takes @config, and what is in @passed; @sources are borrowed, for reloading.
 */
int server_new(struct server **out, struct config *config, const struct config_sources *sources, struct passed *passed, struct why *why);
/* Serves until SIGTERM or SIGINT, then finishes what is under way. */
void server_run(struct server *server);
void server_free(struct server *server);        /* NULL is fine */

#endif
