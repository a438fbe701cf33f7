/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest: opens by name what others made, keeps it mapped, and looks at it while its owner writes,
 * resizes, renames and frees it.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define GUESTS 6u
#define LISTED 12u

struct guest {
	struct pma_mapping *map;            /* NULL: unused */
	struct pma *pma;                /* whose session it is open in; only compared */
	struct watch watch;
};

static struct guest guests[GUESTS];

static void leave(struct guest *guest)
{
	struct pma_handle handle = pma_map_handle(guest->map);

	pma_unmap(guest->map);
	guest->map = NULL;
	/*
	 * Left open: that keeps the space, until the session ends. -EBUSY: it is mapped a second
	 * time.
	 */
	if (guest->pma == me.pma && rnd(8)) {
		int r = pma_close(me.pma, handle);

		if (r != -EBUSY)
			went(r, "close of another's");
	}
}

/* One of some other stormer's, at random. False: there is none. */
static bool choose(struct pma_info *out)
{
	uint32_t arena = (uint32_t)rnd(me.nr_arenas);
	struct pma_info stats[LISTED];
	uint64_t cursor = 0;
	size_t nr = LISTED;
	unsigned uid = rnd(3) == 0 ? me.uid : rnd(5) == 0 ? 0 : FIRST_UID + (unsigned)rnd(NR_UIDS);
	char prefix[32];

	if (rnd(3))
		snprintf(prefix, sizeof(prefix), "s/%u/%u/", uid, 1 + (unsigned)rnd(me.nr_makers));
	else
		snprintf(prefix, sizeof(prefix), "s/%u/", uid);
	if (!went(pma_list(stats, &nr, &cursor, me.pma, arena, prefix), "list of another's") ||
	    nr == 0)
		return false;
	*out = stats[rnd(nr)];
	return true;
}

static bool open_it(struct pma_handle *handle, uint64_t *origin, const struct pma_info *stat,
		    uint32_t flags)
{
	unsigned uid, maker;
	char kind;
	int r;

	if (sscanf(stat->name, "s/%u/%u/%c/%" SCNx64, &uid, &maker, &kind, origin) != 4)
		fail(NULL, "a name that nobody gave: %s", stat->name);
	if (maker == me.maker)
		return false;
	*handle = (struct pma_handle){ .arena = stat->handle.arena };
	r = pma_open(handle, me.pma, stat->name, flags);
	if (r == 0 && kind == 'p' && uid != me.uid && me.uid != 0)
		fail(NULL, "%s of uid %u could be opened by uid %u", stat->name, uid, me.uid);
	if (r == -ENOENT || r == -EACCES)       /* gone, renamed, or not for us */
		return false;
	return went(r, "open of another's, %s", stat->name);
}

static void arrive(struct guest *guest)
{
	uint32_t flags = rnd(4) ? PMA_READ_ONLY : 0;
	struct pma_handle handle;
	struct pma_info stat;
	uint64_t origin, len;
	int r;

	if (!choose(&stat) || !open_it(&handle, &origin, &stat, flags))
		return;
	r = pma_map(&guest->map, me.pma, handle, PMA_MAP_READ);
	if (r < 0) {
		guest->map = NULL;
		if (r != -ENOENT)       /* freed meanwhile */
			went(r, "map of another's, %s", stat.name);
		if (!me.is_lost)
			pma_close(me.pma, handle);
		return;
	}
	guest->pma = me.pma;
	len = pma_map_length(guest->map);
	watch_init(&guest->watch, pma_map_address(guest->map), len, origin, 0,
		   len / BLOCK > WATCH_BLOCKS ? 1025 : 1);
	guest->watch.arena = handle.arena;
	guest->watch.id = handle.id;
	guest->watch.who = "an opener's map";
}

static void bequeath(void)
{
	struct watch watches[GUESTS];
	unsigned nr = 0;

	for (unsigned i = 0; i < GUESTS; i++) {
		if (!guests[i].map)
			continue;
		watches[nr] = guests[i].watch;
		watches[nr++].who = "an opener's child's map";
	}
	if (nr > 0)
		heir_spawn(watches, nr);
}

void guest_step(void)
{
	struct guest *guest = &guests[rnd(GUESTS)];

	count(KIND_GUEST);
	if (!guest->map)
		arrive(guest);
	else
		leave(guest);
	if (rnd(10) == 0)
		bequeath();
}

void guest_look(void)
{
	for (unsigned i = 0; i < GUESTS; i++)
		if (guests[i].map && !watch_check(&guests[i].watch))
			_exit(1);
}
