/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reserve: free space becomes a reservation, and a reservation a permanent allocation. The checks
 * with which both begin are in rules.c. A change is decided in memory and staged for the settle; if
 * it depends on something that is only staged, that is settled first.
 */
#include <config.h>

#include "daemon/arena/reserve.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/charge.h"
#include "daemon/arena/claim.h"
#include "daemon/arena/deed.h"
#include "daemon/arena/drain.h"
#include "daemon/arena/ending.h"
#include "daemon/arena/events.h"
#include "daemon/arena/evict.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/index.h"
#include "daemon/arena/object.h"
#include "daemon/arena/replace.h"
#include "daemon/arena/room.h"
#include "daemon/arena/rules.h"
#include "daemon/arena/settle.h"
#include "daemon/clock.h"

/*
 * Writes the reservation into the ledger, so that the next daemon knows it after a kill; or stages
 * the record, which counts from the settle on. Adds the caller's hold if @as. On failure nothing is
 * left.
 */
static int enter(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		 const struct arena_ask *ask, const struct hold *as)
{
	struct ledger_range range = alloc_ledger_range(alloc, LEDGER_RESERVED);
	int r = 0;

	if (!ask->publish)
		r = ledger_add_range(&alloc->entry, arena->ledger, &range, alloc->extents,
				     alloc->nr_extents, alloc->name, alloc->name_len);
	if (r == 0 && as)
		r = hold_add(arena, caller->holder, alloc, as);
	if (r == 0 && ask->publish)
		r = settle_stage_record(arena, alloc);
	if (r < 0) {
		struct hold *hold = TAILQ_FIRST(&alloc->holds);

		if (hold)
			hold_drop(arena, hold);
		ledger_remove(arena->ledger, alloc->entry);
	}
	return r;
}

int reserve_build(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  const struct arena_ask *ask, const struct hold *as, struct why *why)
{
	uint32_t slot;
	int r;

	alloc->uid = caller->uid;
	alloc->gid = caller->gid;
	alloc->mode = ask->mode ? ask->mode & ALLOC_MODE_MASK : 0600;
	alloc->state = ask->publish ? ALLOC_PUBLISHED : ALLOC_RESERVED;
	alloc->is_lease = ask->lease;
	alloc->is_evictable = ask->evictable;
	alloc->session = ask->publish ? 0 : caller->holder->session;
	alloc->created_ns = clock_ns(CLOCK_REALTIME);
	alloc->token = ask->publish ? ask->token : 0;
	r = alloc_copy_name(alloc, ask->name, ask->name_len);
	if (r == 0 && ask->publish)
		r = alloc_copy_attributes(alloc, ask->attributes, ask->attributes_len);
	if (r == 0)
		r = settle_take_id(arena, &alloc->id);
	if (r == 0)
		r = object_take(arena, &slot, why);
	if (r < 0)
		return r;
	object_set(arena, slot, alloc);
	r = deed_begin(arena, caller, alloc, PROOF_EXISTS);
	if (r == 0)
		r = deed_end(arena, caller, enter(arena, caller, alloc, ask, as));
	if (r < 0) {
		plane_set(arena->plane, slot, 0);
		arena->objects[slot] = NULL;
		arena->free_objects[arena->nr_free_objects++] = slot;
		return room_explain_books(arena, r, why);
	}
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		space_set_object(arena->space, alloc->extents[i], alloc->is_run, slot + 1);
	return 0;
}

/*
 * Charges the user for one more allocation. At a limit, evictable allocations of the same user are
 * freed until the charge fits. Of what is moved here the charge of the original comes back.
 */
static int take_charge(struct arena *arena, uint32_t uid, const struct arena_ask *ask,
		       enum quota_kind kind, uint64_t nr_pfns, struct why *why)
{
	int r;

	if (ask->is_transfer)
		return charge_take_anyway(arena, uid, kind, nr_pfns << DESC_SHIFT);
	r = charge_take(arena, uid, kind, nr_pfns << DESC_SHIFT, why);
	/* What the user freed is charged to it while somebody may have it pinned. */
	if (r == -EDQUOT && ending_release_unpinned(arena))
		r = charge_take(arena, uid, kind, nr_pfns << DESC_SHIFT, why);
	while (r == -EDQUOT && kind == QUOTA_BYTES && evict_for_quota(arena, uid, nr_pfns) > 0)
		r = charge_take(arena, uid, kind, nr_pfns << DESC_SHIFT, why);
	return r;
}

/* How many slots of the table the record will take at least; a reservation has none yet. */
static uint32_t nr_records_of(const struct arena_ask *ask)
{
	return ask->publish ? table_slots_for(ask->name_len, 1, ask->attributes_len) : 0;
}

