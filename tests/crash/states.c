/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A state's number alone says which choices it is made of, so that a failure can be had again by
 * its number.
 */
#include <config.h>

#include "tests/crash/states.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/media/superblock.h"

#define NR_LOST 2

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t rnd(uint64_t *seed, uint64_t n)
{
	*seed += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*seed) % n;
}

static uint64_t count_all(const struct cut *cut, uint64_t bound)
{
	uint64_t nr = 1;

	for (size_t i = 0; i < cut_nr_lines(cut); i++) {
		nr *= cut_line(cut, i).nr_versions;
		if (nr > bound)
			return 0;
	}
	return nr;
}

void states_init(struct states *states, const struct cut *cut, uint64_t seed, uint64_t bound,
		 uint64_t sample, bool lose)
{
	*states = (struct states){ .cut = cut,
				   .lose = lose,
				   .seed = mix(seed + cut_point(cut)),
				   .nr_all = count_all(cut, bound) };
	/* One open line has no more than its subsets and its torn states. */
	states->nr = states->nr_all + (cut_nr_lines(cut) ? sample : 0);
	if (!states->nr_all)
		states->nr = 2 + 2 * sample;
	states->nr += lose ? NR_LOST : 0;
}

static struct cut_choice newest(const struct cut *cut, size_t i)
{
	return (struct cut_choice){ cut_line(cut, i).nr_versions - 1, 0xff };
}

/* One of the words that the version changed is missing, or only one arrived, or any of them. */
static uint8_t tear(uint8_t changed, uint64_t *seed)
{
	uint8_t one = (uint8_t)(1u << rnd(seed, 8));

	switch (rnd(seed, 3)) {
	case 0:  return changed & one;
	case 1:  return changed & (uint8_t)~one;
	default: return changed & (uint8_t)rnd(seed, 256);
	}
}

static void subset(struct cut_choice *choices, const struct states *states, uint64_t number)
{
	for (size_t i = 0; i < cut_nr_lines(states->cut); i++) {
		uint32_t nr = cut_line(states->cut, i).nr_versions;

		choices[i] = (struct cut_choice){ (uint32_t)(number % nr), 0xff };
		number /= nr;
	}
}

static void draw(struct cut_choice *choices, const struct states *states, uint64_t number)
{
	uint64_t seed = mix(states->seed + number), likely = rnd(&seed, 5);
	bool tears = states->nr_all || rnd(&seed, 2);

	for (size_t i = 0; i < cut_nr_lines(states->cut); i++) {
		uint32_t nr = cut_line(states->cut, i).nr_versions;

		choices[i] = newest(states->cut, i);
		if (rnd(&seed, 5) >= likely)
			choices[i].version = (uint32_t)rnd(&seed, nr);
		if (tears && choices[i].version > 0 && rnd(&seed, 3) == 0)
			choices[i].words =
				tear(cut_words(states->cut, i, choices[i].version), &seed);
	}
}

/* One line against all others. */
static void single_out(struct cut_choice *choices, const struct states *states, uint64_t number,
		       bool alone)
{
	size_t nr = cut_nr_lines(states->cut);
	uint64_t seed = mix(states->seed + number), it = rnd(&seed, nr);

	for (size_t i = 0; i < nr; i++)
		choices[i] = (i == it) == alone ? newest(states->cut, i)
						: (struct cut_choice){ 0, 0xff };
}

bool states_has_lost(const struct states *states, uint64_t number)
{
	return states->lose && number >= states->nr - NR_LOST;
}

static void choose(struct cut_choice *choices, const struct states *states, uint64_t number)
{
	if (number < states->nr_all)
		subset(choices, states, number);
	else if (states->nr_all || states_has_lost(states, number))
		draw(choices, states, number);
	else if (number < 2)                    /* nothing, everything */
		for (size_t i = 0; i < cut_nr_lines(states->cut); i++)
			choices[i] =
				number ? newest(states->cut, i) : (struct cut_choice){ 0, 0xff };
	else if (number % 2)
		draw(choices, states, number);
	else
		single_out(choices, states, number, number % 4 != 0);
}

static struct cut_choice *chosen(const struct states *states, uint64_t number)
{
	struct cut_choice *choices = calloc(cut_nr_lines(states->cut) + 1, sizeof(*choices));

	if (!choices)
		errx(2, "out of memory");
	choose(choices, states, number);
	return choices;
}

struct image *states_image(const struct states *states, uint64_t number)
{
	struct cut_choice *choices = chosen(states, number);
	struct image *image = cut_image(states->cut, choices);

	free(choices);
	if (states_has_lost(states, number))
		states_lose_copy(image, (int)(states->nr - 1 - number), cut_point(states->cut) % 2);
	return image;
}

/* ---- a copy is lost ---- */

static bool find_superblock(struct superblock *sb, const struct image *image, unsigned device,
			    uint64_t off)
{
	uint8_t page[SUPERBLOCK_SIZE];

	image_read(image, device, off, page, sizeof(page));
	return superblock_decode(sb, page, NULL) == SUPERBLOCK_GOOD;
}

static void lose(struct image *image, unsigned device, uint64_t off, uint64_t len, bool junk)
{
	if (junk)
		image_scribble(image, device, off, len, off + 1);
	else
		image_zero(image, device, off, len);
}

void states_lose_copy(struct image *image, int copy, bool junk)
{
	for (unsigned device = 0; device < image_nr_devices(image); device++) {
		struct superblock sb;

		if (!find_superblock(&sb, image, device, copy ? 0 : POISON_UNIT))
			continue;
		lose(image, device, copy ? POISON_UNIT : 0, SUPERBLOCK_SIZE, junk);
		if (sb.role == SUPERBLOCK_DATA)
			continue;
		lose(image, device, sb.zero_off[copy], (sb.nr_pages + 63) / 64 * 8, junk);
		lose(image, device, sb.table_off[copy],
		     (uint64_t)sb.nr_chunks * SUPERBLOCK_SLOTS_PER_CHUNK * SUPERBLOCK_SLOT_SIZE,
		     junk);
	}
}

void states_print(const struct states *states, uint64_t number)
{
	struct cut_choice *choices = chosen(states, number);

	for (size_t i = 0; i < cut_nr_lines(states->cut) && i < 64; i++) {
		struct cut_line line = cut_line(states->cut, i);

		fprintf(stderr, "    device %u, line %#llx: version %u of %u, words %02x\n",
			line.device, (unsigned long long)line.off, choices[i].version,
			line.nr_versions - 1, choices[i].words);
	}
	free(choices);
}

bool states_is_point(const struct recorder_entry *next)
{
	return !next || next->op == RECORDER_FENCE || next->op == RECORDER_PUNCHED;
}
