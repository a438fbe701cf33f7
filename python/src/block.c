/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block: see block.h.
 */
#include "block.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "window.h"

struct block *block_new(struct window *window, size_t nr, bool is_writable)
{
	size_t size = sizeof(struct pma_pin) + sizeof(struct pin_use);
	struct block *block = NULL;

	if (nr <= (SIZE_MAX - sizeof(*block)) / size)
		block = malloc(sizeof(*block) + nr * size);
	if (!block)
		return (struct block *)PyErr_NoMemory();
	*block = (struct block){ .window = window, .nr = nr, .is_writable = is_writable };
	block->uses = (struct pin_use *)&block->pins[nr];
	for (size_t i = 0; i < nr; i++) {
		block->uses[i] = (struct pin_use){ .state = PIN_NONE };
		/* What a get that fails as a whole leaves as it is must not look like a pin. */
		block->pins[i].word = 0;
		block->pins[i].result = -EINVAL;
		block->pins[i].pieces = NULL;
	}
	return block;
}

void block_hold(struct block *block)
{
	for (size_t i = 0; i < block->nr; i++) {
		if (block->pins[i].result == 0)
			block->uses[i].state = PIN_HELD;
	}
	LIST_INSERT_HEAD(&block->window->blocks, block, link);
	block->is_held = true;
}

void block_put_all(struct block *block)
{
	if (block->window->window)
		pma_put(block->window->window, block->pins, block->nr);
	for (size_t i = 0; i < block->nr; i++) {
		if (block->uses[i].state != PIN_NONE)
			block->uses[i].state = PIN_PUT;
	}
}

void block_free(struct block *block)
{
	if (!block)
		return;
	if (block->is_held)
		LIST_REMOVE(block, link);
	/* Else the window put it at its end. */
	if (block->window->window)
		pma_put(block->window->window, block->pins, block->nr);
	free(block);
}

bool block_check(const struct block *block, size_t i)
{
	if (!life_check(&block->window->life, "pin's window"))
		return false;
	if (block->uses[i].state == PIN_HELD)
		return true;
	error_say(EBADF, NULL,
		  "this pin was put: its bytes may be somebody else's by now; get it again");
	return false;
}

static void put_one(struct block *block, size_t i)
{
	pma_put(block->window->window, &block->pins[i], 1);
	block->uses[i].state = PIN_PUT;
}

bool block_begin_view(struct block *block, size_t i)
{
	if (!block_check(block, i) || !window_begin_view(block->window))
		return false;
	block->uses[i].views++;
	block->views++;
	return true;
}

void block_end_view(struct block *block, size_t i)
{
	block->uses[i].views--;
	block->views--;
	if (block->uses[i].state == PIN_ENDING && block->uses[i].views == 0)
		put_one(block, i);
	window_end_view(block->window);
}

bool block_put(struct block *block, size_t i, bool defer)
{
	if (block->uses[i].state != PIN_HELD)
		return true;
	if (block->uses[i].views == 0) {
		/* A window that is over has put it already. */
		if (block->window->window)
			put_one(block, i);
		return true;
	}
	if (!defer) {
		PyErr_Format(PyExc_BufferError,
			     "views of this pin are in use (%u): release them, or put it with "
			     "defer=True, which ends it after the last one",
			     (unsigned)block->uses[i].views);
		return false;
	}
	block->uses[i].state = PIN_ENDING;
	return true;
}
