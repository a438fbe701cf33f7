/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access: the decision: every combination of where one is named and how one is known.
 */
#include <config.h>

#include "daemon/service/access.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define UID       3001
#define PRIMARY   4001
#define SECOND    4002          /* a supplementary group */
#define LAST      4099          /* one of very many */

static gid_t groups[300];
static struct access_peer peer;
static struct config_arena arena;

static void setup(void)
{
	for (int i = 0; i < 300; i++)
		groups[i] = (gid_t)(5000 + i);
	groups[0] = PRIMARY;
	groups[1] = SECOND;
	groups[299] = LAST;
	peer = (struct access_peer){ .uid = UID, .groups = groups, .nr_groups = 300 };
	memset(&arena, 0, sizeof(arena));
}

static void put(struct config_list *list, enum config_list_of of, const char *text)
{
	struct why why = { "" };

	ck_assert_msg(config_list_parse(list, of, text, &why) == 0, "%s: %s", text, why.text);
}

static enum access decide(const char *users, const char *in_groups, const char *readers)
{
	put(&arena.users, CONFIG_LIST_USERS, users);
	put(&arena.groups, CONFIG_LIST_GROUPS, in_groups);
	put(&arena.readers, CONFIG_LIST_BOTH, readers);
	return access_of(&arena, &peer);
}

START_TEST(test_access_nobody_named_is_nobody)
{
	ck_assert_int_eq(decide("-", "-", "-"), ACCESS_NONE);
	/* Lists that nobody filled in let nobody in. */
	ck_assert_int_eq(decide("", "", ""), ACCESS_NONE);
}
END_TEST

START_TEST(test_access_everyone_is_everyone)
{
	ck_assert_int_eq(decide("*", "-", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "*", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "-", "*"), ACCESS_READ);
	peer.nr_groups = 0;
	ck_assert_int_eq(decide("*", "-", "-"), ACCESS_WRITE);
}
END_TEST

START_TEST(test_access_user_is_found_by_uid_only)
{
	ck_assert_int_eq(decide("3001", "-", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("1 2, 3001", "-", "-"), ACCESS_WRITE);
	/* A gid that is the same number as a uid is another thing. */
	ck_assert_int_eq(decide("4001", "-", "-"), ACCESS_NONE);
	ck_assert_int_eq(decide("-", "3001", "-"), ACCESS_NONE);
	ck_assert_int_eq(decide("-", "-", "@3001"), ACCESS_NONE);
	ck_assert_int_eq(decide("-", "-", "4001"), ACCESS_NONE);
}
END_TEST

START_TEST(test_access_any_group_of_the_peer_counts)
{
	ck_assert_int_eq(decide("-", "4001", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "4002", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "1,4099", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "-", "@4099"), ACCESS_READ);
	peer.nr_groups = 1;
	ck_assert_int_eq(decide("-", "4002", "-"), ACCESS_NONE);
	ck_assert_int_eq(decide("-", "4001", "-"), ACCESS_WRITE);
}
END_TEST

START_TEST(test_access_reader_who_is_also_user_is_user)
{
	ck_assert_int_eq(decide("-", "-", "3001"), ACCESS_READ);
	ck_assert_int_eq(decide("3001", "-", "3001"), ACCESS_WRITE);
	ck_assert_int_eq(decide("-", "4002", "3001 @4001"), ACCESS_WRITE);
	ck_assert_int_eq(decide("1", "2", "3 @4002"), ACCESS_READ);
}
END_TEST

START_TEST(test_access_root_is_user_everywhere)
{
	peer = (struct access_peer){ .uid = 0 };
	ck_assert_int_eq(decide("-", "-", "-"), ACCESS_WRITE);
	ck_assert_int_eq(decide("3001", "-", "0"), ACCESS_WRITE);
}
END_TEST

/* Group 0 is not root. */
START_TEST(test_access_member_of_group_zero_is_nobody_special)
{
	groups[1] = 0;
	ck_assert_int_eq(decide("-", "-", "-"), ACCESS_NONE);
	ck_assert_int_eq(decide("0", "-", "-"), ACCESS_NONE);
	ck_assert_int_eq(decide("-", "0", "-"), ACCESS_WRITE);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_access_nobody_named_is_nobody);
	tcase_add_test(t, test_access_everyone_is_everyone);
	tcase_add_test(t, test_access_user_is_found_by_uid_only);
	tcase_add_test(t, test_access_any_group_of_the_peer_counts);
	tcase_add_test(t, test_access_reader_who_is_also_user_is_user);
	tcase_add_test(t, test_access_root_is_user_everywhere);
	tcase_add_test(t, test_access_member_of_group_zero_is_nobody_special);
}

UNIT("access", { .add = add_tests, .setup = setup });
