/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger_open: opens the ledger's file. It finds out whose file it is and of which boot, and which
 * of its items are whole. What a killed daemon left half done is finished or removed here, so that
 * ledger.c finds whole items only. An *entry* is 64 bytes of the file; an *item* is a head entry
 * and, for a range, a chain of further entries, its *pieces*.
 */
#include <config.h>

#include "daemon/books/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "daemon/books/ledger_internal.h"
#include "daemon/books/runfile.h"

/* ---- loading: which entries belong to a whole item? @marks has a bit an entry: it does ---- */

static bool is_marked(const uint8_t *marks, uint32_t index)
{
	return marks[index / 8] >> index % 8 & 1;
}

static unsigned piece_kind(const struct range *range, uint32_t place)
{
	return place < nr_extent_pieces(range) ? KIND_EXTENTS : KIND_NAME;
}

/*
 * Is the item at @index whole: does it have all of its pieces, in their places, and does no other
 * item have one of them? Nothing in the file is trusted, since somebody else may have written to
 * it.
 */
static bool is_whole(const struct ledger *ledger, const uint8_t *marks, uint32_t index)
{
	const struct entry *head = at(ledger, index);
	const struct range *range = &head->range;
	uint32_t nr, next = head->next;

	if (kind_of(head->word) != LEDGER_RANGE)
		return !is_marked(marks, index);
	if (!range->nr_extents || range->nr_extents > LEDGER_MAX_EXTENTS || is_marked(marks, index))
		return false;
	nr = nr_entries_of(head) - 1;
	for (uint32_t place = 0; place < nr; place++) {
		const struct entry *piece = at(ledger, next);

		if (next < LEDGER_FIRST || next >= ledger->nr_entries || is_marked(marks, next) ||
		    piece->head != index ||
		    piece->word != make_word(piece_kind(range, place), place))
			return false;
		next = piece->next;
	}
	return true;
}

/* Sets or clears the marks of all entries of the item at @index, which is whole. */
static void mark(const struct ledger *ledger, uint8_t *marks, uint32_t index, bool on)
{
	uint32_t nr = nr_entries_of(at(ledger, index));

	while (nr--) {
		if (on)
			marks[index / 8] |= (uint8_t)(1 << index % 8);
		else
			marks[index / 8] &= (uint8_t)~(1 << index % 8);
		index = at(ledger, index)->next;
	}
}

/* Marks every whole item, and removes every other one. */
static void mark_whole_items(struct ledger *ledger, uint8_t *marks)
{
	for (uint32_t i = LEDGER_FIRST; i < ledger->nr_entries; i++) {
		if (!is_head(at(ledger, i)))
			continue;
		if (is_whole(ledger, marks, i)) {
			mark(ledger, marks, i, true);
		} else {
			store_word(at(ledger, i), 0);
			ledger->nr_dropped++;
		}
	}
}

/*
 * Is the entry at @old an older version of the range at @index? If it is not, then no daemon wrote
 * that the one replaces the other.
 */
static bool is_older(const struct ledger *ledger, uint32_t old, uint32_t index)
{
	const struct entry *a = at(ledger, old), *b = at(ledger, index);

	return old >= LEDGER_FIRST && old < ledger->nr_entries && old != index &&
	       kind_of(a->word) == LEDGER_RANGE && a->range.id == b->range.id;
}

/* Finishes each ledger_replace_range() in the middle of which a daemon was killed. */
static void settle_replacements(struct ledger *ledger, uint8_t *marks)
{
	for (uint32_t i = LEDGER_FIRST; i < ledger->nr_entries; i++) {
		struct entry *head = at(ledger, i);
		uint32_t old = head->replaces;

		if (kind_of(head->word) != LEDGER_RANGE || !old)
			continue;
		if (is_older(ledger, old, i)) {
			mark(ledger, marks, old, false);
			settle_replacement(ledger, head);
		} else {
			head->replaces = 0;
		}
	}
}

/*
 * Links the entries that no item has into the list of free ones, lowest first, so that the file's
 * end becomes free and shrink() can cut it off.
 */
static void find_free(struct ledger *ledger, const uint8_t *marks)
{
	ledger->fresh = ledger->nr_entries;
	while (ledger->fresh > LEDGER_FIRST && !is_marked(marks, ledger->fresh - 1))
		ledger->fresh--;
	for (uint32_t i = ledger->fresh; i > LEDGER_FIRST; i--)
		if (!is_marked(marks, i - 1))
			put_entry(ledger, i - 1);
}

