/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: subscriptions, and a caller's event loop.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

static struct pma *pma;
static struct fake_daemon *fake;
static char seen[1 << 16];              /* what the callback saw: "kind:name " each */

static void connect_to(fake_script *script, void *arg)
{
	fake = fake_new(script, arg);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == 0, "%s", pma_message());
	seen[0] = '\0';
}

static void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static void note(const struct pma_event *event, void *arg)
{
	size_t len = strlen(seen);

	snprintf(seen + len, sizeof(seen) - len, "%s%d:%s ", arg ? (const char *)arg : "",
		 (int)event->kind, event->name);
}

static bool is_readable(int timeout_ms)
{
	struct pollfd poller = { .fd = pma_get_fd(pma), .events = POLLIN };

	return poll(&poller, 1, timeout_ms) == 1;
}

static void dispatch_until_seen(const char *what)
{
	for (int i = 0; i < 1000 && !strstr(seen, what); i++) {
		ck_assert_msg(is_readable(10000), "waited for %s in vain", what);
		pma_dispatch(pma);
	}
	ck_assert_str_eq(seen, what);
}

static void send_event(struct fake_daemon *daemon, uint32_t kind, const char *name)
{
	struct wire_result result = {
		.flags = kind, .arena = 0, .slot = 3, .id = 3, .len = FAKE_PAGE
	};
	struct wire_writer writer;

	wire_begin(&writer, daemon->buf, WIRE_EVENT, 0);
	wire_add_result(&writer, &result, NULL, name, strlen(name));
	fake_send(daemon, wire_end(&writer));
}

static void expect_subscription(struct fake_daemon *daemon, const char *prefix)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_expect(daemon, ask, WIRE_SUBSCRIBE);
	ck_assert_uint_eq(ask->items[0].flags, 0);
	ck_assert_str_eq(ask->names[0], prefix);
	fake_answer(daemon, ask);
	free(ask);
}

static void tell_two(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "kv/");
	send_event(daemon, WIRE_EVENT_PUBLISHED, "kv/1");
	send_event(daemon, WIRE_EVENT_FREED, "kv/1");
	fake_serve(daemon);
}

START_TEST(test_event_arrives_where_it_was_asked_for)
{
	connect_to(tell_two, NULL);
	ck_assert_int_ge(pma_get_fd(pma), 0);
	ck_assert(!is_readable(0));
	ck_assert_int_eq(pma_subscribe(pma, 0, "kv/", note, NULL), 0);
	dispatch_until_seen("1:kv/1 2:kv/1 ");
	ck_assert_int_eq(pma_dispatch(pma), 0);
	ck_assert(!is_readable(0));
	end();
}
END_TEST

/* Read by a thread that waited for something else: the event loop is still told. */
static void tell_before_the_reply(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "");
	fake_expect(daemon, ask, WIRE_STAT);
	send_event(daemon, WIRE_EVENT_RENAMED, "new");
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_event_read_by_a_call_is_kept)
{
	struct pma_handle handle = { 0, 1, 1 };
	struct pma_info stat;

	connect_to(tell_before_the_reply, NULL);
	ck_assert_int_ge(pma_get_fd(pma), 0);
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, NULL), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_str_eq(seen, "");
	ck_assert(is_readable(0));
	dispatch_until_seen("3:new ");
	ck_assert(!is_readable(0));
	end();
}
END_TEST

/* The program makes its event loop last. */
START_TEST(test_event_from_before_the_descriptor_makes_it_readable)
{
	struct pma_handle handle = { 0, 1, 1 };
	struct pma_info stat;

	connect_to(tell_before_the_reply, NULL);
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, NULL), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert(is_readable(0));
	dispatch_until_seen("3:new ");
	ck_assert(!is_readable(0));
	end();
}
END_TEST

static void tell_after_each_subscription(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	char name[16];
	int nr = 0;

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask)) {
		fake_answer(daemon, ask);
		snprintf(name, sizeof(name), "e%d", ++nr);
		send_event(daemon, WIRE_EVENT_PUBLISHED, name);
	}
	free(ask);
}

static char second[] = "second ";

START_TEST(test_event_goes_to_the_last_subscriber_or_nobody)
{
	connect_to(tell_after_each_subscription, NULL);
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, NULL), 0);
	dispatch_until_seen("1:e1 ");
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, second), 0);
	dispatch_until_seen("1:e1 second 1:e2 ");
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, NULL, NULL), 0);
	ck_assert(is_readable(10000));
	ck_assert_int_eq(pma_dispatch(pma), 0);
	ck_assert_str_eq(seen, "1:e1 second 1:e2 ");
	end();
}
END_TEST

static void refuse_subscription(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "a");
	fake_expect(daemon, ask, WIRE_SUBSCRIBE);
	fake_refuse(daemon, ask, -ENOMEM, "the daemon is out of memory");
	send_event(daemon, WIRE_EVENT_PUBLISHED, "ab");
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_event_refused_subscription_leaves_the_old_one)
{
	connect_to(refuse_subscription, NULL);
	ck_assert_int_eq(pma_subscribe(pma, 0, "a", note, NULL), 0);
	ck_assert_int_eq(pma_subscribe(pma, 0, "b", note, second), -ENOMEM);
	ck_assert_str_eq(pma_message(), "the daemon is out of memory");
	dispatch_until_seen("1:ab ");
	end();
}
END_TEST

