/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view: catalogs as the daemon leaves them, whole, half-written and wrong. What must never happen
 * is that a name is found where it is not. Readers beside a writer are in test_view_race.c.
 */
#include <config.h>

#include "lib/window/view.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/view_fixture.h"

/* ---- what is there ---- */

/* A name of @len bytes, of which no two are alike. */
static const char *name_of(size_t len)
{
	static char name[257];

	for (size_t i = 0; i < len; i++)
		name[i] = (char)('a' + (i * 7 + len) % 26);
	name[len] = '\0';
	return name;
}

START_TEST(test_view_names_of_every_length_are_compared_whole)
{
	char other[257];
	size_t len = (size_t)_i;

	paper_put(&paper, 3, 77, name_of(len));
	ck_assert_int_eq(find(name_of(len)), VIEW_FOUND);
	ck_assert_uint_eq(sight.id, 77);
	ck_assert_uint_eq(sight.slot, 3);
	ck_assert_uint_eq(sight.first.off, 3 * PAPER_PAGE);
	ck_assert(view_is_same(view, &sight));
	/* The same tag, the same length and another byte, in each place. */
	for (size_t i = 0; i < len; i++) {
		strcpy(other, name_of(len));
		other[i] ^= 1;
		paper.entries[3].tag = paper_tag(&paper, other);
		paper.heads[catalog_bucket(paper.entries[3].tag, 16)] = 4;
		ck_assert_int_eq(find(other), VIEW_ABSENT);
	}
}
END_TEST

START_TEST(test_view_absent_name_is_certain)
{
	paper_put(&paper, 1, 5, "here");
	ck_assert_int_eq(find("there"), VIEW_ABSENT);
	ck_assert_int_eq(view_find_id(&sight, view, 1, 5), VIEW_FOUND);
	ck_assert_int_eq(view_find_id(&sight, view, 1, 4), VIEW_ABSENT);
	ck_assert_int_eq(view_find_id(&sight, view, 2, 5), VIEW_ABSENT);
	ck_assert_int_eq(view_find_id(&sight, view, PAPER_SLOTS, 5), VIEW_UNKNOWN);
}
END_TEST

START_TEST(test_view_entry_without_memory_is_not_touched)
{
	paper_put(&paper, 9, 5, "here");
	paper.header->nr_backed = 9;
	ck_assert_int_eq(view_find_id(&sight, view, 9, 5), VIEW_UNKNOWN);
	paper.header->nr_backed = 10;
	ck_assert_int_eq(view_find_id(&sight, view, 9, 5), VIEW_FOUND);
}
END_TEST

START_TEST(test_view_collisions_of_tags_are_told_apart)
{
	paper_put(&paper, 1, 5, "right");
	for (uint32_t slot = 2; slot < 10; slot++) {
		struct catalog_entry *entry = paper_put(&paper, slot, slot, NULL);

		strcpy(entry->name, "wrong");
		entry->name_len = 5;
		entry->tag = paper_tag(&paper, "right");
		paper_chain(&paper, slot);
	}
	ck_assert_int_eq(find("right"), VIEW_FOUND);
	ck_assert_uint_eq(sight.id, 5);
}
END_TEST

START_TEST(test_view_chain_is_walked_so_far_and_no_further)
{
	char name[8];

	paper.header->nr_buckets = 1;
	paper_put(&paper, 0, 1, "deep");
	for (uint32_t slot = 1; slot < CATALOG_CHAIN; slot++) {
		ck_assert_int_eq(find("none"), VIEW_ABSENT);
		snprintf(name, sizeof(name), "n%u", slot);
		paper_put(&paper, slot, slot + 1, name);
	}
	/* It is full: who has no place in it may be there all the same. */
	ck_assert_int_eq(find("deep"), VIEW_FOUND);
	ck_assert_int_eq(find("none"), VIEW_UNKNOWN);
	paper_put(&paper, CATALOG_CHAIN, 1000, "one more");
	ck_assert_int_eq(find("deep"), VIEW_UNKNOWN);
	ck_assert_int_eq(find("none"), VIEW_UNKNOWN);
}
END_TEST

START_TEST(test_view_buckets_that_are_no_power_of_two_are_found)
{
	char name[16];

	for (uint64_t nr = 1; nr <= 40; nr++) {
		memset(paper.heads, 0, PAPER_HEADS * sizeof(uint32_t));
		paper.header->nr_buckets = nr;
		for (uint32_t slot = 0; slot < 60; slot++) {
			snprintf(name, sizeof(name), "name %u", slot);
			paper_put(&paper, slot, slot + 1, name);
		}
		for (uint32_t slot = 0; slot < 60; slot++) {
			snprintf(name, sizeof(name), "name %u", slot);
			ck_assert_int_eq(find(name), VIEW_FOUND);
			ck_assert_uint_eq(sight.slot, slot);
		}
	}
}
END_TEST

