/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evictor: processes that use one arena as a cache which is too small: each gets by name, and makes
 * what it misses evictable. Keys follow Zipf's law. What is got must have the id of its handle at
 * the begin of each page, from the get to the put; and no reservation may find the arena full.
 *
 * usage: evictor GETS [PROCESSES [KEYS [BYTES [SKEW [SEED]]]]]
 *
 * The socket is $PMEMARENA_SOCKET. One line at the end; of exact LRU the share of hits that a cache
 * of as many objects as the arena held would have had of the same keys, one process after the
 * other. Exit status 0: nobody saw anything wrong.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pmemarena.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 64
#define PAGE 4096u

static struct shared {
	_Atomic uint64_t nr_hits, nr_made, nr_elsewhere, nr_full, nr_bad;
} *shared;

static uint64_t nr_gets, bytes = UINT64_C(2) << 20;
static uint32_t nr_processes = 4, nr_keys = 1000;
static double skew = 0.99;
static double *shares;                  /* of the first n keys together */
static uint32_t *trace;                 /* nr_gets keys of each process */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t next_key(uint64_t *state)
{
	double at = (double)(next_random(state) >> 11) * 0x1p-53 * shares[nr_keys - 1];
	uint32_t low = 0, high = nr_keys - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (shares[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_traces(uint64_t seed)
{
	double sum = 0;

	shares = calloc(nr_keys, sizeof(*shares));
	trace = malloc(nr_processes * nr_gets * sizeof(*trace));
	if (!shares || !trace)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_keys; i++)
		shares[i] = sum += pow(i + 1.0, -skew);
	for (uint64_t i = 0; i < nr_processes * nr_gets; i++)
		trace[i] = next_key(&seed);
	return 0;
}

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&shared->nr_bad, 1) >= 10)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

/* ---- one process ---- */

static void look(const struct pma_pin *pin, const char *when)
{
	uint64_t begin = 0;

	for (size_t i = 0; i < pin->nr_pieces; i++) {
		struct pma_range piece;
		size_t nr = 1;

		pma_pin_pieces(&piece, &nr, pin, i);
		for (uint64_t at = 0; at < piece.len; at += PAGE) {
			uint64_t mark[2];

			memcpy(mark, (char *)piece.address + at, sizeof(mark));
			if (mark[0] == pin->handle.id && mark[1] == begin + at)
				continue;
			complain("%s: id %" PRIu64 " has id %" PRIu64 " at %" PRIu64 "\n", when,
				 pin->handle.id, mark[0], begin + at);
			return;
		}
		begin += piece.len;
	}
}

static int fill(struct pma *pma, struct pma_handle handle)
{
	struct pma_mapping *map;
	int r = pma_map(&map, pma, handle, PMA_MAP_WRITE);

	if (r < 0)
		return r;
	for (uint64_t at = 0; at < pma_map_length(map); at += PAGE) {
		uint64_t mark[2] = { handle.id, at };

		memcpy((char *)pma_map_address(map) + at, mark, sizeof(mark));
	}
	pma_unmap(map);
	return pma_publish_flags(pma, handle, PMA_EVICTABLE);
}

static void make(struct pma *pma, const char *name)
{
	struct pma_handle handle;
	int r = pma_reserve(&handle, pma, name, bytes, 0);

	if (r == -EBUSY || r == -EEXIST) {
		atomic_fetch_add(&shared->nr_elsewhere, 1);
		return;
	}
	if (r == -ENOSPC)
		atomic_fetch_add(&shared->nr_full, 1);
	if (r == 0)
		r = fill(pma, handle);
	if (r < 0) {
		complain("making %s: %d: %s\n", name, r, pma_message());
		return;
	}
	atomic_fetch_add(&shared->nr_made, 1);
	/* It may have gone by now. */
	r = pma_close(pma, handle);
	if (r < 0)
		complain("closing %s: %d: %s\n", name, r, pma_message());
}

static void use(struct pma *pma, struct pma_window *window, uint32_t number)
{
	struct pma_pin pin;
	struct pma_key key;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "block/%" PRIu32, number);
	key = (struct pma_key){ .name = name };
	r = pma_get(window, &pin, &key, 1, 0);
	if (r == 1) {
		look(&pin, "after the get");
		look(&pin, "before the put");
		pma_put(window, &pin, 1);
		atomic_fetch_add_explicit(&shared->nr_hits, 1, memory_order_relaxed);
	} else if (r == 0 && pin.result == -ENOENT) {
		make(pma, name);
	} else if (r < 0 || pin.result != -EAGAIN) {
		complain("getting %s: %d, %d: %s\n", name, r, pin.result, pma_message());
	}
}

