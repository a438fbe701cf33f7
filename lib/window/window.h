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
	WINDOW_UP,                      /* the daemon keeps the window in this session */
	WINDOW_ASKED,                   /* a WINDOW request is under way, ahead of all others */
	WINDOW_DOWN,                    /* the request got no answer; the next miss asks again */
	WINDOW_OVER,                    /* the window is over for good; `why` has the reason */
};

SLIST_HEAD(view_list, view);
struct window_call;
LIST_HEAD(window_call_list, window_call);

struct pma_window {
	struct client_tie tie;
	struct client_revival revival;
	/* process number of the process that opened the window (lib/process.h) */
	uint32_t process;
	uint32_t arena;
	uint64_t page_size;             /* bytes of a compound page of the arena */
	bool     is_writable;
	struct area area;
	struct words words;
	/* where hits are noted, for the daemon's choice of what to evict */
	struct uses uses;
	/*
	 * Borrowed from `views`: the catalog that hits read. NULL: the window is over, or its
	 * catalog has a layout that this library does not know.
	 */
	_Atomic(struct view *) view;
	/* The members from here on are read and written under link.lock. */
	/* owned; every catalog that the window had, since readers may still be in an old one */
	struct view_list views;
	enum window_state state;
	/* in WINDOW_DOWN: a negative errno; `why` has it in words */
	int      err;
	/* the daemon's number for the window; 0: it is not open yet */
	uint64_t number;
	uint8_t  secret[16];
	struct window_call_list calls;  /* requests under way that take the window up again */
	struct why why;
};

/*
 * Checks that this process opened @window. -EINVAL: it is NULL; -EPERM: it was opened before
 * fork(), by the parent.
 */
int window_check(const struct pma_window *window);
/*
 * Makes sure that the daemon knows the window, before a request names it: in WINDOW_DOWN it asks
 * again. Takes link.lock. Returns 0, or with a message: -ESTALE the window is over; -ENOTCONN the
 * program has disconnected; the error of the request, or the one that kept the window from being
 * taken up again.
 */
int window_need(struct pma_window *window);

#endif
