/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: bits for free units, one mapping for all. It knows no bound and no other lease.
 */
#include <config.h>

#include "lib/memory/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/session/client.h"
#include "lib/error.h"
#include "lib/memory/map.h"
#include "lib/session/op.h"

#define PER_WORD 64u
#define MAX_WORDS 32u     /* reports to the daemon that are made at a time, on the stack */

/* ---- bits ---- */

static uint32_t nr_words(const struct lease *lease)
{
	return (lease->nr_units + PER_WORD - 1) / PER_WORD;
}

static void set_bits(uint64_t *words, uint32_t first, uint32_t nr, bool on)
{
	while (nr > 0) {
		uint32_t at = first % PER_WORD, n = nr < PER_WORD - at ? nr : PER_WORD - at;
		uint64_t mask = (n == PER_WORD ? UINT64_MAX : (UINT64_C(1) << n) - 1) << at;

		if (on)
			words[first / PER_WORD] |= mask;
		else
			words[first / PER_WORD] &= ~mask;
		first += n;
		nr -= n;
	}
}

/* Returns the next bit from @from on that is @on; @end: there is none. */
static uint32_t next_bit(const uint64_t *words, uint32_t from, uint32_t end, bool on)
{
	while (from < end) {
		uint64_t word =
			(on ? words[from / PER_WORD] : ~words[from / PER_WORD]) >> from % PER_WORD;

		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from += PER_WORD - from % PER_WORD;
	}
	return end;
}

static bool find_free(uint32_t *first, const struct lease *lease, uint32_t nr)
{
	uint32_t at = lease->hint * PER_WORD, end;

	for (;;) {
		at = next_bit(lease->free, at, lease->nr_units, true);
		if (at == lease->nr_units || nr > lease->nr_units - at)
			return false;
		end = nr == 1 ? at + 1 : next_bit(lease->free, at + 1, at + nr, false);
		if (end == at + nr) {
			*first = at;
			return true;
		}
		at = end;
	}
}

bool lease_claim(uint32_t *first, struct lease *lease, uint32_t nr)
{
	if (nr > lease->nr_free || nr >= lease->too_many)
		return false;
	if (!find_free(first, lease, nr)) {
		lease->too_many = nr;
		return false;
	}
	set_bits(lease->free, *first, nr, false);
	lease->nr_free -= nr;
	/* All units before this one are taken, so the next search need not look at them. */
	if (nr == 1)
		lease->hint = *first / PER_WORD;
	lease_set_piece(lease, *first, nr, PIECE_RESERVED);
	lease->nr_pieces++;
	return true;
}

bool lease_was_used(const struct lease *lease, uint32_t first, uint32_t nr)
{
	return next_bit(lease->used, first, first + nr, true) < first + nr;
}

enum piece_state lease_piece(uint32_t *nr, const struct lease *lease, uint32_t first)
{
	*nr = lease->pieces[first] >> 3;
	return lease->pieces[first] & 7;
}

void lease_set_piece(struct lease *lease, uint32_t first, uint32_t nr, enum piece_state state)
{
	lease->pieces[first] = nr << 3 | state;
}

void lease_release(struct lease *lease, uint32_t first)
{
	uint32_t nr;
	enum piece_state state = lease_piece(&nr, lease, first);

	lease->pieces[first] = 0;
	lease->nr_pieces--;
	if (state != PIECE_RESERVED)
		return;
	set_bits(lease->free, first, nr, true);
	set_bits(lease->used, first, nr, true);
	lease->nr_free += nr;
	lease->too_many = UINT32_MAX;
	if (first / PER_WORD < lease->hint)
		lease->hint = first / PER_WORD;
}

/* ---- what became of its parts ---- */

int lease_make_room(struct lease *lease, uint32_t nr)
{
	uint32_t room = lease->room_published ? lease->room_published : 16;
	struct pma_handle *grown;

	if (nr <= lease->room_published - lease->nr_published)
		return 0;
	while (room - lease->nr_published < nr)
		room *= 2;
	grown = reallocarray(lease->published, room, sizeof(*grown));
	if (!grown)
		return error_memory();
	lease->published = grown;
	lease->room_published = room;
	return 0;
}

void lease_published(struct lease *lease, uint32_t first, struct pma_handle handle)
{
	uint32_t nr;

	lease_piece(&nr, lease, first);
	lease_set_piece(lease, first, nr, PIECE_PUBLISHED);
	lease->nr_kept -= nr;
	lease->published[lease->nr_published++] = handle;
}

/* ---- from the daemon and back ---- */

void lease_free(struct lease *lease)
{
	free(lease->published);
	free(lease->pieces);
	free(lease->used);
	free(lease->free);
	free(lease);
}

static struct lease *lease_zero(uint64_t len, uint8_t unit_shift)
{
	struct lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return NULL;
	lease->unit_shift = unit_shift;
	lease->nr_units = lease->nr_free = lease->nr_kept = (uint32_t)(len >> unit_shift);
	lease->too_many = UINT32_MAX;
	lease->free = calloc(nr_words(lease), sizeof(*lease->free));
	lease->used = calloc(nr_words(lease), sizeof(*lease->used));
	lease->pieces = calloc(lease->nr_units, sizeof(*lease->pieces));
	if (!lease->free || !lease->used || !lease->pieces) {
		lease_free(lease);
		return NULL;
	}
	set_bits(lease->free, 0, lease->nr_units, true);
	return lease;
}

