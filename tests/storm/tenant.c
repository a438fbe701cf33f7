/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tenant: the arena of the storm whose users, groups and readers each reload of the configuration
 * changes. Any operation there may be refused because this user has lost the right, or has not got
 * it; what was mapped before stays mapped, and is nobody else's until it is unmapped.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define TENANCIES  4u
#define BLOCKS_MAX 600u
#define LISTED     16u

struct tenancy {
	struct pma_mapping *map;        /* NULL: unused */
	struct pma *pma;                /* whose session it is open in; only compared */
	bool is_own;
	struct watch watch;
};

static struct tenancy tenancies[TENANCIES];

/* False: refused, for a reason that there may be. */
static bool may(int r, const char *what)
{
	if (r == -ENOENT || r == -EACCES || r == -EBADF || r == -EBUSY || r == -EINVAL)
		return false;
	return went(r, "%s in the arena of tenants", what);
}

/* ---- coming ---- */

/* What is new reads as zeroes; from here on it has our stamps. */
static void stamp_new(struct tenancy *tenancy, uint64_t origin, uint64_t id)
{
	struct stamp stamp = {
		.origin = origin, .version = 1, .id = id, .uid = me.uid, .pid = (uint32_t)getpid()
	};
	char *base = pma_map_address(tenancy->map);

	for (stamp.off = 0; stamp.off < pma_map_length(tenancy->map); stamp.off += BLOCK) {
		if (!stamp_is_blank(base + stamp.off))
			fail(base + stamp.off,
			     "the arena of tenants, id %" PRIu64 ", origin %" PRIx64
			     ": space that is new does not read as zeroes at offset %#" PRIx64,
			     id, origin, stamp.off);
		stamp_write(base + stamp.off, &stamp);
	}
}

static void begin_watch(struct tenancy *tenancy, uint64_t origin, uint64_t id, const char *who)
{
	uint64_t len = pma_map_length(tenancy->map);

	watch_init(&tenancy->watch, pma_map_address(tenancy->map), len, origin,
		   tenancy->is_own ? len : 0, 1);
	tenancy->watch.arena = me.tenants;
	tenancy->watch.id = id;
	tenancy->watch.who = who;
	tenancy->pma = me.pma;
}

static void move_in(struct tenancy *tenancy)
{
	uint64_t origin = ORIGIN(me.maker, ++me.books->next_number);
	struct pma_op op = { .opcode = rnd(3) ? PMA_OP_CREATE : PMA_OP_RESERVE,
			     .handle.arena = me.tenants,
			     .len = (1 + rnd(BLOCKS_MAX)) * BLOCK,
			     .mode = rnd(2) ? 0644 : 0600 };
	char name[64];

	snprintf(name, sizeof(name), "t/%u/%u/%c/%" PRIx64, me.uid, me.maker,
		 op.mode == 0644 ? 's' : 'p', origin);
	op.name = name;
	if (!may(pma_run(me.pma, &op, 1), "create") || !may(op.result, "create") ||
	    !may(pma_map(&tenancy->map, me.pma, op.handle, PMA_MAP_WRITE), "map"))
		return;
	tenancy->is_own = true;
	stamp_new(tenancy, origin, op.handle.id);
	begin_watch(tenancy, origin, op.handle.id, "a tenant's map");
	if (op.opcode == PMA_OP_RESERVE && rnd(2))
		may(pma_publish(me.pma, op.handle), "publish");
}

static void visit(struct tenancy *tenancy)
{
	unsigned uid, maker, owner = FIRST_UID + (unsigned)rnd(NR_UIDS);
	struct pma_info stats[LISTED];
	struct pma_handle handle = { .arena = me.tenants };
	size_t nr = LISTED;
	uint64_t cursor = 0, origin;
	char prefix[32], kind;
	const char *name;
	int r;

	snprintf(prefix, sizeof(prefix), "t/%u/", rnd(4) ? owner : 0);
	if (!may(pma_list(stats, &nr, &cursor, me.pma, me.tenants, prefix), "list") || nr == 0)
		return;
	name = stats[rnd(nr)].name;
	if (sscanf(name, "t/%u/%u/%c/%" SCNx64, &uid, &maker, &kind, &origin) != 4)
		fail(NULL, "a name that nobody gave: %s", name);
	r = pma_open(&handle, me.pma, name, PMA_READ_ONLY);
	if (r == 0 && kind == 'p' && uid != me.uid && me.uid != 0)
		fail(NULL, "%s of uid %u could be opened by uid %u", name, uid, me.uid);
	if (!may(r, "open of another's") ||
	    !may(pma_map(&tenancy->map, me.pma, handle, PMA_MAP_READ), "map of another's"))
		return;
	tenancy->is_own = false;
	begin_watch(tenancy, origin, handle.id, "a reader's map");
}

/* ---- going ---- */

static void move_out(struct tenancy *tenancy)
{
	struct pma_handle handle = pma_map_handle(tenancy->map);
	bool is_here = tenancy->pma == me.pma;

	/* Freed by another session while it is mapped: its space stays ours. */
	if (tenancy->is_own && me.other && rnd(4) == 0) {
		may(pma_free(me.other, handle), "free by the other session");
		if (rnd(2))
			return;
	}
	pma_unmap(tenancy->map);
	tenancy->map = NULL;
	if (!is_here)
		return;
	if (tenancy->is_own && rnd(2))
		may(pma_free(me.pma, handle), "free");
	else if (rnd(4))
		may(pma_close(me.pma, handle), "close");
}

/* Also what a life before, or a session that was lost, has left. */
static void clear_out(void)
{
	struct pma_info stats[LISTED];
	size_t nr = LISTED;
	uint64_t cursor = 0;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "t/%u/%u/", me.uid, me.maker);
	if (!may(pma_list(stats, &nr, &cursor, me.pma, me.tenants, prefix), "list"))
		return;
	for (size_t i = 0; i < nr; i++)
		may(pma_free(me.pma, stats[i].handle), "free what is left");
}

void tenant_step(void)
{
	struct tenancy *tenancy = &tenancies[rnd(TENANCIES)];

	count(KIND_TENANT);
	if (tenancy->map)
		move_out(tenancy);
	else if (rnd(3))
		move_in(tenancy);
	else
		visit(tenancy);
	if (rnd(8) == 0)
		clear_out();
}

void tenant_look(void)
{
	for (unsigned i = 0; i < TENANCIES; i++)
		if (tenancies[i].map && !watch_check(&tenancies[i].watch))
			_exit(1);
}

bool tenant_sweep(void)
{
	struct pma_info stats[LISTED];
	size_t nr;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "t/%u/%u/", me.uid, me.maker);
	do {
		uint64_t cursor = 0;

		nr = LISTED;
		if (!went(pma_list(stats, &nr, &cursor, me.pma, me.tenants, prefix),
			  "list of the arena of tenants"))
			return false;
		for (size_t i = 0; i < nr; i++)
			if (!went(pma_free(me.pma, stats[i].handle), "free %s", stats[i].name))
				return false;
	} while (nr > 0);
	return true;
}
