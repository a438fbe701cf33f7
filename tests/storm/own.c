/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own: one allocation of this stormer through its life. What is asked for stands in the books
 * before it is asked, what was acknowledged afterwards. It knows nothing of others.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define GIB (UINT64_C(1) << 30)
#define MANY_BLOCKS 4096u
#define STRIDE 1025u            /* of what is larger than that */

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static const struct pma_arena *arena_of(const struct entry *entry)
{
	return &me.arenas[entry->handle.arena];
}

/* ---- contents ---- */

static void check_filled(struct entry *entry, const char *block, uint64_t off)
{
	struct stamp stamp, end;

	if (!stamp_read(&stamp, block) || !stamp_read(&end, block + BLOCK - sizeof(end)) ||
	    stamp.origin != entry->origin || stamp.off != off ||
	    (stamp.id && stamp.id != entry->handle.id))
		fail(block,
		     "%s, arena %u, id %" PRIu64 ", origin %" PRIx64
		     ": not its own stamp at offset %#" PRIx64,
		     entry->name, entry->handle.arena, entry->handle.id, entry->origin, off);
	if (stamp.version < entry->done || stamp.version > entry->begun)
		fail(block,
		     "%s, arena %u, id %" PRIu64 ", origin %" PRIx64 ": version %" PRIu64
		     " at offset %#" PRIx64 ", it was written %" PRIu64 " to %" PRIu64 " times",
		     entry->name, entry->handle.arena, entry->handle.id, entry->origin,
		     stamp.version, off, entry->done, entry->begun);
}

/*
 * Never acknowledged as written: zero, or what a life of this stormer that was killed had begun to
 * write.
 */
static void check_fresh(struct entry *entry, const char *block, uint64_t off)
{
	struct stamp stamp;

	if (stamp_is_blank(block))
		return;
	if (!entry->is_clean && stamp_read(&stamp, block) && stamp.origin == entry->origin &&
	    stamp.off == off)
		return;
	if (!entry->is_clean && stamp_first_word(block) == entry->origin)
		return;
	fail(block,
	     "%s, arena %u, id %" PRIu64 ", origin %" PRIx64
	     ": space that is new does not read as zeroes at offset %#" PRIx64,
	     entry->name, entry->handle.arena, entry->handle.id, entry->origin, off);
}

static void write_stamps(struct entry *entry, char *base)
{
	struct stamp stamp = { .origin = entry->origin,
			       .version = entry->done + 1,
			       .id = entry->handle.id,
			       .uid = me.uid,
			       .pid = (uint32_t)getpid() };

	entry->begun = stamp.version;
	entry->is_clean = false;
	for (uint64_t off = 0; off < entry->len; off += (uint64_t)BLOCK * entry->stride) {
		stamp.off = off;
		stamp_write(base + off, &stamp);
	}
	entry->filled = entry->len;
	entry->done = stamp.version;
	entry->is_clean = true;
}

void own_check_memory(struct entry *entry, const char *base, bool stamp)
{
	for (uint64_t off = 0; off < entry->len; off += (uint64_t)BLOCK * entry->stride) {
		if (off < entry->filled)
			check_filled(entry, base + off, off);
		else
			check_fresh(entry, base + off, off);
	}
	me.books->nr_checks++;
	if (stamp)
		write_stamps(entry, (char *)(uintptr_t)base);
}

struct pma_mapping *own_map(struct entry *entry, bool stamp)
{
	struct pma_handle handle = entry->handle;
	struct pma_mapping *map;

	if (entry->state == ENTRY_LIVE &&
	    !went(pma_open(&handle, me.pma, NULL, 0), "open %s", entry->name))
		return NULL;
	if (!went(pma_map(&map, me.pma, entry->handle, PMA_MAP_WRITE), "map %s", entry->name))
		return NULL;
	if (me.is_tolerant && pma_map_length(map) != entry->len) {
		pma_unmap(map);         /* the next look at it settles that */
		return NULL;
	}
	if (pma_map_length(map) != entry->len)
		fail(NULL, "%s: %#" PRIx64 " bytes were acknowledged, %#zx are mapped", entry->name,
		     entry->len, pma_map_length(map));
	own_check_memory(entry, pma_map_address(map), stamp);
	if (stamp)
		went(pma_persist(map, pma_map_address(map), lesser(entry->len, (uint64_t)64 << 20)),
		     "persist");
	return map;
}

