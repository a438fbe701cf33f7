/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: what readers find of what was put: by name and by handle, of each version, and as a
 * model says.
 *
 * Links with --wrap=posix_fallocate,--wrap=calloc.
 */
#include <config.h>

#include "daemon/books/catalog.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/catalog_stage.h"
#include "tests/unit/unit.h"

START_TEST(test_catalog_reader_finds_what_was_put_by_name_and_by_handle)
{
	static struct made made[3 * NR_KINDS];

	ck_assert_int_eq(answer_to("x", 1), ABSENT);
	for (uint32_t i = 0; i < 3 * NR_KINDS; i++)
		put_made(&made[i], i * 7, i + 1, i);
	for (uint32_t i = 0; i < 3 * NR_KINDS; i++) {
		expect_found(&made[i].item);
		expect_none(i * 7 + 1);
	}
	ck_assert_uint_eq(catalog_nr_entries(catalog), 3 * NR_KINDS);
	ck_assert_uint_eq(catalog_nr_named(catalog), 3 * NR_KINDS / 7 * 6);
	ck_assert_uint_eq(le64toh(header()->nr_entries), 3 * NR_KINDS / 7 * 6);
	ck_assert_uint_eq(changes() % 2, 0);
}
END_TEST

START_TEST(test_catalog_dropped_is_gone_and_twice_is_nothing)
{
	static struct made made[NR_KINDS];
	uint64_t before;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made[i], i, i + 1, 1);
	for (uint32_t i = 0; i < NR_KINDS; i++) {
		catalog_drop(catalog, i);
		before = changes();
		catalog_drop(catalog, i);
		ck_assert_uint_eq(changes(), before);
		for (uint32_t k = 0; k < NR_KINDS; k++)
			if (k <= i)
				expect_gone(&made[k].item);
			else
				expect_found(&made[k].item);
	}
	catalog_drop(catalog, NR_SLOTS - 1);
	ck_assert_uint_eq(catalog_nr_entries(catalog) + catalog_nr_named(catalog), 0);
}
END_TEST

/* Each kind in the place of each other one, which has the name no more. */
START_TEST(test_catalog_put_replaces_what_the_slot_had)
{
	struct made old, new;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		for (uint32_t k = 0; k < NR_KINDS; k++) {
			put_made(&old, 5, 1 + i, 1);
			put_made(&new, 5, 100 + k, 2);
			expect_gone(&old.item);
			expect_found(&new.item);
			ck_assert_uint_eq(catalog_nr_entries(catalog), 1);
			ck_assert_uint_eq(catalog_nr_named(catalog), new.item.name_len > 0);
		}
}
END_TEST

/* An entry whose word changes is another one to those that pinned the old one. */
START_TEST(test_catalog_new_version_of_an_entry_has_a_new_word)
{
	struct made made;
	struct seen seen;

	for (uint32_t version = 1; version < 300; version++) {
		put_made(&made, 9, 77, version);
		expect_found(&made.item);
		ck_assert_int_eq(read_slot(&seen, map, 9, 77), FOUND);
		ck_assert_uint_eq(seen.word, UINT64_C(10) << 32 | version);
	}
}
END_TEST

START_TEST(test_catalog_same_again_stores_nothing)
{
	struct made made;
	uint64_t before;

	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made, i, i + 1, 1);
	before = changes();
	for (uint32_t i = 0; i < NR_KINDS; i++)
		put_made(&made, i, i + 1, 1);
	ck_assert_uint_eq(changes(), before);
	ck_assert_uint_eq(catalog_nr_entries(catalog), NR_KINDS);
}
END_TEST

#define NR_PARTS 11

/* Makes one part of it another one, which neither id nor version tells. */
static void change_part(struct made *made, int part)
{
	struct catalog_item *item = &made->item;

	item->uid ^= part == 0;
	item->gid ^= part == 1;
	item->mode ^= part == 2 ? 0040 : 0;
	item->is_poisoned ^= part == 3;
	item->name_len -= part == 4;
	made->name[100] ^= part == 5;
	made->extents[0].off ^= part == 6;
	made->extents[0].len ^= part == 7;
	made->extents[16].off ^= part == 8;
	made->extents[16].len ^= part == 9;
	item->nr_extents -= part == 10;
}

