/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * powerload SEED: the load that a power cut ends. A few processes, each with a session and objects
 * of its own, do all operations in random order for ever, and say before each what they ask for and
 * after each what was answered, on a standard output that reaches the host before write(2) returns:
 *
 *	try SEQ publish ID LEN GENERATION NAME      reserved, filled with GENERATION and persisted
 *	                                            before this line
 *	try SEQ create LEN NAME
 *	try SEQ free ID | resize ID LEN | mode ID MODE | group ID GID | rename ID NAME
 *	saw ID                                      an id was handed out
 *	did SEQ ID LEN                              acknowledged, with what length it has now (0: it
 *	                                            is gone)
 *	not SEQ ERRNO                               refused
 *
 * NAME is last and may be empty. It keeps no record of contents: the host does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pmemarena.h>

#include "pattern.h"

#define MAX_OBJECTS 200         /* room for what others left unnamed */
#define ENOUGH      40
#define MAX_BATCH   12
#define NR_WORKERS  3
#define NAME_LEN    32

struct object {
	struct pma_handle handle;       /* id 0: an empty place */
	uint64_t len;
};

struct worker {
	struct pma *pma;                /* owned */
	unsigned number;
	uint64_t random;
	uint64_t seq;
	uint32_t names;                 /* how many were made up since the boot */
	struct object objects[MAX_OBJECTS];
};

static void die(const char *what, int r)
{
	dprintf(STDOUT_FILENO, "broken %s: %s: %s\n", what, strerror(-r), pma_message());
	exit(1);
}

/* Several processes say things on one port: a line is one write. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(1);
}

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return next_random(w) % n;
}

/* Whole pages, parts of one, and both: the arena's page is 2 MiB. */
static uint64_t some_len(struct worker *w)
{
	switch (below(w, 4)) {
	case 0:
		return (1 + below(w, 3)) << 21;
	case 1:
		return PATTERN_PAGE;
	default:
		return (1 + below(w, 40)) * PATTERN_PAGE;
	}
}

/* Never the same twice: the random part differs from boot to boot. */
static void some_name(char name[NAME_LEN], struct worker *w)
{
	snprintf(name, NAME_LEN, "w%u-%x-%08x", w->number, w->names++, (unsigned)next_random(w));
}

static size_t count_objects(const struct worker *w)
{
	size_t nr = 0;

	for (size_t i = 0; i < MAX_OBJECTS; i++)
		nr += w->objects[i].handle.id != 0;
	return nr;
}

static struct object *some_object(struct worker *w)
{
	size_t start = below(w, MAX_OBJECTS);

	for (size_t i = 0; i < MAX_OBJECTS; i++) {
		struct object *object = &w->objects[(start + i) % MAX_OBJECTS];

		if (object->handle.id != 0)
			return object;
	}
	return NULL;
}

static void keep(struct worker *w, struct pma_handle handle, uint64_t len)
{
	for (size_t i = 0; i < MAX_OBJECTS; i++)
		if (w->objects[i].handle.id == 0) {
			w->objects[i] = (struct object){ .handle = handle, .len = len };
			return;
		}
}

static void fill(struct worker *w, struct pma_handle handle, uint64_t len, uint32_t generation)
{
	struct pma_mapping *map;
	uint64_t *words;
	int r;

	r = pma_map(&map, w->pma, handle, PMA_MAP_WRITE);
	if (r < 0)
		die("map", r);
	words = pma_map_address(map);
	for (uint64_t page = 0; page < len / PATTERN_PAGE; page++)
		pattern_fill_page(words + page * PATTERN_WORDS, generation, page);
	r = pma_persist(map, words, len);
	if (r < 0)
		die("persist", r);
	pma_unmap(map);
}

/*
 * 1 with *seq acknowledged, 0 refused for a reason that a full arena gives; anything else ends the
 * load.
 */
static int settle(uint64_t seq, uint64_t id, uint64_t len, int r)
{
	if (r == 0) {
		say("did %llu %llu %llu\n", (unsigned long long)seq, (unsigned long long)id,
		    (unsigned long long)len);
		return 1;
	}
	say("not %llu %d\n", (unsigned long long)seq, -r);
	if (r != -ENOSPC && r != -ENFILE)
		die("an operation that should have been done", r);
	return 0;
}

