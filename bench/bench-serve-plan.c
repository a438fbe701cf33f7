/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan: floors, the daemon, its peers.
 */
#include <config.h>

#include "bench/bench-serve-plan.h"

#include <errno.h>
#include <string.h>

#include "bench/bench-serve-daemon.h"
#include "bench/bench-serve-floor.h"
#include "bench/bench-serve-journey.h"
#include "bench/bench-serve-load.h"
#include "bench/bench-serve-others.h"
#include "bench/bench-serve-peer.h"

#define KiB(n) (UINT64_C(n) << 10)
#define MiB(n) (UINT64_C(n) << 20)
#define GiB(n) (UINT64_C(n) << 30)

/* More than the longest pause of the scrubber lets pile up. */
#define ARENA_SIZE GiB(4)

/* Connected, and ask for nothing, while BUSY_CLIENTS do. */
#define IDLE_CLIENTS 900
#define BUSY_CLIENTS 100

static const char alloc_op[] = "reserve+publish", free_op[] = "free",
		  both_op[] = "reserve+publish+free";
static const char *const plain_ops[NR_PHASES] = {
	[PHASE_THERE] = alloc_op, [PHASE_BACK] = free_op, [PHASE_BOTH] = both_op
};
static const char *const calm_ops[NR_PHASES] = {
	[PHASE_THERE] = "reserve+publish, calm",
	[PHASE_BACK] = "free, calm",
	[PHASE_BOTH] = "both, calm",
};
static const char *const flooded_ops[NR_PHASES] = {
	[PHASE_THERE] = "reserve+publish, flood",
	[PHASE_BACK] = "free, flood",
	[PHASE_BOTH] = "both, flood",
};
static const char *const churned_ops[NR_PHASES] = {
	[PHASE_THERE] = "reserve+publish, churn",
	[PHASE_BACK] = "free, churn",
	[PHASE_BOTH] = "both, churn",
};
/* Beside another user that does its worst. */
static const struct worst {
	enum others what;
	const char *ops[NR_PHASES];
} worsts[] = {
	{ OTHERS_BATCHES,
	  { "reserve+publish, beside batches", "free, beside batches", "both, beside batches" } },
	{ OTHERS_HANG_UPS,
	  { "reserve+publish, beside hang-ups", "free, beside hang-ups",
	    "both, beside hang-ups" } },
	{ OTHERS_MARKS,
	  { "reserve+publish, beside marks", "free, beside marks", "both, beside marks" } },
	{ OTHERS_CONNECTS,
	  { "reserve+publish, beside connects", "free, beside connects",
	    "both, beside connects" } },
};
static const char *const crowded_ops[NR_PHASES] = {
	[PHASE_THERE] = "reserve+publish, 1000",
	[PHASE_BACK] = "free, 1000",
	[PHASE_BOTH] = "both, 1000",
};
static const char leased_op[] = "reserve", leased_both_op[] = "reserve+release";
static const char *const leased_ops[NR_PHASES] = {
	[PHASE_THERE] = leased_op, [PHASE_BACK] = "release", [PHASE_BOTH] = leased_both_op
};
static const char file_alloc_op[] = "end-to-end", kept_op[] = "end-to-end, kept";

struct run {
	struct sheet *sheet;
	const struct plan *plan;
	struct bench_daemon daemon, busy, kept;
};

/* ---- the floor ---- */

static int add_floor(struct timing *floor, struct run *run, enum placement placement,
		     unsigned clients)
{
	struct row row = { .op = "ping-pong",
			   .clients = clients,
			   .mode = "single",
			   .placement = placement_name(placement) };
	int r = floor_run(floor, placement, clients, run->plan->seconds);

	row.timing = *floor;
	row.floor_p50_us = floor->p50_us;
	if (r == 0)
		sheet_add(run->sheet, &row);
	return r;
}

/* ---- the daemon ---- */

static void add_load(struct run *run, const char *const ops[NR_PHASES], const struct load *load,
		     const struct timing timings[NR_PHASES], const struct timing *floor)
{
	for (int phase = 0; phase < NR_PHASES; phase++) {
		struct row row = {
			.op = ops[phase],
			.size = load->size,
			.clients = load->nr_clients,
			.mode = load_mode_name(load->mode),
			.placement = placement_name(load->placement),
			.timing = timings[phase],
			.floor_p50_us = floor->p50_us * (phase == PHASE_BOTH ? 2 : 1),
		};

		sheet_add(run->sheet, &row);
	}
}

