/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-evict: what does a reservation cost that must evict something first? One process makes
 * allocations of 2 MiB: in an arena that has room (each is freed again, outside of what is timed),
 * in a full one of evictable ones, and in one that evicts ahead of need. How many hits a full cache
 * has says tests/system/evictor, beside exact LRU of the same keys.
 */
#include <config.h>

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench-serve-daemon.h"
#include "bench/bench-serve-floor.h"
#include "bench/bench-serve-sheet.h"

#define PAGE  (UINT64_C(2) << 20)
#define PAGES 64u

static const char usage[] =
	"usage: bench-evict [--quick] [--json[=FILE]] [--daemon PATH] [--tmpfs DIR]\n"
	"\n"
	"  --quick        a quarter of a second a figure\n"
	"  --json[=FILE]  an array of objects instead of a table\n"
	"  --daemon PATH  pmemarenad (default: the one that was built beside this program)\n"
	"  --tmpfs DIR    where the arena is, of 128 MiB (default /dev/shm)\n";

struct options {
	const char *program, *tmpfs;
	double seconds;
	bool json;
};

/* One figure: an arena of its own. */
struct load {
	const char *mode;
	bool frees;                     /* each is freed again: nothing is evicted */
	uint32_t flags;                 /* of the reservations */
	const char *above;              /* evict-above; NULL: not ahead of need */
	const char *socket;
};

struct maker {
	struct pma *pma;
	uint32_t flags;
	uint64_t nr;
};

static int complain(const char *what, int r)
{
	fprintf(stderr, "bench-evict: %s: %s\n", what, pma_message());
	return r;
}

static int make(struct maker *maker, struct pma_handle *handle)
{
	char name[32];
	int r;

	snprintf(name, sizeof(name), "block/%" PRIu64, maker->nr++);
	r = pma_reserve(handle, maker->pma, name, PAGE, maker->flags);
	return r < 0 ? r : pma_publish_flags(maker->pma, *handle, PMA_EVICTABLE);
}

static int open_maker(void **context, const void *arg, unsigned index)
{
	const struct load *load = arg;
	struct maker *maker = calloc(1, sizeof(*maker));
	struct pma_options *options;
	struct pma_handle handle;
	int r = maker ? pma_options_new(&options) : -ENOMEM;

	(void)index;
	if (r < 0)
		return r;
	maker->flags = load->flags;
	pma_options_set_socket(options, load->socket);
	r = pma_connect(&maker->pma, options);
	pma_options_free(options);
	/* Full, where each one that is made must evict one. */
	for (unsigned i = 0; r == 0 && !load->frees && i < PAGES + 2; i++) {
		r = make(maker, &handle);
		if (r == 0)
			r = pma_close(maker->pma, handle);
	}
	*context = maker;
	return r < 0 ? complain("filling the arena", r) : 0;
}

static void close_maker(void *context)
{
	struct maker *maker = context;

	pma_disconnect(maker->pma);
	free(maker);
}

static int work(struct turn *turn, void *context, const void *arg)
{
	const struct load *load = arg;
	struct maker *maker = context;
	struct pma_handle handle;
	int r = 0;

	while (r == 0 && turn_goes_on(turn)) {
		uint64_t from = turn_now();

		r = make(maker, &handle);
		turn_note(turn, PHASE_THERE, from, turn_now(), 1);
		if (r == 0)
			r = load->frees ? pma_free(maker->pma, handle)
					: pma_close(maker->pma, handle);
	}
	return r < 0 ? complain("making one", r) : 0;
}

static int start(struct bench_daemon *daemon, const char *program, const char *dir,
		 const struct load *load)
{
	static char device[200], size[64], above[64];
	const char *const list[] = { device, size, above, "arena.main.format=if-blank", NULL };
	uint64_t took_ns;
	int r = bench_daemon_prepare(daemon, dir, load->mode);

	snprintf(device, sizeof(device), "arena.main.device=%s/arena", daemon->dir);
	snprintf(size, sizeof(size), "arena.main.size=%" PRIu64, PAGES * PAGE);
	snprintf(above, sizeof(above), "arena.main.evict-above=%s",
		 load->above ? load->above : "0");
	return r < 0 ? r : bench_daemon_run(&took_ns, daemon, program, list);
}

static int measure(struct sheet *sheet, const struct options *options, const char *dir,
		   struct load *load, double floor_us)
{
	struct crew_plan plan = { .nr = 1,
				  .nr_threads = 1,
				  .placement = PLACE_ANYWHERE,
				  .seconds = options->seconds,
				  .open = open_maker,
				  .close = close_maker,
				  .work = work,
				  .arg = load };
	struct timing timings[NR_PHASES];
	struct bench_daemon daemon = { .pid = 0 };
	int r = start(&daemon, options->program, dir, load);

	load->socket = daemon.socket;
	if (r == 0)
		r = crew_run(timings, &plan);
	bench_daemon_end(&daemon, SIGTERM);
	if (r == 0)
		sheet_add(sheet, &(struct row){ .op = "reserve+publish",
						.size = PAGE,
						.clients = 1,
						.mode = load->mode,
						.placement = placement_name(PLACE_ANYWHERE),
						.timing = timings[PHASE_THERE],
						.floor_p50_us = 2 * floor_us });
	return r;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int run(const struct options *options)
{
	struct load loads[] = { { .mode = "room", .frees = true },
				{ .mode = "evict-one" },
				{ .mode = "evict-ahead", .above = "80" },
				{ .mode = "room-any-contents",
				  .frees = true,
				  .flags = PMA_ANY_CONTENTS },
				{ .mode = "evict-any-contents", .flags = PMA_ANY_CONTENTS } };
	static struct sheet sheet = { .bench = "evict" };
	struct timing floor;
	char dir[96];
	int r;

	snprintf(dir, sizeof(dir), "%.60s/bench-evict-XXXXXX", options->tmpfs);
	if (!mkdtemp(dir)) {
		perror("bench-evict: a directory");
		return -EIO;
	}
	r = floor_run(&floor, PLACE_SAME_CORE, 1, options->seconds);
	for (size_t i = 0; r == 0 && i < sizeof(loads) / sizeof(*loads); i++)
		r = measure(&sheet, options, dir, &loads[i], floor.p50_us);
	if (options->json)
		sheet_print_json(&sheet, stdout);
	else
		sheet_print(&sheet, stdout);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", optional_argument, NULL, 'j' },
		{ "daemon", required_argument, NULL, 'd' },
		{ "tmpfs", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .program = bench_daemon_program(),
				   .tmpfs = "/dev/shm",
				   .seconds = 2 };
	int c, r;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'q': options.seconds = 0.25; break;
		case 'd': options.program = optarg; break;
		case 't': options.tmpfs = optarg; break;
		case 'j':
			options.json = true;
			if (!optarg || freopen(optarg, "w", stdout))
				break;
			perror(optarg);
			return 1;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 64;
		}
	}
	r = run(&options);
	if (r < 0)
		fprintf(stderr, "bench-evict: %s\n", strerror(-r));
	return r < 0;
}