/* Sequence numbers of workers never meet. */
static uint64_t next_seq(struct worker *w)
{
	return w->seq += NR_WORKERS;
}

static size_t batch_size(struct worker *w)
{
	return below(w, 3) ? 1 : 1 + below(w, MAX_BATCH);
}

static size_t reserve_some(struct pma_op *ops, char names[][NAME_LEN], struct worker *w,
			   enum pma_opcode opcode)
{
	size_t nr = batch_size(w);

	for (size_t i = 0; i < nr; i++) {
		names[i][0] = '\0';
		if (below(w, 4))
			some_name(names[i], w);
		ops[i] = (struct pma_op){ .opcode = opcode,
					  .name = names[i][0] ? names[i] : NULL,
					  .len = some_len(w) };
	}
	return nr;
}

static void run(struct worker *w, struct pma_op *ops, size_t nr)
{
	int r = pma_run(w->pma, ops, nr);

	if (r < 0)
		die("batch", r);
}

/*
 * Reserve, fill, then publish or give up: what was given up leaves its contents in free space, for
 * the scrubber.
 */
static void do_publish(struct worker *w)
{
	struct pma_op ops[MAX_BATCH];
	char names[MAX_BATCH][NAME_LEN];
	uint64_t seqs[MAX_BATCH];
	size_t nr = reserve_some(ops, names, w, PMA_OP_RESERVE), kept = 0;
	bool give_up = below(w, 4) == 0;

	run(w, ops, nr);
	for (size_t i = 0; i < nr; i++) {
		uint32_t generation = (uint32_t)next_random(w) | 1;
		struct pma_handle handle = ops[i].handle;
		uint64_t len = ops[i].len;

		if (ops[i].result == -ENOSPC)
			continue;
		if (ops[i].result < 0)
			die("reserve", ops[i].result);
		say("saw %llu\n", (unsigned long long)handle.id);
		fill(w, handle, len, generation);
		if (!give_up) {
			seqs[kept] = next_seq(w);
			say("try %llu publish %llu %llu %u %s\n", (unsigned long long)seqs[kept],
			    (unsigned long long)handle.id, (unsigned long long)len, generation,
			    names[i]);
		}
		ops[kept].opcode = give_up ? PMA_OP_ABORT : PMA_OP_PUBLISH;
		ops[kept].handle = handle;
		ops[kept].len = len;
		ops[kept++].name = NULL;
	}
	run(w, ops, kept);
	for (size_t i = 0; i < kept && !give_up; i++)
		if (settle(seqs[i], ops[i].handle.id, ops[i].len, ops[i].result))
			keep(w, ops[i].handle, ops[i].len);
}

static void do_create(struct worker *w)
{
	struct pma_op ops[MAX_BATCH];
	char names[MAX_BATCH][NAME_LEN];
	uint64_t seqs[MAX_BATCH];
	size_t nr = reserve_some(ops, names, w, PMA_OP_CREATE);

	for (size_t i = 0; i < nr; i++) {
		seqs[i] = next_seq(w);
		say("try %llu create %llu %s\n", (unsigned long long)seqs[i],
		    (unsigned long long)ops[i].len, names[i]);
	}
	run(w, ops, nr);
	for (size_t i = 0; i < nr; i++)
		if (settle(seqs[i], ops[i].handle.id, ops[i].len, ops[i].result))
			keep(w, ops[i].handle, ops[i].len);
}

static void do_free(struct worker *w)
{
	struct pma_op ops[MAX_BATCH];
	uint64_t seqs[MAX_BATCH];
	size_t want = batch_size(w), nr;
	struct object *object;

	for (nr = 0; nr < want && (object = some_object(w)); nr++) {
		seqs[nr] = next_seq(w);
		ops[nr] = (struct pma_op){ .opcode = PMA_OP_FREE, .handle = object->handle };
		object->handle.id = 0;
		say("try %llu free %llu\n", (unsigned long long)seqs[nr],
		    (unsigned long long)ops[nr].handle.id);
	}
	run(w, ops, nr);
	for (size_t i = 0; i < nr; i++)
		settle(seqs[i], ops[i].handle.id, 0, ops[i].result);
}