START_TEST(test_catalog_same_version_with_another_part_is_another)
{
	struct made made;

	put_made(&made, 5, 28 + 6, 1);          /* a long name and 17 extents */
	change_part(&made, _i);
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	expect_found(&made.item);
	/* After a restart too. */
	change_part(&made, (_i + 1) % (NR_PARTS - 1));
	catalog_open_again(catalog_uuid, NR_SLOTS);
	ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
	catalog_ready(catalog);
	expect_found(&made.item);
}
END_TEST

START_TEST(test_catalog_names_may_have_any_bytes_and_any_length)
{
	static char names[256][256];

	for (uint32_t len = 1; len < 256; len++) {
		struct catalog_item item = named(len, names[len], len);

		for (uint32_t i = 0; i < len; i++)
			names[len][i] = (char)(i * len + len);
		ck_assert_int_eq(catalog_put(catalog, &item), 0);
	}
	for (uint32_t len = 1; len < 256; len++) {
		struct catalog_item item = named(len, names[len], len);

		expect_found(&item);
		names[len][len - 1]++;
		ck_assert_int_eq(answer_to(names[len], (uint8_t)len), ABSENT);
		names[len][len - 1]--;
	}
	/* A zero byte at the end is a part of a name. */
	ck_assert_int_eq(answer_to(names[200], 199), ABSENT);
}
END_TEST

START_TEST(test_catalog_extents_are_those_that_fit)
{
	struct extent many[4096];
	struct seen seen;

	for (uint32_t i = 0; i < 4096; i++)
		many[i] = (struct extent){ (uint64_t)i << 30, (i + 1) << 12 };
	for (uint32_t nr = 1; nr <= 19; nr++) {
		struct catalog_item item = named(nr, "several", 7);

		item.extents = many;
		item.nr_extents = nr == 19 ? 4096 : nr;
		ck_assert_int_eq(catalog_put(catalog, &item), 0);
		expect_found(&item);
		ck_assert_int_eq(read_slot(&seen, map, nr, nr + 1), FOUND);
		ck_assert_uint_eq(seen.extents[1].len, nr > 1 && nr < 18 ? 8192 : 0);
		catalog_drop(catalog, nr);
	}
}
END_TEST

