/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "bench/bench-window-crowd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int window_connect(struct pma **pma, const char *socket)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	pma_options_set_socket(options, socket);
	r = pma_connect(pma, options);
	pma_options_free(options);
	if (r < 0)
		fprintf(stderr, "bench-window: connecting: %s\n", pma_message());
	return r;
}

/* ---- who has windows ---- */

/* A session needs some descriptors; most systems begin with 1,024. */
static void need_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int join(const char *socket, const struct window_job *job, unsigned index)
{
	struct pma_key keys[CROWD_PINS] = { { .name = NULL } };
	struct pma_pin pins[CROWD_PINS];
	struct pma_window *window;
	struct pma *pma;
	int r = window_connect(&pma, socket);

	if (r == 0)
		r = pma_window_open(&window, pma, 0, 0, 0);
	for (unsigned i = 0; i < CROWD_PINS; i++)
		keys[i].name = job->names[(index * CROWD_PINS + i) % job->nr];
	if (r == 0)
		r = pma_get(window, pins, keys, CROWD_PINS, 0) == (int)CROWD_PINS ? 0 : -ENOENT;
	if (r < 0)
		fprintf(stderr, "bench-window: session %u of the crowd: %s\n", index,
			pma_message());
	return r;
}

static void be_crowd(int ready, const char *socket, const struct window_job *job)
{
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	need_descriptors();
	for (unsigned i = 0; r == 0 && i < CROWD_SESSIONS; i++)
		r = join(socket, job, i);
	if (write(ready, &r, sizeof(r)) == (ssize_t)sizeof(r) && r == 0)
		for (;;)
			pause();
	_exit(1);
}

pid_t window_crowd_start(const char *socket, const struct window_job *job)
{
	int ready[2], r = -EPIPE;
	pid_t pid;

	if (pipe(ready) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		be_crowd(ready[1], socket, job);
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &r, sizeof(r)) != (ssize_t)sizeof(r))
		r = -EPIPE;
	close(ready[0]);
	if (pid > 0 && r < 0)
		window_crowd_end(pid);
	return pid > 0 && r < 0 ? r : pid;
}

void window_crowd_end(pid_t pid)
{
	int status;

	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* ---- who frees ---- */

int window_frees_open(void **context, const void *arg, unsigned index)
{
	const struct window_frees *frees = arg;
	struct pma *pma;
	int r = window_connect(&pma, frees->socket);

	(void)index;
	*context = r == 0 ? pma : NULL;
	return r;
}

void window_frees_close(void *context)
{
	pma_disconnect(context);
}

static int publish(struct pma *pma, struct pma_op ops[CROWD_FREES])
{
	int r;

	for (unsigned i = 0; i < CROWD_FREES; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_CREATE, .len = 4096 };
	r = pma_run(pma, ops, CROWD_FREES);
	for (unsigned i = 0; r == 0 && i < CROWD_FREES; i++)
		r = ops[i].result;
	return r;
}

static int free_all(struct pma *pma, struct pma_op ops[CROWD_FREES], bool in_one)
{
	int r = 0;

	for (unsigned i = 0; i < CROWD_FREES; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = ops[i].handle };
	if (in_one)
		r = pma_run(pma, ops, CROWD_FREES);
	for (unsigned i = 0; r == 0 && i < CROWD_FREES; i++)
		r = in_one ? ops[i].result : pma_free(pma, ops[i].handle);
	return r;
}

int window_frees(struct turn *turn, void *context, const void *arg)
{
	const struct window_frees *frees = arg;
	struct pma_op ops[CROWD_FREES];
	int r = 0;

	while (r == 0 && turn_goes_on(turn)) {
		uint64_t from;

		r = publish(context, ops);
		from = turn_now();
		if (r == 0)
			r = free_all(context, ops, frees->in_one);
		turn_note(turn, PHASE_THERE, from, turn_now(), CROWD_FREES);
	}
	if (r < 0)
		fprintf(stderr, "bench-window: a free: %s\n", pma_message());
	return r;
}
