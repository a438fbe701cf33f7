/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: a lease is a reservation that a client took ahead. A part of it is carved off and becomes
 * an allocation of its own, permanent with the next settle.
 *
 * The ledger has the whole reservation until after that settle; only then is the part taken out of
 * it. A daemon that dies in between leaves the whole in the ledger and the part in the table. The
 * table is right: the next daemon takes out of the reservation what the table has (adopt.c).
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/reserve.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "lib/wire/size.h"

/* ---- what can be carved ---- */

/* A part is a multiple of this many base pages. */
static uint64_t unit_pfns(const struct arena *arena, const struct alloc *lease)
{
	return lease->is_run ? 1 : arena_page_pfns(arena);
}

/*
 * Finds the extent of @lease in which all of the part lies, and returns its index. @offset and @len
 * are in bytes of the device, *part is in base pages of the data area. -EINVAL.
 */
static int find_part(struct extent *part, uint32_t *index, const struct arena *arena,
		     const struct alloc *lease, uint64_t offset, uint64_t len, struct why *why)
{
	uint64_t unit = unit_pfns(arena, lease) << DESC_SHIFT, at = offset - arena->sb.data_off;
	char size[SIZE_TEXT_MAX];

	if (len == 0 || len % unit || at % unit)
		return why_set(why, -EINVAL,
			       "a part of this reservation begins at a multiple of %s and is as "
			       "long as one; %llu bytes at %llu are not",
			       size_text(size, unit), (unsigned long long)len,
			       (unsigned long long)offset);
	*part = (struct extent){ at >> DESC_SHIFT, len >> DESC_SHIFT };
	for (uint32_t i = 0; i < lease->nr_extents; i++) {
		struct extent e = lease->extents[i];

		if (part->off < e.off || part->off - e.off >= e.len)
			continue;
		if (part->len > e.len - (part->off - e.off))
			break;
		*index = i;
		return 0;
	}
	return why_set(
		why, -EINVAL,
		"%s at offset %llu of the device are not in one free piece of the reservation",
		size_text(size, len), (unsigned long long)offset);
}

/* ---- taking the part out of the reservation ---- */

/*
 * Allocates the array of extents that @lease needs without @part, which lies inside its extent
 * @index, if that is one extent more than before; else *out is NULL. This comes before the part is
 * recorded, since take_out() must not fail. -ENOSPC: it would have too many extents.
 */
static int make_room(struct extent **out, const struct alloc *lease, uint32_t index,
		     struct extent part)
{
	struct extent e = lease->extents[index];
	struct extent *grown;

