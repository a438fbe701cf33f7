/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lender: somebody outside of the library has an allocation mapped. The session then closes, opens
 * and frees it in every order, another session takes all the space there is and writes to it, and
 * whoever has the old mapping looks whether it is still what it was.
 *
 *	lender run HOW CYCLE    HOW it was lent, and what is done with it afterwards, see the two
 *	                        tables. Exit status 0: nothing changed
 *	lender wait HOW CYCLE   the same; says "lent" and goes on at a line of input, in between and
 *	                        before the space is taken
 *	lender list             all pairs, one a line
 *	lender free HOW         what is not lent (any more) must be free at once: exit status 0 when
 *	                        another session gets all of it
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define LEN  (UINT64_C(2) << 20)

static struct pma *pma, *other;
static struct pma_cache *cache;
static struct pma_handle handle;
static struct pma_mapping *map;             /* ours, while there is one */
static char *view;                      /* what was lent, LEN bytes of it */
static int go[2], answer[2];            /* to and from the child that has it */
static pid_t child;                     /* 0: this process has it by means of its own */
static bool waits;

__attribute__((noreturn))
static void fail(int line, const char *what, int r)
{
	fprintf(stderr, "lender.c:%d: %s: %d %s (%s)\n", line, what, r, strerror(r < 0 ? -r : 0),
		pma_message());
	if (child > 0)
		kill(child, SIGKILL);
	exit(EXIT_FAILURE);
}

#define OK(call) do { int r_ = (call); if (r_ < 0) fail(__LINE__, #call, r_); } while (0)
#define CHECK(what) do { if (!(what)) fail(__LINE__, #what, 0); } while (0)

static void wait_for_line(void)
{
	struct pma_info stat;
	char line[8];

	if (!waits)
		return;
	puts("lent");
	fflush(stdout);
	CHECK(fgets(line, sizeof(line), stdin));
	/*
	 * Both sessions come back to the daemon that is there now, whatever it says: it need not
	 * wait for them.
	 */
	pma_stat(&stat, pma, handle);
	pma_stat(&stat, other, handle);
}

/* ---- who has it ---- */

static void stamp(char *at, char with)
{
	for (uint64_t off = 0; off < LEN; off += PAGE)
		memset(at + off, with, 64);
}

static bool has_stamp(const char *at)
{
	for (uint64_t off = 0; off < LEN; off += PAGE)
		if (at[off] != 'A' || at[off + 63] != 'A')
			return false;
	return true;
}

/* In the child: until the parent says so; then says whether it still sees what it saw. */
__attribute__((noreturn))
static void look(void)
{
	char byte;

	/* The other ends are the parent's: when it dies, this ends too. */
	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(0);
	byte = has_stamp(view);
	_exit(write(answer[1], &byte, 1) != 1);
}

static void fork_child(void)
{
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		look();
}

/* Not by libc's fork(): its handlers do not run. */
static void clone_child(void)
{
	child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
	CHECK(child >= 0);
	if (child == 0)
		look();
}

