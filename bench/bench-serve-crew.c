/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew: forks, pins, lets all start at once, and reads the samples out of shared memory. It does
 * not know what is measured.
 */
#include <config.h>

#include "bench/bench-serve-crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Kept a thread and phase; later ones take the place of the first. */
#define SAMPLES_MAX 65536u
/* The beginning is not noted: caches are cold, and files grow for the first time. */
#define WARM_SHARE  0.1
#define NOTED_MIN   3

struct turn {
	struct crew *crew;              /* borrowed, as all pointers here */
	uint32_t *samples[NR_PHASES];   /* ns */
	uint64_t nr[NR_PHASES];         /* noted */
	uint64_t ops[NR_PHASES];
	uint64_t from_ns, last_ns;      /* noted ones */
	uint64_t warm_ns, end_ns;
};

struct crew {
	pthread_barrier_t start;
	struct crew_plan plan;
	int      error;                 /* of the first that failed */
	size_t   size;                  /* of this mapping */
	struct turn turns[];
};

/* ---- placement ---- */

const char *placement_name(enum placement placement)
{
	static const char *const names[] = { "same-core", "cross-core", "anywhere" };

	return names[placement];
}

static int first_cpu(const cpu_set_t *set)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

/* What the program was started with. */
static const cpu_set_t *all_cpus(void)
{
	static cpu_set_t set;

	if (CPU_COUNT(&set) == 0 && sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_SET(0, &set);
	return &set;
}

bool placement_is_possible(enum placement placement)
{
	return placement != PLACE_CROSS_CORE || CPU_COUNT(all_cpus()) > 1;
}

int place_server(pid_t tid)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(first_cpu(all_cpus()), &set);
	return sched_setaffinity(tid, sizeof(set), &set) < 0 ? -errno : 0;
}

