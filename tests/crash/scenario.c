/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts world, history, model and judge together. */
#include <config.h>

#include "tests/crash/scenario.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_holder.h"
#include "tests/crash/history.h"

#define PRELUDE      16u
#define RANDOM_STEPS 40u
#define IDS_AHEAD    65536u
#define TABLE_CHUNK  1024u
#define DEEP         4u                 /* one round in so many */

enum kind { KIND_ALONE, KIND_RANDOM, KIND_REUSE, KIND_FORMAT, KIND_TABLE, KIND_IDS };

struct scenario {
	const struct scenario_params *params;
	enum kind kind;
	enum history_op op;             /* alone */
	struct flavour flavour;
	struct world world;
	struct model model;
	struct history history;
	uint8_t older[16];              /* format: the UUID of what was there before */
	size_t from;                    /* the first entry of the log that is explored */
	char title[160];
};

/* One round: each operation alone, the others between them. */
static const struct {
	enum kind kind;
	enum history_op op;
	const char *name;
} kinds[] = {
	{ KIND_RANDOM, 0, "random" },	  { KIND_ALONE, OP_CREATE, NULL },
	{ KIND_ALONE, OP_RENAME, NULL },  { KIND_ALONE, OP_FREE, NULL },
	{ KIND_REUSE, 0, "reuse" },	  { KIND_ALONE, OP_SCRUB, NULL },
	{ KIND_ALONE, OP_RESERVE, NULL }, { KIND_RANDOM, 0, "random" },
	{ KIND_ALONE, OP_PUBLISH, NULL }, { KIND_ALONE, OP_GROW, NULL },
	{ KIND_ALONE, OP_SHRINK, NULL },  { KIND_FORMAT, 0, "format" },
	{ KIND_ALONE, OP_KILL, NULL },	  { KIND_RANDOM, 0, "random" },
	{ KIND_ALONE, OP_SETATTR, NULL }, { KIND_ALONE, OP_KILL, NULL },
	{ KIND_ALONE, OP_ABORT, NULL },	  { KIND_ALONE, OP_POISON, NULL },
	{ KIND_REUSE, 0, "reuse" },	  { KIND_ALONE, OP_RESTART, NULL },
	{ KIND_TABLE, 0, "table" },	  { KIND_IDS, 0, "ids" },
	{ KIND_RANDOM, 0, "random" },	  { KIND_ALONE, OP_REPLACE, NULL },
	{ KIND_ALONE, OP_ATTRIBUTES, NULL }, { KIND_ALONE, OP_EVICT, NULL },
	{ KIND_ALONE, OP_BUNDLE, NULL },
	{ KIND_ALONE, OP_CONTENTS, NULL },
};
#define NR_KINDS ((unsigned)(sizeof(kinds) / sizeof(kinds[0])))

unsigned scenario_round(void)
{
	return NR_KINDS * nr_flavours;
}

static const char *kind_name(unsigned i)
{
	return kinds[i].name ? kinds[i].name : history_op_name(kinds[i].op);
}

/* ---- before the recording ---- */

/*
 * Somebody used these devices: a line in each base page of the data, and all of the metadata but
 * the superblocks.
 */
static void scribble(struct scenario *s)
{
	struct image *image = image_new();
	uint64_t size = s->flavour.nr_pages * s->flavour.page_size + (UINT64_C(4) << 20),
		 first = UINT64_C(3) << 20;
	unsigned device = image_device(image, "dev", size);

	image_scribble(image, device, 4096, 400 << 10, s->history.seed);
	image_scribble(image, device, (2 << 20) + 4096, 400 << 10, s->history.seed + 1);
	for (uint64_t off = first; off < size; off += 4096)
		image_scribble(image, device, off + history_random(&s->history.seed, 64) * 64, 64,
			       off);
	if (s->flavour.apart)
		image_scribble(image, image_device(image, "meta", UINT64_C(4) << 20), 4096,
			       400 << 10, s->history.seed + 2);
	world_boot(&s->world, image);
	image_free(image);
}

static void must_open(struct scenario *s)
{
	int r = world_open(&s->world);

	if (r < 0)
		errx(2, "%s: the arena does not open: %s: %s", s->title, strerror(-r),
		     s->world.why.text);
}

