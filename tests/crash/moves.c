/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * moves: an arena leaves host A while a client there has space of it mapped, and the power is cut
 * at every fence of the stop, of a take-over on host B, and of B's starts after either. B is
 * refused, or gives to nobody what the client may have mapped; only after a whole take-over it has
 * all.
 *
 *	moves [--seeds N] [--flavour NAME] [--seed N --what stop|take-over --state POINT:STATE]
 */
#include <config.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/arena/moves.h"
#include "tests/crash/explorer.h"

static const struct host host_a = { .id = "host a", .boot = "boot a", .name = "a" };
static const struct host host_b = { .id = "host b", .boot = "boot b", .name = "b" };

enum what { STOP, TAKE_OVER, NR_WHAT };
static const char *const whats[NR_WHAT] = { "stop", "take-over" };

#define MAPPED_MAX 8

struct trial {
	struct world world;
	enum what what;
	/* bytes of the device that the client on A has mapped */
	struct extent mapped[MAPPED_MAX];
	uint32_t nr_mapped;
};

static bool touches(const struct trial *t, struct extent e)
{
	for (uint32_t i = 0; i < t->nr_mapped; i++)
		if (e.off < t->mapped[i].off + t->mapped[i].len &&
		    t->mapped[i].off < e.off + e.len)
			return true;
	return false;
}

static int ask(struct alloc **out, struct trial *t, const char *name, uint64_t len)
{
	struct caller caller = { .uid = 1000, .gid = 1000, .holder = t->world.holder };
	struct arena_ask ask = { .name = name, .len = len, .publish = true, .keep_open = true };
	int r;

	ask.name_len = name ? (uint8_t)strlen(name) : 0;
	r = arena_reserve(out, t->world.arena, &caller, &ask, &t->world.why);
	if (r == -EAGAIN) {
		world_scrub_all(&t->world);
		r = arena_reserve(out, t->world.arena, &caller, &ask, &t->world.why);
	}
	return r < 0 ? r : arena_settle(t->world.arena);
}

static void free_alloc(struct trial *t, struct alloc *alloc, bool unmapped)
{
	struct caller caller = { .uid = 0, .gid = 0, .holder = t->world.holder };

	if (arena_free_alloc(t->world.arena, &caller, alloc, unmapped, &t->world.why) < 0 ||
	    arena_settle(t->world.arena) < 0)
		errx(2, "it cannot be freed: %s", t->world.why.text);
}

/* A page and a run that the client maps and frees, and a run that it maps and that stays. */
static void map_some(struct trial *t)
{
	uint64_t page = arena_identity(t->world.arena)->page_size;
	const char *const names[] = { "freed", "freed run", "stays" };

	for (int i = 0; i < 3; i++) {
		struct alloc *alloc;

		if (ask(&alloc, t, names[i], i ? 4096 : page) < 0)
			errx(2, "no room: %s", t->world.why.text);
		for (uint32_t e = 0; e < alloc->nr_extents && t->nr_mapped < MAPPED_MAX; e++)
			t->mapped[t->nr_mapped++] = arena_extent(t->world.arena, alloc, e);
		if (i < 2)
			free_alloc(t, alloc, false);
	}
}

/* Fills the arena of B: nobody may get what the client on A has mapped. */
static void judge_full(struct verdict *verdict, struct trial *t, uint64_t len)
{
	struct alloc *alloc;

	while (ask(&alloc, t, NULL, len) == 0)
		for (uint32_t i = 0; i < alloc->nr_extents; i++)
			if (touches(t, arena_extent(t->world.arena, alloc, i)))
				verdict_fail(verdict,
					     "bytes from %llu are mapped on A and given out on B",
					     (unsigned long long)arena_extent(t->world.arena, alloc,
									      i)
						     .off);
}

static void judge_withheld(struct verdict *verdict, struct trial *t)
{
	struct alloc *stays = arena_find_name(t->world.arena, "stays", 5);
	struct moves_hosts hosts;

	arena_abroad(&hosts, t->world.arena);
	if (hosts.nr != 1 || memcmp(hosts.list[0].id, host_a.id, 16) != 0)
		verdict_fail(verdict, "%u hosts are known to have it mapped, and A does", hosts.nr);
	if (stays)
		free_alloc(t, stays, true);
	else
		verdict_fail(verdict, "what A published is not there");
	judge_full(verdict, t, arena_identity(t->world.arena)->page_size);
	judge_full(verdict, t, 4096);
}

static bool is_abroad(const struct trial *t)
{
	struct moves_hosts hosts;

	arena_abroad(&hosts, t->world.arena);
	return hosts.nr > 0;
}

