/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words: the pin words of one window (lib/wire/window.h), as the process uses them. A word that is
 * not 0 is somebody's. Any thread may take any word; each tries first the one that it had last.
 */
#ifndef PMEMARENA_WORDS_H
#define PMEMARENA_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/why.h"
#include "lib/wire/window.h"

#define WORDS_NONE UINT32_MAX

struct words {
	struct pins_header *header;     /* owned, a mapping of `size` bytes; a child does not have it */
	_Atomic uint64_t *all;          /* the words, behind the header */
	uint32_t nr;
	size_t   size;
	int      fd;                    /* owned; -1: none. The daemon wants it after a restart. */
	/*
	 * Bits, under link.lock: words that were taken for a PIN which nobody answered. [0] since
	 * the last WINDOW was sent, [1] before that.
	 */
	uint64_t *lost[2];              /* owned, one malloc() */
	uint32_t nr_lost;
};

/* For a struct that is zero. Takes @fd, also on failure. -EPROTO these are no pins; -ENOMEM. */
int words_init(struct words *words, int fd, uint32_t nr, uint64_t window, struct why *why);
/* @is_child: this is a forked child, in which other memory may be in the place of the pins. */
void words_fini(struct words *words, bool is_child);

/*
 * Stores @value in a free word. What the thread loads afterwards it does not load before the store
 * is seen by all. Returns the word's index, or WORDS_NONE: all are in use.
 */
uint32_t words_take(struct words *words, uint64_t value);
uint64_t words_value(const struct words *words, uint32_t index);
void words_give(struct words *words, uint32_t index);

/* ---- under link.lock: words whose PIN got no answer ---- */

/* The daemon may still fill in this word: it stays taken. */
void words_lose(struct words *words, uint32_t index);
/* Gives back lost words that the daemon has filled in: it will not do so twice. */
void words_sweep(struct words *words);
/* A WINDOW is being sent: what is lost by now cannot be filled in once it is answered. */
void words_mark(struct words *words);
/* It was answered. */
void words_recover(struct words *words);

#endif
