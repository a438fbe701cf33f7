/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: enters and takes away, keeps chains and extras. It does not know what a handle, a pin or
 * a right is; who gets the file's descriptor is decided by its callers.
 */
#include <config.h>

#include "daemon/books/catalog_internal.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- stores that readers see ---- */
typedef uint64_t __attribute__((may_alias)) text_word;

static void store_16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, htole16(value), __ATOMIC_RELEASE);
}

static void store_8(uint8_t *to, uint8_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

/* Stores @text and zeroes up to @room, which is a multiple of 8. */
static void store_text(char *to, size_t room, const char *text, size_t len)
{
	for (size_t at = 0; at < room; at += sizeof(text_word)) {
		text_word part = 0;

		if (at < len)
			memcpy(&part, text + at, len - at < sizeof(part) ? len - at : sizeof(part));
		__atomic_store_n((text_word *)(void *)(to + at), part, __ATOMIC_RELEASE);
	}
}

/* ---- which slots were put ---- */

static bool has_bit(const uint64_t *bits, uint32_t slot)
{
	return bits[slot / 64] >> slot % 64 & 1;
}

/* Sets the bit or clears it, and counts in *nr how many are set. */
static void set_bit(uint64_t *bits, uint32_t slot, bool value, uint64_t *nr)
{
	uint64_t bit = UINT64_C(1) << slot % 64;

	if (has_bit(bits, slot) == value)
		return;
	bits[slot / 64] ^= bit;
	*nr = value ? *nr + 1 : *nr - 1;
}

static bool is_put(const struct catalog *catalog, uint32_t slot)
{
	return has_bit(catalog->is_put, slot);
}

static void set_put(struct catalog *catalog, uint32_t slot, bool value)
{
	set_bit(catalog->is_put, slot, value, &catalog->nr_entries);
}

static void set_missing(struct catalog *catalog, uint32_t slot, bool value)
{
	set_bit(catalog->is_missing, slot, value, &catalog->nr_missing);
}

/*
 * A change of chains, or of an entry that is in one, begins: a reader that does not find a name
 * from here to the end of the change does not know whether it is there.
 */
static void begin_change(struct catalog *catalog)
{
	struct catalog_header *header = header_of(catalog);
	uint64_t changes = le64toh(header->changes);

	if (changes % 2 == 0)
		store_64(&header->changes, changes + 1);
}

/*
 * Ends a change: readers may again take a name that they do not find for absent, unless an entry is
 * missing in the chains.
 */
static void end_change(struct catalog *catalog)
{
	struct catalog_header *header = header_of(catalog);

	if (!catalog->is_ready)
		return;
	store_64(&header->nr_entries, catalog->nr_linked);
	if (!catalog->nr_missing)
		store_64(&header->changes, le64toh(header->changes) + 1);
}

/* ---- memory, before the first store to it ---- */

static uint64_t offset_of(const struct catalog *catalog, const void *at)
{
	return (uint64_t)((const char *)at - catalog->first->bytes);
}

/*
 * Gives all entries up to that of @slot memory. Slots are taken lowest first, so there is one block
 * to be asked for at most, nearly always.
 */
static int back_entry(struct catalog *catalog, uint32_t slot)
{
	uint64_t end = (slot / BLOCK_ENTRIES + 1) * BLOCK_ENTRIES, from = catalog->nr_backed;
	int r;

	if (slot < from)
		return 0;
	from -= from % BLOCK_ENTRIES;
	r = runfile_allocate(catalog->fd, offset_of(catalog, catalog->entries + from),
			     (end - from) * sizeof(*catalog->entries));
	if (r < 0)
		return r;
	catalog->nr_backed = end < catalog->nr_slots ? end : catalog->nr_slots;
	store_64(&header_of(catalog)->nr_backed, catalog->nr_backed);
	return 0;
}

/* Asks for memory for one more bucket. Without it chains grow longer, and nothing else happens. */
static int back_head(struct catalog *catalog)
{
	if (catalog->nr_buckets % BLOCK_HEADS)
		return 0;
	return runfile_allocate(catalog->fd,
				offset_of(catalog, catalog->heads + catalog->nr_buckets), BLOCK);
}

/* ---- chains ---- */

static uint32_t *head_of(const struct catalog *catalog, uint32_t tag)
{
	return &catalog->heads[catalog_bucket(tag, catalog->nr_buckets)];
}

static struct catalog_entry *entry_at(const struct catalog *catalog, const uint32_t *link)
{
	return *link ? &catalog->entries[le32toh(*link) - 1] : NULL;
}

static void push(uint32_t *head, struct catalog_entry *entry, uint32_t slot)
{
	store_32(&entry->next, le32toh(*head));
	store_32(head, slot + 1);
}

/*
 * Makes one more bucket, and moves what belongs there from the one bucket that has it. So growing
 * costs a part of each insertion, and there is no stop to rehash all.
 */
static void split_bucket(struct catalog *catalog)
{
	uint64_t fresh = catalog->nr_buckets;
	uint32_t *from = &catalog->heads[catalog_bucket((uint32_t)fresh, fresh)];
	uint32_t *to = &catalog->heads[fresh];
	struct catalog_entry *entry;

	if (fresh == catalog->nr_heads || back_head(catalog) < 0)
		return;
	store_32(to, 0);
	while ((entry = entry_at(catalog, from))) {
		uint32_t slot = le32toh(*from) - 1;

		if (catalog_bucket(le32toh(entry->tag), fresh + 1) != fresh) {
			from = &entry->next;
			continue;
		}
		store_32(from, le32toh(entry->next));
		push(to, entry, slot);
	}
	catalog->nr_buckets++;
	if (catalog->is_ready)
		store_64(&header_of(catalog)->nr_buckets, catalog->nr_buckets);
}

/* Puts the entry of @slot into its chain, unless it has no name. In a full chain it is missing. */
static void link_entry(struct catalog *catalog, uint32_t slot)
{
	struct catalog_entry *entry = &catalog->entries[slot];
	uint32_t *head = head_of(catalog, le32toh(entry->tag)), *link = head;

	if (!entry->name_len)
		return;
	for (uint32_t n = 0; *link; link = &entry_at(catalog, link)->next)
		if (++n == CATALOG_CHAIN) {
			set_missing(catalog, slot, true);
			return;
		}
	push(head, entry, slot);
	if (++catalog->nr_linked > catalog->nr_buckets)
		split_bucket(catalog);
}

/* Takes the entry of @slot out of its chain, if it is in one. */
static void unlink_entry(struct catalog *catalog, uint32_t slot)
{
	struct catalog_entry *entry = &catalog->entries[slot];
	uint32_t *link = head_of(catalog, le32toh(entry->tag));

	for (; *link; link = &entry_at(catalog, link)->next)
		if (le32toh(*link) == slot + 1) {
			store_32(link, le32toh(entry->next));
			catalog->nr_linked--;
			return;
		}
}

/* ---- entries ---- */

static bool needs_extra(const struct catalog_item *item)
{
	return catalog_needs_extra(item->name_len, item->nr_extents);
}

static uint32_t nr_further(const struct catalog_item *item)
{
	return item->nr_extents <= 1 + CATALOG_EXTRA_EXTENTS ? item->nr_extents - 1 : 0;
}

static uint8_t flags_of(const struct catalog_item *item)
{
	return (uint8_t)((item->is_poisoned ? CATALOG_POISONED : 0) |
			 (item->is_evictable ? CATALOG_EVICTABLE : 0));
}

static uint32_t tag_of(const struct catalog *catalog, const struct catalog_item *item)
{
	uint64_t seed = le64toh(header_of(catalog)->seed);

	return item->name_len ? (uint32_t)XXH3_64bits_withSeed(item->name, item->name_len, seed)
			      : 0;
}

/* Does the entry's extra, or the entry itself, have the name and the further extents of @item? */
static bool has_same_texts(const struct catalog *catalog, const struct catalog_entry *entry,
			   const struct catalog_item *item)
{
	uint32_t nr = le32toh(entry->extra);
	const struct catalog_extra *extra = nr ? &catalog->extras[nr - 1] : NULL;
	const char *name = item->name_len > CATALOG_INLINE_NAME ? extra->name : entry->name;

	if (item->name_len && memcmp(name, item->name, item->name_len) != 0)
		return false;
	for (uint32_t i = 0; i < nr_further(item); i++)
		if (le64toh(extra->extents[i].off) != item->extents[1 + i].off ||
		    le64toh(extra->extents[i].len) != item->extents[1 + i].len)
			return false;
	return true;
}

/* Does the entry of the slot say what @item says, and does its word say that it is there? */
static bool is_same(const struct catalog *catalog, const struct catalog_item *item, uint32_t tag)
{
	const struct catalog_entry *entry = &catalog->entries[item->slot];

	return item->slot < catalog->nr_backed &&
	       word_of(entry) == pins_word(item->slot, item->version) &&
	       le64toh(entry->id) == item->id && le32toh(entry->tag) == tag &&
	       le32toh(entry->uid) == item->uid && le32toh(entry->gid) == item->gid &&
	       le16toh(entry->mode) == item->mode && entry->name_len == item->name_len &&
	       entry->flags == flags_of(item) && le32toh(entry->nr_extents) == item->nr_extents &&
	       le64toh(entry->off) == item->extents[0].off &&
	       le64toh(entry->len) == item->extents[0].len &&
	       !entry->extra == !needs_extra(item) && has_same_texts(catalog, entry, item) &&
	       catalog_is_same_note(catalog, le32toh(entry->note), item);
}

/*
 * The word of the entry goes first: readers believe the rest of an entry only while its word is
 * there.
 */
void catalog_hide(struct catalog *catalog, uint32_t slot)
{
	struct catalog_entry *entry = &catalog->entries[slot];

	store_64(&entry->word, 0);
	store_64(&entry->id, 0);
	if (is_put(catalog, slot) && entry->name_len)
		unlink_entry(catalog, slot);
	set_put(catalog, slot, false);
}

/* The extras of an entry, each by its number + 1; 0: it has none. */
struct extras {
	uint32_t extra, note;
};

static void write_extra(struct catalog *catalog, const struct catalog_item *item, uint32_t extra)
{
	struct catalog_extra *cell = &catalog->extras[extra - 1];

	if (item->name_len > CATALOG_INLINE_NAME)
		store_text(cell->name, sizeof(cell->name), item->name, item->name_len);
	for (uint32_t i = 0; i < nr_further(item); i++) {
		store_64(&cell->extents[i].off, item->extents[1 + i].off);
		store_64(&cell->extents[i].len, item->extents[1 + i].len);
	}
}

/* Writes an entry that is hidden, its word last. */
static void write_entry(struct catalog *catalog, const struct catalog_item *item, uint32_t tag,
			const struct extras *extras)
{
	struct catalog_entry *entry = &catalog->entries[item->slot];
	bool is_long = item->name_len > CATALOG_INLINE_NAME;

	store_64(&entry->id, item->id);
	store_32(&entry->tag, tag);
	store_32(&entry->uid, item->uid);
	store_32(&entry->gid, item->gid);
	store_16(&entry->mode, (uint16_t)item->mode);
	store_8(&entry->name_len, item->name_len);
	store_8(&entry->flags, flags_of(item));
	store_32(&entry->nr_extents, item->nr_extents);
	store_64(&entry->off, item->extents[0].off);
	store_64(&entry->len, item->extents[0].len);
	store_32(&entry->extra, extras->extra);
	store_32(&entry->note, extras->note);
	store_text(entry->name, sizeof(entry->name), item->name, is_long ? 0 : item->name_len);
	if (extras->extra)
		write_extra(catalog, item, extras->extra);
	if (extras->note)
		catalog_write_note(catalog, extras->note, item);
	store_64(&entry->word, pins_word(item->slot, item->version));
}

static bool has_entry(const struct catalog *catalog, uint32_t slot)
{
	return slot < catalog->nr_backed && catalog->entries[slot].word;
}

static struct extras extras_of(const struct catalog *catalog, uint32_t slot)
{
	const struct catalog_entry *entry = &catalog->entries[slot];

	if (!has_entry(catalog, slot))
		return (struct extras){ 0, 0 };
	return (struct extras){ le32toh(entry->extra), le32toh(entry->note) };
}

static void give_extras(struct catalog *catalog, const struct extras *extras)
{
	catalog_give_extra(catalog, extras->extra);
	catalog_give_extra(catalog, extras->note);
}

static void drop_entry(struct catalog *catalog, uint32_t slot)
{
	struct extras extras = extras_of(catalog, slot);

	if (!has_entry(catalog, slot))
		return;
	catalog_hide(catalog, slot);
	give_extras(catalog, &extras);
}

/* Gets an extra into *extra if @needs one and has none. */
static int need_extra(uint32_t *extra, struct catalog *catalog, bool needs)
{
	return needs && !*extra ? catalog_take_extra(extra, catalog) : 0;
}

/*
 * Gets the memory that @item needs: its block, and the extras that *extras has not yet. On failure
 * what was taken is given back, and the entry is as it was.
 */
static int make_room(struct catalog *catalog, const struct catalog_item *item,
		     struct extras *extras)
{
	struct extras had = *extras;
	int r = back_entry(catalog, item->slot);

	if (r == 0)
		r = need_extra(&extras->extra, catalog, needs_extra(item));
	if (r == 0)
		r = need_extra(&extras->note, catalog, item->attributes_len > 0);
	if (r < 0 && !had.extra) {
		catalog_give_extra(catalog, extras->extra);
		extras->extra = 0;
	}
	return r;
}

/* Enters @item in its slot. @extras: those that the entry had, or that make_room() took. */
static void replace(struct catalog *catalog, const struct catalog_item *item, uint32_t tag,
		    struct extras extras)
{
	catalog_hide(catalog, item->slot);
	if (!needs_extra(item)) {
		catalog_give_extra(catalog, extras.extra);
		extras.extra = 0;
	}
	if (!item->attributes_len) {
		catalog_give_extra(catalog, extras.note);
		extras.note = 0;
	}
	write_entry(catalog, item, tag, &extras);
}

int catalog_put(struct catalog *catalog, const struct catalog_item *item)
{
	struct extras extras = extras_of(catalog, item->slot);
	uint32_t slot = item->slot, tag = tag_of(catalog, item);
	bool stays = is_same(catalog, item, tag);
	int r;

	assert(slot < catalog->nr_slots && item->id && item->nr_extents &&
	       item->attributes_len <= CATALOG_NOTE);
	if (stays && is_put(catalog, slot))
		return 0;
	begin_change(catalog);
	set_missing(catalog, slot, false);
	r = stays ? 0 : make_room(catalog, item, &extras);
	if (r < 0) {
		drop_entry(catalog, slot);
		set_missing(catalog, slot, item->name_len > 0);
	} else {
		if (!stays)
			replace(catalog, item, tag, extras);
		set_put(catalog, slot, true);
		link_entry(catalog, slot);
	}
	end_change(catalog);
	return r;
}

void catalog_drop(struct catalog *catalog, uint32_t slot)
{
	assert(slot < catalog->nr_slots);
	if (!has_bit(catalog->is_missing, slot) && !has_entry(catalog, slot))
		return;
	begin_change(catalog);
	set_missing(catalog, slot, false);
	drop_entry(catalog, slot);
	end_change(catalog);
}

void catalog_withdraw(struct catalog *catalog, uint32_t slot)
{
	assert(slot < catalog->nr_slots);
	if (!has_entry(catalog, slot))
		return;
	begin_change(catalog);
	drop_entry(catalog, slot);
	set_missing(catalog, slot, true);
	end_change(catalog);
}

void catalog_ready(struct catalog *catalog)
{
	struct catalog_header *header = header_of(catalog);

	if (catalog->is_ready)
		return;
	for (uint64_t slot = 0; slot < catalog->nr_backed; slot++)
		if (!is_put(catalog, (uint32_t)slot))
			drop_entry(catalog, (uint32_t)slot);
	store_64(&header->nr_buckets, catalog->nr_buckets);
	catalog->is_ready = true;
	end_change(catalog);
}

/* ---- what it says of itself ---- */

int catalog_fd(const struct catalog *catalog)
{
	return catalog->client_fd;
}

uint64_t catalog_bytes(const struct catalog *catalog)
{
	return catalog->bytes;
}

uint64_t catalog_nr_entries(const struct catalog *catalog)
{
	return catalog->nr_entries;
}

uint64_t catalog_nr_named(const struct catalog *catalog)
{
	return catalog->nr_linked;
}

uint64_t catalog_memory(const struct catalog *catalog)
{
	struct stat st;

	return fstat(catalog->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}
