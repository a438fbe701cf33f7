/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: items of one or more entries in a mapped file, written and taken out. It does not know what a session or an
 * allocation is to anyone. How an item stays whole is told in ledger_internal.h.
 */
#include <config.h>

#include "daemon/arena/ledger.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/arena/ledger_internal.h"
#include "daemon/arena/runfile.h"

/* ---- the part of a head's word that may change: one store for a change too ---- */

enum { FLAG_READ_ONLY = 1, FLAG_CLOSED = 2, FLAG_RUN = 4, FLAG_LEASE = 8 };

static uint64_t make_head_word(enum ledger_kind kind, unsigned state, unsigned flags, uint8_t callers)
{
	return make_word(kind, (uint32_t)callers << 16 | flags << 8 | state);
}

static unsigned state_of(uint64_t word)
{
	return word >> 8 & 0xff;
}

static unsigned flags_of(uint64_t word)
{
	return word >> 16 & 0xff;
}

static uint8_t callers_of(uint64_t word)
{
	return word >> 24 & 0xff;
}

/* ---- entries ---- */

static struct entry *head_at(const struct ledger *ledger, uint32_t index, enum ledger_kind kind)
{
	assert(index >= LEDGER_FIRST && index < ledger->fresh && kind_of(at(ledger, index)->word) == kind);
	return at(ledger, index);
}

static int grow(struct ledger *ledger)
{
	uint64_t size = (uint64_t)ledger->nr_entries * sizeof(struct entry);
	int r;

	if (size + LEDGER_CHUNK > LEDGER_MAX_SIZE)
		return -ENOSPC;
	r = runfile_allocate(ledger->fd, size, LEDGER_CHUNK);
	if (r < 0)
		return r;
	ledger->nr_entries += LEDGER_CHUNK / sizeof(struct entry);
	return 0;
}

int ledger_reserve(struct ledger *ledger, uint32_t nr)
{
	int r;

	while ((uint64_t)ledger->nr_free + (ledger->nr_entries - ledger->fresh) < nr) {
		r = grow(ledger);
		if (r < 0)
			return r;
	}
	return 0;
}

/* After ledger_reserve(). */
static uint32_t take(struct ledger *ledger)
{
	uint32_t index = ledger->free_head;

	if (!index) {
		assert(ledger->fresh < ledger->nr_entries);
		return ledger->fresh++;
	}
	ledger->free_head = at(ledger, index)->next;
	ledger->nr_free--;
	return index;
}

uint32_t ledger_used(const struct ledger *ledger)
{
	return ledger->fresh - LEDGER_FIRST - ledger->nr_free;
}

uint32_t ledger_dropped(const struct ledger *ledger)
{
	return ledger->nr_dropped;
}

/* ---- chains ---- */

uint32_t ledger_range_entries(uint32_t nr_extents, uint8_t name_len)
{
	struct entry head = {
		.word = make_word(LEDGER_RANGE, 0),
		.range = { .nr_extents = nr_extents, .name_len = name_len },
	};

	return nr_entries_of(&head);
}

static uint32_t rest_of(uint32_t len, uint32_t done)
{
	return len - done < LEDGER_PIECE ? len - done : LEDGER_PIECE;
}

/* Appends @src in pieces to the chain of @head that ends in *tail; *place: how many it has. */
static void add_pieces(struct ledger *ledger, uint32_t head, uint32_t *tail, uint32_t *place, unsigned kind, const void *src,
		       uint32_t len)
{
	for (uint32_t done = 0; done < len; done += LEDGER_PIECE) {
		uint32_t index = take(ledger);
		struct entry *entry = at(ledger, index);

		memcpy(entry->piece, (const char *)src + done, rest_of(len, done));
		entry->head = head;
		entry->next = 0;
		store_word(entry, make_word(kind, (*place)++));
		at(ledger, *tail)->next = index;
		*tail = index;
	}
}

