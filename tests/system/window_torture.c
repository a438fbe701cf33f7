/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_torture: readers with windows beside a writer that frees, publishes, resizes, renames and
 * reuses. Each 64 bytes of an allocation have its id. Between a get and its put no reader may ever
 * see another one.
 *
 * usage: window_torture [--gets N] SECONDS [READERS [OBJECTS [SEED]]]
 *
 * 0 seconds: until one line of input. With --gets it ends earlier when the readers have made so many
 * gets together: the long form of the proof is --gets 1000000000 with as many seconds as there are.
 *
 * The socket is $PMEMARENA_SOCKET. One line at the end: gets, hits, what the writer did. Exit status
 * 0: nobody saw anything wrong.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pmemarena.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_READERS 64
#define MAX_OBJECTS 65536
#define MAX_HELD    24
#define BATCH       8
#define LINE        64u
#define MAX_LEN     (UINT64_C(256) << 10)
#define HUGE_LEN    (UINT64_C(6) << 20)

/* At the begin of each 64 bytes. */
struct mark {
	uint64_t id;
	uint64_t len;                   /* bytes that were stamped; what is behind them was grown */
	uint64_t at;                    /* of this mark, from the begin */
};

struct counts {
	_Atomic uint64_t nr_gets, nr_got, nr_local, nr_absent, nr_errors;
};

static struct shared {
	_Atomic bool is_over;
	_Atomic uint64_t nr_bad;
	_Atomic uint64_t nr_published, nr_freed, nr_resized, nr_renamed, nr_full;
	struct counts counts[MAX_READERS];
} *shared;

static uint32_t nr_objects = 256, nr_readers = 4;
static uint64_t max_gets = UINT64_MAX;
static uint64_t state;

static uint64_t random_below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static void name_of(char name[32], uint64_t object)
{
	snprintf(name, 32, "torture/%" PRIu64, object);
}

/* The daemon may be gone for a while, or may have been another one: whoever asks looks again. */
static bool is_passing(int r)
{
	return r == -ESTALE || r == -ENOTCONN || r == -EAGAIN;
}

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (atomic_fetch_add(&shared->nr_bad, 1) < 10 && write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	atomic_store(&shared->is_over, true);
}

static struct pma *connect_patiently(void)
{
	struct pma_options *options;
	struct pma *pma;

	if (pma_options_new(&options) < 0)
		exit(2);
	pma_options_set_reconnect_ms(options, 60000);
	if (pma_connect(&pma, options) < 0) {
		fprintf(stderr, "connecting: %s\n", pma_message());
		exit(2);
	}
	pma_options_free(options);
	return pma;
}

/* ---- readers ---- */

struct held {
	struct pma_pin pin;
	uint32_t rounds;                /* so many more before it is put */
};

static struct held held[MAX_HELD];
static uint32_t nr_held;
static uint32_t reader;

static const struct mark *mark_at(const char *address, uint64_t at)
{
	return (const void *)(address + at);
}

/* Reads the lines of one piece, which begins at @begin, up to @end; of a long one some of them. */
static bool look_at_piece(const struct pma_pin *pin, const struct pma_range *piece, uint64_t begin,
			  uint64_t end, const char *when)
{
	uint64_t len = begin + piece->len < end ? piece->len : end - begin;
	uint64_t step = len > 16384 ? LINE * (1 + random_below(8)) : LINE;

	for (uint64_t at = 0; at < len; at += step) {
		struct mark mark;

		memcpy(&mark, mark_at(piece->address, at), sizeof(mark));
		if (mark.id == pin->handle.id && mark.at == begin + at)
			continue;
		complain("reader %" PRIu32 ", %s: id %" PRIu64 " version %" PRIu64
			 " has at %" PRIu64 " of %" PRIu64 " bytes a mark of id %" PRIu64
			 " at %" PRIu64 "\n",
			 reader, when, pin->handle.id, pin->version, begin + at, pin->total,
			 mark.id, mark.at);
		return false;
	}
	return true;
}

static void look(const struct pma_pin *pin, const char *when)
{
	uint64_t end = mark_at(pin->address, 0)->len, begin = 0;

	if (end > pin->total)           /* it was cut */
		end = pin->total;
	if (end == 0)
		end = LINE;
	for (size_t i = 0; i < pin->nr_pieces && begin < end; i++) {
		struct pma_range piece;
		size_t nr = 1;

		pma_pin_pieces(&piece, &nr, pin, i);
		if (!look_at_piece(pin, &piece, begin, end, when))
			return;
		begin += piece.len;
	}
}

static void put(struct pma_window *window, uint32_t i)
{
	look(&held[i].pin, "before the put");
	pma_put(window, &held[i].pin, 1);
	held[i] = held[--nr_held];
}

