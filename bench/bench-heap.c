/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-heap: malloc and free of small objects in a heap on an arena, beside memkind's fixed kind
 * on memory of the same arena, and the C library's. 64 objects come, then they go; what is printed
 * is the time of one. Starts a daemon of its own; touches nothing else.
 */
#include <config.h>

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <memkind.h>
#include <pmemarena-heap.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench-serve-crew.h"
#include "bench/bench-serve-daemon.h"

#define ARENA_BYTES  (UINT64_C(2) << 30)
#define HEAP_BYTES   (UINT64_C(256) << 20)
#define BATCH        64

static const char usage[] =
	"usage: bench-heap [--quick] [--seconds S] [--json[=FILE]] [--daemon PATH] [--tmpfs DIR]\n"
	"\n"
	"  --quick        a quarter of a second a figure: below 10 s\n"
	"  --seconds S    so long a figure (default 1)\n"
	"  --json[=FILE]  an array of objects instead of a table; times in ns\n"
	"  --daemon PATH  pmemarenad (default: the one that was built beside this program)\n"
	"  --tmpfs DIR    where the arena goes (default /dev/shm)\n";

enum allocator { OURS, MEMKIND, LIBC, NR_ALLOCATORS };
static const char *const names[] = {
	[OURS] = "pmemarena-heap", [MEMKIND] = "memkind-fixed", [LIBC] = "libc"
};

struct job {
	enum allocator allocator;
	size_t size;
	double seconds;
	unsigned nr_threads;
	const char *socket;
};

struct context {
	struct pma *pma;
	struct pma_heap *heap;
	struct pma_mapping *map;
	struct memkind *kind;
};

static cpu_set_t all_cpus;

/* ---- one process ---- */

static int open_kind(struct context *c)
{
	struct pma_handle handle;
	int r = pma_reserve(&handle, c->pma, NULL, HEAP_BYTES, PMA_CONTIGUOUS);

	if (r == 0)
		r = pma_map(&c->map, c->pma, handle, PMA_MAP_WRITE);
	if (r == 0 && memkind_create_fixed(pma_map_address(c->map), pma_map_length(c->map),
					   &c->kind) != MEMKIND_SUCCESS)
		r = -EIO;
	return r;
}

static int open_job(void **context, const void *arg, unsigned index)
{
	const struct job *job = arg;
	struct context *c = calloc(1, sizeof(*c));
	struct pma_options *options;
	int r = c ? pma_options_new(&options) : -ENOMEM;

	if (r < 0)
		return r;
	/* Threads on all processors: nothing here waits for the daemon. */
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	*context = c;
	pma_options_set_socket(options, job->socket);
	r = pma_connect(&c->pma, options);
	pma_options_free(options);
	if (r == 0 && job->allocator == OURS)
		r = pma_heap_open(&c->heap, c->pma, 0, HEAP_BYTES, 0);
	if (r == 0 && job->allocator == MEMKIND)
		r = open_kind(c);
	if (r < 0)
		fprintf(stderr, "bench-heap: %s: %s (%s)\n", names[job->allocator], strerror(-r),
			pma_message());
	return r;
}

static void close_job(void *context)
{
	struct context *c = context;

	pma_heap_close(c->heap);
	if (c->kind)
		memkind_destroy_kind(c->kind);
	pma_unmap(c->map);
	pma_disconnect(c->pma);
	free(c);
}

static void *get(const struct job *job, struct context *c)
{
	switch (job->allocator) {
	case OURS:
		return pma_heap_malloc(c->heap, job->size);
	case MEMKIND:
		return memkind_malloc(c->kind, job->size);
	default:
		return malloc(job->size);
	}
}

static void put(const struct job *job, struct context *c, void *object)
{
	switch (job->allocator) {
	case OURS:
		pma_heap_free(c->heap, object);
		break;
	case MEMKIND:
		memkind_free(c->kind, object);
		break;
	default:
		free(object);
		break;
	}
}

static int work(struct turn *turn, void *context, const void *arg)
{
	const struct job *job = arg;
	void *objects[BATCH];

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		for (unsigned i = 0; i < BATCH; i++) {
			objects[i] = get(job, context);
			if (!objects[i])
				return -ENOMEM;
			*(volatile char *)objects[i] = 1;
		}
		between = turn_now();
		for (unsigned i = 0; i < BATCH; i++)
			put(job, context, objects[i]);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, BATCH);
		turn_note(turn, PHASE_BACK, between, to, BATCH);
		turn_note(turn, PHASE_BOTH, from, to, BATCH);
	}
	return 0;
}

/* ---- all ---- */

static const char *const phase_names[] = {
	[PHASE_THERE] = "malloc", [PHASE_BACK] = "free", [PHASE_BOTH] = "malloc+free"
};
static bool has_printed;

