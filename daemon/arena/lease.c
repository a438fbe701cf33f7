/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: space that a client took ahead, and what it makes of it. A part of a reservation is carved off and becomes an allocation of
 * its own, permanent with the settle; when others need room, leases are asked back. It does not know who is asked, and not how often.
 *
 * What a reservation lost is taken out of the ledger after the settle, so that a daemon that dies in between leaves the whole one
 * and the record of the part: the table is right, and the next daemon takes out what the table has (adopt.c).
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"
#include "lib/size.h"

/* ---- what there is to carve ---- */

int check_uncarved(const struct alloc *alloc, const char *what, struct why *why)
{
	if (alloc->nr_extents > 0 && (!alloc->is_run || alloc->nr_extents == 1))
		return 0;
	return why_set(why, -EINVAL, "parts of it were carved off and what is left is not in one piece: it cannot be %s", what);
}

static uint64_t unit_pfns(const struct arena *arena, const struct alloc *lease)
{
	return lease->is_run ? 1 : arena_page_pfns(arena);
}

/* @offset and @len in bytes of the device; *part in pfns of the data area. */
static int find_part(struct extent *part, uint32_t *index, const struct arena *arena, const struct alloc *lease, uint64_t offset,
		     uint64_t len, struct why *why)
{
	uint64_t unit = unit_pfns(arena, lease) << DESC_SHIFT, at = offset - arena->sb.data_off;
	char size[SIZE_TEXT_MAX];

	if (len == 0 || len % unit || at % unit)
		return why_set(why, -EINVAL, "a part of this reservation begins at a multiple of %s and is as long as one; %llu bytes at %llu are not",
			       size_text(size, unit), (unsigned long long)len, (unsigned long long)offset);
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
	return why_set(why, -EINVAL, "%s at offset %llu of the device are not in one free piece of the reservation", size_text(size, len),
		       (unsigned long long)offset);
}

/* ---- taking it out ---- */

/* The extents of @lease without @part, which lies in its extent @index. Owned by the caller; NULL: it has them in place. */
static int make_room(struct extent **out, const struct alloc *lease, uint32_t index, struct extent part)
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

static bool has_poison(const struct arena *arena, struct extent part)
{
	for (uint64_t i = 0; i < part.len; i++)
		if (memmap_desc(arena->mm, part.off + i)->flags & DESC_POISON)
			return true;
	return false;
}

/* ---- the ledger, after the settle ---- */

/* Room for what every lease that was carved in this transaction will need, and for a hold and a deed. */
static int reserve_ledger(struct arena *arena, const struct alloc *lease)
{
	uint32_t nr = ledger_range_entries(lease->nr_extents + 1, lease->name_len) + 2;
	const struct alloc *other;

	TAILQ_FOREACH(other, &arena->carved, link)
		nr += other == lease ? 0 : ledger_range_entries(other->nr_extents, other->name_len);
	return ledger_reserve(arena->ledger, nr);
}

void lease_narrow(struct arena *arena, struct alloc *lease)
{
	struct ledger_range range = range_of(lease, LEDGER_RESERVED);
	int r = 0;

	TAILQ_REMOVE(&arena->carved, lease, link);
	lease->is_carved = false;
	if (lease->nr_extents > 0 && lease->entry) {
		r = ledger_replace_range(&lease->entry, arena->ledger, &range, lease->extents, lease->nr_extents, lease->name, lease->name_len);
	} else {
		ledger_remove(arena->ledger, lease->entry);
		lease->entry = 0;
	}
	/*
	 * Others took the room that was kept for this. It must not be this session's once more after the daemon was killed: somebody else may have
	 * had the part in between. So it is nobody's then.
	 */
	if (r < 0)
		ledger_set_state(arena->ledger, lease->entry, LEDGER_FREEING);
}

static void put_on_list(struct arena *arena, struct alloc *lease)
{
	lease->staged = arena->txn;
	if (lease->is_carved)
		return;
	lease->is_carved = true;
	TAILQ_INSERT_TAIL(&arena->carved, lease, link);
}

/* ---- carve ---- */

static int move_bytes(struct arena *arena, const struct alloc *lease, uint64_t bytes, struct why *why)
{
	int r;

	if (!lease->is_lease)                   /* its bytes count as used already */
		return quota_charge(arena->quota, lease->uid, QUOTA_ALLOCATIONS, 1, why);
	r = charge(arena, lease->uid, QUOTA_BYTES, bytes, why);
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

static int carve(struct alloc **out, struct arena *arena, const struct caller *caller, struct alloc *lease, const struct arena_ask *ask,
		 struct extent part, struct why *why)
{
	struct alloc *alloc;
	int r = alloc_new(&alloc, 1);

	if (r < 0)
		return r;
	alloc->extents[0] = part;
	alloc->nr_pfns = part.len;
	alloc->is_run = lease->is_run;
	alloc->is_poisoned = lease->is_poisoned && has_poison(arena, part);
	r = reservation_build(arena, caller, alloc, ask, why);
	if (r < 0) {
		alloc_free(alloc);
		return r;
	}
	*out = alloc;
	return 0;
}

static int check_carve(struct arena *arena, const struct caller *caller, const struct alloc *lease, const struct arena_ask *ask, struct why *why)
{
	int r = check_serving(arena, true, why);

	if (r == 0 && lease->state != ALLOC_RESERVED)
		r = why_set(why, -EINVAL, "it is published: only what is reserved can be carved");
	if (r == 0)
		r = check_owner(caller, lease, "carve", why);
	/* Base pages of one compound page have one owner. */
	if (r == 0 && lease->uid != caller->uid)
		r = why_set(why, -EACCES, "it was given to uid %u: what uid %u carves off would be its own", lease->uid, caller->uid);
	if (r == 0 && ask->name_len)
		r = settle_if_staged(arena, NULL, true);
	return r < 0 ? r : check_name(arena, ask->name, ask->name_len, why);
}

int arena_carve(struct alloc **out, struct arena *arena, const struct caller *caller, struct alloc *lease, const struct arena_ask *ask,
		uint64_t offset, struct why *why)
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
	events_add(arena, ARENA_PUBLISHED, *out);
	return 0;
}

/* ---- asking back ---- */

int lease_recall(struct arena *arena, uint64_t nr_pfns, struct why *why)
{
	struct alloc wanted = { .nr_pfns = nr_pfns };
	char asked[SIZE_TEXT_MAX], leased[SIZE_TEXT_MAX];

	/* Many may be waiting, and ask again and again. */
	if (room_look(arena)->leased == 0)
		return -ENOSPC;
	if (arena->room.when_ns != arena->recalled_ns) {
		arena->recalled_ns = arena->room.when_ns;
		events_add(arena, ARENA_RECALL, &wanted);
	}
	arena->counts.recalls++;
	return why_set(why, -EINPROGRESS, "arena %s has no room for %s; %s are leased to clients, who were asked for them and did not give back enough",
		       arena->identity.name, size_text(asked, nr_pfns << DESC_SHIFT), size_text(leased, arena->room.leased));
}
