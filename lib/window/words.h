/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words: the pin words of one window (lib/wire/window.h), as the process uses them. A word that is
 * not 0 is in use. Any thread may take any word; each tries the one first that it had last.
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
	/* owned, a mapping of @size bytes; a forked child does not have it */
	struct pins_header *header;
	_Atomic uint64_t *all;          /* the array of words, which follows the header */
	uint32_t nr;
	size_t   size;
	/* owned; -1: none. It is sent to the next daemon, which reads the pins from it. */
	int      fd;
	/*
	 * Two bitmaps, under link.lock, of words whose PIN request got no answer: [0] those lost
	 * since the last WINDOW request was sent, [1] those lost before it.
	 */
	uint64_t *lost[2];              /* owned; both are in one malloc() */
	uint32_t nr_lost;
};

/*
 * Maps the pins of @fd; *words is all zeroes before. Takes @fd, on failure too. -EPROTO: the memory
 * has a layout that this library does not know; -ENOMEM.
 */
int words_init(struct words *words, int fd, uint32_t nr, uint64_t window, struct why *why);
/*
 * Unmaps the pins and closes their descriptor. With @is_child nothing is unmapped: a forked child
 * never had the pins, and other memory may be at their address.
 */
void words_fini(struct words *words, bool is_child);

/*
 * Stores @value in a free word and returns the word's index; WORDS_NONE: all are in use. The store
 * is seen by all before anything that the thread loads afterwards is loaded.
 */
uint32_t words_take(struct words *words, uint64_t value);
uint64_t words_value(const struct words *words, uint32_t index);
void words_give(struct words *words, uint32_t index);

/* ---- under link.lock: words whose PIN got no answer ---- */

/*
 * Notes that word @index is lost: the daemon may still store a pin in it, so it is not given to
 * anybody.
 */
void words_lose(struct words *words, uint32_t index);
/*
 * Gives back those lost words that the daemon has stored a pin in: it stores in a word once, so
 * nothing more comes.
 */
void words_sweep(struct words *words);
/*
 * To be called when a WINDOW request is sent: the words that are lost now are free when it is
 * answered, since the new session knows none of the old requests.
 */
void words_mark(struct words *words);
/*
 * To be called when that WINDOW request was answered: gives back the words that words_mark() noted.
 */
void words_recover(struct words *words);

#endif