START_TEST(test_catalog_client_cannot_write)
{
	uint64_t id = 1;
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, catalog_fd(catalog), 0);
	struct stat st;

	ck_assert(m == MAP_FAILED && errno == EACCES);
	ck_assert(pwrite(catalog_fd(catalog), &id, sizeof(id), 0) < 0 && errno == EBADF);
	ck_assert(ftruncate(catalog_fd(catalog), 0) < 0);
	ck_assert(mprotect((void *)(uintptr_t)map, 4096, PROT_READ | PROT_WRITE) < 0);
	ck_assert(fcntl(catalog_fd(catalog), F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(stat(catalog_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq((uint64_t)st.st_size, catalog_bytes(catalog));
}
END_TEST

START_TEST(test_catalog_costs_what_is_used)
{
	struct made made;

	/* The header and the first heads. */
	ck_assert_uint_le(catalog_memory(catalog), 2 * 4096);
	nr_allocated = 0;
	put_numbers(0, 32);
	ck_assert_int_eq(nr_allocated, 1);
	ck_assert_uint_le(catalog_memory(catalog), 3 * 4096);
	/* Six kinds of seven have a name, three of four further extents or a long name. */
	for (uint32_t i = 0; i < 8; i++)
		put_plain(&made, i, 28 * (i + 1) + 5, 1);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	/* Extras are used again. */
	for (uint32_t i = 0; i < 8; i++)
		catalog_drop(catalog, i);
	for (uint32_t i = 0; i < 8; i++)
		put_plain(&made, 8 + i, 28 * (i + 1) + 5, 1);
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	catalog_open_again(catalog_uuid, NR_SLOTS);
	for (uint32_t i = 0; i < 16; i++)
		put_plain(&made, 8 + i, 28 * (i % 8 + 1) + 5 + i / 8, 2);
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
	/* What has no memory is not read, so that it gets none. */
	expect_none(NR_SLOTS - 1);
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
}
END_TEST

/* Attributes have an extra of their own, which is used again when they go. */
START_TEST(test_catalog_attributes_cost_an_extra_each)
{
	struct made made;

	for (uint32_t i = 0; i < 8; i++) {
		make_item(&made, i, 28 * (i + 1) + 28, 1);      /* one extent, a name that fits */
		made.item.attributes_len = 1 + i;
		ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
		expect_found(&made.item);
	}
	ck_assert_uint_le(catalog_memory(catalog), 4 * 4096);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 8; i++)
			put_plain(&made, i, 28 * (i + 1) + 28, 2 + round);
	for (uint32_t i = 0; i < 8; i++) {
		make_item(&made, i, 28 * (i + 1) + 28 + 5, 9);  /* and one of the other kind */
		made.item.attributes_len = i < 4 ? 256 : 0;
		ck_assert_int_eq(catalog_put(catalog, &made.item), 0);
		expect_found(&made.item);
	}
	ck_assert_uint_le(catalog_memory(catalog), 5 * 4096);
}
END_TEST

#define NR_MODEL 600u

/* What there should be, and what has been since the last look. */
static struct made model[NR_MODEL], gone[NR_MODEL];
static bool is_lost[NR_MODEL];          /* no memory when it was put */

static uint32_t some(uint32_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static void change_model(uint64_t id)
{
	uint32_t slot = some(some(2) ? NR_MODEL : 40);
	struct made *made = &model[slot];
	int r;

	if (made->item.id)
		make_item(&gone[slot], slot, made->item.id, made->item.version);
	is_lost[slot] = false;
	if (some(3) == 0) {
		catalog_drop(catalog, slot);
		made->item.id = 0;
		return;
	}
	make_item(made, slot, some(4) || !made->item.id ? id : made->item.id,
		  made->item.version + 1);
	r = catalog_put(catalog, &made->item);
	ck_assert(r == 0 || (is_full && r == -ENOSPC));
	is_lost[slot] = r < 0;
}

static void expect_model(void)
{
	bool any_lost = false;

	for (uint32_t slot = 0; slot < NR_MODEL; slot++)
		any_lost |= is_lost[slot] && model[slot].item.name_len;
	for (uint32_t slot = 0; slot < NR_MODEL; slot++) {
		const struct catalog_item *old = &gone[slot].item;

		if (model[slot].item.id && !is_lost[slot])
			expect_found(&model[slot].item);
		else
			expect_none(slot);
		if (old->id && old->id != model[slot].item.id && old->name_len)
			ck_assert_int_eq(answer_to(old->name, old->name_len),
					 any_lost ? UNKNOWN : ABSENT);
	}
}

START_TEST(test_catalog_is_what_a_model_says)
{
	for (uint32_t round = 1; round <= 40; round++) {
		is_full = some(4) == 0;
		for (uint32_t i = 0; i < 400; i++)
			change_model(round * 1000 + i);
		expect_model();
		if (round % 4)
			continue;
		is_full = false;
		catalog_open_again(catalog_uuid, NR_SLOTS);
		for (uint32_t slot = 0; slot < NR_MODEL; slot++) {
			is_lost[slot] = false;
			if (model[slot].item.id)
				ck_assert_int_eq(catalog_put(catalog, &model[slot].item), 0);
		}
		catalog_ready(catalog);
		expect_model();
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_catalog_reader_finds_what_was_put_by_name_and_by_handle);
	tcase_add_test(t, test_catalog_dropped_is_gone_and_twice_is_nothing);
	tcase_add_test(t, test_catalog_put_replaces_what_the_slot_had);
	tcase_add_test(t, test_catalog_new_version_of_an_entry_has_a_new_word);
	tcase_add_test(t, test_catalog_same_again_stores_nothing);
	tcase_add_loop_test(t, test_catalog_same_version_with_another_part_is_another, 0,
			    NR_PARTS);
	tcase_add_test(t, test_catalog_names_may_have_any_bytes_and_any_length);
	tcase_add_test(t, test_catalog_extents_are_those_that_fit);
	tcase_add_test(t, test_catalog_client_cannot_write);
	tcase_add_test(t, test_catalog_costs_what_is_used);
	tcase_add_test(t, test_catalog_attributes_cost_an_extra_each);
	tcase_add_test(t, test_catalog_is_what_a_model_says);
}

UNIT("catalog",
     { .add = add_tests,
       .setup = catalog_stage_begin,
       .teardown = catalog_stage_end,
       .timeout_s = 60 });
