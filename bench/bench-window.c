/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-window: what does it cost to find an allocation by its name and to keep it? Starts a daemon
 * of its own with very many published ones, looks them up through windows, and lets others who keep
 * values by names do the same.
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/bench-serve-daemon.h"
#include "bench/bench-serve-floor.h"
#include "bench/bench-serve-sheet.h"
#include "bench/bench-window-crowd.h"
#include "bench/bench-window-peer.h"

#define COLD 256u               /* gets by message in one */
#define MANY 16u                /* gets in one call */

static const char usage[] =
	"usage: bench-window [--quick] [--names N] [--json[=FILE]] [--daemon PATH] [--tmpfs DIR] "
	"[--disk DIR]\n"
	"\n"
	"  --quick        100,000 names, a quarter of a second a figure\n"
	"  --names N      published allocations of 4 KiB (default 1,000,000)\n"
	"  --json[=FILE]  an array of objects instead of a table\n"
	"  --daemon PATH  pmemarenad (default: the one that was built beside this program)\n"
	"  --tmpfs DIR    where metadata and the peers' values go (default /dev/shm)\n"
	"  --disk DIR     where the data is (default $TMPDIR, else /var/tmp)\n"
	"\n"
	"LMDB is a peer where liblmdb-dev was there when this was built; redis-server and\n"
	"memcached where they are in $PATH.\n";

struct options {
	const char *program, *tmpfs, *disk;
	uint64_t names;
	double seconds;
	bool json;
};

/* What all rows have in common. */
struct bench {
	const struct options *options;
	struct bench_daemon daemon;
	char (*names)[WINDOW_NAME];     /* shared with the children */
	struct pma_handle *handles;
	char dir[96];
	struct sheet sheet;
	double floor_us;
};

static int complain(const char *what, int r)
{
	fprintf(stderr, "bench-window: %s: %s\n", what, pma_message());
	return r;
}

/* ---- the arena ---- */

static int start_daemon(struct bench *bench, const char *disk)
{
	static char device[200], metadata[200], size[64], slots[64];
	uint64_t nr = bench->options->names;
	const char *const list[] = { device, metadata, size, slots, "arena.main.format=if-blank",
				     NULL };
	uint64_t took_ns;
	int r = bench_daemon_prepare(&bench->daemon, bench->dir, "window");

	snprintf(device, sizeof(device), "arena.main.device=%s/window.arena", disk);
	snprintf(metadata, sizeof(metadata), "arena.main.metadata=%s/metadata", bench->daemon.dir);
	snprintf(size, sizeof(size), "arena.main.size=%" PRIu64, (nr / 512 + 64) << 21);
	snprintf(slots, sizeof(slots), "arena.main.slots=%" PRIu64, nr + nr / 8 + 4096);
	if (r == 0)
		r = bench_daemon_run(&took_ns, &bench->daemon, bench->options->program, list);
	return r;
}

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int publish_some(struct pma *pma, struct bench *bench, uint64_t at)
{
	struct pma_op ops[PMA_MAX_BATCH];
	uint64_t left = bench->options->names - at;
	size_t n = left < PMA_MAX_BATCH ? (size_t)left : PMA_MAX_BATCH;
	int r;

	for (size_t i = 0; i < n; i++) {
		uint32_t number = (uint32_t)((at + i) * 2654435761u);

		snprintf(bench->names[at + i], WINDOW_NAME, "kv/%016x/%08x", 0x1234567u, number);
		ops[i] = (struct pma_op){ .opcode = PMA_OP_CREATE,
					  .len = 4096,
					  .name = bench->names[at + i] };
	}
	r = pma_run(pma, ops, n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = ops[i].result;
		bench->handles[at + i] = ops[i].handle;
	}
	return r;
}

static int fill(struct bench *bench)
{
	uint64_t nr = bench->options->names;
	struct pma *pma;
	int r;

	bench->names = share(nr * WINDOW_NAME);
	bench->handles = share(nr * sizeof(*bench->handles));
	if (!bench->names || !bench->handles)
		return -ENOMEM;
	r = window_connect(&pma, bench->daemon.socket);
	if (r < 0)
		return r;
	for (uint64_t at = 0; r == 0 && at < nr; at += PMA_MAX_BATCH)
		r = publish_some(pma, bench, at);
	if (r < 0)
		complain("publishing", r);
	pma_disconnect(pma);
	return r;
}

/* ---- gets and puts ---- */

struct load {
	const struct bench *bench;
	struct window_job job;
	bool by_handle;
};

struct reader {
	struct pma *pma;
	struct pma_window *window;
};

static int open_reader(void **context, const void *arg, unsigned index)
{
	const struct load *load = arg;
	struct reader *reader = calloc(1, sizeof(*reader));
	int r = reader ? window_connect(&reader->pma, load->bench->daemon.socket) : -ENOMEM;

	(void)index;
	if (r == 0)
		r = pma_window_open(&reader->window, reader->pma, 0, 0, 0);
	if (r < 0)
		complain("opening a window", r);
	*context = reader;
	return r;
}

static void close_reader(void *context)
{
	struct reader *reader = context;

	pma_window_close(reader->window);
	pma_disconnect(reader->pma);
	free(reader);
}

