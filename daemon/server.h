/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: the loop, and all that hangs off it: sockets, sessions, the admin side, upkeep, signals.
 */
#ifndef PMEMARENA_SERVER_H
#define PMEMARENA_SERVER_H

#include "daemon/config.h"
#include "lib/why.h"

struct server;

/*
 * Open everything and listen. @client and @admin are listening sockets from the service manager (taken), or -1: then they are
 * made where @config says. Takes @config; @sources are borrowed, for reloading.
 */
int server_new(struct server **out, struct config *config, const struct config_sources *sources, int client, int admin, struct why *why);
/* Serves until SIGTERM or SIGINT, then finishes what is under way. */
void server_run(struct server *server);
void server_free(struct server *server);        /* NULL is fine */

#endif