START_TEST(test_view_more_extents_are_read_where_they_are)
{
	struct catalog_entry *entry = paper_put(&paper, 1, 5, "pieces");
	struct wire_extent more[CATALOG_EXTRA_EXTENTS];

	entry->nr_extents = 1 + CATALOG_EXTRA_EXTENTS;
	entry->extra = 2;
	for (uint32_t i = 0; i < CATALOG_EXTRA_EXTENTS; i++) {
		paper.extras[1].extents[i].off = (i + 1) * PAPER_PAGE;
		paper.extras[1].extents[i].len = 4096;
	}
	ck_assert_int_eq(find("pieces"), VIEW_FOUND);
	ck_assert(view_more_extents(more, view, &sight));
	ck_assert_uint_eq(more[15].off, 16 * PAPER_PAGE);
	sight.nr_extents++;
	ck_assert(!view_more_extents(more, view, &sight));
	sight.nr_extents = 2;
	sight.extra = PAPER_EXTRAS + 1;
	ck_assert(!view_more_extents(more, view, &sight));
	sight.extra = 0;
	ck_assert(!view_more_extents(more, view, &sight));
}
END_TEST

START_TEST(test_view_attributes_are_read_and_bounded)
{
	struct catalog_entry *entry = paper_put(&paper, 1, 5, "noted");
	struct catalog_note *note = (void *)&paper.extras[2];
	uint8_t out[CATALOG_NOTE];
	uint32_t len = 7;

	ck_assert_int_eq(find("noted"), VIEW_FOUND);
	ck_assert(view_attributes(out, &len, view, &sight));
	ck_assert_uint_eq(len, 0);
	entry->note = 3;
	note->len = 11;
	memcpy(note->words, "attributes", 11);
	ck_assert_int_eq(find("noted"), VIEW_FOUND);
	ck_assert(view_attributes(out, &len, view, &sight));
	ck_assert_uint_eq(len, 11);
	ck_assert_str_eq((const char *)out, "attributes");
	/* As an extra may be while another entry gets it, or after a scribbling daemon. */
	note->len = 0;
	ck_assert(!view_attributes(out, &len, view, &sight));
	note->len = CATALOG_NOTE + 1;
	ck_assert(!view_attributes(out, &len, view, &sight));
	note->len = UINT64_MAX;
	ck_assert(!view_attributes(out, &len, view, &sight));
	sight.note = PAPER_EXTRAS + 1;
	ck_assert(!view_attributes(out, &len, view, &sight));
	ck_assert_uint_eq(len, 0);
}
END_TEST

/* ---- what is not there, or half ---- */

struct state {
	const char *what;
	void (*make)(struct catalog_entry *entry);
	enum sighting by_name, by_id;
};

static void no_word(struct catalog_entry *entry) { entry->word = 0; }
static void no_id(struct catalog_entry *entry) { entry->id = 0; }
static void neither(struct catalog_entry *entry) { entry->word = entry->id = 0; }
static void word_of_another(struct catalog_entry *entry) { entry->word = pins_word(9, 1); }
static void odd(struct catalog_entry *entry) { (void)entry; paper.header->changes = 7; }
static void empty(struct catalog_entry *entry) { (void)entry; paper.header->nr_buckets = 0; }
static void too_many(struct catalog_entry *entry)
{
	(void)entry;
	paper.header->nr_buckets = UINT64_C(1) << 40;
}
static void old(struct catalog_entry *entry) { (void)entry; paper.header->layout = 0; }
static void head_far_away(struct catalog_entry *entry)
{
	paper.heads[catalog_bucket(entry->tag, 16)] = UINT32_MAX;
}
static void endless(struct catalog_entry *entry)
{
	entry->next = 2;
	entry->tag ^= 16;
}
static void next_far_away(struct catalog_entry *entry)
{
	entry->next = PAPER_SLOTS + 1;
	entry->tag ^= 16;
}

