/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins: what the processes that have a window say that they use. lib/wire/window.h says which bytes
 * they share with the daemon.
 */
#ifndef PMEMARENA_ARENA_PINS_H
#define PMEMARENA_ARENA_PINS_H

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_internal.h"

struct window;

/*
 * May the space of @alloc, which is FREEING and which no session holds, be given to others? false:
 * somebody has it pinned, or may have. It is then charged to the user of that window, and asked for
 * again later. The pins are read at most once for all that was hidden before, and once a round for
 * what was pinned then.
 */
bool pins_let_go(struct arena *arena, struct alloc *alloc);
/*
 * From here on no catalog leads to @alloc, or its last holder has closed it: only pins that are
 * stored by now count. Call this after the entry was dropped from the catalog.
 */
void pins_hide(struct arena *arena, struct alloc *alloc);
/*
 * Reads the pins of all windows now. If those of a window are not there (a daemon before made it,
 * and its process has not handed them in yet), arena.pins_missing is that window: everything counts
 * as pinned then.
 */
void pins_look(struct arena *arena);
/*
 * Did the last pins_look() find @alloc pinned? A pin that was stored later is seen by
 * pins_let_go().
 */
bool pins_has(const struct arena *arena, const struct alloc *alloc);
/* To be called before @alloc is freed: returns what somebody was charged for its being pinned. */
void pins_forget(struct arena *arena, struct alloc *alloc);
/* Forgets what was read of the pins: the next pins_let_go() reads them anew. */
void pins_expire(struct arena *arena);

/*
 * Makes the file of the pins of a new window, maps it into window->pins, and notes in window->id
 * which file it is. The caller owns *out. All its memory is there before anybody stores to it: a
 * store without memory would be a SIGBUS. -errno: nothing is left of it.
 */
int pins_make(struct window *window, int *out);
/* Maps the pins in @fd, which pins_check_file() accepted. The errors of mmap(). */
int pins_map(struct window *window, int fd);
/* Ends the mapping; does nothing where there is none. The process keeps its own. */
void pins_unmap(struct window *window);
/*
 * Is @fd the file that pins_make() made for this window, with the size that it had? Another file
 * could be made shorter, or say that its process uses nothing. 0: it is; -ESTALE: it is another
 * one; another -errno: the daemon cannot find out.
 */
int pins_check_file(const struct window *window, int fd);
/*
 * Writes who uses the window, as the kernel told when the session connected, into the header of the
 * pins. The pin words stay as they are.
 */
void pins_introduce(struct window *window, const struct caller *caller);
/*
 * Stores @word in the pin word @index, whose pins are there. -EINVAL: the process has not stored
 * PINS_TAKEN in that word.
 */
int pins_store(const struct window *window, uint64_t index, uint64_t word);

/* So many words of @window, whose pins are there, may be in use; words behind them are not. */
uint32_t pins_high(const struct window *window);
/* Loads the word @index, below pins_high(). It is what its process stored: anything. */
uint64_t pins_load(const struct window *window, uint32_t index);
static inline uint64_t pins_slot(uint64_t word)         /* UINT64_MAX: it pins nothing */
{
	return (word >> 32) - 1;
}

#endif