static int refuse_lost(struct pma *pma)
{
	int r;

	client_lock(pma);
	r = error_set(-ESTALE,
		      "the session was lost (%s), and with it what the cache had just reserved: "
		      "ask again",
		      pma->link.why.text);
	client_unlock(pma);
	return r;
}

static int lease_map(struct lease *lease)
{
	int r = pma_map(&lease->map, lease->pma, lease->handle, PMA_MAP_WRITE);

	/*
	 * No other thread can end this reservation. So it was lost together with its session, while
	 * it was being mapped.
	 */
	if (r == -ENOENT || r == -EBADF)
		return refuse_lost(lease->pma);
	if (r < 0)
		return r;
	lease->base = pma_map_address(lease->map);
	lease->off = map_offset(lease->map);
	return 0;
}

int lease_new(struct lease **out, struct pma *pma, uint32_t arena, uint64_t len, uint8_t unit_shift,
	      bool is_ahead)
{
	struct pma_op op = {
		.opcode = is_ahead ? OP_LEASE : PMA_OP_RESERVE,
		.handle = { .arena = arena },
		.len = len,
		.flags = is_ahead ? 0 : PMA_CONTIGUOUS,
	};
	struct lease *lease = lease_zero(len, unit_shift);
	int r;

	*out = NULL;
	if (!lease)
		return error_memory();
	lease->pma = pma;
	r = op_run(pma, &op);
	lease->handle = op.handle;
	if (r < 0) {
		lease_free(lease);
		return r;
	}
	*out = lease;
	return lease_map(lease);
}

bool lease_is_valid(const struct lease *lease)
{
	return pma_is_valid(lease->pma, lease->handle);
}

/*
 * Prepares a report to the daemon about a part that was closed or freed while the lease's mapping
 * still showed it: it is unmapped now, or lent. false: the part is still in use, or the daemon is
 * too old to understand.
 */
static bool add_word(struct pma_op *op, const struct holding *holding, const struct pma *pma)
{
	if (holding->is_open || holding->nr_maps > 0 || !pma->link.lends)
		return false;
	*op = (struct pma_op){ .opcode = holding->is_lent ? OP_LENT : OP_UNMAPPED,
			       .handle = holding->handle };
	return true;
}

/*
 * The lease's mapping is gone, and its published parts are ordinary allocations. Prepares reports
 * about the last @nr of them. Returns how many reports are in @ops.
 */
static size_t add_words(struct pma_op *ops, struct lease *lease, uint32_t nr)
{
	struct pma *pma = lease->pma;
	size_t nr_words = 0;

	client_lock(pma);
	for (uint32_t i = lease->nr_published - nr; i < lease->nr_published; i++) {
		struct holding *holding = holding_recall(&pma->holdings, lease->published[i]);

		if (!holding)
			continue;
		holding->is_leased = false;
		holding->is_lent |= lease->is_lent;
		nr_words += add_word(&ops[nr_words], holding, pma);
	}
	client_unlock(pma);
	return nr_words;
}

/* The daemon was told: forgets the last @nr parts. */
static void drop_published(struct lease *lease, uint32_t nr)
{
	struct pma *pma = lease->pma;

	client_lock(pma);
	for (; nr > 0; nr--) {
		struct holding *holding = holding_recall(&pma->holdings,
							 lease->published[--lease->nr_published]);

		if (holding)
			holding_settle(&pma->holdings, holding);
	}
	client_unlock(pma);
}

/*
 * Sends reports, one message for all of them, or one each where there is no memory for that. The
 * daemon's answers do not matter. -ENOMEM: not all could be sent.
 */
static int send_words(struct pma *pma, struct pma_op *ops, size_t nr)
{
	int r = 0;

	if (nr > 0)
		op_run_all(pma, ops, nr);
	for (size_t i = 0; i < nr && r != -ENOMEM; i++) {
		if (ops[i].result == -ENOMEM)
			r = op_run(pma, &ops[i]);
	}
	return r == -ENOMEM ? r : 0;
}

static int report_published(struct lease *lease)
{
	struct pma_op ops[MAX_WORDS];
	int r = 0;

	while (r == 0 && lease->nr_published > 0) {
		uint32_t nr = lease->nr_published < MAX_WORDS ? lease->nr_published : MAX_WORDS;

		r = send_words(lease->pma, ops, add_words(ops, lease, nr));
		if (r == 0)
			drop_published(lease, nr);
	}
	return r;
}

int lease_end(struct lease *lease)
{
	int r;

	if (lease->map)
		lease->is_lent = map_end(lease->map);
	lease->map = NULL;
	r = report_published(lease);
	if (r == 0)
		r = pma_abort(lease->pma, lease->handle);
	if (r == -ENOMEM)
		return r;
	lease_free(lease);
	return 0;
}
