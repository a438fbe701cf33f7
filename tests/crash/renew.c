/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * renew: an arena gets another UUID, and the power is cut at every fence of it, in the states that
 * this may leave, also in the second attempt. Either it is the old arena, or it is refused until it
 * was done again; with all allocations, ids and contents in both cases.
 *
 *	renew [--seeds N] [--flavour NAME] [--seed N --state POINT:STATE[/POINT:STATE]]
 *
 * One history a flavour; more by hand.
 */
#include <config.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/explorer.h"
#include "tests/crash/history.h"

struct trial {
	struct world world;
	struct model model;
	struct history history;
	uint8_t was[16], is[16];
};

static int reidentify(struct trial *t, uint8_t was[16], uint8_t is[16])
{
	struct arena_params params = t->world.params;
	char dir[64];
	int r;

	/* Of its own, as the tool has it. */
	snprintf(dir, sizeof(dir), "%s", t->world.dir);
	params.runtime_dir = dir;
	t->world.why.text[0] = '\0';
	r = arena_reidentify(was, is, &params, &t->world.why);
	return r;
}

/* Opened: the old one, untouched, or the new one, whole. */
static void judge_open(struct verdict *verdict, struct trial *t, uint64_t now)
{
	const uint8_t *uuid = arena_identity(t->world.arena)->uuid;
	const char *reason;

	verdict->opened = world_mark(&t->world);
	if (memcmp(uuid, t->was, 16) != 0 && memcmp(uuid, t->is, 16) != 0)
		verdict_fail(verdict, "it is an arena of a third UUID");
	if (arena_state(t->world.arena, &reason) != ARENA_ONLINE)
		verdict_fail(verdict, "it is not online: %s", reason);
	judge_check(verdict, &t->world);
	judge_objects(verdict, &t->world, &t->model, now, NULL);
	judge_free(verdict, &t->world, &t->model, now);
}

static void judge_cut(struct verdict *verdict, void *arg, uint64_t now, const size_t *seen,
		      const struct image *image)
{
	struct trial *t = arg;
	uint8_t was[16], is[16];
	int r;

	(void)seen;
	*verdict = (struct verdict){ 0 };
	now = t->world.now > now ? t->world.now : now;
	world_boot(&t->world, image);
	r = world_open(&t->world);
	if (r == -EUCLEAN && strstr(t->world.why.text, "reidentify")) {
		r = reidentify(t, was, is);
		if (r == 0 && memcmp(is, t->is, 16) != 0)
			verdict_fail(verdict,
				     "done again, it has another UUID than the one that was begun");
		if (r == 0)
			r = world_open(&t->world);
		if (r == 0 && memcmp(arena_identity(t->world.arena)->uuid, is, 16) != 0)
			verdict_fail(verdict, "done again, it is not the arena that it said");
	}
	if (r < 0)
		verdict_fail(verdict, "it does not open: %s: %s", strerror(-r), t->world.why.text);
	else
		judge_open(verdict, t, now);
}

static uint64_t run_trial(const struct flavour *flavour, uint64_t seed, const char *only,
			  struct tally *tally)
{
	struct trial t = { .world = { 0 } };
	char title[128];
	struct explorer explorer = {
		.world = &t.world,
		.judge = judge_cut,
		.arg = &t,
		.seed = seed,
		.bound = 16,
		.sample = 3,
		.again = 24,
		.keeps_copies = true,
		.only = only,
		.title = title,
		.tally = tally,
	};
	uint64_t nr_failed;
	int r;

	snprintf(title, sizeof(title), "renew --flavour %s --seed %llu", flavour->name,
		 (unsigned long long)seed);
	world_init(&t.world, flavour, 1024);
	model_init(&t.model);
	t.history = (struct history){ .world = &t.world, .model = &t.model, .seed = seed * 7919 };
	if (world_open(&t.world) < 0)
		errx(2, "it does not open: %s", t.world.why.text);
	history_run(&t.history, 24);
	history_close_all(&t.history);
	world_close(&t.world);
	model_ack(&t.model, world_mark(&t.world));
	world_boot(&t.world, recorder_image(t.world.rec));
	r = reidentify(&t, t.was, t.is);
	if (r < 0)
		errx(2, "%s: it cannot be done: %s", title, t.world.why.text);
	nr_failed = explore(&explorer, 0);
	history_fini(&t.history);
	model_fini(&t.model);
	world_fini(&t.world);
	return nr_failed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", 1, NULL, 'n' },
		{ "seed", 1, NULL, 's' },
		{ "flavour", 1, NULL, 'f' },
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
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n': nr = strtoull(optarg, NULL, 0); break;
		case 's': first = strtoull(optarg, NULL, 0); break;
		case 'f': flavour = optarg; break;
		case 'o': only = optarg; break;
		case 'i': break;
		default:  return 64;
		}
	}
	for (uint64_t seed = first; seed < first + nr; seed++)
		for (unsigned f = 0; f < nr_flavours; f++)
			if (!flavour || strcmp(flavour, flavours[f].name) == 0)
				nr_failed += run_trial(&flavours[f], seed, only, &tally);
	printf("FIGURE renew: %llu points, %llu states, %llu failures\n",
	       (unsigned long long)tally.points, (unsigned long long)(tally.states + tally.again),
	       (unsigned long long)nr_failed);
	return world_exit(nr_failed ? 1 : 0);
}
