/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * change: another name or size of an allocation. A change is a new version of its record; the old
 * version is retired with the settle that makes the new one durable.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/drain.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evict.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/index.h"
#include "daemon/arena/object.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/replace.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "lib/wire/size.h"

/* The checks that a rename and a resize have in common; @what is the verb for the refusal. */
static int begin_change(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			const char *what, bool claims_name, struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r == 0)
		r = rules_owner(caller, alloc, what, why);
	if (r == 0)
		r = rules_uncarved(alloc, "changed", why);
	if (r == 0)
		r = rules_still(alloc, why);
	return r < 0 ? r : settle_if_staged(arena, alloc, claims_name);
}

int arena_rename(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		 const char *name, uint8_t name_len, struct why *why)
{
	struct alloc old = { .name = alloc->name, .name_len = alloc->name_len };
	int r = begin_change(arena, caller, alloc, "rename", true, why);

	if (r < 0)
		return r;
	/* The ledger's item of a reservation is replaced at once, and that cannot be undone. */
	if (arena->bundle && alloc->state == ALLOC_RESERVED)
		return why_set(why, -EINVAL,
			       "it is not published: a batch that is done whole or not at all "
			       "renames what is");
	if (old.name_len == name_len && (!name_len || memcmp(old.name, name, name_len) == 0))
		return 0;
	r = rules_name(arena, name, name_len, why);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r < 0)
		return r;
	if (old.name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	r = alloc_copy_name(alloc, name, name_len);
	if (r == 0)
		r = deed_end(arena, caller, settle_new_version(arena, alloc));
	else
		deed_end(arena, caller, r);
	if (r < 0) {
		free(alloc->name);
		alloc->name = old.name;
		alloc->name_len = old.name_len;
	} else {
		/*
		 * The old name is still on media until the settle. Another allocation that took it
		 * before would, after a crash, have the same name as this one.
		 */
		arena->nr_names_retiring += old.name && alloc->state == ALLOC_PUBLISHED;
		free(old.name);
	}
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
	if (r == 0) {
		replace_end(arena, caller);
		arena_trace_rename(arena, caller, alloc);
		events_add(arena, ARENA_RENAMED, alloc);
	}
	return r;
}

int arena_rename_over(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      const char *name, uint8_t name_len, struct why *why)
{
	int r;

	/*
	 * Only its session sees a reservation. If it took the name of a published allocation,
	 * others would lose what they see.
	 */
	if (alloc->state == ALLOC_RESERVED)
		return why_set(why, -EINVAL,
			       "it is not published: publish it under that name instead");
	r = begin_change(arena, caller, alloc, "rename", true, why);
	if (r == 0)
		r = replace_begin(arena, caller, name, name_len, alloc, why);
	if (r == 0)
		r = arena_rename(arena, caller, alloc, name, name_len, why);
	if (r < 0)
		replace_cancel(arena);
	return r;
}

/* ---- size ---- */

static int charge_bytes(struct arena *arena, const struct alloc *alloc, uint64_t nr_pfns,
			struct why *why)
{
	return quota_charge(arena->quota, alloc->uid, charge_kind(alloc), nr_pfns << DESC_SHIFT,
			    why);
}

static void uncharge_bytes(struct arena *arena, const struct alloc *alloc, uint64_t nr_pfns)
{
	quota_return(arena->quota, alloc->uid, charge_kind(alloc), nr_pfns << DESC_SHIFT);
}

/*
 * Adds @more base pages to a run, which stays where it is, since others may have it mapped. It can
 * only grow into free base pages behind it in its compound page.
 */
static int grow_run(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	struct extent *run = &alloc->extents[0], added = { run->off + run->len, more };
	char page[SIZE_TEXT_MAX], want[SIZE_TEXT_MAX];
	int r = space_claim_behind(arena->space, *run, more);

	if (r == -ENOSPC)
		return why_set(why, r,
			       "it shares a compound page of %s and cannot grow to %s in place: "
			       "create a larger one and copy",
			       size_text(page, arena->identity.page_size),
			       size_text(want, (run->len + more) << DESC_SHIFT));
	if (r < 0)
		return room_explain(arena, r, more, true, why);
	run->len += more;
	alloc->nr_pfns += more;
	space_set_object(arena->space, added, true, alloc->slot + 1);
	r = settle_new_version(arena, alloc);
	if (r < 0) {
		run->len -= more;
		alloc->nr_pfns -= more;
		space_unclaim(arena->space, added, true);
	}
	return r;
}

/*
 * *out becomes a new array: the extents of @alloc and behind them the @nr extents @added, of which
 * neighbours are made one. The caller owns it.
 */
static int append(struct extent **out, uint32_t *nr_out, const struct alloc *alloc,
		  const struct extent *added, uint32_t nr)
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