/* ---- making ---- */

static uint64_t random_len(const struct pma_arena *arena)
{
	static const uint64_t most[] = { 1, 2, 16, 200, 500, 700, 2200 };       /* blocks */
	uint64_t len = (1 + rnd(most[rnd(sizeof(most) / sizeof(*most))])) * BLOCK;

	if (arena->page_size >= GIB)
		return rnd(6) == 0 ? GIB : lesser(len, 1 << 20);
	/* An arena that was offline when the session began has no page size. */
	if (arena->page_size && rnd(4) == 0)
		return arena->page_size * (1 + rnd(3) / 2);
	return len;
}

static void give_name(struct entry *entry)
{
	snprintf(entry->name, sizeof(entry->name), "s/%u/%u/%c/%" PRIx64 "/%u", me.uid, me.maker,
		 entry->is_shared ? 's' : 'p', entry->origin, entry->nr_names++);
}

void own_begin(struct entry *entry, bool has_token)
{
	memset(entry, 0, sizeof(*entry));
	entry->handle.arena = (uint32_t)rnd(me.nr_arenas);
	entry->origin = ORIGIN(me.maker, ++me.books->next_number);
	entry->life = me.books->lives;
	entry->token = has_token ? entry->origin : 0;
	entry->len = random_len(arena_of(entry));
	entry->stride = entry->len / BLOCK > MANY_BLOCKS ? STRIDE : 1;
	entry->is_shared = rnd(2);
	entry->is_clean = true;
	give_name(entry);
	books_note(me.books, entry->origin, has_token ? "make by token" : "make");
	entry->state = ENTRY_MAKING;
}

static uint32_t mode_of(const struct entry *entry)
{
	return entry->is_shared ? (rnd(2) ? 0644 : 0666) : (rnd(2) ? 0600 : 0660);
}

static void made(struct entry *entry, const struct pma_op *op)
{
	entry->handle = op->handle;
	entry->len = op->len;
	entry->state = ENTRY_LIVE;
	entry->is_doubtful = me.is_tolerant && op->was_done;
	if (!me.is_tolerant && !pma_is_valid(me.pma, entry->handle))
		fail(NULL, "%s, id %" PRIu64 ": made, and its handle is not valid", entry->name,
		     entry->handle.id);
}

static void create(struct entry *entry)
{
	struct pma_op op = { .opcode = PMA_OP_CREATE,
			     .handle.arena = entry->handle.arena,
			     .name = entry->name,
			     .len = entry->len,
			     .mode = mode_of(entry),
			     .token = entry->token };

	if (!went(pma_run(me.pma, &op, 1), "create %s", entry->name))
		return;
	if (went(op.result, "create %s", entry->name))
		made(entry, &op);
	else if (was_refused(op.result))
		entry->state = ENTRY_EMPTY;
}

static void publish(struct entry *entry)
{
	entry->state = ENTRY_MAKING;
	if (went(pma_publish(me.pma, entry->handle), "publish %s", entry->name))
		entry->state = ENTRY_LIVE;
}

/* Unmapped by us, but perhaps not by a child. */
static void abort_it(struct entry *entry)
{
	count(KIND_ABORT);
	books_note(me.books, entry->origin, "abort");
	entry->state = ENTRY_MAKING;
	if (went(pma_abort(me.pma, entry->handle), "abort %s", entry->name))
		entry->state = ENTRY_EMPTY;
}

static void reserve(struct entry *entry)
{
	struct pma_op op = { .opcode = PMA_OP_RESERVE,
			     .handle.arena = entry->handle.arena,
			     .name = entry->name,
			     .len = entry->len,
			     .mode = mode_of(entry),
			     .flags = rnd(8) ? 0 : PMA_CONTIGUOUS };
	struct pma_mapping *map = NULL;
	struct watch watch;

	if (!went(pma_run(me.pma, &op, 1), "reserve %s", entry->name))
		return;
	if (!went(op.result, "reserve %s", entry->name)) {
		if (was_refused(op.result))
			entry->state = ENTRY_EMPTY;
		return;
	}
	entry->handle = op.handle;
	entry->len = op.len;
	entry->state = ENTRY_RESERVED;
	if (rnd(4))
		map = own_map(entry, rnd(4));
	if (map && rnd(3) == 0) {
		watch_init(&watch, pma_map_address(map), entry->len, entry->origin, entry->filled,
			   entry->stride);
		watch.arena = entry->handle.arena;
		watch.who = "a child's map of a reservation";
		heir_spawn(&watch, 1);
	}
	pma_unmap(map);
	if (rnd(3) == 0)
		abort_it(entry);
	else
		publish(entry);
}

