/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-start: from fork() to READY=1. An empty arena of a tebibyte, and one with many allocations,
 * after a clean stop and after a SIGKILL, beside what it takes others to know as many objects
 * again. Starts daemons of its own; touches nothing else.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench-serve-crew.h"
#include "bench/bench-serve-daemon.h"
#include "bench/bench-start-peer.h"

#define ROUNDS_MAX 16
#define TIB        (UINT64_C(1) << 40)

static const char usage[] =
	"usage: bench-start [--quick] [--records N] [--rounds N] [--json[=FILE]] [--daemon PATH] "
	"[--tmpfs DIR] [--disk DIR]\n"
	"\n"
	"  --quick        100,000 records, 3 rounds: some seconds\n"
	"  --records N    allocations that are recovered, half of them with names (default "
	"1,000,000)\n"
	"  --rounds N     starts of each kind; medians are printed (default 7)\n"
	"  --json[=FILE]  an array of objects instead of a table\n"
	"  --daemon PATH  pmemarenad (default: the one that was built beside this program)\n"
	"  --tmpfs DIR    where metadata and the peers' objects go (default /dev/shm)\n"
	"  --disk DIR     where the data is, sparse (default $TMPDIR, else /var/tmp)\n";

struct options {
	const char *program, *tmpfs, *disk;
	uint64_t records;
	unsigned rounds;
	bool json;
};

struct start {
	struct bench_daemon daemon;
	const struct options *options;
	char device[160], metadata[160], size[80], slots[80];
	const char *list[8];
};

/* ---- figures ---- */

struct figure { double p50, max; };

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct figure figure_of(double *ms, unsigned nr)
{
	qsort(ms, nr, sizeof(*ms), by_value);
	return (struct figure){ ms[nr / 2], ms[nr - 1] };
}

static bool has_printed;

static void print(const struct options *options, const char *op, uint64_t size, uint64_t records,
		  struct figure figure, const char *peer, double peer_ms)
{
	double per_s = records ? (double)records / figure.p50 * 1000 : 0;

	if (options->json) {
		printf("%s{\"bench\": \"start\", \"op\": \"%s\", \"size\": %" PRIu64
		       ", \"records\": %" PRIu64 ", \"p50_ms\": %.2f, \"max_ms\": %.2f, ",
		       has_printed ? ",\n" : "[\n", op, size, records, figure.p50, figure.max);
		if (peer)
			printf("\"records_per_s\": %.0f, \"peer\": \"%s\", \"peer_p50_ms\": %.2f, "
			       "\"ratio_to_peer\": %.3f}",
			       per_s, peer, peer_ms, figure.p50 / peer_ms);
		else
			printf("\"records_per_s\": %.0f, \"peer\": null, \"peer_p50_ms\": null, "
			       "\"ratio_to_peer\": null}",
			       per_s);
	} else {
		printf("%-18s %10" PRIu64 " %9.1f %9.1f %12.0f", op, records, figure.p50,
		       figure.max, per_s);
		if (peer)
			printf("  %-16s %9.1f %6.2f", peer, peer_ms, figure.p50 / peer_ms);
		printf("\n");
	}
	has_printed = true;
}

/* ---- the daemon ---- */

static int prepare(struct start *start, const struct options *options, const char *dir,
		   const char *disk, const char *name, uint64_t size, uint64_t slots)
{
	int r = bench_daemon_prepare(&start->daemon, dir, name);

	start->options = options;
	snprintf(start->device, sizeof(start->device), "arena.main.device=%s/%s.arena", disk, name);
	snprintf(start->metadata, sizeof(start->metadata), "arena.main.metadata=%s/metadata",
		 start->daemon.dir);
	snprintf(start->size, sizeof(start->size), "arena.main.size=%" PRIu64, size);
	snprintf(start->slots, sizeof(start->slots), "arena.main.slots=%" PRIu64, slots);
	start->list[0] = start->device;
	start->list[1] = start->metadata;
	start->list[2] = start->size;
	start->list[3] = start->slots;
	start->list[4] = "arena.main.format=if-blank";
	return r;
}

static int run(double *ms, struct start *start)
{
	uint64_t took_ns;
	int r = bench_daemon_run(&took_ns, &start->daemon, start->options->program, start->list);

	if (r == 0 && ms)
		*ms = (double)took_ns / 1e6;
	return r;
}

/* The daemon runs before and afterwards. */
static int run_again(double *ms, struct start *start, int sig)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < start->options->rounds; i++) {
		bench_daemon_end(&start->daemon, sig);
		r = run(&ms[i], start);
	}
	return r;
}

static int measure_empty(const struct options *options, const char *dir)
{
	struct start start = { .options = options };
	double ms[ROUNDS_MAX];
	int r = prepare(&start, options, dir, dir, "empty", TIB, 0);

	if (r == 0)
		r = run(&ms[0], &start);
	if (r == 0)
		print(options, "format 1T", TIB, 0, (struct figure){ ms[0], ms[0] }, NULL, 0);
	if (r == 0)
		r = run_again(ms, &start, SIGTERM);
	if (r == 0)
		print(options, "empty 1T", TIB, 0, figure_of(ms, options->rounds), NULL, 0);
	if (r == 0)
		r = run_again(ms, &start, SIGKILL);
	if (r == 0)
		print(options, "empty 1T, killed", TIB, 0, figure_of(ms, options->rounds), NULL, 0);
	bench_daemon_end(&start.daemon, SIGTERM);
	return r;
}