/* What is refused must be open to a take-over, as the sentence says. */
static int take_over(struct verdict *verdict, struct trial *t)
{
	struct moves_hosts hosts;
	int r = arena_take_over(&hosts, &t->world.params, &t->world.why);

	if (r == 0 && hosts.nr == 0)
		verdict_fail(verdict, "it was refused, and there was nothing to take over");
	return r < 0 ? r : world_open(&t->world);
}

static void judge_cut(struct verdict *verdict, void *arg, uint64_t now, const size_t *seen,
		      const struct image *image)
{
	struct trial *t = arg;
	bool was_refused;
	int r;

	(void)seen;
	(void)now;
	*verdict = (struct verdict){ 0 };
	world_boot(&t->world, image);
	t->world.params.host = &host_b;
	r = world_open(&t->world);
	was_refused = r == -EHOSTDOWN;
	if (was_refused)
		r = take_over(verdict, t);
	if (r < 0) {
		verdict_fail(verdict, "it does not open: %s: %s", strerror(-r), t->world.why.text);
		return;
	}
	verdict->opened = world_mark(&t->world);
	judge_check(verdict, &t->world);
	/* After a take-over there is nothing to withhold; before it there is, on every path. */
	if (t->what == STOP && !was_refused)
		judge_withheld(verdict, t);
	else if (is_abroad(t))
		judge_withheld(verdict, t);
}

/* From closed on A, with marks, to taken over on B. */
static void make_take_over(struct trial *t)
{
	struct moves_hosts hosts;

	world_boot(&t->world, recorder_image(t->world.rec));
	t->world.params.host = &host_b;
	if (arena_take_over(&hosts, &t->world.params, &t->world.why) < 0)
		errx(2, "it cannot be taken over: %s", t->world.why.text);
}

static uint64_t run_trial(const struct flavour *flavour, uint64_t seed, enum what what,
			  const char *only, struct tally *tally)
{
	struct trial t = { .what = what };
	char title[128];
	struct explorer explorer = {
		.world = &t.world,
		.judge = judge_cut,
		.arg = &t,
		.seed = seed,
		.bound = 16,
		.sample = 3,
		.keeps_copies = true,
		.only = only,
		.title = title,
		.tally = tally,
	};
	uint64_t nr_failed;
	size_t from;

	snprintf(title, sizeof(title), "moves --flavour %s --seed %llu --what %s", flavour->name,
		 (unsigned long long)seed, whats[what]);
	world_init(&t.world, flavour, 1024);
	t.world.params.host = &host_a;
	if (world_open(&t.world) < 0)
		errx(2, "it does not open: %s", t.world.why.text);
	map_some(&t);
	from = recorder_nr(t.world.rec);
	world_close(&t.world);
	if (what == TAKE_OVER) {
		make_take_over(&t);
		from = 0;
	}
	nr_failed = explore(&explorer, from);
	world_fini(&t.world);
	return nr_failed;
}

static enum what find_what(const char *text)
{
	enum what what = STOP;

	while (what < NR_WHAT && strcmp(whats[what], text) != 0)
		what++;
	return what;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", 1, NULL, 'n' },
		{ "seed", 1, NULL, 's' },
		{ "flavour", 1, NULL, 'f' },
		{ "what", 1, NULL, 'w' },
		{ "state", 1, NULL, 'o' },
		/* For run-mutations, which says them to every program. */
		{ "seconds", 1, NULL, 'i' },
		{ "jobs", 1, NULL, 'i' },
		{ "stop", 0, NULL, 'i' },
		{ 0 },
	};
	static struct tally tally;
	const char *only = NULL, *flavour = NULL;
	uint64_t first = 1, nr = 1, nr_failed = 0;
	enum what only_what = NR_WHAT;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n': nr = strtoull(optarg, NULL, 0); break;
		case 's': first = strtoull(optarg, NULL, 0); break;
		case 'f': flavour = optarg; break;
		case 'w': only_what = find_what(optarg); break;
		case 'o': only = optarg; break;
		case 'i': break;
		default:  return 64;
		}
	}
	for (uint64_t seed = first; seed < first + nr; seed++)
		for (unsigned i = 0; i < nr_flavours * NR_WHAT; i++) {
			const struct flavour *f = &flavours[i / NR_WHAT];
			enum what what = i % NR_WHAT;

			if ((!flavour || strcmp(flavour, f->name) == 0) &&
			    (only_what == NR_WHAT || what == only_what))
				nr_failed += run_trial(f, seed, what, only, &tally);
		}
	printf("FIGURE moves: %llu points, %llu states, %llu failures\n",
	       (unsigned long long)tally.points, (unsigned long long)(tally.states + tally.again),
	       (unsigned long long)nr_failed);
	return world_exit(nr_failed ? 1 : 0);
}