/*
 * Cuts off whole chunks that nobody uses, so that the memory of one busy day comes back at the next
 * start. If that fails, the file stays as long as it is.
 */
static void shrink(struct ledger *ledger)
{
	uint64_t used = ((uint64_t)ledger->fresh + LEDGER_KEPT) * sizeof(struct entry),
		 size = (used + LEDGER_CHUNK - 1) / LEDGER_CHUNK * LEDGER_CHUNK;

	if (size < (uint64_t)ledger->nr_entries * sizeof(struct entry) &&
	    ftruncate(ledger->fd, (off_t)size) == 0)
		ledger->nr_entries = (uint32_t)(size / sizeof(struct entry));
}

/*
 * Finds the items. Its order counts: a replacement is finished only between whole items, and
 * entries are free only when no replacement needs them. -ENOMEM.
 */
static int load(struct ledger *ledger)
{
	uint8_t *marks = calloc(ledger->nr_entries / 8 + 1, 1);

	if (!marks)
		return -ENOMEM;
	mark_whole_items(ledger, marks);
	settle_replacements(ledger, marks);
	find_free(ledger, marks);
	shrink(ledger);
	free(marks);
	return 0;
}

/* ---- opening ---- */

/*
 * Says what to do with a file that has this header. 1: use it as it is; 0: make it anew; -errno:
 * leave it alone, and *why says why.
 */
static int check_header(const struct header *header, const uint8_t uuid[16], const char *boot_id,
			struct why *why)
{
	if (header->magic == 0)
		return 0;       /* new, or its daemon was killed while making it */
	if (memcmp(&header->magic, LEDGER_MAGIC, sizeof(header->magic)) != 0)
		return why_set(why, -EUCLEAN,
			       "the ledger is none: something else is in the file; see what put it "
			       "there, then remove it");
	if (memcmp(header->boot_id, boot_id, LEDGER_BOOT_ID) != 0)
		return 0;
	if (header->version < LEDGER_OLDEST || header->version > LEDGER_VERSION ||
	    header->entry_size != sizeof(struct entry))
		return why_set(why, -EPROTONOSUPPORT,
			       "the ledger has version %u, this daemon knows %d to %d; start the "
			       "daemon that wrote it, "
			       "or end all clients of the arena, then remove the file or reboot",
			       header->version, LEDGER_OLDEST, LEDGER_VERSION);
	if (memcmp(header->uuid, uuid, sizeof(header->uuid)) != 0)
		return why_set(why, -EUCLEAN,
			       "the ledger belongs to another arena; see what moved it there, then "
			       "remove it");
	return 1;
}

/*
 * Gives the header and the first entries memory, so that to store to them is no SIGBUS. *size is
 * the file's.
 */
static int allocate_first(struct ledger *ledger, uint64_t *size)
{
	int r;

	if (*size >= LEDGER_CHUNK)
		return 0;
	r = runfile_allocate(ledger->fd, 0, LEDGER_CHUNK);
	if (r == 0)
		*size = LEDGER_CHUNK;
	return r;
}

/*
 * Makes an empty ledger. It cuts the file to nothing first and stores the magic last: a daemon that
 * is killed in between leaves a file without a magic, which the next one makes anew.
 */
static int make_anew(struct ledger *ledger, uint64_t *size, const uint8_t uuid[16],
		     const char *boot_id)
{
	struct header *header = ledger->header;
	uint64_t word;
	int r;

	if (ftruncate(ledger->fd, 0) < 0)
		return -errno;
	*size = 0;
	r = allocate_first(ledger, size);
	if (r < 0)
		return r;
	header->version = LEDGER_VERSION;
	header->entry_size = sizeof(struct entry);
	memcpy(header->boot_id, boot_id, LEDGER_BOOT_ID);
	memcpy(header->uuid, uuid, sizeof(header->uuid));
	memcpy(&word, LEDGER_MAGIC, sizeof(word));
	__atomic_store_n(&header->magic, word, __ATOMIC_RELEASE);
	return 0;
}

static int map_file(struct ledger *ledger, struct why *why)
{
	/*
	 * The mapping is longer than the file, so that growing needs no other one. Addresses beyond
	 * the end have no memory and are not used.
	 */
	void *map = mmap(NULL, LEDGER_MAX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0);

	if (map == MAP_FAILED)
		return why_set(why, -errno, "mapping the ledger: %s", strerror(errno));
	ledger->entries = map;
	return 0;
}

