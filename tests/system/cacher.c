/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cacher: a cache and many threads that reserve, write, check, release and publish pieces of it.
 * The daemon may be killed meanwhile.
 *
 *	cacher churn NR BOUND   until standard input ends; every piece is checked for what was
 *	                        written to it, every published one is opened by another session and
 *	                        read. Says "open" first; prints rounds, published, unknown
 *	cacher rules            what each call promises, one by one
 *	cacher hold BOUND LEN   leases a lot, has nothing in use, says "idle"; then a line for each
 *	                        line of input: the bytes leased
 *	cacher keep BOUND LEN   the same with every piece in use, each published under a name
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pmemarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define MAX_THREADS 32
#define PIECES 48
#define BATCH 8

static struct pma *pma, *other;
static struct pma_cache *cache;
static atomic_bool stop;
static atomic_ulong nr_rounds, nr_published, nr_unknown, nr_lost;

__attribute__((noreturn))
static void fail(const char *file, int line, const char *what, int r)
{
	fprintf(stderr, "%s:%d: %s: %d %s (%s)\n", file, line, what, r, strerror(r < 0 ? -r : 0),
		pma_message());
	exit(EXIT_FAILURE);
}

#define OK(call) do { int r_ = (call); if (r_ < 0) fail(__FILE__, __LINE__, #call, r_); } while (0)
#define REFUSED(err, call)                                                                \
	do {                                                                              \
		int r_ = (call);                                                          \
		if (r_ != -(err))                                                         \
			fail(__FILE__, __LINE__, #call " is not refused with " #err, r_); \
	} while (0)
#define CHECK(what) do { if (!(what)) fail(__FILE__, __LINE__, #what, 0); } while (0)

/* ---- contents ---- */

/* Each word of a piece: whose it is, and where in it. */
static void write_piece(const struct pma_piece *piece, uint64_t mark)
{
	uint64_t *words = piece->address;

	for (uint64_t i = 0; i < piece->len / 8; i += 64)
		words[i] = mark ^ i;
}

static bool has_mark(const void *address, uint64_t len, uint64_t mark)
{
	const uint64_t *words = address;

	for (uint64_t i = 0; i < len / 8; i += 64)
		if (words[i] != (mark ^ i))
			return false;
	return true;
}

static bool is_zero(const struct pma_piece *piece)
{
	const uint64_t *words = piece->address;

	for (uint64_t i = 0; i < piece->len / 8; i++)
		if (words[i])
			return false;
	return true;
}

/* ---- churn ---- */

struct kept {
	struct pma_piece piece;
	uint64_t mark;
};

struct worker {
	pthread_t thread;
	unsigned seed, number;
	uint64_t turn;
	struct kept kept[PIECES];
	unsigned nr;
};

static uint64_t random_len(unsigned *seed)
{
	static const uint64_t lens[] = { 1,	   4 * KIB,   4 * KIB,	  4 * KIB, 8 * KIB,
					 60 * KIB, 300 * KIB, 1536 * KIB, 2 * MIB, 6 * MIB };

	return lens[(unsigned)rand_r(seed) % (sizeof(lens) / sizeof(*lens))];
}

static void reserve_one(struct worker *w)
{
	struct kept *kept = &w->kept[w->nr];
	bool zeroed = rand_r(&w->seed) % 8 == 0;
	int r = pma_cache_reserve(&kept->piece, cache, random_len(&w->seed),
				  zeroed ? PMA_ZEROED : 0);

	if (r == -ENOBUFS || r == -ENOSPC || r == -ESTALE || r == -ENOTCONN)
		return;
	OK(r);
	CHECK(!zeroed || is_zero(&kept->piece));
	kept->mark = (uint64_t)w->number << 56 | ++w->turn << 16;
	write_piece(&kept->piece, kept->mark);
	w->nr++;
}

static void release_one(struct worker *w, unsigned i)
{
	struct kept *kept = &w->kept[i];

	CHECK(has_mark(kept->piece.address, kept->piece.len, kept->mark));
	OK(pma_cache_release(cache, &kept->piece));
	CHECK(!kept->piece.address);
	*kept = w->kept[--w->nr];
}

/* Another session sees what was published; then it goes. */
static void check_published(const struct pma_publication *what, uint64_t mark, uint64_t len)
{
	struct pma_handle handle = what->handle;
	struct pma_mapping *map;
	int r = pma_open(&handle, other, what->name, PMA_READ_ONLY);

	if (r == 0)
		r = pma_map(&map, other, handle, PMA_MAP_READ);
	if (r == -ESTALE || r == -ENOTCONN || r == -EBADF)
		return;                 /* the other session was lost */
	OK(r);
	CHECK(pma_map_length(map) == len && has_mark(pma_map_address(map), len, mark));
	pma_unmap(map);
}

static void publish_some(struct worker *w)
{
	struct pma_publication what[BATCH];
	unsigned nr = w->nr < BATCH ? w->nr : BATCH;
	char names[BATCH][32];

	for (unsigned i = 0; i < nr; i++) {
		snprintf(names[i], sizeof(names[i]), "%u-%" PRIu64, w->number, w->kept[i].mark);
		OK(pma_persist(w->kept[i].piece.map, w->kept[i].piece.address,
			       w->kept[i].piece.len));
		what[i] = (struct pma_publication){ .piece = &w->kept[i].piece, .name = names[i] };
	}
	pma_cache_publish(cache, what, nr);
	for (unsigned i = nr; i-- > 0;) {
		int r = what[i].result;

		if (r == 0) {
			atomic_fetch_add(&nr_published, 1);
			CHECK(pma_is_valid(pma, what[i].handle) || atomic_load(&nr_lost));
			check_published(&what[i], w->kept[i].mark, w->kept[i].piece.len);
			r = pma_free(pma, what[i].handle);
			if (r != -ENOENT && r != -ESTALE && r != -ENOTCONN)
				OK(r);
		} else if (r == -ESTALE || r == -ENOTCONN) {
			atomic_fetch_add(&nr_unknown, 1);
		} else if (r == -ENOENT) {
			atomic_fetch_add(&nr_lost, 1);
		} else {
			OK(r);
		}
		release_one(w, i);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		unsigned what = (unsigned)rand_r(&w->seed) % 16;

		if (what < 8 && w->nr < PIECES)
			reserve_one(w);
		else if (what < 15 && w->nr > 0)
			release_one(w, (unsigned)rand_r(&w->seed) % w->nr);
		else if (w->nr > 0)
			publish_some(w);
		atomic_fetch_add(&nr_rounds, 1);
	}
	while (w->nr > 0)
		release_one(w, 0);
	return NULL;
}

static int churn(unsigned nr, uint64_t bound)
{
	struct worker *workers = calloc(nr, sizeof(*workers));
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct pma_cache_info stat;

	OK(pma_cache_open(&cache, pma, 0, bound));
	puts("open");
	fflush(stdout);
	for (unsigned i = 0; i < nr; i++) {
		workers[i].number = workers[i].seed = i + 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	poll(&input, 1, -1);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < nr; i++)
		pthread_join(workers[i].thread, NULL);
	free(workers);
	pma_cache_stat(&stat, cache);
	CHECK(stat.in_use == 0);
	pma_cache_close(cache);
	printf("%lu %lu %lu\n", atomic_load(&nr_rounds), atomic_load(&nr_published),
	       atomic_load(&nr_unknown));
	return 0;
}

/* ---- rules ---- */

static void rule_of_lengths(void)
{
	struct pma_piece piece;

	REFUSED(EINVAL, pma_cache_open(&cache, pma, 0, 4095));
	REFUSED(EINVAL, pma_cache_open(&cache, pma, 0, UINT64_MAX));
	REFUSED(ENOENT, pma_cache_open(&cache, pma, 9, MIB));
	OK(pma_cache_open(&cache, pma, 0, 8 * MIB));
	REFUSED(EINVAL, pma_cache_reserve(&piece, cache, 0, 0));
	REFUSED(EINVAL, pma_cache_reserve(&piece, cache, 8 * MIB + 1, 0));
	REFUSED(EINVAL, pma_cache_reserve(&piece, cache, UINT64_MAX, 0));
	REFUSED(EINVAL, pma_cache_reserve(&piece, cache, 4096, PMA_CONTIGUOUS));
	OK(pma_cache_reserve(&piece, cache, 1, 0));
	CHECK(piece.len == 4096 && (uintptr_t)piece.address % 4096 == 0 && is_zero(&piece));
	OK(pma_cache_release(cache, &piece));
	OK(pma_cache_reserve(&piece, cache, 2 * MIB - 1, 0));
	CHECK(piece.len == 2 * MIB && is_zero(&piece));
	pma_cache_close(cache);
}

/*
 * All of the bound can be had in pieces, no more, and again after they are released, in other
 * sizes.
 */
static void rule_of_the_bound(void)
{
	static const uint64_t lens[] = { 4096, 64 * KIB, 2 * MIB, 8 * MIB, 4096 };
	struct pma_piece *pieces = calloc(8 * MIB / 4096, sizeof(*pieces)), more;
	struct pma_cache_info stat;

	OK(pma_cache_open(&cache, pma, 0, 8 * MIB));
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		uint64_t nr = 8 * MIB / lens[i];

		for (uint64_t j = 0; j < nr; j++)
			OK(pma_cache_reserve(&pieces[j], cache, lens[i], 0));
		pma_cache_stat(&stat, cache);
		CHECK(stat.in_use == 8 * MIB && stat.leased == 8 * MIB);
		REFUSED(ENOBUFS, pma_cache_reserve(&more, cache, lens[i], 0));
		CHECK(strstr(pma_message(), "8M"));
		for (uint64_t j = 0; j < nr; j++)
			OK(pma_cache_release(cache, &pieces[(j * 7) % nr]));
	}
	pma_cache_stat(&stat, cache);
	CHECK(stat.in_use == 0 && stat.max_bytes == 8 * MIB);
	pma_cache_trim(cache);
	pma_cache_stat(&stat, cache);
	CHECK(stat.leased == 0);
	pma_cache_close(cache);
	free(pieces);
}