static void hold(struct pma_window *window, const struct pma_pin *pin)
{
	if (nr_held == MAX_HELD)
		put(window, (uint32_t)random_below(nr_held));
	held[nr_held++] = (struct held){ *pin, (uint32_t)random_below(random_below(8) ? 4 : 4000) };
}

static void put_what_is_due(struct pma_window *window)
{
	for (uint32_t i = 0; i < nr_held; i++) {
		if (held[i].rounds-- == 0)
			put(window, i--);
	}
}

static struct pma_handle known[64];     /* of what was got before; some are gone by now */

static void get_some(struct pma_window *window, struct counts *counts)
{
	size_t nr = random_below(4) ? 1 : 1 + random_below(BATCH);
	unsigned flags = random_below(3) ? PMA_GET_LOCAL : 0;
	struct pma_key keys[BATCH] = { { NULL, 0, PMA_HANDLE_NONE } };
	struct pma_pin pins[BATCH];
	char names[BATCH][32];
	int r;

	for (size_t i = 0; i < nr; i++) {
		keys[i].handle = known[random_below(64)];
		if (keys[i].handle.id == 0 || random_below(2)) {
			name_of(names[i], random_below(nr_objects));
			keys[i].name = names[i];
		}
	}
	r = pma_get(window, pins, keys, nr, flags);
	atomic_fetch_add_explicit(&counts->nr_gets, nr, memory_order_relaxed);
	if (flags)
		atomic_fetch_add_explicit(&counts->nr_local, nr, memory_order_relaxed);
	if (r < 0 && !is_passing(r)) {
		complain("reader %" PRIu32 ": %d: %s\n", reader, r, pma_message());
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		if (pins[i].result == 0) {
			atomic_fetch_add_explicit(&counts->nr_got, 1, memory_order_relaxed);
			look(&pins[i], "after the get");
			known[random_below(64)] = pins[i].handle;
			hold(window, &pins[i]);
		} else if (pins[i].result == -ENOENT) {
			atomic_fetch_add_explicit(&counts->nr_absent, 1, memory_order_relaxed);
		} else if (!is_passing(pins[i].result)) {
			complain("reader %" PRIu32 ": a key: %d: %s\n", reader, pins[i].result,
				 pma_message());
		}
	}
}

static int read_on(void)
{
	struct counts *counts = &shared->counts[reader];
	struct pma *pma = connect_patiently();
	struct pma_window *window;

	if (pma_window_open(&window, pma, 0, 0, 64) < 0) {
		complain("reader %" PRIu32 ": %s\n", reader, pma_message());
		return 2;
	}
	for (uint64_t n = 0; !atomic_load_explicit(&shared->is_over, memory_order_relaxed); n++) {
		get_some(window, counts);
		put_what_is_due(window);
		/* Who only hits does not notice that there is another daemon. */
		if (n % 1024 == 0)
			(void)pma_dispatch(pma);
	}
	while (nr_held > 0)
		put(window, 0);
	pma_window_close(window);
	pma_disconnect(pma);
	return 0;
}

/* ---- the writer ---- */

static void stamp(char *address, uint64_t id, uint64_t len)
{
	for (uint64_t at = 0; at < len; at += LINE) {
		struct mark mark = { id, len, at };

		memcpy(address + at, &mark, sizeof(mark));
	}
}

static int make(struct pma *pma, const char *name)
{
	uint64_t len = 4096 + random_below(random_below(8) ? 16384 : MAX_LEN);
	struct pma_handle handle;
	struct pma_mapping *map;
	int r;

	if (random_below(64) == 0)
		len = random_below(HUGE_LEN) + 1;
	r = pma_reserve(&handle, pma, name, len, 0);
	if (r < 0)
		return r;
	r = pma_map(&map, pma, handle, PMA_MAP_WRITE);
	if (r == 0) {
		stamp(pma_map_address(map), handle.id, pma_map_length(map));
		pma_unmap(map);
		r = pma_publish(pma, handle);
	}
	if (r < 0)
		(void)pma_abort(pma, handle);
	else
		(void)pma_close(pma, handle);
	return r;
}

static int change(struct pma *pma, const struct pma_info *info)
{
	uint64_t what = random_below(8);
	char name[32];
	int r;

	if (what == 0) {
		/* One that was cut is not grown again: what is new then has no marks. */
		r = pma_resize(pma, info->handle, info->handle.id % 2
				? 1 + random_below(info->len)
				: info->len + random_below(info->len));
		atomic_fetch_add(&shared->nr_resized, r == 0);
		return r == -ENOSPC || r == -EINVAL ? 0 : r;
	}
	if (what == 1) {
		name_of(name, random_below(nr_objects));
		r = pma_rename(pma, info->handle, name);
		atomic_fetch_add(&shared->nr_renamed, r == 0);
		return r == -EEXIST ? 0 : r;
	}
	r = pma_free(pma, info->handle);
	atomic_fetch_add(&shared->nr_freed, r == 0);
	return r;
}