static int get_many(struct reader *reader, const struct load *load, uint64_t *state)
{
	struct pma_key keys[MANY] = { { NULL, 0, PMA_HANDLE_NONE } };
	struct pma_pin pins[MANY];

	for (unsigned i = 0; i < MANY; i++)
		keys[i].name = load->job.names[window_next(state, &load->job)];
	if (pma_get(reader->window, pins, keys, MANY, PMA_GET_LOCAL) != (int)MANY)
		return -ENOENT;
	pma_put(reader->window, pins, MANY);
	return 0;
}

static int get_many_at_once(struct turn *turn, void *context, const void *arg)
{
	uint64_t state = 0;
	int r = 0;

	while (r == 0 && turn_goes_on(turn)) {
		uint64_t from = turn_now();

		for (unsigned n = 0; r == 0 && n < WINDOW_RUN; n += MANY)
			r = get_many(context, arg, &state);
		turn_note(turn, PHASE_THERE, from, turn_now(), WINDOW_RUN);
	}
	return r;
}

static int get_and_put(struct turn *turn, void *context, const void *arg)
{
	const struct load *load = arg;
	struct reader *reader = context;
	uint64_t state = 0;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now();

		for (unsigned n = 0; n < WINDOW_RUN; n++) {
			uint64_t i = window_next(&state, &load->job);
			struct pma_key key = { .name = NULL };
			struct pma_pin pin;

			if (load->by_handle)
				key.handle = load->bench->handles[i];
			else
				key.name = load->job.names[i];
			if (pma_get(reader->window, &pin, &key, 1, PMA_GET_LOCAL) != 1)
				return pin.result;
			pma_put(reader->window, &pin, 1);
		}
		turn_note(turn, PHASE_THERE, from, turn_now(), WINDOW_RUN);
	}
	return 0;
}

/* What is reserved by this session is in no catalog: its gets are messages, and they succeed. */
static int get_cold(struct turn *turn, void *context, const void *arg)
{
	struct pma_op ops[COLD];
	struct pma_key keys[COLD];
	struct pma_pin pins[COLD];
	struct reader *reader = context;
	int r;

	(void)arg;
	for (unsigned i = 0; i < COLD; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_RESERVE, .len = 4096 };
	r = pma_run(reader->pma, ops, COLD);
	for (unsigned i = 0; r == 0 && i < COLD; i++) {
		r = ops[i].result;
		keys[i] = (struct pma_key){ .handle = ops[i].handle };
	}
	while (r == 0 && turn_goes_on(turn)) {
		uint64_t from = turn_now();

		r = pma_get(reader->window, pins, keys, COLD, 0) == (int)COLD ? 0 : pins[0].result;
		turn_note(turn, PHASE_THERE, from, turn_now(), COLD);
		pma_put(reader->window, pins, COLD);
	}
	return r < 0 ? complain("getting by message", r) : 0;
}

/* ---- beside a writer ---- */

static pid_t start_writer(const struct bench *bench)
{
	pid_t pid = fork();
	struct pma_handle handle;
	struct pma *pma;
	char name[32];

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (window_connect(&pma, bench->daemon.socket) < 0)
		_exit(1);
	for (uint64_t i = 0;; i++) {
		snprintf(name, sizeof(name), "writer/%" PRIu64, i % 100);
		if (pma_create(&handle, pma, name, 4096, 0) < 0 || pma_free(pma, handle) < 0)
			_exit(1);
	}
}

/* ---- rows ---- */

static void add(struct bench *bench, const char *op, uint64_t size, const char *mode,
		unsigned nr, const struct timing *timing)
{
	sheet_add(&bench->sheet, &(struct row){ .op = op,
						.size = size,
						.clients = nr,
						.mode = mode,
						.placement = placement_name(PLACE_ANYWHERE),
						.timing = *timing,
						.floor_p50_us = bench->floor_us });
}

typedef int work_fn(struct turn *turn, void *context, const void *arg);

static int measure(struct bench *bench, const char *op, const char *mode, work_fn *work,
		   bool by_handle, unsigned nr, bool beside_writer)
{
	struct load load = { .bench = bench,
			     .by_handle = by_handle,
			     .job = { .names = (const void *)bench->names,
				      .nr = bench->options->names,
				      .is_random = strcmp(mode, "random") == 0,
				      .nr_processes = nr,
				      .seconds = bench->options->seconds } };
	pid_t writer = beside_writer ? start_writer(bench) : 0;
	struct timing timing;
	int r = window_crew(&timing, &load.job, open_reader, close_reader, work, &load);

	window_crowd_end(writer);
	if (r == 0)
		add(bench, op, 4096, mode, nr, &timing);
	return r;
}

