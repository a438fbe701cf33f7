/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: processes that have the whole arena mapped; what they have pinned is in pins.h. window.c
 * says what a window is; lib/wire/window.h says which bytes are shared.
 */
#ifndef PMEMARENA_ARENA_WINDOW_H
#define PMEMARENA_ARENA_WINDOW_H

#include "daemon/arena/arena_internal.h"
#include "lib/wire/window.h"

struct window {
	TAILQ_ENTRY(window) link;       /* on arena.windows */
	struct arena *arena;            /* borrowed; outlives its windows */
	struct ledger_window id;        /* what the ledger knows of it */
	uint32_t entry;                 /* its entry in the ledger */
	uint32_t nr_users;              /* holders whose window it is */
	/*
	 * owned mapping; NULL: a daemon before this one made it, and its process has not handed it
	 * in yet
	 */
	struct pins_header *pins;
	/*
	 * which session came with it last, and of which process, for `pmemarenactl holders`; not in
	 * the ledger
	 */
	uint64_t session;
	struct ledger_who who;
	bool     is_in_use;              /* arena_each_window(): a connected session has it */
	/* the tick at which the kernel was asked for its mark last */
	uint64_t looked;
	/* what the kernel answered then; or its mark is gone, and it still counts */
	bool     was_marked;
	/* when its mark was first seen gone, CLOCK_MONOTONIC; 0: it is there */
	uint64_t gone_ns;
};

/*
 * Does anybody still have the window, or a mapping through it? It asks the kernel once a round. For
 * a while after that (arena_set_device_grace()) a device may write to what was used through it.
 */
bool window_is_marked(struct window *window);
/*
 * Call it at each tick: looks at some of the windows, in turn, and frees those that nobody has any
 * more.
 */
void window_look(struct arena *arena);
/* Returns the byte that the descriptor of @window has locked. */
uint64_t window_mark_byte(const struct window *window);
/* To be called when @holder is freed: it uses its window no longer. */
void window_leave(struct holder *holder);
/*
 * To be called when the user of @holder may use the arena no more, or may only read it now. From
 * here on the window's process must ask the daemon for each get: the rights noted in its pins are
 * taken away.
 */
void window_distrust(struct holder *holder);

/* Makes a window of an earlier daemon from its item in the ledger. */
int window_adopt(struct arena *arena, const struct ledger_item *item);
/* Frees all windows. Their items stay in the ledger, from which the next daemon adopts them. */
void window_free_all(struct arena *arena);
uint64_t window_count(const struct arena *arena);
struct window *window_find(const struct arena *arena, uint64_t number);

#endif