static const struct state states[] = {
	{ "the word is gone", no_word, VIEW_UNKNOWN, VIEW_UNKNOWN },
	{ "the id is gone", no_id, VIEW_UNKNOWN, VIEW_UNKNOWN },
	{ "both are, and the chain has it still", neither, VIEW_UNKNOWN, VIEW_ABSENT },
	{ "a word of another slot", word_of_another, VIEW_UNKNOWN, VIEW_UNKNOWN },
	{ "chains are being changed, and it is found", odd, VIEW_FOUND, VIEW_FOUND },
	{ "no buckets", empty, VIEW_UNKNOWN, VIEW_FOUND },
	{ "more buckets than the file has", too_many, VIEW_UNKNOWN, VIEW_FOUND },
	{ "the file is not the arena's any more", old, VIEW_UNKNOWN, VIEW_UNKNOWN },
	{ "a head behind the end", head_far_away, VIEW_UNKNOWN, VIEW_FOUND },
	{ "a chain that ends nowhere", endless, VIEW_UNKNOWN, VIEW_FOUND },
	{ "a next behind the end", next_far_away, VIEW_UNKNOWN, VIEW_FOUND },
};

START_TEST(test_view_state_that_is_not_whole_is_no_hit)
{
	const struct state *state = &states[_i];

	state->make(paper_put(&paper, 1, 5, "name"));
	ck_assert_msg(find("name") == state->by_name, "%s: by name", state->what);
	ck_assert_msg(view_find_id(&sight, view, 1, 5) == state->by_id, "%s: by id", state->what);
}
END_TEST

START_TEST(test_view_absence_is_not_certain_while_chains_change)
{
	paper_put(&paper, 1, 5, "here");
	paper.header->changes = 1;
	ck_assert_int_eq(find("there"), VIEW_UNKNOWN);
	ck_assert_int_eq(view_find_id(&sight, view, 2, 6), VIEW_UNKNOWN);
	paper.header->changes = 2;
	ck_assert_int_eq(find("there"), VIEW_ABSENT);
	ck_assert_int_eq(view_find_id(&sight, view, 2, 6), VIEW_ABSENT);
	paper.header->nr_buckets = 0;
	ck_assert_int_eq(view_find_id(&sight, view, 2, 6), VIEW_UNKNOWN);
}
END_TEST

/*
 * The stores of a change, one after the other, as lib/wire/window.h has them: word 0, the id, the
 * rest, the word. Whoever is killed between two of them leaves the state in between.
 */
static void change_until(struct catalog_entry *entry, const struct catalog_entry *to, int nr_stores)
{
	int n = 0;

	if (n++ < nr_stores)
		entry->word = 0;
	if (n++ < nr_stores)
		entry->id = to->id;
	if (n++ < nr_stores)
		entry->uid = to->uid;
	if (n++ < nr_stores)
		entry->mode = to->mode;
	if (n++ < nr_stores)
		entry->off = to->off;
	if (n++ < nr_stores)
		entry->len = to->len;
	if (n++ < nr_stores)
		memcpy(entry->name, to->name, sizeof(entry->name));
	if (n++ < nr_stores)
		entry->word = to->word;
}

static bool is_like(const struct catalog_entry *entry)
{
	return sight.id == entry->id && sight.word == entry->word && sight.uid == entry->uid &&
	       sight.mode == entry->mode && sight.first.off == entry->off &&
	       sight.first.len == entry->len;
}

/* Version 2 of the same, or what took its slot: what is found is the old one or the new one, whole. */
START_TEST(test_view_change_that_was_killed_shows_no_mixture)
{
	for (int is_other = 0; is_other < 2; is_other++) {
		for (int nr_stores = 0; nr_stores <= 8; nr_stores++) {
			struct catalog_entry was = *paper_put(&paper, 1, 5, "name"), to = was;
			enum sighting by_name, by_id;

			to.uid = 1000;
			to.mode = 0600;
			to.off = 9 * PAPER_PAGE;
			to.len = 4096;
			to.word = pins_word(1, 2);
			to.id = is_other ? 6 : 5;
			if (is_other)
				memcpy(to.name, "eman", 4);
			change_until(&paper.entries[1], &to, nr_stores);
			by_name = find("name");
			ck_assert(by_name != VIEW_FOUND || !view_is_same(view, &sight) ||
				  is_like(&was) || (is_like(&to) && !is_other));
			by_id = view_find_id(&sight, view, 1, 5);
			ck_assert(by_id != VIEW_FOUND || !view_is_same(view, &sight) ||
				  is_like(&was) || (is_like(&to) && !is_other));
			if (nr_stores == 0)
				ck_assert(by_name == VIEW_FOUND && by_id == VIEW_FOUND);
			if (nr_stores > 0 && nr_stores < 8)
				ck_assert(by_name == VIEW_UNKNOWN && by_id != VIEW_FOUND);
			if (nr_stores == 8)
				ck_assert_int_eq(by_id, is_other ? VIEW_ABSENT : VIEW_FOUND);
			memset(paper.heads, 0, PAPER_HEADS * sizeof(uint32_t));
		}
	}
}
END_TEST