static int measure_as(struct run *run, enum load_mode mode, uint64_t size, enum placement placement,
		      unsigned clients, const char *admin, const struct timing *floor)
{
	struct load load = {
		.socket = mode == LOAD_BUSY_POLL ? run->busy.socket : run->daemon.socket,
		.mode = mode,
		.size = size,
		.placement = placement,
		.nr_clients = clients,
		.seconds = run->plan->seconds,
		.admin = admin,
	};
	struct timing timings[NR_PHASES];
	int r = load_run(timings, &load);

	/* What waits for zeroes at every turn says how long both take, and nothing of either. */
	if (size >= MiB(2) && clients == 1 && !admin && mode != LOAD_CONTENTS)
		timings[PHASE_THERE].nr = timings[PHASE_BACK].nr = 0;
	if (r == 0)
		add_load(run, plain_ops, &load, timings, floor);
	return r;
}

static int measure(struct run *run, enum load_mode mode, uint64_t size, enum placement placement,
		   unsigned clients, const struct timing *floor)
{
	bool is_paced = size >= MiB(2) && clients == 1;
	int r = measure_as(run, mode, size, placement, clients, is_paced ? run->daemon.admin : NULL,
			   floor);

	if (r == 0 && is_paced && mode == LOAD_SINGLE)
		r = measure_as(run, mode, size, placement, clients, NULL, floor);
	return r;
}

static int measure_beside(struct timing timings[NR_PHASES], struct run *run, enum others what,
			  unsigned nr, const char *const ops[NR_PHASES], unsigned clients,
			  enum placement placement, const struct timing *floor)
{
	struct load load = {
		.socket = run->daemon.socket,
		.mode = LOAD_SINGLE,
		.size = KiB(4),
		.placement = placement,
		.nr_clients = clients,
		.seconds = run->plan->seconds,
	};
	pid_t others = others_start(load.socket, what, nr);
	int r = others < 0 ? others : load_run(timings, &load);

	others_stop(others);
	if (r == 0)
		add_load(run, ops, &load, timings, floor);
	return r;
}

static int measure_worst(struct run *run, const struct worst *worst,
			 const struct timing calm[NR_PHASES], enum placement placement,
			 const struct timing *floor)
{
	struct timing timings[NR_PHASES];
	int r = measure_beside(timings, run, worst->what, 1, worst->ops, 1, placement, floor);

	for (int phase = 0; r == 0 && phase < NR_PHASES; phase++)
		sheet_compare(run->sheet, worst->ops[phase], KiB(4), load_mode_name(LOAD_SINGLE),
			      "calm", calm[phase].p50_us);
	return r;
}

/*
 * One client beside one that does nothing, and then the same beside busy ones, within seconds: the
 * first is the peer of the others.
 */
static int measure_neighbours(struct run *run, enum placement placement, const struct timing *floor)
{
	struct timing calm[NR_PHASES], timings[NR_PHASES];
	int r = measure_beside(calm, run, OTHERS_IDLE, 1, calm_ops, 1, placement, floor);

	if (r == 0)
		r = measure_beside(timings, run, OTHERS_FLOOD, 1, flooded_ops, 1, placement, floor);
	if (r == 0)
		r = measure_beside(timings, run, OTHERS_CHURN, 1, churned_ops, 1, placement, floor);
	for (int phase = 0; r == 0 && phase < NR_PHASES; phase++) {
		sheet_compare(run->sheet, flooded_ops[phase], KiB(4), load_mode_name(LOAD_SINGLE),
			      "calm", calm[phase].p50_us);
		sheet_compare(run->sheet, churned_ops[phase], KiB(4), load_mode_name(LOAD_SINGLE),
			      "calm", calm[phase].p50_us);
	}
	for (size_t i = 0; r == 0 && i < sizeof(worsts) / sizeof(*worsts); i++)
		r = measure_worst(run, &worsts[i], calm, placement, floor);
	return r;
}

static int measure_crowd(struct run *run, enum placement placement)
{
	struct timing floor, timings[NR_PHASES];
	int r = add_floor(&floor, run, placement, BUSY_CLIENTS);

	return r < 0 ? r
		     : measure_beside(timings, run, OTHERS_IDLE, IDLE_CLIENTS, crowded_ops,
				      BUSY_CLIENTS, placement, &floor);
}