void own_make(struct entry *entry)
{
	bool has_token = rnd(2);

	count(KIND_MAKE);
	own_begin(entry, has_token);
	if (has_token || rnd(2))
		create(entry);
	else
		reserve(entry);
	if (entry->state == ENTRY_LIVE && rnd(2))
		pma_unmap(own_map(entry, true));
}

/* ---- changing ---- */

/*
 * Where a commit fails, an arena goes offline, and the next daemon finds on its media what was
 * asked for or what was before. Both are right; what lies between the two lengths is zero or its
 * own. False: it is gone.
 */
static bool doubt(struct entry *entry, const struct pma_info *stat, int r)
{
	if (r == -ENOENT)
		entry->state = ENTRY_EMPTY;
	if (r < 0)
		return r != -ENOENT;
	if (stat->len != entry->len)
		entry->is_clean = false;
	entry->filled = lesser(entry->filled, stat->len);
	entry->len = stat->len;
	memcpy(entry->name, stat->name, sizeof(entry->name));
	entry->is_unnamed = !stat->name[0];
	return true;
}

void own_verify(struct entry *entry)
{
	struct pma_info stat;
	bool by_name = !entry->is_unnamed && !entry->is_doubtful;
	int r = by_name ? pma_stat_name(&stat, me.pma, entry->handle.arena, entry->name)
			: pma_stat(&stat, me.pma, entry->handle);

	count(KIND_VERIFY);
	books_note(me.books, entry->origin, "verify");
	if (entry->is_doubtful && !doubt(entry, &stat, r))
		return;
	if (!went(r, "%s was acknowledged and is not there (id %" PRIu64 ")", entry->name,
		  entry->handle.id))
		return;
	if (stat.handle.id != entry->handle.id || stat.len != entry->len || stat.is_reserved)
		fail(NULL,
		     "%s: id %" PRIu64 " of %#" PRIx64
		     " bytes was acknowledged; there is id %" PRIu64 " of %#" PRIx64 " bytes%s",
		     entry->name, entry->handle.id, entry->len, stat.handle.id, stat.len,
		     stat.is_reserved ? ", reserved" : "");
	if (!me.is_tolerant && !me.is_lost && !pma_is_valid(me.pma, entry->handle))
		fail(NULL, "%s, id %" PRIu64 ": is there, and its handle is not valid", entry->name,
		     entry->handle.id);
	pma_unmap(own_map(entry, rnd(2)));
}

/*
 * What it has now, after something that is not known to have been done, or that may have done less.
 */
static bool look_again(struct entry *entry)
{
	struct pma_info stat;
	bool is_going = entry->state == ENTRY_DROPPING || entry->is_doubtful;
	int r = pma_stat(&stat, me.pma, entry->handle);

	if (r == -ENOENT && is_going) {
		entry->state = ENTRY_EMPTY;
		return false;
	}
	if (!went(r, "%s was acknowledged and is not there (id %" PRIu64 ")", entry->name,
		  entry->handle.id))
		return false;
	if (entry->is_doubtful) {
		doubt(entry, &stat, 0);
		entry->state = ENTRY_LIVE;
		return true;
	}
	entry->len = stat.len;
	entry->filled = lesser(entry->filled, stat.len);
	if (strcmp(stat.name, entry->is_unnamed ? "" : entry->name) != 0) {
		if (entry->state != ENTRY_RENAMING || (strcmp(stat.name, entry->last_name) != 0))
			fail(NULL, "%s, id %" PRIu64 ": is called %s now", entry->name,
			     entry->handle.id, stat.name);
		memcpy(entry->name, entry->last_name, sizeof(entry->name));
		entry->is_unnamed = false;
	}
	entry->state = ENTRY_LIVE;
	return true;
}

static void refused_change(struct entry *entry)
{
	entry->is_doubtful = me.is_tolerant;
	if (!me.is_lost)
		look_again(entry);
}

