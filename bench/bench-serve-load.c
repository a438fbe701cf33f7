/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load: through the library, as any client.
 */
#include <config.h>

#include "bench/bench-serve-load.h"

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench-serve-daemon.h"

#define BATCH           64
#define PIPELINE_CALLS  8
#define CACHE_BYTES     (UINT64_C(256) << 20)
/* Allocated before any of it is freed, where freed space is waited for. */
#define ROUND_BYTES     (UINT64_C(128) << 20)
#define ROUND_MAX       64

static const char *const names[] = {
	[LOAD_SINGLE] = "single",	[LOAD_BATCH64] = "batch64",
	[LOAD_PIPELINED] = "pipelined", [LOAD_BUSY_POLL] = "busy-poll",
	[LOAD_LEASED] = "leased",	[LOAD_LEASED_PUBLISH] = "leased",
	[LOAD_CONTENTS] = "contents",
};

const char *load_mode_name(enum load_mode mode)
{
	return names[mode];
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "bench-serve: %s: %s (%s)\n", what, strerror(-r), pma_message());
	return r;
}

static int connect_one(void **context, const void *arg, unsigned index)
{
	const struct load *load = arg;
	struct pma_options *options;
	struct pma *pma;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	pma_options_set_socket(options, load->socket);
	if (load->mode == LOAD_BUSY_POLL)
		pma_options_set_busy_poll_us(options, LOAD_BUSY_POLL_US);
	r = pma_connect(&pma, options);
	pma_options_free(options);
	if (r < 0)
		return fail("connect", r);
	*context = pma;
	return 0;
}

static void disconnect(void *context)
{
	pma_disconnect(context);
}

static int work_single(struct turn *turn, void *context, const void *arg)
{
	const struct load *load = arg;
	uint32_t flags = load->mode == LOAD_CONTENTS ? PMA_ANY_CONTENTS : 0;
	struct pma *pma = context;
	struct pma_handle handle;
	int r;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = pma_create(&handle, pma, NULL, load->size, flags);
		if (r < 0)
			return fail("create", r);
		between = turn_now();
		r = pma_free(pma, handle);
		if (r < 0)
			return fail("free", r);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, 1);
		turn_note(turn, PHASE_BACK, between, to, 1);
		turn_note(turn, PHASE_BOTH, from, to, 1);
	}
	return 0;
}

static int work_round(struct turn *turn, struct pma *pma, const struct load *load, bool is_noted)
{
	unsigned nr = load->size >= ROUND_BYTES ? 1 : (unsigned)(ROUND_BYTES / load->size);
	struct pma_handle handles[ROUND_MAX];
	uint64_t from, to;
	int r;

	nr = nr > ROUND_MAX ? ROUND_MAX : nr;
	for (unsigned i = 0; i < nr; i++) {
		from = turn_now();
		r = pma_create(&handles[i], pma, NULL, load->size, 0);
		to = turn_now();
		if (r < 0)
			return fail("create", r);
		if (is_noted)
			turn_note(turn, PHASE_THERE, from, to, 1);
	}
	for (unsigned i = 0; i < nr; i++) {
		from = turn_now();
		r = pma_free(pma, handles[i]);
		to = turn_now();
		if (r < 0)
			return fail("free", r);
		if (is_noted)
			turn_note(turn, PHASE_BACK, from, to, 1);
	}
	return 0;
}

/*
 * Latencies from space that is known to be zero. The first round is that of the blocks of the file.
 */
static int work_rounds(struct turn *turn, void *context, const void *arg)
{
	const struct load *load = arg;
	int r = work_round(turn, context, load, false);

	while (r == 0 && turn_goes_on(turn)) {
		r = bench_daemon_wait_zero(load->admin);
		if (r == 0)
			r = work_round(turn, context, load, true);
	}
	return r;
}

static int run_batch(struct pma *pma, struct pma_op *ops, const char *what)
{
	int r = pma_run(pma, ops, BATCH);

	for (unsigned i = 0; i < BATCH && r == 0; i++)
		r = ops[i].result;
	return r < 0 ? fail(what, r) : 0;
}