static void steps(struct scenario *s, unsigned nr)
{
	static const enum history_op tame[] = { OP_RESERVE, OP_CREATE, OP_CREATE, OP_PUBLISH,
						OP_WRITE,   OP_FREE,   OP_RENAME, OP_GROW,
						OP_SCRUB,   OP_SETTLE };

	for (unsigned i = 0; i < nr; i++)
		history_step(
			&s->history,
			tame[history_random(&s->history.seed, sizeof(tame) / sizeof(tame[0]))]);
	history_settle(&s->history);
}

/* An arena with some allocations, which the next format is to make disappear. */
static void live_before(struct scenario *s)
{
	must_open(s);
	steps(s, PRELUDE);
	history_run(&s->history, PRELUDE);
	if (!s->world.arena)
		return;
	memcpy(s->older, arena_identity(s->world.arena)->uuid, sizeof(s->older));
	world_close(&s->world);
}

static void format_again(struct scenario *s)
{
	struct arena_params params = s->world.params;
	int r;

	params.force = true;
	r = arena_format(&params, &s->world.why);
	if (r < 0)
		errx(2, "%s: format: %s", s->title, s->world.why.text);
	/* Nobody has anything of the arena before. */
	model_fini(&s->model);
	history_fini(&s->history);
}

/* What is in the log so far is certain: exploring it is another scenario's. The arena is down. */
static void start_log(struct scenario *s)
{
	struct image *image = image_copy(recorder_image(s->world.rec));

	world_boot(&s->world, image);
	image_free(image);
}

/* ---- recordings ---- */

/* The operation, once or a few times in one settle, and what comes of it. */
static void record_alone(struct scenario *s)
{
	unsigned nr = 1 + (unsigned)history_random(&s->history.seed, 3), done = 0;

	must_open(s);
	if (s->flavour.page_size == 4096 && history_random(&s->history.seed, 2))
		history_crowd(&s->history);
	steps(s, PRELUDE);
	s->from = recorder_nr(s->world.rec);
	for (unsigned tries = 0; done < nr && tries < 64 && !s->history.nr_failures; tries++) {
		done += history_step(&s->history, s->op);
		if (tries % 8 == 7)
			steps(s, 4);
	}
	if (s->world.arena)
		history_settle(&s->history);
	if (s->world.arena && s->op != OP_CREATE)
		world_scrub_all(&s->world);
}

/* Upkeep makes a page whole that nobody has used since it came by last. */
static void steps_of_upkeep(struct scenario *s)
{
	history_settle(&s->history);
	history_step(&s->history, OP_TICK);
	history_step(&s->history, OP_TICK);
}

/*
 * Space and names that are given up and wanted by somebody else in the same settle. There is little
 * of both; or there is nothing else, so that pages become whole.
 */
static void record_reuse(struct scenario *s)
{
	static const enum history_op releases[] = { OP_FREE, OP_SHRINK, OP_FREE, OP_RENAME };
	bool crowded = history_random(&s->history.seed, 2), wrote = false;

	must_open(s);
	if (crowded)
		history_crowd(&s->history);
	for (unsigned i = 0; i < 24 && (crowded || !wrote); i++) {
		history_step(&s->history, OP_CREATE);
		history_settle(&s->history);
		wrote = history_step(&s->history, OP_WRITE);
	}
	history_close_all(&s->history);
	s->from = recorder_nr(s->world.rec);
	for (unsigned i = 0; i < 3; i++) {
		history_step(&s->history,
			     releases[history_random(&s->history.seed, crowded ? 4 : 1)]);
		world_scrub_all(&s->world);
		if (crowded)
			history_reuse(&s->history);
		else
			steps_of_upkeep(s);
	}
	history_settle(&s->history);
	world_scrub_all(&s->world);
	history_reuse(&s->history);
	history_settle(&s->history);
}

static void record_random(struct scenario *s)
{
	must_open(s);
	if (s->flavour.page_size == 4096 && history_random(&s->history.seed, 2))
		history_crowd(&s->history);
	history_run(&s->history, RANDOM_STEPS);
}

static int reserve_and_abort(struct scenario *s, uint64_t *id)
{
	struct caller caller = { .uid = 1000, .gid = 1000, .holder = s->world.holder };
	struct arena_ask ask = { .len = 4096 };
	struct alloc *alloc;
	int r = arena_reserve(&alloc, s->world.arena, &caller, &ask, &s->world.why);

	if (r < 0)
		return r;
	*id = alloc->id;
	return arena_abort(s->world.arena, &caller, alloc, true, &s->world.why);
}

