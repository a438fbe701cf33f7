/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pieces: a cache, pieces of it that are written, released, published and freed, and children that
 * inherit them.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define PIECES 12u
#define BATCH  4u
#define MIB    (UINT64_C(1) << 20)

struct held {
	struct pma_piece piece;
	uint64_t origin;                /* 0: unused */
	bool     is_published;
};

static struct pma_cache *cache;
static uint32_t arena;
/* of the first thing of this maker that this cache can have had */
static uint64_t first_number;
static struct held all[PIECES];

/* ---- contents ---- */

/* New, or something that this very cache had there before. */
static void check_fresh(const struct pma_piece *piece, bool zeroed)
{
	for (uint64_t off = 0; off < piece->len; off += BLOCK) {
		const char *block = (const char *)piece->address + off;
		struct stamp stamp;

		if (stamp_is_blank(block))
			continue;
		if (!zeroed && stamp_read(&stamp, block) &&
		    stamp.origin >= ORIGIN(me.maker, first_number) &&
		    ORIGIN_MAKER(stamp.origin) == me.maker)
			continue;
		fail(block,
		     "a piece of a cache of arena %u, %#" PRIx64 " bytes, has at offset %#" PRIx64
		     " what was never in this cache%s",
		     arena, piece->len, off, zeroed ? ", or what should be zeroes" : "");
	}
}

static void write_stamps(const struct held *held)
{
	struct stamp stamp = {
		.origin = held->origin, .version = 1, .uid = me.uid, .pid = (uint32_t)getpid()
	};

	for (stamp.off = 0; stamp.off < held->piece.len; stamp.off += BLOCK) {
		char *block = (char *)held->piece.address + stamp.off;

		/* What an earlier piece had there ends elsewhere. */
		memset(block, 0, BLOCK);
		stamp_write(block, &stamp);
	}
}

static void check_written(const struct held *held)
{
	for (uint64_t off = 0; off < held->piece.len; off += BLOCK) {
		const char *block = (const char *)held->piece.address + off;
		struct stamp stamp;

		if (!stamp_read(&stamp, block) || stamp.origin != held->origin || stamp.off != off)
			fail(block,
			     "a piece of a cache of arena %u, origin %" PRIx64
			     "%s, lost its stamp at offset %#" PRIx64,
			     arena, held->origin, held->is_published ? ", published" : "", off);
	}
	me.books->nr_checks++;
}

/* ---- the cache ---- */

static void open_cache(void)
{
	int r;

	/*
	 * Where space is taken ahead a refusal waits for it: not in all arenas, or a storm does
	 * nothing but wait.
	 */
	arena = 1 + (uint32_t)rnd(2);
	if (arena >= me.nr_arenas || me.arenas[arena].page_size > 16 * MIB)
		return;
	first_number = me.books->next_number + 1;
	r = pma_cache_open(&cache, me.pma, arena, (2 + rnd(4)) * MIB);
	if (r < 0)
		cache = NULL;
	/* It connects for itself, and the daemon may just be away. */
	if (r != -ECONNREFUSED && r != -ENOENT && r != -EACCES)
		went(r, "cache");
}

void pieces_end(void)
{
	for (unsigned i = 0; i < PIECES; i++)
		if (all[i].origin)
			books_note(me.books, all[i].origin, "cache closed");
	pma_cache_close(cache);
	cache = NULL;
	memset(all, 0, sizeof(all));
}

static void reserve(struct held *held)
{
	static const uint64_t most[] = { 4096, 16384, 256 << 10, 2 * MIB };
	uint32_t flags = rnd(4) ? 0 : PMA_ZEROED;
	int r = pma_cache_reserve(&held->piece, cache, 1 + rnd(most[rnd(4)]), flags);

	if (r == -ENOBUFS)
		return;
	if (r == -ENOENT) {     /* its session was lost */
		pieces_end();
		return;
	}
	if (!went(r, "a piece"))
		return;
	check_fresh(&held->piece, flags);
	held->origin = ORIGIN(me.maker, ++me.books->next_number);
	held->is_published = false;
	write_stamps(held);
	books_note(me.books, held->origin, "piece");
}