static void fill(struct pma_op *creates, struct pma_op *frees, uint64_t size)
{
	for (unsigned i = 0; i < BATCH; i++) {
		if (frees)
			frees[i] = (struct pma_op){ .opcode = PMA_OP_FREE,
						    .handle = creates[i].handle };
		else
			creates[i] = (struct pma_op){ .opcode = PMA_OP_CREATE, .len = size };
	}
}

static int work_batch(struct turn *turn, void *context, const void *arg)
{
	struct pma_op creates[BATCH], frees[BATCH];
	const struct load *load = arg;
	int r;

	while (turn_goes_on(turn)) {
		uint64_t from, between, to;

		r = load->admin ? bench_daemon_wait_zero(load->admin) : 0;
		if (r < 0)
			return r;
		from = turn_now();
		fill(creates, NULL, load->size);
		r = run_batch(context, creates, "batch of creates");
		if (r < 0)
			return r;
		between = turn_now();
		fill(creates, frees, 0);
		r = run_batch(context, frees, "batch of frees");
		if (r < 0)
			return r;
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, BATCH);
		turn_note(turn, PHASE_BACK, between, to, BATCH);
		turn_note(turn, PHASE_BOTH, from, to, BATCH);
	}
	return 0;
}

/* ---- from a cache ---- */

static int reserve_pieces(struct pma_piece *pieces, struct pma_cache *cache, uint64_t size)
{
	for (unsigned i = 0; i < BATCH; i++) {
		int r = pma_cache_reserve(&pieces[i], cache, size, 0);

		if (r < 0)
			return fail("reserve from the cache", r);
	}
	return 0;
}

static int release_pieces(struct pma_piece *pieces, struct pma_cache *cache)
{
	for (unsigned i = 0; i < BATCH; i++) {
		int r = pma_cache_release(cache, &pieces[i]);

		if (r < 0)
			return fail("release to the cache", r);
	}
	return 0;
}

static int publish_pieces(struct pma_op *frees, struct pma_piece *pieces, struct pma_cache *cache)
{
	struct pma_publication what[BATCH];
	int r;

	for (unsigned i = 0; i < BATCH; i++)
		what[i] = (struct pma_publication){ .piece = &pieces[i] };
	r = pma_cache_publish(cache, what, BATCH);
	for (unsigned i = 0; i < BATCH && r == 0; i++) {
		r = what[i].result;
		frees[i] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = what[i].handle };
	}
	return r < 0 ? fail("publish from the cache", r) : 0;
}

static int work_pieces(struct turn *turn, struct pma *pma, struct pma_cache *cache,
		       const struct load *load)
{
	bool publishes = load->mode == LOAD_LEASED_PUBLISH;
	struct pma_piece pieces[BATCH];
	struct pma_op frees[BATCH];
	int r = 0;

	while (r == 0 && turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = reserve_pieces(pieces, cache, load->size);
		if (r == 0 && publishes)
			r = publish_pieces(frees, pieces, cache);
		between = turn_now();
		if (r == 0 && publishes)
			r = run_batch(pma, frees, "batch of frees");
		if (r == 0)
			r = release_pieces(pieces, cache);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, BATCH);
		turn_note(turn, PHASE_BACK, between, to, BATCH);
		turn_note(turn, PHASE_BOTH, from, to, BATCH);
	}
	return r;
}

static int work_cache(struct turn *turn, void *context, const void *arg)
{
	struct pma_cache *cache;
	int r = pma_cache_open(&cache, context, 0, CACHE_BYTES);

	if (r < 0)
		return fail("open a cache", r);
	r = work_pieces(turn, context, cache, arg);
	pma_cache_close(cache);
	return r;
}

static bool is_leased(enum load_mode mode)
{
	return mode == LOAD_LEASED || mode == LOAD_LEASED_PUBLISH;
}

int load_run(struct timing timings[NR_PHASES], const struct load *load)
{
	struct crew_plan plan = {
		.nr = load->nr_clients,
		.nr_threads = load->mode == LOAD_PIPELINED ? PIPELINE_CALLS : 1,
		.placement = load->placement,
		.seconds = load->seconds,
		.open = connect_one,
		.close = disconnect,
		.work = is_leased(load->mode)	     ? work_cache
			: load->mode == LOAD_BATCH64 ? work_batch
			: load->admin		     ? work_rounds
						     : work_single,
		.arg = load,
	};

	return crew_run(timings, &plan);
}
