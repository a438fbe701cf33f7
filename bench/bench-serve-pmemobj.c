/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemobj: libpmemobj in a pool on the tmpfs, told to take it for persistent memory.
 */
#include <config.h>

#include "bench/bench-serve-peer.h"

#include <errno.h>

#ifdef HAVE_PMEMOBJ

#include <libpmemobj.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL_SIZE (UINT64_C(512) << 20)

static int open_pool(void **context, const void *arg, unsigned index)
{
	const struct peer *peer = arg;
	char path[128];

	snprintf(path, sizeof(path), "%s/pool", peer->dir);
	setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	*context = pmemobj_create(path, "bench", POOL_SIZE, 0600);
	if (!*context)
		fprintf(stderr, "bench-serve: libpmemobj: %s\n", pmemobj_errormsg());
	unlink(path);
	return *context ? 0 : -EIO;
}

static void close_pool(void *context)
{
	pmemobj_close(context);
}

static int allocate(PMEMobjpool *pool, PMEMoid *oid, uint64_t size)
{
	return pmemobj_alloc(pool, oid, size, 1, NULL, NULL) == 0 ? 0 : -ENOMEM;
}

static int publish(PMEMobjpool *pool, PMEMoid *oid, uint64_t size)
{
	struct pobj_action action;

	*oid = pmemobj_reserve(pool, &action, size, 1);
	if (OID_IS_NULL(*oid))
		return -ENOMEM;
	return pmemobj_publish(pool, &action, 1) == 0 ? 0 : -EIO;
}

/* As many at once as our batches have. */
#define OBJECTS 64

static int go_round(struct turn *turn, PMEMobjpool *pool, const struct peer *peer,
		    int (*make)(PMEMobjpool *, PMEMoid *, uint64_t))
{
	PMEMoid oids[OBJECTS];
	int r = 0;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		for (int i = 0; r == 0 && i < OBJECTS; i++)
			r = make(pool, &oids[i], peer->size);
		if (r < 0)
			return r;
		between = turn_now();
		for (int i = 0; i < OBJECTS; i++)
			pmemobj_free(&oids[i]);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, OBJECTS);
		turn_note(turn, PHASE_BACK, between, to, OBJECTS);
		turn_note(turn, PHASE_BOTH, from, to, OBJECTS);
	}
	return 0;
}

static int work_alloc(struct turn *turn, void *context, const void *arg)
{
	return go_round(turn, context, arg, allocate);
}

static int work_publish(struct turn *turn, void *context, const void *arg)
{
	return go_round(turn, context, arg, publish);
}

static int run(struct timing timings[NR_PHASES], const struct peer *peer,
	       int (*work)(struct turn *, void *, const void *))
{
	struct crew_plan plan = {
		.nr = 1, .nr_threads = 1, .placement = PLACE_SAME_CORE, .seconds = peer->seconds,
		.open = open_pool, .close = close_pool, .work = work, .arg = peer,
	};

	return crew_run(timings, &plan);
}

int peer_run_pmemobj(struct timing timings[NR_PHASES], const struct peer *peer)
{
	return run(timings, peer, work_alloc);
}

int peer_run_pmemobj_publish(struct timing timings[NR_PHASES], const struct peer *peer)
{
	return run(timings, peer, work_publish);
}

#else

int peer_run_pmemobj(struct timing timings[NR_PHASES], const struct peer *peer)
{
	return -EOPNOTSUPP;
}

int peer_run_pmemobj_publish(struct timing timings[NR_PHASES], const struct peer *peer)
{
	return -EOPNOTSUPP;
}

#endif
