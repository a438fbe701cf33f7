/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memkind: memkind_malloc() on a file kind on the tmpfs.
 */
#include <config.h>

#include "bench/bench-serve-peer.h"

#include <errno.h>

#ifdef HAVE_MEMKIND

#include <memkind.h>

#define KIND_SIZE (UINT64_C(256) << 20)
#define BATCH     64

static int open_kind(void **context, const void *arg, unsigned index)
{
	const struct peer *peer = arg;
	struct memkind *kind;

	if (memkind_create_pmem(peer->dir, KIND_SIZE, &kind) != MEMKIND_SUCCESS)
		return -EIO;
	*context = kind;
	return 0;
}

static void close_kind(void *context)
{
	memkind_destroy_kind(context);
}

/* As many at a time as ours, so that reading the clock weighs the same. */
static int work(struct turn *turn, void *context, const void *arg)
{
	const struct peer *peer = arg;
	void *memory[BATCH];

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		for (unsigned i = 0; i < BATCH; i++) {
			memory[i] = memkind_malloc(context, peer->size);
			if (!memory[i])
				return -ENOMEM;
		}
		between = turn_now();
		for (unsigned i = 0; i < BATCH; i++)
			memkind_free(context, memory[i]);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, BATCH);
		turn_note(turn, PHASE_BACK, between, to, BATCH);
		turn_note(turn, PHASE_BOTH, from, to, BATCH);
	}
	return 0;
}

int peer_run_memkind(struct timing timings[NR_PHASES], const struct peer *peer)
{
	struct crew_plan plan = {
		.nr = 1, .nr_threads = 1, .placement = PLACE_SAME_CORE, .seconds = peer->seconds,
		.open = open_kind, .close = close_kind, .work = work, .arg = peer,
	};

	return crew_run(timings, &plan);
}

#else

int peer_run_memkind(struct timing timings[NR_PHASES], const struct peer *peer)
{
	return -EOPNOTSUPP;
}

#endif