/* Adds @more base pages, as whole compound pages anywhere, behind the extents that are there. */
static int grow_pages(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	struct extent *old = alloc->extents, *extents;
	uint32_t nr_old = alloc->nr_extents, nr_new;
	const struct evict_ask claim = {
		.uid = alloc->uid,
		.nr_pfns = more,
		.max_extents = ALLOC_MAX_EXTENTS - nr_old,
		.evicts_nobody = alloc->is_lease,
		.except = alloc,
	};
	struct evict_claimed claimed;
	int r;

	if (nr_old == ALLOC_MAX_EXTENTS)
		return why_set(why, -ENOSPC, "it has %u extents, the most an allocation may have",
			       nr_old);
	r = evict_claim(&claimed, arena, &claim, why);
	if (r == -EINPROGRESS)
		return r;
	if (r < 0)
		return room_explain(arena, r, more, false, why);
	r = append(&extents, &nr_new, alloc, arena->scratch, claimed.nr);
	if (r == 0) {
		alloc->extents = extents;
		alloc->nr_extents = nr_new;
		alloc->nr_pfns += more;
		r = settle_new_version(arena, alloc);
		if (r < 0) {
			alloc->extents = old;
			alloc->nr_extents = nr_old;
			alloc->nr_pfns -= more;
			alloc_drop_extents(alloc, extents);
		}
	}
	for (uint32_t i = 0; i < claimed.nr; i++) {
		if (r < 0)
			space_unclaim(arena->space, arena->scratch[i], false);
		else
			space_set_object(arena->space, arena->scratch[i], false, alloc->slot + 1);
	}
	if (r == 0)
		alloc_drop_extents(alloc, old);
	return r;
}

/*
 * The first @keep base pages stay in @alloc's array, and the rest goes to @cut's. Returns the
 * number of extents that stay.
 */
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

/*
 * Makes an allocation of what a shrink cuts off. It is FREEING from the start: a session that has
 * the whole open may have this part mapped, so its space must wait as freed space does.
 */
static int new_cut(struct alloc **out, struct arena *arena, const struct alloc *alloc,
		   uint64_t keep, struct why *why)
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
	/*
	 * A process that has this version pinned, or one before it, also has the part that is cut
	 * off.
	 */
	cut->pin_slot = alloc->slot;
	cut->pin_limit = alloc->version;
	r = settle_take_id(arena, &cut->id);
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

/* Undoes new_cut() and enter_cut() when the shrink fails. */
static void drop_cut(struct arena *arena, struct alloc *cut)
{
	struct hold *hold;

	while ((hold = TAILQ_FIRST(&cut->holds)))
		hold_drop(arena, hold);
	ledger_remove(arena->ledger, cut->entry);
	object_drop(arena, cut);
}

/*
 * Writes the cut part into the ledger, and gives each session that holds the whole a hold on it.
 * The caller drops what was done on failure.
 */
static int enter_cut(struct arena *arena, struct alloc *cut, const struct alloc *alloc)
{
	struct ledger_range range = alloc_ledger_range(cut, LEDGER_FREEING);
	struct hold *hold;
	int r = ledger_add_range(&cut->entry, arena->ledger, &range, cut->extents, cut->nr_extents,
				 NULL, 0);

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		if (r == 0)
			/*
			 * The new hold has the flags of the old one: where the whole was closed
			 * without a word about its mappings, or lent, that is so for the part as
			 * well.
			 */
			r = hold_add(arena, hold->holder, cut, hold);
	return r;
}

static int shrink(struct arena *arena, struct alloc *alloc, uint64_t keep, struct why *why)
{
	uint32_t nr_old = alloc->nr_extents;
	struct extent *old = alloc->extents;
	struct alloc *cut = NULL;
	int r = 0;

	/*
	 * The part that is cut off takes a slot for as long as it is held. A user who has more than
	 * the limit allows must not get one this way.
	 */
	if (!TAILQ_EMPTY(&alloc->holds))
		r = rules_not_above(arena, alloc->uid, why);
	if (r == 0)
		r = new_cut(&cut, arena, alloc, keep, why);

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
		r = settle_new_version(arena, alloc);
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
	pins_hide(arena, cut);
	cut->staged = arena->txn;
	TAILQ_INSERT_TAIL(&arena->retiring, cut, link);
	return 0;
}

static int grow(struct arena *arena, struct alloc *alloc, uint64_t more, struct why *why)
{
	int r = rules_serving(arena, true, why);

	if (r == 0)
		r = drain_check(arena, why);
	if (r == 0)
		r = rules_not_above(arena, alloc->uid, why);
	if (r == 0)
		r = charge_bytes(arena, alloc, more, why);
	if (r < 0)
		return r;
	r = alloc->is_run ? grow_run(arena, alloc, more, why) : grow_pages(arena, alloc, more, why);
	if (r < 0)
		uncharge_bytes(arena, alloc, more);
	return r;
}

int arena_resize(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		 uint64_t len, struct why *why)
{
	uint64_t per_page = arena_page_pfns(arena), was = alloc_bytes(alloc), nr_pfns;
	int r = begin_change(arena, caller, alloc, "resize", false, why);

	if (r == 0)
		r = rules_round_len(&nr_pfns, arena, len, why);
	if (r < 0)
		return r;
	if (!alloc->is_run && nr_pfns < per_page)
		nr_pfns = per_page;             /* an allocation of whole pages stays one */
	if (nr_pfns == alloc->nr_pfns)
		return 0;
	r = deed_begin(arena, caller, alloc, PROOF_VERSION);
	if (r < 0)
		return r;
	if (nr_pfns > alloc->nr_pfns)
		r = grow(arena, alloc, nr_pfns - alloc->nr_pfns, why);
	else
		r = shrink(arena, alloc, nr_pfns, why);
	evictable_change(arena, alloc, was >> DESC_SHIFT);
	if (deed_end(arena, caller, r) == 0) {
		arena_trace_resize(arena, caller, alloc, was);
		events_add(arena, ARENA_RESIZED, alloc);
	}
	return r;
}
