/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * others: forked, on the processors of clients, and killed when they are not needed any more.
 */
#include <config.h>

#include "bench/bench-serve-others.h"

#include <errno.h>
#include <grp.h>
#include <pmemarena.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
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
			frees[i] = (struct pma_op){ .opcode = PMA_OP_FREE,
						    .handle = creates[i].handle };
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

/* ---- the worst within a quota ---- */

#define FLOODS      8
#define HELD        8192u
#define MARKS       1000u
#define OTHER_UID   65534u

static int run_batches(const char *socket)
{
	struct pma *pma;
	int r = 0;

	for (int i = 1; i < FLOODS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		break;
	}
	r = connect_one(&pma, socket);
	return r < 0 ? r : flood(pma);
}

static int reserve_many(struct pma *pma)
{
	static struct pma_op ops[BATCH];
	int r = 0;

	for (unsigned done = 0; r == 0 && done < HELD; done += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			ops[i] = (struct pma_op){ .opcode = PMA_OP_RESERVE, .len = 4096 };
		r = pma_run(pma, ops, BATCH);
	}
	return r;
}

static int run_hang_ups(const char *socket)
{
	struct pma *pma;
	int r = 0;

	while (r == 0) {
		r = connect_one(&pma, socket);
		if (r == 0)
			r = reserve_many(pma);
		if (r == 0)
			pma_disconnect(pma);
	}
	return r;
}

/* The mapping outlives its session. */
static int map_and_hang_up(void **map, const char *socket)
{
	struct pma *pma;
	int r = connect_one(&pma, socket), fd;

	if (r < 0)
		return r;
	fd = pma_device_fd(pma, 0, 0);
	*map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	pma_disconnect(pma);
	return *map == MAP_FAILED ? -EIO : 0;
}

static int run_marks(const char *socket, int ready)
{
	static void *maps[MARKS];
	int r = 0;

	for (unsigned i = 0; r == 0; i = (i + 1) % MARKS) {
		if (maps[i])
			munmap(maps[i], 4096);
		r = map_and_hang_up(&maps[i], socket);
		/* All that there will be are there. */
		if (r == 0 && i == MARKS - 1 && ready >= 0) {
			r = write(ready, "", 1) == 1 ? 0 : -errno;
			ready = -1;
		}
	}
	return r;
}

static int run_connects(const char *socket)
{
	struct pma *pma;
	int r = 0;

	while (r == 0) {
		r = connect_one(&pma, socket);
		if (r == 0)
			pma_disconnect(pma);
	}
	return r;
}

/*
 * As another user, and when nobody else wants the processor: it is the daemon that is measured, and
 * not the kernel's scheduler.
 */
static int become_another(void)
{
	struct sched_param param = { .sched_priority = 0 };

	sched_setscheduler(0, SCHED_IDLE, &param);
	if (getuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setgid(OTHER_UID) < 0 || setuid(OTHER_UID) < 0 ? -errno
											: 0;
}

static int run_worst(const char *socket, enum others what, int ready)
{
	int r = become_another();

	if (r < 0)
		return r;
	prctl(PR_SET_PDEATHSIG, SIGKILL);       /* forgotten with the user */
	if (what == OTHERS_MARKS)
		return run_marks(socket, ready);
	if (write(ready, "", 1) != 1)
		return -errno;
	return what == OTHERS_BATCHES	 ? run_batches(socket)
	       : what == OTHERS_HANG_UPS ? run_hang_ups(socket)
					 : run_connects(socket);
}

static int run(const char *socket, enum others what, unsigned nr, int ready)
{
	struct pma *pma;
	int r = place_client(placement_is_possible(PLACE_CROSS_CORE) ? PLACE_CROSS_CORE
								     : PLACE_SAME_CORE);

	if (r == 0 && what >= OTHERS_BATCHES)
		r = run_worst(socket, what, ready);
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
