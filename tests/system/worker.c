/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker: one client of a torture test. Creates, fills, checks, resizes, renames and frees
 * allocations of its own at random, until its standard input ends, and remembers what was
 * acknowledged. Each page that it owns carries a stamp; a stamp that is not its own is somebody
 * else's write, a page that is not zero at first is somebody else's past.
 *
 *	worker SOCKET SEED        exit status 0: everything acknowledged was there to the end
 *
 * The daemon may be killed and started again at any time, as long as it is back before the
 * session's time is over: each request is done once, and none has a fate that is unknown.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pmemarena.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 24
#define PAGE  4096u

struct mine {
	bool used;
	struct pma_handle handle;
	uint64_t len, filled;           /* bytes; pages below filled carry the stamp */
	uint64_t stamp;
	char name[64];
};

static struct mine mine[SLOTS];
static struct pma *pma;
static uint64_t seed, next_stamp, nr_done;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

__attribute__((format(printf, 1, 2), noreturn))
static void fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "worker %d: ", (int)getpid());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (last message: %s)\n", pma_message());
	exit(1);
}

static void check(int r, const char *what)
{
	if (r < 0)
		fail("%s: %s", what, strerror(-r));
}

static uint64_t random_len(void)
{
	static const uint64_t most[] = { 2, 30, 512, 2000 };    /* pages */

	return (1 + rnd(most[rnd(4)])) * PAGE;
}

/* Pages below @filled have the stamp, the others are zero; then all get it. */
static void check_and_stamp(struct mine *m)
{
	struct pma_mapping *map;
	uint8_t *base;
	int r = pma_map(&map, pma, m->handle, PMA_MAP_WRITE);

	check(r, "map");
	base = pma_map_address(map);
	for (uint64_t at = 0; at < m->len; at += PAGE) {
		uint64_t *page = (uint64_t *)(void *)(base + at);

		if (at < m->filled && (page[0] != m->stamp || page[1] != at))
			fail("%s: offset %" PRIu64 " has stamp %" PRIx64 "/%" PRIx64
			     ", mine is %" PRIx64,
			     m->name, at, page[0], page[1], m->stamp);
		for (unsigned i = 0; at >= m->filled && i < PAGE / 8; i++)
			if (page[i])
				fail("%s: offset %" PRIu64 " is not zero at first: %" PRIx64,
				     m->name, at + i * 8, page[i]);
		page[0] = m->stamp;
		page[1] = at;
		page[PAGE / 8 - 1] = m->stamp;
	}
	check(pma_persist(map, base, m->len), "persist");
	pma_unmap(map);
	m->filled = m->len;
}

/* Under a token, and once more, as a program does that forgot that it had an answer. */
static int create_once(struct pma_handle *handle, const char *name, uint64_t len)
{
	struct pma_op op = { .opcode = PMA_OP_CREATE,
			     .name = name,
			     .len = len,
			     .token = next_stamp },
		      again = op;

	check(pma_run(pma, &op, 1), "create");
	if (op.result < 0 || rnd(2)) {
		*handle = op.handle;
		return op.result;
	}
	check(pma_run(pma, &again, 1), "create again");
	check(again.result, "create again");
	if (op.was_done || !again.was_done || again.handle.id != op.handle.id ||
	    again.len != op.len)
		fail("%s: created twice: id %" PRIu64 ", then %" PRIu64, name, op.handle.id,
		     again.handle.id);
	*handle = again.handle;
	return 0;
}

static void create(struct mine *m)
{
	struct pma_handle handle = PMA_HANDLE_NONE;
	uint64_t len = random_len();
	bool two_steps = rnd(2);
	int r;

	memset(m, 0, sizeof(*m));
	snprintf(m->name, sizeof(m->name), "w%d-%" PRIu64, (int)getpid(), ++next_stamp);
	m->stamp = (uint64_t)getpid() << 32 | next_stamp;
	r = two_steps ? pma_reserve(&handle, pma, m->name, len, 0)
		      : create_once(&handle, m->name, len);
	if (r == -ENOSPC || r == -EDQUOT || r == -ENFILE)
		return;
	check(r, "create");
	m->handle = handle;
	m->len = len;
	if (two_steps)
		check(pma_publish(pma, m->handle), "publish");
	m->used = true;
	check_and_stamp(m);
}

static void drop(struct mine *m)
{
	check(pma_free(pma, m->handle), "free");
	m->used = false;
}

static void resize(struct mine *m)
{
	uint64_t len = random_len();
	struct pma_info stat;
	int r = pma_resize(pma, m->handle, len);

	if (r == -ENOSPC)
		return;
	check(r, "resize");
	check(pma_stat(&stat, pma, m->handle), "stat after a resize");
	m->len = stat.len;
	m->filled = m->filled < m->len ? m->filled : m->len;
	check_and_stamp(m);
}

static void rename_it(struct mine *m)
{
	char name[64];

	snprintf(name, sizeof(name), "w%d-%" PRIu64, (int)getpid(), ++next_stamp);
	check(pma_rename(pma, m->handle, name), "rename");
	memcpy(m->name, name, sizeof(name));
}

static void verify(struct mine *m)
{
	struct pma_info stat;

	check(pma_stat_name(&stat, pma, 0, m->name), "an acknowledged allocation is lost");
	if (stat.handle.id != m->handle.id)
		fail("%s: id %" PRIu64 ", was %" PRIu64, m->name, stat.handle.id, m->handle.id);
	if (!pma_is_valid(pma, m->handle))
		fail("%s: its handle is not valid", m->name);
	check_and_stamp(m);
}

static void step(void)
{
	struct mine *m = &mine[rnd(SLOTS)];

	if (!m->used)
		create(m);
	else if (rnd(3) == 0)
		drop(m);
	else if (rnd(3) == 0)
		resize(m);
	else if (rnd(2) == 0)
		rename_it(m);
	else
		verify(m);
	nr_done++;
}

static bool is_told_to_stop(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
	struct pma_options *options;

	if (argc != 3)
		return 2;
	seed = strtoull(argv[2], NULL, 0);
	check(pma_options_new(&options), "options");
	check(pma_options_set_socket(options, argv[1]), "socket");
	check(pma_options_set_reconnect_ms(options, 20000), "reconnect");
	check(pma_connect(&pma, options), "connect");
	pma_options_free(options);
	printf("connected\n");
	fflush(stdout);
	while (!is_told_to_stop())
		step();
	for (int i = 0; i < SLOTS; i++)
		if (mine[i].used)
			verify(&mine[i]);
	printf("%" PRIu64 " operations\n", nr_done);
	pma_disconnect(pma);
	return 0;
}
