/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * charge: what an allocation costs its owner in the quota: one allocation, and its bytes. Both are
 * charged together and returned together.
 *
 * Space that was freed and is still held by somebody is no use to anybody else. It is charged in
 * full to each user who holds it, once, as plain bytes even if it was leased, until the user lets
 * go of it. Otherwise a user could free what it keeps mapped and get as much again, without end.
 * The charge is carried by one of the user's holds (is_charged) and passes to another hold of the
 * same user when that one is dropped.
 */
#include <config.h>

#include "daemon/arena/charge.h"

enum quota_kind charge_kind(const struct alloc *alloc)
{
	return alloc->is_lease ? QUOTA_LEASED_BYTES : QUOTA_BYTES;
}

int charge_take(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes,
		struct why *why)
{
	int r = quota_charge(arena->quota, uid, QUOTA_ALLOCATIONS, 1, why);

	if (r < 0)
		return r;
	r = quota_charge(arena->quota, uid, kind, bytes, why);
	if (r < 0)
		quota_return(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	return r;
}

int charge_take_anyway(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes)
{
	int r = quota_charge_anyway(arena->quota, uid, QUOTA_ALLOCATIONS, 1);

	if (r < 0)
		return r;
	r = quota_charge_anyway(arena->quota, uid, kind, bytes);
	if (r < 0)
		quota_return(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	return r;
}

void charge_return(struct arena *arena, const struct alloc *alloc)
{
	quota_return(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	quota_return(arena->quota, alloc->uid, charge_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
}

/* ---- space that was freed and is still held ---- */

static uint64_t bytes_of(const struct alloc *alloc)
{
	return alloc->nr_pfns << DESC_SHIFT;
}

/*
 * Finds another hold of the same user on the same allocation, which carries the charge
 * (@is_charged) or does not; NULL: there is none.
 */
static struct hold *find_other(const struct hold *hold, bool is_charged)
{
	struct hold *other;

	TAILQ_FOREACH(other, &hold->alloc->holds, by_alloc)
		if (other != hold && other->holder->uid == hold->holder->uid &&
		    other->is_charged == is_charged)
			return other;
	return NULL;
}

static bool withhold(struct arena *arena, uint32_t uid, uint64_t bytes)
{
	if (quota_withhold(arena->quota, uid, QUOTA_ALLOCATIONS, 1) < 0)
		return false;
	if (quota_withhold(arena->quota, uid, QUOTA_BYTES, bytes) == 0)
		return true;
	quota_regain(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	return false;
}

static void regain(struct arena *arena, uint32_t uid, uint64_t bytes)
{
	quota_regain(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	quota_regain(arena->quota, uid, QUOTA_BYTES, bytes);
}

void charge_hold(struct arena *arena, struct hold *hold)
{
	uint32_t uid = hold->holder->uid;

	if (hold->is_charged || find_other(hold, true))
		return;
	/*
	 * When there is no memory to note the charge, the space is held without one. To refuse is
	 * not possible here: a free must not fail.
	 */
	hold->is_charged = withhold(arena, uid, bytes_of(hold->alloc));
}

void charge_pin(struct arena *arena, struct alloc *alloc, uint32_t uid)
{
	if (alloc->is_pin_charged && alloc->pin_payer == uid)
		return;
	charge_unpin(arena, alloc);
	alloc->is_pin_charged = withhold(arena, uid, bytes_of(alloc));
	alloc->pin_payer = uid;
}

void charge_unpin(struct arena *arena, struct alloc *alloc)
{
	if (alloc->is_pin_charged)
		regain(arena, alloc->pin_payer, bytes_of(alloc));
	alloc->is_pin_charged = false;
}

void charge_drop_hold(struct arena *arena, struct hold *hold)
{
	struct hold *other;

	if (!hold->is_charged)
		return;
	hold->is_charged = false;
	other = find_other(hold, false);
	if (other) {
		other->is_charged = true;
		return;
	}
	regain(arena, hold->holder->uid, bytes_of(hold->alloc));
}

void charge_pass_on(struct arena *arena, struct alloc *alloc)
{
	struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		charge_hold(arena, hold);
	charge_return(arena, alloc);
}

/* ---- sessions that are over and still have something mapped ---- */

void charge_over(struct holder *holder)
{
	if (!holder->is_charged)
		holder->is_charged =
			quota_withhold(holder->arena->quota, holder->uid, QUOTA_SESSIONS, 1) == 0;
}

void charge_return_over(struct holder *holder)
{
	if (holder->is_charged)
		quota_regain(holder->arena->quota, holder->uid, QUOTA_SESSIONS, 1);
	holder->is_charged = false;
}

/* ---- what one user may have of one arena ---- */

int arena_set_share(struct arena *arena, uint32_t uid, enum quota_kind kind, bool is_limited)
{
	uint64_t all = kind == QUOTA_ALLOCATIONS ? arena->identity.nr_slots : arena->identity.size;

	return quota_set_limit(arena->quota, uid, kind, is_limited ? all / 2 : 0);
}

const struct quota *arena_quota(const struct arena *arena)
{
	return arena->quota;
}

void arena_clear_shares(struct arena *arena)
{
	quota_clear_limits(arena->quota);
}
