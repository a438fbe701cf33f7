/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pin_model: is a pin enough? Every interleaving of one process that gets and puts, and of the
 * daemon that frees what it found, waits for its pins, gives the space to another allocation in the
 * same slot and enters that; and of a shrink, which frees a part of the space and keeps the id. The
 * stores of each side stay in a buffer of its own, in their order, until they reach memory (total
 * store order, as x86 has it); a fence empties it. (Where stores may also pass each other, the
 * release stores and acquire loads of the code keep the order that is assumed here.)
 *
 * The steps are those of lib/window and daemon/arena/pins.c. Each of the steps that are said to
 * matter is left out in turn: then the model must find the interleaving in which a process reads
 * what is another's.
 */
#include <config.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* What both can see. SPACE and TAIL: whose bytes are there, an id. */
enum place { WORD, ID, LENGTH, HIGH, PIN, SPACE, TAIL, NR_PLACES };
enum { PROCESS, DAEMON, NR_SIDES };

#define MAX_PENDING 8
#define GETS        2           /* that the process makes */
#define OLD         1           /* ids */
#define NEW         2
#define WHOLE       2           /* lengths */
#define SHRUNK      1
#define OTHERS      3           /* of the other allocation */
/* (slot + 1) << 4 | version, in a byte; the slot is always the same */
#define WORD_1      0x11
#define WORD_2      0x12

struct pending { uint8_t place, value; };

struct state {
	uint8_t memory[NR_PLACES];
	struct pending buffer[NR_SIDES][MAX_PENDING];
	uint8_t nr[NR_SIDES], pc[NR_SIDES];
	/* what the process has read, and how many gets it has made */
	uint8_t word, id, length, gets;
};

/* What is left out, and what the daemon does. */
struct model {
	bool no_fence_in_get, no_fence_in_free, no_look_at_word, no_look_at_id;
	bool pin_without_high, is_shrink, no_wait_for_older, word_before_id;
};

static struct state *seen;
static size_t nr_seen, room;
static bool is_broken;
static const struct model *model;

/* ---- states that were met ---- */

static uint64_t hash(const struct state *state)
{
	const uint8_t *bytes = (const uint8_t *)state;
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < sizeof(*state); i++)
		h = (h ^ bytes[i]) * 1099511628211u;
	return h;
}

/* An open-addressed table; one that is all zero is free, which no state is: SPACE is an id. */
static bool is_new(const struct state *state)
{
	size_t at = hash(state) & (room - 1);

	ck_assert_uint_lt(nr_seen, room / 2);
	while (seen[at].memory[SPACE]) {
		if (memcmp(&seen[at], state, sizeof(*state)) == 0)
			return false;
		at = (at + 1) & (room - 1);
	}
	seen[at] = *state;
	nr_seen++;
	return true;
}

/* ---- memory, as one side sees it ---- */

static void put(struct state *s, int side, enum place place, uint8_t value)
{
	ck_assert_uint_lt(s->nr[side], MAX_PENDING);
	s->buffer[side][s->nr[side]++] = (struct pending){ place, value };
}

static uint8_t get(const struct state *s, int side, enum place place)
{
	for (unsigned i = s->nr[side]; i > 0; i--)
		if (s->buffer[side][i - 1].place == place)
			return s->buffer[side][i - 1].value;
	return s->memory[place];
}

static void drain_one(struct state *s, int side)
{
	s->memory[s->buffer[side][0].place] = s->buffer[side][0].value;
	s->nr[side]--;
	memmove(&s->buffer[side][0], &s->buffer[side][1],
		s->nr[side] * sizeof(s->buffer[side][0]));
	s->buffer[side][s->nr[side]] = (struct pending){ 0 };
}

/* ---- the two programs; each step is one load, one store or one fence; false: it cannot go on ---- */

static bool next(struct state *s, int side)
{
	s->pc[side]++;
	return true;
}

static bool go(struct state *s, int side, uint8_t pc)
{
	s->pc[side] = pc;
	return true;
}

enum { GET_FIRST, GET_SECOND, GET_LENGTH, GET_HIGH, GET_PIN, GET_FENCE, GET_WORD_AGAIN, GET_ID_AGAIN,
       GET_USE, GET_USE_TAIL, GET_USE_AGAIN, GET_PUT, GET_END };

/* It has nothing pinned, and begins again. */
static bool get_again(struct state *s)
{
	s->word = s->id = s->length = 0;
	s->gets++;
	return go(s, PROCESS, s->gets < GETS ? GET_FIRST : GET_END);
}

static bool missed(struct state *s)
{
	put(s, PROCESS, PIN, 0);
	return get_again(s);
}

static bool step_process(struct state *s)
{
	switch (s->pc[PROCESS]) {
	case GET_FIRST:
		if (model->word_before_id)
			s->word = get(s, PROCESS, WORD);
		else
			s->id = get(s, PROCESS, ID);
		return next(s, PROCESS);
	case GET_SECOND:
		if (model->word_before_id)
			s->id = get(s, PROCESS, ID);
		else
			s->word = get(s, PROCESS, WORD);
		return s->word && s->id ? next(s, PROCESS) : get_again(s);
	case GET_LENGTH:
		s->length = get(s, PROCESS, LENGTH);
		return next(s, PROCESS);
	case GET_HIGH:
		if (!model->pin_without_high)
			put(s, PROCESS, HIGH, 1);
		return next(s, PROCESS);
	case GET_PIN:
		put(s, PROCESS, PIN, s->word);
		return next(s, PROCESS);
	case GET_FENCE:
		return (s->nr[PROCESS] == 0 || model->no_fence_in_get) && next(s, PROCESS);
	case GET_WORD_AGAIN:
		return get(s, PROCESS, WORD) == s->word || model->no_look_at_word
			       ? next(s, PROCESS)
			       : missed(s);
	case GET_ID_AGAIN:
		return get(s, PROCESS, ID) == s->id || model->no_look_at_id ? next(s, PROCESS)
									    : missed(s);
	case GET_USE:
	case GET_USE_AGAIN:
		is_broken |= get(s, PROCESS, SPACE) != s->id;
		return next(s, PROCESS);
	case GET_USE_TAIL:
		/* What it believes to be the length is that of the allocation with this id. */
		is_broken |= (s->length == OTHERS) != (s->id == NEW);
		is_broken |= s->length == WHOLE && get(s, PROCESS, TAIL) != s->id;
		return next(s, PROCESS);
	case GET_PUT:
		put(s, PROCESS, PIN, 0);
		return get_again(s);
	default:
		return false;
	}
}

