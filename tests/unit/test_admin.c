/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: the library's calls on the admin socket, against a thread that answers with given lines.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pmemarena.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/wire/conn.h"
#include "tests/unit/unit.h"

static char dir[64], path[96], asked[4096];
static const char *answer;              /* to be sent, all at once or byte by byte */
static bool is_slow;
static int listener;
static pthread_t thread;

static void send_answer(int sock)
{
	size_t len = strlen(answer);

	if (!is_slow) {
		ck_assert_int_eq(send(sock, answer, len, MSG_NOSIGNAL), (ssize_t)len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(send(sock, answer + i, 1, MSG_NOSIGNAL), 1);
}

static void *serve_one(void *arg)
{
	struct pollfd poller = { .fd = listener, .events = POLLIN };
	size_t len = 0;
	int sock;

	ck_assert_int_eq(poll(&poller, 1, 10000), 1);
	sock = accept(listener, NULL, NULL);
	while (len == 0 || asked[len - 1] != '\n') {
		ssize_t n = recv(sock, asked + len, sizeof(asked) - 1 - len, 0);

		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	asked[len] = '\0';
	send_answer(sock);
	close(sock);
	return NULL;
}

static void answer_with(const char *text)
{
	answer = text;
	ck_assert_int_eq(pthread_create(&thread, NULL, serve_one, NULL), 0);
}

static void setup(void)
{
	strcpy(dir, "/tmp/test_admin.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/admin", dir);
	listener = conn_listen(path, SOCK_STREAM, 0600);
	ck_assert_int_ge(listener, 0);
	is_slow = false;
}

static void teardown(void)
{
	close(listener);
	unlink(path);
	rmdir(dir);
}

START_TEST(test_admin_call_gives_the_result)
{
	char *result;

	is_slow = _i;
	answer_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"schema\":1,\"path\":\"/dev/"
		    "dax0.0\",\"n\":18446744073709551615}}\n");
	ck_assert_msg(pma_admin_call(&result, NULL, path, "status", "{\"arena\":\"main\"}") == 0,
		      "%s", pma_message());
	pthread_join(thread, NULL);
	ck_assert_str_eq(asked, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":{"
				"\"arena\":\"main\"}}\n");
	ck_assert_str_eq(result,
			 "{\"schema\":1,\"path\":\"/dev/dax0.0\",\"n\":18446744073709551615}");
	free(result);
}
END_TEST

START_TEST(test_admin_call_gives_the_daemons_error)
{
	char *result;
	int code = 0;

	answer_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"there "
		    "is no method \\\"x\\\"\"}}\n");
	ck_assert_int_eq(pma_admin_call(&result, &code, path, "x", NULL), -EREMOTE);
	pthread_join(thread, NULL);
	ck_assert_str_eq(asked, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	ck_assert_int_eq(code, -32601);
	ck_assert_str_eq(pma_message(), "there is no method \"x\"");
}
END_TEST

static const struct { const char *answer; int r;
} wrongs[] = {
	{ "hello\n", -EPROTO },
	{ "[]\n", -EPROTO },
	{ "{}\n", -EPROTO },
	{ "\n", -EPROTO },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}\n", -EPROTO },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}\n", -EPROTO },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}\n", -EPROTO },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":null}\n", -EPROTO },
	{ "", -ENOTCONN },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", -ENOTCONN },
};

START_TEST(test_admin_wrong_answer_is_refused)
{
	char *result;

	answer_with(wrongs[_i].answer);
	ck_assert_msg(pma_admin_call(&result, NULL, path, "status", NULL) == wrongs[_i].r, "%s",
		      wrongs[_i].answer);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_admin_wrong_params_are_refused_here)
{
	static const char *const params[] = { "", "[1]", "{", "7" };
	char *result;

	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++) {
		ck_assert_int_eq(pma_admin_call(&result, NULL, path, "status", params[i]), -EINVAL);
		ck_assert_ptr_nonnull(strstr(pma_message(), "JSON object"));
	}
}
END_TEST

START_TEST(test_admin_without_a_daemon_says_so)
{
	char *result;

	ck_assert_int_eq(pma_admin_call(&result, NULL, "/nonexistent/admin.sock", "status", NULL),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(pma_message(), "/nonexistent/admin.sock"));
	setenv("PMEMARENA_ADMIN_SOCKET", "/nonexistent/env.sock", 1);
	ck_assert_int_eq(pma_admin_call(&result, NULL, NULL, "status", NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(pma_message(), "/nonexistent/env.sock"));
}
END_TEST

static bool note(const char *json, void *arg)
{
	char *seen = arg;

	strcat(seen, json);
	return strstr(json, "stop") == NULL;
}

#define REPLY "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"schema\":1}}\n"
#define EVENT(what) \
	"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"event\":\"" what "\"}}\n"

START_TEST(test_admin_watch_goes_on_until_told)
{
	char seen[200] = "";

	answer_with(REPLY EVENT("freed") EVENT("stop") EVENT("never seen"));
	ck_assert_int_eq(pma_admin_watch(path, "watch", NULL, note, seen), 0);
	pthread_join(thread, NULL);
	ck_assert_str_eq(seen, "{\"event\":\"freed\"}{\"event\":\"stop\"}");
}
END_TEST

START_TEST(test_admin_watch_ends_with_the_daemon)
{
	char seen[200] = "";

	answer_with(REPLY EVENT("freed"));
	ck_assert_int_eq(pma_admin_watch(path, "watch", NULL, note, seen), -ENOTCONN);
	pthread_join(thread, NULL);
	ck_assert_str_eq(seen, "{\"event\":\"freed\"}");
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_admin_call_gives_the_result, 0, 2);
	tcase_add_test(t, test_admin_call_gives_the_daemons_error);
	tcase_add_loop_test(t, test_admin_wrong_answer_is_refused,
			    0, (int)(sizeof(wrongs) / sizeof(*wrongs)));
	tcase_add_test(t, test_admin_wrong_params_are_refused_here);
	tcase_add_test(t, test_admin_without_a_daemon_says_so);
	tcase_add_test(t, test_admin_watch_goes_on_until_told);
	tcase_add_test(t, test_admin_watch_ends_with_the_daemon);
}

UNIT("admin", { .add = add_tests, .setup = setup, .teardown = teardown });
