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

#include "tests/system/lender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool waits;

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

	while (i < nr_hows && strcmp(hows[i].name, how))
		i++;
	while (j < NR(cycles) && strcmp(cycles[j].name, cycle))
		j++;
	CHECK(i < nr_hows && j < NR(cycles) && pipe(go) == 0 && pipe(answer) == 0);
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
	for (size_t i = 0; i < nr_hows; i++)
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