/* Does the pin keep the space that is to be given away? */
static bool is_in_the_way(uint8_t pin)
{
	/* What was cut off is pinned by the version that had it; what is freed, by any. */
	return pin && (!model->is_shrink || (pin <= WORD_1 && !model->no_wait_for_older));
}

enum { FREE_WORD, FREE_ID, FREE_LENGTH, FREE_ENTER, FREE_FENCE, FREE_HIGH, FREE_PIN, FREE_GIVE,
       NEW_ID, NEW_LENGTH, NEW_WORD, FREE_END };

static bool step_daemon(struct state *s)
{
	switch (s->pc[DAEMON]) {
	case FREE_WORD:
		put(s, DAEMON, WORD, 0);
		return next(s, DAEMON);
	case FREE_ID:
		if (!model->is_shrink)
			put(s, DAEMON, ID, 0);
		return next(s, DAEMON);
	case FREE_LENGTH:
		if (model->is_shrink)
			put(s, DAEMON, LENGTH, SHRUNK);
		return next(s, DAEMON);
	case FREE_ENTER:
		/* The shrunk allocation is entered again before what was cut off is looked at. */
		if (model->is_shrink)
			put(s, DAEMON, WORD, WORD_2);
		return next(s, DAEMON);
	case FREE_FENCE:
		return (s->nr[DAEMON] == 0 || model->no_fence_in_free) && next(s, DAEMON);
	case FREE_HIGH:
		return get(s, DAEMON, HIGH) ? next(s, DAEMON) : go(s, DAEMON, FREE_GIVE);
	case FREE_PIN:
		return go(s, DAEMON, is_in_the_way(get(s, DAEMON, PIN)) ? FREE_HIGH : FREE_GIVE);
	case FREE_GIVE:
		put(s, DAEMON, TAIL, NEW);
		if (!model->is_shrink)
			put(s, DAEMON, SPACE, NEW);
		return model->is_shrink ? go(s, DAEMON, FREE_END) : next(s, DAEMON);
	case NEW_ID:
		put(s, DAEMON, ID, NEW);
		return next(s, DAEMON);
	case NEW_LENGTH:
		put(s, DAEMON, LENGTH, OTHERS);
		return next(s, DAEMON);
	case NEW_WORD:
		/* Of the same version in the same slot: the same word. */
		put(s, DAEMON, WORD, WORD_1);
		return next(s, DAEMON);
	default:
		return false;
	}
}

/* ---- all of it ---- */

static void explore(const struct state *from)
{
	for (int side = 0; side < NR_SIDES && !is_broken; side++) {
		struct state s = *from;

		if ((side == PROCESS ? step_process(&s) : step_daemon(&s)) && is_new(&s))
			explore(&s);
		if (from->nr[side] == 0 || is_broken)
			continue;
		s = *from;
		drain_one(&s, side);
		if (is_new(&s))
			explore(&s);
	}
}

static bool breaks(struct model of)
{
	struct state first;

	memset(&first, 0, sizeof(first));
	first.memory[WORD] = WORD_1;
	first.memory[ID] = first.memory[SPACE] = first.memory[TAIL] = OLD;
	first.memory[LENGTH] = WHOLE;
	room = (size_t)1 << 20;
	seen = calloc(room, sizeof(*seen));
	ck_assert_ptr_nonnull(seen);
	nr_seen = 0;
	is_broken = false;
	model = &of;
	explore(&first);
	free(seen);
	return is_broken;
}

START_TEST(test_pin_model_free_holds)
{
	ck_assert(!breaks((struct model){ 0 }));
	/* It did go through them all. */
	ck_assert_uint_gt(nr_seen, 500);
}
END_TEST

START_TEST(test_pin_model_shrink_holds)
{
	ck_assert(!breaks((struct model){ .is_shrink = true }));
	ck_assert_uint_gt(nr_seen, 500);
}
END_TEST

static const struct model flaws[] = {
	{ .no_fence_in_get = true },
	{ .no_fence_in_free = true },
	{ .no_look_at_id = true, .no_look_at_word = true },
	{ .no_look_at_id = true },
	{ .word_before_id = true },
	{ .pin_without_high = true },
	{ .is_shrink = true, .no_fence_in_get = true },
	{ .is_shrink = true, .no_fence_in_free = true },
	{ .is_shrink = true, .no_look_at_word = true },
	{ .is_shrink = true, .no_wait_for_older = true },
	{ .is_shrink = true, .pin_without_high = true },
};

START_TEST(test_pin_model_finds_each_step_that_is_left_out)
{
	ck_assert(breaks(flaws[_i]));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_pin_model_free_holds);
	tcase_add_test(t, test_pin_model_shrink_holds);
	tcase_add_loop_test(t, test_pin_model_finds_each_step_that_is_left_out, 0,
			    sizeof(flaws) / sizeof(*flaws));
}

UNIT("pin_model", { .add = add_tests, .timeout_s = 60 });
