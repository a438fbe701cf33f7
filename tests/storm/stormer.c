/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stormer: one client of a storm; tests/system/storm starts many, and kills them.
 *
 *	stormer run    SOCKET BOOKS EVIDENCE MAKER NR-MAKERS SEED [tolerant] until standard input
 *	               ends
 *	stormer verify SOCKET BOOKS EVIDENCE MAKER NR-MAKERS SEED [tolerant]    looks at what the
 *	                                                                        books say once
 *	stormer sweep  SOCKET BOOKS EVIDENCE MAKER NR-MAKERS SEED [tolerant]    and frees it
 *
 * Exit status 0: nothing was wrong; else the evidence is a line in the file EVIDENCE. MAKER is 1 to
 * 255 and its own.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/stamp.h"
#include "tests/storm/stormer.h"

#define CONNECT_TRIES 600
#define SETTLE_TRIES  800
/* A child lives six seconds at most (heir.c), and no longer than the storm. */
#define CHILDREN_MS   8000
#define ENDING_MS     2000

struct stormer me;

static const char *socket_path;

uint64_t rnd(uint64_t n)
{
	me.seed = me.seed * 6364136223846793005u + 1442695040888963407u;
	return (me.seed >> 33) % n;
}

void count(enum kind kind)
{
	me.books->nr_done[kind]++;
}

static bool is_for_want_of_room(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENFILE;
}

bool was_refused(int r)
{
	return is_for_want_of_room(r) ||
	       (!me.is_tolerant && r < 0 && r != -ESTALE && r != -ENOTCONN);
}

static char last_failure[500];

bool went(int r, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (r == -ESTALE || r == -ENOTCONN)
		me.is_lost = true;
	me.wants_room |= is_for_want_of_room(r);
	if (r >= 0)
		return true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(last_failure, sizeof(last_failure), "%s: %s (%s)", what, strerror(-r),
		 pma_message());
	if (me.is_lost || me.is_tolerant || is_for_want_of_room(r))
		return false;
	fail(NULL, "%s", last_failure);
}

void fail(const void *block, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	evidence(block, "%s", text);
	_exit(1);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	evidence(NULL, "signal %d at %p", signal, info->si_addr);
	_exit(1);
}

static void rest_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* ---- the session ---- */

static int connect_once(struct pma **out)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	r = pma_options_set_socket(options, socket_path);
	if (r == 0)
		r = pma_options_set_reconnect_ms(options, 20000);
	if (r == 0)
		r = pma_connect(out, options);
	pma_options_free(options);
	return r;
}

/* The daemon may just be dead. */
static struct pma *connect_at_last(void)
{
	struct pma *pma;
	int r;

	for (int tries = 0; (r = connect_once(&pma)) < 0; tries++) {
		if (tries == CONNECT_TRIES)
			fail(NULL, "connect: %s (%s)", strerror(-r), pma_message());
		rest_ms(50);
	}
	return pma;
}

static void on_event(const struct pma_event *event, void *arg)
{
	(void)arg;
	count(KIND_EVENT);
	if (event->kind < PMA_EVENT_PUBLISHED || event->kind > PMA_EVENT_MOVED)
		fail(NULL, "an event of kind %d", (int)event->kind);
	if (event->kind < PMA_EVENT_RECALL && strncmp(event->name, "s/6", 3) != 0)
		fail(NULL, "an event for \"%s\", s/6 was subscribed to", event->name);
}

static void begin_session(void)
{
	me.pma = connect_at_last();
	if (rnd(2) && connect_once(&me.other) < 0)
		me.other = NULL;
	me.is_lost = false;
	me.nr_arenas = 0;
	me.tenants = pma_arena_count(me.pma) - 1;
	for (uint32_t i = 0; i < me.tenants && i < 8; i++)
		if (pma_arena_get(&me.arenas[me.nr_arenas], me.pma, i) == 0)
			me.nr_arenas++;
	if (rnd(3) == 0)
		went(pma_subscribe(me.pma, (uint32_t)rnd(me.nr_arenas), "s/6", on_event, NULL),
		     "subscribe");
}

/* Reservations end with it; what was not answered is settled with the next. */
static void end_session(void)
{
	pieces_end();
	objects_end();
	pma_disconnect(me.pma);
	pma_disconnect(me.other);
	me.pma = me.other = NULL;
	for (unsigned i = 0; i < BOOKS_ENTRIES; i++)
		if (me.books->entries[i].state == ENTRY_RESERVED)
			me.books->entries[i].state = ENTRY_EMPTY;
}

static void renew(void)
{
	count(KIND_CONNECT);
	books_note(me.books, ORIGIN(me.maker, 0), me.is_lost ? "session lost" : "connect anew");
	if (me.is_lost)
		me.books->session_lost++;
	end_session();
	begin_session();
}