/* The other way, from the piece at @index on. Returns the piece after them. */
static uint32_t read_pieces(const struct ledger *ledger, uint32_t index, void *dst, uint32_t len)
{
	for (uint32_t done = 0; done < len; done += LEDGER_PIECE) {
		memcpy((char *)dst + done, at(ledger, index)->piece, rest_of(len, done));
		index = at(ledger, index)->next;
	}
	return index;
}

static void put_chain(struct ledger *ledger, uint32_t index, uint32_t nr)
{
	while (nr--) {
		uint32_t next = at(ledger, index)->next;

		put_entry(ledger, index);
		index = next;
	}
}

/* ---- reading ---- */

static struct ledger_hold get_hold(const struct entry *entry)
{
	return (struct ledger_hold){
		.session = entry->hold.session,
		.id = entry->hold.id,
		.slot = entry->hold.slot,
		.read_only = flags_of(entry->word) & FLAG_READ_ONLY,
		.closed = flags_of(entry->word) & FLAG_CLOSED,
	};
}

static struct ledger_range get_range(const struct entry *entry)
{
	const struct range *range = &entry->range;

	return (struct ledger_range){
		.id = range->id,
		.session = range->session,
		.created_ns = range->created_ns,
		.slot = range->slot,
		.uid = range->uid,
		.gid = range->gid,
		.mode = range->mode,
		.state = state_of(entry->word),
		.is_run = flags_of(entry->word) & FLAG_RUN,
		.is_lease = flags_of(entry->word) & FLAG_LEASE,
		.flags = callers_of(entry->word),
	};
}

/* A deed's proof is what a range's state is. */
static struct ledger_deed get_deed(const struct entry *entry)
{
	return (struct ledger_deed){
		.session = entry->deed.session,
		.key = entry->deed.key,
		.id = entry->deed.id,
		.slot = entry->deed.slot,
		.version = entry->deed.version,
		.proof = state_of(entry->word),
	};
}

static void get_item(struct ledger_item *item, struct ledger *ledger, uint32_t index)
{
	const struct entry *entry = at(ledger, index);

	*item = (struct ledger_item){ .kind = kind_of(entry->word), .entry = index };
	if (item->kind == LEDGER_HOLDER) {
		item->holder = entry->holder;
	} else if (item->kind == LEDGER_HOLD) {
		item->hold = get_hold(entry);
	} else if (item->kind == LEDGER_DEED) {
		item->deed = get_deed(entry);
	} else {
		index = read_pieces(ledger, entry->next, ledger->extents, entry->range.nr_extents * sizeof(struct extent));
		read_pieces(ledger, index, ledger->name, entry->range.name_len);
		item->range = get_range(entry);
		item->extents = ledger->extents;
		item->nr_extents = entry->range.nr_extents;
		item->name = ledger->name;
		item->name_len = entry->range.name_len;
	}
}

bool ledger_next(struct ledger_item *item, struct ledger *ledger, uint32_t *cursor)
{
	uint32_t index = *cursor < LEDGER_FIRST ? LEDGER_FIRST : *cursor;

	while (index < ledger->fresh && !is_head(at(ledger, index)))
		index++;
	*cursor = index + 1;
	if (index >= ledger->fresh)
		return false;
	get_item(item, ledger, index);
	return true;
}

/* ---- writing ---- */

int ledger_add_holder(uint32_t *entry, struct ledger *ledger, const struct ledger_holder *holder)
{
	struct entry *head;
	int r;

	r = ledger_reserve(ledger, 1);
	if (r < 0)
		return r;
	*entry = take(ledger);
	head = at(ledger, *entry);
	head->holder = *holder;
	store_word(head, make_head_word(LEDGER_HOLDER, 0, 0, 0));
	return 0;
}

int ledger_add_hold(uint32_t *entry, struct ledger *ledger, const struct ledger_hold *hold)
{
	struct entry *head;
	int r;

	r = ledger_reserve(ledger, 1);
	if (r < 0)
		return r;
	*entry = take(ledger);
	head = at(ledger, *entry);
	head->hold.session = hold->session;
	head->hold.id = hold->id;
	head->hold.slot = hold->slot;
	store_word(head, make_head_word(LEDGER_HOLD, 0, (hold->read_only ? FLAG_READ_ONLY : 0) | (hold->closed ? FLAG_CLOSED : 0), 0));
	return 0;
}

