/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * change: a new version of an allocation's record: another name, owner, mode or size. The old version goes when the new one is
 * durable.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"
#include "lib/size.h"

static int new_version(struct arena *arena, struct alloc *alloc)
{
	struct ledger_range range = range_of(alloc, LEDGER_RESERVED);

	if (alloc->state == ALLOC_PUBLISHED)
		return arena_stage_record(arena, alloc);
	return ledger_replace_range(&alloc->entry, arena->ledger, &range, alloc->extents, alloc->nr_extents, alloc->name,
				    alloc->name_len);
}

static int begin_change(struct arena *arena, const struct caller *caller, struct alloc *alloc, const char *what, bool claims_name,
			struct why *why)
{
	int r = check_serving(arena, false, why);

	if (r == 0)
		r = check_owner(caller, alloc, what, why);
	if (r == 0)
		r = check_uncarved(alloc, "changed", why);
	return r < 0 ? r : settle_if_staged(arena, alloc, claims_name);
}

int arena_rename(struct arena *arena, const struct caller *caller, struct alloc *alloc, const char *name, uint8_t name_len, struct why *why)
{
	struct alloc old = { .name = alloc->name, .name_len = alloc->name_len };
	int r = begin_change(arena, caller, alloc, "rename", true, why);

	if (r < 0)
		return r;
	if (old.name_len == name_len && (!name_len || memcmp(old.name, name, name_len) == 0))
		return 0;
	r = check_name(arena, name, name_len, why);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r < 0)
		return r;
	if (old.name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	r = copy_name(alloc, name, name_len);
	if (r == 0)
		r = deed_end(arena, caller, new_version(arena, alloc));
	else
		deed_end(arena, caller, r);
	if (r < 0) {
		free(alloc->name);
		alloc->name = old.name;
		alloc->name_len = old.name_len;
	} else {
		/* Nobody else may claim the old name before its record is durably gone. */
		arena->nr_names_retiring += old.name && alloc->state == ALLOC_PUBLISHED;
		free(old.name);
	}
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
	if (r == 0)
		events_add(arena, ARENA_RENAMED, alloc);
	return r;
}

static int check_attr(const struct caller *caller, const struct alloc *alloc, unsigned which, uint32_t uid, uint32_t gid, uint32_t mode,
		      const struct arena *arena, struct why *why)
{
	bool member = caller->gid == gid;

	if (!is_owner(caller, alloc))
		return why_set(why, -EPERM, "only its owner (uid %u) or root can do that; you are uid %u", alloc->uid, caller->uid);
	for (int i = 0; i < caller->nr_groups; i++)
		member |= caller->groups[i] == gid;
	if ((which & ARENA_SET_UID) && uid != alloc->uid && caller->uid != 0)
		return why_set(why, -EPERM, "only root can give it to another user");
	if ((which & ARENA_SET_GID) && gid != alloc->gid && caller->uid != 0 && !member)
		return why_set(why, -EPERM, "you are not in group %u", gid);
	if ((which & ARENA_SET_MODE) && (mode & ~ALLOC_MODE_MASK))
		return why_set(why, -EINVAL, "mode %o has bits other than 0666", mode);
	if ((which & ARENA_SET_UID) && uid != alloc->uid && alloc->is_run && space_is_shared(arena->space, alloc->extents[0]))
		return why_set(why, -EBUSY, "it shares a compound page with other allocations of uid %u: copy it into a new one instead",
			       alloc->uid);
	return 0;
}

static int move_charge(struct arena *arena, const struct alloc *alloc, uint32_t uid, struct why *why)
{
	int r = charge(arena, uid, bytes_kind(alloc), alloc->nr_pfns << DESC_SHIFT, why);

	if (r == 0)
		uncharge(arena, alloc);
	return r;
}