static int write_once(struct pma *pma)
{
	struct pma_info info;
	char name[32];
	int r;

	name_of(name, random_below(nr_objects));
	r = pma_stat_name(&info, pma, 0, name);
	if (r == -ENOENT) {
		r = make(pma, name);
		atomic_fetch_add(&shared->nr_published, r == 0);
		atomic_fetch_add(&shared->nr_full, r == -ENOSPC);
		return r == -ENOSPC || r == -EEXIST ? 0 : r;
	}
	if (r == 0)
		r = change(pma, &info);
	return r == -ENOENT ? 0 : r;
}

static bool has_got_enough(void)
{
	uint64_t nr_gets = 0;

	for (uint32_t i = 0; i < nr_readers; i++)
		nr_gets += atomic_load_explicit(&shared->counts[i].nr_gets, memory_order_relaxed);
	return nr_gets >= max_gets;
}

static bool is_time(double until)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec now;

	if (until == 0)
		return poll(&input, 1, 0) == 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 >= until;
}

static void write_on(struct pma *pma, double seconds)
{
	struct timespec now;
	double until;

	clock_gettime(CLOCK_MONOTONIC, &now);
	until = seconds ? (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds : 0;
	while (!atomic_load(&shared->is_over) && !is_time(until) && !has_got_enough()) {
		int r = write_once(pma);

		if (r < 0 && !is_passing(r))
			complain("the writer: %d: %s\n", r, pma_message());
	}
	atomic_store(&shared->is_over, true);
}

static void free_all(struct pma *pma)
{
	struct pma_info info;
	char name[32];

	for (uint32_t i = 0; i < nr_objects; i++) {
		name_of(name, i);
		if (pma_stat_name(&info, pma, 0, name) == 0)
			(void)pma_free(pma, info.handle);
	}
}

/* ---- all ---- */

static void say(void)
{
	uint64_t nr_gets = 0, nr_got = 0, nr_local = 0, nr_absent = 0;

	for (uint32_t i = 0; i < nr_readers; i++) {
		nr_gets += shared->counts[i].nr_gets;
		nr_got += shared->counts[i].nr_got;
		nr_local += shared->counts[i].nr_local;
		nr_absent += shared->counts[i].nr_absent;
	}
	printf("gets=%" PRIu64 " got=%" PRIu64 " local=%" PRIu64 " absent=%" PRIu64
	       " published=%" PRIu64 " freed=%" PRIu64 " resized=%" PRIu64 " renamed=%" PRIu64
	       " full=%" PRIu64 " bad=%" PRIu64 "\n",
	       nr_gets, nr_got, nr_local, nr_absent, shared->nr_published, shared->nr_freed,
	       shared->nr_resized, shared->nr_renamed, shared->nr_full, shared->nr_bad);
}

/* Reads what is asked for into the variables above. -1: that is no usage. */
static int parse(double *seconds, uint64_t *seed, int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--gets") == 0) {
		max_gets = strtoull(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	*seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
	if (argc > 2)
		nr_readers = (uint32_t)strtoul(argv[2], NULL, 10);
	if (argc > 3)
		nr_objects = (uint32_t)strtoul(argv[3], NULL, 10);
	*seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)time(NULL);
	if (nr_readers <= MAX_READERS && nr_objects > 0 && nr_objects <= MAX_OBJECTS)
		return 0;
	fprintf(stderr,
		"usage: window_torture [--gets N] SECONDS [READERS [OBJECTS [SEED]]]\n");
	return -1;
}

int main(int argc, char **argv)
{
	pid_t readers[MAX_READERS];
	int failed = 0, status;
	struct pma *pma;
	double seconds;
	uint64_t seed;

	if (parse(&seconds, &seed, argc, argv) < 0)
		return 64;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 2;
	fprintf(stderr, "seed %" PRIu64 "\n", seed);
	for (reader = 0; reader < nr_readers; reader++) {
		readers[reader] = fork();
		if (readers[reader] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			state = (seed + reader) * 2654435761u + 1;
			_exit(read_on());
		}
	}
	state = seed * 2654435761u + 99;
	pma = connect_patiently();
	write_on(pma, seconds);
	for (uint32_t i = 0; i < nr_readers; i++)
		failed |= waitpid(readers[i], &status, 0) < 0 || status != 0;
	free_all(pma);
	pma_disconnect(pma);
	say();
	return failed || shared->nr_bad ? 1 : 0;
}
