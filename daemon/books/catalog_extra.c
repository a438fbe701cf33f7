/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog_extra: the extras of a catalog, places for what does not fit into an entry: long names
 * and further extents, or attributes. Free ones are a list in their own first bytes, which nobody
 * else reads. What an extra has for an entry is vouched for by the word of the entry.
 */
#include <config.h>

#include "daemon/books/catalog_internal.h"

#include <errno.h>
#include <string.h>

static uint32_t *next_free(const struct catalog *catalog, uint32_t extra)
{
	return (uint32_t *)(void *)catalog->extras[extra - 1].name;
}

/* Asks for memory for one more block of extras. */
static int back_block(struct catalog *catalog)
{
	const char *at = (const char *)(catalog->extras + catalog->nr_extras);
	int r = runfile_allocate(catalog->fd, (uint64_t)(at - catalog->first->bytes), BLOCK);

	if (r == 0)
		catalog->nr_backed_extras += BLOCK_EXTRAS;
	return r;
}

int catalog_take_extra(uint32_t *extra, struct catalog *catalog)
{
	int r;

	if (catalog->free_extra) {
		*extra = catalog->free_extra;
		catalog->free_extra = le32toh(*next_free(catalog, *extra));
		return 0;
	}
	if (catalog->nr_extras == catalog->most_extras)
		return -ENOSPC;
	if (catalog->nr_extras == catalog->nr_backed_extras) {
		r = back_block(catalog);
		if (r < 0)
			return r;
	}
	*extra = ++catalog->nr_extras;
	return 0;
}

/*
 * A reader that still reads in the extra looks at the word of its entry afterwards, and finds that
 * it was not to be believed.
 */
void catalog_give_extra(struct catalog *catalog, uint32_t extra)
{
	if (!extra)
		return;
	store_32(next_free(catalog, extra), catalog->free_extra);
	catalog->free_extra = extra;
}

/* ---- attributes ---- */

static struct catalog_note *note_at(const struct catalog *catalog, uint32_t note)
{
	return (struct catalog_note *)(void *)&catalog->extras[note - 1];
}

/* A number as it lies in memory, which is the bytes that it is made of. */
static void store_bytes(uint64_t *to, uint64_t bytes)
{
	__atomic_store_n(to, bytes, __ATOMIC_RELEASE);
}

void catalog_write_note(struct catalog *catalog, uint32_t note, const struct catalog_item *item)
{
	struct catalog_note *to = note_at(catalog, note);
	const uint8_t *from = item->attributes;

	store_64(&to->len, item->attributes_len);
	for (size_t at = 0; at < item->attributes_len; at += 8) {
		size_t left = item->attributes_len - at;
		uint64_t word = 0;

		memcpy(&word, from + at, left < sizeof(word) ? left : sizeof(word));
		store_bytes(&to->words[at / 8], word);
	}
}

bool catalog_is_same_note(const struct catalog *catalog, uint32_t note,
			  const struct catalog_item *item)
{
	const struct catalog_note *there = note ? note_at(catalog, note) : NULL;

	if (!there || !item->attributes_len)
		return !there && !item->attributes_len;
	return le64toh(there->len) == item->attributes_len &&
	       memcmp(there->words, item->attributes, item->attributes_len) == 0;
}
