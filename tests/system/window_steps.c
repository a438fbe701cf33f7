/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_steps: a reader that is stopped at an instruction of get and put, for ever or for good. The
 * arena is full but for one allocation. While the reader is stopped that one is freed, and whether
 * its space can be had then is asked.
 *
 * usage: window_steps kill|stop POINTS [SEED]
 *
 * kill: the reader dies there. Then the space must come back. stop: it goes on. What it got must
 * have shown its own bytes from the get to the put, whatever was made meanwhile; and after that the
 * space must come back. POINTS instructions are tried, 0: all of them. Exit status 77: ptrace is not
 * to be had.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME     "it"
#define PATIENCE_S 10
#define MAX_STEPS  20000

/* What the reader tells. */
static struct report {
	volatile int at;                /* 1: it begins; 2: it has put */
	volatile int result;            /* of the get */
	volatile bool is_wrong;         /* it saw other bytes */
} *report;

static uint64_t page_size;

static int fail(const char *what, int r)
{
	fprintf(stderr, "%s: %d (%s): %s\n", what, r, strerror(-r), pma_message());
	return 1;
}

/* ---- the reader ---- */

static bool has_its_bytes(const struct pma_pin *pin)
{
	const volatile uint64_t *words = pin->address;

	return words[0] == pin->handle.id && words[511] == pin->handle.id;
}

static int read_once(void)
{
	struct pma_key key = { .name = NAME };
	struct pma_window *window;
	struct pma_pin pin;
	struct pma *pma;

	if (pma_connect(&pma, NULL) < 0 || pma_window_open(&window, pma, 0, 0, 0) < 0)
		return fail("the reader's window", -1);
	/* Once before: so the steps do not go through what happens at the first call only. */
	if (pma_get(window, &pin, &key, 1, 0) != 1)
		return fail("the reader's first get", pin.result);
	pma_put(window, &pin, 1);
	report->at = 1;
	raise(SIGTRAP);
	pma_get(window, &pin, &key, 1, PMA_GET_LOCAL);
	report->result = pin.result;
	if (pin.result == 0 && !has_its_bytes(&pin))
		report->is_wrong = true;
	pma_put(window, &pin, 1);
	report->at = 2;
	/* The window stays: only the pin is gone. */
	raise(SIGTRAP);
	pma_window_close(window);
	pma_disconnect(pma);
	return 0;
}

static pid_t start_reader(void)
{
	pid_t pid;

	report->at = 0;
	report->is_wrong = false;
	report->result = 1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		_exit(read_once());
	}
	return pid;
}

/* Until it says that it begins; false: it ended. */
static bool run_to_begin(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) == pid && WIFSTOPPED(*status)) {
		if (WSTOPSIG(*status) == SIGTRAP && report->at == 1)
			return true;
		ptrace(PTRACE_CONT, pid, NULL, WSTOPSIG(*status) == SIGTRAP ? 0 : WSTOPSIG(*status));
	}
	return false;
}

/* So many instructions; returns how many there were until it had put. */
static int step(pid_t pid, int nr)
{
	int status;

	for (int i = 0; i < nr; i++) {
		if (report->at == 2)
			return i;
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			return i;
	}
	return nr;
}

/* ---- the arena ---- */

static int stamp(struct pma *pma, struct pma_handle handle)
{
	struct pma_mapping *map;
	int r = pma_map(&map, pma, handle, PMA_MAP_WRITE);

	if (r < 0)
		return r;
	for (uint64_t at = 0; at < 4096; at += 8)
		memcpy((char *)pma_map_address(map) + at, &handle.id, 8);
	pma_unmap(map);
	return 0;
}

/* A page that is published with its id in it; -ENOSPC: there is none. */
static int make(struct pma_handle *out, struct pma *pma, const char *name)
{
	int r = pma_reserve(out, pma, name, page_size, 0);

	if (r < 0)
		return r;
	r = stamp(pma, *out);
	if (r == 0)
		r = pma_publish(pma, *out);
	if (r == 0)
		r = pma_close(pma, *out);
	return r;
}