static int measure_leased(struct run *run, enum placement placement, const struct timing *floor)
{
	static const struct timing none = { .p50_us = 0 };
	struct load load = { .socket = run->daemon.socket,
			     .placement = placement,
			     .nr_clients = 1,
			     .seconds = run->plan->seconds };
	int r = 0;

	for (load.size = KiB(4); r == 0 && load.size <= MiB(2); load.size *= 512) {
		struct timing timings[NR_PHASES];

		load.mode = LOAD_LEASED;
		r = load_run(timings, &load);
		if (r == 0)
			add_load(run, leased_ops, &load, timings, &none);
		load.mode = LOAD_LEASED_PUBLISH;
		if (r == 0)
			r = load_run(timings, &load);
		if (r == 0)
			add_load(run, plain_ops, &load, timings, floor);
	}
	return r;
}

static int measure_one_client(struct run *run, enum placement placement)
{
	struct timing floor;
	int r = add_floor(&floor, run, placement, 1);

	for (enum load_mode mode = LOAD_SINGLE; r == 0 && mode <= LOAD_BATCH64; mode++) {
		r = measure(run, mode, KiB(4), placement, 1, &floor);
		if (r == 0)
			r = measure(run, mode, MiB(2), placement, 1, &floor);
	}
	/* Nothing is zeroed there, so there is nothing to wait for. */
	if (r == 0)
		r = measure_as(run, LOAD_CONTENTS, MiB(2), placement, 1, NULL, &floor);
	if (r == 0 && !run->plan->is_quick)
		r = measure(run, LOAD_SINGLE, GiB(1), placement, 1, &floor);
	if (r == 0)
		r = measure(run, LOAD_PIPELINED, KiB(4), placement, 1, &floor);
	if (r == 0 && placement == PLACE_CROSS_CORE)
		r = measure(run, LOAD_BUSY_POLL, KiB(4), placement, 1, &floor);
	if (r == 0 && placement == PLACE_CROSS_CORE)
		r = measure_neighbours(run, placement, &floor);
	if (r == 0)
		r = measure_leased(run, placement, &floor);
	return r;
}

static int measure_many_clients(struct run *run, enum placement placement, unsigned clients)
{
	struct timing floor;
	int r = add_floor(&floor, run, placement, clients);

	if (r == 0)
		r = measure(run, LOAD_SINGLE, KiB(4), placement, clients, &floor);
	if (r == 0)
		r = measure(run, LOAD_SINGLE, MiB(2), placement, clients, &floor);
	return r;
}

static int measure_daemon(struct run *run)
{
	enum placement apart =
		placement_is_possible(PLACE_CROSS_CORE) ? PLACE_CROSS_CORE : PLACE_SAME_CORE;
	int r = measure_one_client(run, PLACE_SAME_CORE);

	if (apart != PLACE_CROSS_CORE)
		sheet_miss(run->sheet, "across cores: there is only one");
	else if (r == 0)
		r = measure_one_client(run, PLACE_CROSS_CORE);
	if (r == 0)
		r = measure_many_clients(run, apart, 8);
	if (r == 0)
		r = measure_many_clients(run, apart, 64);
	if (r == 0)
		r = measure_crowd(run, apart);
	return r;
}

/* ---- the peers ---- */

typedef int peer_fn(struct timing timings[NR_PHASES], const struct peer *peer);

struct match {
	peer_fn *run;
	const char *peer;
	uint64_t size;
	bool on_disk;
	const char *modes[3];           /* of ours that are compared with it; NULL: no more */
};

static const struct match matches[] = {
	{ peer_run_file, "file-tmpfs", KiB(4), false, { "single" } },
	{ peer_run_file, "file-tmpfs", MiB(2), false, { "single", "batch64", "contents" } },
	{ peer_run_file, "file-tmpfs", GiB(1), false, { "single" } },
	{ peer_run_file, "file-ext4", KiB(4), true, { "single" } },
	{ peer_run_file, "file-ext4", MiB(2), true, { "single" } },
	{ peer_run_memfd, "memfd-passed", KiB(4), false, { "single" } },
	{ peer_run_memfd, "memfd-passed", MiB(2), false, { "single" } },
	{ peer_run_pmemobj, "pmemobj-alloc", KiB(4), false, { "single", "batch64" } },
	{ peer_run_pmemobj, "pmemobj-alloc", MiB(2), false, { "single", "batch64" } },
	{ peer_run_pmemobj_publish, "pmemobj-reserve-publish", KiB(4), false, { "batch64" } },
	{ peer_run_memkind, "memkind-malloc", KiB(4), false, { "leased" } },
	{ peer_run_memkind, "memkind-malloc", MiB(2), false, { "leased" } },
	{ peer_run_pmemobj_publish, "pmemobj-reserve-publish", KiB(4), false, { "leased" } },
};