/* ---- one thing at a time ---- */

static void change(struct entry *entry)
{
	uint64_t what = rnd(100);

	if (what < 22)
		own_verify(entry);
	else if (what < 34)
		own_resize(entry);
	else if (what < 42)
		own_rename(entry);
	else if (what < 46)
		own_set(entry);
	else if (what < 66)
		own_drop(entry);
	else if (what < 86)
		heir_of(entry);
	else
		heir_extents(entry);
}

static void tend(struct entry *entry)
{
	if (entry->state == ENTRY_EMPTY)
		own_make(entry);
	else if (entry->state == ENTRY_LIVE)
		change(entry);
	else
		own_settle(entry);
}

/*
 * A refusal for want of room may have waited for seconds: with arenas that are always full there
 * would be no storm.
 */
static void make_room(void)
{
	me.wants_room = false;
	for (unsigned i = 0; i < 4; i++) {
		struct entry *entry = &me.books->entries[rnd(BOOKS_ENTRIES)];

		if (entry->state == ENTRY_LIVE && !me.is_lost)
			own_drop(entry);
	}
}

static void step(void)
{
	uint64_t what = rnd(100);

	if (rnd(12) == 0)
		tenant_step();
	if (what < 60)
		tend(&me.books->entries[rnd(BOOKS_ENTRIES)]);
	else if (what < 75)
		guest_step();
	else if (what < 87)
		pieces_step();
	else if (what < 92)
		objects_step();
	else if (what < 95)
		many_batch();
	else if (what < 97)
		many_list();
	else if (what < 99)
		went(pma_dispatch(me.pma), "dispatch");
	else if (rnd(4) == 0)
		renew();
	if (me.wants_room)
		make_room();
	guest_look();
	heir_look();
	tenant_look();
	me.books->nr_operations++;
	if (me.is_lost)
		renew();
}

static bool is_told_to_stop(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

/* ---- at the end ---- */

/*
 * Reservations of a session that died may take a while to go; in the end everything is there or
 * not.
 */
static void settle(struct entry *entry)
{
	for (int tries = 0; entry->state != ENTRY_LIVE && entry->state != ENTRY_EMPTY; tries++) {
		own_settle(entry);
		if (me.is_lost)
			renew();
		if (tries == SETTLE_TRIES)
			fail(NULL,
			     "%s (state %d): nobody can tell what became of it; last failure: %s",
			     entry->name, entry->state, last_failure);
		if (entry->state != ENTRY_LIVE && entry->state != ENTRY_EMPTY)
			rest_ms(50);
	}
}

static void for_each(bool drops)
{
	for (unsigned i = 0; i < BOOKS_ENTRIES; i++) {
		struct entry *entry = &me.books->entries[i];

		do {
			if (me.is_lost)
				renew();
			settle(entry);
			if (entry->state == ENTRY_LIVE)
				own_verify(entry);
			if (entry->state == ENTRY_LIVE && drops && !me.is_lost)
				own_drop(entry);
		} while (me.is_lost);
	}
}

static void sweep(void)
{
	for_each(true);
	while (!tenant_sweep())
		if (me.is_lost)
			renew();
}

static void run(void)
{
	uint64_t end_ms;

	me.alone_ms = now_ms() + CHILDREN_MS;
	while (!is_told_to_stop())
		step();
	end_ms = now_ms() + ENDING_MS;
	if (me.alone_ms > end_ms)
		me.alone_ms = end_ms;
	pieces_end();
	objects_end();
	for_each(false);
}

static void handle_signals(void)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO | SA_RESETHAND };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);       /* nobody waits for children */
}

int main(int argc, char **argv)
{
	if (argc < 8)
		return 2;
	socket_path = argv[2];
	me.books = books_open(argv[3]);
	me.maker = (unsigned)atoi(argv[5]);
	me.nr_makers = (unsigned)atoi(argv[6]);
	me.seed = strtoull(argv[7], NULL, 0);
	me.is_tolerant = argc > 8;
	me.uid = getuid();
	me.books->lives++;
	me.books->nr_children = 0;
	evidence_open(argv[4], me.maker);
	handle_signals();
	for (unsigned i = 0; i < BOOKS_ENTRIES; i++)    /* of its life before */
		if (me.books->entries[i].state == ENTRY_RESERVED)
			me.books->entries[i].state = ENTRY_EMPTY;
	begin_session();
	if (strcmp(argv[1], "run") == 0)
		run();
	else if (strcmp(argv[1], "sweep") == 0)
		sweep();
	else
		for_each(false);
	end_session();
	return 0;
}
