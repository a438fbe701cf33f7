/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_transfer: moves an allocation to another arena, a slice a call, so that clients are
 * served in between. One is moved at a time. The copy is published before the original is freed: a
 * cut between the two leaves both, and who moves it again finds that they are equal and frees the
 * original. Whoever asked and does not go on asking is forgotten: then all is as it was.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_transfer.h"
#include "daemon/log.h"
#include "daemon/service/service.h"

#define SLICE       (8u << 20)          /* some milliseconds */
#define PATIENCE_NS UINT64_C(10000000000)

static struct arena *arena_at(const struct service *service, uint32_t index)
{
	return index < service->nr_arenas ? service->arenas[index].arena : NULL;
}

/* The original, or the copy: NULL, it is gone, or its arena is. */
static struct alloc *find(const struct service *service, const struct arena_place *place)
{
	struct arena *arena = arena_at(service, place->arena);

	return arena && place->id ? arena_find(arena, place->slot, place->id) : NULL;
}

static int own(struct caller *caller, struct service *service, uint32_t index,
	       const struct alloc *alloc, struct why *why)
{
	return service_own_caller(caller, service, index, alloc->uid, alloc->gid, why);
}

/* ---- the end ---- */

/* Gives up: the original is everybody's again, and a copy that was not published is gone. */
static void give_up(struct service *service)
{
	struct transfer *transfer = &service->transfer;
	struct alloc *alloc = find(service, &transfer->from), *copy = find(service, &transfer->to);
	struct caller caller;
	struct why why;

	if (alloc)
		arena_transfer_end(arena_at(service, transfer->from.arena), alloc);
	if (copy && transfer->compares)
		arena_transfer_end(arena_at(service, transfer->to.arena), copy);
	if (copy && !transfer->compares &&
	    own(&caller, service, transfer->to.arena, copy, &why) == 0) {
		arena_abort(arena_at(service, transfer->to.arena), &caller, copy, true, &why);
		service_settle(service, transfer->to.arena);
	}
	*transfer = (struct transfer){ .is_running = false };
}

/* Publishes the copy, with all that belongs to the original, and settles. */
static int publish(struct service *service, struct alloc *alloc, struct alloc *copy,
		   struct why *why)
{
	uint32_t index = service->transfer.to.arena;
	struct arena *arena = arena_at(service, index);
	struct caller caller;
	int r = own(&caller, service, index, alloc, why);

	if (r == 0)
		r = arena_publish(arena, &caller, copy, alloc->token, why);
	if (r == 0 && service_settle(service, index) < 0)
		r = why_set(why, -EIO,
			    "arena %s went offline: whether the copy is there is not known, the "
			    "original is",
			    service->arenas[index].name);
	if (r == 0)
		arena_close_alloc(arena, &caller, copy, true);
	service_tell(service, index);
	return r;
}

static int free_original(struct service *service, struct alloc *alloc, struct why *why)
{
	uint32_t index = service->transfer.from.arena;
	struct caller caller;
	int r = service_own_caller(&caller, service, index, 0, 0, why);

	alloc->is_moving = false;
	if (r == 0)
		r = arena_transfer_free(arena_at(service, index), &caller, alloc,
					service->transfer.to, why);
	if (r == 0 && service_settle(service, index) < 0)
		r = why_set(why, -EIO, "arena %s went offline: the copy is there, the original "
				       "perhaps too; move it again when the arena is back",
			    service->arenas[index].name);
	service_tell(service, index);
	return r;
}

static int finish(struct service *service, struct alloc *alloc, struct alloc *copy,
		  struct why *why)
{
	int r = arena_transfer_check(alloc, copy, why);

	if (r == 0 && !service->transfer.compares)
		r = publish(service, alloc, copy, why);
	if (r == 0)
		r = free_original(service, alloc, why);
	if (r == 0 && service->transfer.compares)
		arena_transfer_end(arena_at(service, service->transfer.to.arena), copy);
	return r;
}

/* ---- the beginning ---- */

/* Reserves the copy for the owner of the original, with what it will be published with. */
static int reserve(struct service *service, const struct alloc *alloc, uint32_t index,
		   struct why *why)
{
	struct arena *arena = arena_at(service, index);
	const struct arena_ask ask = {
		.name = alloc->name,
		.name_len = alloc->name_len,
		.len = alloc_bytes(alloc),
		.mode = alloc->mode,
		.is_transfer = true,
	};
	const struct arena_attrs mode = { .which = ARENA_SET_MODE, .mode = alloc->mode };
	struct caller caller;
	struct alloc *copy;
	int r = own(&caller, service, index, alloc, why);

	if (r == 0)
		r = arena_reserve(&copy, arena, &caller, &ask, why);
	if (r == -EAGAIN)
		return why_set(why, r, "there is room, but it is still being scrubbed; ask again");
	if (r < 0)
		return why_fill(why, r);
	service->transfer.to = (struct arena_place){ index, copy->slot, copy->id };
	/* A mode of 0 means another one where something is reserved. */
	if (alloc->mode == 0)
		r = arena_setattr(arena, &caller, copy, &mode, why);
	if (r == 0)
		r = arena_give_attributes(arena, &caller, copy, alloc->attributes,
					  alloc->attributes_len, why);
	return r < 0 ? r : arena_give_evictable(arena, &caller, copy, alloc->is_evictable, why);
}