int place_client(enum placement placement)
{
	cpu_set_t set = *all_cpus();

	if (placement == PLACE_SAME_CORE)
		return place_server(0);
	if (placement == PLACE_CROSS_CORE)
		CPU_CLR(first_cpu(&set), &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

/* ---- one thread ---- */

uint64_t turn_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool turn_goes_on(struct turn *turn)
{
	return turn->last_ns < turn->end_ns || turn->nr[PHASE_THERE] < NOTED_MIN;
}

void turn_note(struct turn *turn, enum phase phase, uint64_t from_ns, uint64_t to_ns, unsigned nr)
{
	uint64_t each = (to_ns - from_ns) / nr;

	turn->last_ns = to_ns;
	if (from_ns < turn->warm_ns)
		return;
	if (turn->from_ns == 0)
		turn->from_ns = from_ns;
	turn->samples[phase][turn->nr[phase]++ % SAMPLES_MAX] =
		each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
	turn->ops[phase] += nr;
}

struct thread {
	pthread_t thread;
	struct turn *turn;
	void *context;
	int result;
};

static void *run_thread(void *arg)
{
	struct thread *thread = arg;
	struct turn *turn = thread->turn;
	const struct crew_plan *plan = &turn->crew->plan;
	uint64_t now;

	pthread_barrier_wait(&turn->crew->start);
	now = turn_now();
	turn->last_ns = now;
	turn->warm_ns = now + (uint64_t)(plan->seconds * WARM_SHARE * 1e9);
	turn->end_ns = now + (uint64_t)(plan->seconds * 1e9);
	/*
	 * Whoever failed to open stands at the barrier like all others, or they would wait for
	 * ever.
	 */
	if (thread->result == 0)
		thread->result = plan->work(turn, thread->context, plan->arg);
	return NULL;
}

/* ---- one process ---- */

static int run_threads(struct crew *crew, unsigned index, void *context, int opened)
{
	unsigned nr = crew->plan.nr_threads;
	struct thread threads[64] = { 0 };
	int r = opened;

	for (unsigned i = 0; i < nr; i++) {
		threads[i] = (struct thread){ .turn = &crew->turns[index * nr + i],
					      .context = context,
					      .result = opened };
		if (i > 0 && pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)
			abort();        /* the others wait at the barrier */
	}
	run_thread(&threads[0]);
	for (unsigned i = 0; i < nr; i++) {
		if (i > 0)
			pthread_join(threads[i].thread, NULL);
		r = r < 0 ? r : threads[i].result;
	}
	return r;
}

static int run_process(struct crew *crew, unsigned index)
{
	const struct crew_plan *plan = &crew->plan;
	void *context = NULL;
	int r = place_client(plan->placement);

	if (r == 0 && plan->open)
		r = plan->open(&context, plan->arg, index);
	r = run_threads(crew, index, context, r);
	if (context && plan->close)
		plan->close(context);
	return r;
}

/* All of a crew are one process group: that is how they are told from other children of ours. */
static void fork_one(pid_t *pids, struct crew *crew, unsigned index)
{
	pid_t *pid = &pids[index];
	int r;

	fflush(NULL);
	*pid = fork();
	setpgid(*pid > 0 ? *pid : 0, index > 0 ? pids[0] : *pid > 0 ? *pid : 0);
	if (*pid < 0) {
		perror("bench-serve: fork");
		exit(1);
	}
	if (*pid > 0)
		return;
	/* Whoever waits at the barrier must not outlive us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = run_process(crew, index);
	if (r < 0)
		__atomic_store_n(&crew->error, r, __ATOMIC_RELAXED);
	fflush(NULL);
	_exit(0);
}

/* ---- all ---- */

static struct crew *crew_new(const struct crew_plan *plan)
{
	unsigned nr = plan->nr * plan->nr_threads;
	size_t head = (sizeof(struct crew) + nr * sizeof(struct turn) + 63) & ~(size_t)63;
	size_t size = head + (size_t)nr * NR_PHASES * SAMPLES_MAX * sizeof(uint32_t);
	struct crew *crew = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t *samples = (uint32_t *)(void *)((char *)crew + head);
	pthread_barrierattr_t attr;

	if (crew == MAP_FAILED)
		return NULL;
	crew->plan = *plan;
	crew->size = size;
	for (unsigned i = 0; i < nr; i++) {
		crew->turns[i].crew = crew;
		for (int phase = 0; phase < NR_PHASES; phase++, samples += SAMPLES_MAX)
			crew->turns[i].samples[phase] = samples;
	}
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&crew->start, &attr, nr);
	return crew;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t *gather(uint64_t *nr, const struct crew *crew, enum phase phase)
{
	unsigned nr_turns = crew->plan.nr * crew->plan.nr_threads;
	uint32_t *all = malloc((size_t)nr_turns * SAMPLES_MAX * sizeof(*all));

	*nr = 0;
	for (unsigned i = 0; all && i < nr_turns; i++) {
		const struct turn *turn = &crew->turns[i];

		for (uint64_t s = 0; s < turn->nr[phase] && s < SAMPLES_MAX; s++)
			all[(*nr)++] = turn->samples[phase][s];
	}
	return all;
}

/* Each thread's rate for as long as it worked: at the end some are alone. */
static double rate_of(const struct crew *crew, enum phase phase)
{
	double rate = 0;

	for (unsigned i = 0; i < crew->plan.nr * crew->plan.nr_threads; i++) {
		const struct turn *turn = &crew->turns[i];

		if (turn->last_ns > turn->from_ns && turn->from_ns)
			rate += (double)turn->ops[phase] * 1e9 /
				(double)(turn->last_ns - turn->from_ns);
	}
	return rate;
}

static void sum_up(struct timing *timing, const struct crew *crew, enum phase phase)
{
	uint64_t nr;
	uint32_t *all = gather(&nr, crew, phase);

	*timing = (struct timing){ .nr = nr };
	if (nr > 0) {
		qsort(all, nr, sizeof(*all), by_value);
		timing->p50_us = all[nr / 2] / 1e3;
		timing->p99_us = all[nr * 99 / 100] / 1e3;
		timing->per_s = rate_of(crew, phase);
	}
	free(all);
}

/* One that crashed is missed at the barrier: then all are stopped. */
static int wait_for_all(const pid_t *pids, unsigned nr)
{
	int r = 0, status;

	for (unsigned left = nr; left > 0; left--) {
		while (waitpid(-pids[0], &status, 0) < 0 && errno == EINTR)
			;
		if (status == 0 || r < 0)
			continue;
		r = -ECHILD;
		kill(-pids[0], SIGKILL);
	}
	return r;
}

int crew_run(struct timing timings[NR_PHASES], const struct crew_plan *plan)
{
	pid_t pids[256];
	struct crew *crew;
	int r;

	all_cpus();
	crew = crew_new(plan);
	if (!crew)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->nr; i++)
		fork_one(pids, crew, i);
	r = wait_for_all(pids, plan->nr);
	r = crew->error < 0 ? crew->error : r;
	for (int phase = 0; phase < NR_PHASES; phase++)
		sum_up(&timings[phase], crew, phase);
	munmap(crew, crew->size);
	return r;
}
