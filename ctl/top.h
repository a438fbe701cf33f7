/* SPDX-License-Identifier: BSD-3-Clause */
/* top: what top.c (when), top_frame.c (what) and top_screen.c (where) share. */
#ifndef PMEMARENA_CTL_TOP_H
#define PMEMARENA_CTL_TOP_H

#include "ctl/ctl.h"

/* What the daemon said at a moment; both are owned. */
struct top_moment {
	struct json_object *stats, *users;
	uint64_t at_ns;
};

/* ---- top_frame.c ---- */

/* "bytes", "growth", "quarantined", "allocations", "sessions", "leased", "fds" or "uid". */
bool top_read_sort(size_t *sort, const char *name);
/* The key of a column on the keyboard: its first letter. false: there is none. */
bool top_key_sort(size_t *sort, char key);
/* Prints at most @rows lines, of @width characters each. @last has no stats at first. */
void top_frame_print(const struct top_moment *now, const struct top_moment *last, size_t sort,
		     unsigned rows, unsigned width, bool is_screen);

/* ---- top_screen.c ---- */

/* Takes the terminal over; false: standard output is none, and nothing was done. */
bool top_screen_begin(void);
void top_screen_end(void);
void top_screen_size(unsigned *rows, unsigned *width);
/* To the beginning of the screen; what is on it is written over, so that nothing flickers. */
void top_screen_home(void);
/* What is below the last line is of the frame before. */
void top_screen_rest(void);
/* Waits for a key, at most so long. NUL: there was none. */
char top_screen_key(double seconds);

#endif
