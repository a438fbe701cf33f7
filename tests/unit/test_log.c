/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log: what arrives on stderr.
 */
#include <config.h>

#include "daemon/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int reader, old_stderr;
static char got[65536];

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	/* Room for what the thread test writes before anybody reads. */
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	old_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close(fds[1]);
	reader = fds[0];
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_INFO);
}

/* Everything that was written so far; stderr is the test's again. */
static const char *written(void)
{
	ssize_t n, len = 0;

	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	while ((n = read(reader, got + len, sizeof(got) - 1 - (size_t)len)) > 0)
		len += n;
	got[len] = '\0';
	close(reader);
	return got;
}

START_TEST(test_log_into_a_pipe_has_the_level_in_front)
{
	log_error("no %s", "device");
	log_warning("w");
	log_notice("n");
	log_info("i");
	ck_assert_str_eq(written(), "<3>no device\n<4>w\n<5>n\n<6>i\n");
}
END_TEST

START_TEST(test_log_above_the_level_is_dropped)
{
	log_debug("not seen");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("seen");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not seen");
	log_error("seen too");
	ck_assert_str_eq(written(), "<7>seen\n<3>seen too\n");
}
END_TEST

START_TEST(test_log_message_cannot_forge_a_line)
{
	log_info("client \"a\n<3>all is lost\r\x1b[2J\"");
	ck_assert_str_eq(written(), "<6>client \"a\\x0a<3>all is lost\\x0d\\x1b[2J\"\n");
}
END_TEST

START_TEST(test_log_overlong_message_is_one_cut_line)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	written();
	ck_assert_uint_eq(strlen(got), 3 + 1023 + 1);
	ck_assert_ptr_eq(strchr(got, '\n'), got + 3 + 1023);
}
END_TEST

START_TEST(test_log_keeps_errno)
{
	errno = ENOTTY;
	log_info("x");
	ck_assert_int_eq(errno, ENOTTY);
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_info("nobody listens");
	ck_assert_int_eq(errno, ENOTTY);
	ck_assert_str_eq(written(), "<6>x\n");
}
END_TEST

/* Opens a terminal for stderr, logs one line, and returns what the terminal showed. */
static const char *shown_on_a_terminal(void)
{
	int leader, terminal;
	ssize_t n;

	ck_assert_int_eq(openpty(&leader, &terminal, NULL, NULL, NULL), 0);
	dup2(terminal, STDERR_FILENO);
	log_info("hello");
	dup2(old_stderr, STDERR_FILENO);
	n = read(leader, got, sizeof(got) - 1);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	return got;
}

START_TEST(test_log_on_a_terminal_is_plain)
{
	ck_assert_str_eq(shown_on_a_terminal(), "hello\r\n");
}
END_TEST

START_TEST(test_log_under_systemd_has_the_level_also_on_a_terminal)
{
	setenv("JOURNAL_STREAM", "8:1234", 1);
	ck_assert_str_eq(shown_on_a_terminal(), "<6>hello\r\n");
}
END_TEST

START_TEST(test_log_level_names_go_both_ways)
{
	enum log_level level;

	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		ck_assert_int_eq(log_level_parse(&level, log_level_name(i)), 0);
		ck_assert_int_eq(level, i);
	}
	ck_assert_int_eq(log_level_parse(&level, "loud"), -EINVAL);
	ck_assert_int_eq(log_level_parse(&level, ""), -EINVAL);
}
END_TEST

static void *log_many(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("%s", (const char *)arg);
	return NULL;
}

START_TEST(test_log_lines_of_threads_do_not_mix)
{
	char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
	pthread_t threads[2];
	char *line;

	pthread_create(&threads[0], NULL, log_many, a);
	pthread_create(&threads[1], NULL, log_many, b);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	written();
	for (line = strtok(got, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_uint_eq(strspn(line + 3, line[3] == 'a' ? "a" : "b"), 32);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_log_into_a_pipe_has_the_level_in_front);
	tcase_add_test(t, test_log_above_the_level_is_dropped);
	tcase_add_test(t, test_log_message_cannot_forge_a_line);
	tcase_add_test(t, test_log_overlong_message_is_one_cut_line);
	tcase_add_test(t, test_log_keeps_errno);
	tcase_add_test(t, test_log_on_a_terminal_is_plain);
	tcase_add_test(t, test_log_under_systemd_has_the_level_also_on_a_terminal);
	tcase_add_test(t, test_log_level_names_go_both_ways);
	tcase_add_test(t, test_log_lines_of_threads_do_not_mix);
}

UNIT("log", { .add = add_tests, .setup = setup });
