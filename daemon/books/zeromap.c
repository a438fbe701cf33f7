/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zeromap: keeps the bits in memory equal to their two copies on media. Its callers decide when a
 * bit may be set, and make the fences.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/books/zeromap.h"

#define PIECE 65536u                    /* bytes read or written at once */

struct zeromap {
	struct media *media;            /* borrowed */
	const struct superblock *sb;    /* borrowed */
	uint64_t  nr_pages;
	uint64_t  nr_set;
	/* owned; in the host's byte order; what is true while the daemon runs */
	uint64_t *words;
};

uint64_t zeromap_bytes(uint64_t nr_pages)
{
	return (nr_pages + 63) / 64 * 8;
}

int zeromap_init(struct media *media, const struct superblock *sb, bool zero)
{
	uint64_t len = zeromap_bytes(sb->nr_pages);
	uint8_t *ones = NULL;
	int r = 0;

	if (zero) {
		ones = malloc(PIECE);
		if (!ones)
			return -ENOMEM;
		memset(ones, 0xff, PIECE);
	}
	for (int copy = 0; copy < 2 && r == 0; copy++) {
		uint64_t off = sb->zero_off[copy];

		if (!zero)
			r = media_zero(media, off, len);
		for (uint64_t at = 0; zero && at < len && r == 0; at += PIECE) {
			uint64_t n = len - at < PIECE ? len - at : PIECE;

			r = media_store(media, off + at, ones, n);
			if (r == 0)
				r = media_flush(media, off + at, n);
		}
	}
	free(ones);
	return r < 0 ? r : media_fence(media);
}

/*
 * Clears the bits of @words that one copy does not have. If a whole piece cannot be read, it goes
 * word by word, so that only the poisoned words are lost: those count as 0.
 */
static int and_piece(uint64_t *words, struct media *media, uint64_t off, uint64_t len)
{
	uint64_t word;
	uint64_t *piece = malloc(len);
	int r;

	if (!piece)
		return -ENOMEM;
	r = media_read(media, piece, off, len);
	for (uint64_t i = 0; r == 0 && i < len / 8; i++)
		words[i] &= le64toh(piece[i]);
	free(piece);
	if (r != -EIO)
		return r;
	for (uint64_t i = 0; i < len / 8; i++) {
		r = media_read(media, &word, off + i * 8, sizeof(word));
		if (r < 0 && r != -EIO)
			return r;
		words[i] &= r < 0 ? 0 : le64toh(word);
	}
	return 0;
}

static int read_copies(struct zeromap *map)
{
	uint64_t len = zeromap_bytes(map->nr_pages);
	int r = 0;

	for (int copy = 0; copy < 2; copy++) {
		for (uint64_t at = 0; at < len && r == 0; at += PIECE)
			r = and_piece(map->words + at / 8, map->media, map->sb->zero_off[copy] + at,
				      len - at < PIECE ? len - at : PIECE);
	}
	return r;
}

/*
 * The bits of word @i that stand for a page. The last word has bits beyond the last page, which may
 * be anything on media.
 */
static uint64_t used_bits(const struct zeromap *map, uint64_t i)
{
	return map->nr_pages - i * 64 >= 64 ? ~UINT64_C(0)
					    : (UINT64_C(1) << (map->nr_pages % 64)) - 1;
}

int zeromap_open(struct zeromap **out, struct media *media, const struct superblock *sb)
{
	struct zeromap *map = calloc(1, sizeof(*map));
	uint64_t len = zeromap_bytes(sb->nr_pages);
	int r;

	if (!map)
		return -ENOMEM;
	map->media = media;
	map->sb = sb;
	map->nr_pages = sb->nr_pages;
	map->words = malloc(len);
	if (!map->words) {
		zeromap_free(map);
		return -ENOMEM;
	}
	memset(map->words, 0xff, len);
	r = read_copies(map);
	if (r < 0) {
		zeromap_free(map);
		return r;
	}
	for (uint64_t i = 0; i < len / 8; i++) {
		map->words[i] &= used_bits(map, i);
		map->nr_set += (uint64_t)__builtin_popcountll(map->words[i]);
	}
	*out = map;
	return 0;
}

void zeromap_free(struct zeromap *map)
{
	if (!map)
		return;
	free(map->words);
	free(map);
}

bool zeromap_get(const struct zeromap *map, uint64_t page)
{
	return map->words[page / 64] >> (page % 64) & 1;
}

uint64_t zeromap_run(bool *zero, const struct zeromap *map, uint64_t page, uint64_t max)
{
	uint64_t nr = 0;

	*zero = zeromap_get(map, page);
	while (nr < max) {
		uint64_t at = (page + nr) % 64;
		/* a bit is 1 where a page is unlike the first */
		uint64_t word = map->words[(page + nr) / 64] ^ (*zero ? ~UINT64_C(0) : 0);
		uint64_t differ = word >> at;

		if (differ)
			return nr + (uint64_t)__builtin_ctzll(differ) < max
				       ? nr + (uint64_t)__builtin_ctzll(differ)
				       : max;
		nr += 64 - at;
	}
	return max;
}

