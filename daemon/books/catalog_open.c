/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_open: makes the file of a catalog, or takes over the one of an earlier daemon of this
 * boot. It does not know what is to be entered.
 */
#include <config.h>

#include "daemon/books/catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define SUFFIX ".catalog"

/* ---- the first block ---- */

static uint64_t blocks_of(uint64_t nr, uint64_t size)
{
	return (nr * size + BLOCK - 1) / BLOCK * BLOCK;
}

/*
 * Returns how many extras the file has: two for each entry, and no more than 32 bits can number,
 * from 1 on.
 */
static uint64_t most_extras(uint64_t nr_slots)
{
	return 2 * nr_slots < UINT32_MAX ? 2 * nr_slots : UINT32_MAX;
}

/*
 * Fills in the first block as every daemon of this boot writes it for this arena; a file with
 * another one is not taken over.
 */
static int make_first(union catalog_first_block *first, const uint8_t uuid[16], uint64_t nr_slots,
		      struct why *why)
{
	uint64_t nr_heads = nr_slots > BLOCK_HEADS ? nr_slots : BLOCK_HEADS;
	uint64_t heads_end = BLOCK + blocks_of(nr_heads, sizeof(uint32_t));
	uint64_t entries_end = heads_end + blocks_of(nr_slots, sizeof(struct catalog_entry));

	memset(first, 0, sizeof(*first));
	first->header = (struct catalog_header){
		.magic = htole64(CATALOG_MAGIC),
		.layout = htole32(CATALOG_LAYOUT),
		.entry_bytes = htole32(sizeof(struct catalog_entry)),
		.nr_slots = htole64(nr_slots),
		.heads_off = htole64(BLOCK),
		.entries_off = htole64(heads_end),
		.extras_off = htole64(entries_end),
		.nr_extras = htole64(most_extras(nr_slots)),
	};
	memcpy(first->origin.uuid, uuid, sizeof(first->origin.uuid));
	return runfile_boot_id(first->origin.boot_id, why);
}

static uint64_t bytes_of(const union catalog_first_block *first)
{
	return le64toh(first->header.extras_off) +
	       blocks_of(le64toh(first->header.nr_extras), sizeof(struct catalog_extra));
}

/* Is the file with the first block @found the one that @expected describes? */
static bool is_ours(const union catalog_first_block *found,
		    const union catalog_first_block *expected, uint64_t size)
{
	return memcmp(&found->header, &expected->header,
		      offsetof(struct catalog_header, seed)) == 0 &&
	       memcmp(&found->origin, &expected->origin, sizeof(found->origin)) == 0 &&
	       le64toh(found->header.nr_backed) <= le64toh(expected->header.nr_slots) &&
	       size >= bytes_of(expected);
}

/*
 * Tells who has the file mapped that it is void. A file of another layout keeps that number in the
 * same place. It is written by a call and not by a store, which could be a SIGBUS; where there is
 * no memory for it, there is a 0 already.
 */
static int declare_void(int fd)
{
	const uint32_t layout = 0;
	ssize_t done = pwrite(fd, &layout, sizeof(layout), offsetof(struct catalog_header, layout));

	return done == (ssize_t)sizeof(layout) || errno == ENOSPC ? 0 : -errno;
}

/*
 * Opens the file that is there, when it is ours. Any other is declared void and removed: *fd stays
 * -1.
 */
static int open_old(int *fd, const char *dir, const uint8_t uuid[16],
		    const union catalog_first_block *expected, struct why *why)
{
	union catalog_first_block found = { .bytes = "" };
	struct why not_there;
	uint64_t size;
	int old, r;

	r = runfile_open(&old, dir, uuid, SUFFIX, O_RDWR, &not_there);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return why_set(why, r, "%s", not_there.text);
	r = runfile_size(&size, old);
	if (r == 0 && pread(old, &found, sizeof(found), 0) < 0)
		r = -errno;
	if (r == 0 && is_ours(&found, expected, size)) {
		*fd = old;
		return 0;
	}
	if (r == 0 && size >= sizeof(struct catalog_header))
		r = declare_void(old);
	close(old);
	if (r < 0)
		return why_set(why, r, "the old catalog in %s: %s", dir, strerror(-r));
	return runfile_remove(dir, uuid, SUFFIX, why);
}