/* ---- many allocations ---- */

static int fill(const char *socket, uint64_t nr)
{
	struct pma_op ops[PMA_MAX_BATCH];
	char names[PMA_MAX_BATCH][32];
	struct pma_options *options;
	struct pma *pma;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	pma_options_set_socket(options, socket);
	r = pma_connect(&pma, options);
	pma_options_free(options);
	for (uint64_t at = 0; r == 0 && at < nr; at += PMA_MAX_BATCH) {
		size_t n = nr - at < PMA_MAX_BATCH ? (size_t)(nr - at) : PMA_MAX_BATCH;

		for (size_t i = 0; i < n; i++) {
			snprintf(names[i], sizeof(names[i]), "object-%08" PRIu64, at + i);
			ops[i] = (struct pma_op){ .opcode = PMA_OP_CREATE,
						  .len = 4096,
						  .name = (at + i) % 2 ? names[i] : NULL };
		}
		r = pma_run(pma, ops, n);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = ops[i].result;
	}
	if (r < 0)
		fprintf(stderr, "bench-start: %s\n", pma_message());
	pma_disconnect(pma);
	return r;
}

typedef int peer_fn(double *ms, unsigned rounds, const char *dir, uint64_t nr);

static void print_beside(const struct options *options, const char *op, uint64_t size,
			 struct figure figure, const char *dir)
{
	static const struct { const char *name; peer_fn *run; } peers[] = {
		{ "pmemobj-walk", start_peer_pmemobj }, { "files-tmpfs-stat", start_peer_files },
	};
	double ms[ROUNDS_MAX];
	bool printed = false;

	for (size_t i = 0; dir && i < sizeof(peers) / sizeof(*peers); i++) {
		int r = peers[i].run(ms, options->rounds, dir, options->records);

		if (r == 0)
			print(options, op, size, options->records, figure, peers[i].name,
			      figure_of(ms, options->rounds).p50);
		else if (!options->json)
			printf("%s: not measured: %s\n", peers[i].name, strerror(-r));
		printed |= r == 0;
	}
	if (!printed)
		print(options, op, size, options->records, figure, NULL, 0);
}

static int measure_records(const struct options *options, const char *dir, const char *disk)
{
	uint64_t size = (options->records / 512 + 32) << 21;
	struct figure clean = { 0, 0 }, killed;
	struct start start = { .options = options };
	double ms[ROUNDS_MAX];
	int r = prepare(&start, options, dir, disk, "many", size,
			options->records + options->records / 8);

	if (r == 0)
		r = run(NULL, &start);
	if (r == 0)
		r = fill(start.daemon.socket, options->records);
	if (r == 0)
		r = run_again(ms, &start, SIGTERM);
	if (r == 0) {
		clean = figure_of(ms, options->rounds);
		r = run_again(ms, &start, SIGKILL);
	}
	bench_daemon_end(&start.daemon, SIGTERM);
	if (r < 0)
		return r;
	killed = figure_of(ms, options->rounds);
	print_beside(options, "recover", size, clean, dir);
	print_beside(options, "recover, killed", size, killed, NULL);
	return 0;
}

/* ---- all ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int measure(const struct options *options)
{
	char dir[96], disk[96];
	int r;

	snprintf(dir, sizeof(dir), "%.60s/bench-start-XXXXXX", options->tmpfs);
	snprintf(disk, sizeof(disk), "%.60s/bench-start-XXXXXX", options->disk);
	if (!mkdtemp(dir) || !mkdtemp(disk)) {
		perror("bench-start: a directory");
		return -EIO;
	}
	if (!options->json)
		printf("%-18s %10s %9s %9s %12s  %-16s %9s %6s\n", "op", "records", "p50 ms",
		       "max ms", "records/s", "peer", "p50 ms", "ratio");
	r = measure_empty(options, dir);
	if (r == 0)
		r = measure_records(options, dir, disk);
	if (options->json)
		printf("\n]\n");
	if (r == 0)             /* else its log is there */
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	nftw(disk, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}

static int parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "records", required_argument, NULL, 'r' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "json", optional_argument, NULL, 'j' },
		{ "daemon", required_argument, NULL, 'd' },
		{ "tmpfs", required_argument, NULL, 't' },
		{ "disk", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'q': options->records = 100000; options->rounds = 3; break;
		case 'r': options->records = strtoull(optarg, NULL, 10); break;
		case 'n': options->rounds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j':
			options->json = true;
			if (optarg && !freopen(optarg, "w", stdout))
				return -EIO;
			break;
		case 'd': options->program = optarg; break;
		case 't': options->tmpfs = optarg; break;
		case 'k': options->disk = optarg; break;
		case 'h': fputs(usage, stdout); exit(0);
		default: return -EINVAL;
		}
	}
	return optind < argc || options->records == 0 || options->rounds == 0 ||
			       options->rounds > ROUNDS_MAX
		       ? -EINVAL
		       : 0;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	struct options options = { .program = bench_daemon_program(),
				   .tmpfs = "/dev/shm",
				   .disk = tmp ? tmp : "/var/tmp",
				   .records = 1000000,
				   .rounds = 7 };
	int r;

	if (parse(&options, argc, argv) < 0) {
		fputs(usage, stderr);
		return 64;
	}
	r = measure(&options);
	if (r < 0)
		fprintf(stderr, "bench-start: %s\n", strerror(-r));
	return r < 0;
}
