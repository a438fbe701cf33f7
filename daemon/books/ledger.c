/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger: adds, changes and removes the items of the ledger's mapped file. Words: an *entry*
 * is 64 bytes of the file; an *item* is one head entry, followed for a range by a chain of entries
 * (*pieces*) with its extents and its name; a *deed* is the note of a change that a client asked
 * for. ledger_read.c reads them. This file gives items no meaning: what a session or an allocation
 * is, its callers know. ledger_internal.h says how an item stays whole when the daemon is killed.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/books/ledger_internal.h"
#include "daemon/books/runfile.h"

/* The 24 bits of a head's word that may change: state, flags, the caller's flags. */
static uint64_t make_head_word(enum ledger_kind kind, unsigned state, unsigned flags,
			       uint8_t callers)
{
	return make_word(kind, (uint32_t)callers << 16 | flags << 8 | state);
}

/* ---- entries ---- */

/*
 * Makes the file LEDGER_CHUNK bytes longer. The mapping is of LEDGER_MAX_SIZE from the start, so it
 * stays. -ENOSPC: the file has that size already, or the file system is full.
 */
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

static uint64_t nr_left(const struct ledger *ledger)
{
	return (uint64_t)ledger->nr_free + (ledger->nr_entries - ledger->fresh);
}

/*
 * Makes sure that @nr entries are free, and LEDGER_KEPT beside them. Where the file cannot grow,
 * what ends something (@is_end) may take of those that are kept: otherwise nobody could give space
 * back, nor connect to do so, while somebody else has filled the file system.
 */
static int make_room(struct ledger *ledger, uint32_t nr, bool is_end)
{
	int r = 0;

	while (r == 0 && nr_left(ledger) < (uint64_t)nr + LEDGER_KEPT)
		r = grow(ledger);
	return is_end && nr_left(ledger) >= nr ? 0 : r;
}

int ledger_reserve(struct ledger *ledger, uint32_t nr)
{
	return make_room(ledger, nr, false);
}

/*
 * Takes a free entry off the list, or the first one that was never used. It cannot fail after a
 * make_room() that returned 0, which every caller makes first.
 */
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

/*
 * Appends the @len bytes at @src, in pieces of @kind, to the chain of the item at @head. *tail is
 * the last entry of the chain, *place the number of its pieces; both move on. Nobody reaches the
 * pieces before the caller stores the head's word.
 */
static void add_pieces(struct ledger *ledger, uint32_t head, uint32_t *tail, uint32_t *place,
		       unsigned kind, const void *src, uint32_t len)
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

/*
 * Makes the @nr entries of a chain free, from @index on. The caller has cleared the head's word
 * before: an entry of a live item would be handed out a second time.
 */
static void put_chain(struct ledger *ledger, uint32_t index, uint32_t nr)
{
	while (nr--) {
		uint32_t next = at(ledger, index)->next;

		put_entry(ledger, index);
		index = next;
	}
}

/* ---- writing ---- */

/*
 * Takes the only entry of an item that has no chain; @is_end as for make_room(). The item is there
 * when the caller has filled *head and stored its word.
 */
static int begin_item(struct entry **head, uint32_t *entry, struct ledger *ledger, bool is_end)
{
	int r = make_room(ledger, 1, is_end);

	if (r < 0)
		return r;
	*entry = take(ledger);
	ledger->nr_changes++;
	*head = at(ledger, *entry);
	return 0;
}

int ledger_add_holder(uint32_t *entry, struct ledger *ledger, const struct ledger_holder *holder)
{
	struct entry *head;
	int r = begin_item(&head, entry, ledger, true);

	if (r < 0)
		return r;
	head->holder.session = holder->session;
	head->holder.uid = holder->uid;
	head->holder.window = holder->window;
	store_word(head, make_head_word(LEDGER_HOLDER, 0, 0, 0));
	return 0;
}

int ledger_add_hold(uint32_t *entry, struct ledger *ledger, const struct ledger_hold *hold)
{
	struct entry *head;
	int r = begin_item(&head, entry, ledger, false);

	if (r < 0)
		return r;
	head->hold.session = hold->session;
	head->hold.id = hold->id;
	head->hold.slot = hold->slot;
	store_word(head, make_head_word(LEDGER_HOLD, 0,
					(hold->read_only ? FLAG_READ_ONLY : 0) |
						(hold->closed ? FLAG_CLOSED : 0) |
						(hold->lent ? FLAG_LENT : 0),
					0));
	return 0;
}

int ledger_add_window(uint32_t *entry, struct ledger *ledger, const struct ledger_window *window)
{
	struct entry *head;
	int r = begin_item(&head, entry, ledger, false);

	if (r < 0)
		return r;
	head->window.number = window->number;
	head->window.ino = window->ino;
	memcpy(head->window.secret, window->secret, sizeof(window->secret));
	head->window.dev = window->dev;
	head->window.uid = window->uid;
	head->window.nr_words = window->nr_words;
	store_word(head, make_head_word(LEDGER_WINDOW, 0, window->read_only ? FLAG_READ_ONLY : 0,
					0));
	return 0;
}