int arena_setattr(struct arena *arena, const struct caller *caller, struct alloc *alloc, unsigned which, uint32_t uid, uint32_t gid,
		  uint32_t mode, struct why *why)
{
	uint32_t old_uid = alloc->uid, old_gid = alloc->gid, old_mode = alloc->mode;
	uint64_t old_token = alloc->token;
	bool moves = (which & ARENA_SET_UID) && uid != alloc->uid;
	int r = check_serving(arena, false, why);

	if (r == 0)
		r = check_uncarved(alloc, "changed", why);
	if (r == 0)
		r = check_attr(caller, alloc, which, uid, gid, mode, arena, why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r == 0 && moves)
		r = deed_end(arena, caller, move_charge(arena, alloc, uid, why));
	if (r < 0)
		return r;
	alloc->uid = which & ARENA_SET_UID ? uid : old_uid;
	alloc->gid = which & ARENA_SET_GID ? gid : old_gid;
	alloc->mode = which & ARENA_SET_MODE ? mode : old_mode;
	if (moves)              /* it means nothing to the new owner */
		alloc->token = 0;
	r = deed_end(arena, caller, new_version(arena, alloc));
	if (r < 0) {
		if (moves) {
			uncharge(arena, alloc);
			quota_charge_anyway(arena->quota, old_uid, QUOTA_ALLOCATIONS, 1);
			quota_charge_anyway(arena->quota, old_uid, bytes_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
		}
		alloc->uid = old_uid;
		alloc->gid = old_gid;
		alloc->mode = old_mode;
		alloc->token = old_token;
		return r;
	}
	if (moves && alloc->is_run)
		space_set_owner(arena->space, alloc->extents[0], uid);
	events_add(arena, ARENA_CHANGED, alloc);
	return 0;
}

/* ---- resize ---- */

static int charge_bytes(struct arena *arena, const struct alloc *alloc, uint64_t nr_pfns, struct why *why)
{
	return quota_charge(arena->quota, alloc->uid, bytes_kind(alloc), nr_pfns << DESC_SHIFT, why);
}

static void uncharge_bytes(struct arena *arena, const struct alloc *alloc, uint64_t nr_pfns)
{
	quota_return(arena->quota, alloc->uid, bytes_kind(alloc), nr_pfns << DESC_SHIFT);
}

/* A run cannot move: others may have it mapped. It grows into what is free behind it, inside its compound page. */
static int grow_run(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	struct extent *run = &alloc->extents[0], added = { run->off + run->len, more };
	char page[SIZE_TEXT_MAX], want[SIZE_TEXT_MAX];
	int r = space_claim_behind(arena->space, *run, more);

	if (r == -ENOSPC)
		return why_set(why, r, "it shares a compound page of %s and cannot grow to %s in place: create a larger one and copy",
			       size_text(page, arena->identity.page_size), size_text(want, (run->len + more) << DESC_SHIFT));
	if (r < 0)
		return explain_no_space(arena, r, more, true, why);
	run->len += more;
	alloc->nr_pfns += more;
	space_set_object(arena->space, added, true, alloc->slot + 1);
	r = new_version(arena, alloc);
	if (r < 0) {
		run->len -= more;
		alloc->nr_pfns -= more;
		space_unclaim(arena->space, added, true);
	}
	return r;
}

/* arena.scratch[0..nr) behind the extents that are there; what touches becomes one. */
static int append(struct extent **out, uint32_t *nr_out, const struct alloc *alloc, const struct extent *added, uint32_t nr)
{
	struct extent *extents = calloc(alloc->nr_extents + nr, sizeof(*extents));
	uint32_t n = alloc->nr_extents;

	if (!extents)
		return -ENOMEM;
	memcpy(extents, alloc->extents, n * sizeof(*extents));
	for (uint32_t i = 0; i < nr; i++) {
		if (extents[n - 1].off + extents[n - 1].len == added[i].off)
			extents[n - 1].len += added[i].len;
		else
			extents[n++] = added[i];
	}
	*out = extents;
	*nr_out = n;
	return 0;
}

static int grow_pages(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	struct extent *old = alloc->extents, *extents;
	uint32_t nr, nr_old = alloc->nr_extents, nr_new;
	bool is_run;
	int r;

	if (nr_old == ALLOC_MAX_EXTENTS)
		return why_set(why, -ENOSPC, "it has %u extents, the most an allocation may have", nr_old);
	r = space_claim(arena->scratch, &nr, &is_run, arena->space, more, ALLOC_MAX_EXTENTS - nr_old, alloc->uid);
	if (r == -ENOSPC && !alloc->is_lease && lease_recall(arena, more, why) == -EINPROGRESS)
		return -EINPROGRESS;
	if (r < 0)
		return explain_no_space(arena, r, more, false, why);
	r = append(&extents, &nr_new, alloc, arena->scratch, nr);
	if (r == 0) {
		alloc->extents = extents;
		alloc->nr_extents = nr_new;
		alloc->nr_pfns += more;
		r = new_version(arena, alloc);
		if (r < 0) {
			alloc->extents = old;
			alloc->nr_extents = nr_old;
			alloc->nr_pfns -= more;
			alloc_drop_extents(alloc, extents);
		}
	}
	for (uint32_t i = 0; i < nr; i++) {
		if (r < 0)
			space_unclaim(arena->space, arena->scratch[i], false);
		else
			space_set_object(arena->space, arena->scratch[i], false, alloc->slot + 1);
	}
	if (r == 0)
		alloc_drop_extents(alloc, old);
	return r;
}

/* The first @keep pfns stay in @alloc's array; the others go to @cut. Returns how many extents stay. */
static uint32_t cut_extents(struct alloc *alloc, struct alloc *cut, uint64_t keep)
{
	uint32_t n = 0, stay = 0;

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent e = alloc->extents[i];
		uint64_t here = keep < e.len ? keep : e.len;

		if (here > 0)
			alloc->extents[stay++].len = here;
		if (here < e.len)
			cut->extents[n++] = (struct extent){ e.off + here, e.len - here };
		keep -= here;
	}
	cut->nr_extents = n;
	return stay;
}

