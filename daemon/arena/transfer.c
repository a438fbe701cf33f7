/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transfer: copies an allocation into another arena. It leaves the catalog first, then the pins are
 * read: who had not stored a pin by then finds no entry and asks the daemon, which refuses. So its
 * contents are as they were when the copy is published, and the copy may take its place.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_transfer.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"

#define STEP (64u << 10)

/* ---- nobody uses it ---- */

static int check(const struct arena *arena, const struct alloc *alloc, struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state != ALLOC_PUBLISHED)
		return why_set(why, -EINVAL, "it is not published: only what is can be moved");
	if (alloc->is_poisoned)
		return why_set(why, -EIO, "a page of it is bad: what was there cannot be copied");
	/* Which processes of that host have it mapped is not known here. */
	if (alloc->id < arena->abroad_limit)
		return why_set(why, -EBUSY,
			       "another host had this arena, and processes there may have it "
			       "mapped yet: ask again when `pmemarenactl status` names no host "
			       "that the arena waits for");
	return 0;
}

int arena_transfer_check(const struct alloc *alloc, const struct alloc *copy, struct why *why)
{
	if (!alloc->is_poisoned && !copy->is_poisoned)
		return 0;
	return why_set(why, -EIO,
		       "a page of %s went bad in the middle: nothing was moved%s",
		       copy->is_poisoned ? "the copy" : "it",
		       copy->is_poisoned ? "; move it again" : "");
}

static bool is_pinned(struct arena *arena, const struct alloc *alloc)
{
	if (TAILQ_EMPTY(&arena->windows))
		return false;
	pins_look(arena);
	return arena->pins_missing || pins_has(arena, alloc);
}

int arena_transfer_begin(struct arena *arena, struct alloc *alloc, struct why *why)
{
	int r = check(arena, alloc, why);

	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r < 0)
		return r;
	if (!TAILQ_EMPTY(&alloc->holds))
		return why_set(why, -EBUSY,
			       "somebody has it open or perhaps mapped; `pmemarenactl holders "
			       "NAME` says who");
	alloc->is_moving = true;
	catalog_withdraw(arena->catalog, alloc->slot);
	if (!is_pinned(arena, alloc))
		return 0;
	arena_transfer_end(arena, alloc);
	return why_set(why, -EBUSY,
		       "a window has it pinned, or may have; `pmemarenactl holders NAME` says "
		       "whose");
}

void arena_transfer_end(struct arena *arena, struct alloc *alloc)
{
	alloc->is_moving = false;
	if (alloc->state == ALLOC_PUBLISHED && !alloc->is_uncataloged)
		settle_catalog(arena, alloc);
}

/* ---- contents ---- */

/* Finds byte @off of @alloc in the data area; returns how many of @len bytes are there in a row. */
static uint64_t find(uint64_t *at, const struct alloc *alloc, uint64_t off, uint64_t len)
{
	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		uint64_t size = alloc->extents[i].len << DESC_SHIFT;

		if (off < size) {
			*at = (alloc->extents[i].off << DESC_SHIFT) + off;
			return len < size - off ? len : size - off;
		}
		off -= size;
	}
	return 0;
}

/*
 * Reads the next piece of @alloc, which @copy has in one extent too. What the copy has behind the
 * end of @alloc, since its arena has larger pages, is to be zeroes. Returns its length or -EIO.
 */
static int64_t read_piece(uint8_t buf[STEP], uint64_t *at, const struct alloc *copy,
			  struct arena *from, const struct alloc *alloc, uint64_t off, uint64_t len)
{
	uint64_t source = 0, most = len < STEP ? len : STEP, nr = find(&source, alloc, off, most);
	bool is_behind = nr == 0;
	int r = 0;

	nr = find(at, copy, off, is_behind ? most : nr);
	if (nr == 0)
		return -EIO;
	if (is_behind)
		memset(buf, 0, nr);
	else
		r = media_read(from->data, buf, source, nr);
	return r < 0 ? r : (int64_t)nr;
}

int arena_transfer_copy(struct arena *to, struct alloc *copy, struct arena *from,
			struct alloc *alloc, uint64_t off, uint64_t len)
{
	static uint8_t buf[STEP];
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && len > 0) {
		int64_t nr = read_piece(buf, &at, copy, from, alloc, off, len);

		if (nr < 0)
			return (int)nr;
		r = media_store(to->data, at, buf, (uint64_t)nr);
		if (r == 0)
			r = media_flush(to->data, at, (uint64_t)nr);
		off += (uint64_t)nr;
		len -= (uint64_t)nr;
	}
	return r < 0 ? r : media_fence(to->data);
}

int arena_transfer_compare(struct arena *to, struct alloc *copy, struct arena *from,
			   struct alloc *alloc, uint64_t off, uint64_t len)
{
	static uint8_t buf[STEP], other[STEP];
	uint64_t at = 0;
	int r;

	while (len > 0) {
		int64_t nr = read_piece(buf, &at, copy, from, alloc, off, len);

		if (nr < 0)
			return (int)nr;
		r = media_read(to->data, other, at, (uint64_t)nr);
		if (r < 0)
			return r;
		if (memcmp(buf, other, (size_t)nr) != 0)
			return 1;
		off += (uint64_t)nr;
		len -= (uint64_t)nr;
	}
	return 0;
}

int arena_transfer_free(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			struct arena_place to, struct why *why)
{
	int r;

	arena->moved_to = to;
	r = arena_free_alloc(arena, caller, alloc, true, why);
	arena->moved_to.id = 0;
	return r;
}
