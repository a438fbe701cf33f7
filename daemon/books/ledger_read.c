/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger_read: reads the items of the ledger's mapped file, each into the struct that its kind has
 * in ledger.h. It finds whole items only: ledger_open.c has finished or removed the others.
 */
#include <config.h>

#include <string.h>

#include "daemon/books/ledger.h"
#include "daemon/books/ledger_internal.h"

/*
 * Reads @len bytes into @dst from the chain, from the piece at @index on. Returns the index of the
 * piece behind those that were read.
 */
static uint32_t read_pieces(const struct ledger *ledger, uint32_t index, void *dst, uint32_t len)
{
	for (uint32_t done = 0; done < len; done += LEDGER_PIECE) {
		memcpy((char *)dst + done, at(ledger, index)->piece, rest_of(len, done));
		index = at(ledger, index)->next;
	}
	return index;
}

/*
 * Reads who connected. Without FLAG_INTRODUCED the bytes are what an earlier item left in the
 * entry, and mean nothing.
 */
static struct ledger_who get_who(const struct entry *entry)
{
	struct ledger_who who = { 0 };

	if (!(flags_of(entry->word) & FLAG_INTRODUCED))
		return who;
	who.since_ns = entry->holder.since_s * UINT64_C(1000000000);
	who.pid = entry->holder.pid;
	memcpy(who.command, entry->holder.command, sizeof(who.command) - 1);
	return who;
}

static struct ledger_hold get_hold(const struct entry *entry)
{
	return (struct ledger_hold){
		.session = entry->hold.session,
		.id = entry->hold.id,
		.slot = entry->hold.slot,
		.read_only = flags_of(entry->word) & FLAG_READ_ONLY,
		.closed = flags_of(entry->word) & FLAG_CLOSED,
		.lent = flags_of(entry->word) & FLAG_LENT,
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

/* Reads a deed. Its word has the proof in the byte in which the word of a range has its state. */
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

static struct ledger_window get_window(const struct entry *entry)
{
	struct ledger_window window = {
		.number = entry->window.number,
		.ino = entry->window.ino,
		.dev = entry->window.dev,
		.uid = entry->window.uid,
		.nr_words = entry->window.nr_words,
		.read_only = flags_of(entry->word) & FLAG_READ_ONLY,
	};

	memcpy(window.secret, entry->window.secret, sizeof(window.secret));
	return window;
}

/*
 * Fills *item from the item at @index. A range's extents and name are copied into the ledger's own
 * buffers, which the next call overwrites.
 */
static void get_item(struct ledger_item *item, struct ledger *ledger, uint32_t index)
{
	const struct entry *entry = at(ledger, index);

	*item = (struct ledger_item){ .kind = kind_of(entry->word), .entry = index };
	if (item->kind == LEDGER_HOLDER) {
		item->holder = (struct ledger_holder){
			.session = entry->holder.session,
			.uid = entry->holder.uid,
			.window = entry->holder.window,
		};
		item->who = get_who(entry);
	} else if (item->kind == LEDGER_HOLD) {
		item->hold = get_hold(entry);
	} else if (item->kind == LEDGER_DEED) {
		item->deed = get_deed(entry);
	} else if (item->kind == LEDGER_WINDOW) {
		item->window = get_window(entry);
	} else {
		index = read_pieces(ledger, entry->next, ledger->extents,
				    entry->range.nr_extents * sizeof(struct extent));
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

struct ledger_deed ledger_deed(const struct ledger *ledger, uint32_t entry)
{
	return get_deed(head_at(ledger, entry, LEDGER_DEED));
}
