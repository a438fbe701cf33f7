/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setattr: another owner, group or mode of an allocation, or other attributes: a new version of its
 * record, as in change.c. It decides who may set what. What the attributes mean their owner knows.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"

/*
 * May @caller set these attributes? The rules are those of chown() and chmod(), and one more: base
 * pages of one compound page have one owner, so a run that has neighbours cannot change hands.
 */
static int check_attrs(const struct arena *arena, const struct caller *caller,
		       const struct alloc *alloc, const struct arena_attrs *to, struct why *why)
{
	bool member = caller->gid == to->gid;
	bool moves = (to->which & ARENA_SET_UID) && to->uid != alloc->uid;

	if (!rules_is_owner(caller, alloc))
		return why_set(why, -EPERM,
			       "only its owner (uid %u) or root can do that; you are uid %u",
			       alloc->uid, caller->uid);
	for (int i = 0; i < caller->nr_groups; i++)
		member |= caller->groups[i] == to->gid;
	if (moves && caller->uid != 0)
		return why_set(why, -EPERM, "only root can give it to another user");
	if ((to->which & ARENA_SET_GID) && to->gid != alloc->gid && caller->uid != 0 && !member)
		return why_set(why, -EPERM, "you are not in group %u", to->gid);
	if ((to->which & ARENA_SET_ATTRIBUTES) && alloc->state != ALLOC_PUBLISHED)
		return why_set(why, -EINVAL,
			       "it is reserved: give the attributes when you publish it");
	if ((to->which & ARENA_SET_MODE) && (to->mode & ~ALLOC_MODE_MASK))
		return why_set(why, -EINVAL, "mode %o has bits other than 0666", to->mode);
	if (moves && alloc->has_contents)
		return why_set(why, -EBUSY,
			       "it was reserved with any contents, which uid %u left there: "
			       "publish it first",
			       alloc->uid);
	if (moves && alloc->is_run && space_is_shared(arena->space, alloc->extents[0]))
		return why_set(why, -EBUSY,
			       "it shares a compound page with other allocations of uid %u: copy "
			       "it into a new one instead",
			       alloc->uid);
	return to->which & ARENA_SET_ATTRIBUTES ? rules_attributes(to->attributes_len, why) : 0;
}

/* The fields of an allocation that arena_setattr() can set, as copies. */
struct attrs {
	uint32_t uid, gid, mode;
	uint64_t token;
	void *attributes;               /* owned by whoever has the structure */
	uint16_t attributes_len;
};

static struct attrs attrs_of(const struct alloc *alloc)
{
	return (struct attrs){ alloc->uid,   alloc->gid,	alloc->mode,
			       alloc->token, alloc->attributes, alloc->attributes_len };
}

static void put_attrs(struct alloc *alloc, const struct attrs *attrs)
{
	alloc->uid = attrs->uid;
	alloc->gid = attrs->gid;
	alloc->mode = attrs->mode;
	alloc->token = attrs->token;
	alloc->attributes = attrs->attributes;
	alloc->attributes_len = attrs->attributes_len;
}

/* Sets in @alloc, in memory, what *to says. What it had stays the caller's. -ENOMEM: nothing. */
static int take_attrs(struct alloc *alloc, const struct arena_attrs *to)
{
	struct attrs old = attrs_of(alloc);

	if ((to->which & ARENA_SET_ATTRIBUTES) &&
	    alloc_copy_attributes(alloc, to->attributes, to->attributes_len) < 0) {
		put_attrs(alloc, &old);
		return -ENOMEM;
	}
	if (to->which & ARENA_SET_UID)
		alloc->uid = to->uid;
	if (to->which & ARENA_SET_GID)
		alloc->gid = to->gid;
	if (to->which & ARENA_SET_MODE)
		alloc->mode = to->mode;
	/* a token says something to the owner that chose it, and nothing to another */
	if (alloc->uid != old.uid)
		alloc->token = 0;
	return 0;
}

/* Charges the new owner for @alloc and returns the charge of the old one. */
static int move_charge(struct arena *arena, const struct alloc *alloc, uint32_t uid,
		       struct why *why)
{
	int r = charge_take(arena, uid, charge_kind(alloc), alloc->nr_pfns << DESC_SHIFT, why);

	if (r == 0)
		charge_return(arena, alloc);
	return r;
}

/* Undoes move_charge() of @alloc, which is in memory as it was before. */
static void move_charge_back(struct arena *arena, const struct alloc *alloc, uint32_t uid)
{
	quota_return(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	quota_return(arena->quota, uid, charge_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
	quota_charge_anyway(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	quota_charge_anyway(arena->quota, alloc->uid, charge_kind(alloc),
			    alloc->nr_pfns << DESC_SHIFT);
}

/* The checks are made. On failure @alloc is as before. */
static int set_attrs(struct arena *arena, struct alloc *alloc, const struct arena_attrs *to,
		     struct why *why)
{
	struct attrs old = attrs_of(alloc);
	bool moves = (to->which & ARENA_SET_UID) && to->uid != alloc->uid;
	int r = moves ? move_charge(arena, alloc, to->uid, why) : 0;

	if (r < 0)
		return r;
	r = take_attrs(alloc, to);
	if (r == 0)
		r = settle_new_version(arena, alloc);
	if (r == 0) {
		if (to->which & ARENA_SET_ATTRIBUTES)
			free(old.attributes);
		return 0;
	}
	if (alloc->attributes != old.attributes)
		free(alloc->attributes);
	put_attrs(alloc, &old);
	if (moves)
		move_charge_back(arena, alloc, to->uid);
	return r;
}

int arena_setattr(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  const struct arena_attrs *to, struct why *why)
{
	bool moves = (to->which & ARENA_SET_UID) && to->uid != alloc->uid;
	int r = rules_serving(arena, false, why);

	if (r == 0)
		r = rules_uncarved(alloc, "changed", why);
	if (r == 0)
		r = check_attrs(arena, caller, alloc, to, why);
	if (r == 0)
		r = rules_still(alloc, why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r == 0)
		r = deed_end(arena, caller, set_attrs(arena, alloc, to, why));
	if (r < 0)
		return r;
	if (moves)
		evictable_change(arena, alloc, alloc->nr_pfns);
	if (moves && alloc->is_run)
		space_set_owner(arena->space, alloc->extents[0], to->uid);
	arena_trace_setattr(arena, caller, alloc);
	events_add(arena, ARENA_CHANGED, alloc);
	return 0;
}
