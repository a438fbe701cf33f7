/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: the inside of a struct pma_window.
 *
 *	              WINDOWED           connection lost, session there again
 *	pma_window_open() ----> WINDOW_UP -------------------------------> WINDOW_ASKED
 *	                            ^                                        |   |  |
 *	                            +---------------- WINDOWED --------------+   |  |
 *	                            +-- a get asks --- WINDOW_DOWN <--- no answer   |
 *	                                               WINDOW_OVER <---- refused ---+
 *
 * Hits need none of this: they go on in every state but WINDOW_OVER, in which there is no view.
 */
#ifndef PMEMARENA_WINDOW_H
#define PMEMARENA_WINDOW_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>

#include "lib/session/client.h"
#include "lib/window/area.h"
#include "lib/window/uses.h"
#include "lib/window/view.h"
#include "lib/window/words.h"

enum window_state {
	WINDOW_UP,                      /* the daemon and the session know it */
	WINDOW_ASKED,                   /* a WINDOW is under way, before all other requests */
	WINDOW_DOWN,                    /* it was not answered: the next miss asks again */
	WINDOW_OVER,                    /* for good; `why` says the reason */
};

SLIST_HEAD(view_list, view);
struct window_call;
LIST_HEAD(window_call_list, window_call);

struct pma_window {
	struct client_tie tie;
	struct client_revival revival;
	uint32_t process;               /* number of the process that opened it */
	uint32_t arena;
	uint64_t page_size;             /* the arena's */
	bool     is_writable;
	struct area area;
	struct words words;
	struct uses uses;               /* what hits note there */
	/* Borrowed from `views`; what hits read. NULL: the window is over, or there is none to read. */
	_Atomic(struct view *) view;
	/* From here on under link.lock. */
	struct view_list views;         /* owned; all that ever were */
	enum window_state state;
	int      err;                   /* in WINDOW_DOWN: why, a negative errno; `why` says it */
	uint64_t number;                /* 0: not open yet */
	uint8_t  secret[16];
	struct window_call_list calls;  /* under way, that take it up again */
	struct why why;
};

/* Is this the process that opened it? -EINVAL no window, -EPERM it is a child's copy. */
int window_check(const struct pma_window *window);
/*
 * Before a request that needs the window: if it is down it is taken up again. 0, or -ESTALE the
 * window is over, -ENOTCONN the program has disconnected, or the errors of a call, and what kept it
 * from being taken up; with a message.
 * Takes the lock.
 */
int window_need(struct pma_window *window);

#endif