/* Its parent is gone when it is asked. */
static void fork_grandchild(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			look();
		_exit(pid < 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	child = -1;
}

static bool still_sees_it(void)
{
	char seen = 0;

	if (child == 0)
		return has_stamp(view);
	if (write(go[1], "x", 1) != 1 || read(answer[0], &seen, 1) != 1)
		return false;
	if (child > 0)
		waitpid(child, NULL, 0);
	return seen;
}

/* ---- how it is lent ---- */

static void create_and_map(void)
{
	OK(pma_create(&handle, pma, "lent", LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = pma_map_address(map);
	stamp(view, 'A');
}

static void unmap(void)
{
	pma_unmap(map);
	map = NULL;
}

static void lend_by_fork(void)
{
	create_and_map();
	fork_child();
	unmap();
}

static void lend_by_clone(void)
{
	create_and_map();
	clone_child();
	unmap();
}

static void lend_to_grandchild(void)
{
	create_and_map();
	fork_grandchild();
	unmap();
}

/* Mapped twice; the child has the first one. */
static void lend_first_of_two_maps(void)
{
	struct pma_mapping *second;

	create_and_map();
	clone_child();
	OK(pma_map(&second, pma, handle, PMA_MAP_WRITE));
	unmap();
	pma_unmap(second);
}

static void map_extents(struct pma_handle of, uint64_t skip)
{
	struct pma_extent extent;
	size_t nr = 1;

	OK(pma_extents(&extent, &nr, pma, of, 0));
	CHECK(nr == 1 && extent.len >= skip + LEN);
	view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, pma_device_fd(pma, 0, false),
		    (off_t)(extent.off + skip));
	CHECK(view != MAP_FAILED);
	stamp(view, 'A');
}

static void lend_by_extents(void)
{
	OK(pma_create(&handle, pma, "lent", LEN, 0));
	map_extents(handle, 0);
}

static void lend_reserved_by_extents(void)
{
	OK(pma_reserve(&handle, pma, "lent", LEN, 0));
	map_extents(handle, 0);
	OK(pma_publish(pma, handle));
}

static void lend_reserved_by_fork(void)
{
	OK(pma_reserve(&handle, pma, "lent", LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = pma_map_address(map);
	stamp(view, 'A');
	fork_child();
	unmap();
	OK(pma_publish(pma, handle));
}

/* What is cut off is an allocation of its own by then. */
static void lend_what_is_cut_off(bool by_extents)
{
	OK(pma_create(&handle, pma, "lent", 2 * LEN, 0));
	if (by_extents) {
		map_extents(handle, LEN);
	} else {
		OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
		view = (char *)pma_map_address(map) + LEN;
		stamp(view, 'A');
		fork_child();
		unmap();
	}
	OK(pma_resize(pma, handle, LEN));
}

static void lend_tail_by_fork(void)
{
	lend_what_is_cut_off(false);
}

static void lend_tail_by_extents(void)
{
	lend_what_is_cut_off(true);
}

/* The cut is made while it is mapped, and the fork comes later. */
static void lend_cut_by_clone(void)
{
	OK(pma_create(&handle, pma, "lent", 2 * LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = (char *)pma_map_address(map) + LEN;
	stamp(view, 'A');
	OK(pma_resize(pma, handle, LEN));
	clone_child();
	unmap();
}

/* ---- by way of a cache ---- */

static struct pma_piece piece;

static void reserve_piece(void)
{
	OK(pma_cache_open(&cache, pma, 0, 2 * LEN));
	OK(pma_cache_reserve(&piece, cache, LEN, 0));
	view = piece.address;
	stamp(view, 'A');
}

static void publish_piece(void)
{
	struct pma_publication what = { .piece = &piece, .name = "lent" };

	OK(pma_persist(piece.map, piece.address, piece.len));
	OK(pma_cache_publish(cache, &what, 1));
	OK(what.result);
	handle = what.handle;
}

static void end_cache(void)
{
	OK(pma_cache_release(cache, &piece));
	pma_cache_close(cache);
	cache = NULL;
}

static void lend_piece_by_fork(void)
{
	reserve_piece();
	publish_piece();
	fork_child();
	end_cache();
}

static void lend_piece_by_clone(void)
{
	reserve_piece();
	clone_child();
	publish_piece();
	end_cache();
}

/* The session has closed it before its lease's mapping goes. */
static void lend_closed_piece(void)
{
	reserve_piece();
	publish_piece();
	clone_child();
	OK(pma_close(pma, handle));
	end_cache();
	OK(pma_open(&handle, pma, NULL, 0));
}

/* Of the lease: what is published of it afterwards was lent as well. */
static void lend_lease_by_extents(void)
{
	struct pma_extent extent;
	size_t nr = 1;

	reserve_piece();
	OK(pma_extents(&extent, &nr, pma, pma_map_handle(piece.map), 0));
	view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, pma_device_fd(pma, 0, false),
		    (off_t)(extent.off + (uint64_t)((char *)piece.address -
						    (char *)pma_map_address(piece.map))));
	CHECK(view != MAP_FAILED && has_stamp(view));
	publish_piece();
	end_cache();
}

/* The cache's own mapping shows it until the piece is released. */
static void keep_piece_in_use(void)
{
	reserve_piece();
	publish_piece();
}

static const struct {
	const char *name;
	void (*lend)(void);
} hows[] = {
	{ "fork", lend_by_fork },
	{ "clone", lend_by_clone },
	{ "grandchild", lend_to_grandchild },
	{ "two-maps", lend_first_of_two_maps },
	{ "extents", lend_by_extents },
	{ "reserved-extents", lend_reserved_by_extents },
	{ "reserved-fork", lend_reserved_by_fork },
	{ "tail-fork", lend_tail_by_fork },
	{ "tail-extents", lend_tail_by_extents },
	{ "cut-clone", lend_cut_by_clone },
	{ "piece-fork", lend_piece_by_fork },
	{ "piece-clone", lend_piece_by_clone },
	{ "closed-piece", lend_closed_piece },
	{ "lease-extents", lend_lease_by_extents },
	{ "piece-in-use", keep_piece_in_use },
};

/* ---- what is done with it afterwards ---- */

static void close_it(void)
{
	OK(pma_close(pma, handle));
}

static void open_it(void)
{
	OK(pma_open(&handle, pma, NULL, 0));
}

static void cycle_free(void)
{
	OK(pma_free(pma, handle));
}

static void cycle_close_free(void)
{
	close_it();
	OK(pma_free(pma, handle));
}

static void cycle_close_open_free(void)
{
	close_it();
	open_it();
	OK(pma_free(pma, handle));
}

static void cycle_map_again(void)
{
	struct pma_mapping *again;

	close_it();
	open_it();
	OK(pma_map(&again, pma, handle, PMA_MAP_WRITE));
	pma_unmap(again);
	close_it();
	OK(pma_open(&handle, pma, "lent", PMA_READ_ONLY));
	OK(pma_free(pma, handle));
}

static void cycle_other_frees(void)
{
	close_it();
	open_it();
	close_it();
	OK(pma_free(other, handle));
}

static void cycle_freed_then_closed(void)
{
	close_it();
	open_it();
	OK(pma_free(other, handle));
	close_it();
}

static void cycle_in_one_batch(void)
{
	struct pma_op ops[] = {
		{ .opcode = PMA_OP_CLOSE, .handle = handle },
		{ .opcode = PMA_OP_OPEN, .handle = handle },
		{ .opcode = PMA_OP_CLOSE, .handle = handle },
		{ .opcode = PMA_OP_OPEN, .handle = handle },
		{ .opcode = PMA_OP_FREE, .handle = handle },
	};

	OK(pma_run(pma, ops, sizeof(ops) / sizeof(*ops)));
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		OK(ops[i].result);
}

static const struct {
	const char *name;
	void (*run)(void);
} cycles[] = {
	{ "free", cycle_free },
	{ "close-free", cycle_close_free },
	{ "close-open-free", cycle_close_open_free },
	{ "map-again", cycle_map_again },
	{ "other-frees", cycle_other_frees },
	{ "freed-then-closed", cycle_freed_then_closed },
	{ "batch", cycle_in_one_batch },
};

#define NR(table) (sizeof(table) / sizeof(*(table)))

/* ---- the other session ---- */

/* All the space there is, in the arena's pages; returns how many it got. */
static unsigned take_everything(void)
{
	struct pma_handle taken;
	struct pma_mapping *there;
	unsigned nr = 0;

	while (pma_create(&taken, other, NULL, LEN, 0) == 0) {
		OK(pma_map(&there, other, taken, PMA_MAP_WRITE));
		stamp(pma_map_address(there), 'B');
		pma_unmap(there);
		nr++;
	}
	return nr;
}

static int run(const char *how, const char *cycle)
{
	size_t i = 0, j = 0;

	while (i < NR(hows) && strcmp(hows[i].name, how))
		i++;
	while (j < NR(cycles) && strcmp(cycles[j].name, cycle))
		j++;
	CHECK(i < NR(hows) && j < NR(cycles) && pipe(go) == 0 && pipe(answer) == 0);
	hows[i].lend();
	wait_for_line();
	cycles[j].run();
	wait_for_line();
	take_everything();
	if (still_sees_it())
		return EXIT_SUCCESS;
	fprintf(stderr, "%s, %s: what was lent was given to somebody else\n", how, cycle);
	return EXIT_FAILURE;
}

/* ---- what is not lent ---- */

/* The child shares this memory: what is unmapped here is unmapped there. */
static void spawn(void)
{
	pid_t pid = vfork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void end_child(void)
{
	char byte = 0;

	CHECK(write(go[1], "x", 1) == 1 && read(answer[0], &byte, 1) == 1 && byte == 1);
	CHECK(waitpid(child, NULL, 0) == child);
	child = 0;
}

static int run_free(const char *how)
{
	unsigned most = take_everything(), nr;
	struct pma_info stats[64];
	uint64_t cursor = 0;
	size_t got;

	do {
		got = NR(stats);
		OK(pma_list(stats, &got, &cursor, pma, 0, NULL));
		for (size_t i = 0; i < got; i++) {
			OK(pma_free(other, stats[i].handle));
		}
	} while (cursor);
	CHECK(pipe(go) == 0 && pipe(answer) == 0);
	if (strcmp(how, "piece") == 0) {
		/*
		 * Closed while the lease shows it: a word of the cache follows when it does not any
		 * more.
		 */
		reserve_piece();
		publish_piece();
		OK(pma_close(pma, handle));
		open_it();
		close_it();
		end_cache();
	} else {
		create_and_map();
		if (strcmp(how, "vfork") == 0)
			spawn();
		else if (strcmp(how, "ended") == 0)
			fork_child();
		if (child > 0)
			end_child();
		unmap();
		close_it();
		open_it();
	}
	OK(pma_free(pma, handle));
	nr = take_everything();
	if (nr == most)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s: %u pages were to be had before, %u are now\n", how, most, nr);
	return EXIT_FAILURE;
}

static void list(void)
{
	for (size_t i = 0; i < NR(hows); i++)
		for (size_t j = 0; j < NR(cycles); j++)
			printf("%s %s\n", hows[i].name, cycles[j].name);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "list") == 0) {
		list();
		return EXIT_SUCCESS;
	}
	OK(pma_connect(&pma, NULL));
	OK(pma_connect(&other, NULL));
	waits = strcmp(mode, "wait") == 0;
	if ((waits || strcmp(mode, "run") == 0) && argc == 4)
		return run(argv[2], argv[3]);
	if (strcmp(mode, "free") == 0 && argc == 3)
		return run_free(argv[2]);
	return EXIT_FAILURE;
}
