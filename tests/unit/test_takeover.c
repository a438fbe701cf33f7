/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * takeover: another daemon takes over the connection, comes back late, with other arenas, or not at
 * all.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/client_fixture.h"

/* ---- another daemon takes over the connection ---- */

/* What the old daemon read and may have done, read and did not do, and never read. */
static const struct takeover {
	uint16_t opcode;
	uint64_t last_tag, read_tag;
	bool comes_again;
	int result;
	bool remembers;
} takeovers[] = {
	{ WIRE_RESERVE, 1, 1, false, -ESTALE, false }, { WIRE_RESERVE, 0, 1, true, 0, false },
	{ WIRE_RESERVE, 0, 0, false, 0, false },       { WIRE_STAT, 1, 1, true, 0, false },
	{ WIRE_STAT, 0, 0, false, 0, false },	       { WIRE_RESERVE, 1, 1, true, 0, true },
	{ WIRE_RESERVE, 0, 1, true, 0, true },
};

static void take_over(struct fake_daemon *daemon)
{
	const struct takeover *takeover = daemon->arg;
	struct fake_ask *ask = malloc(sizeof(*ask));

	daemon->features = takeover->remembers ? WIRE_REPEATS : 0;
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, takeover->opcode);
	daemon->last_tag = takeover->last_tag;
	daemon->read_tag = takeover->read_tag;
	fake_send_welcome(daemon, true);
	if (takeover->comes_again) {
		fake_expect(daemon, ask, takeover->opcode);
		ck_assert_uint_gt(ask->tag, 1);
		ck_assert_uint_eq(ask->repeats, takeover->remembers && takeover->last_tag > 0);
	}
	if (takeover->result == 0)
		fake_answer(daemon, ask);
	/* The test's next request, and not the same one again. */
	fake_expect(daemon, ask, WIRE_STAT);
	ck_assert_uint_eq(ask->items[0].id, 6);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_connection_taken_over_goes_on)
{
	const struct takeover *takeover = &takeovers[_i];
	struct pma_info stat;

	fake = fake_new(take_over, (void *)(uintptr_t)takeover);
	connect_with(5000, 0);
	ck_assert_int_eq(call(takeover->opcode), takeover->result);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(6)), 0);
	end();
}
END_TEST

static void take_over_without_the_session(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_send_welcome(daemon, false);
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_on_an_old_connection_is_refused)
{
	struct pma_info stat;

	begin(take_over_without_the_session);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), -EPROTO);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/* Several threads, each with a request under way, when it happens; several times. */
static void die_often(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int death = 0; death < 20; death++) {
		for (int i = 0; i < 30; i++) {
			fake_expect(daemon, ask, WIRE_STAT);
			fake_answer(daemon, ask);
		}
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, death % 2);
	}
	fake_serve(daemon);
	free(ask);
}

static void *stat_always(void *arg)
{
	uint64_t id = (uintptr_t)arg;
	struct pma_info stat;

	for (int round = 0; round < 300; round++) {
		ck_assert_msg(pma_stat(&stat, pma, handle_of(id)) == 0, "%s", pma_message());
		ck_assert_uint_eq(stat.handle.id, id);
	}
	return NULL;
}

START_TEST(test_relink_threads_survive_many_deaths)
{
	pthread_t threads[4];

	begin(die_often);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, stat_always, (void *)(uintptr_t)(i + 1)),
			0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	end();
}
END_TEST

static void die_for_good(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_stop(daemon);
	free(ask);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(test_relink_lost_daemon_is_waited_for_so_long_and_no_longer)
{
	uint32_t reconnect_ms = _i ? 100 : 0;
	struct pma_info stat;
	int64_t before;

	fake = fake_new(die_for_good, NULL);
	connect_with(reconnect_ms, 0);
	before = now_ms();
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(pma_message(), "is lost"));
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_int_ge(now_ms() - before, 2 * reconnect_ms);
	ck_assert_int_lt(now_ms() - before, 2 * reconnect_ms + 1000);
	end();
}
END_TEST

static void sleep_for_a_while(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_stop(daemon);
	/* Some attempts find nobody. */
	poll(NULL, 0, 50);
	fake_listen(daemon);
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_daemon_that_comes_back_is_found)
{
	struct pma_info stat;

	begin(sleep_for_a_while);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	end();
}
END_TEST

/* One that dies of a request is not fed it for ever. */
static void die_of_stat(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	int *nr_deaths = daemon->arg;

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask) && ask->opcode == WIRE_STAT) {
		++*nr_deaths;
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, false);
	}
	fake_answer(daemon, ask);
	free(ask);
}

START_TEST(test_relink_deadly_request_is_given_up)
{
	struct pma_info stat;
	int nr_deaths = 0;

	fake = fake_new(die_of_stat, &nr_deaths);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_int_eq(pma_close(pma, handle_of(1)), 0);
	end();
	ck_assert_int_eq(nr_deaths, 3);
}
END_TEST

static void come_back_with_other_arenas(struct fake_daemon *daemon)
{
	struct wire_arena first = daemon->arenas[0];

	fake_welcome(daemon, NULL, false);
	fake_hang_up(daemon);
	if (daemon->arg) {
		daemon->nr_arenas = 1;
	} else {
		daemon->arenas[0] = daemon->arenas[1];
		daemon->arenas[0].index = 0;
		daemon->arenas[1] = first;
		daemon->arenas[1].index = 1;
	}
	fake_welcome(daemon, NULL, true);
}

/* Else a handle would name somebody else's data. */
START_TEST(test_relink_other_arenas_in_old_places_are_not_used)
{
	struct pma_info stat;

	fake = fake_new(come_back_with_other_arenas, (void *)(uintptr_t)_i);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(pma_message(), "arena"));
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	end();
}
END_TEST

/* One that is offline for now has no UUID to show, and is still the same. */
static void come_back_without_the_device(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_hang_up(daemon);
	daemon->arenas[0] = (struct wire_arena){ .name = "arena0", .state = 2 };
	fake_welcome(daemon, NULL, true);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_refuse(daemon, ask, -EIO, "the arena is offline");
	free(ask);
}

START_TEST(test_relink_arena_may_be_offline_for_a_while)
{
	struct pma_info stat;

	begin(come_back_without_the_device);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -EIO);
	ck_assert_str_eq(pma_message(), "the arena is offline");
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_relink_connection_taken_over_goes_on, 0, NR(takeovers));
	tcase_add_test(t, test_relink_new_session_on_an_old_connection_is_refused);
	tcase_add_test(t, test_relink_threads_survive_many_deaths);
	tcase_add_loop_test(t, test_relink_lost_daemon_is_waited_for_so_long_and_no_longer, 0, 2);
	tcase_add_test(t, test_relink_daemon_that_comes_back_is_found);
	tcase_add_test(t, test_relink_deadly_request_is_given_up);
	tcase_add_loop_test(t, test_relink_other_arenas_in_old_places_are_not_used, 0, 2);
	tcase_add_test(t, test_relink_arena_may_be_offline_for_a_while);
}

UNIT("takeover", { .add = add_tests, .timeout_s = 30 });
