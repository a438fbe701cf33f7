/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap-measure: memory is what the kernel says: private pages and page tables of the
 * process, the blocks of its memory files (mapped or not), and 215 bytes of slab a mapping.
 * Restored pages are written to before they are shared again, once every 4 KiB, so that there is
 * something to unmap; what the daemon does between requests (array_idle()) is done between the
 * samples.
 */
#include <config.h>

#include "bench/bench-memmap-measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench-memmap-array.h"

#define BATCH      64u
#define VMA_BYTES 215u /* slab: the structure and its share of the tree, measured */
#define SECTION    (UINT64_C(1) << 15)          /* base pages */
#define MAX_SLOW_NS UINT64_C(300000000)         /* a boot that takes longer is done once */

const struct effort full_effort = {
	.boots = 9, .singles = 20000, .batches = 200, .reads = 4000000
};
const struct effort quick_effort = { .boots = 5, .singles = 4000, .batches = 50, .reads = 500000 };

static uint64_t random_state = 1;

static uint64_t rnd(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(double *samples, unsigned nr, double part)
{
	if (nr == 0)
		return NAN;
	qsort(samples, nr, sizeof(*samples), compare);
	return samples[(unsigned)(part * (nr - 1))];
}

/* ---- memory ---- */

static double field_of(const char *path, const char *key)
{
	char line[256];
	double kib = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtod(line + strlen(key), NULL);
	if (f)
		fclose(f);
	return kib * 1024;
}

static double memory_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	double bytes = 0;

	while (dir && (entry = readdir(dir))) {
		char target[64];
		struct stat st;
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		if (strncmp(target, "/memfd:", 7) == 0 && fstat(atoi(entry->d_name), &st) == 0)
			bytes += (double)st.st_blocks * 512;
	}
	if (dir)
		closedir(dir);
	return bytes;
}

static double count_vmas(void)
{
	char buf[65536];
	double nr = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			nr += buf[i] == '\n';
	close(fd);
	return nr;
}

static double memory(void)
{
	return field_of("/proc/self/smaps_rollup", "Pss_Anon:") +
	       field_of("/proc/self/status", "VmPTE:") + memory_files() + count_vmas() * VMA_BYTES;
}

static volatile uint64_t sink;

/* Page tables count as they are when each section was looked at. */
static void touch_sections(const struct array *array)
{
	for (uint64_t pfn = 1; pfn < array->populated << array->order; pfn += SECTION)
		sink += array_desc(array, pfn)->kind;
}

/* ---- start ---- */

struct child {
	struct array array;
	const struct effort *effort;
	struct result *result;
	double *samples;
	double base_memory, base_vmas;
};

static double ms_since(uint64_t start)
{
	return (double)(now_ns() - start) / 1e6;
}

static void open_again(struct child *child)
{
	const struct result *result = child->result;

	if (array_open(&child->array, &layouts[result->layout], (uint64_t)result->region_gib << 30,
		       result->order) < 0)
		exit(1);
}

static void measure_usable(struct child *child)
{
	for (unsigned i = 0; i < child->effort->boots; i++) {
		uint64_t start = now_ns();

		open_again(child);
		child->samples[i] = ms_since(start);
		array_close(&child->array);
	}
	child->result->quiet.usable_ms = percentile(child->samples, child->effort->boots, 0.5);
}

/*
 * False: it does not fit; the array is left as far as it came, *ms is the time until then.
 * @prepared: what happens off the path after the start has happened.
 */
static bool measure_start(double *ms, struct child *child, bool prepared)
{
	unsigned nr = child->effort->boots;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t start = now_ns(), waited = 0;

		open_again(child);
		if (prepared) {
			uint64_t pause = now_ns();

			array_idle(&child->array);
			waited = now_ns() - pause;
		}
		if (array_populate(&child->array) < 0) {
			*ms = ms_since(start);
			return false;
		}
		child->samples[i] = ms_since(start + waited);
		array_close(&child->array);
		if (now_ns() - start > MAX_SLOW_NS)
			nr = i + 1;
	}
	*ms = percentile(child->samples, nr, 0.5);
	return true;
}

