/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_choice: what a step is done to, with which names, lengths and tokens; and what is noted
 * of it.
 */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"

struct object *history_pick(struct history *h, enum object_state state, bool told)
{
	struct object *found = NULL;
	uint64_t nr = 0;

	for (size_t i = 0; i < h->model->nr_objects; i++) {
		struct object *object = &h->model->objects[i];
		const struct version *last = model_last(object);

		if (last->undone != NEVER || last->state != state || (told && last->acked == NEVER))
			continue;
		if (history_rnd(h, ++nr) == 0)
			found = object;
	}
	return found;
}

struct alloc *history_alloc(const struct history *h, const struct object *object)
{
	return arena_find(h->world->arena, object->slot, object->id);
}

/* Also what was freed since. */
struct alloc *history_held(const struct history *h, const struct object *object)
{
	return arena_find_held(h->world->arena, h->world->holder, object->slot, object->id);
}

struct caller history_caller(const struct history *h, uint32_t uid)
{
	return (struct caller){ .uid = uid, .gid = uid, .holder = h->world->holder };
}

/* Few names, so that they are freed and taken again; some of them need several slots. */
uint8_t history_random_name(struct history *h, char name[ALLOC_MAX_NAME])
{
	char letter = (char)('a' + history_rnd(h, 6));
	static const uint8_t lens[] = { 1, 1, 1, 1, 40, 200, 255, 0 };
	uint8_t len = lens[history_rnd(h, 8)];

	memset(name, letter, ALLOC_MAX_NAME);
	return len;
}

uint64_t history_random_len(struct history *h)
{
	uint64_t page = h->world->flavour->page_size;

	if (page == 4096)
		return page * (1 + history_rnd(h, 12));
	return history_rnd(h, 3) ? 4096 * (1 + history_rnd(h, 40)) : page * (1 + history_rnd(h, 3));
}

/* Nobody who is alive has @extent, which is given to @alloc, mapped. */
static void check_not_mapped(struct history *h, const struct alloc *alloc, struct extent extent)
{
	uint64_t whose = mapped_find(&h->mapped, extent);

	if (!whose)
		return;
	fprintf(stderr, "allocation %llu has space of %llu, which a client has mapped\n",
		(unsigned long long)alloc->id, (unsigned long long)whose);
	history_fail(h, "a hand-out", -ENODATA);
}

/* The first word of @extent that the user @uid never stored; the end: there is none. */
static uint64_t find_strange(const struct history *h, uint32_t uid, struct extent extent)
{
	const struct image *image = recorder_image(h->world->rec);
	unsigned device = world_data_device(h->world);
	uint64_t at = extent.off, end = extent.off + extent.len, word;

	while ((at = image_find_nonzero(image, device, at, end - at)) < end) {
		at -= at % sizeof(word);
		image_read(image, device, at, &word, sizeof(word));
		if (!model_has_stored(h->model, uid, word))
			return at;
		at += sizeof(word);
	}
	return end;
}

void history_check_own(struct history *h, const struct alloc *alloc)
{
	for (uint32_t i = 0; i < alloc->nr_extents && !h->nr_failures; i++) {
		struct extent e = arena_extent(h->world->arena, alloc, i);

		if (find_strange(h, alloc->uid, e) < e.off + e.len) {
			fprintf(stderr, "allocation %llu has what uid %u never stored\n",
				(unsigned long long)alloc->id, alloc->uid);
			history_fail(h, "a hand-out", -ENODATA);
		}
		check_not_mapped(h, alloc, e);
	}
}

/*
 * What is handed out reads as zeroes, from byte @from on, and is not what somebody who is alive has
 * mapped.
 */
void history_check_hand_out(struct history *h, const struct alloc *alloc, uint64_t from)
{
	const struct image *image = recorder_image(h->world->rec);
	uint64_t at = 0;

	for (uint32_t i = 0; i < alloc->nr_extents && !h->nr_failures; i++) {
		struct extent e = arena_extent(h->world->arena, alloc, i);
		uint64_t skip = from > at ? from - at : 0;

		at += e.len;
		if (skip >= e.len)
			continue;
		e = (struct extent){ e.off + skip, e.len - skip };
		if (image_find_nonzero(image, world_data_device(h->world), e.off, e.len) !=
		    e.off + e.len) {
			fprintf(stderr, "allocation %llu does not read as zeroes\n",
				(unsigned long long)alloc->id);
			history_fail(h, "a hand-out", -ENODATA);
		}
		check_not_mapped(h, alloc, e);
	}
}

/*
 * What goes is quarantined for as long as its client has it open; to be told before, and again when
 * it is done.
 */
void history_note_going(struct history *h, const struct alloc *alloc, uint64_t from)
{
	mapped_add(&h->mapped, h->world->arena, alloc, from);
}

void history_note_gone(struct history *h, const struct object *object)
{
	if (!history_held(h, object))
		mapped_drop(&h->mapped, object->id);
}

/* Refusals that a client must expect. */
bool history_is_refused(struct history *h, enum history_op op, int r)
{
	if (r == -EAGAIN) {
		world_scrub(h->world, history_rnd(h, 8));
		arena_collect(h->world->scrubber);
		return true;
	}
	if (r < 0 && r != -ENOSPC && r != -EINPROGRESS && r != -EEXIST && r != -ENFILE &&
	    r != -EBUSY)
		history_fail(h, history_op_name(op), r);
	return r < 0;
}

/* What is given up is what others wait for. */
void history_remember(struct history *h, const struct object *object, uint64_t bytes)
{
	const struct version *last = model_last(object);

	h->released_bytes = bytes;
	h->released_len = last->name_len;
	memcpy(h->released, last->name, last->name_len);
}

/* As users give them: most of them none, or a number of their own. */
uint64_t history_random_token(struct history *h)
{
	return history_rnd(h, 2) ? 0 : (history_rnd(h, 1 << 24) << 24 | history_rnd(h, 1 << 24));
}

bool history_changed(struct history *h, enum history_op op, struct object *object, int r,
		   uint64_t begun)
{
	if (history_is_refused(h, op, r))
		return false;
	model_change(object, history_alloc(h, object), begun);
	return true;
}

/* What is left of it after parts were carved off is not one run: it only goes back. */
bool history_is_in_pieces(const struct alloc *alloc)
{
	return alloc->is_run && alloc->nr_extents > 1;
}
