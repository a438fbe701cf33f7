/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder: sessions as the arena sees them, what each has open, and space that waits until nobody can have it mapped any more.
 *
 * Neither a pid nor a hang-up tells who still has a mapping (fork, passed descriptors). The descriptor that a session got carries
 * its mark, an OFD lock that every mapping made through it pins, in whatever process. So a hold ends when its session says
 * that it unmapped the allocation, or when the session is over (or has closed it) and its mark is gone.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/arena/arena_internal.h"

/* One mark a session and mode. */
static uint64_t mark_of(const struct holder *holder, bool read_only)
{
	return holder->session * 2 + read_only;
}

/* Asked once a round: a session may have closed thousands of allocations. A read-only hold can be mapped through a writable mark too. */
static bool is_marked(struct holder *holder)
{
	const struct device *device = holder->arena->device;

	if (holder->looked == holder->arena->rounds)
		return holder->was_marked;
	/* An error is no proof that nobody has it. */
	holder->was_marked = device_is_marked(device, mark_of(holder, true)) != 0 || device_is_marked(device, mark_of(holder, false)) != 0;
	holder->looked = holder->arena->rounds;
	return holder->was_marked;
}

struct holder *holder_find(const struct arena *arena, uint64_t session)
{
	struct holder *holder;

	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->session == session)
			return holder;
	return NULL;
}

/* @entry 0: it gets one in the ledger. */
int holder_new(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid, uint32_t entry)
{
	struct holder *holder = calloc(1, sizeof(*holder));
	int r = 0;

	if (!holder)
		return -ENOMEM;
	*holder = (struct holder){ .arena = arena, .session = session, .uid = uid, .entry = entry };
	TAILQ_INIT(&holder->holds);
	if (!entry)
		r = ledger_add_holder(&holder->entry, arena->ledger, &(struct ledger_holder){ .session = session, .uid = uid });
	if (r < 0) {
		free(holder);
		return r;
	}
	TAILQ_INSERT_TAIL(&arena->holders, holder, link);
	*out = holder;
	return 0;
}

int arena_join(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid)
{
	struct holder *holder = holder_find(arena, session);
	int r = 0;

	if (!holder)
		r = holder_new(&holder, arena, session, uid, 0);
	if (r < 0)
		return r;
	holder->is_connected = true;
	holder->is_orphan = false;
	*out = holder;
	return 0;
}

static void holder_drop(struct holder *holder)
{
	struct arena *arena = holder->arena;
	struct hold *hold;

	while ((hold = TAILQ_FIRST(&holder->holds)))
		hold_drop(arena, hold);
	deeds_drop(holder);
	TAILQ_REMOVE(&arena->holders, holder, link);
	ledger_remove(arena->ledger, holder->entry);
	free(holder->deeds);
	free(holder);
}

/* The daemon stops or the arena closes: the ledger keeps everything. */
void holders_free(struct arena *arena)
{
	struct holder *holder;
	struct hold *hold;

	while ((holder = TAILQ_FIRST(&arena->holders))) {
		while ((hold = TAILQ_FIRST(&holder->holds))) {
			TAILQ_REMOVE(&holder->holds, hold, by_holder);
			TAILQ_REMOVE(&hold->alloc->holds, hold, by_alloc);
			free(hold);
		}
		TAILQ_REMOVE(&arena->holders, holder, link);
		free(holder->deeds);
		free(holder);
	}
}

int arena_attach(int *fd, struct holder *holder, bool read_only)
{
	int opened = -1;
	int r = device_reopen(&opened, holder->arena->device, read_only ? O_RDONLY : O_RDWR);

	if (r == 0)
		/* Shared: a session that comes back may still have its first description. */
		r = device_mark(opened, mark_of(holder, read_only), true);
	if (r < 0) {
		if (opened >= 0)
			close(opened);
		return r;
	}
	*fd = opened;
	return 0;
}