int ledger_add_deed(uint32_t *entry, struct ledger *ledger, const struct ledger_deed *deed)
{
	struct entry *head;
	int r = begin_item(&head, entry, ledger, deed->proof == PROOF_GONE);

	if (r < 0)
		return r;
	head->deed.session = deed->session;
	head->deed.key = deed->key;
	head->deed.id = deed->id;
	head->deed.slot = deed->slot;
	head->deed.version = deed->version;
	store_word(head, make_head_word(LEDGER_DEED, deed->proof, 0, 0));
	return 0;
}

/* Fills the part of a head that the file keeps for a range. */
static void fill_range(struct range *out, const struct ledger_range *range, uint32_t nr_extents,
		       uint8_t name_len)
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

int ledger_add_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range,
		     const struct extent *extents, uint32_t nr_extents, const char *name,
		     uint8_t name_len)
{
	uint32_t added = 0;
	int r;

	r = ledger_replace_range(&added, ledger, range, extents, nr_extents, name, name_len);
	if (r < 0)
		return r;
	*entry = added;
	return 0;
}

int ledger_replace_range(uint32_t *entry, struct ledger *ledger, const struct ledger_range *range,
			 const struct extent *extents, uint32_t nr_extents, const char *name,
			 uint8_t name_len)
{
	uint32_t index, tail, place = 0, old = *entry;
	unsigned flags = (range->is_run ? FLAG_RUN : 0) | (range->is_lease ? FLAG_LEASE : 0);
	struct entry *head;
	int r;

	assert(nr_extents && nr_extents <= LEDGER_MAX_EXTENTS);
	r = make_room(ledger, ledger_range_entries(nr_extents, name_len),
		      old || range->state == LEDGER_FREEING);
	if (r < 0)
		return r;
	index = tail = take(ledger);
	ledger->nr_changes++;
	head = at(ledger, index);
	fill_range(&head->range, range, nr_extents, name_len);
	head->replaces = old;
	add_pieces(ledger, index, &tail, &place, KIND_EXTENTS, extents,
		   (uint32_t)(nr_extents * sizeof(*extents)));
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

void ledger_introduce(struct ledger *ledger, uint32_t entry, const struct ledger_who *who)
{
	struct entry *head = head_at(ledger, entry, LEDGER_HOLDER);

	store_word(head, make_head_word(LEDGER_HOLDER, 0, 0, 0));
	head->holder.since_s = (uint32_t)(who->since_ns / UINT64_C(1000000000));
	head->holder.pid = who->pid;
	memcpy(head->holder.command, who->command, sizeof(head->holder.command));
	store_word(head, make_head_word(LEDGER_HOLDER, 0, FLAG_INTRODUCED, 0));
}

void ledger_set_state(struct ledger *ledger, uint32_t entry, enum ledger_state state)
{
	struct entry *head = head_at(ledger, entry, LEDGER_RANGE);

	ledger->nr_changes++;
	store_word(head, make_head_word(LEDGER_RANGE, state, flags_of(head->word),
					callers_of(head->word)));
}

void ledger_set_closed(struct ledger *ledger, uint32_t entry, bool closed)
{
	struct entry *head = head_at(ledger, entry, LEDGER_HOLD);
	unsigned flags = flags_of(head->word) & ~(unsigned)FLAG_CLOSED;

	ledger->nr_changes++;
	store_word(head, make_head_word(LEDGER_HOLD, 0, flags | (closed ? FLAG_CLOSED : 0), 0));
}

void ledger_set_lent(struct ledger *ledger, uint32_t entry, bool lent)
{
	struct entry *head = head_at(ledger, entry, LEDGER_HOLD);
	unsigned flags = flags_of(head->word) & ~(unsigned)FLAG_LENT;

	store_word(head, make_head_word(LEDGER_HOLD, 0, flags | (lent ? FLAG_LENT : 0), 0));
}

void ledger_set_window(struct ledger *ledger, uint32_t entry, uint64_t window)
{
	ledger->nr_changes++;
	__atomic_store_n(&head_at(ledger, entry, LEDGER_HOLDER)->holder.window, window,
			 __ATOMIC_RELEASE);
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
	ledger->nr_changes++;
	store_word(head, 0);
	put_chain(ledger, entry, nr);
}

void ledger_clear(struct ledger *ledger)
{
	struct ledger_item item;

	for (uint32_t cursor = 0; ledger_next(&item, ledger, &cursor);)
		ledger_remove(ledger, item.entry);
}

/* ---- the number of the arena's last change ---- */

/*
 * Stores *at whole, in the order of the program. Only the process may die, so neither a flush nor a
 * processor's fence is needed.
 */
static void store_number(uint64_t *at, uint64_t number)
{
	__atomic_store_n(at, number, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void ledger_stamp(uint64_t *from, uint64_t *to, const struct ledger *ledger)
{
	*from = ledger->header->from;
	*to = ledger->header->to;
}

void ledger_begin(struct ledger *ledger, uint64_t to)
{
	store_number(&ledger->header->to, to);
}

void ledger_end(struct ledger *ledger)
{
	store_number(&ledger->header->from, ledger->header->to);
}

uint64_t ledger_changes(const struct ledger *ledger)
{
	return ledger->nr_changes;
}