	*out = NULL;
	if (part.off == e.off || part.off + part.len == e.off + e.len)
		return 0;
	if (lease->nr_extents == ALLOC_MAX_EXTENTS)
		return -ENOSPC;
	grown = malloc((lease->nr_extents + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memcpy(grown, lease->extents, lease->nr_extents * sizeof(*grown));
	*out = grown;
	return 0;
}

/* Takes @part out of the extents of @lease; @grown is what make_room() returned. */
static void take_out(struct alloc *lease, uint32_t index, struct extent part, struct extent *grown)
{
	struct extent *extents = grown ? grown : lease->extents, e = extents[index];
	uint32_t nr_behind = lease->nr_extents - index - 1;

	lease->nr_pfns -= part.len;
	if (grown) {
		uint64_t end = part.off + part.len;

		memmove(&extents[index + 2], &extents[index + 1], nr_behind * sizeof(*extents));
		extents[index].len = part.off - e.off;
		extents[index + 1] = (struct extent){ end, e.off + e.len - end };
		alloc_drop_extents(lease, lease->extents);
		lease->extents = grown;
		lease->nr_extents++;
	} else if (part.len == e.len) {
		memmove(&extents[index], &extents[index + 1], nr_behind * sizeof(*extents));
		lease->nr_extents--;
	} else {
		extents[index].off += part.off == e.off ? part.len : 0;
		extents[index].len -= part.len;
	}
}

/* Is any base page of @part bad? A part without one need not be marked as poisoned. */
static bool has_poison(const struct arena *arena, struct extent part)
{
	for (uint64_t i = 0; i < part.len; i++)
		if (memmap_desc(arena->mm, part.off + i)->flags & DESC_POISON)
			return true;
	return false;
}

/* ---- the ledger, which learns of it after the settle ---- */

/*
 * Asks for the ledger entries that the settle will need for every reservation that was carved since
 * the last one, and two more, for a hold and a deed. Without this the ledger could be full when the
 * settle has already made the part permanent.
 */
static int reserve_ledger(struct arena *arena, const struct alloc *lease)
{
	uint32_t nr = ledger_range_entries(lease->nr_extents + 1, lease->name_len) + 2;
	const struct alloc *other;

	TAILQ_FOREACH(other, &arena->carved, link)
		nr += other == lease ? 0 : ledger_range_entries(other->nr_extents, other->name_len);
	return ledger_reserve(arena->ledger, nr);
}

/* Notes that @lease lost a part which the ledger still counts to it. */
static void put_on_list(struct arena *arena, struct alloc *lease)
{
	lease->staged = arena->txn;
	if (lease->is_carved)
		return;
	lease->is_carved = true;
	TAILQ_INSERT_TAIL(&arena->carved, lease, link);
}

/* ---- carving ---- */

/*
 * Charges an allocation to the owner of @lease, and makes its leased bytes plain ones. move_back()
 * undoes it.
 */
static int move_bytes(struct arena *arena, const struct alloc *lease, uint64_t bytes,
		      struct why *why)
{
	int r;

	/* a plain reservation's bytes are charged as used bytes already */
	if (!lease->is_lease)
		return quota_charge(arena->quota, lease->uid, QUOTA_ALLOCATIONS, 1, why);
	r = charge_take(arena, lease->uid, QUOTA_BYTES, bytes, why);
	if (r == 0)
		quota_return(arena->quota, lease->uid, QUOTA_LEASED_BYTES, bytes);
	return r;
}

static void move_back(struct arena *arena, const struct alloc *lease, uint64_t bytes)
{
	quota_return(arena->quota, lease->uid, QUOTA_ALLOCATIONS, 1);
	if (!lease->is_lease)
		return;
	quota_return(arena->quota, lease->uid, QUOTA_BYTES, bytes);
	quota_charge_anyway(arena->quota, lease->uid, QUOTA_LEASED_BYTES, bytes);
}

/* Makes the part an allocation that is published with the next settle. */
static int carve(struct alloc **out, struct arena *arena, const struct caller *caller,
		 struct alloc *lease, const struct arena_ask *ask, struct extent part,
		 struct why *why)
{
	const struct hold *whole = hold_find(caller->holder, lease);
	/*
	 * The mapping of the whole goes on showing the part: to the session, whether it opens the
	 * part or not, and to those to whom the whole was lent. So the session gets a hold on the
	 * part in each case.
	 */
	struct hold as = { .closed = !ask->keep_open, .lent = whole && whole->lent };
	struct alloc *alloc;
	int r = alloc_new(&alloc, 1);

	if (r < 0)
		return r;
	alloc->extents[0] = part;
	alloc->nr_pfns = part.len;
	alloc->is_run = lease->is_run;
	alloc->is_poisoned = lease->is_poisoned && has_poison(arena, part);
	r = reserve_build(arena, caller, alloc, ask, &as, why);
	if (r < 0) {
		alloc_free(alloc);
		return r;
	}
	*out = alloc;
	return 0;
}

static int check_carve(struct arena *arena, const struct caller *caller, const struct alloc *lease,
		       const struct arena_ask *ask, struct why *why)
{
	int r = rules_serving(arena, true, why);

	if (r == 0 && lease->state != ALLOC_RESERVED)
		r = why_set(why, -EINVAL, "it is published: only what is reserved can be carved");
	if (r == 0)
		r = rules_owner(caller, lease, "carve", why);
	/*
	 * Base pages of one compound page have one owner. A reservation that was given to another
	 * user would, if the caller could carve it, put two owners on one page.
	 */
	if (r == 0 && lease->uid != caller->uid)
		r = why_set(why, -EACCES,
			    "it was given to uid %u: what uid %u carves off would be its own",
			    lease->uid, caller->uid);
	if (r == 0)
		r = rules_attributes(ask->attributes_len, why);
	if (r == 0 && ask->name_len)
		r = settle_if_staged(arena, NULL, true);
	return r < 0 ? r : rules_name(arena, ask->name, ask->name_len, why);
}

int arena_carve(struct alloc **out, struct arena *arena, const struct caller *caller,
		struct alloc *lease, const struct arena_ask *ask, uint64_t offset, struct why *why)
{
	struct extent part = { 0, 0 }, *grown = NULL;
	uint32_t index = 0;
	int r = check_carve(arena, caller, lease, ask, why);

	if (r == 0)
		r = find_part(&part, &index, arena, lease, offset, ask->len, why);
	if (r == 0)
		r = reserve_ledger(arena, lease);
	if (r == 0)
		r = make_room(&grown, lease, index, part);
	if (r == 0)
		r = move_bytes(arena, lease, ask->len, why);
	if (r < 0) {
		free(grown);
		return r;
	}
	r = carve(out, arena, caller, lease, ask, part, why);
	if (r < 0) {
		move_back(arena, lease, ask->len);
		free(grown);
		return r;
	}
	take_out(lease, index, part, grown);
	put_on_list(arena, lease);
	arena_trace_carve(arena, caller, *out, lease->id);
	events_add(arena, ARENA_PUBLISHED, *out);
	evictable_enter(arena, *out);
	return 0;
}
