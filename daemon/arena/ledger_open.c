/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a ledger: whose file it is, of which boot, and which of its items are whole. What a killed daemon left half
 * done is finished or dropped here, so that ledger.c never meets it.
 */
#include <config.h>

#include "daemon/arena/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/arena/ledger_internal.h"
#include "daemon/arena/runfile.h"

/* ---- loading: which entries are part of a whole item? ---- */

static bool is_marked(const uint8_t *marks, uint32_t index)
{
	return marks[index / 8] >> index % 8 & 1;
}

static unsigned piece_kind(const struct range *range, uint32_t place)
{
	return place < nr_extent_pieces(range) ? KIND_EXTENTS : KIND_NAME;
}

/* Chain pieces of a head that may be wrong in any way: all there, in their places, and nobody else's? */
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

		if (next < LEDGER_FIRST || next >= ledger->nr_entries || is_marked(marks, next) || piece->head != index ||
		    piece->word != make_word(piece_kind(range, place), place))
			return false;
		next = piece->next;
	}
	return true;
}

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

/* The older version of this very range? Anything else was not written by us. */
static bool is_older(const struct ledger *ledger, uint32_t old, uint32_t index)
{
	const struct entry *a = at(ledger, old), *b = at(ledger, index);

	return old >= LEDGER_FIRST && old < ledger->nr_entries && old != index && kind_of(a->word) == LEDGER_RANGE &&
	       a->range.id == b->range.id;
}

/* Finish what ledger_replace_range() had begun. */
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

static void find_free(struct ledger *ledger, const uint8_t *marks)
{
	ledger->fresh = ledger->nr_entries;
	while (ledger->fresh > LEDGER_FIRST && !is_marked(marks, ledger->fresh - 1))
		ledger->fresh--;
	for (uint32_t i = ledger->fresh; i > LEDGER_FIRST; i--)
		if (!is_marked(marks, i - 1))
			put_entry(ledger, i - 1);
}

/* What one busy day needed is given back at the next start. */
static void shrink(struct ledger *ledger)
{
	uint64_t used = (uint64_t)ledger->fresh * sizeof(struct entry), size = (used + LEDGER_CHUNK - 1) / LEDGER_CHUNK * LEDGER_CHUNK;

	if (size < (uint64_t)ledger->nr_entries * sizeof(struct entry) && ftruncate(ledger->fd, (off_t)size) == 0)
		ledger->nr_entries = (uint32_t)(size / sizeof(struct entry));
}

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

static int read_boot_id(char boot_id[LEDGER_BOOT_ID], struct why *why)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return why_set(why, -errno, "%s: %s", path, strerror(errno));
	got = read(fd, boot_id, LEDGER_BOOT_ID);
	close(fd);
	return got == LEDGER_BOOT_ID ? 0 : why_set(why, -EIO, "%s: read %zd bytes, expected %d", path, got, LEDGER_BOOT_ID);
}

/* 1: as it is, 0: to be made anew, -errno: not ours to touch. */
static int check_header(const struct header *header, const uint8_t uuid[16], const char *boot_id, struct why *why)
{
	if (header->magic == 0)
		return 0;       /* new, or killed while it was */
	if (memcmp(&header->magic, LEDGER_MAGIC, sizeof(header->magic)) != 0)
		return why_set(why, -EUCLEAN, "the ledger is none: something else is in the file; see what put it there, then remove it");
	if (memcmp(header->boot_id, boot_id, LEDGER_BOOT_ID) != 0)
		return 0;
	if (header->version < LEDGER_OLDEST || header->version > LEDGER_VERSION || header->entry_size != sizeof(struct entry))
		return why_set(why, -EPROTONOSUPPORT, "the ledger has version %u, this daemon knows %d to %d; start the daemon that wrote it, "
			       "or end all clients of the arena, then remove the file or reboot", header->version, LEDGER_OLDEST, LEDGER_VERSION);
	if (memcmp(header->uuid, uuid, sizeof(header->uuid)) != 0)
		return why_set(why, -EUCLEAN, "the ledger belongs to another arena; see what moved it there, then remove it");
	return 1;
}

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

/* Empties first: whoever is killed here leaves a file without a magic. */
static int make_anew(struct ledger *ledger, uint64_t *size, const uint8_t uuid[16], const char *boot_id)
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
	/* Beyond the end of the file there is nothing to touch, but growing needs no other mapping then. */
	void *map = mmap(NULL, LEDGER_MAX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0);

	if (map == MAP_FAILED)
		return why_set(why, -errno, "mapping the ledger: %s", strerror(errno));
	ledger->entries = map;
	return 0;
}

static int open_file(struct ledger *ledger, const char *dir, const uint8_t uuid[16], struct why *why)
{
	char boot_id[LEDGER_BOOT_ID];
	uint64_t size;
	int r;

	r = read_boot_id(boot_id, why);
	if (r < 0)
		return r;
	r = runfile_open(&ledger->fd, dir, uuid, ".ledger", O_RDWR | O_CREAT, why);
	if (r < 0)
		return r;
	r = map_file(ledger, why);
	if (r < 0)
		return r;
	r = runfile_size(&size, ledger->fd);
	if (r == 0)
		r = allocate_first(ledger, &size);
	if (r < 0)
		return why_set(why, r, "the first %llu bytes of the ledger in %s: %s", (unsigned long long)LEDGER_CHUNK, dir, strerror(-r));
	r = check_header(ledger->header, uuid, boot_id, why);
	if (r < 0)
		return why_add(why, r, "%s: ", dir);
	if (r == 0)
		r = make_anew(ledger, &size, uuid, boot_id);
	if (r < 0)
		return why_set(why, r, "making the ledger in %s: %s", dir, strerror(-r));
	/* From here on only this version, or a later one, understands it. */
	ledger->header->version = LEDGER_VERSION;
	size = size > LEDGER_MAX_SIZE ? LEDGER_MAX_SIZE : size / LEDGER_CHUNK * LEDGER_CHUNK;
	ledger->nr_entries = (uint32_t)(size / sizeof(struct entry));
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