static void rule_of_reuse(void)
{
	struct pma_piece a, b;
	void *address;

	OK(pma_cache_open(&cache, pma, 0, 2 * MIB));
	OK(pma_cache_reserve(&a, cache, 4096, 0));
	address = a.address;
	memset(a.address, 0x5a, a.len);
	OK(pma_cache_release(cache, &a));
	OK(pma_cache_reserve(&a, cache, 4096, 0));
	/* our own, and not zeroed unless asked for */
	CHECK(a.address == address && *(char *)a.address == 0x5a);
	OK(pma_cache_release(cache, &a));
	OK(pma_cache_reserve(&a, cache, 8192, PMA_ZEROED));
	CHECK(a.address == address && is_zero(&a));
	b = a;
	OK(pma_cache_release(cache, &a));
	CHECK(!a.address);
	REFUSED(EINVAL, pma_cache_release(cache, &a));
	REFUSED(EINVAL, pma_cache_release(cache, &b));
	pma_cache_close(cache);
}

static void rule_of_publishing(void)
{
	struct pma_piece pieces[3];
	struct pma_publication what[3];
	struct pma_cache_info stat;
	struct pma_info info;
	struct pma_handle handle = { 0 };

	OK(pma_cache_open(&cache, pma, 0, 16 * MIB));
	for (int i = 0; i < 3; i++) {
		OK(pma_cache_reserve(&pieces[i], cache, i == 2 ? 2 * MIB : 4096, 0));
		write_piece(&pieces[i], 77);
		OK(pma_persist(pieces[i].map, pieces[i].address, pieces[i].len));
		what[i] = (struct pma_publication){ .piece = &pieces[i],
						    .name = i == 1   ? NULL
							    : i == 0 ? "zero"
								     : "two",
						    .mode = i == 2 ? 0644 : 0 };
	}
	OK(pma_cache_publish(cache, what, 0));
	OK(pma_cache_publish(cache, what, 3));
	for (int i = 0; i < 3; i++)
		CHECK(what[i].result == 0 && pma_is_valid(pma, what[i].handle));
	REFUSED(EINVAL, pma_cache_publish(cache, what, 1));
	OK(pma_stat_name(&info, other, 0, "two"));
	CHECK(info.len == 2 * MIB && info.mode == 0644 && info.handle.id == what[2].handle.id);
	pma_cache_stat(&stat, cache);
	CHECK(stat.in_use == 0);
	/*
	 * The address goes on being what it was, also after others freed it; and nobody else gets
	 * the space meanwhile.
	 */
	OK(pma_free(other, what[2].handle));
	CHECK(!pma_is_valid(pma, what[2].handle) && has_mark(pieces[2].address, 2 * MIB, 77));
	OK(pma_free(pma, what[1].handle));
	/* A name that is taken: the piece stays a piece. */
	OK(pma_cache_release(cache, &pieces[1]));
	OK(pma_cache_reserve(&pieces[1], cache, 4096, 0));
	what[1] = (struct pma_publication){ .piece = &pieces[1], .name = "zero" };
	OK(pma_cache_publish(cache, &what[1], 1));
	CHECK(what[1].result == -EEXIST);
	what[1].name = "one";
	OK(pma_cache_publish(cache, &what[1], 1));
	CHECK(what[1].result == 0);
	/* Twice in one call. */
	for (int i = 0; i < 3; i++)
		OK(pma_cache_release(cache, &pieces[i]));
	OK(pma_cache_reserve(&pieces[0], cache, 4096, 0));
	what[0] = what[2] = (struct pma_publication){ .piece = &pieces[0] };
	REFUSED(EINVAL, pma_cache_publish(cache, what, 3));
	OK(pma_cache_release(cache, &pieces[0]));
	pma_cache_close(cache);
	OK(pma_open(&handle, other, "one", 0));
	OK(pma_free(other, handle));
	OK(pma_close(other, handle));
	OK(pma_open(&handle, other, "zero", 0));
	OK(pma_free(other, handle));
	OK(pma_close(other, handle));
}

