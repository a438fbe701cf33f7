/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block: the pins that one get obtained, and how many views each of them has. A pin is put when it
 * was asked for, or its block ends, and no view is in use: whichever comes last. All is guarded by
 * the interpreter's lock.
 */
#ifndef PMEMARENA_PYTHON_BLOCK_H
#define PMEMARENA_PYTHON_BLOCK_H

#include "python.h"

#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct window;

enum pin_state { PIN_NONE, PIN_HELD, PIN_ENDING, PIN_PUT };

struct pin_use {
	uint32_t views;
	enum pin_state state;
};

struct block {
	LIST_ENTRY(block) link; /* window.blocks, from block_hold() to block_free() */
	struct window *window; /* borrowed: who owns the block has a reference */
	size_t nr;
	size_t views; /* of all pins */
	bool is_held; /* it is in the window's list */
	bool is_writable;
	struct pin_use *uses; /* nr of them, in the same memory */
	struct pma_pin pins[];
};

/* Room for @nr pins, of which none is held. NULL with a MemoryError. */
struct block *block_new(struct window *window, size_t nr, bool is_writable);
/* After a get: its pins are held, and the window knows of them. */
void block_hold(struct block *block);
/* Puts what is held. No view of it exists. NULL is fine. */
void block_free(struct block *block);
/* Is pin @i held, in a window that is open? Else an exception. */
bool block_check(const struct block *block, size_t i);
/* Begins a view of pin @i. False with an exception. */
bool block_begin_view(struct block *block, size_t i);
void block_end_view(struct block *block, size_t i);
/* Puts pin @i, or lets its last view do it. False with a BufferError unless @defer. */
bool block_put(struct block *block, size_t i, bool defer);
/* The window ends: puts all. */
void block_put_all(struct block *block);

#endif
