/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relink: daemons that go away, come back, take over or do not keep the protocol, and what becomes of the calls that were under way.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/standin/fake_daemon.h"

static struct pma *pma;
static struct fake_daemon *fake;

static void connect_with(uint32_t reconnect_ms, uint32_t busy_poll_us)
{
	struct pma_options *options;

	ck_assert_int_eq(pma_options_new(&options), 0);
	ck_assert_int_eq(pma_options_set_socket(options, fake->path), 0);
	ck_assert_int_eq(pma_options_set_reconnect_ms(options, reconnect_ms), 0);
	ck_assert_int_eq(pma_options_set_busy_poll_us(options, busy_poll_us), 0);
	ck_assert_msg(pma_connect(&pma, options) == 0, "%s", pma_message());
	pma_options_free(options);
}

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static void begin(fake_script *script)
{
	fake = fake_new(script, NULL);
	connect_with(5000, 0);
}

static void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static struct pma_handle handle_of(uint64_t id)
{
	return (struct pma_handle){ .arena = 0, .slot = (uint32_t)id, .id = id };
}

static void fake_serve_one(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
}

/* ---- the daemon goes away ---- */

/* How one request fares: what it is, what the next daemon says about the session, and what becomes of it. */
static const struct fare { uint16_t opcode; bool resumed; int last_tag; bool comes_again; int result; bool remembers, remembered; } fares[] = {
	{ WIRE_RESERVE, true,  0, true,  0, false, false },
	{ WIRE_RESERVE, true,  1, false, -ESTALE, false, false },
	{ WIRE_RESERVE, false, 0, false, -ESTALE, false, false },
	{ WIRE_FREE,    true,  0, true,  0, false, false },
	{ WIRE_FREE,    true,  1, false, -ESTALE, false, false },
	{ WIRE_STAT,    true,  0, true,  0, false, false },
	{ WIRE_STAT,    true,  1, true,  0, false, false },
	{ WIRE_STAT,    false, 0, true,  0, false, false },
	{ WIRE_OPEN,    true,  1, true,  0, false, false },
	{ WIRE_OPEN,    false, 0, true,  0, false, false },
	{ WIRE_CLOSE,   true,  1, true,  0, false, false },
	/* Daemons that remember what they did; the last of them does not know what the one before it did. */
	{ WIRE_RESERVE, true,  0, true,  0, true, true },
	{ WIRE_RESERVE, true,  1, true,  0, true, true },
	{ WIRE_FREE,    true,  1, true,  0, true, true },
	{ WIRE_CLOSE,   true,  1, true,  0, true, true },
	{ WIRE_FREE,    false, 0, false, -ESTALE, true, true },
	{ WIRE_FREE,    true,  1, false, -ESTALE, true, false },
	{ WIRE_FREE,    true,  1, false, -ESTALE, false, true },
};

static void die_with_a_request(struct fake_daemon *daemon)
{
	const struct fare *fare = daemon->arg;
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_hello hello;

	daemon->features = fare->remembered ? WIRE_REPEATS : 0;
	fake_welcome(daemon, &hello, false);
	ck_assert_uint_eq(hello.session, 0);
	ck_assert_uint_eq(hello.features, WIRE_REPEATS | WIRE_CARVES);
	fake_expect(daemon, ask, fare->opcode);
	ck_assert_uint_eq(ask->repeats, 0);
	fake_hang_up(daemon);
	daemon->features = fare->remembers ? WIRE_REPEATS : 0;
	daemon->last_tag = (uint64_t)fare->last_tag;
	fake_welcome(daemon, &hello, fare->resumed);
	ck_assert_uint_eq(hello.session, FAKE_SESSION);
	ck_assert_str_eq((const char *)hello.token, "secret");
	if (fare->comes_again) {
		fake_expect(daemon, ask, fare->opcode);
		ck_assert_uint_gt(ask->tag, 1);
		/* What changes nothing twice is simply asked anew. */
		ck_assert_uint_eq(ask->repeats, fare->remembers && fare->last_tag > 0 && fare->opcode != WIRE_CLOSE);
		fake_answer(daemon, ask);
	}
	fake_serve(daemon);
	free(ask);
}