static void do_resize(struct worker *w, struct object *object)
{
	struct pma_op op = { .opcode = PMA_OP_RESIZE,
			     .handle = object->handle,
			     .len = some_len(w) };
	uint64_t seq = next_seq(w), id = object->handle.id;

	say("try %llu resize %llu %llu\n", (unsigned long long)seq, (unsigned long long)id,
	    (unsigned long long)op.len);
	run(w, &op, 1);
	if (settle(seq, id, op.len, op.result))
		object->len = op.len;
}

static void do_rename(struct worker *w, struct object *object)
{
	uint64_t seq = next_seq(w), id = object->handle.id;
	char name[NAME_LEN] = "";

	if (below(w, 4))
		some_name(name, w);
	say("try %llu rename %llu %s\n", (unsigned long long)seq, (unsigned long long)id, name);
	settle(seq, id, object->len, pma_rename(w->pma, object->handle, name[0] ? name : NULL));
}

static void do_mode(struct worker *w, struct object *object)
{
	uint64_t seq = next_seq(w), id = object->handle.id;
	uint32_t mode = 0600 | (uint32_t)(below(w, 8) << 3 & 060) | (uint32_t)(below(w, 8) & 06);

	say("try %llu mode %llu %o\n", (unsigned long long)seq, (unsigned long long)id, mode);
	settle(seq, id, object->len, pma_set_mode(w->pma, object->handle, mode));
}

static void do_group(struct worker *w, struct object *object)
{
	uint64_t seq = next_seq(w), id = object->handle.id;
	uint32_t gid = (uint32_t)below(w, 100);

	say("try %llu group %llu %u\n", (unsigned long long)seq, (unsigned long long)id, gid);
	settle(seq, id, object->len, pma_set_owner(w->pma, object->handle, 0, gid));
}

static void do_something(struct worker *w)
{
	struct object *object = some_object(w);
	uint64_t what = object ? below(w, 12) : 0;

	if (what >= 4 && what < 7)
		do_free(w);
	else if (what >= 11)
		do_group(w, object);
	else if (what >= 10)
		do_mode(w, object);
	else if (what >= 9)
		do_rename(w, object);
	else if (what >= 7)
		do_resize(w, object);
	else if (count_objects(w) >= ENOUGH)
		do_free(w);
	else if (what == 3)
		do_create(w);
	else
		do_publish(w);
}

/*
 * Objects of earlier boots go on being used: named ones by whose name they carry, the others by the
 * first worker.
 */
static bool is_mine(const struct worker *w, const struct pma_info *stat)
{
	char prefix[8];

	if (stat->name[0] == '\0')
		return stat->handle.id % NR_WORKERS == w->number;
	snprintf(prefix, sizeof(prefix), "w%u-", w->number);
	return strncmp(stat->name, prefix, strlen(prefix)) == 0;
}

static void adopt(struct worker *w)
{
	struct pma_info stats[32];
	uint64_t cursor = 0;
	size_t nr;
	int r;

	do {
		nr = 32;
		r = pma_list(stats, &nr, &cursor, w->pma, 0, NULL);
		if (r < 0)
			die("list", r);
		for (size_t i = 0; i < nr; i++)
			if (is_mine(w, &stats[i]))
				keep(w, stats[i].handle, stats[i].len);
	} while (cursor);
}

/* Adopts before anyone changes anything: the listing is complete and two never take the same. */
static void work(unsigned number, uint64_t seed, int gate)
{
	struct worker w = { .number = number,
			    .random = (seed + number * 7919 + 1) * 0x9E3779B97F4A7C15u,
			    .seq = number };
	char go;
	int r;

	r = pma_connect(&w.pma, NULL);
	if (r < 0)
		die("connect", r);
	adopt(&w);
	say("ready %u\n", number);
	if (read(gate, &go, 1) != 0)
		exit(1);
	for (;;)
		do_something(&w);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	int gate[2], status;
	char name[16];

	if (pipe(gate) < 0)
		return 1;
	for (unsigned i = 0; i < NR_WORKERS; i++)
		if (fork() == 0) {
			close(gate[1]);
			work(i, seed, gate[0]);
		}
	/*
	 * The gate opens for all at once, by end of file, when the host has seen each of them ready
	 * and says so.
	 */
	if (!fgets(name, sizeof(name), stdin))
		return 1;
	close(gate[1]);
	wait(&status);
	return 1;
}
