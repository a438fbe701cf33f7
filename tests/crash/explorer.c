/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * There is one recorder, and judging needs it: so the states of a log are gathered first, as images
 * that share what they have in common, and judged afterwards. A recovery's own log is explored in
 * the same way, one level down.
 */
#include <config.h>

#include "tests/crash/explorer.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/states.h"

#define LEVELS 2

struct state {
	struct image *image;            /* owned */
	size_t point;
	uint64_t number, now;
	bool lost;                      /* a copy */
};

/* The states of one log. */
struct walk {
	struct explorer *explorer;
	struct state *states;           /* owned */
	size_t nr, room;
	unsigned level;
	bool lose;                      /* a copy may be lost: none was before */
	const char *only;               /* of this level */
	char path[80];                 /* how it was come to: "POINT:STATE/", at most one */
};

static void add_state(struct walk *walk, const struct states *states, uint64_t number, uint64_t now)
{
	if (walk->nr == walk->room) {
		walk->room = walk->room ? walk->room * 2 : 1024;
		walk->states = reallocarray(walk->states, walk->room, sizeof(*walk->states));
		if (!walk->states)
			errx(2, "out of memory");
	}
	walk->states[walk->nr++] =
		(struct state){ states_image(states, number), cut_point(states->cut), number, now,
				states_has_lost(states, number) };
}

static void gather_point(struct walk *walk, const struct cut *cut, uint64_t now)
{
	struct explorer *explorer = walk->explorer;
	size_t point = cut_point(cut), only_point;
	struct states states;
	uint64_t only;

	if (walk->only &&
	    (sscanf(walk->only, "%zu:%" SCNu64, &only_point, &only) != 2 || only_point != point))
		return;
	/* A recovery is short and looked at often: less of each. */
	if (walk->level)
		states_init(&states, cut, explorer->seed, explorer->bound / 16,
			    explorer->sample / 8 + 1, walk->lose);
	else
		states_init(&states, cut, explorer->seed, explorer->bound, explorer->sample,
			    walk->lose);
	explorer->tally->points++;
	if (walk->only) {
		fprintf(stderr, "  %s%zu:%" PRIu64 " at time %" PRIu64 ", lines:\n", walk->path,
			point, only, now);
		states_print(&states, only);
		add_state(walk, &states, only, now);
	}
	for (uint64_t number = 0; !walk->only && number < states.nr; number++)
		add_state(walk, &states, number, now);
}

/* @now: the time before the log's first mark. */
static void gather(struct walk *walk, size_t from, uint64_t now)
{
	struct cut *cut = cut_new(walk->explorer->world->rec);
	const struct recorder_entry *next;

	do {
		next = cut_next(cut);
		if (cut_point(cut) >= from && states_is_point(next))
			gather_point(walk, cut, now);
		if (next && next->op == RECORDER_MARK)
			now = next->value;
	} while (cut_step(cut));
	cut_free(cut);
}

static void tell(struct walk *walk, const struct state *state, const struct verdict *verdict)
{
	struct explorer *explorer = walk->explorer;

	explorer->tally->failures++;
	fprintf(stderr, "FAILED: %s\n  %s --state %s%zu:%" PRIu64 "\n", verdict->text,
		explorer->title, walk->path, state->point, state->number);
}

static uint64_t judge_all(struct walk *walk, uint64_t now, const size_t *seen, uint64_t opened);

/* The recovery that has just been judged, cut. What it showed once it was open must stay so. */
static uint64_t explore_again(struct walk *walk, const struct state *state,
			      const struct verdict *verdict)
{
	struct explorer *explorer = walk->explorer;
	const char *slash = walk->only ? strchr(walk->only, '/') : NULL;
	struct walk below = { .explorer = explorer,
			      .level = walk->level + 1,
			      .lose = !walk->explorer->keeps_copies && !state->lost,
			      .only = slash ? slash + 1 : NULL };

	snprintf(below.path, sizeof(below.path), "%zu:%" PRIu64 "/", state->point, state->number);
	gather(&below, 0, 0);
	return judge_all(&below, state->now, verdict->seen, verdict->opened);
}

static bool goes_on(const struct walk *walk, const struct state *state)
{
	const struct explorer *explorer = walk->explorer;

	if (walk->level + 1 == LEVELS)
		return false;
	if (walk->only)
		return strchr(walk->only, '/');
	return explorer->again && (state->point * 31 + state->number) % explorer->again == 0;
}

static uint64_t judge_one(struct walk *walk, const struct state *state, uint64_t now,
			  const size_t *seen)
{
	struct explorer *explorer = walk->explorer;
	struct verdict verdict = { 0 };
	uint64_t nr_failed = 0;

	snprintf(explorer->tally->where, sizeof(explorer->tally->where),
		 "%s --state %s%zu:%" PRIu64, explorer->title, walk->path, state->point,
		 state->number);
	explorer->judge(&verdict, explorer->arg, now, seen, state->image);
	if (explorer->world->arena)
		world_kill(explorer->world, false);
	*(walk->level ? &explorer->tally->again : &explorer->tally->states) += 1;
	if (verdict.failed)
		tell(walk, state, &verdict);
	nr_failed = verdict.failed;
	if (!verdict.failed && goes_on(walk, state))
		nr_failed += explore_again(walk, state, &verdict);
	verdict_fini(&verdict);
	return nr_failed;
}

/*
 * @opened: the time from which on @seen is what is expected; before it, or without, what the
 * history leaves open.
 */
static uint64_t judge_all(struct walk *walk, uint64_t now, const size_t *seen, uint64_t opened)
{
	uint64_t nr_failed = 0;

	for (size_t i = 0; i < walk->nr; i++) {
		const struct state *state = &walk->states[i];
		bool was_open = opened && state->now >= opened;

		if (!nr_failed || !walk->explorer->stop)
			nr_failed += judge_one(walk, state, walk->level ? now : state->now,
					       was_open ? seen : NULL);
		image_free(state->image);
	}
	free(walk->states);
	return nr_failed;
}

uint64_t explore(struct explorer *explorer, size_t from)
{
	struct walk walk = { .explorer = explorer,
			     .lose = !explorer->keeps_copies,
			     .only = explorer->only };

	gather(&walk, from, 0);
	return judge_all(&walk, 0, NULL, 0);
}
