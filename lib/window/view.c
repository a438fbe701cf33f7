/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view: reads a catalog without a lock. Every load is an acquire, so that no later load is done
 * before it: when the last look finds an entry's word (or `changes`) unchanged, everything loaded
 * before that look is of one version. On x86 an acquire is an ordinary load and costs nothing.
 */
#include <config.h>

#include "lib/window/view.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/error.h"

/* ---- loads ---- */

static inline uint64_t load64(const void *p)
{
	return le64toh(__atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE));
}

static inline uint32_t load32(const uint32_t *p)
{
	return le32toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline uint8_t load8(const uint8_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* ---- mapping ---- */

/*
 * Returns where an array of the file begins. NULL: it reaches past the end of the file, or is not
 * aligned; an access would then fault.
 */
static const void *array_at(const struct view *view, uint64_t off, uint64_t nr, size_t each)
{
	if (off % 8 || off > view->size || nr > (view->size - off) / each)
		return NULL;
	return (const char *)view->header + off;
}

/*
 * Returns how many heads fit before the next array. All of that room counts, not only the buckets
 * in use now, since the daemon adds buckets while this view is mapped.
 */
static uint64_t room_for_heads(const struct view *view, uint64_t heads, uint64_t entries,
			       uint64_t extras)
{
	uint64_t end = view->size;

	if (entries > heads && entries < end)
		end = entries;
	if (extras > heads && extras < end)
		end = extras;
	return heads < end ? (end - heads) / sizeof(uint32_t) : 0;
}

static bool find_arrays(struct view *view)
{
	const struct catalog_header *header = view->header;
	uint64_t heads = le64toh(header->heads_off), entries = le64toh(header->entries_off),
		 extras = le64toh(header->extras_off);

	if (le64toh(header->magic) != CATALOG_MAGIC || load32(&header->layout) != CATALOG_LAYOUT ||
	    le32toh(header->entry_bytes) != sizeof(struct catalog_entry))
		return false;
	view->nr_slots = le64toh(header->nr_slots);
	view->nr_extras = le64toh(header->nr_extras);
	view->nr_heads = room_for_heads(view, heads, entries, extras);
	view->seed = le64toh(header->seed);
	view->heads = array_at(view, heads, view->nr_heads, sizeof(*view->heads));
	view->entries = array_at(view, entries, view->nr_slots, sizeof(*view->entries));
	view->extras = array_at(view, extras, view->nr_extras, sizeof(*view->extras));
	return view->heads && view->entries && view->extras;
}

static int map_it(struct view *view, int fd, struct why *why)
{
	struct stat st;
	void *memory;

	if (fstat(fd, &st) < 0)
		return why_set(why, -errno, "the catalog cannot be looked at: %s",
			       error_text(-errno));
	if ((uint64_t)st.st_size < sizeof(struct catalog_header))
		return why_set(why, -EPROTO, "the catalog has %lld bytes and no header",
			       (long long)st.st_size);
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_map_why(why, -errno, (uint64_t)st.st_size);
	/*
	 * Huge pages save TLB misses when lookups hit random entries. A kernel that refuses costs
	 * speed only.
	 */
	(void)madvise(memory, (size_t)st.st_size, MADV_HUGEPAGE);
	view->header = memory;
	view->size = (size_t)st.st_size;
	view->dev = st.st_dev;
	view->ino = st.st_ino;
	return 0;
}

int view_new(struct view **out, int fd, struct why *why)
{
	struct view *view = calloc(1, sizeof(*view));
	int r;

	if (!view)
		return why_set(why, -ENOMEM, "%s", error_text(-ENOMEM));
	r = map_it(view, fd, why);
	if (r == 0 && !find_arrays(view))
		r = why_set(why, -EPROTO,
			    "the catalog has a layout that this library does not know (it knows %d)",
			    CATALOG_LAYOUT);
	if (r < 0) {
		view_free(view);
		return r;
	}
	*out = view;
	return 0;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	if (view->header)
		munmap((void *)(uintptr_t)view->header, view->size);
	free(view);
}

bool view_shows(const struct view *view, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == view->dev && st.st_ino == view->ino;
}

/* ---- one entry ---- */

static uint32_t slot_of(const struct view *view, const struct catalog_entry *entry)
{
	return (uint32_t)(entry - view->entries);
}

/*
 * Begins to read @entry. False: the daemon is changing it, or was killed in the middle of a change.
 *
 * The id is loaded before the word. A slot that is used again can get the very word that it had,
 * since versions begin anew with each id. If the word were loaded first, a reader could load the
 * word of the old allocation, then the id of the new one, then a mixture of both, and find word and
 * id unchanged at the end. As it is, the daemon stored the word that was read after everything that
 * belongs to the id.
 */
static bool begin_reading(struct sight *sight, const struct view *view,
			  const struct catalog_entry *entry)
{
	sight->slot = slot_of(view, entry);
	sight->id = load64(&entry->id);
	sight->word = load64(&entry->word);
	return sight->id != 0 && sight->word >> 32 == (uint64_t)sight->slot + 1;
}

static void read_rest(struct sight *sight, const struct catalog_entry *entry)
{
	sight->uid = load32(&entry->uid);
	sight->gid = load32(&entry->gid);
	sight->mode = load16(&entry->mode);
	sight->flags = load8(&entry->flags);
	sight->nr_extents = load32(&entry->nr_extents);
	sight->extra = load32(&entry->extra);
	sight->note = load32(&entry->note);
	sight->first.off = load64(&entry->off);
	sight->first.len = load64(&entry->len);
}

/*
 * Compares a name with @stored. The bytes behind a stored name are zero, so the last 8 bytes can be
 * compared as one word.
 */
static bool is_same_text(const char *stored, const char *name, size_t len)
{
	uint64_t word;

	while (len >= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		if (__atomic_load_n((const uint64_t *)(const void *)stored, __ATOMIC_ACQUIRE) != word)
			return false;
		stored += sizeof(word);
		name += sizeof(word);
		len -= sizeof(word);
	}
	word = 0;
	memcpy(&word, name, len);
	return len == 0 ||
	       __atomic_load_n((const uint64_t *)(const void *)stored, __ATOMIC_ACQUIRE) == word;
}

static bool has_name(const struct view *view, const struct catalog_entry *entry, const char *name,
		     size_t len)
{
	uint32_t extra;

	if (len <= CATALOG_INLINE_NAME)
		return is_same_text(entry->name, name, len);
	extra = load32(&entry->extra);
	return extra > 0 && extra <= view->nr_extras &&
	       is_same_text(view->extras[extra - 1].name, name, len);
}

/* ---- finding ---- */

static bool is_in_use(const struct view *view)
{
	return load32(&view->header->layout) == CATALOG_LAYOUT;
}

/*
 * Is it certain that a search which found nothing, and began when `changes` was @changes, missed
 * nothing? The daemon keeps `changes` odd while it builds the catalog, and while something
 * published is not in the catalog.
 */
static bool is_complete(const struct view *view, uint64_t changes)
{
	return changes % 2 == 0 && load64(&view->header->changes) == changes &&
	       load64(&view->header->nr_buckets) != 0 && is_in_use(view);
}

uint32_t view_tag(const struct view *view, const char *name, size_t len)
{
	return (uint32_t)XXH3_64bits_withSeed(name, len, view->seed);
}

/*
 * Returns the bucket of @tag. NULL: the catalog has no buckets now, so that no name can be found.
 */
static const uint32_t *head_of(const struct view *view, uint32_t tag)
{
	uint64_t nr_buckets = load64(&view->header->nr_buckets);

	if (nr_buckets == 0 || nr_buckets > view->nr_heads)
		return NULL;
	return &view->heads[catalog_bucket(tag, nr_buckets)];
}

void view_fetch_head(const struct view *view, uint32_t tag)
{
	__builtin_prefetch(head_of(view, tag));
}

void view_fetch_entry(const struct view *view, uint32_t tag)
{
	const uint32_t *head = head_of(view, tag);
	uint32_t at = head ? load32(head) : 0;

	if (at == 0 || at > view->nr_slots)
		return;
	__builtin_prefetch(&view->entries[at - 1]);
	__builtin_prefetch(view->entries[at - 1].name);
}

enum sighting view_find_name(struct sight *sight, const struct view *view, uint32_t tag,
			     const char *name, size_t len)
{
	uint64_t changes = load64(&view->header->changes);
	const uint32_t *head = head_of(view, tag);
	uint32_t nr = 0, at;

	if (!head || !is_in_use(view))
		return VIEW_UNKNOWN;
	at = load32(head);
	for (; at != 0; nr++) {
		const struct catalog_entry *entry;

		if (nr == CATALOG_CHAIN || at > view->nr_slots)
			return VIEW_UNKNOWN;
		entry = &view->entries[at - 1];
		/*
		 * The name is in the next cache line of the entry: fetching both at once saves a
		 * second wait.
		 */
		__builtin_prefetch(entry->name);
		if (load32(&entry->tag) == tag && load8(&entry->name_len) == len) {
			/*
			 * Word and id are loaded before the name, since they vouch only for what is
			 * loaded after them.
			 */
			if (!begin_reading(sight, view, entry))
				return VIEW_UNKNOWN;
			if (has_name(view, entry, name, len)) {
				read_rest(sight, entry);
				return VIEW_FOUND;
			}
		}
		at = load32(&entry->next);
	}
	return nr < CATALOG_CHAIN && is_complete(view, changes) ? VIEW_ABSENT : VIEW_UNKNOWN;
}

enum sighting view_find_id(struct sight *sight, const struct view *view, uint32_t slot, uint64_t id)
{
	uint64_t changes = load64(&view->header->changes);
	const struct catalog_entry *entry;

	if (slot >= view->nr_slots || !is_in_use(view))
		return VIEW_UNKNOWN;
	/*
	 * The daemon found no memory for this entry, so the catalog cannot say whether the slot is
	 * in use.
	 */
	if (slot >= load64(&view->header->nr_backed))
		return VIEW_UNKNOWN;
	entry = &view->entries[slot];
	if (begin_reading(sight, view, entry)) {
		/* Ids are never used twice, so the allocation with this id is gone. */
		if (sight->id != id)
			return view_is_same(view, sight) ? VIEW_ABSENT : VIEW_UNKNOWN;
		read_rest(sight, entry);
		return VIEW_FOUND;
	}
	return sight->word == 0 && sight->id == 0 && is_complete(view, changes) ? VIEW_ABSENT
										: VIEW_UNKNOWN;
}

bool view_more_extents(struct wire_extent out[CATALOG_EXTRA_EXTENTS], const struct view *view,
		       const struct sight *sight)
{
	const struct catalog_extra *extra;
	uint32_t nr = sight->nr_extents - 1;

	if (nr > CATALOG_EXTRA_EXTENTS || sight->extra == 0 || sight->extra > view->nr_extras)
		return false;
	extra = &view->extras[sight->extra - 1];
	for (uint32_t i = 0; i < nr; i++) {
		out[i].off = load64(&extra->extents[i].off);
		out[i].len = load64(&extra->extents[i].len);
	}
	return true;
}

bool view_attributes(uint8_t out[CATALOG_NOTE], uint32_t *len, const struct view *view,
		     const struct sight *sight)
{
	const struct catalog_note *note;
	uint64_t nr;

	*len = 0;
	if (sight->note == 0)
		return true;
	if (sight->note > view->nr_extras)
		return false;
	note = (const void *)&view->extras[sight->note - 1];
	nr = load64(&note->len);
	if (nr == 0 || nr > CATALOG_NOTE)
		return false;
	for (size_t at = 0; at < nr; at += sizeof(uint64_t)) {
		uint64_t word = __atomic_load_n(&note->words[at / 8], __ATOMIC_ACQUIRE);

		memcpy(out + at, &word, sizeof(word));
	}
	*len = (uint32_t)nr;
	return true;
}

bool view_is_same(const struct view *view, const struct sight *sight)
{
	const struct catalog_entry *entry = &view->entries[sight->slot];

	return load64(&entry->word) == sight->word && load64(&entry->id) == sight->id &&
	       is_in_use(view);
}