static int call(uint16_t opcode)
{
	struct pma_handle handle;
	struct pma_stat stat;

	switch (opcode) {
	case WIRE_RESERVE:
		return pma_create(&handle, pma, "x", 4096, 0);
	case WIRE_FREE:
		return pma_free(pma, handle_of(5));
	case WIRE_OPEN:
		return pma_open(&handle, pma, "x", 0);
	case WIRE_CLOSE:
		return pma_close(pma, handle_of(5));
	default:
		return pma_stat(&stat, pma, handle_of(5));
	}
}

START_TEST(test_relink_request_under_way_follows_the_rule)
{
	const struct fare *fare = &fares[_i];
	struct pma_stat stat;

	fake = fake_new(die_with_a_request, (void *)(uintptr_t)fare);
	connect_with(5000, 0);
	ck_assert_int_eq(call(fare->opcode), fare->result);
	if (fare->result < 0)
		ck_assert_ptr_nonnull(strstr(pma_message(), "replaced"));
	/* And life goes on. */
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/*
 * A repeat that is lost once more is still one, whether the daemon in between began it or not; and an answer that came
 * before the end is an answer.
 */
static void die_with_repeats(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	daemon->features = WIRE_REPEATS;
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_FREE);
	fake_hang_up(daemon);
	for (int i = 0; i < 2; i++) {
		daemon->last_tag = 1;
		fake_welcome(daemon, NULL, true);
		fake_expect(daemon, ask, WIRE_FREE);
		ck_assert_uint_gt(ask->tag, 1);
		ck_assert_uint_eq(ask->repeats, 1);
		if (i == 0)
			fake_hang_up(daemon);
	}
	fake_answer(daemon, ask);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_repeat_stays_one)
{
	struct pma_stat stat;

	fake = fake_new(die_with_repeats, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_free(pma, handle_of(5)), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/* A daemon that is killed with something unread: the kernel says so first, but what it had said is still there. */
static void die_with_an_answer_said(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	uint64_t id;

	daemon->features = WIRE_REPEATS;
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_FREE);
	id = ask->items[0].id;
	fake_await(daemon);
	fake_answer(daemon, ask);
	fake_hang_up(daemon);
	daemon->last_tag = 2;
	fake_welcome(daemon, NULL, true);
	/* The second one only: the first was answered. */
	fake_expect(daemon, ask, WIRE_FREE);
	ck_assert_uint_eq(ask->items[0].id, 11 - id);
	ck_assert_uint_eq(ask->repeats, 0);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

static void *free_another(void *arg)
{
	ck_assert_int_eq(pma_free(pma, handle_of(6)), 0);
	return NULL;
}

START_TEST(test_relink_answer_before_the_end_counts)
{
	struct pma_stat stat;
	pthread_t thread;

	fake = fake_new(die_with_an_answer_said, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_another, NULL), 0);
	ck_assert_int_eq(pma_free(pma, handle_of(5)), 0);
	pthread_join(thread, NULL);
	end();
}
END_TEST

/* What a program's own token makes known again is asked again in a new session too; what only some of a message have is not. */
static void forget_what_was_made(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	daemon->features = WIRE_REPEATS;
	for (int i = 0; i < 2; i++) {
		fake_welcome(daemon, NULL, false);
		fake_expect(daemon, ask, WIRE_RESERVE);
		ck_assert_uint_eq(ask->repeats, 0);
		ck_assert_uint_eq(ask->items[0].arg, 77);
		if (i == 0)
			fake_hang_up(daemon);
	}
	daemon->result_flags = WIRE_WAS_DONE;
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_RESERVE);
	ck_assert_uint_eq(ask->count, 2);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_asks_again_under_a_token)
{
	struct pma_op op = { .opcode = PMA_OP_CREATE, .name = "x", .len = 4096, .token = 77 };
	struct pma_op two[2] = { op, { .opcode = PMA_OP_CREATE, .name = "y", .len = 4096 } };

	fake = fake_new(forget_what_was_made, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_run(pma, &op, 1), 0);
	ck_assert_int_eq(op.result, 0);
	ck_assert(op.was_done);
	ck_assert_int_eq(pma_run(pma, two, 2), -ESTALE);
	ck_assert_int_eq(two[0].result, -ESTALE);
	end();
}
END_TEST

