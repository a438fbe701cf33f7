/* SPDX-License-Identifier: BSD-3-Clause */
/* hostile: daemons that do not keep the protocol, and descriptors that nobody awaits. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client_fixture.h"

/* ---- hostile daemons ---- */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value & 0xff;
	at[1] = (uint8_t)(value >> 8);
}

/* What is wrong with the reply to a stat: bytes of a good one are changed. */
static const struct wrong { size_t at; uint16_t value; size_t cut; const char *what;
} wrongs[] = {
	{ 0, 0x4242, 0, "magic" },
	{ 4, 9, 0, "version" },
	{ 6, WIRE_OPENED, 0, "another reply" },
	{ 6, WIRE_STAT, 0, "a request" },
	{ 6, WIRE_WELCOME, 0, "another welcome" },
	{ 6, WIRE_EVENT, 0, "an event of no kind" },
	{ 8, 31, 0, "length" },
	{ 12, 2, 0, "two items" },
	{ 12, 0, 0, "no item" },
	{ 16, 999, 0, "a tag to come" },
	{ 32, 8, 0, "item's size" },
	{ 34, 7, 0, "extents" },
	{ 40, 99, 0, "arena 99" },
	{ 48, 0, 0, "id 0" },
	{ 84, 9999, 0, "text" },
	{ 4, WIRE_VERSION, 40, "cut" },
};

static void answer_wrongly(struct fake_daemon *daemon)
{
	const struct wrong *wrong = daemon->arg;
	struct wire_result result = { .id = 5, .slot = 5 };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;
	size_t length;

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	wire_begin(&writer, daemon->buf, WIRE_STATTED, ask->tag);
	wire_add_result(&writer, &result, NULL, "name", 4);
	length = wire_end(&writer);
	put16(daemon->buf + wrong->at, wrong->value);
	fake_send(daemon, length - wrong->cut);
	ck_assert(!fake_receive(daemon, ask));
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_wrong_reply_is_refused_and_the_next_call_works)
{
	struct pma_info stat;

	fake = fake_new(answer_wrongly, (void *)(uintptr_t)&wrongs[_i]);
	connect_with(5000, 0);
	ck_assert_msg(pma_stat(&stat, pma, handle_of(5)) == -EPROTO, "%s", wrongs[_i].what);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/* ---- descriptors ---- */

static int count_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void answer_with_a_descriptor(struct fake_daemon *daemon)
{
	struct wire_result result = { .id = 5, .slot = 5 };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	wire_begin(&writer, daemon->buf, WIRE_STATTED, ask->tag);
	wire_add_result(&writer, &result, NULL, "name", 4);
	fake_send_fds(daemon, wire_end(&writer), &daemon->device, 1);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_descriptor_that_nobody_awaits_is_dropped)
{
	struct pma_info stat;
	int before;

	begin(answer_with_a_descriptor);
	before = count_fds();
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	ck_assert_int_eq(count_fds(), before);
	end();
}
END_TEST

/* The first time to whoever receives for a request of before; then again. */
static void attach_while_another_receives(struct fake_daemon *daemon)
{
	struct fake_ask *stat = malloc(sizeof(*stat)), *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, stat, WIRE_STAT);
	pthread_barrier_wait(daemon->arg);
	for (int i = 0; i < 2; i++) {
		fake_expect(daemon, ask, WIRE_ATTACH);
		fake_answer(daemon, ask);
	}
	fake_answer(daemon, stat);
	fake_serve(daemon);
	free(stat);
	free(ask);
}

static void *stat_one(void *arg)
{
	struct pma_info stat;

	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(6)), 0);
	return NULL;
}

START_TEST(test_relink_descriptors_that_were_dropped_are_asked_for_again)
{
	pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	fake = fake_new(attach_while_another_receives, &barrier);
	connect_with(5000, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stat_one, NULL), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_ge(pma_device_fd(pma, 0, true), 0);
	pthread_join(thread, NULL);
	end();
	pthread_barrier_destroy(&barrier);
}
END_TEST

static const struct wrong wrong_welcomes[] = {
	{ 0, 0x4242, 0, "magic" },	{ 6, WIRE_STATTED, 0, "no welcome" },
	{ 36, 2, 0, "version 2" },	{ 38, 7, 0, "7 arenas" },
	{ 48, 0, 0, "no session" },	{ 100, 5, 0, "arena 5 in place 0" },
	{ 228, 7, 0, "granularity 7" }, { 220, 3, 0, "alignment" },
	{ 4, WIRE_VERSION, 8, "cut" },
};

static void welcome_wrongly(struct fake_daemon *daemon)
{
	const struct wrong *wrong = daemon->arg;
	struct wire_welcome welcome = { .version = WIRE_VERSION,
					.nr_arenas = 1,
					.session = FAKE_SESSION };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;
	size_t length;

	fake_accept(daemon);
	fake_expect(daemon, ask, WIRE_HELLO);
	wire_begin(&writer, daemon->buf, WIRE_WELCOME, 0);
	wire_add_raw(&writer, &welcome, sizeof(welcome));
	wire_add_raw(&writer, &daemon->arenas[0], sizeof(daemon->arenas[0]));
	length = wire_end(&writer);
	put16(daemon->buf + wrong->at, wrong->value);
	fake_send(daemon, length - wrong->cut);
	free(ask);
}

START_TEST(test_relink_wrong_welcome_is_refused)
{
	fake = fake_new(welcome_wrongly, (void *)(uintptr_t)&wrong_welcomes[_i]);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == -EPROTO, "%s", wrong_welcomes[_i].what);
	fake_free(fake);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_relink_descriptor_that_nobody_awaits_is_dropped);
	tcase_add_test(t, test_relink_descriptors_that_were_dropped_are_asked_for_again);
	tcase_add_loop_test(t, test_relink_wrong_reply_is_refused_and_the_next_call_works, 0,
			    NR(wrongs));
	tcase_add_loop_test(t, test_relink_wrong_welcome_is_refused, 0, NR(wrong_welcomes));
}

UNIT("hostile", { .add = add_tests, .timeout_s = 30 });