uint64_t zeromap_count(const struct zeromap *map)
{
	return map->nr_set;
}

static int store_word(const struct zeromap *map, uint64_t i)
{
	int r = 0;

	for (int copy = 0; copy < 2 && r == 0; copy++)
		r = media_store64(map->media, map->sb->zero_off[copy] + i * 8,
				  htole64(map->words[i]));
	return r;
}

static int flush_words(const struct zeromap *map, uint64_t first, uint64_t last)
{
	int r = 0;

	for (int copy = 0; copy < 2 && r == 0; copy++)
		r = media_flush(map->media, map->sb->zero_off[copy] + first * 8,
				(last - first + 1) * 8);
	return r;
}

/* Sets or clears the bits of @nr pages in memory, and stores and flushes the words that changed. */
static int change(struct zeromap *map, uint64_t page, uint64_t nr, bool zero)
{
	uint64_t first = page / 64, last = (page + nr - 1) / 64, end = page + nr;
	bool changed = false;
	int r = 0;

	for (uint64_t i = first; i <= last && r == 0; i++) {
		uint64_t from = i == first ? page % 64 : 0, to = i == last ? (end - 1) % 64 : 63;
		uint64_t mask = (to == 63 ? 0 : UINT64_C(1) << (to + 1)) - (UINT64_C(1) << from);
		uint64_t old = map->words[i], new = zero ? old | mask : old & ~mask;

		if (new == old)
			continue;
		map->words[i] = new;
		map->nr_set +=
			(uint64_t)__builtin_popcountll(new) - (uint64_t)__builtin_popcountll(old);
		changed = true;
		r = store_word(map, i);
	}
	return r < 0 || !changed ? r : flush_words(map, first, last);
}

int zeromap_set(struct zeromap *map, uint64_t page, uint64_t nr)
{
	return nr ? change(map, page, nr, true) : 0;
}

int zeromap_clear(struct zeromap *map, uint64_t page, uint64_t nr)
{
	return nr ? change(map, page, nr, false) : 0;
}

/*
 * Reads a piece of both copies. A word that cannot be read becomes one that differs from memory in
 * every bit.
 */
static int read_piece(uint64_t *piece[2], const struct zeromap *map, uint64_t first, uint64_t nr)
{
	for (int copy = 0; copy < 2; copy++) {
		uint64_t off = map->sb->zero_off[copy] + first * 8;
		int r = media_read(map->media, piece[copy], off, nr * 8);

		for (uint64_t i = 0; r == -EIO && i < nr; i++)
			if (media_read(map->media, &piece[copy][i], off + i * 8, 8) < 0)
				piece[copy][i] = htole64(~map->words[first + i]);
		if (r < 0 && r != -EIO)
			return r;
	}
	return 0;
}

static bool differs(const struct zeromap *map, uint64_t i, uint64_t word)
{
	return ((le64toh(word) ^ map->words[i]) & used_bits(map, i)) != 0;
}

static int64_t verify_piece(struct zeromap *map, uint64_t *piece[2], uint64_t first, uint64_t nr,
			    bool mend)
{
	int64_t nr_differ = 0;
	int r = read_piece(piece, map, first, nr);

	for (uint64_t i = 0; i < nr && r == 0; i++) {
		if (!differs(map, first + i, piece[0][i]) && !differs(map, first + i, piece[1][i]))
			continue;
		nr_differ++;
		if (mend)
			r = store_word(map, first + i);
		if (mend && r == 0)
			r = flush_words(map, first + i, first + i);
		/*
		 * A word that cannot be written stays as it is. It does no harm: the copies then do
		 * not agree, and the page is scrubbed again.
		 */
		r = r == -EIO ? 0 : r;
	}
	return r < 0 ? r : nr_differ;
}

int64_t zeromap_verify(struct zeromap *map, bool mend)
{
	uint64_t nr_words = zeromap_bytes(map->nr_pages) / 8, most = PIECE / 8;
	uint64_t *piece[2] = { malloc(PIECE), malloc(PIECE) };
	int64_t nr_differ = 0, r = piece[0] && piece[1] ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < nr_words && r >= 0; i += most) {
		r = verify_piece(map, piece, i, nr_words - i < most ? nr_words - i : most, mend);
		nr_differ += r > 0 ? r : 0;
	}
	free(piece[0]);
	free(piece[1]);
	/*
	 * All words are flushed, since what a killed daemon stored may be in a cache only. -EIO is
	 * no failure: a start does not believe a word of which the two copies disagree.
	 */
	if (r >= 0 && mend)
		r = flush_words(map, 0, nr_words - 1);
	if ((r == 0 || r == -EIO) && mend)
		r = media_fence(map->media);
	return r < 0 ? r : nr_differ;
}