START_TEST(test_relink_token_of_no_use_is_refused)
{
	static const struct pma_op bad[] = {
		{ .opcode = PMA_OP_CREATE, .len = 4096, .token = 1 },
		{ .opcode = PMA_OP_RESERVE, .len = 4096, .token = 1 },
		{ .opcode = PMA_OP_CREATE, .name = "x", .len = 4096, .token = PMA_MAX_TOKEN + 1 },
		{ .opcode = PMA_OP_FREE, .token = 1 },
		{ .opcode = PMA_OP_OPEN, .name = "x", .token = 1 },
	};

	begin(fake_serve_one);
	for (int i = 0; i < NR(bad); i++) {
		struct pma_op op = bad[i];

		ck_assert_int_eq(pma_run(pma, &op, 1), 0);
		ck_assert_int_eq(op.result, -EINVAL);
		ck_assert_ptr_nonnull(strstr(pma_message(), "token"));
	}
	end();
}
END_TEST

/* All that is open is opened again in a new session, before anything else; reservations are gone. */
static void forget_the_session(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int i = 0; i < 5; i++) {
		ck_assert(fake_receive(daemon, ask));
		fake_answer(daemon, ask);
	}
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->count, 2);
	ck_assert_uint_eq(ask->items[0].id, 1);
	ck_assert_uint_eq(ask->items[0].flags, 0);
	ck_assert_uint_eq(ask->items[1].id, 3);
	ck_assert_uint_eq(ask->items[1].flags, WIRE_READ_ONLY);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_opens_what_was_open)
{
	struct pma_handle created, reserved, opened, closed;
	struct pma_extent extents[1];
	struct pma_stat stat;
	size_t nr = 1;

	begin(forget_the_session);
	ck_assert_int_eq(pma_create(&created, pma, "a", 4096, 0), 0);
	ck_assert_int_eq(pma_reserve(&reserved, pma, "b", 4096, 0), 0);
	ck_assert_int_eq(pma_open(&opened, pma, "c", PMA_READ_ONLY), 0);
	ck_assert_int_eq(pma_open(&closed, pma, "d", 0), 0);
	ck_assert_int_eq(pma_close(pma, closed), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, created), 0);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, reserved, 0), -EBADF);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, closed, 0), -EBADF);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, opened, 0), 0);
	end();
}
END_TEST

/* A reservation that was published is not one any more. */
static void forget_after_publish(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int i = 0; i < 2; i++) {
		ck_assert(fake_receive(daemon, ask));
		fake_answer(daemon, ask);
	}
	fake_hang_up(daemon);
	/* And one that dies before it answered is asked again, once. */
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->count, 1);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, true);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->items[0].id, 1);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_opens_what_was_published)
{
	struct pma_handle handle;
	struct pma_stat stat;

	begin(forget_after_publish);
	ck_assert_int_eq(pma_reserve(&handle, pma, "a", 4096, 0), 0);
	ck_assert_int_eq(pma_publish(pma, handle), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	end();
}
END_TEST

/* ---- another daemon takes over the connection ---- */

/* What the old daemon read and may have done, read and did not do, and never read. */
static const struct takeover { uint16_t opcode; uint64_t last_tag, read_tag; bool comes_again; int result; bool remembers; } takeovers[] = {
	{ WIRE_RESERVE, 1, 1, false, -ESTALE, false },
	{ WIRE_RESERVE, 0, 1, true,  0, false },
	{ WIRE_RESERVE, 0, 0, false, 0, false },
	{ WIRE_STAT,    1, 1, true,  0, false },
	{ WIRE_STAT,    0, 0, false, 0, false },
	{ WIRE_RESERVE, 1, 1, true,  0, true },
	{ WIRE_RESERVE, 0, 1, true,  0, true },
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
	struct pma_stat stat;

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
	struct pma_stat stat;

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
	struct pma_stat stat;

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
		ck_assert_int_eq(pthread_create(&threads[i], NULL, stat_always, (void *)(uintptr_t)(i + 1)), 0);
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
	struct pma_stat stat;
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
	struct pma_stat stat;

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
	struct pma_stat stat;
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
	struct pma_stat stat;

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
	struct pma_stat stat;

	begin(come_back_without_the_device);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -EIO);
	ck_assert_str_eq(pma_message(), "the arena is offline");
	end();
}
END_TEST