static void print(const struct job *job, enum phase phase, const struct timing *ours,
		  const struct timing *peer, const char *peer_name, bool json)
{
	double p50 = ours->p50_us * 1000, peer_p50 = peer->p50_us * 1000;

	if (json)
		printf("%s{\"bench\": \"heap\", \"op\": \"%s\", \"size\": %zu, \"threads\": %u, "
		       "\"p50_ns\": %.0f, \"p99_ns\": %.0f, \"ops_per_s\": %.0f, "
		       "\"peer\": \"%s\", \"peer_p50_ns\": %.0f, \"ratio_to_peer\": %.3f}",
		       has_printed ? ",\n" : "[\n", phase_names[phase], job->size, job->nr_threads,
		       p50, ours->p99_us * 1000, ours->per_s, peer_name, peer_p50, p50 / peer_p50);
	else
		printf("%-12s %7zu %8u %8.0f %8.0f %12.0f  %-14s %8.0f %6.2f\n", phase_names[phase],
		       job->size, job->nr_threads, p50, ours->p99_us * 1000, ours->per_s, peer_name,
		       peer_p50, p50 / peer_p50);
	has_printed = true;
}

/*
 * Ours before and after the peers: the better half of each is compared, so that a busy moment is
 * nobody's.
 */
static int run_one(struct timing timings[NR_PHASES], const struct job *job,
		   enum allocator allocator)
{
	struct job one = *job;
	struct crew_plan plan = {
		.nr = 1,
		.nr_threads = job->nr_threads,
		.placement = PLACE_SAME_CORE,
		.seconds = job->seconds / 2,
		.open = open_job,
		.close = close_job,
		.work = work,
		.arg = &one,
	};
	struct timing again[NR_PHASES];
	int r;

	one.allocator = allocator;
	r = crew_run(timings, &plan);
	if (r == 0)
		r = crew_run(again, &plan);
	for (int phase = 0; r == 0 && phase < NR_PHASES; phase++)
		if (again[phase].p50_us < timings[phase].p50_us)
			timings[phase] = again[phase];
	return r;
}

static int measure(const struct job *job, bool json)
{
	struct timing timings[NR_ALLOCATORS][NR_PHASES];
	int r = 0;

	for (enum allocator a = OURS; r == 0 && a < NR_ALLOCATORS; a++)
		r = run_one(timings[a], job, a);
	for (enum allocator a = MEMKIND; r == 0 && a < NR_ALLOCATORS; a++)
		for (int phase = 0; phase < NR_PHASES; phase++)
			print(job, (enum phase)phase, &timings[OURS][phase], &timings[a][phase],
			      names[a], json);
	return r;
}

static int measure_all(struct job *job, bool json)
{
	static const size_t sizes[] = { 64, 256, 1024, 4096, 65536 };
	int r = 0;

	if (!json)
		printf("%-12s %7s %8s %8s %8s %12s  %-14s %8s %6s\n", "op", "size", "threads",
		       "p50 ns", "p99 ns", "ops/s", "peer", "p50 ns", "ratio");
	for (size_t i = 0; r == 0 && i < sizeof(sizes) / sizeof(*sizes); i++)
		for (job->nr_threads = 1; r == 0 && job->nr_threads <= 4; job->nr_threads *= 4) {
			job->size = sizes[i];
			r = measure(job, json);
		}
	if (json)
		printf("\n]\n");
	return r;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "seconds", required_argument, NULL, 's' },
		{ "json", optional_argument, NULL, 'j' },
		{ "daemon", required_argument, NULL, 'd' },
		{ "tmpfs", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *program = NULL, *tmpfs = "/dev/shm";
	struct bench_daemon daemon = { .pid = 0 };
	struct job job = { .seconds = 1 };
	char dir[64];
	bool json = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'q': job.seconds = 0.25; break;
		case 's': job.seconds = strtod(optarg, NULL); break;
		case 'j': json = true; if (optarg && !freopen(optarg, "w", stdout)) return 1; break;
		case 'd': program = optarg; break;
		case 't': tmpfs = optarg; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 64;
		}
	}
	if (optind < argc || job.seconds <= 0) {
		fputs(usage, stderr);
		return 64;
	}
	sched_getaffinity(0, sizeof(all_cpus), &all_cpus);
	snprintf(dir, sizeof(dir), "%.40s/bench-heap-XXXXXX", tmpfs);
	if (!mkdtemp(dir)) {
		perror("bench-heap: a directory on a tmpfs");
		return 1;
	}
	setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1);
	r = bench_daemon_start(&daemon, program ? program : bench_daemon_program(), dir, "heap",
			       ARENA_BYTES, 0);
	job.socket = daemon.socket;
	if (r == 0)
		r = measure_all(&job, json);
	bench_daemon_stop(&daemon);
	if (r < 0)
		fprintf(stderr, "bench-heap: %s; the daemon's log is in %s\n", strerror(-r), dir);
	else
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r < 0;
}
