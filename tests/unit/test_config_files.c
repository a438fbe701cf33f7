/* SPDX-License-Identifier: BSD-3-Clause */
/* config_files: what the messages say, and which of several files and settings wins. */
#include <config.h>

#include "tests/unit/config_fixture.h"

/* ---- what the messages say ---- */

START_TEST(test_config_unknown_key_names_file_line_and_the_nearest)
{
	char place[160];

	assert_refuses("[daemon]\n\n# one\nsokcet = /x\n", "did you mean socket?");
	snprintf(place, sizeof(place), "%s:4: ", file);
	assert_says(place);
	assert_refuses("[daemon]\nscrub-thread = 2\n", "did you mean scrub-threads?");
	assert_refuses("[daemon]\nbusy_poll_us = 2\n", "did you mean busy-poll-us?");
	assert_refuses("[daemon]\nLog-Level = info\n", "did you mean log-level?");
	assert_refuses("[arena a]\ndevise = /x\n", "did you mean device?");
}
END_TEST

START_TEST(test_config_unknown_key_with_nothing_near_says_where_they_are_listed)
{
	assert_refuses("[daemon]\ncolour = red\n", "unknown key \"colour\" in [daemon]");
	assert_says("man 5 pmemarenad.conf");
	assert_refuses("[daemon]\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz = red\n",
		       "unknown key");
}
END_TEST

START_TEST(test_config_key_of_another_section_says_which)
{
	assert_refuses("[daemon]\npage-size = 2M\n", "belongs into [arena NAME]");
	assert_refuses("[arena a]\nlog-level = info\n", "belongs into [daemon]");
}
END_TEST

START_TEST(test_config_unknown_section_lists_the_known_ones)
{
	assert_refuses("[deamon]\n", "there are [daemon], [arena NAME], [quota default]");
	assert_refuses("[arena]\n", "unknown section [arena]");
	assert_refuses("[arena  ]\n", "unknown section");
	assert_refuses("[quota]\n", "unknown section");
}
END_TEST

START_TEST(test_config_syntax_errors_name_their_line)
{
	assert_refuses("[daemon]\nsocket\n", ":2: expected KEY = VALUE");
	assert_refuses("[daemon\nsocket = /x\n", ":1: no ']'");
	assert_refuses("[daemon] socket = /x\n", ":1: nothing but a comment");
	assert_refuses("socket = /x\n", ":1: the key socket stands before the first section");
	assert_refuses("[daemon]\nsocket =\n", ":2: socket has no value");
	assert_refuses("[daemon]\nnonsense\nlog-level = loud\n", ":2: expected KEY = VALUE");
	assert_refuses("[daemon]\nlog-level = loud\nnonsense\n",
		       ":2: log-level: \"loud\" is none of: error, warning");
}
END_TEST

START_TEST(test_config_key_twice_in_one_file_names_both_lines)
{
	assert_refuses("[daemon]\nsocket = /x\n[arena a]\ndevice = /a\n[daemon]\nsocket = /y\n",
		       ":6: socket was set at line 2 already");
}
END_TEST

START_TEST(test_config_long_line_is_refused_not_cut)
{
	char text[1024] = "[daemon]\nsocket = /";

	memset(text + strlen(text), 'x', 700);
	assert_refuses(text, ":2: ");
	strcat(text, "\n");
	assert_refuses(text, ":2: the line is longer than");
}
END_TEST

START_TEST(test_config_nul_byte_is_refused)
{
	write_at(file, "[daemon]\nsock\0et = /x\n", 22);
	ck_assert_int_eq(load(), -EINVAL);
	assert_says(":2: ");
}
END_TEST