/* ---- hostile daemons ---- */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value & 0xff;
	at[1] = (uint8_t)(value >> 8);
}

/* What is wrong with the reply to a stat: bytes of a good one are changed. */
static const struct wrong { size_t at; uint16_t value; size_t cut; const char *what; } wrongs[] = {
	{ 0, 0x4242, 0, "magic" }, { 4, 9, 0, "version" }, { 6, WIRE_OPENED, 0, "another reply" }, { 6, WIRE_STAT, 0, "a request" },
	{ 6, WIRE_WELCOME, 0, "another welcome" }, { 6, WIRE_EVENT, 0, "an event of no kind" }, { 8, 31, 0, "length" }, { 12, 2, 0, "two items" },
	{ 12, 0, 0, "no item" }, { 16, 999, 0, "a tag to come" }, { 32, 8, 0, "item's size" }, { 34, 7, 0, "extents" },
	{ 40, 99, 0, "arena 99" }, { 48, 0, 0, "id 0" }, { 84, 9999, 0, "text" }, { 4, WIRE_VERSION, 40, "cut" },
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
	struct pma_stat stat;

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
	struct pma_stat stat;
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
	struct pma_stat stat;

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
	{ 0, 0x4242, 0, "magic" }, { 6, WIRE_STATTED, 0, "no welcome" }, { 36, 2, 0, "version 2" }, { 38, 7, 0, "7 arenas" },
	{ 48, 0, 0, "no session" }, { 100, 5, 0, "arena 5 in place 0" }, { 228, 7, 0, "granularity 7" }, { 220, 3, 0, "alignment" },
	{ 4, WIRE_VERSION, 8, "cut" },
};

static void welcome_wrongly(struct fake_daemon *daemon)
{
	const struct wrong *wrong = daemon->arg;
	struct wire_welcome welcome = { .version = WIRE_VERSION, .nr_arenas = 1, .session = FAKE_SESSION };
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
	tcase_add_loop_test(t, test_relink_request_under_way_follows_the_rule, 0, NR(fares));
	tcase_add_test(t, test_relink_repeat_stays_one);
	tcase_add_test(t, test_relink_answer_before_the_end_counts);
	tcase_add_test(t, test_relink_new_session_asks_again_under_a_token);
	tcase_add_test(t, test_relink_token_of_no_use_is_refused);
	tcase_add_test(t, test_relink_new_session_opens_what_was_open);
	tcase_add_test(t, test_relink_new_session_opens_what_was_published);
	tcase_add_loop_test(t, test_relink_connection_taken_over_goes_on, 0, NR(takeovers));
	tcase_add_test(t, test_relink_new_session_on_an_old_connection_is_refused);
	tcase_add_test(t, test_relink_threads_survive_many_deaths);
	tcase_add_loop_test(t, test_relink_lost_daemon_is_waited_for_so_long_and_no_longer, 0, 2);
	tcase_add_test(t, test_relink_daemon_that_comes_back_is_found);
	tcase_add_test(t, test_relink_deadly_request_is_given_up);
	tcase_add_loop_test(t, test_relink_other_arenas_in_old_places_are_not_used, 0, 2);
	tcase_add_test(t, test_relink_arena_may_be_offline_for_a_while);
	tcase_add_test(t, test_relink_descriptor_that_nobody_awaits_is_dropped);
	tcase_add_test(t, test_relink_descriptors_that_were_dropped_are_asked_for_again);
	tcase_add_loop_test(t, test_relink_wrong_reply_is_refused_and_the_next_call_works, 0, NR(wrongs));
	tcase_add_loop_test(t, test_relink_wrong_welcome_is_refused, 0, NR(wrong_welcomes));
}

int main(void)
{
	Suite *s = suite_create("relink");
	TCase *t = tcase_create("relink");
	SRunner *runner;
	int nr_failed;

	tcase_set_timeout(t, 30);
	add_tests(t);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