/* The next id is the first beyond the ones set aside. */
static void record_ids(struct scenario *s)
{
	uint64_t id = 0;

	must_open(s);
	/* Something keeps its page split, so that each turn is short. */
	while (!history_step(&s->history, OP_CREATE))
		;
	history_settle(&s->history);
	while (id % IDS_AHEAD != 0 || id == 0) {
		if (reserve_and_abort(s, &id) < 0)
			errx(2, "%s: %s", s->title, s->world.why.text);
		world_scrub_all(&s->world);
	}
	s->from = recorder_nr(s->world.rec);
	for (unsigned done = 0; done < 2;)
		done += history_step(&s->history, OP_CREATE);
	history_settle(&s->history);
}

/* One with a name of its own, 255 bytes of it: four slots. */
static void create_long(struct scenario *s, unsigned number)
{
	struct caller caller = { .uid = 1000, .gid = 1000, .holder = s->world.holder };
	struct arena_ask ask = { .len = 4096, .name_len = ALLOC_MAX_NAME, .publish = true };
	char name[ALLOC_MAX_NAME + 1];
	uint64_t begun = world_mark(&s->world);
	struct alloc *alloc;
	int r;

	snprintf(name, sizeof(name), "%0*u", ALLOC_MAX_NAME, number);
	ask.name = name;
	while ((r = arena_reserve(&alloc, s->world.arena, &caller, &ask, &s->world.why)) == -EAGAIN)
		world_scrub_all(&s->world);
	if (r < 0)
		errx(2, "%s: %s: %s", s->title, strerror(-r), s->world.why.text);
	model_add(&s->model, alloc, begun)->given = world_mark(&s->world);
}

/* The last record needs a second chunk of the table. */
static void record_table(struct scenario *s)
{
	must_open(s);
	for (unsigned i = 0; i < TABLE_CHUNK / 4 - 1; i++)
		create_long(s, i);
	history_settle(&s->history);
	s->from = recorder_nr(s->world.rec);
	for (unsigned i = 0; i < 2; i++)
		create_long(s, TABLE_CHUNK + i);
	history_settle(&s->history);
}

/* ---- judges ---- */

static void judge_history(struct verdict *verdict, void *arg, uint64_t now, const size_t *seen,
			  const struct image *image)
{
	struct scenario *s = arg;

	judge(verdict, &s->world, &s->model, now, seen, image);
}

/*
 * A format was cut: the older arena as it was, or the new one, empty, or none; never something
 * between. And what is not an arena can be made one: by force, and without if nothing was there
 * before.
 */
static void judge_format(struct verdict *verdict, void *arg, uint64_t now, const size_t *seen,
			 const struct image *image)
{
	struct scenario *s = arg;
	bool was_used = s->model.nr_objects > 0;                /* by an arena */
	int r;

	(void)now;
	(void)seen;
	s->world.params.format = ARENA_FORMAT_NEVER;
	world_boot(&s->world, image);
	r = world_open(&s->world);
	if (r == 0 &&
	    memcmp(arena_identity(s->world.arena)->uuid, s->older, sizeof(s->older)) == 0) {
		world_kill(&s->world, false);
		judge(verdict, &s->world, &s->model, s->world.now, NULL, image);
	} else if (r == 0) {
		judge_empty(verdict, &s->world);
	} else {
		s->world.params.format = ARENA_FORMAT_IF_BLANK;
		s->world.params.force = was_used;
		if (was_used && arena_format(&s->world.params, &s->world.why) < 0)
			verdict_fail(verdict, "it cannot be formatted again: %s",
				     s->world.why.text);
		else if (world_open(&s->world) < 0)
			verdict_fail(verdict, "a device whose format was cut does not open: %s",
				     s->world.why.text);
		else
			judge_empty(verdict, &s->world);
	}
	s->world.params.format = ARENA_FORMAT_IF_BLANK;
	s->world.params.force = false;
}

static void record_format(struct scenario *s)
{
	struct arena_params params;
	bool used = history_random(&s->history.seed, 4) != 0;

	if (used)
		live_before(s);
	start_log(s);
	params = s->world.params;
	params.force = used;
	if (arena_format(&params, &s->world.why) < 0)
		errx(2, "%s: format: %s", s->title, s->world.why.text);
}

/* ---- a scenario ---- */

