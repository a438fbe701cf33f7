/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deed: a change that a session asked for, noted in the ledger until the session has the answer.
 * The note is written before the change begins, together with what will prove that the change was
 * done (its allocation exists, is published, has a version, is gone). A daemon that is killed
 * leaves the note; the next start looks for the proof, and removes each note without one. So a note
 * that is there after a start says: it was done. The file knows no messages: a key is a number that
 * the session uses once.
 */
#include <config.h>

#include "daemon/arena/deed.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/arena/array.h"
#include "daemon/arena/holder.h"

/* Makes room for one more deed. */
static int make_room(struct holder *holder)
{
	uint32_t *grown = array_grown(holder->deeds, holder->nr_deeds, &holder->room_deeds,
				      sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	holder->deeds = grown;
	return 0;
}

/* The number under which the session asks for its deed @i. */
static uint64_t key_of(const struct holder *holder, uint32_t i)
{
	return ledger_deed(holder->arena->ledger, holder->deeds[i]).key;
}

int deed_begin(struct arena *arena, const struct caller *caller, const struct alloc *alloc,
	       enum ledger_proof proof)
{
	struct holder *holder = caller->holder;
	struct ledger_deed deed = {
		.key = caller->deed, .id = alloc->id, .slot = alloc->slot, .proof = proof,
		.version = arena_next_version(arena, alloc),
	};
	int r;

	/*
	 * A reservation is known to its session alone, and to give it the same attributes once more
	 * changes nothing: the request can simply be carried out again.
	 */
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

	if (r < 0 && caller->deed && holder->nr_deeds > 0 &&
	    key_of(holder, holder->nr_deeds - 1) == caller->deed)
		ledger_remove(arena->ledger, holder->deeds[--holder->nr_deeds]);
	return r;
}

void deed_drop_all(struct holder *holder)
{
	while (holder->nr_deeds > 0)
		ledger_remove(holder->arena->ledger, holder->deeds[--holder->nr_deeds]);
	holder->nr_awaited = 0;
}

/* ---- a request that is repeated ---- */

bool arena_find_deed(struct arena_deed *out, const struct arena *arena, const struct caller *caller)
{
	const struct holder *holder = caller->holder;

	for (uint32_t i = 0; i < holder->nr_deeds; i++) {
		struct ledger_deed deed = ledger_deed(arena->ledger, holder->deeds[i]);

		if (deed.key != caller->deed)
			continue;
		*out = (struct arena_deed){ .id = deed.id,
					    .slot = deed.slot,
					    .alloc = arena_find(arena, deed.slot, deed.id) };
		return true;
	}
	return false;
}

void arena_await_deeds(struct holder *holder)
{
	holder->nr_awaited = holder->nr_deeds;
}

/* A deed that is kept moves forward in the array; the order stays. */
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

/* ---- at a start ---- */

/*
 * Is the proof of @deed there? The answer is right only at a start, before anything else has
 * changed: later another change could have made or undone the proof.
 */
static bool was_done(const struct arena *arena, const struct ledger_deed *deed)
{
	const struct alloc *alloc =
		deed->slot < arena->nr_objects ? arena->objects[deed->slot] : NULL;

	/*
	 * An id is never used twice. Another one in the slot proves that the allocation of the deed
	 * is gone.
	 */
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

/* All deeds of before count as awaited: their session may ask once it has come back. */
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