/* What is cut off is an allocation of its own that is already freed, and held by all who hold the whole. */
static int new_cut(struct alloc **out, struct arena *arena, const struct alloc *alloc, uint64_t keep, struct why *why)
{
	struct alloc *cut;
	uint32_t slot;
	int r = alloc_new(&cut, alloc->nr_extents);

	if (r < 0)
		return r;
	cut->uid = alloc->uid;
	cut->gid = alloc->gid;
	cut->is_run = alloc->is_run;
	cut->nr_pfns = alloc->nr_pfns - keep;
	cut->state = ALLOC_FREEING;
	cut->cut_from = alloc->id;
	r = arena_take_id(arena, &cut->id);
	if (r == 0)
		r = object_take(arena, &slot, why);
	if (r < 0) {
		alloc_free(cut);
		return r;
	}
	object_set(arena, slot, cut);
	*out = cut;
	return 0;
}

static void drop_cut(struct arena *arena, struct alloc *cut)
{
	struct hold *hold;

	while ((hold = TAILQ_FIRST(&cut->holds)))
		hold_drop(arena, hold);
	ledger_remove(arena->ledger, cut->entry);
	object_drop(arena, cut);
}

static int enter_cut(struct arena *arena, struct alloc *cut, const struct alloc *alloc)
{
	struct ledger_range range = range_of(cut, LEDGER_FREEING);
	struct hold *hold;
	int r = ledger_add_range(&cut->entry, arena->ledger, &range, cut->extents, cut->nr_extents, NULL, 0);

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (r == 0)
			r = hold_add(arena, hold->holder, cut, hold->read_only);
	return r;
}

static int shrink(struct arena *arena, struct alloc *alloc, uint64_t keep, struct why *why)
{
	uint32_t nr_old = alloc->nr_extents;
	struct extent *old = alloc->extents;
	struct alloc *cut;
	int r = new_cut(&cut, arena, alloc, keep, why);

	if (r < 0)
		return r;
	alloc->extents = calloc(nr_old, sizeof(*old));
	if (!alloc->extents) {
		alloc->extents = old;
		drop_cut(arena, cut);
		return -ENOMEM;
	}
	memcpy(alloc->extents, old, nr_old * sizeof(*old));
	alloc->nr_extents = cut_extents(alloc, cut, keep);
	alloc->nr_pfns -= cut->nr_pfns;
	r = enter_cut(arena, cut, alloc);
	if (r == 0)
		r = new_version(arena, alloc);
	if (r < 0) {
		free(alloc->extents);
		alloc->extents = old;
		alloc->nr_extents = nr_old;
		alloc->nr_pfns += cut->nr_pfns;
		drop_cut(arena, cut);
		return r;
	}
	alloc_drop_extents(alloc, old);
	for (uint32_t i = 0; i < cut->nr_extents; i++)
		space_set_object(arena->space, cut->extents[i], cut->is_run, cut->slot + 1);
	uncharge_bytes(arena, alloc, cut->nr_pfns);
	cut->staged = arena->txn;
	TAILQ_INSERT_TAIL(&arena->retiring, cut, link);
	return 0;
}

static int grow(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	int r = check_serving(arena, true, why);

	if (r == 0)
		r = charge_bytes(arena, alloc, more, why);
	if (r < 0)
		return r;
	r = alloc->is_run ? grow_run(arena, alloc, more, why) : grow_pages(arena, alloc, more, why);
	if (r < 0)
		uncharge_bytes(arena, alloc, more);
	return r;
}

int arena_resize(struct arena *arena, const struct caller *caller, struct alloc *alloc, uint64_t len, struct why *why)
{
	uint64_t per_page = arena_page_pfns(arena), nr_pfns;
	int r = begin_change(arena, caller, alloc, "resize", false, why);

	if (r == 0)
		r = round_len(&nr_pfns, arena, len, why);
	if (r < 0)
		return r;
	if (!alloc->is_run && nr_pfns < per_page)
		nr_pfns = per_page;             /* whole pages stay whole pages */
	if (nr_pfns == alloc->nr_pfns)
		return 0;
	r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r < 0)
		return r;
	if (nr_pfns > alloc->nr_pfns)
		r = grow(arena, alloc, nr_pfns - alloc->nr_pfns, why);
	else
		r = shrink(arena, alloc, nr_pfns, why);
	if (deed_end(arena, caller, r) == 0)
		events_add(arena, ARENA_RESIZED, alloc);
	return r;
}