static void release(struct held *held)
{
	check_written(held);
	books_note(me.books, held->origin, "release");
	if (!went(pma_cache_release(cache, &held->piece), "release of a piece"))
		return;
	held->origin = 0;
}

/* ---- publishing ---- */

static void enter(struct entry *entry, const struct held *held)
{
	memset(entry, 0, sizeof(*entry));
	entry->handle.arena = arena;
	entry->origin = held->origin;
	entry->life = me.books->lives;
	entry->len = entry->filled = held->piece.len;
	entry->begun = entry->done = 1;
	entry->stride = 1;
	entry->is_clean = true;
	snprintf(entry->name, sizeof(entry->name), "s/%u/%u/p/%" PRIx64 "/%u", me.uid, me.maker,
		 entry->origin, entry->nr_names++);
	entry->state = ENTRY_MAKING;
}

static void take(struct entry *entry, struct held *held, const struct pma_publication *what)
{
	int r = what->result;

	if (r == 0) {
		entry->handle = what->handle;
		entry->state = ENTRY_LIVE;
		held->is_published = true;
	} else if (r == -ENOENT || r == -EEXIST || r == -EBUSY ||
		   r == -ENOSPC || r == -EDQUOT || r == -ENFILE) {
		entry->state = ENTRY_EMPTY;
	} else {
		held->is_published = true;      /* perhaps: the entry is settled by its name */
		went(r == -EIO ? -ESTALE : r, "publish %s from a cache", entry->name);
	}
}

static void publish(void)
{
	struct pma_publication what[BATCH];
	struct entry *entries[BATCH], *entry = me.books->entries;
	struct held *helds[BATCH];
	unsigned nr = 0;

	for (unsigned i = 0; i < PIECES && nr < BATCH; i++) {
		while (entry < me.books->entries + BOOKS_ENTRIES && entry->state != ENTRY_EMPTY)
			entry++;
		if (entry == me.books->entries + BOOKS_ENTRIES)
			break;
		if (!all[i].origin || all[i].is_published || rnd(2))
			continue;
		pma_persist(all[i].piece.map, all[i].piece.address, all[i].piece.len);
		enter(entry, &all[i]);
		books_note(me.books, entry->origin, "publish");
		helds[nr] = &all[i];
		entries[nr] = entry;
		what[nr++] =
			(struct pma_publication){ .piece = &all[i].piece, .name = entry->name };
	}
	if (nr == 0)
		return;
	count(KIND_PUBLISH);
	for (unsigned i = 0; i < nr; i++)
		what[i].result = -ESTALE;
	pma_cache_publish(cache, what, nr);
	for (unsigned i = 0; i < nr; i++)
		take(entries[i], helds[i], &what[i]);
}

static void bequeath(void)
{
	struct watch watches[4];
	unsigned nr = 0;

	for (unsigned i = 0; i < PIECES && nr < 4; i++) {
		if (!all[i].origin)
			continue;
		watch_init(&watches[nr], all[i].piece.address, all[i].piece.len, all[i].origin, 0,
			   1);
		watches[nr].by_maker = true;
		watches[nr].arena = arena;
		watches[nr++].who = "a child's map of a piece";
	}
	if (nr > 0)
		heir_spawn(watches, nr);
}

void pieces_step(void)
{
	struct held *held = &all[rnd(PIECES)];
	uint64_t what = rnd(100);

	count(KIND_PIECE);
	if (!cache)
		open_cache();
	else if (what < 60 && !held->origin)
		reserve(held);
	else if (what < 80 && held->origin)
		release(held);
	else if (what < 90)
		publish();
	else if (what < 94)
		bequeath();
	else if (what < 97)
		pma_cache_trim(cache);
	else if (what >= 97)
		pieces_end();
}
