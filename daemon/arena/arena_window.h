/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_window: windows: the whole data area mapped by a session, and the pins that keep
 * allocations where they are. window.h has how they are kept, lib/wire/window.h what the memory
 * that is shared looks like.
 */
#ifndef PMEMARENA_WINDOW_REQUESTS_H
#define PMEMARENA_WINDOW_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"
#include "daemon/arena/arena_holder.h"
#include "lib/wire/why.h"

struct arena_window_ask {
	/* open: a number that nothing else has; resume: the number of the window */
	uint64_t number;
	uint8_t  secret[16];            /* for arena_window_resume() only */
	bool     read_only;             /* for arena_window_open() only */
	uint32_t nr_words;              /* for arena_window_open() only; 0: PINS_WORDS */
};
struct arena_window {
	uint64_t number;
	uint8_t  secret[16];
	uint32_t nr_words;
	bool     is_resumed;
	int      device_fd, pins_fd;    /* open only: the caller closes them */
};
/*
 * Opens a window for the caller's session. -EBUSY: the session has one, or a process has locked the
 * byte of the mark; -EINVAL: too many words; -EDQUOT: its user is above a limit; -EIO, -ENOMEM,
 * errors of memfd_create() and of opening the device.
 */
int arena_window_open(struct arena_window *out, struct arena *arena, const struct caller *caller,
		      const struct arena_window_ask *ask, struct why *why);
/*
 * Gives the caller's session a window that is there. @pins_fd is the file of its pins, which stays
 * the caller's, or -1. -ENOENT: there is no such window, or the secret is another; -EACCES: the
 * window is another user's; -EBUSY: the session has another one; -ESTALE: @pins_fd is not the file
 * of its pins.
 */
int arena_window_resume(struct arena_window *out, struct arena *arena, const struct caller *caller,
			const struct arena_window_ask *ask, int pins_fd, struct why *why);
/* Is there a window of an earlier daemon whose pins have not come yet? */
bool arena_awaits_pins(const struct arena *arena);
/* ---- what windows pin, for people ---- */

struct arena_window_info {
	uint64_t number;
	/*
	 * connected: a session uses it; awaited: its process has not handed in its pins to this
	 * daemon yet, so it counts as pinning everything; mark: no session uses it, and somebody
	 * has its descriptor or a mapping through it
	 */
	enum arena_holder_state state;
	uint64_t mark;                  /* the byte of its mark */
	uint32_t uid;
	bool     read_only;
	/* of the session that came with it last to this daemon; 0, "": none did, or not known */
	uint64_t session;
	int      pid;
	char     command[COMMAND_SIZE];
	uint64_t nr_pins;               /* pin words in use */
	/* what they pin, each allocation once; what is freed waits for pins and holds alone */
	uint64_t nr_allocs, bytes, nr_freed, freed_bytes;
};
/*
 * Calls @each for each window, with what it pins now. @only: of this allocation alone; NULL: of
 * all. *info is valid only during the call. -ENOMEM: it was called for none.
 */
int arena_each_window(struct arena *arena, const struct alloc *only,
		      void (*each)(void *arg, const struct arena_window_info *info), void *arg);
/*
 * Pins @alloc in word @index of the window of the caller's session. Returns errors as
 * arena_open_alloc() does; -EBADF: the session has no window; -EINVAL: the word is not PINS_TAKEN.
 */
int arena_pin(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool read_only,
	      uint64_t index, struct why *why);

#endif