/*
 * What this session opens again is its own business, and the cache's mapping does not get in the
 * way.
 */
static void rule_of_handles(void)
{
	struct pma_publication what = { .name = "h" };
	struct pma_piece piece;
	struct pma_mapping *map;

	OK(pma_cache_open(&cache, pma, 0, 4 * MIB));
	OK(pma_cache_reserve(&piece, cache, 2 * MIB, 0));
	what.piece = &piece;
	OK(pma_cache_publish(cache, &what, 1));
	CHECK(what.result == 0);
	OK(pma_map(&map, pma, what.handle, PMA_MAP_WRITE));
	write_piece(&piece, 5);
	CHECK(has_mark(pma_map_address(map), 2 * MIB, 5));
	REFUSED(EBUSY, pma_free(pma, what.handle));
	OK(pma_cache_release(cache, &piece));
	pma_cache_close(cache);
	CHECK(has_mark(pma_map_address(map), 2 * MIB, 5));
	pma_unmap(map);
	OK(pma_free(pma, what.handle));
}

static void rule_of_forks(void)
{
	struct pma_piece piece, another;
	int status;

	OK(pma_cache_open(&cache, pma, 0, 4 * MIB));
	OK(pma_cache_reserve(&piece, cache, 4096, 0));
	fflush(stdout);
	if (fork() == 0) {
		CHECK(pma_cache_reserve(&another, cache, 4096, 0) == -EPERM);
		CHECK(pma_cache_release(cache, &piece) == -EPERM);
		*(char *)piece.address = 1;
		pma_cache_close(cache);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(*(char *)piece.address == 1);
	OK(pma_cache_release(cache, &piece));
	pma_cache_close(cache);
	pma_cache_close(NULL);
}

static int rules(void)
{
	rule_of_lengths();
	rule_of_the_bound();
	rule_of_reuse();
	rule_of_publishing();
	rule_of_handles();
	rule_of_forks();
	return 0;
}

/* ---- what is asked back ---- */

static int hold(uint64_t bound, uint64_t len, bool keep)
{
	uint64_t nr = bound / len;
	struct pma_piece *pieces = calloc(nr, sizeof(*pieces));
	struct pma_cache_info stat;
	char line[16], name[32];

	OK(pma_cache_open(&cache, pma, 0, bound));
	for (uint64_t i = 0; i < nr; i++)
		OK(pma_cache_reserve(&pieces[i], cache, len, 0));
	for (uint64_t i = 0; i < nr; i++) {
		struct pma_publication what = { .piece = &pieces[i], .name = name };

		snprintf(name, sizeof(name), "kept-%" PRIu64, i);
		if (keep) {
			write_piece(&pieces[i], i);
			OK(pma_persist(pieces[i].map, pieces[i].address, pieces[i].len));
			OK(pma_cache_publish(cache, &what, 1));
			OK(what.result);
		} else {
			OK(pma_cache_release(cache, &pieces[i]));
		}
	}
	puts("idle");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		pma_cache_stat(&stat, cache);
		printf("%" PRIu64 "\n", stat.leased);
		fflush(stdout);
	}
	free(pieces);
	pma_cache_close(cache);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	OK(pma_connect(&pma, NULL));
	OK(pma_connect(&other, NULL));
	if (strcmp(mode, "churn") == 0 && argc == 4)
		churn((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 10));
	else if (strcmp(mode, "rules") == 0)
		rules();
	else if ((strcmp(mode, "hold") == 0 || strcmp(mode, "keep") == 0) && argc == 4)
		hold(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), mode[0] == 'k');
	else
		return EXIT_FAILURE;
	pma_disconnect(other);
	pma_disconnect(pma);
	return EXIT_SUCCESS;
}