static void measure_memory(struct child *child)
{
	struct figures *f = &child->result->quiet;

	open_again(child);
	array_idle(&child->array);
	f->empty_bytes = memory() - child->base_memory;
	if (array_populate(&child->array) < 0)
		return;
	touch_sections(&child->array);
	f->memory_bytes = memory() - child->base_memory;
	f->vmas = count_vmas() - child->base_vmas;
}

/* ---- restore, dedup, read ---- */

static void write_some(struct child *child, uint64_t page, uint32_t object)
{
	for (uint64_t at = 1; at < UINT64_C(1) << child->array.order; at += 64)
		array_tail(&child->array, (page << child->array.order) + at)->object = object;
}

static void split(struct child *child, uint64_t page)
{
	if (child->array.layout->restore(&child->array, page) < 0)
		exit(1);
	write_some(child, page, 1);
	write_some(child, page, 0);
}

static unsigned nr_singles(const struct child *child)
{
	return child->array.order == 18 ? child->effort->singles / 200 : child->effort->singles;
}

static void measure_singles(struct child *child, struct figures *f)
{
	const struct layout *layout = child->array.layout;
	unsigned nr = nr_singles(child);
	double *dedup = child->samples + nr;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t page = rnd(child->array.nr_pages), start, end;

		start = now_ns();
		if (layout->restore(&child->array, page) < 0)
			exit(1);
		end = now_ns();
		child->samples[i] = (double)(end - start) / 1e3;
		write_some(child, page, 1);
		write_some(child, page, 0);
		start = now_ns();
		layout->dedup(&child->array, page, 1);
		dedup[i] = (double)(now_ns() - start) / 1e3;
		if (child->array.mm && i % 16 == 15)
			memmap_maintain(child->array.mm);
	}
	f->restore_p50 = percentile(child->samples, nr, 0.5);
	f->restore_p99 = percentile(child->samples, nr, 0.99);
	f->dedup_p50 = percentile(dedup, nr, 0.5);
	f->dedup_p99 = percentile(dedup, nr, 0.99);
}

/*
 * 64 pages, side by side or each in another part of the region: what sharing them again costs a
 * page.
 */
static double measure_batch(struct child *child, bool adjacent)
{
	const struct layout *layout = child->array.layout;
	uint64_t nr_pages = child->array.nr_pages, step = nr_pages / BATCH;
	unsigned nr = child->array.order == 18 ? 2 : child->effort->batches;

	if (step == 0)
		return NAN;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t first = adjacent ? rnd(step) * BATCH : rnd(step), start;

		for (uint64_t k = 0; k < BATCH; k++)
			split(child, adjacent ? first + k : first + k * step);
		start = now_ns();
		if (adjacent)
			layout->dedup(&child->array, first, BATCH);
		for (uint64_t k = 0; !adjacent && k < BATCH; k++)
			layout->dedup(&child->array, first + k * step, 1);
		child->samples[i] = (double)(now_ns() - start) / 1e3 / BATCH;
		array_idle(&child->array);
	}
	return percentile(child->samples, nr, 0.5);
}

static double measure_write(struct child *child)
{
	unsigned nr = nr_singles(child) / 4;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t page = rnd(child->array.nr_pages), start = now_ns();

		if (child->array.layout->restore(&child->array, page) < 0)
			exit(1);
		for (uint64_t k = 1; k < UINT64_C(1) << child->array.order; k++)
			array_tail(&child->array, (page << child->array.order) + k)->object = 0;
		child->samples[i] = (double)(now_ns() - start) / 1e3;
		child->array.layout->dedup(&child->array, page, 1);
		if (child->array.mm && i % 16 == 15)
			memmap_maintain(child->array.mm);
	}
	return percentile(child->samples, nr, 0.5);
}

static double measure_reads(const struct child *child)
{
	uint64_t nr_pfns = child->array.nr_pages << child->array.order, start = now_ns();

	for (unsigned i = 0; i < child->effort->reads; i++)
		sink += array_desc(&child->array, rnd(nr_pfns))->kind;
	return (double)(now_ns() - start) / child->effort->reads;
}

