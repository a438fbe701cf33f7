/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_daemon: the daemon's end of the socket, played by a thread that follows a script: so a test
 * decides what is answered, in which order, and when the daemon dies.
 */
#ifndef PMEMARENA_FAKE_DAEMON_H
#define PMEMARENA_FAKE_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/wire.h"

#define FAKE_SESSION  77
#define FAKE_PAGE     (UINT64_C(2) << 20)
#define FAKE_SIZE     (UINT64_C(64) << 20)
#define FAKE_SLOTS    1024

struct fake_daemon;
typedef void fake_script(struct fake_daemon *fake);

struct fake_daemon {
	fake_script *script;
	void    *arg;                   /* the test's */
	pthread_t thread;
	char     dir[64], path[96];
	int      listener, sock;        /* owned; -1: none */
	int      device, plane;         /* owned memfds */
	uint64_t *ids;                  /* the plane, mapped writable */
	uint32_t nr_arenas;
	struct wire_arena arenas[4];    /* what WELCOME says; may be changed by the script */
	uint64_t session;               /* the number of the next one; FAKE_SESSION at first */
	uint64_t next_id;
	/* if nr_extents is not 0: of every allocation, instead of one page of its own */
	struct wire_extent extents[8];
	uint32_t nr_extents, nr_a_reply;        /* 0: all in one */
	uint32_t last_flags;            /* of the item that was answered last */
	int      got_fd;                /* owned; came with the last message; -1: none */
	uint64_t last_tag, read_tag;    /* what a resumed session is told */
	uint64_t features;              /* what any session is */
	/* of what is made, besides those that follow from the request */
	uint32_t result_flags;
	uint8_t *buf;                   /* one message out */
};

/* A message that came in. */
struct fake_ask {
	uint16_t opcode;
	uint64_t tag, repeats;
	uint32_t count;
	struct wire_hello hello;        /* WIRE_HELLO */
	struct wire_request items[WIRE_MAX_ITEMS];
	char     names[WIRE_MAX_ITEMS][WIRE_MAX_NAME + 1];
};

/* Listens before it returns, and follows @script on its own thread. */
struct fake_daemon *fake_new(fake_script *script, void *arg);
void fake_free(struct fake_daemon *fake);       /* waits until the script is through */

/* ---- for scripts; a failure is the test's ---- */

void fake_accept(struct fake_daemon *fake);
void fake_hang_up(struct fake_daemon *fake);
/* Nobody listens any more; fake_listen(): somebody does again. */
void fake_stop(struct fake_daemon *fake);
void fake_listen(struct fake_daemon *fake);

/* The next message; false: the client hung up. */
bool fake_receive(struct fake_daemon *fake, struct fake_ask *ask);
/* There is one, and it is left where it is. */
void fake_await(struct fake_daemon *fake);
/* It must be of @opcode. */
void fake_expect(struct fake_daemon *fake, struct fake_ask *ask, uint16_t opcode);
void fake_send(struct fake_daemon *fake, size_t length);
void fake_send_fds(struct fake_daemon *fake, size_t length, const int *fds, int nr_fds);

/* accept(), HELLO, WELCOME. *hello (may be NULL) is what it said. */
void fake_welcome(struct fake_daemon *fake, struct wire_hello *hello, bool resumed);
/* The WELCOME alone. */
void fake_send_welcome(struct fake_daemon *fake, bool resumed);
/*
 * What a daemon would say to @ask: allocations succeed with a new id, and are one extent of a page
 * at id * FAKE_PAGE.
 */
void fake_answer(struct fake_daemon *fake, const struct fake_ask *ask);
/* The same with this result for each item. */
void fake_refuse(struct fake_daemon *fake, const struct fake_ask *ask, int result,
		 const char *text);
/* fake_answer() until the client hangs up. */
void fake_serve(struct fake_daemon *fake);

#endif