/* A caller who only waits for its descriptor finds the new daemon without a call of its own. */
static void die_and_come_back(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "kv/");
	fake_stop(daemon);
	poll(NULL, 0, 20);
	fake_listen(daemon);
	fake_welcome(daemon, NULL, true);
	expect_subscription(daemon, "kv/");
	send_event(daemon, WIRE_EVENT_FREED, "kv/2");
	fake_serve(daemon);
}

START_TEST(test_event_subscription_survives_the_daemon)
{
	int fd, saw_loss = 0;

	connect_to(die_and_come_back, NULL);
	fd = pma_get_fd(pma);
	ck_assert_int_eq(pma_subscribe(pma, 0, "kv/", note, NULL), 0);
	for (int i = 0; i < 1000 && !(strstr(seen, "2:kv/2 ") && strstr(seen, "9: ")); i++) {
		ck_assert(is_readable(10000));
		if (pma_dispatch(pma) == -ENOTCONN)
			saw_loss = 1;
	}
	ck_assert_uint_eq(strlen(seen), strlen("9: 2:kv/2 "));
	ck_assert_int_eq(saw_loss, 1);
	ck_assert_int_eq(pma_get_fd(pma), fd);
	ck_assert_int_eq(pma_dispatch(pma), 0);
	end();
}
END_TEST

/* More than anybody keeps: some are lost, and that is said. */
static void tell_very_many(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "");
	fake_expect(daemon, ask, WIRE_STAT);
	for (int i = 0; i < 5000; i++)
		send_event(daemon, WIRE_EVENT_PUBLISHED, "x");
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_event_flood_is_bounded)
{
	struct pma_handle handle = { 0, 1, 1 };
	struct pma_info stat;
	size_t len;

	connect_to(tell_very_many, NULL);
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, NULL), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_int_eq(pma_dispatch(pma), 0);
	len = strlen(seen);
	ck_assert_uint_eq(len, 4096 * strlen("1:x ") + strlen("9: "));
	ck_assert_str_eq(seen + len - 3, "9: ");
	end();
}
END_TEST

static void call_back(const struct pma_event *event, void *arg)
{
	struct pma_info stat;

	ck_assert_int_eq(pma_stat(&stat, pma, event->handle), 0);
	ck_assert_uint_eq(stat.handle.id, 3);
	note(event, arg);
}

START_TEST(test_event_callback_may_call_the_library)
{
	connect_to(tell_two, NULL);
	ck_assert_int_eq(pma_subscribe(pma, 0, "kv/", call_back, NULL), 0);
	dispatch_until_seen("1:kv/1 2:kv/1 ");
	end();
}
END_TEST

/* What arrives while the callback asks is for the next time, and the event loop is told so. */
static void tell_during_a_callback(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "kv/");
	send_event(daemon, WIRE_EVENT_PUBLISHED, "kv/1");
	fake_expect(daemon, ask, WIRE_STAT);
	send_event(daemon, WIRE_EVENT_FREED, "kv/1");
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_event_that_arrives_in_a_callback_is_not_forgotten)
{
	connect_to(tell_during_a_callback, NULL);
	ck_assert_int_ge(pma_get_fd(pma), 0);
	ck_assert_int_eq(pma_subscribe(pma, 0, "kv/", call_back, NULL), 0);
	dispatch_until_seen("1:kv/1 ");
	ck_assert(is_readable(0));
	dispatch_until_seen("1:kv/1 2:kv/1 ");
	end();
}
END_TEST

static void tell_nonsense(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	expect_subscription(daemon, "");
	send_event(daemon, daemon->arg ? 77 : 0, "x");
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
}

START_TEST(test_event_of_no_kind_ends_the_connection)
{
	connect_to(tell_nonsense, (void *)(uintptr_t)_i);
	ck_assert_int_eq(pma_subscribe(pma, 0, NULL, note, NULL), 0);
	dispatch_until_seen("9: ");
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_event_arrives_where_it_was_asked_for);
	tcase_add_test(t, test_event_read_by_a_call_is_kept);
	tcase_add_test(t, test_event_from_before_the_descriptor_makes_it_readable);
	tcase_add_test(t, test_event_goes_to_the_last_subscriber_or_nobody);
	tcase_add_test(t, test_event_refused_subscription_leaves_the_old_one);
	tcase_add_test(t, test_event_subscription_survives_the_daemon);
	tcase_add_test(t, test_event_flood_is_bounded);
	tcase_add_test(t, test_event_callback_may_call_the_library);
	tcase_add_test(t, test_event_that_arrives_in_a_callback_is_not_forgotten);
	tcase_add_loop_test(t, test_event_of_no_kind_ends_the_connection, 0, 2);
}

UNIT("event", { .add = add_tests, .timeout_s = 30 });