/* Makes the file: all of its length, and memory for what is used at once. */
static int make_file(struct catalog *catalog, const char *dir, const uint8_t uuid[16],
		     struct why *why)
{
	int r = runfile_open(&catalog->fd, dir, uuid, SUFFIX, O_RDWR | O_CREAT | O_EXCL, why);

	if (r < 0)
		return r;
	r = ftruncate(catalog->fd, (off_t)catalog->bytes) < 0 ? -errno : 0;
	if (r == 0)
		r = runfile_allocate(catalog->fd, 0, 2 * BLOCK);
	return r < 0 ? why_set(why, r, "a catalog of %llu slots in %s: %s",
			       (unsigned long long)catalog->nr_slots, dir, strerror(-r))
		     : 0;
}

/*
 * Maps the file into *catalog. After a failure, what was made until then stays there for
 * catalog_close().
 */
static int map_file(struct catalog *catalog, const union catalog_first_block *expected)
{
	const struct catalog_header *header = &expected->header;
	void *map = mmap(NULL, catalog->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, catalog->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	catalog->first = map;
	catalog->heads = (void *)((char *)map + le64toh(header->heads_off));
	catalog->entries = (void *)((char *)map + le64toh(header->entries_off));
	catalog->extras = (void *)((char *)map + le64toh(header->extras_off));
	catalog->most_extras = (uint32_t)le64toh(header->nr_extras);
	catalog->nr_heads = (le64toh(header->entries_off) - BLOCK) / sizeof(*catalog->heads);
	catalog->is_put = calloc(catalog->nr_slots / 64 + 1, sizeof(*catalog->is_put));
	catalog->is_missing = calloc(catalog->nr_slots / 64 + 1, sizeof(*catalog->is_missing));
	return catalog->is_put && catalog->is_missing ? 0 : -ENOMEM;
}

/* Writes the first block of a new file, the magic last. */
static int write_first(struct catalog *catalog, const union catalog_first_block *expected)
{
	union catalog_first_block first = *expected;

	first.header.magic = 0;
	first.header.changes = htole64(1);
	if (getrandom(&first.header.seed, sizeof(first.header.seed), 0) < 0)
		return -errno;
	*catalog->first = first;
	store_64(&header_of(catalog)->magic, CATALOG_MAGIC);
	return 0;
}

/* Marks an extra in the bits @used, if there is one. False: it cannot be, or is in use already. */
static bool claim(const struct catalog *catalog, uint32_t extra, uint64_t *used)
{
	if (!extra)
		return true;
	if (extra > catalog->most_extras || used[extra / 64] >> extra % 64 & 1)
		return false;
	used[extra / 64] |= UINT64_C(1) << extra % 64;
	return true;
}

/*
 * Did a daemon finish the entry? If so, its extras are marked in the bits @used. If it claims an
 * extra that another entry has, the file was damaged, and the entry does not count.
 */
static bool is_whole(const struct catalog *catalog, uint32_t slot, uint64_t *used)
{
	const struct catalog_entry *entry = &catalog->entries[slot];
	uint32_t extra = le32toh(entry->extra), note = le32toh(entry->note);
	bool needs = catalog_needs_extra(entry->name_len, le32toh(entry->nr_extents));

	if (word_of(entry) >> 32 != (uint64_t)slot + 1 || !entry->id || needs != (extra != 0))
		return false;
	if (!claim(catalog, extra, used))
		return false;
	if (claim(catalog, note, used))
		return true;
	if (extra)
		used[extra / 64] &= ~(UINT64_C(1) << extra % 64);
	return false;
}

/* The higher one of @last and the numbers of the entry's extras. */
static uint32_t last_extra(const struct catalog_entry *entry, uint32_t last)
{
	uint32_t extra = le32toh(entry->extra), note = le32toh(entry->note);

	if (extra > last)
		last = extra;
	return note > last ? note : last;
}

/*
 * Goes through the entries that an earlier daemon left, and makes the list of extras that none of
 * them has, the lowest first.
 */
static int adopt_entries(struct catalog *catalog)
{
	uint64_t *used = calloc(catalog->most_extras / 64 + 1, sizeof(*used));
	uint32_t last = 0;

	if (!used)
		return -ENOMEM;
	for (uint64_t slot = 0; slot < catalog->nr_backed; slot++) {
		struct catalog_entry *entry = &catalog->entries[slot];

		if (!entry->word)
			continue;
		if (!is_whole(catalog, (uint32_t)slot, used))
			catalog_hide(catalog, (uint32_t)slot);
		else
			last = last_extra(entry, last);
	}
	catalog->nr_extras = last;
	catalog->nr_backed_extras = (last + BLOCK_EXTRAS - 1) / BLOCK_EXTRAS * BLOCK_EXTRAS;
	for (uint32_t extra = last; extra > 0; extra--)
		if (!(used[extra / 64] >> extra % 64 & 1))
			catalog_give_extra(catalog, extra);
	free(used);
	return 0;
}

/*
 * Empties the chains. A reader that sees `changes` odd, or another number than before, knows that
 * it may not have seen the end of a chain.
 */
static int empty_chains(struct catalog *catalog)
{
	struct catalog_header *header = header_of(catalog);

	if (le64toh(header->changes) % 2 == 0)
		store_64(&header->changes, le64toh(header->changes) + 1);
	store_64(&header->nr_buckets, 0);
	store_64(&header->nr_entries, 0);
	for (uint64_t i = 0; i < BLOCK_HEADS; i++)
		store_32(&catalog->heads[i], 0);
	catalog->nr_buckets = BLOCK_HEADS;
	catalog->nr_backed = le64toh(header->nr_backed);
	return adopt_entries(catalog);
}

static int fill(struct catalog *catalog, const union catalog_first_block *expected, bool is_new)
{
	int r = map_file(catalog, expected);

	if (r == 0 && is_new)
		r = write_first(catalog, expected);
	return r == 0 ? empty_chains(catalog) : r;
}

static int open_catalog(struct catalog *catalog, const char *dir, const uint8_t uuid[16],
			struct why *why)
{
	union catalog_first_block expected;
	bool is_new;
	int r = make_first(&expected, uuid, catalog->nr_slots, why);

	if (r < 0)
		return r;
	catalog->bytes = bytes_of(&expected);
	r = open_old(&catalog->fd, dir, uuid, &expected, why);
	if (r < 0)
		return r;
	is_new = catalog->fd < 0;
	if (is_new)
		r = make_file(catalog, dir, uuid, why);
	/* Clients get an open file description of their own, without the right to write. */
	if (r == 0)
		r = runfile_open(&catalog->client_fd, dir, uuid, SUFFIX, O_RDONLY, why);
	if (r < 0)
		return r;
	r = fill(catalog, &expected, is_new);
	return r < 0 ? why_set(why, r, "the catalog of %llu slots in %s: %s",
			       (unsigned long long)catalog->nr_slots, dir, strerror(-r))
		     : 0;
}

int catalog_open(struct catalog **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots,
		 struct why *why)
{
	struct catalog *catalog;
	int r;

	if (nr_slots > UINT32_MAX)
		return why_set(why, -EINVAL, "%llu slots are more than 32 bits count",
			       (unsigned long long)nr_slots);
	catalog = calloc(1, sizeof(*catalog));
	if (!catalog)
		return why_set(why, -ENOMEM, "out of memory for the catalog");
	catalog->fd = catalog->client_fd = -1;
	catalog->nr_slots = nr_slots;
	r = open_catalog(catalog, dir, uuid, why);
	if (r < 0) {
		catalog_close(catalog);
		return r;
	}
	*out = catalog;
	return 0;
}

void catalog_close(struct catalog *catalog)
{
	if (!catalog)
		return;
	if (catalog->first)
		munmap(catalog->first, catalog->bytes);
	if (catalog->client_fd >= 0)
		close(catalog->client_fd);
	if (catalog->fd >= 0)
		close(catalog->fd);
	free(catalog->is_put);
	free(catalog->is_missing);
	free(catalog);
}