/* Is @other what the original would be in @to? Then a move that was cut had published it. */
static bool is_alike(const struct alloc *alloc, const struct arena *to, const struct alloc *other)
{
	struct arena_need need = { 0 };

	/* Its length there: the pages of the two arenas may differ. */
	arena_add_need(&need, to, alloc_bytes(alloc));
	return other->uid == alloc->uid && other->gid == alloc->gid &&
	       other->mode == alloc->mode && other->is_evictable == alloc->is_evictable &&
	       other->nr_pfns == need.nr_pfns &&
	       other->attributes_len == alloc->attributes_len &&
	       (!alloc->attributes_len ||
		memcmp(other->attributes, alloc->attributes, alloc->attributes_len) == 0);
}

static int refuse_name(const struct service *service, uint32_t to, struct why *why)
{
	return why_set(why, -EEXIST,
		       "arena %s has another allocation of that name: rename one of them",
		       service->arenas[to].name);
}

/*
 * Takes the place in arena @to: a new reservation, or the copy that a move before had made. That
 * one is closed to all too: somebody could else write to what was compared already, and of two that
 * differ the original would be freed.
 */
static int take_place(struct service *service, const struct alloc *alloc, uint32_t to,
		      struct why *why)
{
	struct arena *arena = arena_at(service, to);
	struct alloc *other =
		alloc->name_len ? arena_find_name(arena, alloc->name, alloc->name_len) : NULL;
	int r;

	if (!other || other->state != ALLOC_PUBLISHED)
		return reserve(service, alloc, to, why);
	if (!is_alike(alloc, arena, other))
		return refuse_name(service, to, why);
	r = arena_transfer_begin(arena, other, why);
	if (r < 0)
		return why_add(why, r, "arena %s has an allocation of that name, perhaps a copy: ",
			       service->arenas[to].name);
	service->transfer.compares = true;
	service->transfer.size = alloc_bytes(other);
	service->transfer.to = (struct arena_place){ to, other->slot, other->id };
	return 0;
}

static int begin(struct service *service, uint32_t from, struct alloc *alloc, uint32_t to,
		 struct why *why)
{
	int r;

	if (from == to)
		return why_set(why, -EINVAL, "it is in arena %s already",
			       service->arenas[to].name);
	r = arena_transfer_begin(arena_at(service, from), alloc, why);
	if (r < 0)
		return r;
	service->transfer = (struct transfer){
		.is_running = true,
		.from = { from, alloc->slot, alloc->id },
		.wanted = to,
		.size = alloc_bytes(alloc),
	};
	return take_place(service, alloc, to, why);
}

/* ---- a slice ---- */

static int go_on(struct service *service, struct alloc *alloc, struct alloc *copy, struct why *why)
{
	struct transfer *transfer = &service->transfer;
	struct arena *to = arena_at(service, transfer->to.arena),
		     *from = arena_at(service, transfer->from.arena);
	uint64_t left = transfer->size - transfer->done, len = left < SLICE ? left : SLICE;
	int r;

	if (!transfer->compares)
		r = arena_transfer_copy(to, copy, from, alloc, transfer->done, len);
	else
		r = arena_transfer_compare(to, copy, from, alloc, transfer->done, len);
	if (r > 0)
		return refuse_name(service, transfer->to.arena, why);
	if (r < 0)
		return why_set(why, r, "its contents cannot be copied: %s", strerror(-r));
	transfer->done += len;
	return transfer->done < transfer->size ? 0 : finish(service, alloc, copy, why);
}

/* Is what is under way of this allocation? What lost its original or its copy is given up. */
static bool is_under_way(struct service *service, uint32_t from, const struct alloc *alloc,
			 uint32_t to)
{
	struct transfer *transfer = &service->transfer;
	const struct alloc *original = find(service, &transfer->from),
			   *copy = find(service, &transfer->to);

	/* An arena that went and came back knows nothing of the move: others may have written. */
	if (transfer->is_running && (!original || !original->is_moving || !copy ||
				     (transfer->compares && !copy->is_moving)))
		give_up(service);
	return transfer->is_running && transfer->from.arena == from &&
	       transfer->from.slot == alloc->slot && transfer->from.id == alloc->id &&
	       transfer->wanted == to;
}

int service_transfer(struct transfer *out, struct service *service, uint32_t from,
		     struct alloc *alloc, uint32_t to, struct why *why)
{
	struct transfer *transfer = &service->transfer;
	struct alloc *copy;
	int r = 0;

	if (!is_under_way(service, from, alloc, to)) {
		if (transfer->is_running)
			return why_set(why, -EBUSY, "another allocation is being moved: wait");
		r = begin(service, from, alloc, to, why);
	}
	transfer->asked_ns = service_now_ns();
	copy = find(service, &transfer->to);
	if (r == 0)
		r = copy ? go_on(service, alloc, copy, why)
			 : why_set(why, -ENOENT, "its copy is gone");
	*out = *transfer;
	if (r < 0)
		give_up(service);
	else if (transfer->done == transfer->size)
		*transfer = (struct transfer){ .is_running = false };
	return r;
}

void service_transfer_tick(struct service *service)
{
	if (!service->transfer.is_running ||
	    service_now_ns() - service->transfer.asked_ns < PATIENCE_NS)
		return;
	log_notice("a move from arena %s is given up: who asked for it does not go on",
		   service->arenas[service->transfer.from.arena].name);
	give_up(service);
}