static void compare(struct run *run, const struct match *match,
		    const struct timing timings[NR_PHASES])
{
	for (int i = 0; i < 3 && match->modes[i]; i++) {
		/*
		 * Nobody else's view of an object, and volatile: as a piece that is not published.
		 */
		if (match->run == peer_run_memkind) {
			sheet_compare(run->sheet, leased_op, match->size, match->modes[i],
				      match->peer, timings[PHASE_THERE].p50_us);
			sheet_compare(run->sheet, leased_both_op, match->size, match->modes[i],
				      match->peer, timings[PHASE_BOTH].p50_us);
			continue;
		}
		sheet_compare(run->sheet, alloc_op, match->size, match->modes[i], match->peer,
			      timings[PHASE_THERE].p50_us);
		sheet_compare(run->sheet, both_op, match->size, match->modes[i], match->peer,
			      timings[PHASE_BOTH].p50_us);
	}
}

static void measure_peer(struct run *run, const struct match *match)
{
	const struct plan *plan = run->plan;
	struct peer peer = { .dir = match->on_disk ? plan->disk_dir : plan->dir,
			     .size = match->size,
			     .seconds = plan->seconds };
	struct timing timings[NR_PHASES];
	int r;

	if (match->size == GiB(1) && plan->is_quick)
		return;
	r = peer.dir ? match->run(timings, &peer) : -EOPNOTSUPP;
	if (r == 0)
		compare(run, match, timings);
	else
		sheet_miss(run->sheet, match->peer);
}

/* ---- end to end ---- */

static int measure_journeys(struct run *run)
{
	struct journey journey = { .dir = run->plan->dir,
				   .size = MiB(2),
				   .placement = PLACE_SAME_CORE,
				   .seconds = run->plan->seconds };
	struct row row = { .op = file_alloc_op,
			   .size = journey.size,
			   .clients = 1,
			   .mode = "single",
			   .placement = placement_name(journey.placement) };
	struct timing timings[NR_PHASES];
	int r;

	journey.socket = run->daemon.socket;
	r = journey_run(timings, &journey);
	if (r < 0)
		return r;
	row.timing = timings[PHASE_THERE];
	sheet_add(run->sheet, &row);
	journey.socket = run->kept.socket;
	journey.keeps_mapping = true;
	r = journey_run(timings, &journey);
	if (r < 0)
		return r;
	row.op = kept_op;
	row.timing = timings[PHASE_THERE];
	sheet_add(run->sheet, &row);
	journey.socket = NULL;
	journey.keeps_mapping = false;
	if (journey_run(timings, &journey) < 0)
		return 0;
	sheet_compare(run->sheet, file_alloc_op, row.size, row.mode, "file-tmpfs",
		      timings[PHASE_THERE].p50_us);
	sheet_compare(run->sheet, kept_op, row.size, row.mode, "file-tmpfs",
		      timings[PHASE_THERE].p50_us);
	return 0;
}

/* ---- all ---- */

int plan_run(struct sheet *sheet, const struct plan *plan)
{
	struct run run = { .sheet = sheet, .plan = plan };
	int r;

	r = bench_daemon_start(&run.daemon, plan->program, plan->dir, "daemon", ARENA_SIZE, 0);
	if (r == 0)
		r = bench_daemon_start(&run.busy, plan->program, plan->dir, "busy", MiB(256),
				       LOAD_BUSY_POLL_US);
	if (r == 0)
		r = bench_daemon_start(&run.kept, plan->program, plan->dir, "kept", GiB(1), 0);
	if (r == 0)
		r = measure_daemon(&run);
	for (size_t i = 0; r == 0 && i < sizeof(matches) / sizeof(*matches); i++)
		measure_peer(&run, &matches[i]);
	if (r == 0)
		r = measure_journeys(&run);
	bench_daemon_stop(&run.kept);
	bench_daemon_stop(&run.busy);
	bench_daemon_stop(&run.daemon);
	return r;
}