/*
 * Says who has the file locked: another arena of the same UUID. The two would write over each
 * other's ledger and plane.
 */
static int refuse_twin(const char *dir, const uint8_t uuid[16], struct why *why)
{
	char text[UUID_STR_LEN];

	uuid_unparse_lower(uuid, text);
	return why_set(why, -EBUSY,
		       "an arena of the same UUID (%s) is being served with the runtime directory "
		       "%s: this is a copy of it, or "
		       "the same device by another path; leave one of them out, or give the copy a "
		       "UUID of its own: `pmemarenactl reidentify`",
		       text, dir);
}

/*
 * Sets 'lent' on all holds of a ledger whose version did not record it, since their sessions go on.
 * To take a lent hold for one that is not would give space to somebody else that is still mapped. A
 * daemon that is killed here leaves the old version in the header, and the next one does it again.
 */
static void lend_all(struct ledger *ledger)
{
	for (uint32_t i = LEDGER_FIRST; i < ledger->nr_entries; i++)
		if (kind_of(at(ledger, i)->word) == LEDGER_HOLD)
			store_word(at(ledger, i), with_flag(at(ledger, i)->word, FLAG_LENT));
}

/*
 * Says "no window" in all holders of a ledger whose version did not have them: there the bytes mean
 * nothing. A killed daemon leaves the old version in the header here too.
 */
static void forget_windows(struct ledger *ledger)
{
	for (uint32_t i = LEDGER_FIRST; i < ledger->nr_entries; i++)
		if (kind_of(at(ledger, i)->word) == LEDGER_HOLDER)
			at(ledger, i)->holder.window = 0;
}

static int open_file(struct ledger *ledger, const char *dir, const uint8_t uuid[16],
		     struct why *why)
{
	char boot_id[LEDGER_BOOT_ID];
	uint64_t size;
	int r;

	r = runfile_boot_id(boot_id, why);
	if (r < 0)
		return r;
	r = runfile_open(&ledger->fd, dir, uuid, ".ledger", O_RDWR | O_CREAT, why);
	if (r < 0)
		return r;
	r = runfile_lock(ledger->fd);
	if (r == -EBUSY)
		return refuse_twin(dir, uuid, why);
	if (r < 0)
		return why_set(why, r, "the ledger in %s cannot be locked: %s", dir, strerror(-r));
	r = map_file(ledger, why);
	if (r < 0)
		return r;
	r = runfile_size(&size, ledger->fd);
	if (r == 0)
		r = allocate_first(ledger, &size);
	if (r < 0)
		return why_set(why, r, "the first %llu bytes of the ledger in %s: %s",
			       (unsigned long long)LEDGER_CHUNK, dir, strerror(-r));
	r = check_header(ledger->header, uuid, boot_id, why);
	if (r < 0)
		return why_add(why, r, "%s: ", dir);
	if (r == 0)
		r = make_anew(ledger, &size, uuid, boot_id);
	if (r < 0)
		return why_set(why, r, "making the ledger in %s: %s", dir, strerror(-r));
	size = size > LEDGER_MAX_SIZE ? LEDGER_MAX_SIZE : size / LEDGER_CHUNK * LEDGER_CHUNK;
	ledger->nr_entries = (uint32_t)(size / sizeof(struct entry));
	if (ledger->header->version < LEDGER_LENDS)
		lend_all(ledger);
	if (ledger->header->version < LEDGER_WINDOWS)
		forget_windows(ledger);
	/* Older daemons do not understand the file from here on. */
	__atomic_store_n(&ledger->header->version, LEDGER_VERSION, __ATOMIC_RELEASE);
	r = load(ledger);
	return r < 0 ? why_set(why, r, "out of memory for the ledger") : 0;
}

int ledger_open(struct ledger **out, const char *dir, const uint8_t uuid[16], struct why *why)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r;

	if (!ledger)
		return why_set(why, -ENOMEM, "out of memory for the ledger");
	ledger->fd = -1;
	r = open_file(ledger, dir, uuid, why);
	if (r < 0) {
		ledger_close(ledger);
		return r;
	}
	*out = ledger;
	return 0;
}

void ledger_close(struct ledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->header)
		munmap(ledger->header, LEDGER_MAX_SIZE);
	if (ledger->fd >= 0)
		close(ledger->fd);
	free(ledger);
}
