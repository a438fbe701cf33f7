/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_list: whose window pins what, for people. pins.c asks whether anybody pins one allocation;
 * here each window is asked what it pins.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/window.h"

/* Whether the window that is being counted pins a slot. */
struct slot_pin {
	uint32_t turn;                  /* as in the census: it does. Else another window did */
	uint32_t version;               /* the lowest that it pins */
};

/* What is needed while windows are counted, one after the other. */
struct census {
	const struct arena *arena;
	const struct alloc *only;       /* NULL: all count */
	uint32_t turn;                  /* the how manieth window is counted */
	struct slot_pin *slots;         /* owned array, by slot */
	/* owned array of borrowed allocations: the parts that a shrink cut off */
	const struct alloc **cuts;
	size_t nr_cuts;
};

static int begin(struct census *census)
{
	const struct arena *arena = census->arena;
	const struct alloc *alloc;
	size_t nr = 0;

	TAILQ_FOREACH(alloc, &arena->freeing, link)
		nr += alloc->cut_from != 0;
	/* One more than needed: an array of nothing could be NULL. */
	census->slots = calloc(arena->nr_objects + 1u, sizeof(*census->slots));
	census->cuts = calloc(nr + 1, sizeof(const struct alloc *));
	if (!census->slots || !census->cuts)
		return -ENOMEM;
	TAILQ_FOREACH(alloc, &arena->freeing, link)
		if (alloc->cut_from)
			census->cuts[census->nr_cuts++] = alloc;
	return 0;
}

static void add(struct arena_window_info *info, const struct census *census,
		const struct alloc *alloc)
{
	uint64_t bytes = alloc_bytes(alloc);
	bool is_freed = alloc->state == ALLOC_FREEING;

	if (census->only && alloc != census->only)
		return;
	info->nr_allocs++;
	info->bytes += bytes;
	info->nr_freed += is_freed;
	info->freed_bytes += is_freed ? bytes : 0;
}

/* A part that was cut off is pinned by the versions of the whole that had it. */
static void add_cuts(struct arena_window_info *info, const struct census *census)
{
	const struct arena *arena = census->arena;

	for (size_t i = 0; i < census->nr_cuts; i++) {
		const struct alloc *cut = census->cuts[i], *whole;

		whole = cut->pin_slot < arena->nr_objects ? arena->objects[cut->pin_slot] : NULL;
		if (whole && whole->id == cut->cut_from &&
		    census->slots[cut->pin_slot].turn == census->turn &&
		    census->slots[cut->pin_slot].version <= cut->pin_limit)
			add(info, census, cut);
	}
}

static void count(struct arena_window_info *info, struct census *census,
		  const struct window *window)
{
	const struct arena *arena = census->arena;
	uint32_t high = pins_high(window);

	census->turn++;
	for (uint32_t i = 0; i < high; i++) {
		uint64_t word = pins_load(window, i), slot = pins_slot(word);
		uint32_t version = (uint32_t)word;
		struct slot_pin *pin = &census->slots[slot < arena->nr_objects ? slot : 0];

		if (slot >= arena->nr_objects || !arena->objects[slot])
			continue;
		info->nr_pins++;
		if (pin->turn != census->turn)
			add(info, census, arena->objects[slot]);
		else if (pin->version < version)
			version = pin->version;
		*pin = (struct slot_pin){ census->turn, version };
	}
	if (info->nr_pins > 0)
		add_cuts(info, census);
}

/* All holders are looked at once: once for each window would be a million looks soon. */
static void find_used(struct arena *arena)
{
	const struct holder *holder;
	struct window *window;

	TAILQ_FOREACH(window, &arena->windows, link)
		window->is_in_use = false;
	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->window && holder->is_connected)
			holder->window->is_in_use = true;
}

static enum arena_holder_state state_of(const struct window *window)
{
	if (!window->pins)
		return ARENA_HOLDER_AWAITED;
	return window->is_in_use ? ARENA_HOLDER_CONNECTED : ARENA_HOLDER_MARK;
}

static void describe(struct arena_window_info *info, const struct window *window)
{
	*info = (struct arena_window_info){
		.number = window->id.number,
		.state = state_of(window),
		.mark = window_mark_byte(window),
		.uid = window->id.uid,
		.read_only = window->id.read_only,
		.session = window->session,
		.pid = window->who.pid,
	};
	memcpy(info->command, window->who.command, sizeof(info->command));
}

int arena_each_window(struct arena *arena, const struct alloc *only,
		      void (*each)(void *arg, const struct arena_window_info *info), void *arg)
{
	struct census census = { .arena = arena, .only = only };
	const struct window *window;
	int r = TAILQ_EMPTY(&arena->windows) ? 0 : begin(&census);

	find_used(arena);
	if (r == 0)
		TAILQ_FOREACH(window, &arena->windows, link) {
			struct arena_window_info info;

			describe(&info, window);
			if (window->pins)
				count(&info, &census, window);
			each(arg, &info);
		}
	free(census.slots);
	free(census.cuts);
	return r;
}