static void measure_work(struct child *child, struct figures *f)
{
	f->read_ns = measure_reads(child);
	if (!child->array.layout->can_split)
		return;
	measure_singles(child, f);
	array_idle(&child->array);
	f->batch_us = measure_batch(child, true);
	f->scattered_us = measure_batch(child, false);
	f->write_us = measure_write(child);
	array_idle(&child->array);
}

/* ---- the reader on the other core ---- */

struct reader {
	const struct array *array;
	_Atomic bool stop;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	uint64_t nr_pfns = reader->array->nr_pages << reader->array->order,
		 state = 88172645463325252u, sum = 0;

	while (!reader->stop)
		for (unsigned i = 0; i < 1024; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			sum += array_desc(reader->array, state % nr_pfns)->kind;
		}
	return (void *)(uintptr_t)sum;
}

static void pin(pthread_t thread, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(thread, sizeof(set), &set);
}

static void measure_hot(struct child *child)
{
	struct reader reader = { .array = &child->array };
	pthread_t thread;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 ||
	    pthread_create(&thread, NULL, read_on, &reader) != 0)
		return;
	pin(pthread_self(), 0);
	pin(thread, 1);
	measure_work(child, &child->result->hot);
	reader.stop = true;
	pthread_join(thread, NULL);
}

/* ---- one child ---- */

static const struct figures no_figures = { NAN, NAN, NAN, NAN, NAN, NAN, NAN,
					   NAN, NAN, NAN, NAN, NAN, NAN, NAN };

/* Memory is shared with whatever else runs here. */
static bool is_too_large(const struct result *result)
{
	double need = (double)result->region_gib * (1 << 24);

	return strcmp(layouts[result->layout].name, "none") == 0 &&
	       need > field_of("/proc/meminfo", "MemAvailable:") / 4;
}

static void stop_at(struct result *result, double gib, const char *why)
{
	result->stopped_at_gib = gib;
	snprintf(result->stopped_by, sizeof(result->stopped_by), "%s", why);
}

static void run_child(struct child *child)
{
	struct result *result = child->result;
	bool is_ours = strcmp(layouts[result->layout].name, "two-plane") == 0;
	double ms;

	child->samples = calloc(2 * child->effort->singles + 16, sizeof(double));
	if (!child->samples)
		exit(1);
	memset(child->samples, 1, (2 * child->effort->singles + 16) * sizeof(double));
	child->base_memory = memory();
	child->base_vmas = count_vmas();
	measure_usable(child);
	if (is_too_large(result)) {
		stop_at(result, floor(field_of("/proc/meminfo", "MemAvailable:") / 4 / (1 << 24)),
			"a quarter of the memory that is available");
		return;
	}
	if (!measure_start(&ms, child, false)) {
		result->stop_ms = ms;
		result->stop_vmas = count_vmas() - child->base_vmas;
		result->stop_bytes = memory() - child->base_memory;
		stop_at(result, (double)(child->array.populated << child->array.order) / (1 << 18),
			"vm.max_map_count");
		return;
	}
	result->quiet.boot_ms = result->quiet.cold_ms = ms;
	if (is_ours)
		measure_start(&result->quiet.boot_ms, child, true);
	measure_memory(child);
	measure_work(child, &result->quiet);
	measure_hot(child);
}

bool measure(struct result *result, unsigned layout, unsigned region_gib, unsigned order,
	     const struct effort *effort)
{
	struct result mine = { .layout = layout,
			       .region_gib = region_gib,
			       .order = order,
			       .stopped_at_gib = NAN,
			       .stop_ms = NAN,
			       .stop_bytes = NAN,
			       .stop_vmas = NAN,
			       .quiet = no_figures,
			       .hot = no_figures };
	struct child child = { .effort = effort, .result = &mine };
	int pipes[2], status;
	bool ok;
	pid_t pid;

	if (pipe(pipes) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		run_child(&child);
		_exit(write(pipes[1], &mine, sizeof(mine)) != (ssize_t)sizeof(mine));
	}
	close(pipes[1]);
	ok = pid > 0 && read(pipes[0], result, sizeof(*result)) == (ssize_t)sizeof(*result);
	close(pipes[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && ok && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}
