/* SPDX-License-Identifier: BSD-3-Clause */
/* config_access: what is printed and read back, who may, and what a reload takes. */
#include <config.h>

#include "tests/unit/config_fixture.h"

/* ---- print ---- */

static const char *print_to_file(const char *path)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	config_print(&config, f);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static void assert_reads_back(void)
{
	char first[160], second[160], command[400];

	snprintf(first, sizeof(first), "%s/first", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	print_to_file(first);
	config_fini(&config);
	ck_assert_msg(config_load(&config, &(struct config_sources){ first, NULL, 0 }, &why) == 0,
		      "%s", why.text);
	print_to_file(second);
	snprintf(command, sizeof(command), "cmp %s %s", first, second);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_config_what_is_printed_reads_back_the_same)
{
	write_conf("[daemon]\nlog-level = debug\nscrub-rate = 1.5G\nmetrics-listen = "
		   "127.0.0.1:9847\nverify-interval = 1h\n"
		   "[arena one]\ndevice = /one\nsize = 1T\nformat = if-blank\nnuma-node = "
		   "1\n[arena two]\ndevice = auto\n"
		   "[quota default]\nbytes = 2G\n[quota 1000]\nbytes = 1025K\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	assert_reads_back();
	ck_assert_uint_eq(config.arenas[0].size, 1ULL << 40);
	ck_assert_uint_eq(config_quota(&config, 1000)->bytes, 1025 << 10);
}
END_TEST

/* A line of a file holds less than a command line does. */
START_TEST(test_config_longest_path_reads_back_the_same)
{
	char setting[64 + CONFIG_PATH_MAX + 1] = "arena.a.metadata=/";
	size_t name = strlen("arena.a.metadata=");

	memset(setting + name + 1, 'x', CONFIG_PATH_MAX - 2);
	assert_override(0, setting, NULL);
	ck_assert_uint_eq(strlen(config.arenas[0].metadata), CONFIG_PATH_MAX - 1);
	assert_reads_back();
	config_fini(&config);
	setting[name + CONFIG_PATH_MAX - 1] = 'x';
	assert_override(-EINVAL, setting, "the value is longer than 175 bytes");
}
END_TEST

/* ---- who may ---- */

static void assert_list(const struct config_list *list, const char *text, uint32_t nr)
{
	ck_assert_str_eq(list->text, text);
	ck_assert_uint_eq(list->nr, nr);
	ck_assert_int_eq(list->is_everyone, strcmp(text, "*") == 0);
}

START_TEST(test_config_access_not_set_is_everyone)
{
	write_conf("[arena a]\ndevice = /a\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	assert_list(&config.arenas[0].users, "*", 0);
	assert_list(&config.arenas[0].groups, "-", 0);
	assert_list(&config.arenas[0].readers, "-", 0);
}
END_TEST

/* Whoever is named is meant alone: naming groups must not leave the arena open to all users. */
START_TEST(test_config_access_set_in_part_leaves_the_rest_to_nobody)
{
	write_conf("[arena a]\ndevice = /a\ngroups = 7\n[arena b]\ndevice = /b\nusers = 8\n[arena "
		   "c]\ndevice = /c\nusers = -\nreaders = *\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	assert_list(&config.arenas[0].users, "-", 0);
	assert_list(&config.arenas[0].groups, "7", 1);
	assert_list(&config.arenas[1].users, "8", 1);
	assert_list(&config.arenas[1].groups, "-", 0);
	assert_list(&config.arenas[2].users, "-", 0);
	assert_list(&config.arenas[2].groups, "-", 0);
	assert_list(&config.arenas[2].readers, "*", 0);
}
END_TEST

START_TEST(test_config_access_names_become_numbers)
{
	write_conf("[arena a]\ndevice = /a\nusers = 12, root\ngroups = root 13\nreaders = 14, "
		   "@15,@root\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	assert_list(&config.arenas[0].users, "12, root", 2);
	ck_assert_uint_eq(config.arenas[0].users.ids[0], 12);
	ck_assert_uint_eq(config.arenas[0].users.ids[1], 0);
	ck_assert(!config.arenas[0].users.is_group[0]);
	ck_assert(config.arenas[0].groups.is_group[0] && config.arenas[0].groups.is_group[1]);
	ck_assert_uint_eq(config.arenas[0].groups.ids[1], 13);
	assert_list(&config.arenas[0].readers, "14, @15,@root", 3);
	ck_assert(!config.arenas[0].readers.is_group[0] && config.arenas[0].readers.is_group[1]);
	ck_assert_uint_eq(config.arenas[0].readers.ids[1], 15);
	ck_assert_uint_eq(config.arenas[0].readers.ids[2], 0);
	assert_reads_back();
}
END_TEST

/* A line of a file has room for as many entries as the list. */
START_TEST(test_config_access_longest_list_reads_back_the_same)
{
	char text[CONFIG_LIST_TEXT + 64] = "arena.a.users=";
	size_t at = strlen(text);

	for (int i = 0; i < CONFIG_LIST_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? " " : "", i % 10);
	assert_override(0, text, NULL);
	ck_assert_uint_eq(config.arenas[0].users.nr, CONFIG_LIST_MAX);
	assert_reads_back();
	ck_assert_uint_eq(config.arenas[0].users.nr, CONFIG_LIST_MAX);
	strcpy(text + at, "1");
	assert_override(-EINVAL, text, "longer than 175 bytes");
}
END_TEST

START_TEST(test_config_access_of_readers_where_all_may_write_is_refused)
{
	assert_refuses("[arena a]\ndevice = /a\nreaders = root\n",
		       "[arena a]: readers = root has no effect");
	assert_refuses("[arena a]\ndevice = /a\nusers = *\nreaders = root\n", "users = -");
	assert_refuses("[arena a]\ndevice = /a\ngroups = *\nreaders = root\n", "has no effect");
}
END_TEST

START_TEST(test_config_access_errors_say_what_is_meant)
{
	assert_refuses("[arena a]\ndevice = /a\nusers = @staff\n", "groups = staff");
	assert_refuses("[arena a]\ndevice = /a\ngroups = @staff\n", "write staff");
	assert_refuses("[arena a]\ndevice = /a\nusers = no-such-user-here\n",
		       "conf:3: users: there is no user \"no-such-user-here\"");
	assert_refuses("[arena a]\ndevice = /a\nusers = 1\nreaders = @no-such-group-here\n",
		       "there is no group \"no-such-group-here\"");
	assert_refuses("[arena a]\ndevice = /a\nusers = root *\n", "stands alone");
	assert_refuses("[arena a]\ndevice = /a\nuser = root\n", "did you mean users?");
}
END_TEST

START_TEST(test_config_access_is_taken_by_a_reload_arena_by_arena)
{
	struct config now;
	char text[64];

	write_conf("[arena a]\ndevice = /a\nusers = 1\n[arena b]\ndevice = /b\nusers = 2\nreaders "
		   "= 3\n[arena c]\ndevice = /c\nusers = 4\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	now = config;
	memset(&config, 0, sizeof(config));
	/* In another order, and one is gone. */
	write_conf("[arena b]\ndevice = /b\ngroups = 5\n[arena a]\ndevice = /a\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_uint_eq(config_reload_diff(text, sizeof(text), &now, &config), 0);
	ck_assert_str_eq(text, "");
	config_reload(&now, &config);
	assert_list(&now.arenas[0].users, "*", 0);
	assert_list(&now.arenas[1].users, "-", 0);
	assert_list(&now.arenas[1].groups, "5", 1);
	assert_list(&now.arenas[1].readers, "-", 0);
	assert_list(&now.arenas[2].users, "4", 1);
	config_fini(&now);
}
END_TEST

/* ---- an arena that comes later ---- */

/* Adds arena @name to one with an arena a on /a, with settings that end with NULL. */
static int add(struct config_arena *out, const char *name, const char *const *settings)
{
	size_t nr = 0;

	write_conf("[arena a]\ndevice = /a\nmetadata = /m\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	while (settings[nr])
		nr++;
	why.text[0] = '\0';
	return config_arena_new(out, &config, name, settings, nr, &why);
}
#define ADD(out, name, ...) add(out, name, (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(test_config_arena_that_is_added_is_checked_with_the_others)
{
	struct config_arena arena;

	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "size=64M", "users=5"), 0);
	ck_assert_str_eq(arena.name, "b");
	ck_assert_uint_eq(arena.size, 64 << 20);
	assert_list(&arena.users, "5", 1);
	assert_list(&arena.groups, "-", 0);
	ck_assert_int_eq(ADD(&arena, "a", "device=/b"), -EEXIST);
	ck_assert_int_eq(ADD(&arena, "b", "device=/a"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device=/m"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "metadata=/a"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "size=64M"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "size=1"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "device=/c"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "twice"));
	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "socket=/s"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device=/b", "=4"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "b", "device"), -EINVAL);
	ck_assert_int_eq(ADD(&arena, "a b", "device=/b"), -EINVAL);
	ck_assert_uint_eq(config.nr_arenas, 1);
}
END_TEST

START_TEST(test_config_arena_that_is_added_prints_its_section)
{
	struct config_arena arena;
	char text[256] = "";
	FILE *to = fmemopen(text, sizeof(text), "w");

	ck_assert_int_eq(ADD(&arena, "b", "size=64M", "device=/b", "evict=any", "users=*"), 0);
	config_print_arena(&arena, to);
	fclose(to);
	ck_assert_str_eq(text, "[arena b]\ndevice = /b\nsize = 64M\nevict = any\n");
	/* Read as a file, it is the same. */
	write_conf(text);
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_mem_eq(&config.arenas[0], &arena, sizeof(arena));
}
END_TEST

/* ---- reload ---- */

static size_t diff(char *text, size_t size, const char *before, const char *after)
{
	struct config now;
	size_t nr;

	write_conf(before);
	ck_assert_msg(load() == 0, "%s", why.text);
	now = config;
	memset(&config, 0, sizeof(config));
	write_conf(after);
	ck_assert_msg(load() == 0, "%s", why.text);
	nr = config_reload_diff(text, size, &now, &config);
	config_fini(&now);
	return nr;
}

START_TEST(test_config_reload_names_what_needs_a_restart)
{
	char text[256];

	ck_assert_uint_eq(diff(text, sizeof(text), "", ""), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(diff(text, sizeof(text), "[daemon]\nlog-level = info\n",
			       "[daemon]\nlog-level = debug\nscrub-rate = 1G\n"
			       "verify-interval = 0\n[quota default]\nbytes = 1\n"),
			  0);
	ck_assert_uint_eq(
		diff(text, sizeof(text),
		     "[daemon]\nsocket = /a\n[arena a]\ndevice = /a\n[arena b]\ndevice = /b\n",
		     "[daemon]\nsocket = /b\n[arena a]\ndevice = /a\npage-size = 1G\n[arena "
		     "c]\ndevice = /c\n"),
		2);
	ck_assert_str_eq(text, "socket, arena a: page-size");
}
END_TEST

START_TEST(test_config_reload_diff_is_cut_not_overrun)
{
	char text[12] = "";

	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(
		diff(text, 10, "[daemon]\nsocket = /a\nadmin-socket = /a2\nmax-sessions = 1\n", ""),
		3);
	ck_assert_str_eq(text, "socket, a");
	ck_assert_int_eq(text[10], 'x');
}
END_TEST

START_TEST(test_config_reload_takes_what_can_change_and_nothing_else)
{
	struct config now;

	write_conf("[daemon]\nlog-level = info\nmax-sessions = 5\n[quota default]\nbytes = 1G\n");
	ck_assert_int_eq(load(), 0);
	now = config;
	memset(&config, 0, sizeof(config));
	write_conf("[daemon]\nlog-level = debug\nmax-sessions = 6\nscrub-rate = "
		   "1M\nverify-interval = 1\n[quota default]\nbytes = 2G\n[quota 7]\nbytes = 3G\n");
	ck_assert_int_eq(load(), 0);
	config_reload(&now, &config);
	ck_assert_uint_eq(now.daemon.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(now.daemon.scrub_rate, 1 << 20);
	ck_assert_uint_eq(now.daemon.verify_interval_s, 1);
	ck_assert_uint_eq(now.daemon.max_sessions, 5);
	ck_assert_uint_eq(config_quota(&now, 1)->bytes, 2ULL << 30);
	ck_assert_uint_eq(config_quota(&now, 7)->bytes, 3ULL << 30);
	config_fini(&now);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_config_what_is_printed_reads_back_the_same);
	tcase_add_test(t, test_config_longest_path_reads_back_the_same);
	tcase_add_test(t, test_config_access_not_set_is_everyone);
	tcase_add_test(t, test_config_access_set_in_part_leaves_the_rest_to_nobody);
	tcase_add_test(t, test_config_access_names_become_numbers);
	tcase_add_test(t, test_config_access_longest_list_reads_back_the_same);
	tcase_add_test(t, test_config_access_of_readers_where_all_may_write_is_refused);
	tcase_add_test(t, test_config_access_errors_say_what_is_meant);
	tcase_add_test(t, test_config_access_is_taken_by_a_reload_arena_by_arena);
	tcase_add_test(t, test_config_arena_that_is_added_is_checked_with_the_others);
	tcase_add_test(t, test_config_arena_that_is_added_prints_its_section);
	tcase_add_test(t, test_config_reload_names_what_needs_a_restart);
	tcase_add_test(t, test_config_reload_diff_is_cut_not_overrun);
	tcase_add_test(t, test_config_reload_takes_what_can_change_and_nothing_else);
}

UNIT("config_access", { .add = add_tests, .setup = setup, .teardown = teardown });