/* May the caller have what it asks for, as far as rules and limits go? *nr_pfns: its length. */
static int check_ask(uint64_t *nr_pfns, struct arena *arena, const struct caller *caller,
		     const struct arena_ask *ask, struct why *why)
{
	int r = rules_serving(arena, true, why);

	if (r == 0)
		r = drain_check(arena, why);
	if (r == 0 && ask->lease && ask->publish)
		r = why_set(why, -EINVAL,
			    "a lease is taken ahead and not permanent: parts of it are, once they "
			    "are carved");
	if (r == 0 && ask->name_len && !arena->giving_way)
		r = settle_if_staged(arena, NULL, true);
	if (r == 0)
		r = rules_name(arena, ask->name, ask->name_len, why);
	if (r == 0)
		r = rules_round_len(nr_pfns, arena, ask->len, why);
	if (r == 0 && !ask->is_transfer)
		r = rules_not_above(arena, caller->uid, why);
	/*
	 * Leases that ended and are still held by this user are charged as bytes, not as leased
	 * bytes. A user whose bytes are used up by them gets no new lease; otherwise it could take
	 * and end leases without limit.
	 */
	if (r == 0 && ask->lease && quota_withheld(arena->quota, caller->uid, QUOTA_BYTES))
		r = quota_check(arena->quota, caller->uid, QUOTA_BYTES, UINT64_C(1) << DESC_SHIFT,
				why);
	return r;
}

static int reserve(struct alloc **out, struct arena *arena, const struct caller *caller,
		   const struct arena_ask *ask, struct why *why)
{
	enum quota_kind kind = ask->lease ? QUOTA_LEASED_BYTES : QUOTA_BYTES;
	const struct hold open = { .read_only = false };
	struct alloc *alloc = NULL;
	uint64_t nr_pfns;
	int r = check_ask(&nr_pfns, arena, caller, ask, why);

	if (r == 0)
		r = take_charge(arena, caller->uid, ask, kind, nr_pfns, why);
	if (r < 0)
		return r;
	if (!ask->lease && !ask->is_transfer)
		r = evict_for_slots(arena, caller->uid, nr_records_of(ask));
	if (r == 0)
		r = claim_space(&alloc, arena, caller, nr_pfns, ask, why);
	if (r == 0) {
		r = reserve_build(arena, caller, alloc, ask,
				  !ask->publish || ask->keep_open ? &open : NULL, why);
		if (r < 0) {
			claim_undo(arena, alloc, caller->uid);
			alloc_free(alloc);
		}
	}
	if (r < 0) {
		quota_return(arena->quota, caller->uid, QUOTA_ALLOCATIONS, 1);
		quota_return(arena->quota, caller->uid, kind, nr_pfns << DESC_SHIFT);
		return r;
	}
	arena_trace_reserve(arena, caller, alloc);
	replace_end(arena, caller);
	if (ask->publish) {
		alloc->has_contents = false;
		arena_trace_publish(arena, caller, alloc);
		events_add(arena, ARENA_PUBLISHED, alloc);
		evictable_enter(arena, alloc);
	}
	*out = alloc;
	return 0;
}

/*
 * What is published at once with any contents was not written yet: so nobody but its owner, who
 * left them there, may be let in to read them.
 */
static int check_contents(const struct arena_ask *ask, struct why *why)
{
	if (ask->any_contents && ask->lease)
		return why_set(why, -EINVAL,
			       "a lease reads as zeroes: it cannot have any contents");
	if (ask->any_contents && ask->publish && (ask->mode & 0077))
		return why_set(why, -EINVAL,
			       "what is published at once with any contents is its owner's alone, "
			       "and mode %o lets others in: reserve it, write it, publish it",
			       ask->mode);
	return 0;
}

int arena_reserve(struct alloc **out, struct arena *arena, const struct caller *caller,
		  const struct arena_ask *ask, struct why *why)
{
	int r = 0;

	if (ask->replace && !ask->publish)
		return why_set(why, -EINVAL,
			       "a reservation replaces nothing: give the flag when you publish it");
	r = check_contents(ask, why);
	if (r == 0)
		r = rules_attributes(ask->attributes_len, why);
	if (r == 0 && ask->replace)
		r = replace_begin(arena, caller, ask->name, ask->name_len, NULL, why);
	if (r == 0)
		r = reserve(out, arena, caller, ask, why);
	if (r < 0)
		replace_cancel(arena);
	return r;
}

