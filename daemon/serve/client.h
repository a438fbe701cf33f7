/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: what the daemon knows of one session apart from its socket: who it is (as the kernel
 * says), in which arenas it takes part, which events it wants, and where its listings stand.
 *
 * Words. A session is what one program has with the daemon. Its seat is its entry in the roster, a
 * file that outlives the daemon. A holder is the session's part in one arena: what it has open or
 * reserved there. A deed is the number under which the ledger (a file beside the arena) remembers
 * one change that a session made, so that the same request sent once more is not carried out twice.
 */
#ifndef PMEMARENA_DAEMON_CLIENT_H
#define PMEMARENA_DAEMON_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/command.h"
#include "daemon/service/access.h"
#include "daemon/service/service.h"
#include "lib/wire/conn.h"

/*
 * Listings by name that a session can have under way at once; an older one is found by its last
 * entry, if that is still there.
 */
#define CLIENT_POSITIONS 8

struct position {
	uint64_t cursor;                /* 0: free */
	uint32_t arena;
	uint8_t  name_len;
	char    *name;                  /* owned; the last name that was listed */
};

struct subscription {
	SLIST_ENTRY(subscription) link; /* client.subscriptions */
	/* borrowed: the service's; NULL: it wants recalls only, which nobody has to listen for */
	uint32_t *nr_listeners;
	uint32_t arena;
	uint8_t  prefix_len;
	char     prefix[];
};

struct client {
	uint32_t uid, gid;
	int pid; /* who connected; 0: in a PID namespace that the daemon does not see */
	char     command[COMMAND_SIZE];           /* its name then; "": /proc did not tell */
	gid_t   *groups;                /* owned; the primary one is among them */
	int      nr_groups;
	/* enum access for each arena: what the configuration lets this client do there now */
	uint8_t  access[SERVICE_MAX_ARENAS];
	struct seat *seat;              /* in the roster; NULL until greeted */
	/* owned; by arena, NULL where it does not take part (yet) */
	struct holder **holders;
	uint32_t nr_holders;            /* how many `holders` has room for */
	SLIST_HEAD(, subscription) subscriptions;
	struct position positions[CLIENT_POSITIONS];
	uint8_t  next_position;
};

/*
 * Fills @client from @peer, which is copied. It may use no arena before client_admit(). Returns 0
 * or -ENOMEM; the caller calls client_fini() in both cases.
 */
int client_init(struct client *client, const struct conn_peer *peer);
void client_fini(struct client *client);

/* Sets what the configuration lets @client do in each arena. Called again after a reload. */
void client_admit(struct client *client, const struct service *service);
/*
 * Returns 0 if @client may do @needs in arena number @index. -ENOENT, with the same sentence in
 * @why whether there is no such arena or the client may not use it, so that nobody learns of
 * others' arenas; -EACCES if it may read the arena and asks for more.
 */
int client_check(const struct client *client, const struct service *service, uint32_t index,
		 enum access needs, struct why *why);
/*
 * Returns arena @index if client_check() allows it and it is open. Else NULL, with the error in *r
 * (-EIO: it is not open) and a sentence in @why. The arena is borrowed.
 */
struct arena *client_arena(int *r, const struct client *client, const struct service *service,
			   uint32_t index, enum access needs,
			   struct why *why);

/*
 * For a session that goes on with a new connection or daemon: takes part in each arena where it may
 * still have what it had, and ends in the others. Returns 0, or -ENOMEM.
 */
int client_rejoin(struct client *client, struct service *service);
/* The same for arena @index alone, which has just opened. */
int client_take_part(struct client *client, struct service *service, uint32_t index);
/*
 * Ends the session's part in arena @index: what it reserved or has open there is given back. Other
 * arenas are untouched. Returns false if it had no part there.
 */
bool client_lose(struct client *client, struct service *service, uint32_t index);
/*
 * Arena @index is closed in a moment: forgets the session's part in it, and its subscription. What
 * it holds there stays in the ledger, as at a stop.
 */
void client_part(struct client *client, uint32_t index);
/* Returns the session's part in arena @index; NULL: it has none, or has not joined (yet). */
struct holder *client_holder(const struct client *client, uint32_t index);
/*
 * Makes @client take part in arena @index, which must be open. Returns 0, also if it does already,
 * or -ENOMEM.
 */
int client_join(struct client *client, struct service *service, uint32_t index);
/*
 * The daemon need not remember the changes of the message with @tag any more, or
 * (client_forget_told()) those of all messages whose replies the client has.
 */
void client_forget(struct client *client, struct service *service, uint64_t tag);
void client_forget_told(struct client *client, struct service *service);
/* The client has a new connection: it may ask again for replies that were lost on the old one. */
void client_await(struct client *client, struct service *service);
/* Ends the session for good: its reservations and opens are given back, and its seat is free. */
void client_leave(struct client *client, struct service *service);
struct caller client_caller(const struct client *client, uint32_t index);
/*
 * The deed of change number @item of the message with @tag; 0 if this session never sends a message
 * twice (it did not ask for WIRE_REPEATS).
 */
uint64_t client_deed(const struct client *client, uint64_t tag, uint32_t item);
/* Has the session @alloc open or reserved in arena @index? */
bool client_holds(const struct client *client, uint32_t index, const struct alloc *alloc);

/*
 * Makes @client hear of events in @arena of allocations whose names begin with @prefix, which is
 * copied; replaces what it asked for there before. @only_recalls: it hears only that space is asked
 * back. Returns 0, or -ENOMEM: then the earlier one holds.
 */
int client_subscribe(struct client *client, struct service *service, uint32_t arena,
		     const char *prefix, uint8_t prefix_len,
		     bool only_recalls);
void client_unsubscribe(struct client *client, uint32_t arena);
bool client_listens(const struct client *client, uint32_t arena);
bool client_wants(const struct client *client, uint32_t arena, const struct arena_event *event);

/*
 * Remembers that the listing which stood at @before (0: it begins) stands behind @name (copied)
 * under the number @cursor now. Returns 0 or -ENOMEM.
 */
int client_remember(struct client *client, uint64_t before, uint64_t cursor, uint32_t arena,
		    const char *name, uint8_t name_len);
const struct position *client_find_position(const struct client *client, uint64_t cursor,
					    uint32_t arena);

#endif
