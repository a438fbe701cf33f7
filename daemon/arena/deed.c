/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deed: what a session changed and has not been told of yet. It is written into the ledger before the change is begun, with what will
 * prove that it was done, and taken out once the answer is on its way: a daemon that is killed in between leaves both, the change or its
 * absence, and the deed. What is not proved at the next start is forgotten: a deed that is there was done. It does not know messages:
 * a key is a number that the session uses once.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/arena_internal.h"

static int make_room(struct holder *holder)
{
	uint32_t room = holder->room_deeds ? holder->room_deeds * 2 : 16;
	uint32_t *grown;

	if (holder->nr_deeds < holder->room_deeds)
		return 0;
	grown = reallocarray(holder->deeds, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	holder->deeds = grown;
	holder->room_deeds = room;
	return 0;
}

static uint64_t key_of(const struct holder *holder, uint32_t i)
{
	return ledger_deed(holder->arena->ledger, holder->deeds[i]).key;
}

int deed_begin(struct arena *arena, const struct caller *caller, const struct alloc *alloc, enum ledger_proof proof)
{
	struct holder *holder = caller->holder;
	struct ledger_deed deed = {
		.key = caller->deed, .id = alloc->id, .slot = alloc->slot, .proof = proof,
		.version = arena_next_version(arena, alloc),
	};
	int r;

	/* What is reserved is seen by its session alone, and to change it to the same again changes nothing. */
	if (!caller->deed || (proof == PROOF_VERSION && alloc->state == ALLOC_RESERVED))
		return 0;
	deed.session = holder->session;
	r = make_room(holder);
	if (r == 0)
		r = ledger_add_deed(&holder->deeds[holder->nr_deeds], arena->ledger, &deed);
	if (r == 0)
		holder->nr_deeds++;
	return r;
}

int deed_end(struct arena *arena, const struct caller *caller, int r)
{
	struct holder *holder = caller->holder;

	if (r < 0 && caller->deed && holder->nr_deeds > 0 && key_of(holder, holder->nr_deeds - 1) == caller->deed)
		ledger_remove(arena->ledger, holder->deeds[--holder->nr_deeds]);
	return r;
}

void deeds_drop(struct holder *holder)
{
	while (holder->nr_deeds > 0)
		ledger_remove(holder->arena->ledger, holder->deeds[--holder->nr_deeds]);
	holder->nr_awaited = 0;
}

/* ---- asked again ---- */

bool arena_find_deed(struct arena_deed *out, const struct arena *arena, const struct caller *caller)
{
	const struct holder *holder = caller->holder;

	for (uint32_t i = 0; i < holder->nr_deeds; i++) {
		struct ledger_deed deed = ledger_deed(arena->ledger, holder->deeds[i]);

		if (deed.key != caller->deed)
			continue;
		*out = (struct arena_deed){ .id = deed.id, .slot = deed.slot, .alloc = arena_find(arena, deed.slot, deed.id) };
		return true;
	}
	return false;
}

void arena_await_deeds(struct holder *holder)
{
	holder->nr_awaited = holder->nr_deeds;
}

void arena_forget_deeds(struct holder *holder, uint64_t key, uint64_t nr)
{
	uint32_t kept = 0, awaited = 0;

	for (uint32_t i = 0; i < holder->nr_deeds; i++) {
		if (key_of(holder, i) - key < nr) {
			ledger_remove(holder->arena->ledger, holder->deeds[i]);
			continue;
		}
		awaited += i < holder->nr_awaited;
		holder->deeds[kept++] = holder->deeds[i];
	}
	holder->nr_deeds = kept;
	holder->nr_awaited = awaited;
}

void arena_forget_told_deeds(struct holder *holder)
{
	while (holder->nr_deeds > holder->nr_awaited)
		ledger_remove(holder->arena->ledger, holder->deeds[--holder->nr_deeds]);
}

/* ---- after a start ---- */

static bool was_done(const struct arena *arena, const struct ledger_deed *deed)
{
	const struct alloc *alloc = deed->slot < arena->nr_objects ? arena->objects[deed->slot] : NULL;

	/* An id never comes back: another one here is the proof that this one is gone. */
	if (alloc && alloc->id != deed->id)
		alloc = NULL;
	switch (deed->proof) {
	case PROOF_EXISTS:
		return alloc;
	case PROOF_PUBLISHED:
		return !alloc || alloc->state != ALLOC_RESERVED;
	case PROOF_VERSION:
		return !alloc || alloc->state == ALLOC_FREEING || alloc->version >= deed->version;
	case PROOF_GONE:
		return !alloc || alloc->state == ALLOC_FREEING;
	}
	return false;
}

int deed_adopt(struct arena *arena, const struct ledger_item *item)
{
	struct holder *holder = holder_find(arena, item->deed.session);
	int r;

	if (!holder || !was_done(arena, &item->deed)) {
		ledger_remove(arena->ledger, item->entry);
		return 0;
	}
	r = make_room(holder);
	if (r < 0)
		return r;
	holder->deeds[holder->nr_deeds++] = item->entry;
	holder->nr_awaited = holder->nr_deeds;
	return 0;
}
