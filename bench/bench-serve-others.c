/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * others: forked, on the processors of clients, and killed when they are not needed any more.
 */
#include <config.h>

#include "bench/bench-serve-others.h"

#include <errno.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench-serve-crew.h"

#define BATCH PMA_MAX_BATCH

static int connect_one(struct pma **pma, const char *socket)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	pma_options_set_socket(options, socket);
	r = pma_connect(pma, options);
	pma_options_free(options);
	return r;
}

/* The largest batches that there are, one after the other. */
static int flood(struct pma *pma)
{
	static struct pma_op creates[BATCH], frees[BATCH];
	int r = 0;

	while (r == 0) {
		for (unsigned i = 0; i < BATCH; i++)
			creates[i] = (struct pma_op){ .opcode = PMA_OP_CREATE, .len = 4096 };
		r = pma_run(pma, creates, BATCH);
		for (unsigned i = 0; i < BATCH; i++)
			frees[i] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = creates[i].handle };
		if (r == 0)
			r = pma_run(pma, frees, BATCH);
	}
	return r;
}

static int churn(struct pma *pma)
{
	struct pma_handle handle;
	int r = 0;

	while (r == 0) {
		r = pma_create(&handle, pma, NULL, UINT64_C(1) << 30, 0);
		if (r == 0)
			r = pma_free(pma, handle);
	}
	return r;
}

static int run(const char *socket, enum others what, unsigned nr, int ready)
{
	struct pma *pma;
	int r = place_client(placement_is_possible(PLACE_CROSS_CORE) ? PLACE_CROSS_CORE : PLACE_SAME_CORE);

	for (unsigned i = 0; r == 0 && i < nr; i++)
		r = connect_one(&pma, socket);
	if (r == 0 && write(ready, "", 1) != 1)
		r = -errno;
	if (r == 0 && what == OTHERS_FLOOD)
		r = flood(pma);
	if (r == 0 && what == OTHERS_CHURN)
		r = churn(pma);
	if (r == 0)
		pause();
	fprintf(stderr, "bench-serve: others: %s (%s)\n", strerror(-r), pma_message());
	return 1;
}

pid_t others_start(const char *socket, enum others what, unsigned nr)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		_exit(run(socket, what, nr, ready[1]));
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		others_stop(pid);
		pid = -ECHILD;
	}
	close(ready[0]);
	return pid;
}

void others_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
