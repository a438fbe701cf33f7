/* SPDX-License-Identifier: BSD-3-Clause */
/* places: numbers of arenas over restarts, a SIGKILL at any store, files that are not understood. */
#include <config.h>

#include "daemon/service/places.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[64], file[96];
static struct places *places;

static struct places *open_it(bool is_unknown)
{
	struct places *opened;
	struct why why = { "" };
	int r = places_open(&opened, dir, is_unknown, &why);

	ck_assert_msg(r == 0, "%s", why.text);
	return opened;
}

static void reopen(bool is_unknown)
{
	places_close(places);
	places = open_it(is_unknown);
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/test_places.XXXXXX");
	ck_assert(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/arenas", dir);
	places = open_it(false);
}

static void teardown(void)
{
	places_close(places);
	unlink(file);
	rmdir(dir);
}

static uint32_t take(const char *name)
{
	uint32_t place;
	struct why why;

	ck_assert_int_eq(places_take(&place, places, name, &why), 0);
	return place;
}

static uint8_t *uuid_of(uint8_t byte)
{
	static uint8_t uuid[16];

	memset(uuid, byte, sizeof(uuid));
	return uuid;
}

static uint32_t add(const char *name, uint8_t byte)
{
	uint32_t place = take(name);

	places_set_uuid(places, place, uuid_of(byte));
	return place;
}

START_TEST(test_places_keep_numbers_while_somebody_may_know_them)
{
	ck_assert_uint_eq(places_nr(places), 0);
	ck_assert_uint_eq(add("a", 1), 0);
	ck_assert_uint_eq(add("b", 2), 1);
	ck_assert_uint_eq(take("waited for"), 2);
	reopen(false);
	ck_assert_uint_eq(places_nr(places), 3);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(2)), 1);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(3)), PLACES_NONE);
	ck_assert_uint_eq(places_find_name(places, "waited for"), 2);
	ck_assert(!places_has_uuid(places, 2));
	places_rename(places, 1, "another name");
	ck_assert_str_eq(places_name(places, 1), "another name");
	ck_assert_uint_eq(places_find_name(places, "b"), PLACES_NONE);
	reopen(true);
	ck_assert_uint_eq(places_nr(places), 0);
	ck_assert_uint_eq(add("b", 2), 0);
}
END_TEST

START_TEST(test_places_give_up_only_what_was_never_there)
{
	add("a", 1);
	take("b");
	places_give_up(places, 0);
	places_give_up(places, 1);
	/* A client that was told of two would take one for those of another daemon. */
	ck_assert_uint_eq(places_nr(places), 2);
	ck_assert_uint_eq(places_find_name(places, "b"), PLACES_NONE);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(1)), 0);
	ck_assert_uint_eq(take("c"), 1);
	ck_assert_msg(!places_has_uuid(places, 1), "it has the UUID of what was there before");
}
END_TEST

START_TEST(test_places_are_drained_until_they_are_not)
{
	add("a", 1);
	add("b", 2);
	places_set_drained(places, 1, true);
	reopen(false);
	ck_assert(!places_is_drained(places, 0) && places_is_drained(places, 1));
	reopen(true);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(1)), PLACES_NONE);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(2)), 1);
	ck_assert(places_is_drained(places, 1));
	places_set_drained(places, 1, false);
	reopen(true);
	ck_assert_uint_eq(places_nr(places), 0);
}
END_TEST

START_TEST(test_places_all_taken_is_refused_with_a_sentence)
{
	char name[PLACES_NAME_MAX];
	struct why why = { "" };
	uint32_t place;

	for (unsigned i = 0; i < PLACES_MAX; i++) {
		snprintf(name, sizeof(name), "a%u", i);
		ck_assert_uint_eq(add(name, (uint8_t)(i + 1)), i);
	}
	ck_assert_int_eq(places_take(&place, places, "more", &why), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(why.text, "128 arenas"));
}
END_TEST

START_TEST(test_places_that_are_not_understood_are_begun_anew)
{
	static const off_t at[] = { 0, 8, 16 };
	int fd;

	for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
		add("a", 1);
		places_close(places);
		fd = open(file, O_RDWR);
		ck_assert_int_eq(pwrite(fd, "\xff\xff\xff\xff", 4, at[i]), 4);
		close(fd);
		places = open_it(false);
		ck_assert_uint_eq(places_nr(places), 0);
	}
	add("a", 1);
	places_close(places);
	ck_assert_int_eq(truncate(file, 70), 0);
	places = open_it(false);
	ck_assert_uint_le(places_nr(places), 1);
	ck_assert_uint_eq(places_find_uuid(places, uuid_of(1)), PLACES_NONE);
}
END_TEST

START_TEST(test_places_file_is_for_its_owner_only)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

/* Adds and gives up as fast as it can, until it is killed. */
static void churn(void)
{
	for (unsigned i = 0;; i = (i + 1) % 100) {
		struct why why;
		uint32_t place;

		if (places_find_uuid(places, uuid_of((uint8_t)(i + 100))) != PLACES_NONE ||
		    places_take(&place, places, "churned", &why) < 0)
			continue;
		if (i % 3 == 0)
			places_give_up(places, place);
		else
			places_set_uuid(places, place, uuid_of((uint8_t)(i + 100)));
	}
}

static uint32_t nr_with_uuid(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < places_nr(places); i++)
		nr += places_has_uuid(places, i);
	return nr;
}

/* How many of the UUIDs that were ever written whole are found. */
static uint32_t nr_known(void)
{
	uint32_t nr = 0;

	for (unsigned i = 1; i < 200; i++)
		nr += places_find_uuid(places, uuid_of((uint8_t)i)) != PLACES_NONE;
	return nr;
}

START_TEST(test_places_kill_at_any_moment_leaves_whole_places)
{
	for (int round = 0; round < 40; round++) {
		uint32_t first = add("a", 1), second = add("b", 2);
		pid_t pid = fork();

		if (pid == 0)
			churn();
		usleep(200 + (useconds_t)round * 37);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		reopen(false);
		ck_assert_uint_eq(places_find_uuid(places, uuid_of(1)), first);
		ck_assert_uint_eq(places_find_uuid(places, uuid_of(2)), second);
		ck_assert_uint_eq(nr_with_uuid(), nr_known());
		reopen(true);
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_places_keep_numbers_while_somebody_may_know_them);
	tcase_add_test(t, test_places_give_up_only_what_was_never_there);
	tcase_add_test(t, test_places_are_drained_until_they_are_not);
	tcase_add_test(t, test_places_all_taken_is_refused_with_a_sentence);
	tcase_add_test(t, test_places_that_are_not_understood_are_begun_anew);
	tcase_add_test(t, test_places_file_is_for_its_owner_only);
	tcase_add_test(t, test_places_kill_at_any_moment_leaves_whole_places);
}

UNIT("places", { .add = add_tests, .setup = setup, .teardown = teardown, .timeout_s = 30 });