static int work(uint32_t process)
{
	struct pma_window *window;
	struct pma *pma;

	if (pma_connect(&pma, NULL) < 0 || pma_window_open(&window, pma, 0, 0, 0) < 0) {
		fprintf(stderr, "%s\n", pma_message());
		return 2;
	}
	for (uint64_t i = 0; i < nr_gets && !atomic_load(&shared->nr_bad); i++)
		use(pma, window, trace[process * nr_gets + i]);
	pma_window_close(window);
	pma_disconnect(pma);
	return 0;
}

/* ---- exact LRU of the same keys ---- */

struct link {
	uint32_t newer, older;
	bool is_in;
};

static void take_out(struct link *links, uint32_t key)
{
	links[links[key].newer].older = links[key].older;
	links[links[key].older].newer = links[key].newer;
	links[key].is_in = false;
}

/* links[nr_keys] is the head of the ring. Returns how many of the gets hit. */
static uint64_t run_lru(uint32_t room)
{
	struct link *links = calloc(nr_keys + 1u, sizeof(*links));
	uint32_t head = nr_keys, nr = 0;
	uint64_t hits = 0;

	if (!links)
		return 0;
	links[head] = (struct link){ head, head, false };
	for (uint64_t i = 0; i < nr_gets * nr_processes; i++) {
		uint32_t key = trace[i % nr_processes * nr_gets + i / nr_processes];

		hits += links[key].is_in;
		if (links[key].is_in)
			take_out(links, key);
		else if (nr == room)
			take_out(links, links[head].newer);
		else
			nr++;
		links[key] = (struct link){ head, links[head].older, true };
		links[links[head].older].newer = key;
		links[head].older = key;
	}
	free(links);
	return hits;
}

/* ---- all ---- */

static uint32_t nr_objects(void)
{
	struct pma_info infos[64];
	uint64_t cursor = 0;
	uint32_t all = 0;
	struct pma *pma;
	size_t nr;

	if (pma_connect(&pma, NULL) < 0)
		return 0;
	do {
		nr = 64;
		if (pma_list(infos, &nr, &cursor, pma, 0, "block/") < 0)
			break;
		all += (uint32_t)nr;
	} while (cursor);
	pma_disconnect(pma);
	return all;
}

static void say(double seconds)
{
	uint32_t room = nr_objects();
	double all = (double)nr_gets * nr_processes;

	printf("gets=%.0f hits=%" PRIu64 " made=%" PRIu64 " elsewhere=%" PRIu64 " full=%" PRIu64
	       " bad=%" PRIu64 " objects=%" PRIu32 " permille=%.0f lru_permille=%.0f"
	       " per_second=%.0f\n",
	       all, shared->nr_hits, shared->nr_made, shared->nr_elsewhere, shared->nr_full,
	       shared->nr_bad, room, 1000 * (double)shared->nr_hits / all,
	       1000 * (double)run_lru(room) / all, all / seconds);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 6 ? strtoull(argv[6], NULL, 10) : 1;
	int failed = 0, status;
	double begun;

	nr_gets = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	nr_processes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : nr_processes;
	nr_keys = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : nr_keys;
	bytes = argc > 4 ? strtoull(argv[4], NULL, 10) : bytes;
	skew = argc > 5 ? strtod(argv[5], NULL) : skew;
	if (!nr_gets || !nr_processes || nr_processes > MAX_PROCESSES || !nr_keys) {
		fprintf(stderr,
			"usage: evictor GETS [PROCESSES [KEYS [BYTES [SKEW [SEED]]]]]\n");
		return 64;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || make_traces(seed) < 0)
		return 2;
	begun = now();
	for (uint32_t i = 0; i < nr_processes; i++)
		if (fork() == 0)
			_exit(work(i));
	for (uint32_t i = 0; i < nr_processes; i++)
		failed |= wait(&status) < 0 || status != 0;
	say(now() - begun);
	return failed || shared->nr_bad || shared->nr_full ? 1 : 0;
}
