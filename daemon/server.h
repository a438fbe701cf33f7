/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: the loop of the daemon, with everything that it calls: sockets, sessions, administrators,
 * regular work, signals.
 */
#ifndef PMEMARENA_SERVER_H
#define PMEMARENA_SERVER_H

#include "daemon/config/config.h"
#include "daemon/notify.h"
#include "lib/wire/why.h"

struct server;

/*
 * Opens everything, goes on with the sessions in @passed, and listens. Sockets that were not passed
 * are made where @config says. Takes over @config and what is in @passed; @sources is borrowed, for
 * reloads. On failure a sentence is in *why and nothing is left open.
 */
int server_new(struct server **out, struct config *config, const struct config_sources *sources,
	       struct passed *passed, struct why *why);
/* Serves until SIGTERM or SIGINT, then finishes what is under way. */
void server_run(struct server *server);
/* Closes everything and frees @server, which may be NULL. */
void server_free(struct server *server);

#endif