void reserve_undo(struct arena *arena, struct alloc *alloc)
{
	struct hold *hold;

	if (alloc->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	while ((hold = TAILQ_FIRST(&alloc->holds)))
		hold_drop(arena, hold);
	ledger_remove(arena->ledger, alloc->entry);
	for (uint32_t i = 0; i < alloc->nr_records; i++)
		arena->owner_of_record[alloc->records[i]] = NULL;
	plane_set(arena->plane, alloc->slot, 0);
	charge_return(arena, alloc);
	claim_undo(arena, alloc, alloc->uid);
	object_drop(arena, alloc);
}

/*
 * Stages the record of @alloc, which is published with the next settle. All that can fail is done
 * before the staging; on failure @alloc is a reservation as before.
 */
static int stage_published(struct arena *arena, struct alloc *alloc, uint64_t token,
			   struct why *why)
{
	int r = 0;

	if (alloc->is_lease)                    /* its bytes were leased and are used from now on */
		r = quota_charge(arena->quota, alloc->uid, QUOTA_BYTES,
				 alloc->nr_pfns << DESC_SHIFT, why);
	if (r < 0)
		return r;
	r = settle_unledger_later(arena, alloc->entry);
	if (r < 0)
		return r;
	alloc->token = token;
	r = settle_stage_record(arena, alloc);
	if (r < 0) {
		alloc->token = 0;
		arena->nr_unledger--;
		if (alloc->is_lease)
			quota_return(arena->quota, alloc->uid, QUOTA_BYTES,
				     alloc->nr_pfns << DESC_SHIFT);
		return room_explain_books(arena, r, why);
	}
	if (alloc->is_lease)
		quota_return(arena->quota, alloc->uid, QUOTA_LEASED_BYTES,
			     alloc->nr_pfns << DESC_SHIFT);
	alloc->is_lease = false;
	alloc->entry = 0;
	alloc->session = 0;
	alloc->has_contents = false;
	alloc->state = ALLOC_PUBLISHED;
	return 0;
}

int arena_publish(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  uint64_t token, struct why *why)
{
	int r = rules_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is published already");
	r = rules_owner(caller, alloc, "publish", why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = rules_uncarved(alloc, "published as a whole", why);
	if (r == 0)
		r = evict_for_slots(arena, alloc->uid,
				    table_slots_for(alloc->name_len, alloc->nr_extents,
						    alloc->attributes_len));
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_PUBLISHED);
	if (r == 0)
		r = deed_end(arena, caller, stage_published(arena, alloc, token, why));
	if (r < 0)
		return r;
	replace_end(arena, caller);
	arena_trace_publish(arena, caller, alloc);
	events_add(arena, ARENA_PUBLISHED, alloc);
	evictable_enter(arena, alloc);
	return 0;
}

int arena_give_attributes(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			  const void *attributes, uint16_t len, struct why *why)
{
	struct alloc old = { .attributes = alloc->attributes,
			     .attributes_len = alloc->attributes_len };
	int r;

	(void)arena;
	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL,
			       "it is published already: other attributes are set, not published");
	r = rules_owner(caller, alloc, "publish", why);
	if (r == 0)
		r = rules_attributes(len, why);
	if (r < 0)
		return r;
	r = alloc_copy_attributes(alloc, attributes, len);
	if (r < 0) {
		alloc->attributes = old.attributes;
		alloc->attributes_len = old.attributes_len;
		return r;
	}
	free(old.attributes);
	return 0;
}

int arena_give_evictable(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			 bool is_evictable, struct why *why)
{
	int r;

	(void)arena;
	if (alloc->state != ALLOC_RESERVED && !is_evictable)
		return 0;
	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL,
			       "it is published already: what is evictable is said at the publish");
	r = rules_owner(caller, alloc, "publish", why);
	if (r == 0)
		alloc->is_evictable = is_evictable;
	return r;
}

/* Gives @alloc, which is reserved, the name of @name; what it had is in *old, and not freed. */
static int exchange_name(struct alloc *old, struct arena *arena, struct alloc *alloc,
			 const char *name, uint8_t name_len)
{
	int r;

	old->name = alloc->name;
	old->name_len = alloc->name_len;
	if (old->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	r = alloc_copy_name(alloc, name, name_len);
	if (r < 0) {
		alloc->name = old->name;
		alloc->name_len = old->name_len;
	}
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
	return r;
}

static void put_name_back(struct arena *arena, struct alloc *alloc, const struct alloc *old)
{
	if (alloc->name)
		RB_REMOVE(name_tree, &arena->names, alloc);
	alloc_drop_name(alloc);
	alloc->name = old->name;
	alloc->name_len = old->name_len;
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
}

/* Publishes @alloc under @name, which nobody has. On failure it has the name that it had. */
static int publish_named(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			 const char *name, uint8_t name_len, uint64_t token, struct why *why)
{
	struct alloc old = { 0 };
	int r = exchange_name(&old, arena, alloc, name, name_len);

	if (r < 0)
		return r;
	r = arena_publish(arena, caller, alloc, token, why);
	if (r < 0)
		put_name_back(arena, alloc, &old);
	else
		free(old.name);
	return r;
}

int arena_publish_over(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		       const char *name, uint8_t name_len, uint64_t token, struct why *why)
{
	int r = 0;

	if (!name_len)
		return why_set(why, -EINVAL, "no name: say which one it shall take over");
	/*
	 * The caller must own the reservation: else it could have a published allocation freed for
	 * another user's reservation.
	 */
	if (alloc->state == ALLOC_RESERVED)
		r = rules_owner(caller, alloc, "publish", why);
	if (r < 0 || arena_find_name(arena, name, name_len) == alloc)
		return r < 0 ? r : arena_publish(arena, caller, alloc, token, why);
	r = replace_begin(arena, caller, name, name_len, alloc, why);
	if (r == 0)
		r = rules_name(arena, name, name_len, why);
	if (r == 0 && alloc->state != ALLOC_RESERVED)
		r = why_set(why, -EINVAL, "it is published already: rename it over the other one");
	if (r == 0)
		r = publish_named(arena, caller, alloc, name, name_len, token, why);
	if (r < 0)
		replace_cancel(arena);
	return r;
}
