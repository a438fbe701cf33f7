/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heir: who has memory mapped of which the session knows nothing: children of fork() that go on
 * when the parent unmapped, closed, freed or died, and maps that the program made by itself where
 * pma_extents() said.
 */
#include <config.h>

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define MAX_CHILDREN 4
#define LOOK_MS      15
#define STRANGERS    8u

/* ---- children ---- */

/* Until its time is over, or the driver ends the storm: then standard input ends. */
static void live(struct watch *watches, unsigned nr, uint64_t until_ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	bool is_well = true;

	do {
		for (unsigned i = 0; i < nr; i++)
			is_well = watch_check(&watches[i]) && is_well;
	} while (is_well && now_ms() < until_ms && poll(&input, 1, LOOK_MS) == 0);
	__atomic_sub_fetch(&me.books->nr_children, 1, __ATOMIC_RELAXED);
	_exit(is_well ? 0 : 1);
}

bool heir_spawn(const struct watch *watches, unsigned nr)
{
	struct watch inherited[8];
	uint64_t until_ms = now_ms() + 50 + rnd(rnd(4) ? 1000 : 5000);
	bool disconnects = rnd(3);

	if (__atomic_load_n(&me.books->nr_children, __ATOMIC_RELAXED) >= MAX_CHILDREN)
		return false;
	__atomic_add_fetch(&me.books->nr_children, 1, __ATOMIC_RELAXED);
	count(KIND_HEIR);
	for (unsigned i = 0; i < nr; i++)
		books_note(me.books, watches[i].origin, "heir");
	switch (fork()) {
	case 0:
		/* Who does not leaves the parent's connection open beyond the parent's death. */
		if (disconnects)
			pma_disconnect(me.pma);
		for (unsigned i = 0; i < nr; i++)
			inherited[i] = watches[i];
		live(inherited, nr, until_ms);
		_exit(0);
	case -1:
		__atomic_sub_fetch(&me.books->nr_children, 1, __ATOMIC_RELAXED);
		return false;
	default:
		return true;
	}
}

/* ---- what the parent does while somebody else has it mapped ---- */

/* Nothing of it is mapped through the session any more. */
static void go_on(struct entry *entry)
{
	struct pma_handle handle = entry->handle;
	unsigned rounds = (unsigned)rnd(3);

	for (unsigned i = 0; i < rounds; i++) {
		books_note(me.books, entry->origin, "close, open?");
		if (rnd(4) && !went(pma_close(me.pma, entry->handle), "close %s", entry->name))
			return;
		if (rnd(4) &&
		    !went(pma_open(&handle, me.pma, NULL, 0), "open %s again", entry->name))
			return;
		if (rnd(4) == 0)
			pma_unmap(own_map(entry, false));
		if (me.is_lost)
			return;
	}
	switch (rnd(5)) {
	case 0:
		return;
	case 1:
		own_resize(entry);
		return;
	default:
		own_drop(entry);
	}
}

static void watch_entry(struct watch *watch, const struct entry *entry, const void *base,
			const char *who)
{
	watch_init(watch, base, entry->len, entry->origin, entry->filled, entry->stride);
	watch->arena = entry->handle.arena;
	watch->id = entry->handle.id;
	watch->who = who;
}

void heir_of(struct entry *entry)
{
	struct pma_mapping *map = own_map(entry, true);
	struct watch watch;
	bool has_child;

	if (!map)
		return;
	watch_entry(&watch, entry, pma_map_address(map), "a child's map");
	has_child = heir_spawn(&watch, 1);
	pma_unmap(map);
	if (has_child && !me.is_lost)
		go_on(entry);
}

/* ---- the program's own maps ---- */

struct stranger {
	struct watch watch;             /* base NULL: unused */
	uint64_t until_ms;
};

static struct stranger strangers[STRANGERS];

static void forget(struct stranger *stranger)
{
	munmap((void *)(uintptr_t)stranger->watch.base, stranger->watch.len);
	stranger->watch.base = NULL;
}

static bool map_extent(const struct entry *entry, const struct pma_extent *extent, uint64_t off)
{
	uint64_t filled = entry->filled > off ? entry->filled - off : 0;
	struct stranger *stranger = &strangers[rnd(STRANGERS)];
	int fd = pma_device_fd(me.pma, entry->handle.arena, rnd(2));
	void *base;

	if (fd < 0 || stranger->watch.base)
		return false;
	base = mmap(NULL, extent->len, PROT_READ, MAP_SHARED, fd, (off_t)extent->off);
	if (base == MAP_FAILED)
		return false;
	watch_init(&stranger->watch, base, extent->len, entry->origin,
		   filled < extent->len ? filled : extent->len, entry->stride);
	stranger->watch.arena = entry->handle.arena;
	stranger->watch.id = entry->handle.id;
	stranger->watch.off = off;
	stranger->watch.who = "the program's own map";
	stranger->until_ms = now_ms() + 100 + rnd(4000);
	return true;
}

void heir_extents(struct entry *entry)
{
	struct pma_extent extents[3];
	size_t nr = entry->stride > 1 ? 1 : 3;
	struct pma_mapping *map = own_map(entry, true);
	bool has_any = false;
	uint64_t off = 0;

	pma_unmap(map);
	if (!map || !went(pma_extents(extents, &nr, me.pma, entry->handle, 0), "extents of %s",
			  entry->name))
		return;
	count(KIND_EXTENTS);
	books_note(me.books, entry->origin, "extents");
	for (size_t i = 0; i < nr; off += extents[i++].len)
		has_any |= map_extent(entry, &extents[i], off);
	if (has_any)
		go_on(entry);
}

void heir_look(void)
{
	for (unsigned i = 0; i < STRANGERS; i++) {
		struct stranger *stranger = &strangers[i];

		if (!stranger->watch.base)
			continue;
		if (!watch_check(&stranger->watch))
			_exit(1);
		if (now_ms() >= stranger->until_ms)
			forget(stranger);
	}
}
