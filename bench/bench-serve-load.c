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

#define BATCH           64
#define PIPELINE_CALLS  8

static const char *const names[] = {
	[LOAD_SINGLE] = "single", [LOAD_BATCH64] = "batch64", [LOAD_PIPELINED] = "pipelined", [LOAD_BUSY_POLL] = "busy-poll",
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
	struct pma *pma = context;
	struct pma_handle handle;
	int r;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = pma_create(&handle, pma, NULL, load->size, 0);
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
			frees[i] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = creates[i].handle };
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
		uint64_t from = turn_now(), between, to;

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

int load_run(struct timing timings[NR_PHASES], const struct load *load)
{
	struct crew_plan plan = {
		.nr = load->nr_clients, .nr_threads = load->mode == LOAD_PIPELINED ? PIPELINE_CALLS : 1, .placement = load->placement,
		.seconds = load->seconds, .open = connect_one, .close = disconnect,
		.work = load->mode == LOAD_BATCH64 ? work_batch : work_single, .arg = load,
	};

	return crew_run(timings, &plan);
}