static int fill(struct pma *pma)
{
	struct pma_handle handle;
	int r;

	do {
		r = make(&handle, pma, NULL);
	} while (r == 0);
	return r == -ENOSPC ? 0 : r;
}

/* The space of what was freed comes back; its new user is @out. */
static int await_space(struct pma_handle *out, struct pma *pma)
{
	struct timespec pause = { 0, 2000000 };
	int r;

	for (int i = 0; i < PATIENCE_S * 500; i++) {
		r = make(out, pma, NAME);
		if (r != -ENOSPC)
			return r;
		nanosleep(&pause, NULL);
	}
	return r;
}

/* ---- one point ---- */

static int end_reader(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status) && !WIFEXITED(status))
		;
	return 0;
}

/* Lets it go on until it has put, and stops it there. */
static void finish_get(pid_t pid)
{
	int status;

	while (report->at != 2 && ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		;
}

static int try_point(struct pma *pma, struct pma_handle *it, bool kills, int point, int *nr_steps)
{
	struct pma_handle next;
	bool is_early;
	int status, r;
	pid_t pid = start_reader();

	if (!run_to_begin(pid, &status))
		return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77
								      : fail("the reader", -1);
	*nr_steps = step(pid, point);
	r = pma_free(pma, *it);
	if (r < 0)
		return fail("the free", r);
	/* With or without room: what is made now is in the place of what the reader looks at. */
	r = make(&next, pma, NAME);
	is_early = r == 0;
	if (r < 0 && r != -ENOSPC)
		return fail("the new one", r);
	if (kills) {
		end_reader(pid);
	} else {
		finish_get(pid);
		if (report->is_wrong) {
			fprintf(stderr, "at instruction %d: the reader saw another's bytes\n", point);
			return 1;
		}
	}
	if (!is_early) {
		r = await_space(&next, pma);
		if (r < 0) {
			fprintf(stderr, "at instruction %d: ", point);
			return fail("the space did not come back", r);
		}
	}
	*it = next;
	if (!kills)
		end_reader(pid);
	return 0;
}

static int try_all(struct pma *pma, struct pma_handle it, bool kills, int nr_points)
{
	int nr_tried = 0, nr_all, nr, r = try_point(pma, &it, kills, MAX_STEPS, &nr_all);

	if (r == 0 && nr_all == MAX_STEPS)
		r = fail("a get has too many instructions to be stepped through", -E2BIG);
	for (int point = 0; r == 0 && point < nr_all; nr_tried++) {
		r = try_point(pma, &it, kills, point, &nr);
		point += nr_points == 0 || nr_points >= nr_all
				 ? 1
				 : 1 + (int)random() % (2 * nr_all / nr_points);
	}
	if (r == 0)
		printf("%d of %d instructions\n", nr_tried, nr_all);
	return r;
}

int main(int argc, char **argv)
{
	struct pma_handle it;
	struct pma_arena arena;
	struct pma *pma;
	int r;

	if (argc < 3 || (strcmp(argv[1], "kill") != 0 && strcmp(argv[1], "stop") != 0)) {
		fprintf(stderr, "usage: window_steps kill|stop POINTS [SEED]\n");
		return 64;
	}
	srandom(argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)time(NULL));
	report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return fail("mmap", -errno);
	r = pma_connect(&pma, NULL);
	if (r == 0)
		r = pma_arena_get(&arena, pma, 0);
	if (r < 0)
		return fail("connecting", r);
	page_size = arena.page_size;
	r = make(&it, pma, NAME);
	if (r == 0)
		r = fill(pma);
	if (r < 0)
		return fail("filling the arena", r);
	r = try_all(pma, it, strcmp(argv[1], "kill") == 0, atoi(argv[2]));
	pma_disconnect(pma);
	return r;
}