int ledger_add_deed(uint32_t *entry, struct ledger *ledger, const struct ledger_deed *deed)
{
	struct entry *head;
	int r;

	r = ledger_reserve(ledger, 1);
	if (r < 0)
		return r;
	*entry = take(ledger);
	head = at(ledger, *entry);
	head->deed.session = deed->session;
	head->deed.key = deed->key;
	head->deed.id = deed->id;
	head->deed.slot = deed->slot;
	head->deed.version = deed->version;
	store_word(head, make_head_word(LEDGER_DEED, deed->proof, 0, 0));
	return 0;
}

struct ledger_deed ledger_deed(const struct ledger *ledger, uint32_t entry)
{
	return get_deed(head_at(ledger, entry, LEDGER_DEED));
}

static void fill_range(struct range *out, const struct ledger_range *range, uint32_t nr_extents, uint8_t name_len)
{
	*out = (struct range){
		.id = range->id,
		.session = range->session,
		.created_ns = range->created_ns,
		.slot = range->slot,
		.uid = range->uid,
		.gid = range->gid,
		.mode = range->mode,
		.nr_extents = nr_extents,
		.name_len = name_len,
	};
}

int ledger_add_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range, const struct extent *extents,
		     uint32_t nr_extents, const char *name, uint8_t name_len)
{
	uint32_t added = 0;
	int r;

	r = ledger_replace_range(&added, ledger, range, extents, nr_extents, name, name_len);
	if (r < 0)
		return r;
	*entry = added;
	return 0;
}

int ledger_replace_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range, const struct extent *extents,
			 uint32_t nr_extents, const char *name, uint8_t name_len)
{
	uint32_t index, tail, place = 0, old = *entry;
	unsigned flags = (range->is_run ? FLAG_RUN : 0) | (range->is_lease ? FLAG_LEASE : 0);
	struct entry *head;
	int r;

	assert(nr_extents && nr_extents <= LEDGER_MAX_EXTENTS);
	r = ledger_reserve(ledger, ledger_range_entries(nr_extents, name_len));
	if (r < 0)
		return r;
	index = tail = take(ledger);
	head = at(ledger, index);
	fill_range(&head->range, range, nr_extents, name_len);
	head->replaces = old;
	add_pieces(ledger, index, &tail, &place, KIND_EXTENTS, extents, (uint32_t)(nr_extents * sizeof(*extents)));
	add_pieces(ledger, index, &tail, &place, KIND_NAME, name, name_len);
	store_word(head, make_head_word(LEDGER_RANGE, range->state, flags, range->flags));
	if (old) {
		uint32_t nr = nr_entries_of(head_at(ledger, old, LEDGER_RANGE));

		settle_replacement(ledger, head);
		put_chain(ledger, old, nr);
	}
	*entry = index;
	return 0;
}

void ledger_set_state(struct ledger *ledger, uint32_t entry, enum ledger_state state)
{
	struct entry *head = head_at(ledger, entry, LEDGER_RANGE);

	store_word(head, make_head_word(LEDGER_RANGE, state, flags_of(head->word), callers_of(head->word)));
}

void ledger_set_closed(struct ledger *ledger, uint32_t entry, bool closed)
{
	struct entry *head = head_at(ledger, entry, LEDGER_HOLD);
	unsigned flags = flags_of(head->word) & ~(unsigned)FLAG_CLOSED;

	store_word(head, make_head_word(LEDGER_HOLD, 0, flags | (closed ? FLAG_CLOSED : 0), 0));
}

void ledger_remove(struct ledger *ledger, uint32_t entry)
{
	struct entry *head;
	uint32_t nr;

	if (!entry)
		return;
	head = at(ledger, entry);
	assert(entry >= LEDGER_FIRST && entry < ledger->fresh && is_head(head));
	nr = nr_entries_of(head);
	store_word(head, 0);
	put_chain(ledger, entry, nr);
}