/* ---- holds ---- */

struct hold *hold_find(const struct holder *holder, const struct alloc *alloc)
{
	struct hold *hold;

	/* An allocation has few holders, a holder may have many allocations. */
	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (hold->holder == holder)
			return hold;
	return NULL;
}

int hold_add(struct arena *arena, struct holder *holder, struct alloc *alloc, bool read_only)
{
	struct hold *hold = malloc(sizeof(*hold));
	int r;

	if (!hold)
		return -ENOMEM;
	r = ledger_add_hold(&hold->entry, arena->ledger, &(struct ledger_hold){
				.session = holder->session, .id = alloc->id, .slot = alloc->slot, .read_only = read_only });
	if (r < 0) {
		free(hold);
		return r;
	}
	hold->alloc = alloc;
	hold->holder = holder;
	hold->read_only = read_only;
	hold->closed = false;
	TAILQ_INSERT_TAIL(&alloc->holds, hold, by_alloc);
	TAILQ_INSERT_TAIL(&holder->holds, hold, by_holder);
	return 0;
}

void hold_drop(struct arena *arena, struct hold *hold)
{
	TAILQ_REMOVE(&hold->alloc->holds, hold, by_alloc);
	TAILQ_REMOVE(&hold->holder->holds, hold, by_holder);
	ledger_remove(arena->ledger, hold->entry);
	free(hold);
}

static bool hold_can_go(const struct hold *hold)
{
	if (hold->holder->is_orphan || (hold->holder->is_connected && !hold->closed))
		return false;
	return !is_marked(hold->holder);
}

/* ---- the end of a session, and of what it held ---- */

/* What it reserved ends; what it has open is only a matter of its marks from here on. */
static void end(struct holder *holder)
{
	struct hold *hold, *next;

	holder->is_connected = holder->is_orphan = false;
	deeds_drop(holder);
	TAILQ_FOREACH_SAFE(hold, &holder->holds, by_holder, next)
		if (hold->alloc->state == ALLOC_RESERVED && hold->alloc->session == holder->session)
			reservation_end(holder->arena, hold->alloc);
}

void arena_leave(struct holder *holder)
{
	struct arena *arena = holder->arena;

	end(holder);
	quarantine_look(arena);
}

void arena_drop_orphans(struct arena *arena)
{
	struct holder *holder;

	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->is_orphan)
			end(holder);
	quarantine_look(arena);
}

void freeing_release(struct arena *arena, struct alloc *alloc)
{
	int r;

	while (alloc->nr_extents > 0) {
		r = space_release(arena->space, alloc->extents[alloc->nr_extents - 1], alloc->is_run);
		if (r < 0)
			return;                 /* no memory: the next look tries again with what is left */
		alloc->nr_pfns -= alloc->extents[alloc->nr_extents - 1].len;
		alloc->nr_extents--;
	}
	ledger_remove(arena->ledger, alloc->entry);
	TAILQ_REMOVE(&arena->freeing, alloc, link);
	object_drop(arena, alloc);
}

/* Each session that is over, or that closed something, is asked for once; then whatever nobody holds is free. */
void quarantine_look(struct arena *arena)
{
	struct holder *holder, *next_holder;
	struct alloc *alloc, *next;
	struct hold *hold, *next_hold;

	arena->rounds++;
	TAILQ_FOREACH_SAFE(holder, &arena->holders, link, next_holder)
		if (!holder->is_connected && !holder->is_orphan && !is_marked(holder))
			holder_drop(holder);
	TAILQ_FOREACH_SAFE(alloc, &arena->freeing, link, next) {
		TAILQ_FOREACH_SAFE(hold, &alloc->holds, by_alloc, next_hold)
			if (hold->holder->is_connected && hold_can_go(hold))
				hold_drop(arena, hold);
		if (TAILQ_EMPTY(&alloc->holds))
			freeing_release(arena, alloc);
	}
}