/* What a free costs where nobody has a window, and beside very many who have one. */
static int measure_frees(struct bench *bench, bool in_one, bool has_crowd)
{
	const struct window_frees frees = { bench->daemon.socket, in_one };
	const struct window_job job = { .names = (const void *)bench->names,
					.nr = bench->options->names,
					.nr_processes = 1,
					.seconds = bench->options->seconds };
	pid_t crowd = has_crowd ? window_crowd_start(frees.socket, &job) : 0;
	struct timing timing;
	int r = crowd < 0 ? crowd : window_crew(&timing, &job, window_frees_open,
						window_frees_close, window_frees, &frees);

	window_crowd_end(crowd);
	if (r == 0)
		add(bench, in_one ? "free of 256" : "free", 4096,
		    has_crowd ? "1000wins" : "nowindow", 1, &timing);
	return r;
}

static void compare(struct bench *bench, const char *mode, uint64_t value, const char *name,
		    int (*run)(struct timing *timing, const struct window_job *job))
{
	struct window_job job = { .names = (const void *)bench->names,
				  .nr = bench->options->names,
				  .is_random = strcmp(mode, "random") == 0,
				  .nr_processes = 1,
				  .value = value,
				  .dir = bench->dir,
				  .seconds = bench->options->seconds };
	struct timing timing;
	int r = run(&timing, &job);

	if (r == 0)
		sheet_compare(&bench->sheet, "get+put by name", 4096, mode, name, timing.p50_us);
	else
		fprintf(stderr, "bench-window: %s, %s: not measured: %s\n", name, mode,
			r == -EOPNOTSUPP ? "not installed" : strerror(-r));
}

static int run_all(struct bench *bench)
{
	static const struct {
		const char *op, *mode;
		work_fn *work;
		bool by_handle;
		unsigned nr;
		bool beside_writer;
	} rows[] = {
		{ "get+put by name", "hot", get_and_put, false, 1, false },
		{ "get+put by name", "random", get_and_put, false, 1, false },
		{ "get+put by handle", "hot", get_and_put, true, 1, false },
		{ "get+put by handle", "random", get_and_put, true, 1, false },
		{ "get+put of 16", "hot", get_many_at_once, false, 1, false },
		{ "get+put of 16", "random", get_many_at_once, false, 1, false },
		{ "get+put by name", "hot", get_and_put, false, 2, false },
		{ "get+put by name", "hot", get_and_put, false, 8, false },
		{ "get+put, writer", "hot", get_and_put, false, 1, true },
		{ "get by message", "cold256", get_cold, true, 1, false },
	};
	struct timing timing;
	int r = floor_run(&timing, PLACE_SAME_CORE, 1, bench->options->seconds);

	if (r < 0)
		return r;
	bench->floor_us = timing.p50_us;
	add(bench, "ping-pong", 0, "single", 1, &timing);
	for (unsigned i = 0; r == 0 && i < 4; i++)
		r = measure_frees(bench, i % 2, i >= 2);
	for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(*rows); i++)
		r = measure(bench, rows[i].op, rows[i].mode, rows[i].work, rows[i].by_handle,
			    rows[i].nr, rows[i].beside_writer);
	if (r < 0)
		return r;
	compare(bench, "hot", 32, "lmdb", window_peer_lmdb);
	compare(bench, "random", 32, "lmdb", window_peer_lmdb);
	compare(bench, "hot", 4096, "file-tmpfs", window_peer_file);
	compare(bench, "hot", 4096, "redis-4K", window_peer_redis);
	compare(bench, "hot", UINT64_C(2) << 20, "redis-2M", window_peer_redis);
	compare(bench, "hot", 4096, "memcached-4K", window_peer_memcached);
	compare(bench, "hot", UINT64_C(2) << 20, "memcached-2M", window_peer_memcached);
	return 0;
}

/* ---- all ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int run(const struct options *options)
{
	static struct bench bench;
	char disk[96];
	int r;

	bench.options = options;
	bench.sheet.bench = "window";
	snprintf(bench.dir, sizeof(bench.dir), "%.60s/bench-window-XXXXXX", options->tmpfs);
	snprintf(disk, sizeof(disk), "%.60s/bench-window-XXXXXX", options->disk);
	if (!mkdtemp(bench.dir) || !mkdtemp(disk)) {
		perror("bench-window: a directory");
		return -EIO;
	}
	r = start_daemon(&bench, disk);
	if (r == 0)
		r = fill(&bench);
	if (r == 0)
		r = run_all(&bench);
	bench_daemon_end(&bench.daemon, SIGTERM);
	if (options->json)
		sheet_print_json(&bench.sheet, stdout);
	else
		sheet_print(&bench.sheet, stdout);
	if (r == 0)             /* else its log is there */
		nftw(bench.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	nftw(disk, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}

static int parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "names", required_argument, NULL, 'n' },
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
		case 'q': options->names = 100000; options->seconds = 0.25; break;
		case 'n': options->names = strtoull(optarg, NULL, 10); break;
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
	return optind < argc || options->names < WINDOW_HOT ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	struct options options = { .program = bench_daemon_program(),
				   .tmpfs = "/dev/shm",
				   .disk = tmp ? tmp : "/var/tmp",
				   .names = 1000000,
				   .seconds = 1 };
	int r;

	if (parse(&options, argc, argv) < 0) {
		fputs(usage, stderr);
		return 64;
	}
	r = run(&options);
	if (r < 0)
		fprintf(stderr, "bench-window: %s\n", strerror(-r));
	return r < 0;
}