START_TEST(test_config_byte_order_mark_and_carriage_returns_do_no_harm)
{
	write_conf("\xef\xbb\xbf[daemon]\r\nsocket = /x\r\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_str_eq(config.daemon.socket, "/x");
}
END_TEST

START_TEST(test_config_size_says_the_next_multiple)
{
	assert_refuses(
		"[arena a]\ndevice = /a\nsize = 3M\n",
		"[arena a]: size 3M is not a multiple of the arena's 2M pages; did you mean 4M?");
}
END_TEST

START_TEST(test_config_arenas_that_collide_are_refused)
{
	assert_refuses("[arena a]\n", "no device is set");
	assert_refuses("[arena a]\ndevice = /dev/dax0.0\nsize = 2M\n",
		       "size is for regular files only");
	assert_refuses("[arena a]\ndevice = /x\n[arena b]\ndevice = /x\n",
		       "[arena b]: device /x belongs to arena a already");
	assert_refuses(
		"[arena a]\ndevice = /x\nmetadata = /m\n[arena b]\ndevice = /y\nmetadata = /m\n",
		"belongs to arena a already");
	assert_refuses("[arena a]\ndevice = /x\n[arena b]\ndevice = /y\nmetadata = /x\n",
		       "belongs to arena a already");
	assert_refuses("[arena a]\ndevice = /x\nmetadata = /m\n[arena b]\ndevice = /m\n",
		       "is the metadata of arena a");
}
END_TEST

START_TEST(test_config_file_that_is_named_must_exist)
{
	ck_assert_int_eq(load(), -ENOENT);
	assert_says(file);
}
END_TEST

START_TEST(test_config_directory_as_file_is_refused)
{
	ck_assert_int_eq(mkdir(file, 0755), 0);
	ck_assert_int_eq(load(), -EISDIR);
}
END_TEST

/* ---- order ---- */

START_TEST(test_config_drop_ins_win_in_the_order_of_their_names)
{
	write_conf("[daemon]\nscrub-threads = 1\nmax-sessions = 1\nbusy-poll-us = 1\n[arena "
		   "a]\ndevice = /a\n");
	write_drop_in("20-second.conf", "[daemon]\nscrub-threads = 3\n[arena a]\nsize = 4M\n");
	write_drop_in("10-first.conf", "[daemon]\nscrub-threads = 2\nmax-sessions = 2\n");
	write_drop_in("30-not-read.conf.bak", "[daemon]\nscrub-threads = 4\n");
	write_drop_in(".hidden.conf", "[daemon]\nscrub-threads = 5\n");
	ck_assert_msg(load_with((const char *[]){ "busy-poll-us=9", "arena.a.slots=4",
						  "arena.b.c.device=/bc" },
				3) == 0,
		      "%s", why.text);
	ck_assert_uint_eq(config.daemon.scrub_threads, 3);
	ck_assert_uint_eq(config.daemon.max_sessions, 2);
	ck_assert_uint_eq(config.daemon.busy_poll_us, 9);
	ck_assert_uint_eq(config.nr_arenas, 2);
	ck_assert_uint_eq(config.arenas[0].size, 4 << 20);
	ck_assert_uint_eq(config.arenas[0].slots, 4);
	ck_assert_str_eq(config.arenas[1].name, "b.c");
}
END_TEST

START_TEST(test_config_error_in_a_drop_in_names_it)
{
	write_conf("");
	write_drop_in("10-a.conf", "[daemon]\nmax-sessions = none\n");
	ck_assert_int_eq(load(), -EINVAL);
	assert_says("pmemarenad.conf.d/10-a.conf:2: max-sessions");
}
END_TEST

START_TEST(test_config_error_on_the_command_line_names_the_setting)
{
	assert_override(-EINVAL, "arena.a.pagesize=2M",
			"-o arena.a.pagesize=2M: unknown key \"pagesize\" in [arena NAME]; did you "
			"mean page-size?");
}
END_TEST

START_TEST(test_config_twice_on_the_command_line_takes_the_last)
{
	write_conf("");
	ck_assert_int_eq(load_with((const char *[]){ "max-sessions=5", "max-sessions=6" }, 2), 0);
	ck_assert_uint_eq(config.daemon.max_sessions, 6);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_config_unknown_key_names_file_line_and_the_nearest);
	tcase_add_test(t, test_config_unknown_key_with_nothing_near_says_where_they_are_listed);
	tcase_add_test(t, test_config_key_of_another_section_says_which);
	tcase_add_test(t, test_config_unknown_section_lists_the_known_ones);
	tcase_add_test(t, test_config_syntax_errors_name_their_line);
	tcase_add_test(t, test_config_key_twice_in_one_file_names_both_lines);
	tcase_add_test(t, test_config_long_line_is_refused_not_cut);
	tcase_add_test(t, test_config_nul_byte_is_refused);
	tcase_add_test(t, test_config_byte_order_mark_and_carriage_returns_do_no_harm);
	tcase_add_test(t, test_config_size_says_the_next_multiple);
	tcase_add_test(t, test_config_arenas_that_collide_are_refused);
	tcase_add_test(t, test_config_file_that_is_named_must_exist);
	tcase_add_test(t, test_config_directory_as_file_is_refused);
	tcase_add_test(t, test_config_drop_ins_win_in_the_order_of_their_names);
	tcase_add_test(t, test_config_error_in_a_drop_in_names_it);
	tcase_add_test(t, test_config_error_on_the_command_line_names_the_setting);
	tcase_add_test(t, test_config_twice_on_the_command_line_takes_the_last);
}

UNIT("config_files", { .add = add_tests, .setup = setup, .teardown = teardown });
