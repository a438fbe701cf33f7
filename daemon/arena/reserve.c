/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reserve: space becomes an allocation, and an allocation permanent; with the checks that every change begins with. What a request
 * changes is decided at once in memory and staged for the settle; what it depends on that is only staged is settled first.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/arena/arena_internal.h"
#include "lib/size.h"

/* ---- what may be asked ---- */

int check_serving(const struct arena *arena, bool new_space, struct why *why)
{
	if (arena->state == ARENA_OFFLINE)
		return why_set(why, -EIO, "arena %s is offline: %s", arena->identity.name, arena->reason);
	if (arena->state == ARENA_DAMAGED && new_space)
		return why_set(why, -EUCLEAN, "arena %s takes no new allocations until `pmemarenactl repair`: %s", arena->identity.name,
			       arena->reason);
	return 0;
}

bool is_owner(const struct caller *caller, const struct alloc *alloc)
{
	if (alloc->state == ALLOC_RESERVED)
		return caller->holder && caller->holder->session == alloc->session;
	return caller->uid == 0 || caller->uid == alloc->uid;
}

int check_owner(const struct caller *caller, const struct alloc *alloc, const char *what, struct why *why)
{
	if (is_owner(caller, alloc))
		return 0;
	return why_set(why, -EACCES, "only its owner (uid %u) or root can %s it; you are uid %u%s", alloc->uid, what, caller->uid,
		       alloc->state == ALLOC_RESERVED ? ", in another session than the one that reserved it" : "");
}

/* The last change of it is not durable yet, or a name is: what follows must not overtake it. */
int settle_if_staged(struct arena *arena, const struct alloc *alloc, bool claims_name)
{
	if ((alloc && alloc->staged == arena->txn) || (claims_name && arena->nr_names_retiring))
		return arena_settle(arena);
	return 0;
}

int check_name(const struct arena *arena, const char *name, uint8_t name_len, struct why *why)
{
	const struct alloc *other;

	if (!name_len)
		return 0;
	if (memchr(name, '\0', name_len))
		return why_set(why, -EINVAL, "a name may hold any bytes but 0");
	other = arena_find_name(arena, name, name_len);
	if (other)
		return why_set(why, -EEXIST, "the name %.*s is taken by an allocation of uid %u (%s)", name_len, name, other->uid,
			       other->state == ALLOC_RESERVED ? "reserved" : "published");
	return 0;
}

/* Whole base pages below a compound page, whole compound pages from there on. */
int round_len(uint64_t *nr_pfns, const struct arena *arena, uint64_t len, struct why *why)
{
	uint64_t per_page = arena_page_pfns(arena), nr;
	char asked[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];

	if (len == 0)
		return why_set(why, -EINVAL, "the length is 0; the least is 4K");
	if (len > arena->identity.size)
		return why_set(why, -EINVAL, "%s is more than arena %s has in all (%s)", size_text(asked, len), arena->identity.name,
			       size_text(size, arena->identity.size));
	nr = (len + (UINT64_C(1) << DESC_SHIFT) - 1) >> DESC_SHIFT;
	*nr_pfns = nr < per_page ? nr : (nr + per_page - 1) / per_page * per_page;
	return 0;
}

/* ---- reserve ---- */