void own_resize(struct entry *entry)
{
	uint64_t len = entry->stride > 1 ? GIB * (1 + rnd(2)) : random_len(arena_of(entry));

	count(KIND_RESIZE);
	if (entry->stride == 1 && len / BLOCK > MANY_BLOCKS)
		return;
	entry->life = me.books->lives;
	entry->state = ENTRY_RESIZING;
	books_note(me.books, entry->origin, len < entry->len ? "shrink" : "grow");
	if (!went(pma_resize(me.pma, entry->handle, len), "resize %s to %#" PRIx64, entry->name,
		  len))
		entry->is_doubtful = me.is_tolerant;
	if (me.is_lost || !look_again(entry))
		return;
	if (rnd(2))
		pma_unmap(own_map(entry, rnd(2)));
}

void own_rename(struct entry *entry)
{
	if (entry->is_unnamed)
		return;
	count(KIND_RENAME);
	memcpy(entry->last_name, entry->name, sizeof(entry->name));
	entry->state = ENTRY_RENAMING;
	give_name(entry);
	entry->is_unnamed = rnd(4) == 0;
	if (went(pma_rename(me.pma, entry->handle, entry->is_unnamed ? NULL : entry->name),
		 "rename to %s", entry->name))
		entry->state = ENTRY_LIVE;
	else
		refused_change(entry);
}

void own_set(struct entry *entry)
{
	count(KIND_SETATTR);
	went(pma_set_mode(me.pma, entry->handle, mode_of(entry)), "mode of %s", entry->name);
	if (me.uid == 0 && entry->is_shared) {
		int r = pma_set_owner(me.pma, entry->handle,
				      rnd(2) ? 0 : FIRST_UID + (uint32_t)rnd(NR_UIDS),
				      (uint32_t)-1);

		if (r != -EBUSY)
			went(r, "owner of %s", entry->name);
	}
}

void own_drop(struct entry *entry)
{
	struct pma *by = me.other && rnd(3) == 0 ? me.other : me.pma;
	int r;

	count(KIND_DROP);
	entry->state = ENTRY_DROPPING;
	books_note(me.books, entry->origin, by == me.pma ? "free" : "free by other");
	r = pma_free(by, entry->handle);
	if (went(r, "free %s", entry->name)) {
		if (!me.is_tolerant && pma_is_valid(me.pma, entry->handle))
			fail(NULL, "%s, id %" PRIu64 ": freed, and its handle is valid",
			     entry->name, entry->handle.id);
		/*
		 * This session may still have it open, and its space is kept until it says
		 * otherwise.
		 */
		if (by != me.pma && rnd(4))
			went(pma_close(me.pma, entry->handle), "close what was freed, %s",
			     entry->name);
		entry->state = ENTRY_EMPTY;
	} else {
		refused_change(entry);
	}
}

/* ---- what is not known ---- */

static void settle_making(struct entry *entry)
{
	struct pma_info stat;
	int r;

	if (entry->token) {             /* asked again it is made once */
		create(entry);
		if (entry->state != ENTRY_MAKING)
			return;
		/* A reservation whose reply was lost keeps the name from its own session. */
		r = pma_stat_name(&stat, me.pma, entry->handle.arena, entry->name);
		if (r == 0 && stat.is_reserved && pma_abort(me.pma, stat.handle) == 0)
			entry->state = ENTRY_EMPTY;
		return;
	}
	r = pma_stat_name(&stat, me.pma, entry->handle.arena, entry->name);
	if (r == -ENOENT) {
		entry->state = ENTRY_EMPTY;
	} else if (went(r, "stat %s", entry->name) && !stat.is_reserved) {
		entry->handle = stat.handle;
		entry->len = stat.len;
		entry->is_doubtful = me.is_tolerant;
		entry->state = ENTRY_LIVE;
	} else if (r == 0 && pma_abort(me.pma, stat.handle) == 0) {
		/* it was this session's; another's goes with its session */
		entry->state = ENTRY_EMPTY;
	}
}

/*
 * A life that was killed may have asked for it, and what waits for space is carried out as long as
 * somebody has that life's connection: a child of its. That it is not there yet says nothing.
 */
static bool may_still_come(const struct entry *entry)
{
	return (entry->state == ENTRY_MAKING || entry->state == ENTRY_RESIZING) &&
	       entry->life != me.books->lives && now_ms() < me.alone_ms;
}

void own_settle(struct entry *entry)
{
	if (may_still_come(entry))
		return;
	books_note(me.books, entry->origin, "settle");
	if (entry->state == ENTRY_MAKING)
		settle_making(entry);
	else if (entry->state > ENTRY_LIVE)
		look_again(entry);
}
