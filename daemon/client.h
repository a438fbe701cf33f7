/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: what the daemon knows of one session apart from its socket: who it is (the kernel's word), where it takes part,
 * what it listens for, and where its listings are.
 */
#ifndef PMEMARENA_DAEMON_CLIENT_H
#define PMEMARENA_DAEMON_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "daemon/service.h"
#include "lib/conn.h"

/* Listings by name that a session can have under way at once; an older one is found by its last entry, if that is still there. */
#define CLIENT_POSITIONS 8

struct position {
	uint64_t cursor;                /* 0: free */
	uint32_t arena;
	uint8_t  name_len;
	char    *name;                  /* owned; the last name that was listed */
};

struct subscription {
	SLIST_ENTRY(subscription) link; /* client.subscriptions */
	uint32_t *nr_listeners;         /* borrowed: the service's; NULL: it wants recalls only, which nobody has to listen for */
	uint32_t arena;
	uint8_t  prefix_len;
	char     prefix[];
};

struct client {
	uint32_t uid, gid;
	gid_t   *groups;                /* owned; the primary one is among them */
	int      nr_groups;
	struct seat *seat;              /* in the roster; NULL until greeted */
	struct holder **holders;        /* owned; by arena, NULL where it does not take part (yet) */
	SLIST_HEAD(, subscription) subscriptions;
	struct position positions[CLIENT_POSITIONS];
	uint8_t  next_position;
};

/* Whoever @peer is. -ENOMEM. The caller fini()s it, also after a failure. */
int client_init(struct client *client, const struct conn_peer *peer);
void client_fini(struct client *client);

/* Take part in arena @index, which is open. Idempotent. -ENOMEM. */
int client_join(struct client *client, struct service *service, uint32_t index);
/* The message under @tag, or all messages that the client was told of, need not be remembered any more. */
void client_forget(struct client *client, struct service *service, uint64_t tag);
void client_forget_told(struct client *client, struct service *service);
/* The connection is another one: what was not told on the old one may be asked for again. */
void client_await(struct client *client, struct service *service);
/* The session is over for good: reservations go, opens end, the seat is free. */
void client_leave(struct client *client, struct service *service);
struct caller client_caller(const struct client *client, uint32_t index);
/* Does it have this open, or reserved? */
/* What its @item-th change of the message under @tag is called; 0: the session asks for nothing again. */
uint64_t client_deed(const struct client *client, uint64_t tag, uint32_t item);
bool client_holds(const struct client *client, uint32_t index, const struct alloc *alloc);

/* Replaces the one of this arena. -ENOMEM. */
int client_subscribe(struct client *client, struct service *service, uint32_t arena, const char *prefix, uint8_t prefix_len,
		     bool only_recalls);
void client_unsubscribe(struct client *client, uint32_t arena);
bool client_wants(const struct client *client, uint32_t arena, const struct arena_event *event);

/* The listing that was at @before (0: it begins) goes on behind @name under @cursor. -ENOMEM. */
int client_remember(struct client *client, uint64_t before, uint64_t cursor, uint32_t arena, const char *name, uint8_t name_len);
const struct position *client_find_position(const struct client *client, uint64_t cursor, uint32_t arena);

#endif