/* Without any cut. */
static void check_running(struct scenario *s)
{
	struct verdict verdict = { 0 };

	judge_check(&verdict, &s->world);
	if (verdict.failed) {
		s->history.nr_failures++;
		fprintf(stderr, "FAILED while it runs: %s\n", verdict.text);
	}
	verdict_fini(&verdict);
}

static void record(struct scenario *s)
{
	uint64_t past = history_random(&s->history.seed, 3);

	if (past > 0)
		scribble(s);
	if (s->kind == KIND_FORMAT) {
		record_format(s);
		return;
	}
	if (past > 1) {
		live_before(s);
		format_again(s);
		start_log(s);
	}
	if (s->kind == KIND_ALONE)
		record_alone(s);
	else if (s->kind == KIND_REUSE)
		record_reuse(s);
	else if (s->kind == KIND_TABLE)
		record_table(s);
	else if (s->kind == KIND_IDS)
		record_ids(s);
	else
		record_random(s);
	if (!s->world.arena)
		return;
	check_running(s);
	world_kill(&s->world, false);
}

static uint64_t look_at(struct scenario *s)
{
	const struct scenario_params *p = s->params;
	struct explorer explorer = {
		.world = &s->world,
		.judge = s->kind == KIND_FORMAT ? judge_format : judge_history,
		.arg = s,
		.seed = p->seed + p->number,
		.bound = p->bound,
		.sample = p->sample,
		.again = s->kind == KIND_FORMAT ? 0 : p->again,
		.only = p->only,
		.title = s->title,
		.stop = p->stop,
		.tally = p->tally,
	};

	/*
	 * Most scenarios are looked at briefly, so that there are many of them; some with all care.
	 */
	if (p->number / NR_KINDS % DEEP != DEEP - 1) {
		explorer.bound /= 8;
		explorer.sample = explorer.sample / 4 + 1;
		explorer.again *= 4;
	} else if (s->kind == KIND_RANDOM) {
		explorer.bound /= 4;
		explorer.sample = explorer.sample / 2 + 1;
	}
	return explore(&explorer, s->from);
}

static int find_kind(const char *name)
{
	for (unsigned i = 0; i < NR_KINDS; i++)
		if (strcmp(kind_name(i), name) == 0)
			return (int)i;
	errx(64, "there is no scenario %s", name);
}

static void choose(struct scenario *s)
{
	const struct scenario_params *p = s->params;
	unsigned kind = p->what ? (unsigned)find_kind(p->what) : (unsigned)(p->number % NR_KINDS);
	const struct flavour *flavour = &flavours[(p->number / NR_KINDS + p->number) % nr_flavours];

	if (p->flavour && !(flavour = find_flavour(p->flavour)))
		errx(64, "there is no flavour %s", p->flavour);
	s->kind = kinds[kind].kind;
	s->op = kinds[kind].op;
	s->flavour = *flavour;
	if (s->kind == KIND_TABLE)              /* many allocations in little space */
		s->flavour = flavours[p->number % 2];
	if (s->kind == KIND_IDS && flavour->page_size == 4096)
		s->flavour = flavours[3];
	s->history = (struct history){ .world = &s->world,
				       .model = &s->model,
				       .print = p->print,
				       .seed = p->seed * 1000003 + p->number };
	for (unsigned i = 0; i < 4; i++)
		history_random(&s->history.seed, 1);
	snprintf(s->title, sizeof(s->title),
		 "explore --seed %" PRIu64 " --number %" PRIu64 " --flavour %s --what %s", p->seed,
		 p->number, s->flavour.name, kind_name(kind));
}

uint64_t scenario_run(const struct scenario_params *params)
{
	struct scenario s = { .params = params };
	uint64_t nr_failed;

	choose(&s);
	snprintf(params->tally->where, sizeof(params->tally->where), "%s", s.title);
	world_init(&s.world, &s.flavour, 2048);
	/* Of a file, too, pages are kept for their last users. */
	if (s.kind == KIND_ALONE && s.op == OP_CONTENTS)
		s.world.params.keep_blocks = UINT64_C(1) << 30;
	model_init(&s.model);
	record(&s);
	nr_failed = s.history.nr_failures;
	history_fini(&s.history);
	if (nr_failed) {
		params->tally->failures += nr_failed;
		fprintf(stderr, "  %s\n", s.title);
	} else {
		nr_failed = look_at(&s);
	}
	params->tally->histories++;
	params->tally->leaks = s.world.leaks;
	model_fini(&s.model);
	world_fini(&s.world);
	return nr_failed;
}