int copy_name(struct alloc *alloc, const char *name, uint8_t name_len)
{
	alloc->name = NULL;
	alloc->name_len = 0;
	if (!name_len)
		return 0;
	alloc->name = malloc(name_len);
	if (!alloc->name)
		return -ENOMEM;
	memcpy(alloc->name, name, name_len);
	alloc->name_len = name_len;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int claim_space(struct alloc **out, struct arena *arena, const struct caller *caller, uint64_t nr_pfns, const struct arena_ask *ask,
		       struct why *why)
{
	struct alloc *alloc;
	uint32_t nr;
	bool is_run;
	int r;

	r = space_claim(arena->scratch, &nr, &is_run, arena->space, nr_pfns, ask->contiguous ? 1 : ALLOC_MAX_EXTENTS, caller->uid);
	/* What is only taken ahead must not have others give up what they took. */
	if (r == -ENOSPC && !ask->lease && lease_recall(arena, nr_pfns, why) == -EINPROGRESS)
		return -EINPROGRESS;
	if (r < 0)
		return explain_no_space(arena, r, nr_pfns, ask->contiguous, why);
	r = alloc_new(&alloc, nr);
	if (r < 0) {
		while (nr > 0)
			space_unclaim(arena->space, arena->scratch[--nr], is_run);
		return r;
	}
	memcpy(alloc->extents, arena->scratch, nr * sizeof(*alloc->extents));
	alloc->nr_pfns = nr_pfns;
	alloc->is_run = is_run;
	*out = alloc;
	return 0;
}

enum quota_kind bytes_kind(const struct alloc *alloc)
{
	return alloc->is_lease ? QUOTA_LEASED_BYTES : QUOTA_BYTES;
}

int charge(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes, struct why *why)
{
	int r = quota_charge(arena->quota, uid, QUOTA_ALLOCATIONS, 1, why);

	if (r < 0)
		return r;
	r = quota_charge(arena->quota, uid, kind, bytes, why);
	if (r < 0)
		quota_return(arena->quota, uid, QUOTA_ALLOCATIONS, 1);
	return r;
}

void uncharge(struct arena *arena, const struct alloc *alloc)
{
	quota_return(arena->quota, alloc->uid, QUOTA_ALLOCATIONS, 1);
	quota_return(arena->quota, alloc->uid, bytes_kind(alloc), alloc->nr_pfns << DESC_SHIFT);
}

struct ledger_range range_of(const struct alloc *alloc, enum ledger_state state)
{
	return (struct ledger_range){
		.id = alloc->id, .session = alloc->cut_from ? alloc->cut_from : alloc->session,
		.flags = alloc->cut_from ? RANGE_CUT : 0, .created_ns = alloc->created_ns, .slot = alloc->slot,
		.uid = alloc->uid, .gid = alloc->gid, .mode = alloc->mode, .state = state, .is_run = alloc->is_run,
		.is_lease = alloc->is_lease,
	};
}

/* The ledger first, for SIGKILL; then the record, whose words are only stored by the settle. */
static int enter(struct arena *arena, const struct caller *caller, struct alloc *alloc, const struct arena_ask *ask)
{
	struct ledger_range range = range_of(alloc, LEDGER_RESERVED);
	int r = 0;

	if (!ask->publish)
		r = ledger_add_range(&alloc->entry, arena->ledger, &range, alloc->extents, alloc->nr_extents, alloc->name,
				     alloc->name_len);
	if (r == 0 && (!ask->publish || ask->keep_open))
		r = hold_add(arena, caller->holder, alloc, false);
	if (r == 0 && ask->publish)
		r = arena_stage_record(arena, alloc);
	if (r < 0) {
		struct hold *hold = TAILQ_FIRST(&alloc->holds);

		if (hold)
			hold_drop(arena, hold);
		ledger_remove(arena->ledger, alloc->entry);
	}
	return r;
}

static void undo_claim(struct arena *arena, struct alloc *alloc)
{
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		space_unclaim(arena->space, alloc->extents[i], alloc->is_run);
}

int reservation_build(struct arena *arena, const struct caller *caller, struct alloc *alloc, const struct arena_ask *ask, struct why *why)
{
	uint32_t slot;
	int r;

	alloc->uid = caller->uid;
	alloc->gid = caller->gid;
	alloc->mode = ask->mode ? ask->mode & ALLOC_MODE_MASK : 0600;
	alloc->state = ask->publish ? ALLOC_PUBLISHED : ALLOC_RESERVED;
	alloc->is_lease = ask->lease;
	alloc->session = ask->publish ? 0 : caller->holder->session;
	alloc->created_ns = now_ns();
	alloc->token = ask->publish ? ask->token : 0;
	r = copy_name(alloc, ask->name, ask->name_len);
	if (r == 0)
		r = arena_take_id(arena, &alloc->id);
	if (r == 0)
		r = object_take(arena, &slot, why);
	if (r < 0)
		return r;
	object_set(arena, slot, alloc);
	r = deed_begin(arena, caller, alloc, PROOF_EXISTS);
	if (r == 0)
		r = deed_end(arena, caller, enter(arena, caller, alloc, ask));
	if (r < 0) {
		plane_set(arena->plane, slot, 0);
		arena->objects[slot] = NULL;
		arena->free_objects[arena->nr_free_objects++] = slot;
		return r == -ENFILE ? why_set(why, r, "the table of arena %s is full (%u slots): free something, or format it with more slots",
					      arena->identity.name, table_nr_slots(arena->table)) : r;
	}
	if (alloc->name)
		RB_INSERT(name_tree, &arena->names, alloc);
	for (uint32_t i = 0; i < alloc->nr_extents; i++)
		space_set_object(arena->space, alloc->extents[i], alloc->is_run, slot + 1);
	return 0;
}

int arena_reserve(struct alloc **out, struct arena *arena, const struct caller *caller, const struct arena_ask *ask, struct why *why)
{
	enum quota_kind kind = ask->lease ? QUOTA_LEASED_BYTES : QUOTA_BYTES;
	struct alloc *alloc = NULL;
	uint64_t nr_pfns;
	int r = check_serving(arena, true, why);

	if (r == 0 && ask->lease && ask->publish)
		r = why_set(why, -EINVAL, "a lease is taken ahead and not permanent: parts of it are, once they are carved");
	if (r == 0 && ask->name_len)
		r = settle_if_staged(arena, NULL, true);
	if (r == 0)
		r = check_name(arena, ask->name, ask->name_len, why);
	if (r == 0)
		r = round_len(&nr_pfns, arena, ask->len, why);
	if (r == 0)
		r = charge(arena, caller->uid, kind, nr_pfns << DESC_SHIFT, why);
	if (r < 0)
		return r;
	r = claim_space(&alloc, arena, caller, nr_pfns, ask, why);
	if (r == 0) {
		r = reservation_build(arena, caller, alloc, ask, why);
		if (r < 0) {
			undo_claim(arena, alloc);
			alloc_free(alloc);
		}
	}
	if (r < 0) {
		quota_return(arena->quota, caller->uid, QUOTA_ALLOCATIONS, 1);
		quota_return(arena->quota, caller->uid, kind, nr_pfns << DESC_SHIFT);
		return r;
	}
	if (ask->publish)
		events_add(arena, ARENA_PUBLISHED, alloc);
	*out = alloc;
	return 0;
}

static int stage_published(struct arena *arena, struct alloc *alloc, uint64_t token, struct why *why)
{
	int r = 0;

	if (alloc->is_lease)                    /* what was taken ahead now counts as used */
		r = quota_charge(arena->quota, alloc->uid, QUOTA_BYTES, alloc->nr_pfns << DESC_SHIFT, why);
	if (r < 0)
		return r;
	r = arena_unledger_later(arena, alloc->entry);
	if (r < 0)
		return r;
	alloc->token = token;
	r = arena_stage_record(arena, alloc);
	if (r < 0) {
		alloc->token = 0;
		arena->nr_unledger--;
		if (alloc->is_lease)
			quota_return(arena->quota, alloc->uid, QUOTA_BYTES, alloc->nr_pfns << DESC_SHIFT);
		return r == -ENFILE ? why_set(why, r, "the table of arena %s is full", arena->identity.name) : r;
	}
	if (alloc->is_lease)
		quota_return(arena->quota, alloc->uid, QUOTA_LEASED_BYTES, alloc->nr_pfns << DESC_SHIFT);
	alloc->is_lease = false;
	alloc->entry = 0;
	alloc->session = 0;
	alloc->state = ALLOC_PUBLISHED;
	events_add(arena, ARENA_PUBLISHED, alloc);
	return 0;
}

int arena_publish(struct arena *arena, const struct caller *caller, struct alloc *alloc, uint64_t token, struct why *why)
{
	int r = check_serving(arena, false, why);

	if (r < 0)
		return r;
	if (alloc->state != ALLOC_RESERVED)
		return why_set(why, -EINVAL, "it is published already");
	r = check_owner(caller, alloc, "publish", why);
	if (r == 0)
		r = settle_if_staged(arena, alloc, false);
	if (r == 0)
		r = check_uncarved(alloc, "published as a whole", why);
	if (r == 0)
		r = deed_begin(arena, caller, alloc, PROOF_PUBLISHED);
	return r < 0 ? r : deed_end(arena, caller, stage_published(arena, alloc, token, why));
}