/*
 * Whatever is in the file: nothing is read behind its end, every walk ends, and what is found is in
 * a slot that there is.
 */
START_TEST(test_view_scribbles_lead_nowhere)
{
	char name[16];

	srandom(1);
	for (int round = 0; round < 3000; round++) {
		memset(paper.heads, 0, PAPER_HEADS * sizeof(uint32_t));
		for (uint32_t slot = 0; slot < 8; slot++) {
			snprintf(name, sizeof(name), "n%u", slot);
			paper_put(&paper, slot, slot + 1, name);
		}
		for (int i = 0; i < 12; i++) {
			uint32_t *words = random() % 2 ? paper.heads
						       : (uint32_t *)(void *)paper.entries;

			words[random() % 256] = random() % 4 ? (uint32_t)(random() % 300)
							     : (uint32_t)random() * 2;
		}
		paper.header->nr_buckets = (uint64_t)(random() % 300);
		for (uint32_t slot = 0; slot < 10; slot++) {
			snprintf(name, sizeof(name), "n%u", slot);
			if (find(name) == VIEW_FOUND)
				ck_assert_uint_lt(sight.slot, PAPER_SLOTS);
			if (view_find_id(&sight, view, slot, slot + 1) == VIEW_FOUND)
				ck_assert_uint_eq(sight.id, slot + 1);
		}
		paper.header->nr_buckets = 16;
	}
}
END_TEST

/* ---- files that are none ---- */

struct damage {
	const char *what;
	void (*make)(struct catalog_header *header);
};

static void bad_magic(struct catalog_header *h) { h->magic++; }
static void bad_layout(struct catalog_header *h) { h->layout = CATALOG_LAYOUT + 1; }
static void bad_entry(struct catalog_header *h) { h->entry_bytes = 64; }
static void heads_outside(struct catalog_header *h) { h->heads_off = UINT64_MAX - 7; }
static void entries_outside(struct catalog_header *h) { h->nr_slots = UINT64_MAX / 128; }
static void extras_outside(struct catalog_header *h) { h->nr_extras = PAPER_EXTRAS + 1; }
static void entries_crooked(struct catalog_header *h) { h->entries_off += 4; }

static const struct damage damages[] = {
	{ "magic", bad_magic },
	{ "layout", bad_layout },
	{ "size of entries", bad_entry },
	{ "heads outside", heads_outside },
	{ "entries outside", entries_outside },
	{ "extras outside", extras_outside },
	{ "entries not aligned", entries_crooked },
};

START_TEST(test_view_file_that_is_no_catalog_is_refused)
{
	struct view *refused;
	struct why why;

	damages[_i].make(paper.header);
	ck_assert_msg(view_new(&refused, paper.fd, &why) == -EPROTO, "%s", damages[_i].what);
	ck_assert_str_ne(why.text, "");
}
END_TEST

START_TEST(test_view_empty_file_is_refused)
{
	struct view *refused;
	struct why why;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(view_new(&refused, fds[0], &why), -EPROTO);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_view_names_of_every_length_are_compared_whole, 1, 256);
	tcase_add_test(t, test_view_absent_name_is_certain);
	tcase_add_test(t, test_view_entry_without_memory_is_not_touched);
	tcase_add_test(t, test_view_collisions_of_tags_are_told_apart);
	tcase_add_test(t, test_view_chain_is_walked_so_far_and_no_further);
	tcase_add_test(t, test_view_buckets_that_are_no_power_of_two_are_found);
	tcase_add_test(t, test_view_more_extents_are_read_where_they_are);
	tcase_add_test(t, test_view_attributes_are_read_and_bounded);
	tcase_add_loop_test(t, test_view_state_that_is_not_whole_is_no_hit, 0, NR(states));
	tcase_add_test(t, test_view_absence_is_not_certain_while_chains_change);
	tcase_add_test(t, test_view_change_that_was_killed_shows_no_mixture);
	tcase_add_test(t, test_view_scribbles_lead_nowhere);
	tcase_add_loop_test(t, test_view_file_that_is_no_catalog_is_refused, 0, NR(damages));
	tcase_add_test(t, test_view_empty_file_is_refused);
}

UNIT("view", { .add = add_tests, .setup = begin, .teardown = end, .timeout_s = 30 });
